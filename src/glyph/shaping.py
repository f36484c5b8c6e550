"""Complex text: from characters to positioned glyphs where one is not the other.

Blocks with Arabic, Hebrew, Indic or South-East Asian scripts, combining marks or joined emoji come
through here; plain text never does. A block is cut into runs of one direction, script and face
between spaces. Each run is shaped once and remembered, so that a long document costs one look-up
a word. What is left (levels, visual order, pen positions) is done for a whole block at a time.

Shape key: N characters of the block, G glyphs of the block, L lines of the block.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8, UInt32

from glyph.atlas import Atlas
from glyph.bidi import embedding_levels
from glyph.fonts import Shaped
from glyph.pages import SUBPIXELS
from glyph.unicode_data import (
    Bidi,
    bidi_class,
    is_cluster_extend,
    needs_shaping,
    script_of,
    script_tags,
)

MAX_REMEMBERED_RUNS = 200_000
NEWLINE_CP = 10


@dataclass(frozen=True, slots=True, eq=False)
class ShapedBlock:
    """A block after shaping, in logical order.

    Attributes:
        advance64_N: Width of the cluster that begins at each character; 0 inside clusters.
        attached_N: Whether a character continues a cluster.
        level_N: Embedding level of each character (UAX #9).
        base_N: Paragraph level of each character.
        slot_G: Atlas slot of each glyph.
        char_G: Character each glyph belongs to, ascending.
        dx64_G: From the left edge of the cluster to the glyph's pen, in 1/64 px.
        dy_G: From the baseline down to the glyph's own, in pixels.
    """

    advance64_N: Int32[np.ndarray, " N"]
    attached_N: Bool[np.ndarray, " N"]
    level_N: UInt8[np.ndarray, " N"]
    base_N: UInt8[np.ndarray, " N"]
    slot_G: Int[np.ndarray, " G"]
    char_G: Int[np.ndarray, " G"]
    dx64_G: Int[np.ndarray, " G"]
    dy_G: Int[np.ndarray, " G"]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One shaped run: per character its cluster width, per glyph slot and place."""

    advance64: "np.ndarray[Any, Any]"
    attached: "np.ndarray[Any, Any]"
    slot: "np.ndarray[Any, Any]"
    char: "np.ndarray[Any, Any]"
    dx64: "np.ndarray[Any, Any]"
    dy: "np.ndarray[Any, Any]"


class Shaper:
    """Shapes blocks with the faces of one atlas and remembers every run it has seen."""

    def __init__(self, atlas: Atlas, letter_spacing64: int):
        self._atlas = atlas
        self._letter_spacing64 = letter_spacing64
        self._runs: dict[tuple[str, int, bool], _Run] = {}

    def shape(
        self,
        text: str,
        codepoints_N: UInt32[np.ndarray, " N"],
        slots_N: Int32[np.ndarray, " N"],
        advance64_N: Int32[np.ndarray, " N"],
        open_level: int | None,
    ) -> ShapedBlock:
        """Shape one block.

        Args:
            text: The block.
            codepoints_N: Its code points.
            slots_N: Slots as if every character stood alone; kept where that is right.
            advance64_N: Advances as if every character stood alone.
            open_level: Level of the paragraph that began in an earlier block, or None.
        """
        if len(self._runs) > MAX_REMEMBERED_RUNS:
            self._runs.clear()
        level_N, base_N = paragraph_levels(codepoints_N, open_level)
        starts, ends, faces, scripts = self._runs_of(codepoints_N, level_N)
        found: list[_Run] = []
        for start, end, face, script in zip(starts, ends, faces, scripts, strict=True):
            key = (text[start:end], face, bool(level_N[start] & 1))
            run = self._runs.get(key)
            if run is None:
                run = self._runs[key] = self._shape_run(*key, script_tags()[script])
            found.append(run)
        return self._merge(np.array(starts, np.int64), found, slots_N, advance64_N, level_N, base_N)

    def _runs_of(
        self, codepoints_N: UInt32[np.ndarray, " N"], level_N: UInt8[np.ndarray, " N"]
    ) -> tuple[list[int], list[int], list[int], list[int]]:
        """Return start, end, face and script of the runs that must be shaped."""
        face_N = self._faces_of(codepoints_N)
        script_N = _resolved_scripts(codepoints_N)
        blank_N = (codepoints_N == 0x20) | (codepoints_N == 9) | (codepoints_N == NEWLINE_CP)
        changes = (
            (blank_N[1:] != blank_N[:-1])
            | (level_N[1:] != level_N[:-1])
            | (script_N[1:] != script_N[:-1])
            | (face_N[1:] != face_N[:-1])
        )
        starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
        needed_N = (needs_shaping()[codepoints_N] | ((level_N & 1) == 1)) & ~blank_N
        needed = np.logical_or.reduceat(needed_N, starts)
        ends = np.append(starts[1:], len(codepoints_N))[needed]
        starts = starts[needed]
        return (starts.tolist(), ends.tolist(), face_N[starts].tolist(), script_N[starts].tolist())

    def _faces_of(self, codepoints_N: UInt32[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
        """Return the face of each character; marks and joiners stay with their base if they can."""
        face_N = self._atlas.faces_of(codepoints_N)
        extends = np.flatnonzero(is_cluster_extend()[codepoints_N[1:]]) + 1
        for i in extends[face_N[extends] != face_N[extends - 1]].tolist():
            codepoint, base_face = int(codepoints_N[i]), int(face_N[i - 1])
            if self._atlas.draws(base_face, codepoint):
                face_N[i] = base_face
        return face_N

    def _shape_run(self, text: str, face_index: int, right_to_left: bool, script: str) -> _Run:
        shaped = self._atlas.face(face_index).shape(
            text, right_to_left=right_to_left, script=script
        )
        advance64 = np.zeros(len(text), np.int32)
        attached = np.ones(len(text), np.bool_)
        rows: list[tuple[int, int, int, int]] = []
        clusters = _clusters(shaped)
        ends = _next_starts([cluster for cluster, _, _ in clusters], len(text))
        for cluster, first, last in clusters:
            pen64 = 0
            unknown = self._unknown(text[cluster : ends[cluster]], face_index)
            for i in range(first, last):
                if shaped.glyph[i]:
                    slot = self._atlas.slot_of_glyph(face_index, shaped.glyph[i])
                    width64 = shaped.advance64[i]
                else:
                    # Glyph 0 is "not defined"; the box with the code point stands for it.
                    slot = self._atlas.slot_of(next(unknown, text[cluster]))
                    width64 = int(self._atlas.advance64[slot])
                dy = -round(shaped.y64[i] / SUBPIXELS)
                rows.append((cluster, slot, pen64 + shaped.x64[i], dy))
                pen64 += width64
            spacing64 = self._letter_spacing64 if pen64 else 0
            advance64[cluster] = max(pen64, 0) + spacing64
            attached[cluster] = False
        rows.sort(key=lambda row: row[0])
        char, slot, dx64, dy = np.array(rows, np.int32).reshape(-1, 4).T
        return _Run(advance64, attached, slot, char, dx64, dy)

    def _unknown(self, cluster: str, face_index: int) -> Iterator[str]:
        return (char for char in cluster if not self._atlas.draws(face_index, ord(char)))

    def _merge(
        self,
        starts: Int[np.ndarray, " R"],
        runs: list[_Run],
        slots_N: Int32[np.ndarray, " N"],
        advance64_N: Int32[np.ndarray, " N"],
        level_N: UInt8[np.ndarray, " N"],
        base_N: UInt8[np.ndarray, " N"],
    ) -> ShapedBlock:
        lengths = np.array([len(run.advance64) for run in runs], np.int64)
        inside = _ranges(starts, lengths)
        advance64_N = advance64_N.copy()
        attached_N = np.zeros(len(slots_N), np.bool_)
        alone_N = np.ones(len(slots_N), np.bool_)
        alone_N[inside] = False
        advance64_N[inside] = _joined([run.advance64 for run in runs])
        attached_N[inside] = _joined([run.attached for run in runs])
        num_glyphs = np.array([len(run.slot) for run in runs], np.int64)
        shaped_char = _joined([run.char for run in runs]) + np.repeat(starts, num_glyphs)
        alone = np.flatnonzero(alone_N)
        zeros = np.zeros(len(alone), np.int32)
        char_G = np.concatenate((alone, shaped_char))
        order = np.argsort(char_G, kind="stable")
        return ShapedBlock(
            advance64_N,
            attached_N,
            level_N,
            base_N,
            np.concatenate((slots_N[alone], _joined([run.slot for run in runs])))[order],
            char_G[order],
            np.concatenate((zeros, _joined([run.dx64 for run in runs])))[order],
            np.concatenate((zeros, _joined([run.dy for run in runs])))[order],
        )


def paragraph_levels(
    codepoints_N: UInt32[np.ndarray, " N"], open_level: int | None
) -> tuple[UInt8[np.ndarray, " N"], UInt8[np.ndarray, " N"]]:
    """Return embedding level and paragraph level of every character of a block.

    Args:
        codepoints_N: The block; paragraphs end with a line feed.
        open_level: Level of the paragraph the block begins in, or None at its start.

    Source:
        UAX #9 (Unicode 15.0), rules P1 to I2. Deviation: a paragraph that spans blocks is
        resolved block by block with the level of its beginning.
    """
    level_N = np.zeros(len(codepoints_N), np.uint8)
    base_N = np.zeros(len(codepoints_N), np.uint8)
    is_rtl = _starts_right_to_left()[bidi_class()[codepoints_N]]
    ends = np.flatnonzero(codepoints_N == NEWLINE_CP) + 1
    bounds = np.unique(np.concatenate(([0], ends, [len(codepoints_N)])))
    has_rtl = np.logical_or.reduceat(is_rtl, bounds[:-1])
    for i, (start, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        base = open_level if i == 0 else None
        if has_rtl[i] or base:
            levels, base = embedding_levels(codepoints_N[start:end], base)
            level_N[start:end] = levels
            base_N[start:end] = base
    return level_N, base_N


def visual_order(
    level_N: UInt8[np.ndarray, " N"],
    base_N: UInt8[np.ndarray, " N"],
    end_L: Int[np.ndarray, " L"],
    ink_end_L: Int[np.ndarray, " L"],
) -> Int[np.ndarray, " N"]:
    """Return, line by line, the characters in the order they stand from left to right.

    Args:
        level_N: Embedding levels of the characters of all lines.
        base_N: Paragraph levels; white space at a line's end takes this (rule L1).
        end_L: One past each line's last character.
        ink_end_L: Where each line's white space at the end begins.

    Source:
        UAX #9, rules L1 and L2, for all lines at once: from the highest level down, every run of
        at least that level within a line is turned round.
    """
    n = int(end_L[-1])
    line_N = np.repeat(np.arange(len(end_L)), np.diff(end_L, prepend=0))
    hangs_N = np.arange(n) >= np.repeat(ink_end_L, np.diff(end_L, prepend=0))
    level_N = np.where(hangs_N, base_N[:n], level_N[:n])
    order_N = np.arange(n)
    for level in range(int(level_N.max(initial=0)), 0, -1):
        high_N = level_N[order_N] >= level
        edge_N = np.ones(n, np.bool_)
        edge_N[1:] = (high_N[1:] != high_N[:-1]) | (line_N[1:] != line_N[:-1])
        starts = np.flatnonzero(edge_N)
        ends = np.append(starts[1:], n)
        lengths = ends - starts
        turned_N = np.repeat(starts + ends - 1, lengths) - np.arange(n)
        order_N = np.where(high_N, order_N[turned_N], order_N)
    return order_N


def _starts_right_to_left() -> Bool[np.ndarray, " T"]:
    table = np.zeros(len(Bidi), np.bool_)
    table[[Bidi.R, Bidi.AL, Bidi.AN, Bidi.RLE, Bidi.RLO, Bidi.RLI]] = True
    return table


def _resolved_scripts(codepoints_N: UInt32[np.ndarray, " N"]) -> UInt8[np.ndarray, " N"]:
    """Return scripts with common and inherited characters joined to the text before them."""
    script_N = script_of()[codepoints_N]
    neutral = [script_tags().index(tag) for tag in ("Zyyy", "Zinh") if tag in script_tags()]
    real_N = ~np.isin(script_N, neutral)
    if not real_N.any():
        return script_N
    last_N = np.maximum.accumulate(np.where(real_N, np.arange(len(script_N)), -1))
    first = int(np.argmax(real_N))
    return script_N[np.where(last_N < 0, first, last_N)]


def _clusters(shaped: Shaped) -> list[tuple[int, int, int]]:
    """Return (first character, first glyph, one past the last glyph) of each cluster."""
    found: list[tuple[int, int, int]] = []
    first = 0
    for i in range(1, len(shaped.cluster) + 1):
        if i == len(shaped.cluster) or shaped.cluster[i] != shaped.cluster[first]:
            found.append((shaped.cluster[first], first, i))
            first = i
    return found


def _next_starts(starts: list[int], end: int) -> dict[int, int]:
    """Return where the cluster after each one begins, in the order of the text."""
    in_order = sorted(starts)
    return dict(zip(in_order, [*in_order[1:], end], strict=True))


def _ranges(starts: Int[np.ndarray, " R"], lengths: Int[np.ndarray, " R"]) -> Any:
    """Return the indices of all ranges, one range after another."""
    if not len(starts):
        return np.zeros(0, np.int64)
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1])) + np.repeat(starts - ends + lengths, lengths)


def _joined(parts: "list[np.ndarray[Any, Any]]") -> Any:
    return np.concatenate(parts) if parts else np.zeros(0, np.int32)
