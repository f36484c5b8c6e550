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


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """The finished lines of one block, with their glyphs.

    Offsets of characters are offsets into the document's text. `glyph_end_L` is one past each
    line's last glyph, counted from the chunk's first. `look_ahead` is how many characters must
    follow a page before appending text can no longer change it; None if only a line break can.
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
class _Piece:
    """The lines of one page that came with one chunk, as slices of the chunk's arrays."""

    start_L: Any
    end_L: Any
    left64_L: Any
    right64_L: Any
    top_L: Any
    bottom_L: Any
    frame_top_L: Any
    frame_bottom_L: Any
    baseline_L: Any
    num_glyphs_L: Any
    starts_paragraph_L: Any
    column_L: Any
    slot_G: Any
    x64_G: Any
    dy_G: Any
    char_G: Any
    ink_G: Any


LINE_FIELDS = [name for name in _Piece.__slots__ if name.endswith("_L")]
GLYPH_FIELDS = [name for name in _Piece.__slots__ if name.endswith("_G")]


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
        whole = self._with_rows(chunk)
        glyph_end_L = chunk.glyph_end_L
        first, first_glyph = 0, 0
        for last in [*bounds, len(page_L)]:
            if page_L[first] != self._page:
                yield self.rest()
                self._page = int(page_L[first])
            last_glyph = int(glyph_end_L[last - 1])
            self._look_ahead = chunk.look_ahead
            self._pieces.append(_cut(whole, slice(first, last), slice(first_glyph, last_glyph)))
            first, first_glyph = last, last_glyph

    def _with_rows(self, chunk: Chunk) -> _Piece:
        """Return the chunk as one piece, with the pixel rows of its lines."""
        top_px_L = chunk.places.top_L

        def rows(offset_px: float) -> Any:
            return np.floor(top_px_L + (offset_px + 0.5)).astype(np.int32)

        num_glyphs_L = chunk.glyph_end_L.copy()
        num_glyphs_L[1:] -= chunk.glyph_end_L[:-1]
        return _Piece(
            start_L=np.concatenate(([chunk.start], chunk.end_L[:-1])),
            end_L=chunk.end_L,
            left64_L=chunk.left64_L,
            right64_L=chunk.right64_L,
            top_L=rows(0.0),
            bottom_L=rows(self._pitch_px),
            frame_top_L=rows(-self._frame_px),
            frame_bottom_L=rows(self._pitch_px + self._frame_px),
            baseline_L=rows(self._baseline_px),
            num_glyphs_L=num_glyphs_L,
            starts_paragraph_L=chunk.starts_paragraph_L,
            column_L=chunk.places.column_L,
            slot_G=chunk.slot_G,
            x64_G=chunk.x64_G,
            dy_G=chunk.dy_G,
            char_G=chunk.char_G,
            ink_G=chunk.ink_G,
        )

    def rest(self) -> OpenPage:
        """Return the page under way."""
        pieces, self._pieces = tuple(self._pieces), []
        start, end = int(pieces[0].start_L[0]), int(pieces[-1].end_L[-1])
        return OpenPage(self._page, start, end, self._look_ahead, pieces)

    def finish(self, page: OpenPage, *, is_closed: bool, is_last: bool) -> PageLayout:
        """Return the layout of a complete page."""
        pieces = page.pieces
        num_glyphs_L = _join(pieces, "num_glyphs_L")
        baseline_N = np.repeat(_join(pieces, "baseline_L"), num_glyphs_L)
        if any(piece.dy_G is not None for piece in pieces):
            baseline_N += _join(pieces, "dy_G", default=np.int32)
        has_ink = any(piece.ink_G is not None for piece in pieces)
        glyphs = Glyphs(
            slot_N=_join(pieces, "slot_G"),
            x64_N=_join(pieces, "x64_G"),
            baseline_N=baseline_N,
            char_N=(_join(pieces, "char_G") - page.start).astype(np.int32),
            ink_N=_join(pieces, "ink_G", default=np.uint8) if has_ink else None,
        )
        lines = Lines(
            start_L=_join(pieces, "start_L"),
            end_L=_join(pieces, "end_L"),
            left64_L=_join(pieces, "left64_L"),
            right64_L=_join(pieces, "right64_L"),
            top_L=_join(pieces, "top_L"),
            bottom_L=_join(pieces, "bottom_L"),
            glyph_L=np.cumsum(num_glyphs_L) - num_glyphs_L,
        )
        fills = self._fills(pieces) if self._has_fills else ()
        slots = self._label_slots(page.index)
        label_px = math.ceil(int(self._atlas.advance64[slots].sum()) / SUBPIXELS)
        width_px, height_px = self._crop(lines, fills, label_px, is_last=is_last)
        return PageLayout(
            page.index, width_px, height_px, page.start, page.end, is_closed, glyphs, lines,
            fills, self._label(slots, width_px, height_px),
        )  # fmt: skip

    # -- crop, fills, label ------------------------------------------------------------------

    def _crop(
        self, lines: Lines, fills: tuple[Fill, ...], label_px: int, *, is_last: bool
    ) -> tuple[int, int]:
        config = self._config
        width_px, height_px = config.page_size_px
        if config.crop_width:
            right_px = math.ceil(int(lines.right64_L.max()) / SUBPIXELS)
            right_px = max([right_px, *(fill.box.right_px for fill in fills)])
            wanted_px = math.ceil(right_px + config.px(config.margin_x_pt) - 1e-6)
            width_px = min(width_px, _snap_up(max(wanted_px, label_px), config.grid_px))
        if config.crop_last_page and is_last:
            bottom_px = max([int(lines.bottom_L.max()), *(fill.box.bottom_px for fill in fills)])
            bottom_px += self._pitch_px if config.page_label != "none" else 0
            wanted_px = math.ceil(bottom_px + config.px(config.margin_y_pt) - 1e-6)
            height_px = min(height_px, _snap_up(wanted_px, config.grid_px))
        return width_px, height_px

    def _fills(self, pieces: tuple[_Piece, ...]) -> tuple[Fill, ...]:
        """Return background and border of each paragraph on the page, column by column."""
        top_L, bottom_L = _join(pieces, "frame_top_L"), _join(pieces, "frame_bottom_L")
        starts_L = _join(pieces, "starts_paragraph_L")
        column_L = _join(pieces, "column_L")
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
        has_label = self._config.page_label != "none"
        return self._atlas.slots_of(codepoints_of(str(index + 1) if has_label else ""))

    def _label(
        self, slots: Int32[np.ndarray, " D"], width_px: int, height_px: int
    ) -> Glyphs | None:
        if not len(slots):
            return None
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


def _cut(whole: _Piece, lines: slice, glyphs: slice) -> _Piece:
    parts = {name: getattr(whole, name)[lines] for name in LINE_FIELDS}
    for name in GLYPH_FIELDS:
        array = getattr(whole, name)
        parts[name] = None if array is None else array[glyphs]
    return _Piece(**parts)


def _join(pieces: tuple[_Piece, ...], name: str, *, default: type[Any] | None = None) -> Any:
    """Join one array of all pieces; where a piece has none, zeros stand for it."""
    parts = [getattr(piece, name) for piece in pieces]
    if default is not None:
        parts = [
            np.zeros(len(piece.slot_G), default) if part is None else part
            for piece, part in zip(pieces, parts, strict=True)
        ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _snap_up(length_px: int, grid_px: int) -> int:
    return -(-length_px // grid_px) * grid_px if grid_px else length_px
