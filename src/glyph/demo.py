"""The demo: half a megabyte of real text becomes pages, and is read back from their pixels.

The text is the Python language reference, which every Python carries for its `help()`. All of it
is rendered and priced for large models. Then it is rendered once more in the preset of the small
reader that comes with the package: those page files are decoded again, the reader sees nothing
else, and questions are answered from what it read. Only after reading is the result compared with
the text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from glyph.api import save
from glyph.documents import Document, document_from_text
from glyph.errors import DocumentError
from glyph.output import REPORT, PageHook, Saved, write_atomically
from glyph.pages import Page
from glyph.probe import alignment
from glyph.readers import Answer, Reader, Request
from glyph.report import ReportAnswer, ReportPages, report_of

NAME = "python-language-reference.txt"
QUESTIONS = (
    "What is a code block executed in?",
    "Which exception is raised when a name is not found at all?",
    "When does the interpreter terminate execution of the program?",
)
REPORT_PAGES = 12


@dataclass(frozen=True, eq=False)
class Rendered:
    """The pages of the demo.

    Attributes:
        run: The whole text as files.
        pages: All of them, in order.
    """

    run: Saved
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, the answer, and where the answer stands in the text.

    Attributes:
        question: As asked.
        answer: As the reader gave it.
        spans: Characters of the text under the answer's box.
    """

    question: str
    answer: Answer
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class ReadErrors:
    """How what was read differs from the text.

    Attributes:
        num_chars: Characters on the pages read.
        num_errors: Characters that were read wrongly, left out or added.
        num_letters: Letters and digits among the characters.
        num_letter_errors: Errors in letters and digits.
    """

    num_chars: int
    num_errors: int
    num_letters: int
    num_letter_errors: int


def reference() -> Document:
    """Return the Python language reference as a document: all topics in alphabetical order.

    Raises:
        DocumentError: This Python was built without it.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DocumentError(
            "this Python comes without pydoc_data, the text of the demo; run the demo with a "
            "complete Python, or 'glyph render' with a text of your own."
        ) from None
    text = "\n\n".join(topics[name] for name in sorted(topics))
    return document_from_text(text, name=NAME)


def render_reference(
    document: Document, folder: Path, preset: str, models: Sequence[str], on_page: PageHook
) -> Rendered:
    """Render all of the reference into a folder.

    Args:
        document: What to render.
        folder: Of the page files.
        preset: How.
        models: Whose tokens to count.
        on_page: Called with each page.
    """
    pages: list[Page] = []

    def on_each(page: Page) -> None:
        pages.append(page)
        on_page(page)

    run = save(document, folder, preset=preset, models=models, on_page=on_each)
    return Rendered(run, tuple(pages))


def page_files(rendered: Rendered) -> tuple[Page, ...]:
    """Return the pages with the pixels of their files, as a model would be sent them."""
    run = rendered.run
    return tuple(
        _from_file(page, run.folder / run.pages[page.index].file) for page in rendered.pages
    )


def _from_file(page: Page, path: Path) -> Page:
    with Image.open(path) as image:
        gray_HW = np.asarray(image.convert("L"))
    gray_levels_C3 = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    return Page(gray_HW, gray_levels_C3, page.layout)


def read_back(pages: Sequence[Page], reader: Reader, on_page: Callable[[int], None]) -> list[str]:
    """Read pages aloud from their pixels, and return the text of each.

    Args:
        pages: From `page_files`.
        reader: Who reads.
        on_page: Called with the number of pages read.
    """
    transcripts: list[str] = []
    for page in pages:
        transcripts.append(reader.transcribe(page).text)
        on_page(len(transcripts))
    return transcripts


def compare(document: Document, pages: Sequence[Page], transcripts: Sequence[str]) -> ReadErrors:
    """Compare what was read with the text; blanks and line ends do not count.

    Args:
        document: The text.
        pages: Say which part of it stands where.
        transcripts: Of the pages.
    """
    drawn = [" ".join(document.text[page.start : page.end].split()) for page in pages]
    errors = [
        old or new
        for expected, read in zip(drawn, transcripts, strict=True)
        for _, old, new in alignment(expected, " ".join(read.split()))
    ]
    return ReadErrors(
        num_chars=sum(map(len, drawn)),
        num_errors=len(errors),
        num_letters=sum(char.isalnum() for expected in drawn for char in expected),
        num_letter_errors=sum(char.isalnum() for char in errors),
    )


def ask_pages(question: str, pages: tuple[Page, ...], reader: Reader) -> Answered:
    """Answer a question from pages, and find the answer's place in the text."""
    answer = reader.answer(Request(question=question, pages=pages))
    spans: tuple[tuple[int, int], ...] = ()
    if answer.pages and answer.box is not None:
        spans = pages[answer.pages[0]].layout.spans_under(answer.box)
    return Answered(question, answer, spans)


def write_report(rendered: Rendered, answers: Sequence[Answered], out: Path) -> Path:
    """Write the report of the demo and return its path.

    The answers were read from other pages of the same text: their spans lead to these pages.
    """
    kept = ReportPages(REPORT_PAGES)
    asked = {_page_of(each, rendered.pages) for each in answers if each.spans}
    others = (page.index for page in rendered.pages if page.index not in asked)
    wanted = {*sorted(asked), *islice(others, max(REPORT_PAGES - len(asked), 0))}
    for page in rendered.pages:
        if page.index in wanted:
            kept.add(page)
    marked = [_marked(each, rendered.pages) for each in answers]
    path = out / REPORT
    write_atomically(path, report_of(rendered.run, kept, marked).encode())
    return path


def _marked(each: Answered, pages: Sequence[Page]) -> ReportAnswer:
    text, reader = each.answer.text, each.answer.reader
    if not each.spans:
        return ReportAnswer(each.question, text, reader, None, ())
    index = _page_of(each, pages)
    boxes = [box for first, end in each.spans for box in pages[index].layout.boxes(first, end)]
    return ReportAnswer(each.question, text, reader, index + 1, tuple(boxes))


def _page_of(each: Answered, pages: Sequence[Page]) -> int:
    start = each.spans[0][0]
    return next(page.index for page in pages if page.start <= start < page.end)
