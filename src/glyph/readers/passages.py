"""Transcribed lines joined into one running text, with a way back from characters to boxes.

Pages break lines and sentences wherever they end. Reading on means joining them again: a blank
between words, nothing after a hyphen or between ideographs, and a paragraph break where a line
ends although the next word would still have fitted.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glyph.pages import Box
from glyph.readers.protocol import ReadLine, Transcript

MAX_SENTENCE_CHARS = 600
"""Longer stretches without a full stop (tables, code) are cut here."""

_ABBREVIATED = """mr mrs ms dr st prof rev hon sr jr vs no vol fig eq al e.g i.e etc cf capt col gen
messrs"""
ABBREVIATIONS = frozenset(_ABBREVIATED.split())
IDEOGRAPHS = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_WIDE = re.compile(f"[{IDEOGRAPHS}]")
_SENTENCE_END = re.compile(r"(?:[.!?]+[\"'”’)\]]*(?=\s|[A-Z][a-z])|[。！？]+[”’」』）]*|\n)")


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line of a transcript within the running text.

    Attributes:
        start: Its first character in the running text.
        page: Number of its transcript, from 0.
        line: The line.
    """

    start: int
    page: int
    line: ReadLine


class Passages:
    """Transcripts as one text.

    Attributes:
        text: The running text; line feeds end paragraphs.
        lines: The lines it was joined from.
    """

    def __init__(self, transcripts: Sequence[Transcript], numbers: Sequence[int] | None = None):
        """Join transcripts.

        Args:
            transcripts: One for each page, in order.
            numbers: Page numbers from 0, so that page labels can be told from text; by default
                the transcripts are pages 0, 1, 2...
        """
        pieces: list[str] = []
        self.lines: list[PlacedLine] = []
        length, room_before_px = 0, 0.0
        before: ReadLine | None = None
        for page, transcript in enumerate(transcripts):
            number = page if numbers is None else numbers[page]
            lines = _without_label(transcript.lines, number)
            for line, room_px in zip(lines, _room_right(lines), strict=True):
                if before is not None:
                    pieces.append(_joint(before, line, room_before_px))
                    length += len(pieces[-1])
                self.lines.append(PlacedLine(length, page, line))
                pieces.append(line.text)
                length += len(line.text)
                before, room_before_px = line, room_px
        self.text = "".join(pieces)
        self._starts = [placed.start for placed in self.lines]

    def sentences(self) -> list[tuple[int, int]]:
        """Return start and end of every sentence, in order; no blanks at their edges."""
        found: list[tuple[int, int]] = []
        start = 0
        for match in _SENTENCE_END.finditer(self.text):
            if match.group().startswith(".") and self._is_abbreviation(start, match.start()):
                continue
            self._add(found, start, match.end())
            start = match.end()
        self._add(found, start, len(self.text))
        return found

    def _is_abbreviation(self, start: int, dot: int) -> bool:
        word = self.text[max(start, dot - 8) : dot].split()[-1:] or [""]
        bare = word[0].lstrip("\"'“‘([").lower()
        return bare in ABBREVIATIONS or (len(bare) == 1 and bare.isalpha() and bare != "i")

    def _add(self, found: list[tuple[int, int]], start: int, end: int) -> None:
        while end - start > MAX_SENTENCE_CHARS:
            cut = self.text.rfind(" ", start + MAX_SENTENCE_CHARS // 2, start + MAX_SENTENCE_CHARS)
            cut = cut if cut > 0 else start + MAX_SENTENCE_CHARS
            self._add(found, start, cut)
            start = cut
        piece = self.text[start:end]
        start += len(piece) - len(piece.lstrip())
        end -= len(piece) - len(piece.rstrip())
        if end > start:
            found.append((start, end))

    def lines_of(self, start: int, end: int) -> list[PlacedLine]:
        """Return the lines that hold characters [start, end)."""
        first = max(bisect_right(self._starts, start) - 1, 0)
        last = bisect_right(self._starts, end - 1)
        return self.lines[first:last]

    def place_of(self, start: int, end: int) -> tuple[tuple[int, ...], Box | None]:
        """Return the pages that hold characters [start, end), and their box on the first."""
        lines = self.lines_of(start, end)
        pages = tuple(dict.fromkeys(placed.page for placed in lines))
        boxes = [
            box
            for placed in lines
            if placed.page == pages[0]
            and (box := placed.line.box_of(start - placed.start, end - placed.start))
        ]
        if not boxes:
            return pages, None
        union = Box(
            min(box.left_px for box in boxes),
            min(box.top_px for box in boxes),
            max(box.right_px for box in boxes),
            max(box.bottom_px for box in boxes),
        )
        return pages, union

    def confidence_of(self, start: int, end: int) -> float:
        """Return how sure the reading of characters [start, end) is, 0 to 1; 1 if unsaid."""
        said = [placed.line.confidence for placed in self.lines_of(start, end)]
        return min((sure for sure in said if sure is not None), default=1.0)


def is_wide(char: str) -> bool:
    """Whether a character is an ideograph, kana or full-width sign, set without blanks."""
    return _WIDE.match(char) is not None


def _room_right(lines: Sequence[ReadLine]) -> list[float]:
    """Return how many pixels each line leaves free at its right, in its column."""
    boxes = [line.box for line in lines]
    if not boxes or any(box is None for box in boxes):
        return [0.0] * len(lines)
    left_L = np.array([box.left_px for box in boxes if box])
    right_L = np.array([box.right_px for box in boxes if box])
    overlaps_LL = (left_L[:, None] < right_L) & (left_L < right_L[:, None])
    edge_L = np.where(overlaps_LL, right_L, 0).max(axis=1)
    return (edge_L - right_L).astype(float).tolist()


def _without_label(lines: Sequence[ReadLine], number: int) -> list[ReadLine]:
    """Return the lines that have text, without the page's own number at its foot."""
    kept = [line for line in lines if line.text]
    if len(kept) > 1 and kept[-1].text == str(number + 1):
        kept.pop()
    return kept


def _joint(before: ReadLine, after: ReadLine, room_px: float) -> str:
    """Return what stands between two lines in the running text."""
    if _leaves_room(before, after, room_px):
        return "\n"
    is_hyphen = before.text[-1] in "-–—" and before.text[-2:-1] not in ("", " ")
    if is_hyphen or (is_wide(before.text[-1]) and is_wide(after.text[0])):
        return ""
    return " "


def _leaves_room(before: ReadLine, after: ReadLine, room_px: float) -> bool:
    if before.box is None:
        return False
    char_px = (before.box.right_px - before.box.left_px) / len(before.text)
    if is_wide(after.text[0]):
        return room_px > 3 * char_px
    word = re.split(r"(?<=-)|\s", after.text, maxsplit=1)[0]
    return room_px > (len(word) + 2) * char_px * 1.15
