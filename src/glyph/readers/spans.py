"""Which kind of answer a question wants, and the span of that kind nearest to its words."""

import re
from collections.abc import Iterator
from enum import Enum

_NUMBER_WORDS = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|"
    "fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    "ninety|hundred|thousand|million|billion|dozen"
)
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_NUMBER = (
    rf"[$€£¥]?\d+(?:[,.:]\d+)*(?:\s?%)?|\b(?:{_NUMBER_WORDS})(?:[ -](?:{_NUMBER_WORDS}))*\b|"
    r"[〇零一二三四五六七八九十百千万亿两]+"
)
_DATE = (
    rf"(?:\b\d{{1,2}}(?:st|nd|rd|th)?\s+)?{_MONTH}(?:\s+\d{{1,2}}(?:st|nd|rd|th)?\b)?"
    rf"(?:,?\s+\d{{3,4}})?|\b1\d{{3}}s?\b|\b20\d\ds?\b|\b\d{{3,4}}\s?(?:AD|BC|CE)\b|"
    r"(?:[〇零一二三四五六七八九十]+年)"
)
_TITLE = r"(?:(?:Mr|Mrs|Ms|Dr|St|Prof|Sir|Lady|Lord)\.?\s+)?"
_NAME = rf"{_TITLE}[A-Z][\w'’&.-]*(?:\s+(?:(?:of|the|de|van|von|du|la|and)\s+)?[A-Z][\w'’&.-]*)*"


class AnswerKind(Enum):
    """The kind of span that answers a question."""

    NUMBER = "number"
    DATE = "date"
    NAME = "name"
    ANY = "any"


_PATTERNS = {
    AnswerKind.NUMBER: re.compile(_NUMBER, re.IGNORECASE),
    AnswerKind.DATE: re.compile(_DATE),
    AnswerKind.NAME: re.compile(_NAME),
}
_ASKS = (
    (
        AnswerKind.DATE,
        re.compile(
            r"\bwhen\b|\b(?:what|which|in what|in which) (?:year|date|day|month|century|decade)\b"
        ),
    ),
    (
        AnswerKind.NUMBER,
        re.compile(
            r"\bhow (?:many|much|old|tall|long|far|large|big|high|heavy)\b|"
            r"\bwhat (?:percentage|percent|number|price|age|amount|population|salary)\b|多少|几"
        ),
    ),
    (
        AnswerKind.NAME,
        re.compile(
            r"^\W*(?:who|whom|whose|where)\b|\bwho (?:is|was|were|are|did|does)\b|"
            r"\b(?:in|at|to|from) (?:which|what) (?:city|country|town|place|state|village|house)\b|"
            r"\b(?:first|last|full|nick|middle)\s?name\b|\bname of\b|\bwhat alias\b"
        ),
    ),
)
_COUNTED = re.compile(r"\bhow (?:many|much) (?:\w+ly )?(?P<noun>\w{3,})", re.IGNORECASE)
_COMMON_TEXT = """
the a an in on at it he she they we i you this that these those there then when where who
what which while as but and or if for from by to of with after before his her its their our
my your not no so such some many most all one also however although because since during
under over between both each every other another one two three four five six seven eight nine
ten must shall will"""
_COMMON_STARTS = frozenset(_COMMON_TEXT.split())


def answer_kind(question: str) -> AnswerKind:
    """Return the kind of answer a question wants.

    Example:
        >>> answer_kind("In what year did Tesla die?").value
        'date'
    """
    lowered = question.lower()
    for kind, pattern in _ASKS:
        if pattern.search(lowered):
            return kind
    return AnswerKind.ANY


def has_span(sentence: str, kind: AnswerKind, asked: set[str]) -> bool:
    """Whether a sentence holds a span of a kind that the question does not name itself."""
    return kind is AnswerKind.ANY or next(_candidates(sentence, kind, asked), None) is not None


def best_span(sentence: str, kind: AnswerKind, question: str) -> str:
    """Return the span of a kind that answers a question, or "" where it is not clear which does.

    A wrong name is worse than the whole sentence, so a span is returned only if it is the
    sentence's only one, or the number that counts the thing asked for ("how many points").

    Args:
        sentence: Where to look.
        kind: What to look for; of `ANY` there is none.
        question: The question; a span made of its words is no answer.
    """
    if kind is AnswerKind.ANY:
        return ""
    asked = words_of(question)
    spans = list(_candidates(sentence, kind, asked))
    counted = _COUNTED.search(question)
    if kind is AnswerKind.NUMBER and counted:
        noun = counted["noun"].lower()[:5]
        counting = [
            (start, end)
            for start, end in spans
            if any(word.startswith(noun) for word in re.findall(r"\w+", sentence[end:].lower())[:3])
        ]
        spans = counting or spans
    found = {sentence[start:end].rstrip(".,;:'’-") for start, end in spans}
    return found.pop() if len(found) == 1 else ""


def words_of(text: str) -> set[str]:
    """Return the words of a text in lower case, without a plural or possessive s."""
    return {re.sub(r"['’]?s$", "", word) for word in re.findall(r"[\w'’]+", text.lower())}


def _candidates(sentence: str, kind: AnswerKind, asked: set[str]) -> Iterator[tuple[int, int]]:
    for match in _PATTERNS[kind].finditer(sentence):
        start, end = match.span()
        if kind is AnswerKind.NAME:
            start = _past_common_words(sentence, start, end)
        words = words_of(sentence[start:end])
        if words and words != {"i"} and 2 * len(words & asked) < len(words):
            yield start, end


def _past_common_words(sentence: str, start: int, end: int) -> int:
    """Return where a name begins, past a word that has its capital from the sentence's start."""
    while start < end:
        word = re.compile(r"[\w'’&.-]+\s*").match(sentence, start, end)
        if word is None or word.group().strip().lower() not in _COMMON_STARTS:
            return start
        start = word.end()
    return end
