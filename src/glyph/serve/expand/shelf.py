"""The shelf: documents whose pages can be read and searched as text. Pure."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from glyph.documents import document_from_text
from glyph.errors import DocumentError

MAX_HITS = 10
MAX_QUERY_CHARS = 200
AROUND_CHARS = 120
"""How much of a page is shown on each side of what was found."""


@dataclass(frozen=True)
class Volume:
    """A document with its pages.

    Attributes:
        name: Under which a model asks for it.
        what: What it is, in words.
        text: What stands on its pages.
        starts: First character of each page; the first is 0.
    """

    name: str
    what: str
    text: str
    starts: tuple[int, ...]

    @property
    def num_pages(self) -> int:
        """Number of pages."""
        return len(self.starts)

    def page(self, number: int) -> str:
        """Return the text of a page, counted from 1."""
        ends = (*self.starts[1:], len(self.text))
        return self.text[self.starts[number - 1] : ends[number - 1]]

    def page_at(self, at: int) -> int:
        """Return the page of a character, counted from 1."""
        return max(bisect_right(self.starts, at), 1)

    @cached_property
    def pages(self) -> tuple[str, ...]:
        """The text of every page."""
        return tuple(self.page(number) for number in range(1, self.num_pages + 1))


def volume_of(name: str, what: str, text: str, starts: Iterable[int]) -> Volume:
    """Return a text that was sent as pages as a volume.

    The text is taken in as it was for its pages, so the pages' spans fit it, and what a model reads
    is what was drawn.

    Args:
        name: Its name.
        what: What it is.
        text: As the client sent it.
        starts: First character of each page in the rendered text.
    """
    rendered = document_from_text(text, kind="prose", unwrap=False).text
    return Volume(name, what, rendered, (0, *list(starts)[1:]))


@dataclass(frozen=True, slots=True)
class Shelf:
    """All documents of one request, or of one server.

    Example:
        >>> shelf = Shelf((Volume("notes", "the notes", "Rain at one.\\nSun at two.", (0, 13)),))
        >>> print(shelf.read_page(2))
        Page 2 of 2 of the notes, document notes, as text:
        Sun at two.
        >>> print(shelf.search_pages("rain"))
        1 place with "rain":
        document notes, page 1: Rain at one. Sun at two.
    """

    volumes: tuple[Volume, ...]

    def read_page(self, page: int, document: str = "") -> str:
        """Return the exact text of one page.

        Args:
            page: Counted from 1.
            document: Its name; may be left out when there is one only.

        Raises:
            DocumentError: There is no such page or document.
        """
        volume = self._volume(document)
        if not 1 <= page <= volume.num_pages:
            raise DocumentError(
                f"there is no page {page} of document {volume.name}; 1 to {volume.num_pages} are "
                "accepted."
            )
        head = f"Page {page} of {volume.num_pages} of {volume.what}, document {volume.name}"
        return f"{head}, as text:\n{volume.page(page)}"

    def search_pages(self, query: str, document: str = "") -> str:
        """Return the places where words stand together, or else the pages with most of them.

        Upper and lower case are the same, and so is all white space.

        Args:
            query: Words.
            document: Only in this one; "" for all.

        Raises:
            DocumentError: The query is empty or too long, or there is no such document.
        """
        words = query.split()
        if not words or len(query) > MAX_QUERY_CHARS:
            raise DocumentError(f"give a query of 1 to {MAX_QUERY_CHARS} characters.")
        volumes = [self._volume(document)] if document else list(self.volumes)
        phrase = re.compile(r"\s+".join(map(re.escape, words)), re.IGNORECASE)
        hits, num_hits = _phrase_hits(volumes, phrase)
        asked = " ".join(words)
        if hits:
            places = "1 place" if num_hits == 1 else f"{num_hits} places"
            shown = "" if num_hits == len(hits) else f", the first {len(hits)}"
            return "\n".join([f'{places} with "{asked}"{shown}:', *hits])
        pages = _word_hits(volumes, words)
        if not pages:
            return f'Nothing like "{asked}" on these pages.'
        return "\n".join(
            [f'"{asked}" stands nowhere as such; pages with most of its words:', *pages]
        )

    def _volume(self, name: str) -> Volume:
        if not name and len(self.volumes) == 1:
            return self.volumes[0]
        for volume in self.volumes:
            if volume.name == name:
                return volume
        known = ", ".join(f"{v.name} ({v.what}, {v.num_pages} pages)" for v in self.volumes)
        given = f"no document '{name[:80]}'" if name else "the document is not named"
        raise DocumentError(f"{given}; give one of: {known}.")


def _phrase_hits(volumes: Sequence[Volume], phrase: re.Pattern[str]) -> tuple[list[str], int]:
    """Return the first places of a phrase, and how many there are."""
    shown: list[str] = []
    num_hits = 0
    for volume in volumes:
        for match in phrase.finditer(volume.text):
            num_hits += 1
            if len(shown) < MAX_HITS:
                page = volume.page_at(match.start())
                around = _around(volume.text, *match.span())
                shown.append(f"document {volume.name}, page {page}: {around}")
    return shown, num_hits


def _word_hits(volumes: Sequence[Volume], words: Sequence[str]) -> list[str]:
    """Return the pages with most of the words, each with the place of the longest of them."""
    unique = sorted({word.casefold() for word in words}, key=len, reverse=True)
    patterns = [re.compile(re.escape(word), re.IGNORECASE) for word in unique]
    ranked: list[tuple[int, int, int, str]] = []
    for i, volume in enumerate(volumes):
        for number, text in enumerate(volume.pages, 1):
            found = [match for pattern in patterns if (match := pattern.search(text))]
            if found:
                around = _around(text, *found[0].span())
                line = f"document {volume.name}, page {number}: {around}"
                ranked.append((-len(found), i, number, line))
    return [line for *_, line in sorted(ranked)[: MAX_HITS // 2]]


def _around(text: str, start: int, end: int) -> str:
    left, right = max(start - AROUND_CHARS, 0), min(end + AROUND_CHARS, len(text))
    before = "..." if left else ""
    after = "..." if right < len(text) else ""
    return f"{before}{' '.join(text[left:right].split())}{after}"
