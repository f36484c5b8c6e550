"""Where a line may end: the Unicode line breaking algorithm (UAX #14, Unicode 15.0).

The rules are written once, as functions of what stands before a position and the class after it.
They are tabulated into a finite automaton. The C kernel walks it; the numpy twin finds the
states of a whole block with array operations and reads the same table, so both agree.

Numbers follow the regular expression of LB25 (UAX #14, section 8.2, example 7), which is what the
conformance file tests: `1,234.56` and `$(12)` stay whole. Thai, Lao, Khmer and Burmese break at
spaces only, since word breaks inside them need a dictionary.
"""

from enum import IntEnum
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import UInt8

from glyph.unicode_data import LineBreak, UInt8Array

UInt16Array = npt.NDArray[np.uint16]
IntpArray = npt.NDArray[np.intp]

# Layout of the table; _linebreak.h reads the same one.
NUM_CLASSES: Final = 64
NUM_STATES: Final = 128
AFTER_JOINER: Final = 64  # state of the same text with a ZWJ at its end
LOOK_AHEAD: Final = 0x8000
CLASS_BITS: Final = 6
BREAK_SHIFT: Final = 13
END: Final = 63  # pseudo-class: the end of the text

(BK, CR, LF, NL, SP, ZW, WJ, GL, CM, ZWJ, OP, OP_WIDE, CL, CP, QU, EX, IS, SY, NS, HY, BA) = (
    LineBreak(value) for value in range(LineBreak.BA + 1)
)
(BB, B2, CB, IN, NU, AL, HL, ID, ID_PICTOGRAPH, EB, EM, PR, PO, JL, JV, JT, H2, H3, RI) = (
    LineBreak(value) for value in range(LineBreak.BB, LineBreak.RI + 1)
)
HARD_BREAKS = (BK, CR, LF, NL)
BASELESS = (*HARD_BREAKS, SP, ZW)  # a mark after these stands alone (LB9)
MARKS = (CM, ZWJ)
OPENING = (OP, OP_WIDE)
CLOSING = (CL, CP)
LETTERS = (AL, HL)
AFFIXES = (PR, PO)
IDEOGRAPHS = (ID, ID_PICTOGRAPH, EB, EM)
HANGUL = (JL, JV, JT, H2, H3)


class Break(IntEnum):
    """What may happen after a character."""

    NO = 0
    ALLOWED = 1
    MANDATORY = 2


class _Before(NamedTuple):
    """All that the rules ask about the text before a position.

    base: class of the last character that is neither an attached mark nor one of the spaces.
    spaces: spaces follow it. Only the bases of LB8 and LB14-LB17 are told apart then.
    linked: the base is part of something longer: HY or BA after a Hebrew letter (LB21a); IS, SY,
        CL or CP inside a number, OP after a prefix or postfix (LB25); RI ends a flag (LB30a).
    """

    base: LineBreak
    spaces: bool = False
    linked: bool = False


_LINKABLE: Final = (HY, BA, IS, SY, CL, CP, OP, OP_WIDE, RI)
# The first states are the classes themselves, so that a class is a valid first guess of a state.
_STATES: Final = (
    *(_Before(base, spaces=base is SP) for base in LineBreak),
    *(_Before(base, linked=True) for base in _LINKABLE),
    *(_Before(base, spaces=True) for base in (OP, QU, CL, B2, ZW)),
)
_STATE_OF: Final = {before: state for state, before in enumerate(_STATES)}


def _step(before: _Before, right: LineBreak) -> _Before:
    """Return what stands before the next position once `right` has been read."""
    base, spaces, linked = before
    if right is SP:
        kept = OP if base in OPENING else CL if base in CLOSING else base
        return _Before(kept if kept in (OP, QU, CL, B2, ZW) else SP, spaces=True)
    if right in MARKS:
        return _Before(AL) if spaces or base in BASELESS else before  # LB10, LB9
    if spaces:
        return _Before(right)
    in_number = base is NU or (linked and base in (IS, SY))
    begins_link = (
        (right in (HY, BA) and base is HL)
        or (right in (IS, SY, *CLOSING) and in_number)
        or (right in OPENING and base in AFFIXES)
        or (right is RI and base is RI and not linked)
    )
    return _Before(right, linked=begins_link)


def _break_between(before: _Before, right: LineBreak) -> Break:
    """Apply rules LB4 to LB31 in order; LB8a and the look-ahead of LB25 are added later."""
    base, spaces, _ = before
    if base in HARD_BREAKS and not (base is CR and right is LF):  # LB4, LB5
        return Break.MANDATORY
    if right in (*HARD_BREAKS, SP, ZW):  # LB5, LB6, LB7
        return Break.NO
    if base is ZW:  # LB8
        return Break.ALLOWED
    if right in MARKS:
        if not spaces:  # LB9
            return Break.NO
        right = AL  # LB10
    together = (
        right is WJ  # LB11
        or base in (WJ, GL)  # LB11, LB12
        or (right is GL and not spaces and base not in (BA, HY))  # LB12a
        or right in (EX, CL, CP, IS, SY)  # LB13
        or base in OPENING  # LB14
        or (base is QU and right in OPENING)  # LB15
        or (base in CLOSING and right is NS)  # LB16
        or (base is B2 and right is B2)  # LB17
    )
    if together:
        return Break.NO
    if spaces:  # LB18
        return Break.ALLOWED
    if QU in (base, right):  # LB19
        return Break.NO
    if CB in (base, right):  # LB20
        return Break.ALLOWED
    return Break.NO if _stay_together(before, right) else Break.ALLOWED  # LB31


def _stay_together(before: _Before, right: LineBreak) -> bool:
    """Apply rules LB21 to LB30b to two characters without a space between them."""
    base, _, linked = before
    number_before = base is NU or (linked and base in (IS, SY, *CLOSING))
    return (
        right in (BA, HY, NS)  # LB21
        or base is BB
        or (base in (HY, BA) and linked)  # LB21a
        or (base is SY and right is HL)  # LB21b
        or right is IN  # LB22
        or (base in LETTERS and right is NU)  # LB23
        or (base is NU and right in LETTERS)
        or (base is PR and right in IDEOGRAPHS)  # LB23a
        or (base in IDEOGRAPHS and right is PO)
        or (base in AFFIXES and right in LETTERS)  # LB24
        or (base in LETTERS and right in AFFIXES)
        or (base in (*AFFIXES, HY, NU) and right is NU)  # LB25
        or (base in (SY, IS) and linked and right is NU)
        or (number_before and right in AFFIXES)
        or (base is JL and right in (JL, JV, H2, H3))  # LB26
        or (base in (JV, H2) and right in (JV, JT))
        or (base in (JT, H3) and right is JT)
        or (base in HANGUL and right is PO)  # LB27
        or (base is PR and right in HANGUL)
        or (base in (*LETTERS, IS) and right in LETTERS)  # LB28, LB29
        or (base in (*LETTERS, NU) and right is OP)  # LB30
        or (base is CP and right in (*LETTERS, NU))
        or (base is RI and right is RI and not linked)  # LB30a
        or (base in (EB, ID_PICTOGRAPH) and right is EM)  # LB30b
    )


@cache
def break_table() -> UInt16Array:
    """Return the automaton that `_linebreak.h` walks.

    Returns:
        uint16, shape (NUM_STATES * NUM_CLASSES,), read only; the layout of an entry is in
        `_linebreak.h`. State 0 is the start of the text. Unused entries are 0.
    """
    table = np.zeros((NUM_STATES, NUM_CLASSES), np.uint16)
    for state, before in enumerate(_STATES):
        for right in LineBreak:
            after, value = _step(before, right), _break_between(before, right)
            joiner = AFTER_JOINER if right is ZWJ else 0
            held = right in OPENING and after.linked
            joins = right is NU and before.base in OPENING and before.linked
            table[state, right] = (
                ((_STATE_OF[after] + joiner) << CLASS_BITS)
                | (value << BREAK_SHIFT)
                | (LOOK_AHEAD if held or joins else 0)
            )
            # LB8a: a ZWJ keeps what follows, so there is no break to hold for the look-ahead.
            after = _Before(right) if held else after
            table[state + AFTER_JOINER, right] = ((_STATE_OF[after] + joiner) << CLASS_BITS) | (
                LOOK_AHEAD if joins else 0
            )
        if before.base in HARD_BREAKS:
            table[state, END] = Break.MANDATORY << BREAK_SHIFT
    flat = table.reshape(-1)
    flat.setflags(write=False)
    return flat


@cache
def _next_state_and_break() -> tuple[UInt8Array, UInt8Array]:
    table = break_table()
    next_state = (table >> CLASS_BITS) & (NUM_STATES - 1)
    value = (table >> BREAK_SHIFT) & 3
    return next_state.astype(np.uint8), value.astype(np.uint8)


def _before_run(indices: IntpArray) -> IntpArray:
    """Return, for each of some ascending indices, the index just before its run of neighbours."""
    is_head = np.diff(indices, prepend=-2) != 1
    heads = np.flatnonzero(is_head)
    return np.repeat(indices[heads] - 1, np.diff(heads, append=indices.size))


def _states(classes_N: UInt8Array, present: list[int]) -> UInt8Array:
    """Return the state of the automaton after each character of a text without marks.

    One look-up by (class before, class) is right wherever one character of context is enough.
    The rest are runs: spaces, separators inside numbers, regional indicators.
    """
    next_state, _ = _next_state_and_break()
    wide_N = classes_N.astype(np.uint16)
    pair_N = wide_N.copy()  # the first character follows state 0
    pair_N[1:] |= wide_N[:-1] << CLASS_BITS
    state_N = next_state.take(pair_N)

    def follow(at: IntpArray, source: IntpArray) -> None:
        pair = (state_N[source].astype(np.uint16) << CLASS_BITS) | wide_N[at]
        state_N[at] = next_state.take(pair)

    if present[SP] > 1:
        is_space = classes_N == SP.value
        inner = np.flatnonzero(is_space[1:] & is_space[:-1]) + 1
        follow(inner, _before_run(inner))
    if present[NU] and present[IS] + present[SY] > 0:
        is_separator = (classes_N == IS.value) | (classes_N == SY.value)
        inner = np.flatnonzero(is_separator[1:] & is_separator[:-1]) + 1
        follow(inner, _before_run(inner))
        is_closing = (classes_N == CL.value) | (classes_N == CP.value)
        closing = np.flatnonzero(is_closing[1:] & is_separator[:-1]) + 1
        follow(closing, closing - 1)
    if present[RI] > 1:
        indicator = np.flatnonzero(classes_N == RI.value)
        is_second = (indicator - _before_run(indicator)) % 2 == 0
        state_N[indicator] = np.where(is_second, _STATE_OF[_Before(RI, linked=True)], RI.value)
    return state_N


def _breaks_of_bases(classes_N: UInt8Array, present: list[int]) -> UInt8Array:
    """Return the break after each character of a text without marks."""
    _, break_value = _next_state_and_break()
    pair_N = _states(classes_N, present).astype(np.uint16)
    pair_N <<= CLASS_BITS
    pair_N[:-1] |= classes_N[1:]
    pair_N[-1] |= END
    out_N = break_value.take(pair_N)
    if present[PR] + present[PO] and present[OP] + present[OP_WIDE] and present[NU]:
        linked = [(_STATE_OF[_Before(base, linked=True)] << CLASS_BITS) | NU for base in OPENING]
        held = np.flatnonzero((pair_N == linked[0]) | (pair_N == linked[1]))
        out_N[held - 1] = Break.NO  # LB25: (PR | PO) x OP NU
    return out_N


def numpy_breaks(classes_N: UInt8[np.ndarray, " N"]) -> UInt8[np.ndarray, " N"]:
    """Return what may happen after each character of a text that starts a line.

    A block may be cut from a longer text anywhere but between CR and LF; its last characters are
    judged without what follows. The twin of `glyph_line_breaks` in `_linebreak.h`.

    Args:
        classes_N: `LineBreak` values; see `unicode_data.line_break_class`.

    Returns:
        uint8 `Break` values: 0 no break, 1 a line may end here, 2 it must. After the last
        character it is 2 or 0: that the text ends there, the caller knows.

    Source:
        UAX #14, Unicode 15.0, with the numbers of section 8.2, example 7.

    Example:
        >>> from glyph.unicode_data import line_break_class
        >>> text = np.frombuffer("Pay $1,000 now".encode("utf-32-le"), np.uint32)
        >>> np.flatnonzero(numpy_breaks(line_break_class().take(text))).tolist()
        [3, 10]
    """
    if not classes_N.size:
        return classes_N
    present: list[int] = np.bincount(classes_N, minlength=NUM_CLASSES).tolist()
    if not present[CM] + present[ZWJ]:
        return _breaks_of_bases(classes_N, present)
    is_mark = (classes_N == CM.value) | (classes_N == ZWJ.value)
    is_lone = is_mark.copy()
    is_lone[1:] &= _is_baseless().take(classes_N[:-1])
    kept = np.flatnonzero(~is_mark | is_lone)
    bases = np.where(is_lone, np.uint8(AL), classes_N)[kept]  # LB10
    # LB9: the break after a base moves behind its marks; LB8a: none after a ZWJ.
    last = np.append(kept[1:] - 1, classes_N.size - 1)
    out_N = np.zeros_like(classes_N)
    out_N[last] = _breaks_of_bases(bases, present)
    out_N[classes_N == ZWJ.value] = Break.NO
    return out_N


@cache
def _is_baseless() -> npt.NDArray[np.bool_]:
    table = np.zeros(NUM_CLASSES, np.bool_)
    table[list(BASELESS)] = True
    return table
