"""Implicit levels of bidirectional text: rules W1 to W7, N0 to N2, I1 and I2 of UAX #9.

All isolating run sequences of a block stand in one array, each between two sentinels that carry
its sos and eos. So the rules are array operations that cannot leak from one sequence into the
next. Only brackets are visited in a Python loop; a pair may be any distance apart.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from glyph.bidi_explicit import (
    AL,
    AN,
    CS,
    EN,
    ES,
    ET,
    NEUTRAL,
    NSM,
    ON,
    STRONG,
    IntpArray,
    L,
    R,
    Sequences,
    Text,
    gaps_of,
)
from glyph.unicode_data import BRACKET_CLOSES, Bidi, BoolArray, UInt8Array, bracket_type

MAX_OPEN_BRACKETS: Final = 63  # BD16
NEITHER: Final = 2  # beside L and R: no direction

_DIRECTION: Final = np.zeros(len(Bidi), np.uint8)  # as the N rules see strong types and numbers
_DIRECTION[[R, EN, AN]] = R
_RISE: Final = np.zeros((2, len(Bidi)), np.uint8)  # I1 for even levels, I2 for odd ones
_RISE[0, [R, EN, AN]] = 1, 2, 2
_RISE[1, [L, EN, AN]] = 1


def implicit_levels(
    sequences: Sequences, text: Text, codepoints_N: npt.NDArray[np.uint32]
) -> UInt8Array:
    """Return the final levels of the characters of `sequences.order_K`."""
    order_K, lengths_S, sos_S, eos_S = sequences
    number_S = np.arange(lengths_S.size)
    end_S = np.cumsum(lengths_S) + 2 * number_S + 1
    place_K = np.arange(order_K.size) + np.repeat(2 * number_S + 1, lengths_S)
    types_P = np.empty(order_K.size + 2 * number_S.size, np.uint8)
    types_P[end_S] = eos_S
    types_P[end_S - lengths_S - 1] = sos_S
    types_P[place_K] = text.resolved_N[order_K]
    levels_P = np.zeros_like(types_P)
    levels_P[place_K] = text.levels_N[order_K]

    is_mark_P = types_P == NSM
    _resolve_weak(types_P)
    candidate = (types_P[place_K] == ON).nonzero()[0]
    kinds = bracket_type().take(codepoints_N[order_K[candidate]])
    place = place_K[candidate[kinds > 0]]
    if place.size > 1:
        pairs = _bracket_pairs(place, kinds[kinds > 0], end_S.searchsorted(place))
        _resolve_brackets(types_P, levels_P, is_mark_P, pairs)
    _resolve_neutral(types_P, levels_P)
    levels_P += _RISE[levels_P & 1, types_P]
    return levels_P[place_K]


def _resolve_weak(types_P: UInt8Array) -> None:
    """Apply W1 to W7 in place; only L, R, EN, AN and neutral types remain."""
    present = np.bincount(types_P, minlength=len(Bidi)) > 0
    if present[NSM]:  # W1
        marks = gaps_of(types_P == NSM)
        # After an isolate control W1 asks for ON: its own type is as neutral, so it will do.
        types_P[marks.at_G] = np.repeat(types_P[marks.before_R], marks.lengths_R)
    after_latin = np.empty(0, np.intp)
    if present[EN]:
        # Strong types stay where they are until W7, so this holds for W2 and W7.
        weak = gaps_of(~STRONG.take(types_P))
        strong_before = np.repeat(types_P[weak.before_R], weak.lengths_R)
        after_arabic = weak.at_G[strong_before == AL]
        types_P[after_arabic[types_P[after_arabic] == EN]] = AN  # W2
        after_latin = weak.at_G[strong_before == L]
    if present[AL]:
        types_P[types_P == AL] = R  # W3
    if present[CS] or present[ES]:  # W4
        left, middle, right = types_P[:-2], types_P[1:-1], types_P[2:]
        joins = (middle == CS) & ((left == EN) | (left == AN))
        joins |= (middle == ES) & (left == EN)
        joins &= left == right
        middle[joins] = left[joins]
    if present[ET] and present[EN]:  # W5
        terminators = gaps_of(types_P == ET)
        is_beside = (types_P[terminators.before_R] == EN) | (types_P[terminators.after_R] == EN)
        types_P[terminators.at_G[np.repeat(is_beside, terminators.lengths_R)]] = EN
    if present[ES] or present[ET] or present[CS]:  # W6
        types_P[(types_P == ES) | (types_P == ET) | (types_P == CS)] = ON
    types_P[after_latin[types_P[after_latin] == EN]] = L  # W7


def _resolve_neutral(types_P: UInt8Array, levels_P: UInt8Array) -> None:
    """Apply N1 and N2 in place."""
    neutral = gaps_of(NEUTRAL.take(types_P))
    before = _DIRECTION.take(types_P[neutral.before_R])
    after = _DIRECTION.take(types_P[neutral.after_R])
    embedding = levels_P[neutral.before_R + 1] & np.uint8(1)
    types_P[neutral.at_G] = np.repeat(
        np.where(before == after, before, embedding), neutral.lengths_R
    )


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
    direction_P = np.where(NEUTRAL.take(types_P), np.uint8(NEITHER), _DIRECTION.take(types_P))
    strong = (direction_P != NEITHER).nonzero()[0]
    strong_before = strong[strong.searchsorted(opening) - 1]
    columns = (
        opening,
        closing,
        levels_P[opening] & 1,
        _stand_between(opening, closing, (direction_P == L).nonzero()[0]),
        _stand_between(opening, closing, (direction_P == R).nonzero()[0]),
        strong_before,
        direction_P[strong_before],
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
        else:  # c: only the opposite is inside, and wins if it is the context too
            is_opposite = (context if context_at > strong_at else strong) != embedding
            chosen = 1 - embedding if is_opposite else embedding
        context_at, context = first, chosen
        enclosing.append((last, chosen))
        for at in (first, last):
            types_P[at] = chosen
            while is_mark_P[at + 1]:
                at += 1
                types_P[at] = chosen


def _stand_between(opening: IntpArray, closing: IntpArray, places: IntpArray) -> BoolArray:
    """Return, for each pair, whether any of some ascending places is inside."""
    return places.searchsorted(opening) != places.searchsorted(closing)
