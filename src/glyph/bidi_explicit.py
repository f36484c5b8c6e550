"""Explicit levels of bidirectional text: rules P1 to P3 and X1 to X10 of UAX #9.

Only control characters are walked one by one; what stands between two of them is handled in bulk.
"""

from bisect import bisect_left
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from glyph.unicode_data import Bidi, BoolArray, UInt8Array

IntpArray = npt.NDArray[np.intp]

MAX_DEPTH: Final = 125  # BD2

(L, R, AL, EN, ES, ET, AN, CS, NSM, BN, B, S, WS, ON) = range(Bidi.ON + 1)
(LRE, LRO, RLE, RLO, PDF, LRI, RLI, FSI, PDI) = range(Bidi.LRE, Bidi.PDI + 1)


def _membership(*members: int) -> BoolArray:
    table = np.zeros(len(Bidi), np.bool_)
    table[list(members)] = True
    return table


STRONG: Final = _membership(L, R, AL)
REMOVED: Final = _membership(LRE, LRO, RLE, RLO, PDF, BN)  # X9
CONTROLS: Final = _membership(LRE, LRO, RLE, RLO, PDF, LRI, RLI, FSI, PDI)
RAISES: Final = CONTROLS | _membership(R, AL, AN)  # without these a level stays 0
INITIATORS: Final = _membership(LRI, RLI, FSI)
ISOLATES: Final = INITIATORS | _membership(PDI)
_STOPS: Final = INITIATORS | STRONG  # where P2 looks
NEUTRAL: Final = ISOLATES | _membership(B, S, WS, ON)  # NI
SEPARATORS: Final = _membership(S, B)
SPACES: Final = CONTROLS | _membership(WS, BN)  # L1, with what X9 removes
_OVERRIDES: Final = {LRO: L, RLO: R}


def last_true(mask_N: BoolArray) -> IntpArray:
    """Return the index of the last true entry at or before each; the first must be true."""
    index_N = np.where(mask_N, np.arange(mask_N.size), 0)
    return np.maximum.accumulate(index_N, out=index_N)


def next_true(mask_N: BoolArray) -> IntpArray:
    """Return the index of the first true entry at or after each; the last must be true."""
    return (mask_N.size - 1) - last_true(mask_N[::-1])[::-1]


def runs_of(values_N: npt.NDArray[np.integer[Any]]) -> tuple[IntpArray, IntpArray]:
    """Return starts and lengths of the runs of equal values."""
    is_start = np.ones(values_N.size, np.bool_)
    np.not_equal(values_N[1:], values_N[:-1], out=is_start[1:])
    starts = is_start.nonzero()[0]
    lengths = np.empty_like(starts)
    lengths[:-1] = starts[1:] - starts[:-1]
    lengths[-1:] = values_N.size - starts[-1:]
    return starts, lengths


class Gaps(NamedTuple):
    """The runs of true entries of a mask that is false at both ends.

    at_G: indices of the true entries. lengths_R: entries of each run.
    before_R, after_R: indices of the false entries on either side.
    """

    at_G: IntpArray
    lengths_R: IntpArray
    before_R: IntpArray
    after_R: IntpArray


def gaps_of(mask_N: BoolArray) -> Gaps:
    """Return the runs of true entries, so that a value beside a run can be spread over it."""
    at_G = mask_N.nonzero()[0]
    is_head = np.ones(at_G.size, np.bool_)
    np.not_equal(at_G[1:] - at_G[:-1], 1, out=is_head[1:])
    heads = is_head.nonzero()[0]
    ends = np.append(heads, at_G.size)[1:]
    return Gaps(at_G, ends - heads, at_G[heads] - 1, at_G[ends - 1] + 1)


class Text(NamedTuple):
    """A block of paragraphs after the explicit rules.

    types_N: original types. resolved_N: types after overrides. levels_N: explicit levels.
    base_N: level of each character's paragraph. starts_P: where paragraphs begin.
    isolates: matching PDI of each isolate initiator that has one.
    """

    types_N: UInt8Array
    resolved_N: UInt8Array
    levels_N: UInt8Array
    base_N: UInt8Array
    starts_P: IntpArray
    isolates: dict[int, int]


def explicit_text(
    types_N: UInt8Array, starts_P: IntpArray, base: int | None, first_base: int | None
) -> Text:
    """Apply P2 to X8 to the paragraphs that begin at `starts_P`; the bases are as in `bidi`."""
    controls = CONTROLS.take(types_N).nonzero()[0]
    ends_P = np.append(starts_P[1:], types_N.size)
    walked: list[int] = np.unique(starts_P.searchsorted(controls, "right") - 1).tolist()
    isolates = _matching_isolates(types_N, controls, starts_P)
    if base is None:
        strong = np.append(STRONG.take(types_N).nonzero()[0], types_N.size)
        first = strong[strong.searchsorted(starts_P)]
        base_P = ((first < ends_P) & (np.append(types_N, L)[first] != L)).astype(np.uint8)
        for number in walked:
            begin, end = int(starts_P[number]), int(ends_P[number])
            base_P[number] = _first_strong_level(types_N, isolates, begin, end)
    else:
        base_P = np.full(starts_P.size, base, np.uint8)
    if first_base is not None:
        base_P[0] = first_base
    base_N = np.repeat(base_P, ends_P - starts_P)
    text = Text(types_N, types_N.copy(), base_N.copy(), base_N, starts_P, isolates)
    found: list[int] = controls.tolist()
    for number in walked:
        begin, end = int(starts_P[number]), int(ends_P[number])
        _walk_controls(text, found[bisect_left(found, begin) : bisect_left(found, end)], begin, end)
    is_separator = types_N == B
    text.levels_N[is_separator] = base_N[is_separator]  # X8
    text.resolved_N[is_separator] = B
    return text


def paragraph_starts(types_N: UInt8Array, codepoints_N: npt.NDArray[np.uint32]) -> IntpArray:
    """Return where paragraphs begin (P1); CR LF is one separator."""
    is_end = types_N == B
    is_end[:-1] &= ~((codepoints_N[:-1] == 0x0D) & (codepoints_N[1:] == 0x0A))
    return np.concatenate((np.zeros(1, np.intp), is_end[:-1].nonzero()[0] + 1))


def _matching_isolates(
    types_N: UInt8Array, controls: IntpArray, starts_P: IntpArray
) -> dict[int, int]:
    """Return the matching PDI of every isolate initiator that has one (BD9)."""
    at_isolates = controls[ISOLATES.take(types_N[controls])]
    paragraphs = starts_P.searchsorted(at_isolates, "right")
    opened: list[int] = []
    matching: dict[int, int] = {}
    current = 0
    for at, paragraph in zip(at_isolates.tolist(), paragraphs.tolist(), strict=True):
        if paragraph != current:
            current = paragraph
            opened.clear()
        if types_N[at] != PDI:
            opened.append(at)
        elif opened:
            matching[opened.pop()] = at
    return matching


def _first_strong_level(types_N: UInt8Array, isolates: dict[int, int], start: int, end: int) -> int:
    """Apply P2 and P3 to a span: 1 if its first strong type outside isolates is R or AL."""
    at = start
    while at < end:
        stretch = _STOPS.take(types_N[at : min(at + 256, end)])  # it is nearly always near
        found = int(stretch.argmax())
        at += found
        if not stretch[found]:
            at += stretch.size - found
        elif INITIATORS[types_N[at]]:
            at = isolates.get(at, end) + 1
        else:
            return int(types_N[at] != L)
    return 0


class _Status(NamedTuple):
    """An entry of the directional status stack; `override` is L, R or None for neutral."""

    level: int
    override: int | None = None
    is_isolate: bool = False


def _walk_controls(text: Text, controls: list[int], begin: int, end: int) -> None:
    """Apply X1 to X8 to one paragraph, in place."""
    levels_N, resolved_N = text.levels_N, text.resolved_N
    stack = [_Status(int(text.base_N[begin]))]
    overflow_isolates = overflow_embeddings = valid_isolates = 0
    for at, following in pairwise([*controls, end]):
        kind = int(text.types_N[at])
        outside = stack[-1]
        if kind == PDF:  # X7
            if overflow_isolates:
                pass
            elif overflow_embeddings:
                overflow_embeddings -= 1
            elif len(stack) > 1 and not outside.is_isolate:
                stack.pop()
        elif kind == PDI:  # X6a
            if overflow_isolates:
                overflow_isolates -= 1
            elif valid_isolates:
                valid_isolates -= 1
                overflow_embeddings = 0
                while not stack.pop().is_isolate:
                    pass
            outside = stack[-1]
        else:  # X2-X5c
            entry = _entry_of(kind, text, at, end, outside.level)
            if entry.level <= MAX_DEPTH and not overflow_isolates and not overflow_embeddings:
                stack.append(entry)
                valid_isolates += entry.is_isolate
            elif entry.is_isolate:
                overflow_isolates += 1
            elif not overflow_isolates:
                overflow_embeddings += 1
        levels_N[at] = outside.level
        if outside.override is not None:
            resolved_N[at] = outside.override
        levels_N[at + 1 : following] = stack[-1].level
        if stack[-1].override is not None:
            resolved_N[at + 1 : following] = stack[-1].override


def _entry_of(kind: int, text: Text, at: int, end: int, level: int) -> _Status:
    """Return the stack entry that an embedding, override or isolate asks for (X2 to X5c)."""
    if kind == FSI:
        is_rtl = bool(
            _first_strong_level(text.types_N, text.isolates, at + 1, text.isolates.get(at, end))
        )
    else:
        is_rtl = kind in (RLE, RLO, RLI)
    next_level = (level + 1) | 1 if is_rtl else (level + 2) & ~1
    return _Status(next_level, _OVERRIDES.get(kind), kind in (LRI, RLI, FSI))


class Sequences(NamedTuple):
    """The isolating run sequences of a paragraph, one after the other.

    order_K: indices into the paragraph, without removed characters.
    lengths_S: characters of each sequence, in the order of `order_K`.
    sos_S, eos_S: the types at their borders, L or R.
    """

    order_K: IntpArray
    lengths_S: IntpArray
    sos_S: UInt8Array
    eos_S: UInt8Array


def isolating_run_sequences(text: Text, kept_K: IntpArray) -> Sequences:
    """Cut the paragraphs into level runs and join those that an isolate interrupts (BD13)."""
    levels_K, base_K = text.levels_N[kept_K], text.base_N[kept_K]
    is_start = np.zeros(text.types_N.size, np.int32)
    is_start[text.starts_P] = 1
    paragraph_K = np.cumsum(is_start, dtype=np.int32)[kept_K]
    starts, lengths = runs_of(levels_K + (paragraph_K << 7))
    last_of_run = kept_K[starts + lengths - 1]
    # Next to each run stand its neighbours or, at the ends of its paragraph, the paragraph's level.
    levels, base = levels_K[starts], base_K[starts]
    before, after = base.copy(), base.copy()
    inside = (paragraph_K[starts][1:] == paragraph_K[starts][:-1]).nonzero()[0]
    before[inside + 1] = levels[inside]
    after[inside] = levels[inside + 1]
    # An initiator that ends its sequence has no matching PDI: the paragraph's level follows.
    is_open = INITIATORS.take(text.types_N[last_of_run])
    after[is_open] = base[is_open]
    sos_of_run = np.maximum(levels, before) & np.uint8(1)
    eos_of_run = np.maximum(levels, after) & np.uint8(1)
    if not text.isolates:
        return Sequences(kept_K, lengths, sos_of_run, eos_of_run)
    sequence_of_run = _join_runs(kept_K[starts].tolist(), last_of_run.tolist(), text.isolates)
    num = int(sequence_of_run.max()) + 1
    first_run, last_run = np.empty(num, np.intp), np.empty(num, np.intp)
    runs = np.arange(starts.size)
    first_run[sequence_of_run[::-1]] = runs[::-1]
    last_run[sequence_of_run] = runs
    sequence_K = np.repeat(sequence_of_run, lengths)
    return Sequences(
        kept_K[np.argsort(sequence_K, kind="stable")],
        np.bincount(sequence_K, minlength=num),
        sos_of_run[first_run],
        eos_of_run[last_run],
    )


def _join_runs(firsts: list[int], lasts: list[int], isolates: dict[int, int]) -> IntpArray:
    """Number the sequence of each level run, from its first and last character."""
    awaited: dict[int, int] = {}  # sequence by the PDI that continues it
    numbers: list[int] = []
    num = 0
    for first, last in zip(firsts, lasts, strict=True):
        number = awaited.get(first, num)
        num += number == num
        numbers.append(number)
        if last in isolates:
            awaited[isolates[last]] = number
    return np.array(numbers, np.intp)
