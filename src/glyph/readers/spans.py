"""Which kind of answer a question wants, and the span of that kind nearest to its words."""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum

_NUMBER_WORDS = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|"
    "fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    "ninety|hundred|thousand|million|billion|dozen"
)
_MONTH = (
    "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)
_NUMBER = (
    rf"[$€£¥]?\d[\d,]*(?:\.\d+)?(?:\s?%)?|\b(?:{_NUMBER_WORDS})(?:[ -](?:{_NUMBER_WORDS}))*\b|"
    r"[〇零一二三四五六七八九十百千万亿两]+"
)
_DATE = (
    rf"(?:\d{{1,2}}(?:st|nd|rd|th)?\s+)?{_MONTH}(?:\s+\d{{1,2}}(?:st|nd|rd|th)?)?"
    rf"(?:,?\s+\d{{3,4}})?|\b1\d{{3}}s?\b|\b20\d\ds?\b|\b\d{{3,4}}\s?(?:AD|BC|CE)\b|"
    r"(?:[〇零一二三四五六七八九十]+年)"
)
_TITLE = r"(?:(?:Mr|Mrs|Ms|Dr|St|Prof|Sir|Lady|Lord)\.?\s+)?"
_NAME = (
    rf"{_TITLE}[A-Z][\w'’&.-]*(?:\s+(?:(?:of|the|de|van|von|du|la|and)\s+)?[A-Z][\w'’&.-]*)*"
)


OPENING_PENALTY_CHARS = 40.0


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
_COMMON_STARTS = frozenset(
    """the a an in on at it he she they we i you this that these those there then when where who
    what which while as but and or if for from by to of with after before his her its their our
    my your not no so such some many most all one also however although because since during
    under over between both each every other another""".split()
)


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


def best_span(
    sentence: str,
    kind: AnswerKind,
    asked: set[str],
    is_wanted: Callable[[str], bool] | None,
    terms: Callable[[str], list[str]],
) -> str:
    """Return the span of a kind nearest to the question's words, or "" when there is none.

    Args:
        sentence: Where to look.
        kind: What to look for; of `ANY` there is none.
        asked: Words of the question in lower case; a span of these only is no answer.
        is_wanted: Whether a stemmed word is one of the question's; None takes the first span.
        terms: Splits text into stemmed words.
    """
    if kind is AnswerKind.ANY:
        return ""
    spans = list(_candidates(sentence, kind, asked))
    if not spans:
        return ""
    anchors: list[float] = []
    if is_wanted is not None:
        anchors = [
            (match.start() + match.end()) / 2
            for match in re.finditer(r"\w+", sentence)
            if any(map(is_wanted, terms(match.group())))
        ]
    start, end = min(spans, key=lambda span: _distance(sentence, span, anchors))
    return sentence[start:end].rstrip(".,;:'’-")


def _candidates(sentence: str, kind: AnswerKind, asked: set[str]) -> Iterator[tuple[int, int]]:
    for match in _PATTERNS[kind].finditer(sentence):
        start, end = match.span()
        if kind is AnswerKind.NAME:
            start = _past_common_words(sentence, start, end)
        words = re.findall(r"\w+", sentence[start:end].lower())
        if words != ["i"] and words and not asked.issuperset(words):
            yield start, end


def _past_common_words(sentence: str, start: int, end: int) -> int:
    """Return where a name begins, past a word that has its capital from the sentence's start."""
    while start < end:
        word = re.compile(r"[\w'’&.-]+\s*").match(sentence, start, end)
        if word is None or word.group().strip().lower() not in _COMMON_STARTS:
            return start
        start = word.end()
    return end


def _distance(sentence: str, span: tuple[int, int], anchors: Iterable[float]) -> float:
    start, end = span
    nearest = sorted(abs((start + end) / 2 - anchor) for anchor in anchors)[:3]
    # One word at the beginning has its capital from there, and is a name less often.
    is_opening = not sentence[:start].strip("\"'“‘( ") and " " not in sentence[start:end]
    penalty = OPENING_PENALTY_CHARS if is_opening else 0.0
    return penalty + (sum(nearest) / len(nearest) if nearest else 0.0)
