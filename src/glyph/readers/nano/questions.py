"""Which questions the reader understands, and how it is asked them."""

import re
from dataclasses import dataclass
from typing import Literal

from glyph.errors import ReaderError

Kind = Literal["lookup", "needle", "line", "quote", "present"]

FORMS = (
    '"What is the special magic number for KEY mentioned in the provided text?"',
    '"What is the value of KEY?"',
    '"KEY?"',
    '"What does line N of page P say?"',
    '"Continue the quotation: WORDS"',
    '"Does KEY appear?"',
)
FORM_OF: dict[str, int] = {"needle": 0, "lookup": 1, "line": 3, "quote": 4, "present": 5}

_PATTERNS: tuple[tuple[Kind, str], ...] = (
    (
        "needle",
        r"what is the special magic (?:number|word|uuid) for (?P<key>.+?)"
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
        kind: Of the forms above.
        key: Key or words; "" where a line is asked for.
        line: Line of the page, from 1; 0 without one.
        page: Page of the request, from 1; 0 without one.
    """

    kind: Kind
    key: str = ""
    line: int = 0
    page: int = 0


def understand(question: str, tasks: tuple[str, ...]) -> Question:
    """Return what a question asks for.

    Args:
        question: As the user wrote it.
        tasks: What the model was trained to answer.

    Raises:
        ReaderError: The question is none of the forms, or the model never learned that form.

    Example:
        >>> understand("What is the value of owl-nest?", ("lookup",)).key
        'owl-nest'
    """
    text = " ".join(question.split())
    for kind, pattern in _PATTERNS:
        found = re.fullmatch(pattern, text, re.IGNORECASE)
        if found is None:
            continue
        if kind not in tasks:
            raise ReaderError(
                f"this nano model never learned questions of the form {FORMS[FORM_OF[kind]]}; "
                + _advice(tasks)
            )
        values = found.groupdict()
        line, page = int(values.get("line") or 0), int(values.get("page") or 0)
        key = (values.get("key") or "").strip().strip(_QUOTES)
        return Question(kind, key, line, page or (1 if line else 0))
    raise ReaderError(f"reader 'nano' does not understand this question; {_advice(tasks)}")


def _advice(tasks: tuple[str, ...]) -> str:
    forms = [FORMS[FORM_OF[kind]] for kind in FORM_OF if kind in tasks]
    forms += [FORMS[2]] if "lookup" in tasks else []
    known = ", ".join(forms[:-1]) + " or " + forms[-1] if len(forms) > 1 else "".join(forms)
    return f"it answers {known}. For any other question use --reader ocr, or --reader openai:MODEL."
