"""Unicode 15.0 properties as look-up tables over all 0x110000 code points.

The committed `unicode_data.npz` holds run lengths; each table is unfolded on first use and kept.
Python's own `unicodedata` follows another Unicode version, so layout never asks it.
`tools/make_unicode_tables.py` makes the file from the Unicode Character Database.
"""

from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

NUM_CODEPOINTS: Final = 0x110000
BRACKET_CLOSES: Final = 0x80  # bit of a `bracket_type()` value


class LineBreak(IntEnum):
    """Line breaking classes after rule LB1, with the splits that rules LB30 and LB30b ask for.

    `OP_WIDE` are the opening brackets whose East Asian width is F, W or H (no closing bracket of
    class CP is); `ID_PICTOGRAPH` are unassigned code points that are reserved for pictographs.
    """

    BK = 0
    CR = 1
    LF = 2
    NL = 3
    SP = 4
    ZW = 5
    WJ = 6
    GL = 7
    CM = 8
    ZWJ = 9
    OP = 10
    OP_WIDE = 11
    CL = 12
    CP = 13
    QU = 14
    EX = 15
    IS = 16
    SY = 17
    NS = 18
    HY = 19
    BA = 20
    BB = 21
    B2 = 22
    CB = 23
    IN = 24
    NU = 25
    AL = 26
    HL = 27
    ID = 28
    ID_PICTOGRAPH = 29
    EB = 30
    EM = 31
    PR = 32
    PO = 33
    JL = 34
    JV = 35
    JT = 36
    H2 = 37
    H3 = 38
    RI = 39


class Bidi(IntEnum):
    """Bidirectional character types (UAX #9, table 4)."""

    L = 0
    R = 1
    AL = 2
    EN = 3
    ES = 4
    ET = 5
    AN = 6
    CS = 7
    NSM = 8
    BN = 9
    B = 10
    S = 11
    WS = 12
    ON = 13
    LRE = 14
    LRO = 15
    RLE = 16
    RLO = 17
    PDF = 18
    LRI = 19
    RLI = 20
    FSI = 21
    PDI = 22


@cache
def _stored() -> dict[str, npt.NDArray[Any]]:
    with (
        files("glyph").joinpath("unicode_data.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        return {name: archive[name] for name in archive.files}


def _unfold(name: str) -> UInt8Array:
    stored = _stored()
    values: UInt8Array = stored[f"{name}_values"]
    table = np.repeat(values, stored[f"{name}_lengths"])
    table.setflags(write=False)
    return table


@cache
def line_break_class() -> UInt8Array:
    """Return the resolved line breaking class of every code point.

    Returns:
        uint8 `LineBreak` values, shape (0x110000,), read only.

    Source:
        UAX #14, rule LB1: AI, SG and XX become AL; SA becomes CM for marks (Mn, Mc) and AL
        otherwise; CJ becomes NS, which is the strict style of Japanese line breaking.

    Example:
        >>> LineBreak(line_break_class()[ord("7")]).name
        'NU'
    """
    return _unfold("line_break")


@cache
def bidi_class() -> UInt8Array:
    """Return the bidirectional type of every code point, with the defaults of unassigned ones.

    Returns:
        uint8 `Bidi` values, shape (0x110000,), read only.
    """
    return _unfold("bidi")


@cache
def bracket_type() -> UInt8Array:
    """Return which bracket pair every code point belongs to.

    Opening and closing partner share a number from 1 up; the closing one also has the bit
    `BRACKET_CLOSES`. Canonically equivalent brackets (U+2329 and U+3008) share one number.

    Returns:
        uint8, shape (0x110000,), read only; 0 where the code point is not a paired bracket.
    """
    return _unfold("bracket")


@cache
def mirrored_pairs() -> dict[int, int]:
    """Return the code point whose glyph is the mirror image of each mirrored code point."""
    pairs = _stored()["mirror_pairs"]
    return dict(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))


@cache
def needs_shaping() -> BoolArray:
    """Return the code points that cannot be drawn one by one from left to right.

    They need HarfBuzz, the bidirectional algorithm or both: joining and right-to-left scripts,
    Indic and South-East Asian scripts, Tibetan, Mongolian, conjoining Hangul jamo, all combining
    marks, joiners, variation selectors, bidi controls, regional indicators, emoji modifiers and
    tags. A mark also changes the character before it: shape the two together.

    Returns:
        bool, shape (0x110000,), read only.

    Example:
        >>> bool(needs_shaping()[ord("é")]), bool(needs_shaping()[ord("ש")])
        (False, True)
    """
    return _unfold("needs_shaping").view(np.bool_)


@cache
def is_cluster_extend() -> BoolArray:
    """Return the code points that belong to the character before them.

    Marks (Mn, Mc, Me), ZWJ and ZWNJ, variation selectors, emoji modifiers, tags, and Hangul vowel
    and trailing jamo. A line that must be cut anywhere may be cut before any other code point;
    the character after a ZWJ and the second half of a flag also stay with what precedes them.

    Returns:
        bool, shape (0x110000,), read only.
    """
    return _unfold("cluster_extend").view(np.bool_)


@cache
def script_tags() -> tuple[str, ...]:
    """Return the ISO 15924 tags that the values of `script_of()` index, such as 'Arab'."""
    return tuple(tag.decode("ascii") for tag in _stored()["script_tags"].tolist())


@cache
def script_of() -> UInt8Array:
    """Return the script of every code point, as an index into `script_tags()`.

    Returns:
        uint8, shape (0x110000,), read only. 'Zyyy' is common, 'Zinh' inherited and 'Zzzz'
        unknown.

    Example:
        >>> script_tags()[script_of()[ord("字")]]
        'Hani'
    """
    return _unfold("script")
