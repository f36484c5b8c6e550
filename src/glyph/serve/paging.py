"""Paging: a text and a spec in, pages ready to travel out. Pure, and run in worker processes."""

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache

from glyph.api import make_config, preset_of
from glyph.config import RenderConfig
from glyph.documents import document_from_text
from glyph.encode import encode_png
from glyph.errors import DocumentError
from glyph.render import render_pages
from glyph.serve.rules import digest_of
from glyph.sidecar import build_sidecar
from glyph.text_tokens import count_text_tokens
from glyph.tokens import image_cost, resolve_model

PAGING_VERSION = 2
"""Part of every key; raised whenever the same text and spec may give other pages or strings."""

NEWLINE_MARKER = "¶"


@dataclass(frozen=True)
class PageSpec:
    """How a text becomes pages for a model.

    Attributes:
        config: How the pages look.
        model: Whose visual tokens to count.
        sidecar_share: Tokens for exact strings, as a share of the tokens saved.
    """

    config: RenderConfig
    model: str
    sidecar_share: float

    @cached_property
    def _head(self) -> bytes:
        return (
            f"{PAGING_VERSION} {self.config.digest} {self.model} {self.sidecar_share!r}\n".encode()
        )

    def key(self, text: str, digest: bytes = b"") -> str:
        """Return 64 hex digits that name the pages of a text; they do not tell the text.

        Args:
            text: The text.
            digest: Its `digest_of`, where that is known already.
        """
        return hashlib.sha256(self._head + (digest or digest_of(text))).hexdigest()


@dataclass(frozen=True, slots=True)
class TravelPage:
    """A page as it travels.

    Attributes:
        base64_png: The PNG file in base64.
        width_px: Width.
        height_px: Height.
        num_bytes: Size of the file before base64.
        start: First character of the rendered text on it.
        end: One past the last.
        is_closed: Text that is added at the end can no longer change it.
    """

    base64_png: bytes
    width_px: int
    height_px: int
    num_bytes: int
    start: int
    end: int
    is_closed: bool


@dataclass(frozen=True, slots=True)
class PagedText:
    """A text as pages, with everything a decision about it needs.

    Attributes:
        key: `PageSpec.key` of the text.
        pages: In order.
        text_tokens: Tokens of the text as text.
        visual_tokens: Tokens of the pages, markers included.
        resampled: The model scales a page, so that its letters blur.
        sidecar: Exact strings by page; "" for none.
        sidecar_tokens: Text tokens of the sidecar.
        num_left_out: Exact strings that did not fit the sidecar's budget.
        num_missing: Characters that no font has, drawn as boxes.
    """

    key: str
    pages: tuple[TravelPage, ...]
    text_tokens: int
    visual_tokens: int
    resampled: bool
    sidecar: str
    sidecar_tokens: int
    num_left_out: int
    num_missing: int

    @property
    def num_bytes(self) -> int:
        """Size of all page files before base64."""
        return sum(page.num_bytes for page in self.pages)

    def to_bytes(self) -> bytes:
        """Return the value as a file: one line of JSON, then the pages behind each other."""
        head = asdict(self)
        for page in head["pages"]:
            page["base64_png"] = len(page["base64_png"])
        body = b"".join(page.base64_png for page in self.pages)
        head["sha256"] = hashlib.sha256(body).hexdigest()
        return json.dumps(head).encode() + b"\n" + body

    @classmethod
    def from_bytes(cls, data: bytes) -> "PagedText":
        """Read a file back.

        Raises:
            ValueError: It is not what was written.
        """
        line, _, body = data.partition(b"\n")
        try:
            head = json.loads(line)
            if head.pop("sha256") != hashlib.sha256(body).hexdigest():
                raise ValueError("the pages' checksum is wrong")
            pages: list[TravelPage] = []
            at = 0
            for page in head.pop("pages"):
                size = page.pop("base64_png")
                pages.append(TravelPage(base64_png=body[at : at + size], **page))
                at += size
            return cls(pages=tuple(pages), **head)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not a file of pages") from error


@lru_cache(maxsize=64)
def config_for(model: str, preset: str | None = None) -> RenderConfig:
    """Return how pages look for a model when nothing else is said.

    Line breaks are shown as marks and the text flows on past them, since blank lines and short
    lines would cost as much as full ones.
    """
    if preset is not None:
        return make_config(preset, model=model)
    return make_config(preset_of(model), newline_marker=NEWLINE_MARKER)


def page_text(text: str, spec: PageSpec) -> PagedText:
    """Return the pages of a text with their cost and their exact strings.

    The text is never unwrapped: whether it is would depend on its end, and pages that are closed
    must not change when text is added.

    Raises:
        DocumentError: The text holds nothing to show.
    """
    document = document_from_text(text, kind="prose", unwrap=False)
    stream = render_pages(document, spec.config)
    model = resolve_model(spec.model)
    pages: list[TravelPage] = []
    visual_tokens, resampled = 0, False
    for page in stream:
        png = encode_png(page)
        cost = image_cost(page.width_px, page.height_px, model)
        visual_tokens += cost.visual_tokens + cost.overhead_tokens
        resampled = resampled or cost.resampled
        pages.append(
            TravelPage(
                base64_png=base64.b64encode(png),
                width_px=page.width_px,
                height_px=page.height_px,
                num_bytes=len(png),
                start=page.start,
                end=page.end,
                is_closed=page.layout.is_closed,
            )
        )
    if not pages:
        raise DocumentError("the text fills no page; send it as text.")

    def count(part: str) -> int:
        return count_text_tokens(part, model.tokenizer)

    text_tokens = count(text)
    budget = max(int((text_tokens - visual_tokens) * spec.sidecar_share), 0)
    spans = [(page.start, page.end) for page in pages]
    sidecar = build_sidecar(document.text, spans, budget, count) if budget else None
    return PagedText(
        key=spec.key(text),
        pages=tuple(pages),
        text_tokens=text_tokens,
        visual_tokens=visual_tokens,
        resampled=resampled,
        sidecar=sidecar.render() if sidecar else "",
        sidecar_tokens=sidecar.num_tokens if sidecar else 0,
        num_left_out=sidecar.num_left_out if sidecar else 0,
        num_missing=stream.missing.total(),
    )
