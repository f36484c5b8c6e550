"""Ask: let a reader answer a question from a document's pages, and lead the answer to the text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyph.api import DEFAULT_MODEL, Source, as_document, make_config, price
from glyph.checking import Doubt, doubts_about
from glyph.config import RenderConfig
from glyph.documents import Document
from glyph.errors import ConfigError, UnknownModelError
from glyph.pages import Page
from glyph.readers import NANO_PRESETS, open_reader
from glyph.readers.nano.spec import READ_AS
from glyph.readers.protocol import Answer, Reader, Request
from glyph.render import render_pages
from glyph.sidecar import Sidecar, build_sidecar
from glyph.text_tokens import count_text_tokens
from glyph.tokens import Cost, resolve_model

SIDECAR_SHARE = 0.05
"""Tokens for the sidecar as a share of the tokens that pages save."""

MAX_ODD_SHARE = 0.02
"""Share of characters outside the nano reader's alphabet up to which it is the default."""


@dataclass(frozen=True, eq=False)
class Asked:
    """An answer and where it stands.

    Attributes:
        answer: What the reader said.
        cost: Tokens as text and as pages; None when the reader's model has no known rule.
        spans: Characters of the text under the quote, found through the page's layout.
        num_pages: Pages of the document.
        sidecar: Exact strings that went as text beside the pages; None for readers that take none.
        doubts: Exact strings of the answer that the text does not hold: misread, or worked out.
    """

    answer: Answer
    cost: Cost | None
    spans: tuple[tuple[int, int], ...]
    num_pages: int
    sidecar: Sidecar | None
    doubts: tuple[Doubt, ...]


def ask(
    source: Source,
    question: str,
    *,
    reader: str | Reader | None = None,
    preset: str | Path | RenderConfig | None = None,
    model: str | None = None,
    sidecar_share: float = SIDECAR_SHARE,
    **fields: Any,
) -> Asked:
    """Render a document, let a reader read the pages, and return its answer.

    Args:
        source: As for `render`.
        question: Stays text; only the document becomes pages.
        reader: `nano`, `ocr`, `openai:MODEL`, or an object that answers; by default
            `default_reader`.
        preset: Name or file of a preset; by default the reader's own, or the aligned one.
        model: Whose visual tokens to count; by default the reader's, where it has a known one.
        sidecar_share: Tokens for exact strings as text beside the pages, as a share of the tokens
            that the pages save; 0 sends none. Readers on this machine take none: they stand for
            what the pixels alone give.
        fields: Fields of `RenderConfig` to change.

    Raises:
        ConfigError: The question is empty, or a setting is not accepted.
        ReaderError: The reader cannot answer, with the reason.
    """
    if not question.strip():
        raise ConfigError("the question is empty; ask something.")
    if not 0 <= sidecar_share <= 1:
        raise ConfigError(f"sidecar_share is {sidecar_share}; 0 to 1 is accepted.")
    document = as_document(source)
    named = reader or default_reader(document, preset, is_changed=bool(fields))
    asked = open_reader(named) if isinstance(named, str) else named
    priced = resolve_model(model).name if model else model_behind(asked)
    own = preset or own_preset(asked)
    config = make_config(own, model=priced, is_code=document.kind == "code", **fields)
    pages = tuple(render_pages(document, config))
    sizes = [(page.width_px, page.height_px) for page in pages]
    cost = price(document, sizes, [priced])[0] if priced else None
    beside = _sidecar_of(document, pages, cost, sidecar_share) if takes_sidecar(asked) else None
    text = beside.render() if beside is not None else ""
    answer = asked.answer(Request(question=question, pages=pages, sidecar=text))
    spans = _spans_in_text(answer, pages, document.text)
    doubts = doubts_about(answer.text, document.text, question)
    return Asked(answer, cost, spans, len(pages), beside, doubts)


def default_reader(
    document: Document | None = None,
    preset: str | Path | RenderConfig | None = None,
    *,
    is_changed: bool = False,
) -> str:
    """Return who reads when nobody is named: nano what it was trained on, ocr everything else.

    Args:
        document: Its characters are only counted: nano reads printable ASCII and typographic
            quotes and dashes. None for pages of unknown text.
        preset: How it is rendered; None leaves that to the reader.
        is_changed: Whether fields of the preset are changed.

    Example:
        >>> from glyph import document_from_text
        >>> default_reader(document_from_text("plain words"))
        'nano'
        >>> default_reader(document_from_text("\u4e00\u4e8c\u4e09"))
        'ocr'
    """
    text = document.text if document is not None else ""
    odd = sum(not (char.isascii() or char in READ_AS) for char in text)
    is_own = (preset is None or preset in NANO_PRESETS) and not is_changed
    return "nano" if is_own and odd <= MAX_ODD_SHARE * len(text) else "ocr"


def takes_sidecar(reader: Reader) -> bool:
    """Return whether a reader is given exact strings as text beside the pages."""
    return bool(getattr(reader, "takes_sidecar", False))


def own_preset(reader: Reader) -> str | None:
    """Return the preset that a reader was trained on; None for readers of any pages."""
    return getattr(reader, "preset", None)


def model_behind(reader: Reader) -> str | None:
    """Return the model whose tokens a reader spends, None when no rule is known for it.

    A reader without a model of its own is priced as the default one.
    """
    _, _, model = reader.name.partition(":")
    if not model:
        return DEFAULT_MODEL
    try:
        return resolve_model(model).name
    except UnknownModelError:
        return None


def _sidecar_of(
    document: Document, pages: Sequence[Page], cost: Cost | None, share: float
) -> Sidecar:
    """Return the exact strings that a share of the saved tokens pays for."""
    tokenizer = cost.tokenizer if cost else resolve_model(DEFAULT_MODEL).tokenizer

    def count(text: str) -> int:
        return count_text_tokens(text, tokenizer)

    # Without a known price nothing is known of what pages save; all of the text bounds it.
    saved = cost.text_tokens - cost.visual_tokens if cost else count(document.text)
    spans = [(page.start, page.end) for page in pages]
    return build_sidecar(document.text, spans, max(int(saved * share), 0), count)


def _spans_in_text(answer: Answer, pages: Sequence[Page], text: str) -> tuple[tuple[int, int], ...]:
    """Return the characters under an answer's box, none where the reader does not point."""
    if not answer.pages or answer.box is None:
        return ()
    spans = pages[answer.pages[0]].layout.spans_under(answer.box)
    return _narrowed(spans, text, answer.quote)


def _narrowed(
    spans: tuple[tuple[int, int], ...], text: str, quote: str
) -> tuple[tuple[int, int], ...]:
    """Return where a quote stands under its box, which is wider where the quote takes two lines."""
    words = quote.split()
    if not spans or not words:
        return spans
    pattern = r"\s+".join(map(re.escape, words))
    found = re.compile(pattern).search(text, spans[0][0], spans[-1][1])
    return ((found.start(), found.end()),) if found else spans
