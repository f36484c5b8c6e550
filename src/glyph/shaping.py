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
from glyph.bidi import block_levels, reset_line_levels
from glyph.fonts import Shaped
from glyph.pages import SUBPIXELS
from glyph.unicode_data import (
    is_cluster_extend,
    needs_shaping,
    script_of,
    script_tags,
)

MAX_REMEMBERED_RUNS = 200_000
NEWLINE_CP = 10


RunKey = tuple[str, int, int, int]
"""What a run's shape depends on: its text, face, direction and script."""


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


class Shaper:
    """Shapes blocks with the faces of one atlas and remembers, with the atlas, every run."""

    def __init__(self, atlas: Atlas, letter_spacing64: int):
        self._atlas = atlas
        self._letter_spacing64 = letter_spacing64

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
        level_N, base_N = block_levels(codepoints_N, first_base=open_level)
        # Columns set apart by tabs keep the paragraph's order, whatever the words in them are.
        level_N = reset_line_levels(level_N, codepoints_N, base_N)
        starts, ends, faces, scripts = self._runs_of(codepoints_N, level_N)
        store = self._atlas.run_store(RunStore)
        columns = (starts, ends, faces, level_N[starts] & 1, scripts)
        known = store.number_of
        numbers: list[int] = []
        for start, end, *kind in zip(*(c.tolist() for c in columns), strict=True):
            # The script is part of the key: it comes from the text around, and may change shapes.
            key = (text[start:end], *kind)
            number = known.get(key)
            if number is None:
                number = store.add(key, self._shape_run(*key))
            numbers.append(number)
        runs = store.gather(np.array(numbers, np.int64), starts)
        return self._merge(runs, slots_N, advance64_N, level_N, base_N)

    def _runs_of(
        self, codepoints_N: UInt32[np.ndarray, " N"], level_N: UInt8[np.ndarray, " N"]
    ) -> tuple[Any, Any, Any, Any]:
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
        return starts, ends, face_N[starts], script_N[starts]

    def _faces_of(self, codepoints_N: UInt32[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
        """Return the face of each character; marks and joiners stay with their base if they can."""
        face_N = self._atlas.faces_of(codepoints_N)
        extends_N = is_cluster_extend()[codepoints_N]
        base_N = np.maximum.accumulate(np.where(extends_N, 0, np.arange(len(face_N))))
        base_face_N = face_N[base_N]
        for i in np.flatnonzero(face_N != base_face_N).tolist():
            if self._atlas.draws(int(base_face_N[i]), int(codepoints_N[i])):
                face_N[i] = base_face_N[i]
        return face_N

    def _shape_run(self, text: str, face_index: int, is_rtl: int, script: int) -> "_Run":
        face = self._atlas.face(face_index)
        shaped = face.shape(text, right_to_left=bool(is_rtl), script=script_tags()[script])
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
            advance64[cluster] = max(pen64, 0)
            attached[cluster] = False
        rows.sort(key=lambda row: row[0])
        char, slot, dx64, dy = np.array(rows, np.int32).reshape(-1, 4).T
        return _Run(advance64, attached, slot, char, dx64, dy)

    def _unknown(self, cluster: str, face_index: int) -> Iterator[str]:
        return (char for char in cluster if not self._atlas.draws(face_index, ord(char)))

    def _merge(
        self,
        runs: "_GatheredRuns",
        slots_N: Int32[np.ndarray, " N"],
        advance64_N: Int32[np.ndarray, " N"],
        level_N: UInt8[np.ndarray, " N"],
        base_N: UInt8[np.ndarray, " N"],
    ) -> ShapedBlock:
        spacing64 = np.where(runs.advance64 > 0, np.int32(self._letter_spacing64), np.int32(0))
        advance64_N = advance64_N.copy()
        advance64_N[runs.inside] = runs.advance64 + spacing64
        attached_N = np.zeros(len(slots_N), np.bool_)
        attached_N[runs.inside] = runs.attached
        alone_N = np.ones(len(slots_N), np.bool_)
        alone_N[runs.inside] = False
        alone = np.flatnonzero(alone_N)
        zeros = np.zeros(len(alone), np.int32)
        char_G = np.concatenate((alone, runs.char))
        order = np.argsort(char_G, kind="stable")
        return ShapedBlock(
            advance64_N,
            attached_N,
            level_N,
            base_N,
            np.concatenate((slots_N[alone], runs.slot))[order],
            char_G[order],
            np.concatenate((zeros, runs.dx64))[order],
            np.concatenate((zeros, runs.dy))[order],
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One shaped run: per character its cluster width, per glyph slot and place."""

    advance64: Any
    attached: Any
    slot: Any
    char: Any
    dx64: Any
    dy: Any


@dataclass(frozen=True, slots=True, eq=False)
class _GatheredRuns:
    """The runs of a block as flat arrays; `inside` lists the characters they cover."""

    inside: Any
    advance64: Any
    attached: Any
    slot: Any
    char: Any
    dx64: Any
    dy: Any


class RunStore:
    """Every run shaped so far, numbered, in flat arrays that a block's runs are gathered from."""

    def __init__(self) -> None:
        self.number_of: dict[RunKey, int] = {}
        self._clear()

    def _clear(self) -> None:
        self.number_of.clear()
        self._num_runs, self._num_chars, self._num_glyphs = 0, 0, 0
        self._span_R4 = np.zeros((1024, 4), np.int64)
        self._chars_C2 = np.zeros((8192, 2), np.int32)
        self._glyphs_G4 = np.zeros((8192, 4), np.int32)

    def add(self, key: RunKey, run: _Run) -> int:
        """Keep a run and return its number."""
        number, chars, glyphs = self._num_runs, self._num_chars, self._num_glyphs
        num_chars, num_glyphs = len(run.advance64), len(run.slot)
        self._span_R4 = _grown(self._span_R4, number + 1)
        self._chars_C2 = _grown(self._chars_C2, chars + num_chars)
        self._glyphs_G4 = _grown(self._glyphs_G4, glyphs + num_glyphs)
        self._span_R4[number] = chars, num_chars, glyphs, num_glyphs
        self._chars_C2[chars : chars + num_chars, 0] = run.advance64
        self._chars_C2[chars : chars + num_chars, 1] = run.attached
        target = self._glyphs_G4[glyphs : glyphs + num_glyphs]
        target.T[:] = run.slot, run.char, run.dx64, run.dy
        self._num_runs += 1
        self._num_chars += num_chars
        self._num_glyphs += num_glyphs
        self.number_of[key] = number
        return number

    def gather(
        self, numbers: Int[np.ndarray, " R"], starts: Int[np.ndarray, " R"]
    ) -> _GatheredRuns:
        """Return the runs with these numbers that begin at these characters of the block."""
        chars, num_chars, glyphs, num_glyphs = self._span_R4[numbers].T
        advance64, attached = self._chars_C2[_ranges(chars, num_chars)].T
        slot, char, dx64, dy = self._glyphs_G4[_ranges(glyphs, num_glyphs)].T
        inside = _ranges(starts, num_chars)
        found = _GatheredRuns(
            inside, advance64, attached != 0, slot, char + np.repeat(starts, num_glyphs), dx64, dy
        )
        if self._num_runs > MAX_REMEMBERED_RUNS:
            self._clear()
        return found


def _grown(table: Any, size: int) -> Any:
    if size <= len(table):
        return table
    grown = np.zeros((max(size, 2 * len(table)), table.shape[1]), table.dtype)
    grown[: len(table)] = table
    return grown


def visual_order(
    level_N: UInt8[np.ndarray, " N"],
    base_L: UInt8[np.ndarray, " L"],
    end_L: Int[np.ndarray, " L"],
    ink_end_L: Int[np.ndarray, " L"],
) -> Int[np.ndarray, " N"]:
    """Return, line by line, the characters in the order they stand from left to right.

    Args:
        level_N: Embedding levels of the characters of all lines.
        base_L: Levels of the lines; white space at a line's end takes its line's (rule L1).
        end_L: One past each line's last character.
        ink_end_L: Where each line's white space at the end begins.

    Source:
        UAX #9, rules L1 and L2, for all lines at once: from the highest level down, every run of
        at least that level within a line is turned round.
    """
    n = int(end_L[-1])
    line_N = np.repeat(np.arange(len(end_L)), np.diff(end_L, prepend=0))
    hangs_N = np.arange(n) >= ink_end_L[line_N]
    level_N = np.where(hangs_N, base_L[line_N], level_N[:n])
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
