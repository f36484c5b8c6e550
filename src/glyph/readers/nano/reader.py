"""The `nano` reader: answers from pixels with the small network that comes with the package.

It understands a few forms of questions (`questions.FORMS`) and pages of one style, and refuses
everything else. Every page is asked by itself, several at once; the best supported answer wins
(`support`). Memory is bounded by the group of pages that is read at once, not by the document.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from itertools import groupby
from pathlib import Path

import numpy as np

from glyph.errors import ConfigError, ReaderError
from glyph.pages import Page
from glyph.readers.nano.card import read_card
from glyph.readers.nano.decoding import OnId, Said, ask_pages
from glyph.readers.nano.network import Network
from glyph.readers.nano.prompts import (
    Prompt,
    key_prompt,
    line_prompt,
    presence_prompt,
    quote_prompt,
)
from glyph.readers.nano.questions import Question, understand
from glyph.readers.nano.sheet import Sheet, sheet_of
from glyph.readers.nano.spec import chars_of, load_spec
from glyph.readers.nano.support import Candidate, candidate_of, cell_lines, checked
from glyph.readers.protocol import Answer, ReadLine, Request, Transcript, Usage

TOKENS_AT_ONCE = 8 * 192
"""Visual tokens of the pages that are asked at once; what bounds memory."""

CHECKED = 2
"""Answers that are checked, best first, until one holds."""

QUOTE_CHARS = 8
"""Characters of a quotation that are searched for; as in training."""

LEAST_CONFIDENCE = 0.05


class NanoReader:
    """Answers a few forms of questions from the pixels of pages, without any other model.

    Attributes:
        name: `nano`.
        preset: Preset whose pages it reads.
    """

    name = "nano"

    def __init__(
        self,
        path: str | Path | None = None,
        threads: int | None = None,
        on_text: Callable[[str], None] | None = None,
        on_page: Callable[[int, int], None] | None = None,
    ):
        """Load a model.

        Args:
            path: Model folder; None takes the one inside the package.
            threads: Threads of one run; None uses every core.
            on_text: Called with each piece of the answer, as soon as it is certain.
            on_page: Called with the number of pages asked and of all pages.

        Raises:
            ConfigError: `threads` is below 1.
            ReaderError: No model is there, or a package is missing.
        """
        if threads is not None and threads < 1:
            raise ConfigError(f"threads is {threads}; at least 1 is accepted, or None for all.")
        folder = Path(path) if path is not None else packaged_model()
        spec = load_spec()
        self.card = read_card(folder, spec)
        self.preset = self.card.preset
        self._style = spec.style(self.card.style)
        self._network = Network(folder, spec, threads)
        self._on_text = on_text
        self._on_page = on_page

    def answer(self, request: Request) -> Answer:
        """Answer a question from the pixels of pages; the sidecar is not used.

        Raises:
            ReaderError: The question or a page is not of the kind the model was trained on.
        """
        began = time.perf_counter()
        if not request.pages:
            raise ReaderError("there are no pages to read; give a document that is not empty.")
        question = understand(request.question, self.card.tasks)
        if question.kind == "line":
            return self._answer_line(request, question, began)
        said = self._ask_all(request, question)
        if question.kind == "present":
            return self._answer_presence(request, question, said, began)
        found = sorted(
            (candidate_of(question, i, one) for i, one in enumerate(said)),
            key=lambda candidate: candidate.rank,
            reverse=True,
        )
        best = self._best_checked(request.pages, question, found[:CHECKED])
        return self._answer_key(request, question, best, said, began)

    def transcribe(self, page: Page) -> Transcript:
        """Read every line of a page that holds ink; blank lines are left out."""
        sheet = self._sheet(page)
        numbers = [line for line in range(sheet.num_lines) if sheet.has_ink(line)]
        said = self._read(sheet, numbers)
        return Transcript(tuple(self._line(sheet, n, said[n]) for n in numbers))

    def read_line(self, page: Page, number: int) -> ReadLine:
        """Read one line of a page.

        Args:
            page: A page of the reader's preset.
            number: Line from 1, blank ones counted.

        Raises:
            ReaderError: The page has no such line, or is not one the reader reads.
        """
        sheet = self._sheet(page)
        if not 1 <= number <= sheet.num_lines:
            raise ReaderError(
                f"line {number} is not on page {page.index + 1}, which has lines 1 to "
                f"{sheet.num_lines}."
            )
        return self._line(
            sheet, number - 1, self._read(sheet, [number - 1], self._tell)[number - 1]
        )

    # -- questions ---------------------------------------------------------------------------

    def _ask_all(self, request: Request, question: Question) -> list[Said]:
        """Return what every page says to a question."""
        prompt = _prompt_of(question)
        answers: list[Said] = []
        for sheets in self._groups(request.pages):
            plane_BHW = np.stack([sheet.plane_HW for sheet in sheets])
            longest = min(max(sheet.max_chars for sheet in sheets) + 1, request.max_answer_tokens)
            said = ask_pages(self._network, plane_BHW, [[prompt]] * len(sheets), longest)
            answers += [one for (one,) in said]
            if self._on_page is not None:
                self._on_page(len(answers), len(request.pages))
        return answers

    def _groups(self, pages: Sequence[Page]) -> Iterator[list[Sheet]]:
        """Yield sheets of one size, as many as may be read at once."""
        sheets = (self._sheet(page) for page in pages)
        for _, alike in groupby(sheets, key=lambda sheet: sheet.plane_HW.shape):
            group: list[Sheet] = []
            for sheet in alike:
                group.append(sheet)
                if (len(group) + 1) * sheet.num_tokens > TOKENS_AT_ONCE:
                    yield group
                    group = []
            if group:
                yield group

    def _best_checked(
        self, pages: Sequence[Page], question: Question, found: Sequence[Candidate]
    ) -> Candidate:
        done: list[Candidate] = []
        for candidate in found:
            sheet = self._sheet(pages[candidate.page])
            can_check = "line" in self.card.tasks and question.kind in ("lookup", "needle")
            numbers = cell_lines(sheet, candidate.said) if can_check else []
            done.append(checked(question, candidate, sheet, self._read(sheet, numbers)))
            if done[-1].confidence >= LEAST_CONFIDENCE:
                break
        return max(done, key=lambda candidate: candidate.confidence)

    def _answer_key(
        self,
        request: Request,
        question: Question,
        best: Candidate,
        said: Sequence[Said],
        began: float,
    ) -> Answer:
        is_found = best.confidence >= LEAST_CONFIDENCE and bool(best.value)
        text = best.value
        if not is_found:
            text = f"No line of these pages that I can read begins with '{question.key}'."
            text = text.replace(" begins with", " holds") if question.kind != "lookup" else text
        self._tell(text)
        number = request.pages[best.page].index
        everywhere = tuple(page.index for page in request.pages)
        return Answer(
            text=text,
            reader=self.name,
            pages=(number,) if is_found else everywhere,
            box=best.box if is_found else None,
            quote=best.quote if is_found else "",
            confidence=round(best.confidence, 4),
            usage=self._usage(request, question, said),
            seconds=time.perf_counter() - began,
        )

    def _answer_presence(
        self, request: Request, question: Question, said: Sequence[Said], began: float
    ) -> Answer:
        yes = load_spec().special("YES")
        chances = [
            math.exp(one.log_probs[0]) if one.ids[:1] == [yes] else 1 - math.exp(one.log_probs[0])
            for one in said
        ]
        best = int(np.argmax(chances))
        is_there = chances[best] >= 0.5
        text = "yes" if is_there else "no"
        self._tell(text)
        everywhere = tuple(page.index for page in request.pages)
        return Answer(
            text=text,
            reader=self.name,
            pages=(everywhere[best],) if is_there else everywhere,
            box=None,
            quote="",
            confidence=round(chances[best] if is_there else 1 - chances[best], 4),
            usage=self._usage(request, question, said),
            seconds=time.perf_counter() - began,
        )

    def _answer_line(self, request: Request, question: Question, began: float) -> Answer:
        if not 1 <= question.page <= len(request.pages):
            raise ReaderError(
                f"page {question.page} is not there; the document has pages 1 to "
                f"{len(request.pages)}."
            )
        page = request.pages[question.page - 1]
        line = self.read_line(page, question.line)
        sheet = self._sheet(page)
        return Answer(
            text=line.text,
            reader=self.name,
            pages=(page.index,),
            box=line.box,
            quote=line.text,
            confidence=line.confidence,
            usage=Usage(sheet.num_tokens + 2 + 4, len(line.text) + 1, sheet.num_tokens),
            seconds=time.perf_counter() - began,
        )

    # -- lines -------------------------------------------------------------------------------

    def _read(
        self, sheet: Sheet, numbers: Sequence[int], tell: Callable[[str], None] | None = None
    ) -> dict[int, Said]:
        """Return lines of a page as read, by number from 0."""
        self._needs("line")
        if not numbers:
            return {}
        prompts = [[line_prompt(number) for number in numbers]]
        on_id: OnId | None = None
        if tell is not None:
            on_id = lambda page, query, token: tell(chars_of([token]))  # noqa: E731
        (said,) = ask_pages(
            self._network, sheet.plane_HW[None], prompts, sheet.max_chars + 1, on_id
        )
        return dict(zip(numbers, said, strict=True))

    def _needs(self, task: str) -> None:
        if task not in self.card.tasks:
            raise ReaderError(
                "this nano model never learned to read lines; use --reader ocr, or another model."
            )

    def _line(self, sheet: Sheet, number: int, said: Said) -> ReadLine:
        text = chars_of(said.ids)
        advance = self._style.advance_px
        centres = tuple((k + 0.5) * advance for k in range(len(text))) if advance else ()
        box = sheet.box_of(number, 0, len(text))
        return ReadLine(text, box, round(math.exp(said.mean_log_prob), 4), centres)

    # -- small things ------------------------------------------------------------------------

    def _sheet(self, page: Page) -> Sheet:
        return sheet_of(page, self.card, self._style)

    def _tell(self, text: str) -> None:
        if self._on_text is not None and text:
            self._on_text(text)

    def _usage(self, request: Request, question: Question, said: Sequence[Said]) -> Usage:
        visual = sum(self._sheet(page).num_tokens for page in request.pages)
        prompts = len(request.pages) * (2 + len(_prompt_of(question).ids))
        output = sum(len(one.log_probs) for one in said)
        return Usage(visual + prompts, output, visual)


def _prompt_of(question: Question) -> Prompt:
    if question.kind == "present":
        return presence_prompt(question.key)
    if question.kind == "quote":
        return quote_prompt(question.key[-QUOTE_CHARS:])
    return key_prompt(question.key, needle=question.kind == "needle")


def packaged_model() -> Path:
    """Return the folder of the model that comes with the package.

    Raises:
        ReaderError: The package holds none.
    """
    folder = Path(str(resources.files("glyph"))) / "models" / "nano"
    if not (folder / "reader.json").is_file():
        raise ReaderError(
            f"this installation holds no nano model ({folder} is empty); give a folder as "
            "nano:FOLDER, or use --reader ocr."
        )
    return folder
