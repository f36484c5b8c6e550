"""Check an answer against the text: exact strings that it says and the text does not hold.

Readers of pages misread strings that carry no redundancy, and nothing in an answer shows it. But
whoever asked has the text. A number, name in code or address of an answer that stands nowhere in
it was misread, worked out, or made up: in every case it must not pass unnoticed. This needs no
model and changes no answer; it says what is not borne out, and what in the text looks most like it.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from glyph.sidecar import exact_strings

LEAST_ALIKE = 0.6
"""Share of letters, in order, that a string of the text must have in common to be named."""

FEW_WORDS = 3
"""Words of an answer up to which each may be an exact string that was cut off."""

_SEPARATORS = re.compile("[,'’ \u00a0\u202f]")
_NUMBER = re.compile(r"[+−-]?\d[\d,.'’ \u00a0\u202f]*\d|\d")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A string of an answer that the text does not bear out.

    Attributes:
        text: As the answer says it.
        nearest: The string of the text that looks most like it, or "" where none does.
        span: Where that stands in the text; (0, 0) where there is none.
    """

    text: str
    nearest: str
    span: tuple[int, int]


def doubts_about(answer: str, text: str, question: str = "") -> tuple[Doubt, ...]:
    """Return the exact strings of an answer that stand neither in the text nor in the question.

    White space does not count, nor do the separators of thousands in a number.

    Args:
        answer: What a reader said.
        text: What the pages show.
        question: Its strings may be repeated.

    Returns:
        One doubt for each string, in the order of the answer. Plain words are not doubted, save
        that a short answer may have been cut out of a longer string.

    Example:
        >>> doubts_about("It is 44171.", "brass-owl: 44170, iron-owl: 9")
        (Doubt(text='44171', nearest='44170', span=(11, 16)),)
        >>> doubts_about("It is 44,170.", "brass-owl: 44170, iron-owl: 9")
        ()
    """
    said = [found.text for found in exact_strings(answer, unique=True)]
    words = [word.strip(".,:;!?'\"()") for word in answer.split()]
    is_short = len(words) <= FEW_WORDS
    short = [word for word in words if is_short and len(word) > 2 and word not in said]
    if not said and not short:
        return ()
    held = exact_strings(text, unique=True)
    strings = [found.text for found in held]
    numbers = {_plain(number) for found in held for number in _NUMBER.findall(found.text)}
    context = f"{text}\n{question}"
    doubts: list[Doubt] = []
    for string in (*said, *short):
        is_held = string in strings or _stands_whole(string, context)
        if is_held or _is_known(string, numbers):
            continue
        near = _begun_by(string, strings) if string in short else _nearest(string, strings)
        if string in short and not near:
            continue
        span = next(((o.start, o.end) for o in held if o.text == near), (0, 0))
        doubts.append(Doubt(string, near, span))
    return tuple(doubts)


def _stands_whole(string: str, context: str) -> bool:
    """Whether a string stands in a text, white space aside, and is no part of a longer one."""
    letters = r"\s*".join(map(re.escape, "".join(string.split())))
    return re.search(rf"(?<![\w])(?<!\w[-.@]){letters}(?![\w]|[-.@]\w)", context) is not None


def _is_known(string: str, numbers: set[str]) -> bool:
    """Whether a string is a number that the text writes with other separators."""
    said = _NUMBER.findall(string)
    return len(said) == 1 and _plain(said[0]) in numbers


def _plain(number: str) -> str:
    return _SEPARATORS.sub("", number)


def _nearest(string: str, held: Sequence[str]) -> str:
    """Return what the string was cut from, or shares most letters in order with, or ""."""
    cut_from = next((other for other in held if string in other), None)
    if cut_from is not None:
        return cut_from
    alike = [other for other in held if 2 * abs(len(other) - len(string)) <= len(string)]
    found = difflib.get_close_matches(string, alike, n=1, cutoff=LEAST_ALIKE)
    return found[0] if found else ""


def _begun_by(word: str, held: Sequence[str]) -> str:
    """Return the first string that begins or ends with a word, or ""."""
    return next((other for other in held if other.startswith(word) or other.endswith(word)), "")
