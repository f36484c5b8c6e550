"""Find the line breaks of hard-wrapped prose: those that only a column limit put there.

A program that wraps text at W columns moves a word to the next line when, and only when, it does
not fit. So a soft break between two lines satisfies

    columns(line)  <=  W  <  columns(line) + 1 + columns(first word of the next line)

Every break votes for the widths W of that interval. Prose that was wrapped agrees on one width;
code, tables, lists, verse and addresses do not. `_line_table` measures all lines at once,
`_is_soft` decides block by block (a block is a run of lines with no blank line in it).
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Widths at which people and programs wrap text, in columns (a full-width character takes two).
_NARROWEST_COLUMNS, _WIDEST_COLUMNS = 40, 160
# Strong evidence: so many breaks, and so large a share of all, agree on one width exactly.
_FEWEST_VOTES, _AGREEMENT = 4, 0.6
# A block that does not follow the width of the text must show its own still more clearly.
_FEWEST_LOCAL_VOTES, _LOCAL_AGREEMENT = 6, 0.9
_LONG_WORD_COLUMNS = 16
# Lines filled by hand, or by a program that evens them out, end this near to the width.
_UNDERFILL, _OVERFILL = 0.85, 1.1
# Below this mean line length (blank lines count) no text is wrapped prose; not worth a look.
_SHORTEST_MEAN_LINE = 8
_CHUNK_CHARACTERS = 1 << 16

_TAB, _NEWLINE, _SPACE, _QUOTE, _PARENTHESIS = 0x09, 0x0A, 0x20, 0x22, 0x29
_COMMA, _HYPHEN, _DOT, _SLASH, _SEMICOLON = 0x2C, 0x2D, 0x2E, 0x2F, 0x3B
_BACKSLASH, _BACKTICK, _BAR, _TILDE, _SOFT_HYPHEN = 0x5C, 0x60, 0x7C, 0x7E, 0xAD

# Traits of characters, one bit each. What is neither gap nor symbol is a letter or its mark.
_GAP, _SYMBOL, _WIDE, _SPACELESS, _SENTENCE_END, _RULE = 1, 2, 4, 8, 16, 32
_ASTRAL = 0x10000  # code points from here on share one entry
_SYMBOL_RANGES = (
    *((0x00, 0x41), (0x5B, 0x61), (0x7B, 0xAA), (0x2000, 0x2C00), (0x3000, 0x3040)),
    *((0xFE30, 0xFE70), (0xFF00, 0xFF21), (0xFF3B, 0xFF41), (0xFF5B, 0xFF66)),
)
_CJK_RANGES = ((0x2E80, 0x3130), (0x3190, 0xA4D0), (0xF900, 0xFB00))  # without Korean
_SPACELESS_RANGES = (*_CJK_RANGES, (0xFE30, 0xFE70), (0xFF01, 0xFF61))
_WIDE_RANGES = (*_SPACELESS_RANGES, (0x1100, 0x1160), (0x3130, 0x3190), (0xAC00, 0xD7A4))


def _code_points(characters: str) -> NDArray[np.uint32]:
    return np.array([ord(character) for character in characters], np.uint32)


_SPACES = _code_points("\t \u00a0\u3000")
_BULLETS = _code_points("-*+•‣◦▪·")
_LINE_MARKS = _code_points("#>|;%")  # headings, quotations, tables, comments
_RULE_MARKS = _code_points("-=_*~.#+^`")
_SENTENCE_ENDS = _code_points(".!?:\"'”’)。！？」』…")
_CLAUSE_ENDS = _code_points(".!?:;,。！？：；，、؟،।")
_STATEMENT_ENDS = _code_points("()[]{};=,\\")  # of code

Codes = NDArray[Any]  # code points: uint8 for ASCII text, else uint32
Traits = NDArray[np.uint8]
Offsets = NDArray[np.int64]
Mask = NDArray[np.bool_]
Lines = NDArray[np.void]  # one structured row a line that is not blank

_LINE = np.dtype(
    [
        ("content_end", np.int64),  # offset after the last character that is not a space
        ("newline", np.int64),  # offset of the line's newline, or the end of the text
        ("number", np.int64),  # counted over all lines, blank ones included
        ("columns", np.int32),  # display width without trailing spaces
        ("first_word_columns", np.int32),  # what must fit for the line to be pulled up
        ("num_inked", np.int32),  # characters that are not spaces
        ("num_letters", np.int32),
        ("num_words", np.int32),
        ("num_tight_commas", np.int32),  # as in a,b;c
        ("first", np.uint32),  # code points of inked characters
        ("second", np.uint32),
        ("last", np.uint32),
        ("indented", np.bool_),
        ("item", np.bool_),  # begins like a list item, a heading, a quotation, a comment
        ("rule", np.bool_),  # -----, ===== and the like
        ("fence", np.bool_),  # ``` or ~~~
        ("tabular", np.bool_),  # has a tab, a bar, or a wide gap inside
        ("hard_break", np.bool_),  # Markdown: two spaces or a backslash at the end
    ]
)


@dataclass(frozen=True, slots=True)
class SoftBreaks:
    """The line breaks to take out of a text, in order.

    Break i is the span [starts[i], ends[i]): spaces and one newline, which comes last, and before
    them a soft hyphen if the line ends with one. It becomes one space where `spaced[i]`, else
    nothing.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    spaced: Mask


def find_soft_breaks(text: str, *, markdown: bool = False, forced: bool = False) -> SoftBreaks:
    r"""Return the line breaks of `text` that a column limit put there.

    Only breaks inside prose are found: never one before an indented line, in a list, a table,
    verse or a fenced block, or at a blank line. A text that shows no common width has none.

    Args:
        text: The text, with `\n` as its only line break.
        markdown: Whether two trailing spaces or a backslash keep a break.
        forced: Accept weak evidence: few lines, or a width that few of them agree on.

    Returns:
        The breaks. Both neighbours of each are inked characters.

    Example:
        >>> wrapped = "It was a bright cold day in April\nand the clocks were striking thirteen."
        >>> find_soft_breaks(wrapped, forced=True).starts.tolist()
        [33]
    """
    lines = _line_table(text)
    firsts = np.flatnonzero(_may_join(lines, markdown=markdown))
    if len(firsts):
        firsts = firsts[_is_soft(lines, firsts, forced=forced)]
    before, after = lines[firsts], lines[firsts + 1]
    soft_hyphen = before["last"] == _SOFT_HYPHEN
    tight = soft_hyphen | (_is_spaceless(before["last"]) & _is_spaceless(after["first"]))
    tight |= _hyphen_breaks(text, before, after)
    return SoftBreaks(before["content_end"] - soft_hyphen, before["newline"] + 1, ~tight)


def _hyphen_breaks(text: str, before: Lines, after: Lines) -> Mask:
    """Return which breaks stand inside a word, at a hyphen or dash where there was no space.

    Some programs break after `well-` and beside `--`, others at spaces alone. The latter give
    themselves away: they move a whole `well-known` down where `well-` would have fitted.
    """
    at_hyphen = before["last"] == _HYPHEN
    breaks = at_hyphen | ((after["first"] == _HYPHEN) & (after["second"] == _HYPHEN))
    if at_hyphen.sum() < 3:
        return np.zeros(len(before), np.bool_)
    room = np.quantile(before["columns"], 0.95) - before["columns"] - 1
    moved_down = 0
    starts, ends = before["newline"] + 1, before["newline"] + 1 + after["first_word_columns"]
    for start, end, columns in zip(starts.tolist(), ends.tolist(), room.tolist(), strict=True):
        hyphen = text.find("-", start + 1, end - 1)
        moved_down += 0 < hyphen - start < columns
    return breaks if moved_down < at_hyphen.sum() / 4 else np.zeros(len(before), np.bool_)


def _may_join(lines: Lines, *, markdown: bool) -> Mask:
    """Return for each line whether the form of its neighbourhood allows a soft break after it."""
    adjacent = np.append(np.diff(lines["number"]) == 1, False)
    opens_block = np.append(True, ~adjacent)[: len(lines)]
    block = np.cumsum(opens_block) - 1
    item = lines["item"]
    # One line that begins with a dash or a number may be chance; a block with more is a list.
    is_list = np.bincount(block, item) >= (1 if markdown else 2)
    is_list |= item[opens_block]
    listed = item & is_list[block]
    num_listed = np.cumsum(listed)
    in_list = num_listed > (num_listed - listed)[opens_block][block]
    fence = lines["fence"] & (markdown | (lines["first"] == _BACKTICK))
    fenced = fence | (np.cumsum(fence) % 2 == 1)
    plain = ~(lines["rule"] | fenced)
    may_follow = plain & ~in_list & ~lines["indented"]
    joins = adjacent & plain & np.append(may_follow[1:], False)
    return joins & ~lines["hard_break"] if markdown else joins


def _is_soft(lines: Lines, firsts: NDArray[np.int64], *, forced: bool) -> Mask:
    """Return which of the breaks after the lines `firsts` are soft."""
    before, after = lines[firsts], lines[firsts + 1]
    columns = before["columns"].astype(np.int64)
    gap = ~_is_spaceless(after["first"])
    needed = columns + after["first_word_columns"] + gap
    # A very long word explains a break at many widths, so it is weak evidence for any of them.
    evident = columns + np.minimum(after["first_word_columns"], _LONG_WORD_COLUMNS) + gap
    line_block = np.cumsum(np.diff(lines["number"], prepend=0) != 1)
    block = np.unique(line_block[firsts], return_inverse=True)[1]
    num_breaks = np.bincount(block)
    prose, verse = _kinds_of_blocks(before, after, block)

    def filled(width: NDArray[np.int64], slack: float = 1.0) -> Mask:
        fits = (columns <= _OVERFILL * width[block]) | (before["num_words"] == 1)
        return fits & (needed > slack * width[block])

    def share(mask: Mask) -> NDArray[np.float64]:
        return np.bincount(block, mask) / num_breaks

    # Each block follows the width common to the text, or one of its own that is beyond doubt.
    votes = (prose & ~verse)[block]
    common = _common_columns(columns[votes], evident[votes], forced=forced)
    width = np.full(len(num_breaks), common)
    follows = (common > 0) & prose
    follows &= (share(filled(width)) == 1) | (
        ~verse & (share(filled(width, _UNDERFILL)) >= _AGREEMENT)
    )
    longest = np.zeros(len(num_breaks), np.int64)
    np.maximum.at(longest, block, columns)
    own = prose & ~verse & ~follows & (num_breaks >= _FEWEST_LOCAL_VOTES)
    own &= (longest >= _NARROWEST_COLUMNS) & (longest <= _WIDEST_COLUMNS)
    own &= share(evident > longest[block]) >= _LOCAL_AGREEMENT
    width = np.where(own, longest, width)
    # Where some lines end far short, paragraphs end without a blank line; a line that is only
    # nearly full and ends a sentence is then the last of one.
    near = filled(width, _UNDERFILL)
    ends_paragraph = (share(near) < 1)[block] & np.isin(before["last"], _SENTENCE_ENDS)
    return (follows | own)[block] & (filled(width) | (near & ~ends_paragraph))


def _kinds_of_blocks(before: Lines, after: Lines, block: NDArray[np.int64]) -> tuple[Mask, Mask]:
    """Return which blocks are made of words, and which have a verse or a statement a line."""
    num_breaks = np.bincount(block)

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(block, values) / num_breaks

    prose = mean(before["num_letters"]) >= 0.6 * mean(before["num_inked"])
    prose &= mean(before["num_words"]) >= 4
    prose &= mean(before["tabular"]) < 0.5
    prose &= mean(before["num_tight_commas"]) < 2
    verse = mean(_is_upper(after["first"])) >= 0.75
    verse |= mean(np.isin(before["last"], _CLAUSE_ENDS)) >= 0.75
    verse |= mean(np.isin(before["last"], _STATEMENT_ENDS)) >= 0.75
    return prose, verse & (num_breaks >= 3)


def _common_columns(columns: NDArray[np.int64], needed: NDArray[np.int64], *, forced: bool) -> int:
    """Return the width that most breaks agree on, in columns, or 0 without strong evidence."""
    narrowest = 1 if forced else _NARROWEST_COLUMNS
    within = (columns <= _WIDEST_COLUMNS) & (needed > narrowest)
    opens = np.bincount(np.maximum(columns[within], narrowest), minlength=_WIDEST_COLUMNS + 2)
    closes = np.bincount(np.minimum(needed[within], _WIDEST_COLUMNS + 1))
    opens[: len(closes)] -= closes
    votes = np.cumsum(opens)
    width = int(np.argmax(votes))
    if forced:
        return width if votes[width] else 0
    strong = votes[width] >= max(_FEWEST_VOTES, _AGREEMENT * len(columns))
    return width if strong else 0


def _line_table(text: str) -> Lines:
    """Return one row for each line that is not blank; empty when no line can be wrapped prose."""
    if len(text) < _SHORTEST_MEAN_LINE * text.count("\n"):
        return np.empty(0, _LINE)
    tables: list[Lines] = []
    start = num_lines = 0
    while start < len(text):
        newline = text.find("\n", start + _CHUNK_CHARACTERS)
        end = len(text) if newline < 0 else newline + 1
        chunk = text[start:end]
        num_newlines = chunk.count("\n")
        # A chunk that is one line is far longer than any that was wrapped.
        if num_newlines > 1 or len(chunk) < _CHUNK_CHARACTERS:
            table = _measure(chunk)
            table["content_end"] += start
            table["newline"] += start
            table["number"] += num_lines
            tables.append(table)
        num_lines += num_newlines
        start = end
    return np.concatenate([np.empty(0, _LINE), *tables])


def _measure(chunk: str) -> Lines:
    """Return one row for each line of `chunk` that is not blank."""
    # The newlines at the end let every look ahead stay inside the arrays.
    codes, traits = _codes_and_traits(chunk + "\n" * 8)
    is_gap = (traits & _GAP) != 0
    gap_at, ink_at = np.flatnonzero(is_gap), np.flatnonzero(~is_gap)
    newline = np.flatnonzero(codes == _NEWLINE)
    start = np.append(0, newline[:-1] + 1)
    ink_begin, ink_end = np.searchsorted(ink_at, start), np.searchsorted(ink_at, newline)
    number = np.flatnonzero(ink_end > ink_begin)
    newline, start = newline[number], start[number]
    first, last = ink_at[ink_begin[number]], ink_at[ink_end[number] - 1]
    word_end = gap_at[np.searchsorted(gap_at, first)]

    def count(mask: Mask, begin: Offsets = start, end: Offsets = newline) -> Offsets:
        at = np.flatnonzero(mask)
        return np.searchsorted(at, end) - np.searchsorted(at, begin)

    def has(trait: int, at: Offsets) -> Mask:
        return (traits[at] & trait) != 0

    lines = np.empty(len(number), _LINE)
    lines["content_end"], lines["newline"], lines["number"] = last + 1, newline, number
    wide = (traits & _WIDE) != 0
    lines["columns"] = last + 1 - start + count(wide)
    # A line of Chinese or Japanese breaks before almost any character, so two must not fit.
    word_columns = word_end - first + count(wide, first, word_end)
    lines["first_word_columns"] = np.where(has(_SPACELESS, first), 4, word_columns)
    lines["num_inked"] = (ink_end - ink_begin)[number]
    lines["num_letters"] = lines["num_inked"] - count((traits & _SYMBOL) != 0)
    word_starts = np.append(True, is_gap[:-1]) & ~is_gap
    lines["num_words"] = count(word_starts) + count((traits & _SPACELESS) != 0) // 2
    lines["num_tight_commas"] = count(_is_field_separator(codes, traits))
    lines["first"], lines["second"], lines["last"] = codes[first], codes[first + 1], codes[last]
    lines["indented"] = first > start
    lines["hard_break"] = (newline - last > 2) | (codes[last] == _BACKSLASH)
    lines["rule"] = (count((traits & _RULE) != 0) == lines["num_inked"]) & (lines["num_inked"] > 2)
    same = (codes[first] == codes[first + 1]) & (codes[first] == codes[first + 2])
    lines["fence"] = same & ((codes[first] == _BACKTICK) | (codes[first] == _TILDE))
    lines["tabular"] = count(_is_column_gap(codes, traits), first, last) > 0
    lines["item"] = _begins_item(codes, traits, first)
    return lines


def _is_column_gap(codes: Codes, traits: Traits) -> Mask:
    """Return where a column of a table ends: at a tab, a bar, or before two spaces."""
    gap = (codes == _TAB) | (codes == _BAR)
    space = codes == _SPACE
    gap[:-2] |= space[1:-1] & space[2:] & ((traits[:-2] & (_GAP | _SENTENCE_END)) == 0)
    return gap


def _is_field_separator(codes: Codes, traits: Traits) -> Mask:
    """Return where a comma or semicolon has a letter right behind it, or quotes on both sides."""
    separator = (codes == _COMMA) | (codes == _SEMICOLON)
    quote = codes == _QUOTE
    letter = (traits & (_SYMBOL | _GAP)) == 0
    separator[1:-1] &= letter[2:] | (quote[:-2] & quote[2:])
    return separator


def _begins_item(codes: Codes, traits: Traits, first: Offsets) -> Mask:
    """Return which lines begin with `- `, `1. `, `12) `, `a) `, `#`, `>`, `//` and the like."""

    def gap_at(offset: int) -> Mask:
        return (traits[first + offset] & _GAP) != 0

    def digit_at(offset: int) -> Mask:
        code = codes[first + offset]
        return (code >= 0x30) & (code <= 0x39)

    marks = codes[first]
    item = np.isin(marks, _LINE_MARKS) | ((marks == _SLASH) & (codes[first + 1] == _SLASH))
    item |= np.isin(marks, _BULLETS) & gap_at(1)
    counter = digit_at(0)
    for length in (1, 2, 3):
        closing = codes[first + length]
        closed = (closing == _DOT) | (closing == _PARENTHESIS)
        item |= counter & closed & gap_at(length + 1)
        counter &= digit_at(length)
    letter = (traits[first] & _SYMBOL) == 0
    return item | (letter & (codes[first + 1] == _PARENTHESIS) & gap_at(2))


def _codes_and_traits(text: str) -> tuple[Codes, Traits]:
    """Return the code points of `text` and, as bits, what each character is."""
    table = _trait_table()
    if text.isascii():
        ascii_bytes = text.encode("ascii")
        traits = np.frombuffer(ascii_bytes.translate(table[:256].tobytes()), np.uint8)
        return np.frombuffer(ascii_bytes, np.uint8), traits
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return codes, table[np.minimum(codes, _ASTRAL)]


@functools.cache
def _trait_table() -> Traits:
    """Return the traits of every code point below `_ASTRAL`, and one entry for all from there."""
    table = np.zeros(_ASTRAL + 1, np.uint8)
    for begin, end in _SYMBOL_RANGES:
        table[begin:end] = _SYMBOL
    for begin, end in _WIDE_RANGES:
        table[begin:end] |= _WIDE
    for begin, end in _SPACELESS_RANGES:
        table[begin:end] |= _SPACELESS
    table[_ASTRAL] = _WIDE
    table[_SENTENCE_ENDS] |= _SENTENCE_END
    table[_RULE_MARKS] |= _RULE
    table[_SPACES] = _GAP
    table[_NEWLINE] = _GAP
    return table


def _is_spaceless(codes: Codes) -> Mask:
    """Return which characters belong to a script that puts no spaces between words."""
    return (_trait_table()[np.minimum(codes, _ASTRAL)] & _SPACELESS) != 0


def _is_upper(codes: Codes) -> Mask:
    distinct, where = np.unique(codes, return_inverse=True)
    return np.array([chr(code).isupper() for code in distinct.tolist()], np.bool_)[where]
