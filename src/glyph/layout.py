"""Layout: a text and a config become pages of positioned glyphs. No pixels yet.

The text is taken in blocks, so that memory stays flat whatever its length. Each block goes
through the same steps: code points, atlas slots, break opportunities, lines, places, pen
positions. A line that a block leaves unfinished is begun again by the next block. A page is handed
out as soon as the next one begins, and depends only on the text before it and a little after:
appending text never changes a page whose `is_closed` is true.

Shape key: N characters of a block, G glyphs of a block, L lines of a block.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8, UInt32

from glyph import kernel
from glyph.atlas import Atlas, codepoints_of
from glyph.config import RenderConfig
from glyph.kernel import ATTACHED, BREAK_AFTER, NEWLINE, SPACE, FilledLines
from glyph.pagebuild import Chunk, OpenPage, PageBuilder
from glyph.pages import SUBPIXELS, PageLayout
from glyph.paginate import Paginator, Places
from glyph.shaping import ShapedBlock, Shaper, visual_order
from glyph.unicode_data import (
    Bidi,
    LineBreak,
    bidi_class,
    is_cluster_extend,
    line_break_class,
    needs_shaping,
)

BLOCK_CHARS = 1 << 16
LOOK_AHEAD_CHARS = 4096
"""How far line breaking may look ahead: a run of marks, or of numbers and their signs."""

INK_TEXT, INK_MARKER, INK_FIRST_ROLE = 0, 1, 2
"""Ink numbers; syntax roles follow, so that role r has ink INK_FIRST_ROLE + r - 1."""

CLASS_BITS, SHAPING_BIT, EXTEND_BIT = 0x3F, 0x40, 0x80


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """A stretch of text with everything line filling and placing need."""

    start: int
    codepoints_N: UInt32[np.ndarray, " N"]
    slots_N: Int32[np.ndarray, " N"]
    advance64_N: Int32[np.ndarray, " N"]
    flags_N: UInt8[np.ndarray, " N"]
    ink_N: UInt8[np.ndarray, " N"] | None
    shaped: ShapedBlock | None


class Layout:
    """Lays out one text; iterate over `pages()` once.

    Args:
        text: What to show; line feeds end paragraphs.
        config: How.
        atlas: Slots of the config's fonts.
        ink_N: Ink of each character of the text, or None when all are plain.

    Attributes:
        missing: Characters that no font has, with their counts, so far.
    """

    def __init__(
        self,
        text: str,
        config: RenderConfig,
        atlas: Atlas,
        ink_N: UInt8[np.ndarray, " N"] | None = None,
    ):
        self._text = text
        self._config = config
        self._atlas = atlas
        self._ink_N = ink_N
        self._spacing64 = round(config.px(config.letter_spacing_pt) * SUBPIXELS)
        self._shaper = Shaper(atlas, self._spacing64)
        self._paginator = Paginator(config)
        self._marker_slot = (
            atlas.slot_of_text(config.newline_marker) if config.newline_marker else 0
        )
        blank_slot = atlas.slot_of(" ")
        self._blank64 = max(int(atlas.advance64[blank_slot]) + self._spacing64, 1)
        self._tab64 = config.tab_columns * self._blank64
        self._geometry = _LineGeometry(config)
        self._at_paragraph_start = True
        self._open_level: int | None = None
        self.missing: Counter[str] = Counter()

    def pages(self) -> Iterator[PageLayout]:
        """Yield the pages in order."""
        builder = PageBuilder(self._config, self._atlas)
        start, size = 0, len(self._text)
        while start < size:
            stop = self._block_end(start)
            chunk, consumed = self._lay_out(start, stop, is_final=stop == size)
            start += consumed
            for page in builder.add(chunk):
                yield builder.finish(page, is_closed=self._is_closed(page), is_last=False)
        if size:
            yield builder.finish(builder.rest(), is_closed=False, is_last=True)

    def _block_end(self, start: int) -> int:
        """Return where the block ends: with a paragraph, so that only huge ones are cut."""
        stop = start + BLOCK_CHARS
        if stop >= len(self._text):
            return len(self._text)
        return self._text.rfind("\n", start, stop) + 1 or stop

    def _is_closed(self, page: OpenPage) -> bool:
        follows = len(self._text) - page.end
        if page.look_ahead is not None and follows >= page.look_ahead:
            return True
        return not self._config.newline_marker and self._text.find("\n", page.end - 1) >= 0

    def _lay_out(self, start: int, stop: int, *, is_final: bool) -> tuple[Chunk, int]:
        open_level = self._open_level
        block = self._prepare(start, stop)
        lines = self._fill(block, is_final=is_final)
        if not lines.consumed:
            # One cluster fills the whole block; it is cut where the block ends.
            lines = self._fill(block, is_final=True)
        end_L = lines.end_L
        newline_L = (block.flags_N[end_L - 1] & NEWLINE) != 0
        starts_paragraph_L = np.concatenate(([self._at_paragraph_start], newline_L[:-1]))
        ends_paragraph_L = newline_L.copy()
        ends_paragraph_L[-1] |= is_final and lines.consumed == stop - start
        places = self._paginator.places(starts_paragraph_L, ends_paragraph_L)
        base_L = None if block.shaped is None else _line_levels(block.shaped.base_N, end_L)
        gap_N = (block.codepoints_N[: lines.consumed] == 0x20).view(np.uint8)
        if self._config.alignment == "justify":
            ends_paragraph_L |= ~_has_gap(gap_N, lines)
        left64_L, extra64_L = self._geometry.align(
            lines, places, starts_paragraph_L, ends_paragraph_L, base_L
        )
        self._count_missing(block.codepoints_N[: lines.consumed])
        self._at_paragraph_start = bool(newline_L[-1])
        self._open_level = _level_after(block, lines.consumed)
        glyphs = _place_glyphs(block, lines, base_L, gap_N, left64_L, extra64_L)
        chunk = Chunk(
            end_L=end_L.astype(np.int64) + start,
            start=start,
            look_ahead=_look_ahead(block, open_level, is_final=is_final),
            left64_L=left64_L,
            right64_L=left64_L + lines.width64_L + extra64_L,
            starts_paragraph_L=starts_paragraph_L,
            places=places,
            **glyphs,
        )
        return chunk, lines.consumed

    def _count_missing(self, codepoints_N: UInt32[np.ndarray, " N"]) -> None:
        if self._atlas.missing:
            lost = codepoints_N[self._atlas.is_missing[codepoints_N]]
            found, counts = np.unique(lost, return_counts=True)
            for codepoint, count in zip(found.tolist(), counts.tolist(), strict=True):
                self.missing[chr(codepoint)] += count

    # -- characters --------------------------------------------------------------------------

    def _prepare(self, start: int, stop: int) -> _Block:
        text = self._text[start:stop]
        codepoints_N = codepoints_of(text)
        slots_N = self._atlas.slots_of(codepoints_N)
        packed_N = kernel.look_up(_packed_properties(), codepoints_N)
        flags_N = _flags(packed_N)
        ink_N = None if self._ink_N is None else self._ink_N[start:stop]
        if self._marker_slot:
            slots_N, flags_N, ink_N = self._mark_newlines(codepoints_N, slots_N, flags_N, ink_N)
        advance64_N = kernel.look_up(self._atlas.advance64, slots_N)
        if self._spacing64:
            advance64_N += np.where(advance64_N > 0, np.int32(self._spacing64), np.int32(0))
        shaped = None
        if (packed_N & SHAPING_BIT).any() or self._open_level:
            shaped = self._shaper.shape(text, codepoints_N, slots_N, advance64_N, self._open_level)
            advance64_N = shaped.advance64_N
            flags_N = _keep_clusters(flags_N, shaped.attached_N)
        tabs = np.flatnonzero(codepoints_N == 9)
        if len(tabs):
            advance64_N = self._expand_tabs(advance64_N, flags_N, tabs)
        return _Block(start, codepoints_N, slots_N, advance64_N, flags_N, ink_N, shaped)

    def _mark_newlines(
        self,
        codepoints_N: UInt32[np.ndarray, " N"],
        slots_N: Int32[np.ndarray, " N"],
        flags_N: UInt8[np.ndarray, " N"],
        ink_N: UInt8[np.ndarray, " N"] | None,
    ) -> tuple[Any, Any, Any]:
        """Turn line feeds into visible markers that the text flows past."""
        marks = (flags_N & NEWLINE) != 0
        slots_N = np.where(marks, np.int32(self._marker_slot), slots_N)
        flags_N = np.where(marks, np.uint8(BREAK_AFTER), flags_N)
        if not self._config.has_colored_marker:
            return slots_N, flags_N, ink_N
        plain_N = np.zeros(len(codepoints_N), np.uint8) if ink_N is None else ink_N
        return slots_N, flags_N, np.where(marks, np.uint8(INK_MARKER), plain_N)

    def _expand_tabs(
        self,
        advance64_N: Int32[np.ndarray, " N"],
        flags_N: UInt8[np.ndarray, " N"],
        tabs: Int[np.ndarray, " T"],
    ) -> Int32[np.ndarray, " N"]:
        """Return advances with every tab reaching to the next stop of its paragraph."""
        advance64_N = advance64_N.copy()
        advance64_N[tabs] = 0
        before_N = np.concatenate(([0], np.cumsum(advance64_N, dtype=np.int64)))
        starts = np.concatenate(([0], np.flatnonzero(flags_N & NEWLINE) + 1))
        paragraph_T = starts[np.searchsorted(starts, tabs, side="right") - 1]
        widths: list[int] = []
        current, shift64 = -1, 0
        pens = (before_N[tabs] - before_N[paragraph_T]).tolist()
        for paragraph, pen64 in zip(paragraph_T.tolist(), pens, strict=True):
            if paragraph != current:
                current, shift64 = paragraph, 0
            room64 = self._tab64 - (pen64 + shift64) % self._tab64
            # A tab is never narrower than a blank, or two words would seem to be one.
            widths.append(room64 if room64 >= self._blank64 else room64 + self._tab64)
            shift64 += widths[-1]
        advance64_N[tabs] = widths
        return advance64_N

    # -- lines -------------------------------------------------------------------------------

    def _fill(self, block: _Block, *, is_final: bool) -> FilledLines:
        return kernel.fill_lines(
            block.advance64_N,
            block.flags_N,
            self._geometry.avail64,
            at_start=self._at_paragraph_start,
            is_final=is_final,
        )


def _level_after(block: _Block, consumed: int) -> int | None:
    """Return the level of the paragraph that goes on after a block, or None at its end."""
    if bidi_class()[block.codepoints_N[consumed - 1]] == Bidi.B:
        return None
    # A block that needed no shaping has no right-to-left letters.
    return int(block.shaped.base_N[consumed - 1]) if block.shaped is not None else 0


def _look_ahead(block: _Block, open_level: int | None, *, is_final: bool) -> int | None:
    """Return how much text must follow a page of this block before nothing can change it."""
    if not is_final:
        # The block is full: text appended later lies in other blocks, which it never sees.
        return 0
    # In mixed directions a bracket may pair with one at the far end of its paragraph.
    has_levels = block.shaped is not None and bool(block.shaped.level_N.any())
    if has_levels or not _has_direction(block.codepoints_N, open_level):
        return None
    return LOOK_AHEAD_CHARS


def _has_direction(codepoints_N: UInt32[np.ndarray, " N"], open_level: int | None) -> bool:
    """Whether the paragraph a block ends in has a letter; the first one to come decides else."""
    types_N = bidi_class()[codepoints_N]
    separators = np.flatnonzero(types_N == Bidi.B)
    if len(separators):
        open_level, types_N = None, types_N[separators[-1] + 1 :]
    return open_level is not None or not len(types_N) or bool((types_N == Bidi.L).any())


def _line_levels(
    base_N: UInt8[np.ndarray, " N"], end_L: Int[np.ndarray, " L"]
) -> UInt8[np.ndarray, " L"]:
    """Return each line's level; a line that joins paragraphs of both directions is left to right.

    So the white space at its end, which takes this level, stands outside its ink and never between
    two of its paragraphs.
    """
    return np.minimum.reduceat(base_N, np.concatenate(([0], end_L[:-1])))


def _lengths(end_L: Int[np.ndarray, " L"]) -> Int[np.ndarray, " L"]:
    lengths_L = end_L.copy()
    lengths_L[1:] -= end_L[:-1]
    return lengths_L


def _has_gap(gap_N: UInt8[np.ndarray, " N"], lines: FilledLines) -> Bool[np.ndarray, " L"]:
    """Whether a line holds a blank that justification can stretch."""
    seen = np.concatenate(([0], np.cumsum(gap_N, dtype=np.int64)))
    start_L = np.concatenate(([0], lines.end_L[:-1]))
    return seen[lines.ink_end_L] > seen[start_L]


def _place_glyphs(
    block: _Block,
    lines: FilledLines,
    base_L: UInt8[np.ndarray, " L"] | None,
    gap_N: UInt8[np.ndarray, " N"],
    left64_L: Int32[np.ndarray, " L"],
    extra64_L: Int32[np.ndarray, " L"],
) -> dict[str, Any]:
    """Return the glyph arrays of a chunk: slot, x64, dy, char, ink, and each line's last."""
    n = lines.consumed
    if block.shaped is not None and base_L is not None:
        return _visual_glyphs(block, block.shaped, lines, base_L, gap_N, left64_L, extra64_L)
    return {
        "slot_G": block.slots_N[:n],
        "x64_G": kernel.place(block.advance64_N, gap_N, lines, left64_L, extra64_L),
        "dy_G": None,
        "char_G": np.arange(n, dtype=np.int32),
        "ink_G": None if block.ink_N is None else block.ink_N[:n],
        "glyph_end_L": lines.end_L.astype(np.int64),
    }


def _visual_glyphs(
    block: _Block,
    shaped: ShapedBlock,
    lines: FilledLines,
    base_L: UInt8[np.ndarray, " L"],
    gap_N: UInt8[np.ndarray, " N"],
    left64_L: Int32[np.ndarray, " L"],
    extra64_L: Int32[np.ndarray, " L"],
) -> dict[str, Any]:
    """Place the glyphs of a shaped block, each line from left to right as it is seen."""
    n = lines.consumed
    order_N = visual_order(shaped.level_N, base_L, lines.end_L, lines.ink_end_L)
    counts_L = _lengths(lines.end_L)
    hangs_N = np.arange(n) >= np.repeat(lines.ink_end_L, counts_L)
    advance64_N = block.advance64_N[:n]
    # In a right-to-left line the white space at its end stands left of the first glyph.
    hanging64_N = np.concatenate(([0], np.cumsum(np.where(hangs_N, advance64_N, 0))))
    hanging64_L = _lengths(hanging64_N[lines.end_L])
    is_rtl_L = (base_L & 1) == 1
    begin64_L = (left64_L - np.where(is_rtl_L, hanging64_L, 0)).astype(np.int32)
    whole = FilledLines(lines.end_L, lines.end_L, lines.width64_L, n)
    gap_N = np.where(hangs_N, np.uint8(0), gap_N)
    placed = kernel.place(advance64_N[order_N], gap_N[order_N], whole, begin64_L, extra64_L)
    x64_N = np.empty(n, np.int32)
    x64_N[order_N] = placed
    rank_N = np.empty(n, np.int64)
    rank_N[order_N] = np.arange(n)
    num = int(np.searchsorted(shaped.char_G, n))
    char_G = shaped.char_G[:num]
    seen_G = np.argsort(rank_N[char_G], kind="stable")
    char_G = char_G[seen_G]
    return {
        "slot_G": shaped.slot_G[seen_G].astype(np.int32),
        "x64_G": (x64_N[char_G] + shaped.dx64_G[seen_G]).astype(np.int32),
        "dy_G": shaped.dy_G[seen_G].astype(np.int32),
        "char_G": char_G.astype(np.int32),
        "ink_G": None if block.ink_N is None else block.ink_N[char_G],
        "glyph_end_L": np.searchsorted(rank_N[char_G], lines.end_L),
    }


class _LineGeometry:
    """Where lines begin and how wide they may be, in 1/64 px."""

    def __init__(self, config: RenderConfig):
        def units(length_px: float) -> int:
            return math.floor(length_px * SUBPIXELS + 0.5)

        frame_pt = config.border_width_pt + config.border_padding_pt
        self._alignment = config.alignment
        self._first64 = units(config.px(config.first_line_indent_pt))
        self._inset64 = units(config.px(config.left_indent_pt + frame_pt))
        width_px = config.column_width_px
        pitch_px = width_px + config.px(config.column_gap_pt)
        margin_px = config.px(config.margin_x_pt)
        self._column64 = np.array(
            [units(margin_px + i * pitch_px) for i in range(config.columns)], np.int32
        )
        room64 = units(width_px) - self._inset64
        self._room64 = room64 - units(config.px(config.right_indent_pt + frame_pt))
        self.avail64 = (self._room64 - self._first64, self._room64)

    def align(
        self,
        lines: FilledLines,
        places: Places,
        starts_paragraph_L: Any,
        ends_paragraph_L: Any,
        base_L: UInt8[np.ndarray, " L"] | None,
    ) -> tuple[Int32[np.ndarray, " L"], Int32[np.ndarray, " L"]]:
        """Return each line's left edge and the stretch that justifies it."""
        indent64_L = np.where(starts_paragraph_L, self._first64, 0)
        free64_L = np.maximum(self._room64 - indent64_L - lines.width64_L, 0)
        extra64_L = np.zeros(len(free64_L), np.int64)
        if self._alignment == "justify":
            extra64_L = np.where(ends_paragraph_L, 0, free64_L)
        is_rtl_L = np.zeros(len(free64_L), np.bool_) if base_L is None else (base_L & 1) == 1
        if self._alignment == "center":
            shift64_L = free64_L // 2
        elif self._alignment == "right":
            shift64_L = np.where(is_rtl_L, 0, free64_L)
        else:
            # "left" means where reading begins, so right-to-left paragraphs stand at the right.
            shift64_L = np.where(is_rtl_L, free64_L - extra64_L, 0)
        # A positive indent of a right-to-left line is at its right; a negative one stays at the
        # left, where `left_indent_pt` made room for it.
        indent64_L = np.where(is_rtl_L, np.minimum(indent64_L, 0), indent64_L)
        left64_L = self._column64[places.column_L] + self._inset64 + indent64_L + shift64_L
        return left64_L.astype(np.int32), extra64_L.astype(np.int32)


def _keep_clusters(flags_N: UInt8[np.ndarray, " N"], attached_N: Any) -> UInt8[np.ndarray, " N"]:
    """Return flags with no break inside the clusters that shaping made."""
    flags_N = flags_N | np.where(attached_N, np.uint8(ATTACHED), np.uint8(0))
    flags_N[:-1][attached_N[1:]] &= 0xFF ^ BREAK_AFTER
    return flags_N


_tables: dict[str, Any] = {}


def _packed_properties() -> UInt8[np.ndarray, " T"]:
    """Return line break class, shaping and cluster bits of every code point in one byte."""
    if "packed" not in _tables:
        _tables["packed"] = (
            line_break_class()
            | np.where(needs_shaping(), np.uint8(SHAPING_BIT), np.uint8(0))
            | np.where(is_cluster_extend(), np.uint8(EXTEND_BIT), np.uint8(0))
        )
    return _tables["packed"]


def _flags(packed_N: UInt8[np.ndarray, " N"]) -> UInt8[np.ndarray, " N"]:
    """Return what line filling must know of each character."""
    breaks_N = kernel.line_breaks(packed_N)
    flags_N = breaks_N * breaks_N  # 0, 1 and 2 become none, BREAK_AFTER and NEWLINE
    flags_N |= ((packed_N & CLASS_BITS) == int(LineBreak.SP)).view(np.uint8) * np.uint8(SPACE)
    flags_N |= (packed_N & EXTEND_BIT) // np.uint8(EXTEND_BIT // ATTACHED)
    return flags_N
