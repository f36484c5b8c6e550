"""Which questions the reader knows a way for."""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["needle", "lookup", "line", "quote", "present", "other"]

_PATTERNS: tuple[tuple[Kind, str], ...] = (
    (
        "needle",
        r"what is the special magic (?P<value>number|word|uuid) for (?P<key>.+?)"
        r"(?: mentioned in the (?:provided )?text)?\s*\?.*",
    ),
    ("lookup", r"what(?:'s| is) the value of (?:the )?(?:key |variable )?(?P<key>.+?)\s*\??"),
    ("line", r"what does line (?P<line>\d+)(?: (?:of|on) page (?P<page>\d+))? say\s*\??"),
    ("quote", r"continue (?:the )?(?:quotation|quote)\s*:\s*(?P<key>.+)"),
    ("present", r"(?:does|do) (?P<key>.+?) (?:appear|occur|stand)\b[^?]*\??"),
    ("lookup", r"(?P<key>\S+)\s*\?"),
)
_QUOTES = "\"'“”‘’`"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        kind: `needle` and `lookup` ask for the value of a key, `line` for a line of a page,
            `quote` for what follows words of the text, `present` whether words stand there;
            `other` is any other question.
        key: Key or words; "" where a line is asked for.
        line: Line of the page, from 1; 0 without one.
        page: Page of the request, from 1; 0 without one.
        value: What a value looks like: `number`, `uuid` or `any`.
    """

    kind: Kind
    key: str = ""
    line: int = 0
    page: int = 0
    value: str = "any"


def understand(question: str) -> Question:
    """Return what a question asks for.

    Example:
        >>> understand("What is the value of owl-nest?").key
        'owl-nest'
        >>> understand("What does line 3 of page 2 say?")
        Question(kind='line', key='', line=3, page=2, value='any')
    """
    text = " ".join(question.split())
    for kind, pattern in _PATTERNS:
        found = re.fullmatch(pattern, text, re.IGNORECASE)
        if found is not None:
            values = found.groupdict()
            line, page = int(values.get("line") or 0), int(values.get("page") or 0)
            key = (values.get("key") or "").strip().strip(_QUOTES)
            asked = (values.get("value") or "any").lower()
            value = asked if asked in ("number", "uuid") else "any"
            return Question(kind, key, line, page or (1 if kind == "line" else 0), value)
    return Question("other")
