"""The demo: half a megabyte of real text becomes pages, and is read back from their pixels.

The text is the Python language reference, which every Python carries for its `help()`. All of it
is rendered and priced. Reading takes seconds a page, so one chapter is read: its page files are
decoded again, the reader sees nothing else, and questions are answered from what it read. Only
after reading is the result compared with the text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from glyph.api import DEFAULT_MODELS, DEFAULT_PRESET, save, source_spans
from glyph.documents import Document, document_from_text
from glyph.errors import DocumentError
from glyph.output import REPORT, PageHook, Saved, write_atomically
from glyph.pages import Page
from glyph.probe import alignment
from glyph.readers import Answer, Reader, Request
from glyph.report import ReportAnswer, ReportPages, report_of

NAME = "python-language-reference.txt"
CHAPTER = "execmodel"
QUESTIONS = (
    "What is a code block executed in?",
    "Which exception is raised when a name is not found at all?",
    "What happens when an exception is not handled at all?",
)
REPORT_PAGES = 12


@dataclass(frozen=True, eq=False)
class Reference:
    """The text of the demo.

    Attributes:
        document: All topics of the language reference, in alphabetical order.
        start: First character of the chapter that is read.
        end: One past its last.
    """

    document: Document
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Rendered:
    """The pages of the demo.

    Attributes:
        run: All of them, as files.
        chapter: The pages of the chapter, to be read.
        report_pages: The pages of the report.
    """

    run: Saved
    chapter: tuple[Page, ...]
    report_pages: ReportPages


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
class ReadBack:
    """What came of reading.

    Attributes:
        num_chars: Characters on the pages read.
        num_errors: Characters that were read wrongly, left out or added.
        num_letters: Letters and digits among the characters.
        num_letter_errors: Errors in letters and digits; most others are in rows of dashes and
            stars under headings.
        answers: To the questions, in order.
    """

    num_chars: int
    num_errors: int
    num_letters: int
    num_letter_errors: int
    answers: tuple[Answered, ...]


def reference() -> Reference:
    """Return the Python language reference as a document.

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
    names = sorted(topics)
    text = "\n\n".join(topics[name] for name in names)
    start = sum(len(topics[name]) + 2 for name in names if name < CHAPTER)
    document = document_from_text(text, name=NAME)
    first, last = document.source.to_text([start, start + len(topics[CHAPTER].rstrip())])
    return Reference(document, int(first), int(last))


def render_reference(text: Reference, out: Path, on_page: PageHook) -> Rendered:
    """Render all of the reference into `out/pages`.

    Args:
        text: What to render.
        out: Folder of the demo.
        on_page: Called with each page.
    """
    chapter: list[Page] = []
    kept = ReportPages(REPORT_PAGES)

    def on_each(page: Page) -> None:
        if page.start < text.end and page.end > text.start:
            chapter.append(page)
        if page.end > text.start:
            kept.add(page)
        on_page(page)

    run = save(
        text.document,
        out / "pages",
        preset=DEFAULT_PRESET,
        models=DEFAULT_MODELS,
        on_page=on_each,
    )
    from_files = tuple(
        _from_file(page, run.folder / run.pages[page.index].file) for page in chapter
    )
    return Rendered(run, from_files, kept)


def _from_file(page: Page, path: Path) -> Page:
    """Return a page with the pixels of its file, as a model would be sent them."""
    with Image.open(path) as image:
        gray_HW = np.asarray(image.convert("L"))
    gray_levels_C3 = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    return Page(gray_HW, gray_levels_C3, page.layout)


def read_back(rendered: Rendered, reader: Reader, on_page: Callable[[int], None]) -> ReadBack:
    """Read the chapter from its pixels, answer the questions, then compare with the text.

    Args:
        rendered: From `render_reference`.
        reader: Who reads.
        on_page: Called with the number of pages read.
    """
    pages, text = rendered.chapter, rendered.run.document.text
    transcripts: list[str] = []
    for page in pages:
        transcripts.append(reader.transcribe(page).text)
        on_page(len(transcripts))
    answers = tuple(_answered(question, pages, reader) for question in QUESTIONS)
    drawn = [" ".join(text[page.start : page.end].split()) for page in pages]
    errors = [
        old or new
        for expected, read in zip(drawn, transcripts, strict=True)
        for _, old, new in alignment(expected, " ".join(read.split()))
    ]
    return ReadBack(
        num_chars=sum(map(len, drawn)),
        num_errors=len(errors),
        num_letters=sum(char.isalnum() for expected in drawn for char in expected),
        num_letter_errors=sum(char.isalnum() for char in errors),
        answers=answers,
    )


def _answered(question: str, pages: tuple[Page, ...], reader: Reader) -> Answered:
    answer = reader.answer(Request(question=question, pages=pages))
    spans: tuple[tuple[int, int], ...] = ()
    if answer.pages and answer.box is not None:
        by_index = {page.index: page for page in pages}
        spans = source_spans(by_index[answer.pages[0]], answer.box)
    return Answered(question, answer, spans)


def write_report(rendered: Rendered, read: ReadBack | None, out: Path) -> Path:
    """Write the report of the demo and return its path."""
    layouts = {page.index: page.layout for page in rendered.chapter}
    answers: list[ReportAnswer] = []
    for each in read.answers if read else ():
        answer = each.answer
        index = answer.pages[0] if answer.pages else None
        boxes = [] if index is None else [
            box for start, end in each.spans for box in layouts[index].boxes(start, end)
        ]  # fmt: skip
        number = None if index is None else index + 1
        answers.append(
            ReportAnswer(each.question, answer.text, answer.reader, number, tuple(boxes))
        )
    path = out / REPORT
    write_atomically(path, report_of(rendered.run, rendered.report_pages, answers).encode())
    return path
