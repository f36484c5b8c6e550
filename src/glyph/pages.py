"""The frozen values that travel between layout, raster, encode and the readers.

A `PageLayout` is a page as positions: which glyph stands where, and which character of the text
it came from. A `Page` is the same page as pixels; it keeps its layout, so one can point at a pixel
and get the character, or at a character and get page and box.

Shape key: N glyphs of a page, L lines of a page, H W page pixels, C palette entries.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int, UInt8

PALETTE_SIZE = 256
SUBPIXELS = 64
"""Horizontal positions are integers of 1/64 px, so that every machine places glyphs alike."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page in pixels: left, top, right, bottom; right and bottom are outside."""

    left_px: int
    top_px: int
    right_px: int
    bottom_px: int


@dataclass(frozen=True, slots=True)
class Fill:
    """A rectangle of one flat colour: paragraph background or border."""

    box: Box
    code: int


@dataclass(frozen=True, slots=True, eq=False)
class Glyphs:
    """The glyphs of one page in the order they are drawn; lines follow each other.

    Attributes:
        slot_N: Atlas slot of each glyph; blanks have slots too.
        x64_N: Pen position in 1/64 px from the left of the page.
        baseline_N: Baseline row in pixels from the top.
        char_N: Character the glyph came from, counted from the page's `start`.
        ink_N: Ink number of each glyph, or None when all have ink 0.
    """

    slot_N: Int[np.ndarray, " N"]
    x64_N: Int[np.ndarray, " N"]
    baseline_N: Int[np.ndarray, " N"]
    char_N: Int[np.ndarray, " N"]
    ink_N: UInt8[np.ndarray, " N"] | None


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The lines of one page, in reading order.

    Attributes:
        start_L: First character of each line, as an offset into the document's text.
        end_L: One past its last character, white space and line break at the end included;
            so `end_L[i] == start_L[i + 1]` on a page.
        left64_L: Left edge of the line's ink, in 1/64 px.
        right64_L: Right edge, white space at the end not included.
        top_L: Top row in pixels.
        bottom_L: One past the bottom row.
        glyph_L: Index of the line's first glyph in `Glyphs`.
    """

    start_L: Int[np.ndarray, " L"]
    end_L: Int[np.ndarray, " L"]
    left64_L: Int[np.ndarray, " L"]
    right64_L: Int[np.ndarray, " L"]
    top_L: Int[np.ndarray, " L"]
    bottom_L: Int[np.ndarray, " L"]
    glyph_L: Int[np.ndarray, " L"]


@dataclass(frozen=True, slots=True, eq=False)
class PageLayout:
    """One page as positions.

    Attributes:
        index: Page number, from 0.
        width_px: Width after cropping.
        height_px: Height after cropping.
        start: First character of the document's text on this page.
        end: One past the last; pages tile the text, so it is the next page's start.
        is_closed: Appending text to the document can no longer change this page.
        glyphs: What to draw.
        lines: Where the lines are.
        fills: Flat rectangles below the glyphs.
        label: Glyphs of the page label, which come from no character; None without one.
    """

    index: int
    width_px: int
    height_px: int
    start: int
    end: int
    is_closed: bool
    glyphs: Glyphs
    lines: Lines
    fills: tuple[Fill, ...] = ()
    label: Glyphs | None = None

    def boxes(self, start: int, end: int) -> list[Box]:
        """Return the boxes that cover characters [start, end) of the text, one a line touched.

        Args:
            start: First character, as an offset into the document's text.
            end: One past the last character.

        Returns:
            Boxes in reading order; empty when the span is not on this page.
        """
        found: list[Box] = []
        lines = self.lines
        first = int(np.searchsorted(lines.end_L, start, side="right"))
        for line in range(first, len(lines.start_L)):
            if lines.start_L[line] >= end:
                break
            found.append(self._box_in_line(line, start, end))
        return found

    def _box_in_line(self, line: int, start: int, end: int) -> Box:
        lines, glyphs = self.lines, self.glyphs
        first = int(lines.glyph_L[line])
        is_last = line + 1 == len(lines.glyph_L)
        last = len(glyphs.slot_N) if is_last else int(lines.glyph_L[line + 1])
        left64, right64 = int(lines.left64_L[line]), int(lines.right64_L[line])
        if start > lines.start_L[line] or end < lines.end_L[line]:
            char = glyphs.char_N[first:last] + self.start
            # A character inside a cluster has no glyph of its own; the cluster's box is its box.
            inside = char[char <= start].max(initial=int(lines.start_L[line]))
            hit = np.flatnonzero((char >= inside) & (char < end))
            if len(hit):
                x64 = np.append(glyphs.x64_N[first:last], max(right64, left64))
                # A mark may begin left of its letter, and even of its line.
                left64 = max(int(x64[hit].min()), left64)
                right64 = int(np.maximum(x64[hit + 1], x64[hit]).max())
        top, bottom = int(lines.top_L[line]), int(lines.bottom_L[line])
        return Box(left64 // SUBPIXELS, top, max(-(-right64 // SUBPIXELS), 0), bottom)

    def spans_under(self, box: Box) -> tuple[tuple[int, int], ...]:
        """Return the spans of text under a box, one a line whose middle it holds.

        A character is under the box when its centre is. It undoes `boxes`, and is how a quote read
        from pixels is led back to the text it came from.
        """
        lines, glyphs = self.lines, self.glyphs
        ends = np.append(lines.glyph_L[1:], len(glyphs.slot_N))
        spans: list[tuple[int, int]] = []
        for i, (first, last) in enumerate(zip(lines.glyph_L, ends, strict=True)):
            middle_px = (int(lines.top_L[i]) + int(lines.bottom_L[i])) / 2
            if not box.top_px <= middle_px < box.bottom_px:
                continue
            right64 = int(lines.right64_L[i])
            edge64 = np.append(glyphs.x64_N[first:last], right64)
            # Blanks and the break at a line's end have no room on it: they are under no box.
            has_room = (edge64[:-1] < edge64[1:]) & (edge64[:-1] < right64)
            centre64 = np.where(has_room, (edge64[:-1] + edge64[1:]) / 2, np.inf)
            left64_box, right64_box = box.left_px * SUBPIXELS, box.right_px * SUBPIXELS
            char = glyphs.char_N[first:last] + self.start
            inside = char[(left64_box <= centre64) & (centre64 < right64_box)]
            if len(inside):
                # Several characters may share a glyph, which stands for the first of them.
                later = char[char > inside.max()]
                end = later.min() if len(later) else lines.end_L[i]
                spans.append((int(inside.min()), int(end)))
        return tuple(spans)

    def char_at(self, x_px: float, y_px: float) -> int | None:
        """Return the character of the text under a pixel, or None where there is no line."""
        lines = self.lines
        x64 = x_px * SUBPIXELS
        rows = np.flatnonzero(
            (lines.top_L <= y_px)
            & (y_px < lines.bottom_L)
            & (lines.left64_L <= x64)
            & (x64 < lines.right64_L)
        )
        if not len(rows):
            return None
        line = int(rows[0])
        first = int(lines.glyph_L[line])
        is_last = line + 1 == len(lines.glyph_L)
        last = len(self.glyphs.slot_N) if is_last else int(lines.glyph_L[line + 1])
        before = np.flatnonzero(self.glyphs.x64_N[first:last] <= x64)
        if not len(before):
            return int(lines.start_L[line])
        return self.start + int(self.glyphs.char_N[first + before[-1]])


@dataclass(frozen=True, eq=False)
class Page:
    """One page as pixels.

    A pixel of the plane is an index into the palette. On a page of one ink the plane is 255 minus
    coverage, so with black on white it *is* the grey image. On a page of several inks the byte
    holds 16 levels of coverage of 16 inks (see `glyph.raster`).

    Attributes:
        plane_HW: Palette index of each pixel.
        palette_C3: Red, green and blue of each index.
        layout: Where everything on the page came from.
    """

    plane_HW: UInt8[np.ndarray, "H W"]
    palette_C3: UInt8[np.ndarray, "C 3"]
    layout: PageLayout

    @property
    def index(self) -> int:
        """Page number, from 0."""
        return self.layout.index

    @property
    def width_px(self) -> int:
        """Page width in pixels."""
        return self.plane_HW.shape[1]

    @property
    def height_px(self) -> int:
        """Page height in pixels."""
        return self.plane_HW.shape[0]

    @property
    def start(self) -> int:
        """First character of the document's text on this page."""
        return self.layout.start

    @property
    def end(self) -> int:
        """One past the last character on this page."""
        return self.layout.end

    @cached_property
    def is_gray(self) -> bool:
        """Whether every colour of the palette is a grey."""
        red_C, green_C, blue_C = self.palette_C3.T
        return bool((red_C == green_C).all() and (green_C == blue_C).all())

    def gray(self) -> UInt8[np.ndarray, "H W"]:
        """Return the page as 8-bit grey (Rec. 601 luma where the palette has colours)."""
        weights = np.array([299, 587, 114])
        luma_C = ((self.palette_C3.astype(np.int64) @ weights + 500) // 1000).astype(np.uint8)
        if (luma_C == np.arange(PALETTE_SIZE)).all():
            return self.plane_HW
        return luma_C[self.plane_HW]

    def rgb(self) -> UInt8[np.ndarray, "H W 3"]:
        """Return the page as 8-bit red, green and blue."""
        return self.palette_C3[self.plane_HW]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of size, palette and pixels: equal pages have equal digests on every machine."""
        sha = hashlib.sha256(f"{self.width_px}x{self.height_px}".encode())
        sha.update(np.ascontiguousarray(self.palette_C3).tobytes())
        sha.update(np.ascontiguousarray(self.plane_HW).data)
        return sha.hexdigest()


def page_of_pixels(plane_HW: UInt8[np.ndarray, "H W"]) -> Page:
    """Return a grey image as a page of whose text nothing is known.

    Args:
        plane_HW: Grey pixels.

    Example:
        >>> page_of_pixels(np.zeros((28, 56), np.uint8)).width_px
        56
    """
    height_px, width_px = plane_HW.shape
    layout = layout_of_pixels(0, width_px, height_px)
    levels = np.arange(PALETTE_SIZE, dtype=np.uint8)
    return Page(plane_HW, np.repeat(levels[:, None], 3, axis=1), layout)


def layout_of_pixels(index: int, width_px: int, height_px: int) -> PageLayout:
    """Return the layout of a page of whose text nothing is known: no characters, no lines."""
    none = np.zeros(0, np.int32)
    return PageLayout(
        index=index,
        width_px=width_px,
        height_px=height_px,
        start=0,
        end=0,
        is_closed=True,
        glyphs=Glyphs(none, none, none, none, None),
        lines=Lines(none, none, none, none, none, none, none),
    )
