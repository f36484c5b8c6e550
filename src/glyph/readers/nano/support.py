"""How well an answer is supported by the page it was read from, judged by the reader's own output.

A network that is asked for a key that is not there still says something. So every answer is
checked: the line it was read from, as its attention shows, is read once more on its own, and must
hold the key that was asked for. The source text plays no part.
"""

import math
import re
from dataclasses import dataclass, replace

from glyph.pages import Box
from glyph.readers.nano.decoding import Said
from glyph.readers.nano.questions import Question
from glyph.readers.nano.sheet import Sheet
from glyph.readers.nano.spec import chars_of

DISAGREEMENT = 0.5
"""What confidence is multiplied by when two readings of one line differ."""

SLIP = 0.5
"""What it is multiplied by for a key that was read with one wrong character."""

LEAST_LOG_PROB = -0.5
"""Mean log-probability below which an answer that cannot be checked counts as a guess."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one page says to a question.

    Attributes:
        page: Index in the request.
        quote: What was read, from the key to the end of its line.
        said: How.
        value: The answer proper.
        keyed: 1 when the quote begins with the key, less with a slip in it, else 0.
        confidence: From 0 to 1.
        box: Where the quote stands.
    """

    page: int
    quote: str
    said: Said
    value: str
    keyed: float
    confidence: float
    box: Box | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """What decides between pages."""
        return self.keyed, self.said.mean_log_prob


def candidate_of(question: Question, page: int, said: Said) -> Candidate:
    """Return what a page says to a question about a key, before it is checked."""
    quote = chars_of(said.ids)
    keyed = key_match(question.key, quote)
    chance = math.exp(sum(said.log_probs))
    return Candidate(page, quote, said, value_of(question, quote), keyed, chance * keyed)


def cell_lines(sheet: Sheet, said: Said) -> list[int]:
    """Return the lines of the row of visual tokens that most of an answer was read from."""
    if not said.tokens:
        return []
    rows = [token // sheet.num_cols for token in said.tokens]
    row = max(set(rows), key=lambda each: (rows.count(each), -each))
    lines = range(row * sheet.style.lines_per_token, (row + 1) * sheet.style.lines_per_token)
    return [line for line in lines if line < sheet.num_lines and sheet.has_ink(line)]


def checked(
    question: Question, found: Candidate, sheet: Sheet, lines: dict[int, Said]
) -> Candidate:
    """Return a candidate after its line was read once more.

    Args:
        question: What was asked.
        found: From `candidate_of`.
        sheet: Its page.
        lines: The lines around the answer as read on their own, by number; may be empty.
    """
    places = {number: chars_of(said.ids) for number, said in lines.items()}
    best = max(places, key=lambda n: likeness(question, found, places[n]), default=None)
    if best is None or likeness(question, found, places[best]) == 0:
        box = sheet.box_of_tokens(found.said.tokens) if found.said.tokens else None
        chance = (
            found.confidence if not lines and found.said.mean_log_prob > LEAST_LOG_PROB else 0.0
        )
        return replace(found, confidence=chance, box=box)
    text, again = places[best], lines[best]
    start = max(text.find(question.key), 0)
    second = text[start:]
    agree = second == found.quote
    quote, said = found.quote, found.said
    if not agree and key_match(question.key, second) >= found.keyed:
        is_surer = again.mean_log_prob > said.mean_log_prob
        if key_match(question.key, second) > found.keyed or is_surer:
            quote, said = second, again
    keyed = min(key_match(question.key, quote), key_match(question.key, second) or SLIP)
    chance = math.exp(sum(said.log_probs)) * keyed * (1.0 if agree else DISAGREEMENT)
    return replace(
        found,
        quote=quote,
        value=value_of(question, quote),
        keyed=keyed,
        confidence=chance,
        box=sheet.box_of(best, start, start + len(quote)),
    )


def likeness(question: Question, found: Candidate, line: str) -> float:
    """Return how well a line fits an answer: 2 holds it, 1 holds the key, 0 neither."""
    if found.keyed and found.quote and found.quote in line:
        return 2.0
    if question.key in line:
        return 1.0
    return 0.5 if key_match(question.key, line) else 0.0


def key_match(key: str, text: str) -> float:
    """Return 1 where a text begins with a key, SLIP with one character changed, else 0."""
    head = text[: len(key)]
    if head == key:
        return 1.0
    slips = sum(a != b for a, b in zip(head, key, strict=False))
    return SLIP if len(head) == len(key) > 3 and slips == 1 else 0.0


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
    if question.kind == "quote":
        return quote
    return re.sub(r"^\s*[:=]\s*", "", rest).strip()
