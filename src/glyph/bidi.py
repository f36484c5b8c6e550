"""In which order text is shown: the Unicode bidirectional algorithm (UAX #9, Unicode 15.0).

Levels are found for whole paragraphs, lines are cut by layout, and each line is then reordered.
`bidi_explicit` holds the rules for control characters, `bidi_implicit` those for the rest. Cost is
linear in the text.

Characters that X9 removes stay in the arrays with the level of the character before them
(UAX #9, section 5.2), so indices never shift.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Int, UInt8, UInt32

from glyph.bidi_explicit import (
    RAISES,
    REMOVED,
    SEPARATORS,
    SPACES,
    B,
    IntpArray,
    Text,
    explicit_text,
    isolating_run_sequences,
    last_true,
    next_true,
    paragraph_starts,
    runs_of,
)
from glyph.bidi_implicit import implicit_levels
from glyph.errors import ConfigError
from glyph.unicode_data import Bidi, bidi_class, mirrored_pairs


def embedding_levels(
    codepoints_N: UInt32[np.ndarray, " N"], base: int | None = None
) -> tuple[UInt8[np.ndarray, " N"], int]:
    """Return the embedding level of every character of one paragraph, and the paragraph's level.

    Odd levels run from right to left. Lines are not known yet: give each line to
    `reset_line_levels` before it is reordered.

    Args:
        codepoints_N: One paragraph. After a separator another one begins: see `block_levels`.
        base: 0 for left to right, 1 for right to left, None for the first strong character.

    Returns:
        levels, uint8 in 0..126; the paragraph's embedding level, 0 or 1.

    Raises:
        ConfigError: `base` is another number.

    Source:
        UAX #9, rules P2-P3, X1-X10, W1-W7, N0-N2, I1-I2.

    Example:
        >>> levels, base = embedding_levels(np.array([0x5D0, 0x20, 0x31, 0x32], np.uint32))
        >>> levels.tolist(), base
        ([1, 1, 2, 2], 1)
    """
    levels_N, base_N = block_levels(codepoints_N, base)
    return levels_N, int(base_N[0]) if base_N.size else base or 0


def block_levels(
    codepoints_N: UInt32[np.ndarray, " N"],
    base: int | None = None,
    first_base: int | None = None,
) -> tuple[UInt8[np.ndarray, " N"], UInt8[np.ndarray, " N"]]:
    """Return the embedding level of every character of many paragraphs, and its paragraph's level.

    The same as `embedding_levels` for each paragraph, but all are resolved at once, so that
    short paragraphs cost no more than long ones.

    Args:
        codepoints_N: Paragraphs, each ended by a separator (type B, or CR LF).
        base: Level of every paragraph, None to take each from its first strong character.
        first_base: Level of the first paragraph alone, if it is known because the paragraph
            began in an earlier block.

    Returns:
        levels, uint8 in 0..126; paragraph levels, uint8, 0 or 1.

    Raises:
        ConfigError: `base` or `first_base` is another number.

    Source:
        UAX #9, rules P1-P3, X1-X10, W1-W7, N0-N2, I1-I2.
    """
    for given in (base, first_base):
        if given not in (None, 0, 1):
            raise ConfigError(
                f"The level of a paragraph cannot be {given}: pass 0 for left to right, 1 for "
                "right to left, or None to take it from the first strong character."
            )
    types_N = bidi_class().take(codepoints_N)
    present = np.bincount(types_N, minlength=len(Bidi)) > 0
    if not base and not first_base and not np.any(present & RAISES):
        return np.zeros_like(types_N), np.zeros_like(types_N)
    text = explicit_text(types_N, paragraph_starts(types_N, codepoints_N), base, first_base)
    kept_K = (~REMOVED.take(types_N)).nonzero()[0]
    if kept_K.size:
        sequences = isolating_run_sequences(text, kept_K)
        text.levels_N[sequences.order_K] = implicit_levels(sequences, text, codepoints_N)
    is_separator = types_N == B
    text.levels_N[is_separator] = text.base_N[is_separator]  # X8
    _give_levels_to_removed(text, kept_K)
    return text.levels_N, text.base_N


def _give_levels_to_removed(text: Text, kept_K: IntpArray) -> None:
    """Give each removed character the level of the kept one before it, else of its paragraph."""
    if kept_K.size == text.types_N.size:
        return
    is_source = np.zeros(text.types_N.size, np.bool_)
    is_source[kept_K] = True
    at_start = text.starts_P[~is_source[text.starts_P]]
    text.levels_N[at_start] = text.base_N[at_start]
    is_source[at_start] = True
    text.levels_N[:] = text.levels_N[last_true(is_source)]


def reset_line_levels(
    levels_N: UInt8[np.ndarray, " N"],
    codepoints_N: UInt32[np.ndarray, " N"],
    base: int | UInt8[np.ndarray, " N"],
) -> UInt8[np.ndarray, " N"]:
    """Return the levels of one line with its tabs and trailing white space at the base level.

    Args:
        levels_N: The line's slice of what `embedding_levels` returned.
        codepoints_N: The same slice of the paragraph.
        base: The paragraph's level; an array gives each character that of its paragraph, and then
            several paragraphs of one line each may stand together.

    Source:
        UAX #9, rule L1; removed characters count as white space (section 5.2).

    Example:
        >>> line = np.array([0x5D0, 0x20], np.uint32)
        >>> reset_line_levels(np.array([1, 1], np.uint8), line, 0).tolist()
        [1, 0]
    """
    types_N = bidi_class().take(codepoints_N)
    is_separator = SEPARATORS.take(types_N)
    is_space = SPACES.take(types_N)
    # Each space joins the next character that is none; one past the end stands for the line's end.
    following = next_true(np.append(~is_space, True))[:-1]
    reset = is_separator | (is_space & np.append(is_separator, True)[following])
    return np.where(reset, np.asarray(base, np.uint8), levels_N)


def visual_order(levels_N: UInt8[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Return the indices of a line's characters from left to right.

    Args:
        levels_N: Levels of the line after `reset_line_levels`.

    Returns:
        intp, a permutation of 0..N-1.

    Source:
        UAX #9, rule L2.

    Example:
        >>> visual_order(np.array([0, 1, 1, 2, 2, 0], np.uint8)).tolist()
        [0, 3, 4, 2, 1, 5]
    """
    starts, lengths = runs_of(levels_N)
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


def mirror(codepoint: int) -> int:
    """Return the code point whose glyph mirrors this one, or the same one when none does.

    Source:
        UAX #9, rule L4, for characters at odd levels.

    Example:
        >>> chr(mirror(ord("(")))
        ')'
    """
    return mirrored_pairs().get(codepoint, codepoint)
