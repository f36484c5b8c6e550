"""How a context is given to a reader, and who answers: conditions and built-in readers.

A condition is a way to show a context: `pages`, which is what is being measured, and what it is
measured against: `blank` and `shuffled` pages, and text, whole (`full-text`), cut to the tokens
of the pages (`truncate`), or retrieved up to them (`bm25`).

Text goes to the reader itself where it takes text. A reader that sees pages only is stood in for
by the same answerer it ends in, on perfect text: what is lost between the two is lost in reading.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from glyph.documents import Document
from glyph.errors import ConfigError
from glyph.evaluate.retrieval import retrieve, truncate
from glyph.evaluate.task import Example
from glyph.pages import Page
from glyph.readers import Answer, Reader, ReadLine, Request, Transcript, Usage
from glyph.readers.extract import NOT_FOUND, extract_answer
from glyph.readers.protocol import TextReader

PAGE_CONDITIONS = ("pages", "blank", "shuffled")
TEXT_CONDITIONS = ("full-text", "truncate", "bm25")
CONDITIONS = (*PAGE_CONDITIONS, *TEXT_CONDITIONS)
BASELINES = CONDITIONS[1:]
BUILT_IN = ("oracle", "blank")

_NO_USAGE = Usage(None, None, None)


@dataclass(frozen=True, eq=False)
class Shown:
    """What a reader is shown of a context.

    Attributes:
        pages: The pages, in the order shown; empty where text is shown.
        text: The text shown; None where pages are.
        document: The rendered document; None where a PDF is shown.
        text_tokens: Tokens of the whole context as text.
        visual_tokens: Tokens of all its pages.
        given_tokens: Tokens of what is shown.
        render_s: Seconds it took to make the pages.
    """

    pages: tuple[Page, ...]
    text: str | None
    document: Document | None
    text_tokens: int
    visual_tokens: int
    given_tokens: int
    render_s: float


class Answerer(Protocol):
    """Answers an example from what is shown of it."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    def answer(self, example: Example, shown: Shown) -> Answer:
        """Answer; errors of a reader pass through."""
        ...


def apply_condition(
    condition: str, example: Example, shown: Shown, seed: int, count: Callable[[str], int]
) -> Shown:
    """Return what a condition shows instead of all pages.

    Args:
        condition: One of `CONDITIONS`.
        example: Whose context it is.
        shown: All pages in order.
        seed: Of the order of shuffled pages.
        count: Tokens of a text.
    """
    if condition == "pages":
        return shown
    if condition == "blank":
        return replace(shown, pages=tuple(blanked(page) for page in shown.pages))
    if condition == "shuffled":
        order = list(shown.pages)
        random.Random(f"{seed}:{example.id}").shuffle(order)
        return replace(shown, pages=tuple(order))
    if condition == "full-text":
        text = example.context
    elif condition == "truncate":
        text = truncate(example.context, shown.visual_tokens, count)
    else:
        text = retrieve(example.context, example.question, shown.visual_tokens, count)
    return replace(shown, pages=(), text=text, given_tokens=count(text))


def blanked(page: Page) -> Page:
    """Return a page of the same size and colours with nothing on it."""
    values, counts = np.unique(page.plane_HW, return_counts=True)
    plane_HW = np.full_like(page.plane_HW, values[counts.argmax()])
    return Page(plane_HW, page.palette_C3, page.layout)


@dataclass(frozen=True)
class ReaderAnswerer:
    """A reader of the package, from pages or from text."""

    reader: Reader

    @property
    def name(self) -> str:
        """The reader's own name."""
        return self.reader.name

    def answer(self, example: Example, shown: Shown) -> Answer:
        """Ask the reader, or let it transcribe."""
        if example.action == "transcribe":
            return self._transcribe(shown)
        follows = isinstance(self.reader, TextReader)
        question = example.question
        if follows and example.instruction:
            question = f"{example.instruction}\n\n{example.question}"
        if shown.text is None:
            request = Request(question, shown.pages, example.max_answer_tokens)
            return self.reader.answer(request)
        if isinstance(self.reader, TextReader):
            return self.reader.answer_text(shown.text, question, example.max_answer_tokens)
        return extract_from_text(shown.text, example.question)

    def _transcribe(self, shown: Shown) -> Answer:
        if shown.text is not None:
            raise ConfigError("transcribing needs pages; text baselines do not apply to it.")
        began = time.perf_counter()
        text = "\n".join(self.reader.transcribe(page).text for page in shown.pages)
        return _said(text, self.name, shown, time.perf_counter() - began)


def extract_from_text(text: str, question: str) -> Answer:
    """Answer from text as offline readers answer from what they have read."""
    began = time.perf_counter()
    found = extract_answer(question, [Transcript((ReadLine(text, None, None),))])
    seconds = time.perf_counter() - began
    return Answer(
        found.answer, "extract", (), None, found.quote, found.confidence, _NO_USAGE, seconds
    )


@dataclass(frozen=True)
class OracleAnswerer:
    """Copies the evidence from the source spans of the pages it is given.

    It reads perfectly and understands what is asked, so that a task that it does not solve is
    built wrong. It exists to validate tasks, and looks at what no reader may look at.
    """

    name: str = "oracle"

    def answer(self, example: Example, shown: Shown) -> Answer:
        """Join the spans of evidence that stand on the pages or in the text shown."""
        began = time.perf_counter()
        if example.action == "transcribe":
            parts = [example.context[start:end] for start, end in _shown_spans(shown)]
            text = "".join(parts)
        else:
            parts = [
                example.context[start:end]
                for start, end in example.evidence
                if self._is_shown(example, shown, (start, end))
            ]
            text = example.prefix + ", ".join(parts) if parts else NOT_FOUND
        return _said(text, self.name, shown, time.perf_counter() - began)

    def _is_shown(self, example: Example, shown: Shown, span: tuple[int, int]) -> bool:
        if shown.text is not None:
            return example.context[span[0] : span[1]] in shown.text
        at = span[0]
        for start, end in sorted(_shown_spans(shown)):
            if start <= at < end:
                at = end
        return at >= span[1]


def _shown_spans(shown: Shown) -> list[tuple[int, int]]:
    """Return the characters of the context on each page that has ink, in the order shown."""
    if shown.document is None:
        return []
    to_source = shown.document.source.to_source
    spans: list[tuple[int, int]] = []
    for page in shown.pages:
        if (page.plane_HW == page.plane_HW[0, 0]).all():
            continue
        start, end = to_source((page.start, page.end)).tolist()
        spans.append((start, end))
    return spans


@dataclass(frozen=True)
class BlankAnswerer:
    """Sees empty pages: says that it found nothing, and guesses where there are choices."""

    seed: int
    name: str = "blank"

    def answer(self, example: Example, shown: Shown) -> Answer:
        """Guess among the choices, evenly, or say nothing was found."""
        text = NOT_FOUND
        if example.choices:
            guess = random.Random(f"{self.seed}:{example.id}").choice(example.choices)
            text = f"The correct answer is ({guess})" if len(guess) == 1 else guess
        return _said(text, self.name, shown, 0.0)


def _said(text: str, name: str, shown: Shown, seconds: float) -> Answer:
    numbers = tuple(page.index for page in shown.pages)
    return Answer(text, name, numbers, None, "", None, _NO_USAGE, seconds)
