"""In which order text is shown: the Unicode bidirectional algorithm (UAX #9, Unicode 15.0).

Levels are found for a whole paragraph, lines are cut by layout, and each line is then reordered.
Explicit controls are walked one by one; characters between them are handled in bulk. All
isolating run sequences of a paragraph stand in one array, each between two sentinels that carry
its sos and eos, so that the W and N rules are array operations which never leak from one sequence
into another. Only brackets are visited in a Python loop. Cost is linear in the paragraph, and
bracket pairs may be any distance apart.

Characters that X9 removes stay in the arrays with the level of the character before them
(UAX #9, section 5.2), so indices never shift.
"""

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Int, UInt8, UInt32

from glyph.errors import ConfigError
from glyph.unicode_data import (
    BRACKET_CLOSES,
    Bidi,
    BoolArray,
    UInt8Array,
    bidi_class,
    bracket_type,
    mirrored_pairs,
)

IntpArray = npt.NDArray[np.intp]

MAX_DEPTH: Final = 125  # BD2
MAX_OPEN_BRACKETS: Final = 63  # BD16

(L, R, AL, EN, ES, ET, AN, CS, NSM, BN, B, S, WS, ON) = range(Bidi.ON + 1)
(LRE, LRO, RLE, RLO, PDF, LRI, RLI, FSI, PDI) = range(Bidi.LRE, Bidi.PDI + 1)


def _membership(*members: int) -> BoolArray:
    table = np.zeros(len(Bidi), np.bool_)
    table[list(members)] = True
    return table


_IS_STRONG: Final = _membership(L, R, AL)
_IS_REMOVED: Final = _membership(LRE, LRO, RLE, RLO, PDF, BN)  # X9
_IS_CONTROL: Final = _membership(LRE, LRO, RLE, RLO, PDF, LRI, RLI, FSI, PDI)
_IS_ISOLATE: Final = _membership(LRI, RLI, FSI, PDI)
_IS_INITIATOR: Final = _membership(LRI, RLI, FSI)
_IS_NEUTRAL: Final = _membership(B, S, WS, ON, LRI, RLI, FSI, PDI)  # NI
_STOPS: Final = _membership(L, R, AL, LRI, RLI, FSI)  # where P2 looks
_IS_SEPARATOR: Final = _membership(S, B)
_IS_TRAILING: Final = _membership(  # L1, with what X9 removes
    WS, LRI, RLI, FSI, PDI, LRE, LRO, RLE, RLO, PDF, BN
)


def embedding_levels(
    codepoints_N: UInt32[np.ndarray, " N"], base: int | None = None
) -> tuple[UInt8[np.ndarray, " N"], int]:
    """Return the embedding level of every character of one paragraph, and the paragraph's level.

    Odd levels run from right to left. Lines are not known yet: give each line to
    `reset_line_levels` before it is reordered.

    Args:
        codepoints_N: One paragraph, with at most one separator, at its end.
        base: 0 for left to right, 1 for right to left, None for the first strong character.

    Returns: levels, uint8 in 0..126; the paragraph's embedding level, 0 or 1.

    Raises:
        ConfigError: `base` is another number.

    Source: UAX #9, rules P2-P3, X1-X10, W1-W7, N0-N2, I1-I2.

    Example:
        >>> levels, base = embedding_levels(np.array([0x5D0, 0x20, 0x31, 0x32], np.uint32))
        >>> levels.tolist(), base
        ([1, 1, 2, 2], 1)
    """
    if base not in (None, 0, 1):
        raise ConfigError(
            f"The base level of a paragraph cannot be {base}: pass 0 for left to right, 1 for "
            "right to left, or None to take it from the first strong character."
        )
    return _levels_of_types(bidi_class().take(codepoints_N), codepoints_N, base)


def reset_line_levels(
    levels_N: UInt8[np.ndarray, " N"], codepoints_N: UInt32[np.ndarray, " N"], base: int
) -> UInt8[np.ndarray, " N"]:
    """Return the levels of one line with its tabs and trailing white space at the base level.

    Args:
        levels_N: The line's slice of what `embedding_levels` returned.
        codepoints_N: The same slice of the paragraph.
        base: The paragraph's level, as `embedding_levels` returned it.

    Source: UAX #9, rule L1; removed characters count as white space (section 5.2).

    Example:
        >>> line = np.array([0x5D0, 0x20], np.uint32)
        >>> reset_line_levels(np.array([1, 1], np.uint8), line, 0).tolist()
        [1, 0]
    """
    types_N = bidi_class().take(codepoints_N)
    is_separator = _IS_SEPARATOR.take(types_N)
    is_space = _IS_TRAILING.take(types_N)
    # Each space joins the next character that is none; one past the end stands for the line's end.
    following = _next(np.append(~is_space, True))[:-1]
    reset = is_separator | (is_space & np.append(is_separator, True)[following])
    return np.where(reset, np.uint8(base), levels_N)


def visual_order(levels_N: UInt8[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Return the indices of a line's characters from left to right.

    Args:
        levels_N: Levels of the line after `reset_line_levels`.

    Returns: intp, a permutation of 0..N-1.

    Source: UAX #9, rule L2.

    Example:
        >>> visual_order(np.array([0, 1, 1, 2, 2, 0], np.uint8)).tolist()
        [0, 3, 4, 2, 1, 5]
    """
    starts, lengths = _runs(levels_N)
    if starts.size < 2:
        order_N = np.arange(levels_N.size)
        return order_N[::-1] if starts.size and levels_N[0] & 1 else order_N
    shown = np.array(_reversed_runs(levels_N[starts].tolist()), np.intp)
    starts, lengths = starts[shown], lengths[shown]
    # Index minus place is constant in a forward run, index plus place in a backward one.
    begin = np.cumsum(lengths) - lengths
    is_backward = (levels_N[starts] & 1).astype(np.bool_)
    offset = np.where(is_backward, starts + lengths - 1 + begin, starts - begin)
    place_N = np.arange(levels_N.size)
    return np.repeat(offset, lengths) + np.where(np.repeat(is_backward, lengths), -place_N, place_N)


def _reversed_runs(run_levels: list[int]) -> list[int]:
    """Return the order of level runs after every reversal of L2."""
    order = list(range(len(run_levels)))
    occurring = sorted({0, *run_levels}, reverse=True)
    for level, lower in pairwise(occurring):
        if (level - lower) % 2 == 0:
            continue  # L2 reverses the same stretches once for each level above `lower`
        begin = 0
        while begin < len(order):
            end = begin
            while end < len(order) and run_levels[order[end]] >= level:
                end += 1
            order[begin:end] = order[begin:end][::-1]
            begin = end + 1
    return order


def _runs(values_N: UInt8Array) -> tuple[IntpArray, IntpArray]:
    """Return starts and lengths of the runs of equal values."""
    is_start = np.ones(values_N.size, np.bool_)
    np.not_equal(values_N[1:], values_N[:-1], out=is_start[1:])
    starts = is_start.nonzero()[0]
    lengths = np.empty_like(starts)
    lengths[:-1] = starts[1:] - starts[:-1]
    lengths[-1:] = values_N.size - starts[-1:]
    return starts, lengths


def mirror(codepoint: int) -> int:
    """Return the code point whose glyph mirrors this one, or the same one when none does.

    Source: UAX #9, rule L4, for characters at odd levels.

    Example:
        >>> chr(mirror(ord("(")))
        ')'
    """
    return mirrored_pairs().get(codepoint, codepoint)


def _levels_of_types(
    types_N: UInt8Array, codepoints_N: npt.NDArray[np.uint32], base: int | None
) -> tuple[UInt8Array, int]:
    present = np.bincount(types_N, minlength=len(Bidi)) > 0
    has_controls = bool(np.any(present & _IS_CONTROL))
    if not base and not has_controls and not np.any(present[[R, AL, AN]]):
        return np.zeros_like(types_N), 0  # nothing can rise above level 0
    isolates = _matching_isolates(types_N) if has_controls else {}
    if base is None:
        base = _first_strong_level(types_N, isolates, 0, types_N.size)
    if has_controls:
        levels_N, resolved_N = _explicit_levels(types_N, isolates, base)
    else:
        levels_N, resolved_N = np.full_like(types_N, base), types_N
    levels_N[types_N == B] = base  # X8
    kept_K = np.flatnonzero(~_IS_REMOVED.take(types_N))
    if kept_K.size:
        sequences = _isolating_run_sequences(levels_N, kept_K, types_N, isolates, base)
        levels_N[sequences.order_K] = _implicit_levels(
            sequences, resolved_N, levels_N, codepoints_N
        )
    levels_N[types_N == B] = base
    return _with_removed(levels_N, kept_K, base), base


def _with_removed(levels_N: UInt8Array, kept_K: IntpArray, base: int) -> UInt8Array:
    """Give each removed character the level of the kept one before it, or the base level."""
    if kept_K.size == levels_N.size:
        return levels_N
    is_kept = np.zeros(levels_N.size + 1, np.bool_)
    is_kept[0] = True  # stands before the paragraph
    is_kept[kept_K + 1] = True
    return np.insert(levels_N, 0, base)[_last(is_kept)][1:]


def _last(mask_N: BoolArray) -> IntpArray:
    """Return the index of the last true entry at or before each; the first must be true."""
    index_N = np.where(mask_N, np.arange(mask_N.size), 0)
    return np.maximum.accumulate(index_N, out=index_N)


def _next(mask_N: BoolArray) -> IntpArray:
    """Return the index of the first true entry at or after each; the last must be true."""
    return (mask_N.size - 1) - _last(mask_N[::-1])[::-1]


# --- P2-P3, X1-X8: paragraph level, explicit levels and overrides -------------------------------


def _matching_isolates(types_N: UInt8Array) -> dict[int, int]:
    """Return the matching PDI of every isolate initiator that has one (BD9)."""
    opened: list[int] = []
    matching: dict[int, int] = {}
    for at in np.flatnonzero(_IS_ISOLATE.take(types_N)).tolist():
        if types_N[at] != PDI:
            opened.append(at)
        elif opened:
            matching[opened.pop()] = at
    return matching


def _first_strong_level(types_N: UInt8Array, isolates: dict[int, int], start: int, end: int) -> int:
    """Apply P2 and P3 to a span: 1 if its first strong type outside isolates is R or AL."""
    at = start
    while at < end:
        # Look at a short stretch first: the answer is nearly always there.
        stretch = _STOPS.take(types_N[at : min(at + 256, end)])
        found = int(stretch.argmax())
        at += found
        if not stretch[found]:
            at += stretch.size - found
        elif _IS_INITIATOR[types_N[at]]:
            at = isolates.get(at, end)
            at += 1
        else:
            return int(types_N[at] != L)
    return 0


class _Status(NamedTuple):
    """An entry of the directional status stack; `override` is L, R or None for neutral."""

    level: int
    override: int | None = None
    is_isolate: bool = False


def _explicit_levels(
    types_N: UInt8Array, isolates: dict[int, int], base: int
) -> tuple[UInt8Array, UInt8Array]:
    """Apply X1 to X8: levels before the implicit rules, and types after overrides."""
    levels_N, resolved_N = np.empty_like(types_N), types_N.copy()
    stack = [_Status(base)]
    overflow_isolates = overflow_embeddings = valid_isolates = begin = 0
    for at in [*np.flatnonzero(_IS_CONTROL.take(types_N)).tolist(), types_N.size]:
        levels_N[begin : at + 1] = stack[-1].level
        if stack[-1].override is not None:
            resolved_N[begin : at + 1] = stack[-1].override
        if at == types_N.size:
            break
        begin = at + 1
        kind = int(types_N[at])
        if kind == PDF:  # X7
            if overflow_isolates:
                continue
            if overflow_embeddings:
                overflow_embeddings -= 1
            elif len(stack) > 1 and not stack[-1].is_isolate:
                stack.pop()
        elif kind == PDI:  # X6a
            if overflow_isolates:
                overflow_isolates -= 1
            elif valid_isolates:
                overflow_embeddings = 0
                while not stack.pop().is_isolate:
                    pass
                valid_isolates -= 1
            levels_N[at] = stack[-1].level
            override = stack[-1].override
            resolved_N[at] = PDI if override is None else override
        else:  # X2-X5c
            entry = _pushed(kind, stack[-1].level, types_N, isolates, at)
            if entry.level <= MAX_DEPTH and not overflow_isolates and not overflow_embeddings:
                stack.append(entry)
                valid_isolates += entry.is_isolate
            elif entry.is_isolate:
                overflow_isolates += 1
            elif not overflow_isolates:
                overflow_embeddings += 1
    return levels_N, resolved_N


def _pushed(
    kind: int, level: int, types_N: UInt8Array, isolates: dict[int, int], at: int
) -> _Status:
    """Return the stack entry that an embedding, override or isolate at `at` asks for."""
    is_isolate = kind in (LRI, RLI, FSI)
    if kind == FSI:
        is_rtl = bool(
            _first_strong_level(types_N, isolates, at + 1, isolates.get(at, types_N.size))
        )
    else:
        is_rtl = kind in (RLE, RLO, RLI)
    next_level = (level + 1) | 1 if is_rtl else (level + 2) & ~1
    override = {RLO: R, LRO: L}.get(kind)
    return _Status(next_level, override, is_isolate)


# --- X10: isolating run sequences ---------------------------------------------------------------


class _Sequences(NamedTuple):
    """The isolating run sequences of a paragraph, one after the other.

    order_K: indices into the paragraph, without removed characters.
    lengths_S: characters of each sequence, in the order of `order_K`.
    sos_S, eos_S: the types at their borders, L or R.
    """

    order_K: IntpArray
    lengths_S: IntpArray
    sos_S: UInt8Array
    eos_S: UInt8Array


def _isolating_run_sequences(
    levels_N: UInt8Array,
    kept_K: IntpArray,
    types_N: UInt8Array,
    isolates: dict[int, int],
    base: int,
) -> _Sequences:
    """Cut the paragraph into level runs and join those that an isolate interrupts (BD13)."""
    levels_K = levels_N[kept_K]
    starts, lengths = _runs(levels_K)
    last_of_run = kept_K[starts + lengths - 1]
    level_of_run = np.full(starts.size + 2, base, np.uint8)  # the paragraph's level at both ends
    level_of_run[1:-1] = levels_K[starts]
    before, levels, after = level_of_run[:-2], level_of_run[1:-1], level_of_run[2:].copy()
    # An initiator that ends its sequence has no matching PDI: the paragraph's level follows.
    after[_IS_INITIATOR.take(types_N[last_of_run])] = base
    sos_of_run = np.maximum(levels, before) & 1
    eos_of_run = np.maximum(levels, after) & 1
    if not isolates:
        return _Sequences(kept_K, lengths, sos_of_run, eos_of_run)
    sequence_of_run = _join_runs(kept_K[starts].tolist(), last_of_run.tolist(), isolates)
    num = int(sequence_of_run.max()) + 1
    first_run, last_run = np.empty(num, np.intp), np.empty(num, np.intp)
    runs = np.arange(starts.size)
    first_run[sequence_of_run[::-1]] = runs[::-1]
    last_run[sequence_of_run] = runs
    sequence_K = np.repeat(sequence_of_run, lengths)
    return _Sequences(
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


# --- W1-W7, N0-N2, I1-I2: implicit levels -------------------------------------------------------

_DIRECTION: Final = np.zeros(len(Bidi), np.uint8)  # as the N rules see strong types and numbers
_DIRECTION[[R, EN, AN]] = R
_RISE: Final = np.zeros((2, len(Bidi)), np.uint8)  # I1 for even levels, I2 for odd ones
_RISE[0, [R, EN, AN]] = 1, 2, 2
_RISE[1, [L, EN, AN]] = 1


def _implicit_levels(
    sequences: _Sequences,
    types_N: UInt8Array,
    levels_N: UInt8Array,
    codepoints_N: npt.NDArray[np.uint32],
) -> UInt8Array:
    """Return the final levels of the characters of `sequences.order_K`."""
    order_K, lengths_S, sos_S, eos_S = sequences
    number_S = np.arange(lengths_S.size)
    end_S = np.cumsum(lengths_S) + 2 * number_S + 1
    place_K = np.arange(order_K.size) + np.repeat(2 * number_S + 1, lengths_S)
    types_P = np.empty(order_K.size + 2 * number_S.size, np.uint8)
    types_P[end_S] = eos_S
    types_P[end_S - lengths_S - 1] = sos_S
    types_P[place_K] = types_N[order_K]
    levels_P = np.zeros_like(types_P)
    levels_P[place_K] = levels_N[order_K]

    is_mark_P = types_P == NSM
    types_P = _resolve_weak(types_P)
    candidate = (types_P[place_K] == ON).nonzero()[0]
    kinds = bracket_type().take(codepoints_N[order_K[candidate]])
    place = place_K[candidate[kinds > 0]]
    if place.size > 1:
        pairs = _bracket_pairs(place, kinds[kinds > 0], end_S.searchsorted(place))
        _resolve_brackets(types_P, levels_P, is_mark_P, pairs)
    is_neutral = _IS_NEUTRAL.take(types_P)
    if is_neutral.any():
        direction = _DIRECTION.take(types_P)
        before, after = direction[_last(~is_neutral)], direction[_next(~is_neutral)]
        resolved = np.where(before == after, before, levels_P & 1)  # N1, N2
        types_P = np.where(is_neutral, resolved, types_P)
    levels_P += _RISE[levels_P & 1, types_P]
    return levels_P[place_K]


def _resolve_weak(types_P: UInt8Array) -> UInt8Array:
    """Apply W1 to W7; only L, R, EN, AN and neutral types remain."""
    present = np.bincount(types_P, minlength=len(Bidi)) > 0
    if present[NSM]:  # W1
        is_mark = types_P == NSM
        source = types_P[_last(~is_mark)]
        types_P = np.where(is_mark & _IS_ISOLATE.take(source), np.uint8(ON), source)
    if present[AL]:
        if present[EN]:  # W2
            last_strong = types_P[_last(_IS_STRONG.take(types_P))]
            types_P[(types_P == EN) & (last_strong == AL)] = AN
        types_P[types_P == AL] = R  # W3
    if present[CS] or present[ES]:  # W4
        left, middle, right = types_P[:-2], types_P[1:-1], types_P[2:]
        joins = (middle == CS) & ((left == EN) | (left == AN))
        joins |= (middle == ES) & (left == EN)
        joins &= left == right
        middle[joins] = left[joins]
    if present[ET] and present[EN]:  # W5
        is_terminator = types_P == ET
        before, after = types_P[_last(~is_terminator)], types_P[_next(~is_terminator)]
        types_P[is_terminator & ((before == EN) | (after == EN))] = EN
    if present[ES] or present[ET] or present[CS]:  # W6
        types_P[(types_P == ES) | (types_P == ET) | (types_P == CS)] = ON
    if present[EN]:  # W7
        last_strong = types_P[_last(_IS_STRONG.take(types_P))]
        types_P[(types_P == EN) & (last_strong == L)] = L
    return types_P


def _bracket_pairs(place: IntpArray, kinds: UInt8Array, sequence: IntpArray) -> IntpArray:
    """Return (opening, closing) places of the bracket pairs, shape (pairs, 2), by opening (BD16).

    A sequence that opens more than 63 brackets at once is searched no further.
    """
    pairs: list[tuple[int, int]] = []
    opened: list[tuple[int, int]] = []
    current, is_full = -1, False
    for at, kind, number in zip(place.tolist(), kinds.tolist(), sequence.tolist(), strict=True):
        if number != current:
            current, is_full = number, False
            opened.clear()
        if is_full:
            continue
        if kind < BRACKET_CLOSES:
            is_full = len(opened) == MAX_OPEN_BRACKETS
            opened.append((kind, at))
            continue
        for depth in reversed(range(len(opened))):
            if opened[depth][0] == kind - BRACKET_CLOSES:
                pairs.append((opened[depth][1], at))
                del opened[depth:]
                break
    return np.array(sorted(pairs), np.intp).reshape(-1, 2)


def _resolve_brackets(
    types_P: UInt8Array, levels_P: UInt8Array, is_mark_P: BoolArray, pairs: IntpArray
) -> None:
    """Apply N0 in place. Pairs nest, so what stands inside one is not yet changed at its turn."""
    opening, closing = pairs.T
    is_neutral = _IS_NEUTRAL.take(types_P)
    direction = _DIRECTION.take(types_P)
    strong_before = _last(~is_neutral)[opening]
    num_rtl = np.cumsum(~is_neutral & (direction == R))
    num_ltr = np.cumsum(~is_neutral & (direction == L))
    columns = (
        opening,
        closing,
        levels_P[opening] & 1,
        num_ltr[closing] > num_ltr[opening],
        num_rtl[closing] > num_rtl[opening],
        strong_before,
        direction[strong_before],
    )
    context_at, context = -1, L  # the last bracket that became strong
    enclosing: list[tuple[int, int]] = []
    for first, last, embedding, has_ltr, has_rtl, strong_at, strong in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        while enclosing and enclosing[-1][0] < first:
            context_at, context = enclosing.pop()
        if not (has_ltr or has_rtl):  # d
            continue
        if has_rtl if embedding == R else has_ltr:  # b
            chosen = embedding
        else:  # c: the opposite, if that is the context too
            chosen = embedding if has_ltr and has_rtl else 1 - embedding
            if (context if context_at > strong_at else strong) != chosen:
                chosen = embedding
        context_at, context = first, chosen
        enclosing.append((last, chosen))
        for at in (first, last):
            types_P[at] = chosen
            while is_mark_P[at + 1]:
                at += 1
                types_P[at] = chosen
