"""What a reader is: anything that answers from pages.

A reader sees pixels only. It may say which page and which box an answer came from; turning that
into characters of the source text (`page.layout`) is the caller's business, so that a reader
cannot cheat by looking at the text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from glyph.pages import Box, Page

UNSURE_BELOW = 0.5
"""Confidence below which an answer is more likely wrong than right, and is told as unsure."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question about pages.

    Attributes:
        question: What to answer, as text.
        pages: The pages, in order.
        max_answer_tokens: Upper limit of the answer's length, for readers that generate.
        sidecar: Exact strings of the pages, given as text beside them; "" for none.
    """

    question: str
    pages: tuple[Page, ...]
    max_answer_tokens: int = 512
    sidecar: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost; None where the reader does not count or say.

    Attributes:
        input_tokens: Tokens of pages, question and prompt together.
        output_tokens: Tokens of the answer, reasoning included.
        visual_tokens: Tokens of the pages alone.
    """

    input_tokens: int | None
    output_tokens: int | None
    visual_tokens: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader says.

    Attributes:
        text: The answer.
        reader: Name of the reader.
        pages: Numbers, from 0, of the pages that support the answer; all pages shown, where a
            reader does not point.
        box: Where the quote stands on `pages[0]`, or None.
        quote: The words of the page the answer rests on, or "".
        confidence: From 0 to 1, or None where the reader does not say.
        usage: What it cost.
        seconds: Wall time.
        method: How the answer was found, for readers that have several ways; else "".
    """

    text: str
    reader: str
    pages: tuple[int, ...]
    box: Box | None
    quote: str
    confidence: float | None
    usage: Usage
    seconds: float
    method: str = ""

    @property
    def is_unsure(self) -> bool:
        """Whether the reader itself doubts it; False where the reader does not say."""
        return self.confidence is not None and self.confidence < UNSURE_BELOW


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line as read.

    Attributes:
        text: Its characters.
        box: Its ink on the page; None where the reader gives words without places.
        confidence: From 0 to 1, or None where the reader does not say.
        x_px: Horizontal centre of each character, in pixels, or empty when not known.
    """

    text: str
    box: Box | None
    confidence: float | None
    x_px: tuple[float, ...] = ()

    def box_of(self, start: int, end: int) -> Box | None:
        """Return the box of characters [start, end) of the line.

        Characters have known centres only, so an edge is put half way to the neighbour.

        Example:
            >>> line = ReadLine("ab c", Box(0, 0, 40, 9), 1.0, (5, 15, 25, 35))
            >>> line.box_of(0, 2)
            Box(left_px=0, top_px=0, right_px=20, bottom_px=9)
        """
        if self.box is None or len(self.x_px) != len(self.text):
            return self.box
        x_px, box = self.x_px, self.box
        left = box.left_px if start <= 0 else int((x_px[start - 1] + x_px[start]) / 2)
        right = box.right_px
        if end < len(x_px):
            right = int((x_px[end - 1] + x_px[end]) / 2 + 0.999)
        return Box(left, box.top_px, right, box.bottom_px)


@dataclass(frozen=True, slots=True)
class Transcript:
    """The lines of a page as read, in reading order."""

    lines: tuple[ReadLine, ...]

    @property
    def text(self) -> str:
        """The lines joined by line feeds."""
        return "\n".join(line.text for line in self.lines)


class Reader(Protocol):
    """Anything that answers from pages."""

    @property
    def name(self) -> str:
        """What the reader is called, such as `ocr` or `openai:MODEL`."""
        ...

    def answer(self, request: Request) -> Answer:
        """Answer a question from pages.

        Raises:
            ReaderError: The reader cannot answer.
            BudgetError: The pages are more than the reader takes at once.
        """
        ...

    def transcribe(self, page: Page) -> Transcript:
        """Read a page aloud, word for word."""
        ...


@runtime_checkable
class LineReader(Protocol):
    """A reader that knows where the lines of its pages stand, and can read just one.

    Attributes:
        lines_preset: Preset on whose pages the lines of a text begin new lines.
    """

    lines_preset: str

    def read_line(self, page: Page, number: int) -> ReadLine:
        """Read line `number`, from 1 and blank ones counted."""
        ...


@dataclass(frozen=True, slots=True)
class PageStyle:
    """A look of pages that a reader was taught.

    Attributes:
        name: What the reader calls it.
        about: One line for people.
        fields: Values of `RenderConfig` that make it, by field.
    """

    name: str
    about: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taught:
    """What a reader was taught to read.

    Attributes:
        styles: Looks it knows.
        free: Fields that may differ within a style, with the values that are worth trying.
    """

    styles: tuple[PageStyle, ...]
    free: Mapping[str, tuple[Any, ...]]


@runtime_checkable
class StyledReader(Protocol):
    """A reader that reads pages of some styles and refuses all others."""

    @property
    def taught(self) -> Taught:
        """What it reads."""
        ...


@runtime_checkable
class TextReader(Protocol):
    """A reader that can also be given the context as text, to compare pages with."""

    def answer_text(self, context: str, question: str, max_answer_tokens: int = 512) -> Answer:
        """Answer a question from a text.

        Raises:
            ReaderError: The reader cannot answer.
        """
        ...
