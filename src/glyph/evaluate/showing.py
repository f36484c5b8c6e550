"""From an example to what is shown of it: pages of its context, or of its PDF."""

import hashlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from glyph.config import RenderConfig
from glyph.documents import document_from_text
from glyph.evaluate.answering import Shown
from glyph.evaluate.task import Example
from glyph.pages import Page
from glyph.render import render_pages
from glyph.text_tokens import count_text_tokens
from glyph.tokens import document_cost, resolve_model


@dataclass(frozen=True)
class Showing:
    """Renders contexts and counts their tokens.

    Attributes:
        config: How pages look.
        model: Whose visual tokens are counted.
        tokenizer: Whose text tokens are counted.
    """

    config: RenderConfig
    model: str
    tokenizer: str
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _pdfs: dict[Path, tuple[Page, ...]] = field(
        default_factory=dict[Path, tuple[Page, ...]], repr=False, compare=False
    )

    def count(self, text: str) -> int:
        """Return the text tokens of a text."""
        return count_text_tokens(text, self.tokenizer)

    def pages_of(self, example: Example) -> Shown:
        """Return all pages of an example, in order."""
        began = time.perf_counter()
        # The atlas of glyphs grows while pages are made, so one thread makes them at a time.
        with self._lock:
            if example.pdf is not None:
                document, pages = None, self._pdf(example.pdf)
            else:
                document = document_from_text(example.context, kind="prose", unwrap=False)
                pages = tuple(render_pages(document, self.config))
        seconds = time.perf_counter() - began
        tokens = self.count(example.context)
        sizes = [(page.width_px, page.height_px) for page in pages]
        cost = document_cost(sizes, tokens, resolve_model(self.model), self.tokenizer, None)
        visual = cost.visual_tokens
        return Shown(pages, None, document, tokens, visual, visual, seconds)

    def _pdf(self, path: Path) -> tuple[Page, ...]:
        from glyph.evaluate.pdf import pdf_pages

        if path not in self._pdfs:
            self._pdfs.clear()  # questions about one document follow each other
            self._pdfs[path] = pdf_pages(path, resolve_model(self.model))
        return self._pdfs[path]


def digest_of(shown: Shown) -> str:
    """Return the SHA-256 of what is shown, pages by their own digests."""
    sha = hashlib.sha256()
    if shown.text is not None:
        sha.update(shown.text.encode("utf-8", "surrogatepass"))
    for page in shown.pages:
        sha.update(page.digest.encode())
    return sha.hexdigest()
