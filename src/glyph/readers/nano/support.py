"""What a page said to a question, and whether the page bears it out.

A network that is asked for a key that is not there still says something. So what the language
model says is held against the page as read aloud from the same visual tokens: some line must hold
it, key and all. Only the reader's own output is compared; the source text plays no part.
"""

import re
from dataclasses import dataclass

from glyph.pages import Box
from glyph.readers.nano.decoding import Said
from glyph.readers.nano.questions import Question
from glyph.readers.nano.spec import chars_of
from glyph.readers.protocol import ReadLine, Transcript


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one page says to a question.

    Attributes:
        page: Index in the request.
        quote: What was read, from the key to the end of its line.
        value: The answer proper.
        score: Mean log-probability of a character.
    """

    page: int
    quote: str
    value: str
    score: float


@dataclass(frozen=True, slots=True)
class Supported:
    """An answer that a page bears out.

    Attributes:
        page: Index in the request.
        line: The line, as read aloud.
        value: The answer proper.
        box: Where the quote stands.
    """

    page: int
    line: ReadLine
    value: str
    box: Box | None


def candidate_of(question: Question, page: int, said: Said) -> Candidate:
    """Return what a page says, before anything is checked."""
    quote = chars_of(said.ids)
    return Candidate(page, quote, value_of(question, quote), said.mean_log_prob)


def supported(question: Question, found: Candidate, transcript: Transcript) -> Supported | None:
    """Return the line that bears a candidate out, None where no line does.

    Args:
        question: Whose key must lead the quote.
        found: What the language model said.
        transcript: Its page as read aloud.
    """
    if not found.value or not found.quote.startswith(question.key):
        return None
    for line in transcript.lines:
        start = line.text.find(found.quote)
        end = start + len(found.quote)
        # A part of a longer value or of a longer key is another value or key.
        is_whole = not line.text[end : end + 1].isalnum() and not line.text[:start][-1:].isalnum()
        if start >= 0 and is_whole:
            return Supported(found.page, line, found.value, line.box_of(start, end))
    return None


def value_of(question: Question, quote: str) -> str:
    """Return the answer proper within a quote that begins with the key.

    Example:
        >>> value_of(Question("lookup", "owl"), "owl: 417")
        '417'
    """
    rest = quote[len(question.key) :]
    if question.kind == "needle":
        found = re.fullmatch(r"\s*is:?\s*(.*?)\.?\s*", rest)
        return found[1] if found else rest.strip(" :.")
    return re.sub(r"^\s*[:=]\s*", "", rest).strip()
