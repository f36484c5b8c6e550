"""From placed lines to finished page layouts: gathering, cropping, fills and labels.

Lines arrive block by block; a page may take lines from several. `PageBuilder.add` returns the
pages that are complete, which is known when a line of the next page arrives.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8

from glyph.atlas import Atlas, codepoints_of
from glyph.config import RenderConfig
from glyph.pages import SUBPIXELS, Box, Fill, Glyphs, Lines, PageLayout
from glyph.paginate import Places

FILL_PARAGRAPH, FILL_BORDER = 254, 253
"""Plane codes of flat colours; 255 is the page itself."""

MIN_PIXELS_OF_GRID = {28: 6_272, 32: 65_536}
"""Smaller images are enlarged, and so blurred: by GLM-4.xV and Qwen2-VL (28), by Qwen3-VL (32)."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """The finished lines of one block, with their glyphs.

    Offsets of lines are offsets into the document's text; `char_G` counts from `start`.
    `glyph_end_L` is one past each line's last glyph, counted from the chunk's first. `look_ahead`
    is how many characters must follow a page before appending text can no longer change it; None
    if only a line break ends that.
    """

    start: int
    look_ahead: int | None
    end_L: Int[np.ndarray, " L"]
    left64_L: Int[np.ndarray, " L"]
    right64_L: Int[np.ndarray, " L"]
    starts_paragraph_L: Bool[np.ndarray, " L"]
    places: Places
    glyph_end_L: Int[np.ndarray, " L"]
    slot_G: Int32[np.ndarray, " G"]
    x64_G: Int32[np.ndarray, " G"]
    dy_G: Int32[np.ndarray, " G"] | None
    char_G: Int[np.ndarray, " G"]
    ink_G: UInt8[np.ndarray, " G"] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A chunk's lines with their pixel rows, and its glyphs; pages take slices of it."""

    start: int
    start_L: Any
    end_L: Any
    left64_L: Any
    right64_L: Any
    top_L: Any
    bottom_L: Any
    frame_top_L: Any
    frame_bottom_L: Any
    starts_paragraph_L: Any
    column_L: Any
    glyph_L: Any
    slot_G: Any
    x64_G: Any
    baseline_G: Any
    char_G: Any
    ink_G: Any


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """The lines of one page that came with one chunk."""

    table: _Table
    lines: slice
    glyphs: slice


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page whose lines are all known."""

    index: int
    start: int
    end: int
    look_ahead: int | None
    pieces: tuple[_Piece, ...]


class PageBuilder:
    """Gathers the lines of pages and turns them into layouts."""

    def __init__(self, config: RenderConfig, atlas: Atlas):
        self._config = config
        self._atlas = atlas
        self._pieces: list[_Piece] = []
        self._page = 0
        self._look_ahead: int | None = None
        self._size_px = config.page_size_px
        self._pitch_px = config.px(config.line_height_pt)
        self._frame_px = config.px(config.border_width_pt + config.border_padding_pt)
        face = atlas.primary
        slack_px = self._pitch_px - (face.ascent64 + face.descent64) / SUBPIXELS
        # Ascender and descender are centred in the line.
        self._baseline_px = slack_px / 2 + face.ascent64 / SUBPIXELS
        self._has_fills = config.border_width_pt > 0 or (
            config.paragraph_color.upper() != config.page_color.upper()
        )

    def add(self, chunk: Chunk) -> Iterator[OpenPage]:
        """Take the lines of a block; yield the pages that are complete."""
        page_L = chunk.places.page_L
        bounds = (np.flatnonzero(page_L[1:] != page_L[:-1]) + 1).tolist()
        table = self._table(chunk)
        first, first_glyph = 0, 0
        for last in [*bounds, len(page_L)]:
            if page_L[first] != self._page:
                yield self.rest()
                self._page = int(page_L[first])
            last_glyph = int(chunk.glyph_end_L[last - 1])
            self._look_ahead = chunk.look_ahead
            self._pieces.append(_Piece(table, slice(first, last), slice(first_glyph, last_glyph)))
            first, first_glyph = last, last_glyph

    def _table(self, chunk: Chunk) -> _Table:
        top_px_L = chunk.places.top_L

        def rows(offset_px: float) -> Any:
            return np.floor(top_px_L + (offset_px + 0.5)).astype(np.int32)

        glyph_L = np.concatenate(([0], chunk.glyph_end_L[:-1]))
        baseline_G = np.repeat(rows(self._baseline_px), chunk.glyph_end_L - glyph_L)
        if chunk.dy_G is not None:
            baseline_G += chunk.dy_G
        return _Table(
            start=chunk.start,
            start_L=np.concatenate(([chunk.start], chunk.end_L[:-1])),
            end_L=chunk.end_L,
            left64_L=chunk.left64_L,
            right64_L=chunk.right64_L,
            top_L=rows(0.0),
            bottom_L=rows(self._pitch_px),
            frame_top_L=rows(-self._frame_px),
            frame_bottom_L=rows(self._pitch_px + self._frame_px),
            starts_paragraph_L=chunk.starts_paragraph_L,
            column_L=chunk.places.column_L,
            glyph_L=glyph_L,
            slot_G=chunk.slot_G,
            x64_G=chunk.x64_G,
            baseline_G=baseline_G,
            char_G=chunk.char_G,
            ink_G=chunk.ink_G,
        )

    def rest(self) -> OpenPage:
        """Return the page under way."""
        pieces, self._pieces = tuple(self._pieces), []
        first, last = pieces[0], pieces[-1]
        start = int(first.table.start_L[first.lines.start])
        end = int(last.table.end_L[last.lines.stop - 1])
        return OpenPage(self._page, start, end, self._look_ahead, pieces)

    def finish(self, page: OpenPage, *, is_closed: bool, is_last: bool) -> PageLayout:
        """Return the layout of a complete page."""
        pieces = page.pieces
        has_ink = any(piece.table.ink_G is not None for piece in pieces)
        glyphs = Glyphs(
            slot_N=_glyphs(pieces, "slot_G"),
            x64_N=_glyphs(pieces, "x64_G"),
            baseline_N=_glyphs(pieces, "baseline_G"),
            char_N=_chars(pieces, page.start),
            ink_N=_inks(pieces) if has_ink else None,
        )
        lines = Lines(
            start_L=_lines(pieces, "start_L"),
            end_L=_lines(pieces, "end_L"),
            left64_L=_lines(pieces, "left64_L"),
            right64_L=_lines(pieces, "right64_L"),
            top_L=_lines(pieces, "top_L"),
            bottom_L=_lines(pieces, "bottom_L"),
            glyph_L=_first_glyphs(pieces),
        )
        fills = self._fills(pieces) if self._has_fills else ()
        slots = self._label_slots(page.index) if self._config.page_label != "none" else None
        width_px, height_px = self._crop(lines, fills, slots, is_last=is_last)
        label = None if slots is None else self._label(slots, width_px, height_px)
        return PageLayout(
            page.index, width_px, height_px, page.start, page.end, is_closed, glyphs, lines,
            fills, label,
        )  # fmt: skip

    # -- crop, fills, label ------------------------------------------------------------------

    def _crop(
        self,
        lines: Lines,
        fills: tuple[Fill, ...],
        label_slots: Int32[np.ndarray, " D"] | None,
        *,
        is_last: bool,
    ) -> tuple[int, int]:
        config = self._config
        width_px, height_px = self._size_px
        if config.crop_width:
            right_px = math.ceil(int(lines.right64_L.max()) / SUBPIXELS)
            right_px = max([right_px, *(fill.box.right_px for fill in fills)])
            label_px = 0
            if label_slots is not None:
                label_px = math.ceil(int(self._atlas.advance64[label_slots].sum()) / SUBPIXELS)
            wanted_px = math.ceil(right_px + config.px(config.margin_x_pt) - 1e-6)
            width_px = min(width_px, _snap_up(max(wanted_px, label_px), config.grid_px))
        if config.crop_last_page and is_last:
            bottom_px = max([int(lines.bottom_L.max()), *(fill.box.bottom_px for fill in fills)])
            bottom_px += self._pitch_px if config.page_label != "none" else 0
            wanted_px = math.ceil(bottom_px + config.px(config.margin_y_pt) - 1e-6)
            height_px = min(height_px, _snap_up(wanted_px, config.grid_px))
        return self._enlarged(width_px, height_px)

    def _enlarged(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Return a size that encoders of the grid do not enlarge, as far as the page allows."""
        grid_px = self._config.grid_px
        if grid_px not in MIN_PIXELS_OF_GRID:
            return width_px, height_px
        least_px = MIN_PIXELS_OF_GRID[grid_px]
        full_width_px, full_height_px = self._size_px
        needed_px = _snap_up(-(-least_px // width_px), grid_px)
        height_px = min(max(height_px, needed_px), full_height_px)
        needed_px = _snap_up(-(-least_px // height_px), grid_px)
        return min(max(width_px, needed_px), full_width_px), height_px

    def _fills(self, pieces: tuple[_Piece, ...]) -> tuple[Fill, ...]:
        """Return background and border of each paragraph on the page, column by column."""
        top_L, bottom_L = _lines(pieces, "frame_top_L"), _lines(pieces, "frame_bottom_L")
        starts_L = _lines(pieces, "starts_paragraph_L")
        column_L = _lines(pieces, "column_L")
        begins_L = starts_L.copy()
        begins_L[0] = True
        begins_L[1:] |= column_L[1:] != column_L[:-1]
        firsts = np.flatnonzero(begins_L)
        lasts = np.append(firsts[1:], len(begins_L)) - 1
        fills: list[Fill] = []
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
            fills += self._frame(int(column_L[first]), int(top_L[first]), int(bottom_L[last]))
        return tuple(fills)

    def _frame(self, column: int, top_px: int, bottom_px: int) -> list[Fill]:
        config = self._config
        border_px = round(config.px(config.border_width_pt))
        if config.border_width_pt > 0:
            border_px = max(border_px, 1)
        step_px = config.column_width_px + config.px(config.column_gap_pt)
        column_px = config.px(config.margin_x_pt) + column * step_px
        left_px = round(column_px + config.px(config.left_indent_pt))
        right_px = round(column_px + config.column_width_px - config.px(config.right_indent_pt))
        outer = Box(left_px, top_px, right_px, bottom_px)
        inner = Box(
            left_px + border_px, top_px + border_px, right_px - border_px, bottom_px - border_px
        )
        ground = Fill(inner, FILL_PARAGRAPH)
        return [Fill(outer, FILL_BORDER), ground] if border_px else [ground]

    def _label_slots(self, index: int) -> Int32[np.ndarray, " D"]:
        return self._atlas.slots_of(codepoints_of(str(index + 1)))

    def _label(self, slots: Int32[np.ndarray, " D"], width_px: int, height_px: int) -> Glyphs:
        advance64 = self._atlas.advance64[slots]
        pen64 = np.cumsum(advance64) - advance64
        left64 = (width_px * SUBPIXELS - int(advance64.sum())) // 2
        margin_px = self._config.px(self._config.margin_y_pt)
        top_px = height_px - margin_px - self._pitch_px
        baseline = math.floor(top_px + self._baseline_px + 0.5)
        zeros = np.zeros(len(slots), np.int32)
        return Glyphs(
            slots, (pen64 + left64).astype(np.int32), zeros + np.int32(baseline), zeros, None
        )


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _lines(pieces: tuple[_Piece, ...], name: str) -> Any:
    return _joined([getattr(piece.table, name)[piece.lines] for piece in pieces])


def _glyphs(pieces: tuple[_Piece, ...], name: str) -> Any:
    return _joined([getattr(piece.table, name)[piece.glyphs] for piece in pieces])


def _chars(pieces: tuple[_Piece, ...], start: int) -> Any:
    """Return each glyph's character, counted from the page's start."""
    return _joined([p.table.char_G[p.glyphs] + np.int32(p.table.start - start) for p in pieces])


def _inks(pieces: tuple[_Piece, ...]) -> Any:
    """Return each glyph's ink; a chunk without inks has ink 0."""
    parts: list[Any] = []
    for piece in pieces:
        ink_G, glyphs = piece.table.ink_G, piece.glyphs
        blank = np.zeros(glyphs.stop - glyphs.start, np.uint8)
        parts.append(blank if ink_G is None else ink_G[glyphs])
    return _joined(parts)


def _first_glyphs(pieces: tuple[_Piece, ...]) -> Any:
    """Return the page's first glyph of each line."""
    parts: list[Any] = []
    count = 0
    for piece in pieces:
        parts.append(piece.table.glyph_L[piece.lines] + (count - piece.glyphs.start))
        count += piece.glyphs.stop - piece.glyphs.start
    return _joined(parts)


def _snap_up(length_px: int, grid_px: int) -> int:
    return -(-length_px // grid_px) * grid_px if grid_px else length_px
