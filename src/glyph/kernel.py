"""The inner loops, in C where the extension was built and in NumPy where it was not.

Both give the same integers and the same bytes: pages do not depend on the machine. The C side is
`_kernel.c`; the twins below are written for clarity first, and fast enough to render a million
characters a second.
"""

import importlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8

from glyph.bitmaps import PHASES, BitmapStore
from glyph.linebreak import break_table, numpy_breaks
from glyph.pages import Glyphs

try:
    _native: Any = importlib.import_module("glyph._kernel")
except ImportError:
    _native = None

BREAK_AFTER, SPACE, NEWLINE, ATTACHED = 1, 2, 4, 8
"""Bits of a character's flags; the same numbers stand in `_kernel.c`."""

MAX_LINE_CHARS = 8192
"""A line is cut here at the latest, so that floods of zero-width characters stay bounded."""

_active: Any = None if os.environ.get("GLYPH_KERNEL") == "numpy" else _native


def kernel_name() -> str:
    """Return which inner loops run: 'c' or 'numpy'. GLYPH_KERNEL=numpy forces the latter."""
    return "numpy" if _active is None else "c"


def has_native() -> bool:
    """Whether the C extension was built."""
    return _native is not None


@contextmanager
def using(name: str) -> Generator[None]:
    """Run a block with the 'c' or the 'numpy' kernel; for tests and benchmarks."""
    global _active
    before = _active
    _active = _native if name == "c" else None
    try:
        yield
    finally:
        _active = before


@dataclass(frozen=True, slots=True, eq=False)
class FilledLines:
    """Lines cut from a block; offsets count from the block's start.

    Attributes:
        end_L: One past the last character of each line; the next line starts there.
        ink_end_L: One past the last character that is not white space at the line's end.
        width64_L: Width up to `ink_end_L`, in 1/64 px.
        consumed: Characters that belong to finished lines.
    """

    end_L: Int32[np.ndarray, " L"]
    ink_end_L: Int32[np.ndarray, " L"]
    width64_L: Int32[np.ndarray, " L"]
    consumed: int


def line_breaks(classes_N: UInt8[np.ndarray, " N"]) -> UInt8[np.ndarray, " N"]:
    """Return the break after each character: 0 none, 1 allowed, 2 mandatory.

    Args:
        classes_N: Line break classes in the low six bits; higher bits are ignored.
    """
    if _active is None:
        return numpy_breaks(classes_N & 0x3F)
    breaks_N = np.empty_like(classes_N)
    _active.line_breaks(classes_N, break_table(), breaks_N)
    return breaks_N


def look_up(table: Any, index_N: Any) -> Any:
    """Return `table[index_N]` for 32-bit indices, all of them inside the table."""
    if _active is None:
        return table.take(index_N)
    out_N = np.empty(len(index_N), table.dtype)
    if not _active.look_up(table, table.itemsize, index_N, out_N):
        raise IndexError(f"an index is outside the table of {len(table)} items")
    return out_N


def fill_lines(
    advance64_N: Int32[np.ndarray, " N"],
    flags_N: UInt8[np.ndarray, " N"],
    avail64: tuple[int, int],
    *,
    at_start: bool,
    is_final: bool,
) -> FilledLines:
    """Cut a block into lines, greedily.

    Args:
        advance64_N: Advance of each character, in 1/64 px, not negative.
        flags_N: BREAK_AFTER, SPACE, NEWLINE, ATTACHED bits.
        avail64: Room of the first line of a paragraph, and of the others.
        at_start: The block begins a paragraph.
        is_final: The text ends with the block; else its unfinished line is left over.

    Returns:
        The lines. White space at a line's end hangs and has no width. A word wider than its line
        is cut between clusters.
    """
    if _active is None:
        return _fill_lines(advance64_N, flags_N, avail64, at_start=at_start, is_final=is_final)
    end, ink_end, width = (np.empty(len(flags_N), np.int32) for _ in range(3))
    num, consumed = _active.fill_lines(
        advance64_N, flags_N, *avail64, at_start, MAX_LINE_CHARS, is_final, end, ink_end, width
    )
    return FilledLines(end[:num], ink_end[:num], width[:num], consumed)


def place(
    advance64_N: Int32[np.ndarray, " N"],
    gap_N: UInt8[np.ndarray, " N"],
    lines: FilledLines,
    left64_L: Int32[np.ndarray, " L"],
    extra64_L: Int32[np.ndarray, " L"],
) -> Int32[np.ndarray, " N"]:
    """Return the pen position of every character of the lines, in 1/64 px.

    Args:
        advance64_N: Advance of each character.
        gap_N: 1 where a line may be stretched, else 0.
        lines: Lines that tile the first characters of the block.
        left64_L: Where each line begins.
        extra64_L: Shared out over each line's gaps; the first take what does not divide.
    """
    start_L = np.concatenate(([0], lines.end_L[:-1])).astype(np.int32)
    if _active is None:
        return _place(advance64_N, gap_N, lines, start_L, left64_L, extra64_L)
    x64_N = np.empty(int(lines.end_L[-1]) if len(lines.end_L) else 0, np.int32)
    _active.place(
        advance64_N, gap_N, start_L, lines.end_L, lines.ink_end_L, left64_L, extra64_L, x64_N
    )
    return x64_N


def blit(
    plane: UInt8[np.ndarray, " S"], width: int, height: int, bitmaps: BitmapStore, g: Glyphs
) -> None:
    """Draw glyphs into a plane, keeping the lower byte wherever they overlap.

    Args:
        plane: width * height bytes, row by row, and at least `bitmaps.slack_bytes` behind them.
        width: Columns of the plane.
        height: Rows of the plane.
        bitmaps: Of the glyphs' slots.
        g: What to draw; parts outside the plane are cut off.
    """
    if _active is None:
        _blit(plane, width, height, bitmaps, g)
        return
    _active.blit(
        plane, width, height, bitmaps.bits, bitmaps.offset_K, bitmaps.shape_K5,
        g.slot_N, g.x64_N, g.baseline_N, g.ink_N,
    )  # fmt: skip


# -- twins -----------------------------------------------------------------------------------


def _fill_lines(
    advance64_N: Int32[np.ndarray, " N"],
    flags_N: UInt8[np.ndarray, " N"],
    avail64: tuple[int, int],
    *,
    at_start: bool,
    is_final: bool,
) -> FilledLines:
    n = len(flags_N)
    total = np.concatenate(([0], np.cumsum(advance64_N, dtype=np.int64)))
    has_ink = (flags_N & (SPACE | NEWLINE)) == 0
    ink_at = np.flatnonzero(has_ink)
    ink_total = total[ink_at + 1]
    last_ink = np.maximum.accumulate(np.where(has_ink, np.arange(1, n + 1), 0))
    cuts = np.flatnonzero((flags_N & (BREAK_AFTER | NEWLINE)) == BREAK_AFTER) + 1
    newlines = np.append(np.flatnonzero(flags_N & NEWLINE), n)
    ends: list[int] = []
    start, avail = 0, avail64[0] if at_start else avail64[1]
    while start < n:
        limit = int(total[start]) + avail
        over = int(np.searchsorted(ink_total, limit, side="right"))
        over = max(over, int(np.searchsorted(ink_at, start + 1)))
        overflow = int(ink_at[over]) if over < len(ink_at) else n
        stop = min(overflow, start + MAX_LINE_CHARS)
        newline = int(newlines[np.searchsorted(newlines, start)])
        if newline < stop:
            ends.append(newline + 1)
        elif stop < n:
            end = _cut(flags_N, cuts, start, stop)
            if end >= n:
                break
            ends.append(end)
        else:
            break
        avail = avail64[0] if newline < stop else avail64[1]
        start = ends[-1]
    if is_final and start < n:
        ends.append(n)
        start = n
    end_L = np.array(ends, np.int32)
    start_L = np.concatenate(([0], end_L[:-1])).astype(np.int32)[: len(ends)]
    ink_end_L = np.maximum(last_ink[end_L - 1], start_L).astype(np.int32)
    width64_L = (total[ink_end_L] - total[start_L]).astype(np.int32)
    return FilledLines(end_L, ink_end_L, width64_L, start)


def _cut(
    flags_N: UInt8[np.ndarray, " N"], cuts: "np.ndarray[Any, Any]", start: int, stop: int
) -> int:
    """Return where a line that overflows at `stop` ends."""
    before = int(np.searchsorted(cuts, stop, side="right")) - 1
    if before >= 0 and cuts[before] > start:
        return int(cuts[before])
    at = stop
    while at > start and flags_N[at] & ATTACHED:
        at -= 1
    if at == start:
        at = stop
        while at < len(flags_N) and flags_N[at] & ATTACHED:
            at += 1
    return at


def _place(
    advance64_N: Int32[np.ndarray, " N"],
    gap_N: UInt8[np.ndarray, " N"],
    lines: FilledLines,
    start_L: Int32[np.ndarray, " L"],
    left64_L: Int32[np.ndarray, " L"],
    extra64_L: Int32[np.ndarray, " L"],
) -> Int32[np.ndarray, " N"]:
    n = int(lines.end_L[-1]) if len(lines.end_L) else 0
    counts_L = lines.end_L - start_L
    before = np.concatenate(([0], np.cumsum(advance64_N[:n], dtype=np.int64)))[:n]
    x_N = before + np.repeat(left64_L - before[start_L], counts_L)
    if extra64_L.any():
        inside = np.arange(n) < np.repeat(lines.ink_end_L, counts_L)
        gaps = (gap_N[:n] != 0) & inside
        seen = np.concatenate(([0], np.cumsum(gaps)))
        num_L = seen[lines.end_L] - seen[start_L]
        each_L, rest_L = np.divmod(extra64_L, np.maximum(num_L, 1))
        passed = seen[:n] - np.repeat(seen[start_L], counts_L)
        stretch = passed * np.repeat(each_L, counts_L)
        x_N = x_N + stretch + np.minimum(passed, np.repeat(rest_L, counts_L))
    return x_N.astype(np.int32)


def _blit(
    plane: UInt8[np.ndarray, " S"], width: int, height: int, bitmaps: BitmapStore, g: Glyphs
) -> None:
    quarter = (g.x64_N + 8) >> 4
    bitmap = g.slot_N.astype(np.int64) * PHASES + (quarter & 3)
    if len(bitmap) and not (bitmap.min() >= 0 and bitmap.max() < len(bitmaps.offset_K)):
        raise ValueError("blit: a slot is outside the bitmaps")
    _, w, rows, left, top = bitmaps.shape_K5[bitmap].T.astype(np.int64)
    x, y = (quarter >> 2) + left, g.baseline_N - top
    inside = (x >= 0) & (y >= 0) & (x + w <= width) & (y + rows <= height)
    ink = np.zeros(len(bitmap), np.uint8) if g.ink_N is None else g.ink_N
    for clip, chosen in ((False, inside), (True, ~inside & (rows > 0))):
        if chosen.any():
            _blit_pixels(plane, width, height, bitmaps, bitmap[chosen], (x[chosen], y[chosen]),
                         ink[chosen], clip=clip)  # fmt: skip


def _blit_pixels(
    plane: UInt8[np.ndarray, " S"],
    width: int,
    height: int,
    bitmaps: BitmapStore,
    bitmap: "np.ndarray[Any, Any]",
    at: "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]",
    ink: "np.ndarray[Any, Any]",
    *,
    clip: bool,
) -> None:
    pixels = bitmaps.inked_pixels()
    counts = pixels.count_K[bitmap]
    ends = np.cumsum(counts)
    # Position of every inked pixel of every glyph in the pixel lists.
    index = np.arange(int(ends[-1])) + np.repeat(pixels.start_K[bitmap] - ends + counts, counts)
    value = pixels.value.take(index)
    if ink.any():
        value -= np.repeat(ink, counts)
    x, y = at
    within = pixels.row * width + pixels.column
    target = np.repeat(y * width + x, counts) + within.take(index)
    if clip:
        columns = np.repeat(x, counts) + pixels.column.take(index)
        rows = np.repeat(y, counts) + pixels.row.take(index)
        keep = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        target, value = target[keep], value[keep]
    np.minimum.at(plane, target, value)
