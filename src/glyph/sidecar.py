"""The sidecar: the exact strings of the pages, as text beside the images.

A vision model reads prose well, and confabulates strings that carry no redundancy: hashes,
numbers, addresses, names in code. `exact_strings` finds them; `build_sidecar` ranks them by how
likely and how costly a misread is and keeps what a token budget allows, with pages and labels.

Every pattern is linear in the text: it starts at word boundaries only, never gives back what it
took (possessive quantifiers), and looks ahead a bounded way.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

# fmt: off
ExactKind = Literal[
    "uuid", "hash", "hex", "code", "number", "url", "email",
    "identifier", "version", "path", "date",
]
# fmt: on

# Longer strings are data, not something to be quoted; a page cannot show them in one piece.
_SHORTEST, _LONGEST = 2, 256
_MOST_MISFITS = 64  # strings too long for what is left of the budget, before giving up
_LONGEST_LABEL, _MOST_LABEL_WORDS = 32, 4

_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    "|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_UNIT = (
    "(?:%|‰|°[CF]?|[KMGTP]i?B(?:/s)?|[kM]bit/s|[kMG]?bps|[kMGT]?Hz|[kMG]?Wh?|[mk]?[VA]|[kM]?Pa"
    "|[kmµn]?g|[kcmµn]?m(?:²|³|/s|/h)?|km²|[mµn]?s|[mcd]?[lL]|ha|min|hrs?|h|dpi|px|pt|ppm|K|°"
    "|USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|[$€£¥₹]|dollars?|euros?|pounds?|yuan"
    "|thousand|million|billion|trillion|bn|[万亿億兆][元円]?|[元円원度])"
)
_WORD = "[A-Za-z0-9_]"  # other scripts may follow a string without a space
_STOPS = r"\s<>\"'`|^“”‘’„«»、。，；：（）「」【】"  # where an address ends
# Alternatives in order of precedence. The first two lookaheads only save time: they skip what
# begins none of them, and plain words.
_PATTERN = re.compile(
    rf"""
    (?<![A-Za-z0-9_À-ɏͰ-ԯ]) (?=[A-Za-z0-9_/~$€£¥₹+−±\#.-])
    (?:
      (?P<month_date> {_MONTH}\.?\ \d{{1,2}}(?:st|nd|rd|th)?,?\ \d{{4}} (?!{_WORD}) )
    | (?![A-Z]?[a-z]*+[\s,;!?"')])
    (?:
      (?P<url> (?:[A-Za-z][A-Za-z0-9+.-]{{1,15}}+://|www\.)
               [^{_STOPS}{{}}]++ )
    | (?P<email> [A-Za-z0-9][A-Za-z0-9._%+-]{{0,63}}+
                 @ [A-Za-z0-9-]{{1,63}}+ (?:\.[A-Za-z0-9-]{{1,63}}+){{1,6}}+ )
    | (?P<uuid> [0-9a-fA-F]{{8}} (?:-[0-9a-fA-F]{{4}}){{3}} -[0-9a-fA-F]{{12}} (?![A-Za-z0-9_-]) )
    | (?P<date> \d{{4}}(?P<mark>[-/.])\d{{1,2}}(?P=mark)\d{{1,2}}
                (?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{{1,9}})?)?(?:Z|[+-]\d\d:?\d\d)?)? (?!{_WORD})
              | \d{{1,2}}(?P<sign>[-/.])\d{{1,2}}(?P=sign)(?:\d{{4}}|\d\d) (?!\.?{_WORD})
              | \d{{1,2}}(?:st|nd|rd|th)?\ {_MONTH}\.?,?\ \d{{4}} (?!{_WORD})
              | \d{{4}}年\d{{1,2}}月(?:\d{{1,2}}[日号])?
              | \d{{1,2}}:\d\d(?::\d\d(?:\.\d{{1,9}})?)?(?:\ ?[AaPp]\.?[Mm])? (?!:?{_WORD}) )
    | (?P<code> \d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d{{1,5}}|/\d{{1,2}})? (?!\.?{_WORD})
              | [A-Z]{{2}}\d\d(?:\ [A-Z0-9]{{4}}){{3,7}}+(?:\ [A-Z0-9]{{1,3}})? (?!{_WORD}) )
    | (?P<hex> 0[xX][0-9a-fA-F]++ (?!{_WORD})
             | \#(?=[a-fA-F]{{0,7}}\d)[0-9a-fA-F]{{6,8}} (?!{_WORD})
             | [0-9a-fA-F]{{2}}(?::[0-9a-fA-F]{{2}}){{3,31}}+ (?!:?{_WORD}) )
    | (?P<version> v?\d++(?:\.\d++){{2,5}}+(?:[-+.]?(?:[a-z]{{1,9}}+[.-]?)?\d{{1,9}})? (?!{_WORD})
                 | v\d++(?:\.\d++)?+ (?!{_WORD}) )
    | (?P<path> (?<![/:.~]) (?:~|\.\.?)?+ (?:/[A-Za-z0-9_.@+-]++){{2,}}+
              | [A-Za-z]:\\[^{_STOPS}?*,;\\]++(?:\\[^{_STOPS}?*,;\\]++)*+
              | (?<![/A-Za-z0-9_.@+-]) [A-Za-z0-9_.@+-]++(?:/[A-Za-z0-9_.@+-]++)++ )
    | (?P<number> (?: \+\d{{1,3}}(?:[ -]\d{{2,12}}){{1,5}}+ | \d{{3}}(?:-\d{{3,4}}){{2}}
                    | \d{{4}}(?:[ -]\d{{4}}){{3}}
                    | (?:[$€£¥₹]|(?:USD|EUR|GBP|CHF|RMB)\ )?+[+−±-]?
                      \d++(?:[.,'’]\d++)*+(?:[eE][+-]?\d++)?(?:[ \u00a0]?{_UNIT})?
                  ) (?![A-Za-z0-9_]|-[A-Za-z]) )
    | (?P<token> (?=(?:[A-Za-z0-9]{{1,40}}+(?:[.-]|::)){{0,4}}
                    (?:[A-Za-z]*+[\d_] | [A-Z]*[a-z]++[A-Z] | [A-Z]{{2,}}+[a-z]))
                 [A-Za-z0-9_]++(?:(?:[.-]|::)[A-Za-z0-9_]++)*+ )
    ))""",
    re.VERBOSE,
)
# What makes a token more than a word: digits, an underscore inside, capitals inside.
_EDGES = re.compile(r"\d|[A-Za-z]_+[A-Za-z]|[a-z][A-Z]|[A-Z]{2}[a-z]")
# What language makes of capitals and digits: PDFs, 19th, 1980s, 7-year-old.
_WORDLIKE = re.compile(r"[A-Z]{2,}s|\d+(?:st|nd|rd|th|s)?(?:-[a-z]+)*")
_CLAUSE_MARKS = re.compile(r"[\n.,;|(){}\[\]<>\"'`!?=:：]")


@dataclass(frozen=True, slots=True)
class ExactString:
    """A string a reader must get right to the character.

    Attributes:
        text: The string, as it stands in the source.
        kind: What it looks like.
        start: Its first character offset.
        end: The offset after its last character.
    """

    text: str
    kind: ExactKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SidecarEntry:
    """One string of a sidecar, with the words that say what it is, if the text has any.

    Attributes:
        text: The string.
        kind: What it looks like.
        pages: Numbers of the pages it is on, from 1, ascending.
        label: The words before it in `label: value` or `label = value`; else empty.
    """

    text: str
    kind: ExactKind
    pages: tuple[int, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The exact strings of some pages, the most endangered first.

    Attributes:
        entries: What fits the budget, in order of rank.
        num_tokens: Text tokens of `render()`.
        num_left_out: Strings that were found and did not fit.
    """

    entries: tuple[SidecarEntry, ...]
    num_tokens: int
    num_left_out: int

    def render(self) -> str:
        """Return the sidecar as text, a line for each page or group of pages."""
        return _render(self.entries)


def exact_strings(text: str, *, unique: bool = False) -> tuple[ExactString, ...]:
    """Return the strings of a text that must be read exactly, in order, without overlap.

    Plain words, and whole numbers below 100 without a unit, are left to the image.

    Args:
        text: The text; its length costs linear time whatever it holds.
        unique: Keep only the first occurrence of each string.

    Returns:
        The strings, with their offsets.

    Example:
        >>> [(found.text, found.kind) for found in exact_strings("Pay 1,204.50 USD to a@b.org.")]
        [('1,204.50 USD', 'number'), ('a@b.org', 'email')]
    """
    found: list[ExactString] = []
    seen: set[str] = set()
    for match in _PATTERN.finditer(text):
        if match.end() - match.start() > 2 * _LONGEST:
            continue
        string = _trimmed(match[0])
        if not _SHORTEST <= len(string) <= _LONGEST or (unique and string in seen):
            continue
        kind = _kind(str(match.lastgroup), string)
        if kind is not None:
            seen.add(string)
            found.append(ExactString(string, kind, match.start(), match.start() + len(string)))
    return tuple(found)


def build_sidecar(
    text: str,
    page_spans: Sequence[tuple[int, int]],
    max_tokens: int,
    count_tokens: Callable[[str], int],
) -> Sidecar:
    """Return the exact strings of the pages, as many as the budget allows.

    The order of rank: strings without any redundancy (ids, hashes, long digit strings), amounts
    and measures, addresses, names in code, then versions, paths, dates and short numbers; labelled
    ones first, then in the order of the text. The same text gives the same sidecar.

    Args:
        text: The text the spans count.
        page_spans: The span [start, end) of each page, in order; strings outside all are ignored.
        max_tokens: Budget in text tokens; 0 allows nothing.
        count_tokens: Counts the text tokens of a string.

    Returns:
        The sidecar; `count_tokens(sidecar.render())` is at most `max_tokens`.
    """
    candidates = _candidates(text, page_spans)
    chosen: list[SidecarEntry] = []
    groups: set[tuple[int, ...]] = set()
    left, misfits = max_tokens, 0
    for entry in candidates:
        cost = count_tokens(f", {_render_entry(entry)}")
        if entry.pages not in groups:
            cost += count_tokens(f"\n{_render_pages(entry.pages)}:")
        if cost <= left:
            chosen.append(entry)
            groups.add(entry.pages)
            left -= cost
        else:
            misfits += 1
        if left < 2 or misfits > _MOST_MISFITS:
            break
    # The parts of a text may count fewer tokens than the whole.
    while chosen and count_tokens(_render(chosen)) > max_tokens:
        chosen.pop()
    num_tokens = count_tokens(_render(chosen)) if chosen else 0
    return Sidecar(tuple(chosen), num_tokens, len(candidates) - len(chosen))


def _candidates(text: str, page_spans: Sequence[tuple[int, int]]) -> list[SidecarEntry]:
    """Return one entry for each string and label on the pages, in order of rank."""
    starts, ends = [span[0] for span in page_spans], [span[1] for span in page_spans]
    pages_of: dict[tuple[str, str], set[int]] = {}
    kind_of: dict[str, ExactKind] = {}
    label_of: dict[str, str] = {}
    for found in exact_strings(text):
        first, last = bisect_right(ends, found.start), bisect_left(starts, found.end)
        if first >= last:
            continue
        label = _label(text, found.start)
        kind_of.setdefault(found.text, found.kind)
        if label:
            label_of.setdefault(found.text, label)
        pages_of.setdefault((found.text, label), set()).update(range(first + 1, last + 1))
    # An occurrence without a label joins those that have one.
    for string, label in label_of.items():
        pages_of[string, label] |= pages_of.pop((string, ""), set())
    entries = [
        SidecarEntry(string, kind_of[string], tuple(sorted(pages)), label)
        for (string, label), pages in pages_of.items()
    ]
    return sorted(entries, key=lambda entry: (_tier(entry.text, entry.kind), not entry.label))


def _tier(string: str, kind: ExactKind) -> int:
    """Return the rank of a string: lower is more easily misread, or worse to misread."""
    num_digits = sum(character.isdigit() for character in string)
    if kind in ("uuid", "hash"):
        return 0
    if (kind == "hex" and len(string) >= 6) or (kind == "code" and num_digits >= 3):
        return 1
    if kind == "number" and num_digits >= 7:
        return 1
    if kind == "number" and num_digits < len(string):
        return 2
    return {"url": 3, "email": 3, "identifier": 4, "version": 5, "path": 5, "date": 5}.get(kind, 6)


def _trimmed(string: str) -> str:
    """Return the string without punctuation that belongs to the sentence around it."""
    while string and (
        string[-1] in ".,;:!?"
        or (string[-1] in ")]" and string.count(string[-1]) > string.count("(["[string[-1] == "]"]))
    ):
        string = string[:-1]
    return string


def _kind(group: str, string: str) -> ExactKind | None:
    """Return the kind of a match of one group of the pattern, None for what is no exact string."""
    num_digits = sum(character.isdigit() for character in string)
    match group:
        case "month_date":
            return "date"
        case "number":
            return "number" if num_digits > 2 or num_digits < len(string) else None
        case "path" if not re.search("[A-Za-z]", string):
            return "number" if num_digits > 2 else None
        case "path":
            return "path" if re.search(r"[\d_.~\\]|^/", string) else None
        case "token":
            return _token_kind(string)
        case "url" | "email" | "uuid" | "date" | "code" | "hex" | "version":
            return group
        case _:
            raise AssertionError(group)


def _token_kind(token: str) -> ExactKind | None:
    core = token.strip("_")
    if not _EDGES.search(core):  # _so_ is emphasis, __so__ is a name
        return "identifier" if core and token.startswith("__") and token.endswith("__") else None
    if _WORDLIKE.fullmatch(core) or len(core) < 3:
        return None
    if not any(character.isdigit() for character in core):
        return "identifier"
    if re.fullmatch("[0-9a-fA-F]{6,}", core):
        return "hash" if len(core) >= 32 else "hex"
    # Keys and base-64 digests change between digits and letters again and again.
    for part in re.findall("[A-Za-z0-9]{16,}", core):
        if len(re.findall(r"(?=\d[A-Za-z]|[A-Za-z]\d)", part)) > 2:
            return "hash"
    is_name = "_" in core or "." in core or ":" in core or re.search("[a-z][A-Z]", core)
    return "identifier" if is_name else "code"


def _label(text: str, start: int) -> str:
    """Return the label of the string at `start`, as in `label: string`, or an empty string."""
    line = text[max(start - 3 * _LONGEST_LABEL // 2, 0) : start].rpartition("\n")[2]
    before = line.rstrip(" \t\"'`*_([<")
    if not before.endswith((":", "=", "：")):
        return ""
    before = before.rstrip(":=： \t").rstrip("\"'`*_)]>.")
    label = _CLAUSE_MARKS.split(before)[-1].strip(" \t*_#>-•")
    short = len(label) <= _LONGEST_LABEL and len(label.split()) <= _MOST_LABEL_WORDS
    return label if short and label[:1].isalpha() else ""


def _render(entries: Sequence[SidecarEntry]) -> str:
    lines: dict[tuple[int, ...], list[str]] = {}
    for entry in entries:
        lines.setdefault(entry.pages, []).append(_render_entry(entry))
    return "\n".join(
        f"{_render_pages(pages)}: {', '.join(lines[pages])}" for pages in sorted(lines)
    )


def _render_entry(entry: SidecarEntry) -> str:
    return f"{entry.label}: {entry.text}" if entry.label else entry.text


def _render_pages(pages: Sequence[int]) -> str:
    """Return page numbers with runs closed up, such as p1,4-6."""
    runs: list[list[int]] = []
    for page in pages:
        if runs and page == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], page]
        else:
            runs.append([page])
    return "p" + ",".join("-".join(map(str, run)) for run in runs)
