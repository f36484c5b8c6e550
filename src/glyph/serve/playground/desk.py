"""Desk: the documents and views that the playground has open, bounded and under unguessable names.

A view is a document laid out by one config: positions of every page, and no pixel. Pages are drawn
when a browser asks for them, so that a megabyte of text is on the desk in a fraction of a second.
"""

import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np

from glyph.config import RenderConfig
from glyph.documents import Document
from glyph.encode import encode_png
from glyph.errors import DocumentError
from glyph.pages import Page, PageLayout
from glyph.render import PageStream, render_pages

MAX_CHARS = 5_000_000
MAX_OPEN_CHARS = 24_000_000
MAX_OPEN_VIEWS = 64
MAX_CACHE_BYTES = 64 << 20
MAX_FOUND = 1_000
# A word, cut where it is very long; scripts without blanks are pointed at sign by sign.
_SIGNS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORDS = re.compile(rf"[{_SIGNS}]|[^\s{_SIGNS}]{{1,60}}")

T = TypeVar("T")


class Shelf(Generic[T]):
    """Values under names, of which the least used go when they weigh too much.

    Args:
        limit: Most weight of all values.
        count: Most values.
    """

    def __init__(self, limit: int, count: int):
        self._limit, self._count, self._weight = limit, count, 0
        self._held: OrderedDict[Any, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any) -> T | None:
        """Return a value, None when it is not or no longer there."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: Any, value: T, weight: int) -> None:
        """Keep a value; the newest stays even when it alone weighs too much."""
        with self._lock:
            _, old = self._held.pop(key, (None, 0))
            self._held[key] = (value, weight)
            self._weight += weight - old
            while len(self._held) > 1 and (
                self._weight > self._limit or len(self._held) > self._count
            ):
                self._weight -= self._held.popitem(last=False)[1][1]

    @property
    def weight(self) -> int:
        """Weight of all values."""
        return self._weight


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of text on one page.

    Attributes:
        page: Number of the page, from 0.
        start: First character on the page, in UTF-16 units as browsers count.
        end: One past the last.
    """

    page: int
    start: int
    end: int


class View:
    """A document laid out by one config.

    Attributes:
        name: What nobody guesses.
        document: What is shown.
        config: How.
        layouts: The pages as positions.
    """

    def __init__(self, document: Document, config: RenderConfig):
        self.name = secrets.token_urlsafe(18)
        self.document, self.config = document, config
        self._stream: PageStream = render_pages(document, config)
        self.layouts: tuple[PageLayout, ...] = tuple(self._stream.layouts())
        self.missing = self._stream.missing

    def page(self, number: int) -> Page:
        """Draw a page; numbers count from 0."""
        return self._stream.draw(self.layouts[number])

    def pages(self) -> Iterator[Page]:
        """Draw all pages, one at a time."""
        return map(self._stream.draw, self.layouts)

    @cached_property
    def sizes_px(self) -> list[tuple[int, int]]:
        """Width and height of every page."""
        return [(layout.width_px, layout.height_px) for layout in self.layouts]

    @cached_property
    def _starts(self) -> list[int]:
        return [layout.start for layout in self.layouts]

    def text_of(self, number: int) -> str:
        """Return the text of a page."""
        return self.document.text[self.layouts[number].start : self.layouts[number].end]

    def places_of(self, start: int, end: int) -> list[Place]:
        """Return where characters [start, end) of the text stand, page by page."""
        first = max(int(np.searchsorted(self._starts, start, "right")) - 1, 0)
        found: list[Place] = []
        for number in range(first, len(self.layouts)):
            layout = self.layouts[number]
            if layout.start >= end:
                break
            units = units_before(self.text_of(number))
            begin, stop = max(start, layout.start), min(end, layout.end)
            if begin < stop:
                place = units[[begin - layout.start, stop - layout.start]].tolist()
                found.append(Place(number, *place))
        return found

    def find(self, words: str) -> list[Place]:
        """Return where words stand, blanks and letter case aside."""
        parts = [re.escape(part) for part in words.split()]
        if not parts:
            return []
        found: list[Place] = []
        for match in re.finditer(r"\s+".join(parts), self.document.text, re.IGNORECASE):
            found += self.places_of(*match.span())
            if len(found) >= MAX_FOUND:
                break
        return found

    def words_of(self, number: int) -> list[int]:
        """Return the words of a page, flat: start, end, left, top, right, bottom of each.

        A word broken over two lines comes twice. Offsets count UTF-16 units on the page.
        """
        layout, text = self.layouts[number], self.text_of(number)
        units = units_before(text)
        flat: list[int] = []
        for match in _WORDS.finditer(text):
            start, end = match.span()
            for box in layout.boxes(layout.start + start, layout.start + end):
                if box.left_px < box.right_px:
                    flat += [int(units[start]), int(units[end])]
                    flat += [box.left_px, box.top_px, box.right_px, box.bottom_px]
        return flat


def units_before(text: str) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return how many UTF-16 units stand before each character of a text, and before its end.

    Example:
        >>> units_before("a😀b").tolist()
        [0, 1, 3, 4]
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.append(0, np.cumsum(1 + (codes > 0xFFFF)))


class Desk:
    """Everything the playground has open."""

    def __init__(self) -> None:
        self._documents: Shelf[Document] = Shelf(MAX_OPEN_CHARS, MAX_OPEN_VIEWS)
        self._views: Shelf[View] = Shelf(MAX_OPEN_CHARS, MAX_OPEN_VIEWS)
        self._pngs: Shelf[bytes] = Shelf(MAX_CACHE_BYTES, 1 << 16)

    def take(self, document: Document) -> str:
        """Put a document on the desk and return its name.

        Raises:
            DocumentError: It is longer than the playground takes.
        """
        if len(document.text) > MAX_CHARS:
            raise DocumentError(
                f"{document.name} has {len(document.text):,} characters; the playground takes "
                f"{MAX_CHARS:,}. 'glyph render' takes any length."
            )
        name = secrets.token_urlsafe(18)
        self._documents.put(name, document, len(document.text))
        return name

    def document(self, name: str) -> Document | None:
        """Return a document, None when it was put away."""
        return self._documents.get(name)

    def lay_out(self, document: Document, config: RenderConfig) -> View:
        """Return a new view of a document."""
        view = View(document, config)
        self._views.put(view.name, view, len(document.text))
        return view

    def view(self, name: str) -> View | None:
        """Return a view, None when it was put away."""
        return self._views.get(name)

    def png(self, view: View, number: int) -> bytes:
        """Return a page as PNG, from the cache where it is there."""
        found = self._pngs.get((view.name, number))
        if found is None:
            found = encode_png(view.page(number), bits=8)
            self._pngs.put((view.name, number), found, len(found))
        return found
