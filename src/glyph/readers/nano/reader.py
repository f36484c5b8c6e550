"""The `nano` reader: answers from pixels with the small network that comes with the package.

Every page is read aloud at the speed of the vision tower (`scan`). A bare key is looked up by the
language model on every page of its style, several pages at once, and its answer counts when the
page as read aloud bears it out (`support`); where it does not, and for all other questions, the
answer is cut out of what was read. Memory is bounded by the group of pages that is read at once.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from glyph.errors import ConfigError, ReaderError
from glyph.pages import Box, Page
from glyph.readers.extract import NOT_FOUND, Extraction, extract_answer
from glyph.readers.keys import find_key
from glyph.readers.memory import Memory, Remembered
from glyph.readers.nano.card import model_digest, read_card
from glyph.readers.nano.decoding import ask_pages
from glyph.readers.nano.network import Network
from glyph.readers.nano.prompts import Prompt, key_prompt
from glyph.readers.nano.questions import Question, understand
from glyph.readers.nano.scan import Scan, Scanner, load_heads
from glyph.readers.nano.spec import CELL_PX, NanoStyle, load_spec
from glyph.readers.nano.support import Candidate, Supported, candidate_of, supported
from glyph.readers.passages import Passages
from glyph.readers.protocol import (
    Answer,
    PageStyle,
    ReadLine,
    Request,
    Taught,
    Transcript,
    Usage,
)

LOOKED_UP, READ_ALOUD = "lookup", "scan"
"""Methods of an answer: by the language model, borne out by the page; or from the page read aloud.
"""

MAX_CONTINUATION = 160
LINE_END_MARK = "\N{PILCROW SIGN}"


@dataclass(slots=True)
class _Work:
    """What has been read for a question so far."""

    transcripts: list[Transcript] = field(default_factory=list[Transcript])
    candidates: list[Candidate] = field(default_factory=list[Candidate])
    visual_tokens: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Finding:
    """An answer before it is dressed up; pages are indexes into the request."""

    text: str
    quote: str = ""
    pages: tuple[int, ...] = ()
    box: Box | None = None
    confidence: float = 0.0
    method: str = READ_ALOUD


class NanoReader:
    """Answers from the pixels of pages of its own presets, without any other model.

    Attributes:
        name: `nano`.
        preset: Preset of the pages it is asked about.
        lines_preset: Preset on whose pages the lines of a text begin new lines.
    """

    name = "nano"

    def __init__(
        self,
        path: str | Path | None = None,
        threads: int | None = None,
        on_text: Callable[[str], None] | None = None,
        on_page: Callable[[int, int], None] | None = None,
        cache: Path | None = None,
    ):
        """Load a model.

        Args:
            path: Model folder; None takes the one inside the package.
            threads: Threads of one run; None uses every core.
            on_text: Called with the answer, as soon as it is certain.
            on_page: Called with the number of pages read and of all pages.
            cache: Folder where pages that were read are remembered; None forgets them.

        Raises:
            ConfigError: `threads` is below 1, or the cache cannot be used.
            ReaderError: No model is there, or a package is missing.
        """
        if threads is not None and threads < 1:
            raise ConfigError(f"threads is {threads}; at least 1 is accepted, or None for all.")
        folder = Path(path) if path is not None else packaged_model()
        self._spec = spec = load_spec()
        self.card = read_card(folder, spec)
        self.preset = self.card.preset
        self.lines_preset = "nano"
        self.network = Network(folder, spec, threads)
        self.scanner = Scanner(self.network, load_heads(folder, spec), self.card.page_sizes_px)
        self._memory = Memory(f"nano {model_digest(folder)}", cache) if cache else None
        self._on_text = on_text
        self._on_page = on_page

    def answer(self, request: Request) -> Answer:
        """Answer a question from the pixels of pages; the sidecar is not used.

        Raises:
            ReaderError: A page is of a style or size the network was never taught.
        """
        began = time.perf_counter()
        if not request.pages:
            raise ReaderError("there are no pages to read; give a document that is not empty.")
        question = understand(request.question)
        work = _Work()
        if question.kind == "line":
            found = self._line_of(request, question, work)
        else:
            self._read_all(request, question, work)
            found = self._find(request, question, work)
        if self._on_text is not None:
            self._on_text(found.text)
        shown = found.pages or range(len(request.pages))
        return Answer(
            text=found.text,
            reader=self.name,
            pages=tuple(request.pages[index].index for index in shown),
            box=found.box,
            quote=found.quote,
            confidence=round(found.confidence, 4),
            usage=Usage(
                work.visual_tokens + work.prompt_tokens, work.output_tokens, work.visual_tokens
            ),
            seconds=time.perf_counter() - began,
            method=found.method,
        )

    def transcribe(self, page: Page) -> Transcript:
        """Read a page aloud; blank lines are left out.

        Raises:
            ReaderError: The page is of a style or size the network was never taught.
        """
        return self._scan(page).transcript

    def read_line(self, page: Page, number: int) -> ReadLine:
        """Read one line of a page.

        Args:
            page: A page of one of the reader's presets.
            number: Line from 1, blank ones counted.

        Raises:
            ReaderError: The page has no such line, or is not one the reader reads.
        """
        scan = self._scan(page)
        if not 1 <= number <= scan.num_lines:
            raise ReaderError(
                f"page {page.index + 1} has no line {number}; it has lines 1 to {scan.num_lines}."
            )
        return scan.line(number)

    @property
    def taught(self) -> Taught:
        """Styles whose code the vision tower speaks, on pages of the sizes it has seen and between.

        Marks for line ends are read on pages of every style, since signs outside ASCII were taught.
        """
        widths, heights = zip(*self._spec.page_sizes_px, strict=True)
        free = {
            "page_width_pt": tuple(range(min(widths), max(widths) + 1, CELL_PX)),
            "page_height_pt": tuple(range(min(heights), max(heights) + 1, CELL_PX)),
            "newline_marker": ("", LINE_END_MARK),
            "crop_width": (False, True),
            "crop_last_page": (False, True),
        }
        return Taught(tuple(_page_style(head.style, free) for head in self.scanner.heads), free)

    # -- reading -----------------------------------------------------------------------------

    def _scan(self, page: Page) -> Scan:
        ((scan,),) = self.scanner.scan([page])
        return scan

    def _read_all(self, request: Request, question: Question, work: _Work) -> None:
        """Read every page aloud, and ask those the language model knows."""
        for known, run in groupby(request.pages, key=lambda page: self._recall(question, page)):
            if known is not None:
                for _ in run:
                    work.transcripts.append(known.transcript)
                    work.visual_tokens += known.visual_tokens
                self._tell(request, work)
                continue
            for group in self.scanner.scan(list(run)):
                self._read_group(request, question, group, work)
                self._tell(request, work)

    def _read_group(
        self, request: Request, question: Question, group: Sequence[Scan], work: _Work
    ) -> None:
        first = len(work.transcripts)
        work.transcripts += [scan.transcript for scan in group]
        work.visual_tokens += sum(len(scan.token_TD) for scan in group)
        if self._memory is not None:
            for page, scan in zip(request.pages[first:], group, strict=False):
                seen = Remembered(scan.transcript, scan.style.name, len(scan.token_TD))
                self._memory.put(page.digest, seen)
        asked = [first + k for k, scan in enumerate(group) if self._can_ask(question, scan)]
        if asked:
            scans = [group[index - first] for index in asked]
            self._ask(question, asked, scans, request.max_answer_tokens, work)

    def _recall(self, question: Question, page: Page) -> Remembered | None:
        """Return a page as it was read before, unless the language model must see it itself."""
        known = self._memory.get(page.digest) if self._memory is not None else None
        if known is not None and self._is_learned(question) and known.style == self.card.style:
            return None
        return known

    def _tell(self, request: Request, work: _Work) -> None:
        if self._on_page is not None:
            self._on_page(len(work.transcripts), len(request.pages))

    def _is_learned(self, question: Question) -> bool:
        return question.kind in self.card.tasks and question.kind in ("lookup", "needle")

    def _can_ask(self, question: Question, scan: Scan) -> bool:
        is_of_style = scan.style.name == self.card.style and scan.is_trained_size
        return is_of_style and self._is_learned(question)

    def _ask(
        self,
        question: Question,
        pages: Sequence[int],
        scans: Sequence[Scan],
        max_ids: int,
        work: _Work,
    ) -> None:
        prompt: Prompt = key_prompt(question.key, needle=question.kind == "needle")
        token_BTD = np.stack([scan.token_TD for scan in scans])
        longest = max(scan.grid[1] * scan.style.bins_per_token for scan in scans) + 1
        answers = ask_pages(
            self.network,
            token_BTD,
            scans[0].grid,
            [[prompt]] * len(scans),
            min(longest, max_ids),
        )
        for page, (said,) in zip(pages, answers, strict=True):
            work.candidates.append(candidate_of(question, page, said))
            work.output_tokens += len(said.log_probs)
            work.prompt_tokens += len(prompt.ids) + 2

    # -- answers -----------------------------------------------------------------------------

    def _find(self, request: Request, question: Question, work: _Work) -> _Finding:
        numbers = [page.index for page in request.pages]
        if question.kind == "quote":
            return _continuation(question.key, work.transcripts, numbers)
        if question.kind == "present":
            return _presence(question.key, work.transcripts, numbers)
        if question.kind == "other":
            return _extracted(extract_answer(request.question, work.transcripts, numbers))
        for candidate in sorted(work.candidates, key=lambda each: -each.score):
            held = supported(question, candidate, work.transcripts[candidate.page])
            if held is not None:
                return _looked_up(held)
        return _found_aloud(question, work.transcripts, numbers)

    def _line_of(self, request: Request, question: Question, work: _Work) -> _Finding:
        if not 1 <= question.page <= len(request.pages):
            raise ReaderError(
                f"page {question.page} is not there; the document has pages 1 to "
                f"{len(request.pages)}."
            )
        page = request.pages[question.page - 1]
        line = self.read_line(page, question.line)
        work.visual_tokens = len(self._scan(page).token_TD)
        sure = 1.0 if line.confidence is None else line.confidence
        return _Finding(line.text, line.text, (question.page - 1,), line.box, sure)


def _page_style(style: NanoStyle, free: Mapping[str, Any]) -> PageStyle:
    fields = style.config(CELL_PX, CELL_PX).to_dict()
    if not style.newline_marker:
        del fields["newline_marker_color"]
    return PageStyle(style.name, style.about, {k: v for k, v in fields.items() if k not in free})


def _looked_up(held: Supported) -> _Finding:
    sure = 1.0 if held.line.confidence is None else held.line.confidence
    return _Finding(held.value, held.line.text.strip(), (held.page,), held.box, sure, LOOKED_UP)


def _found_aloud(
    question: Question, transcripts: Sequence[Transcript], numbers: Sequence[int]
) -> _Finding:
    """Return the value beside a key in the running text; only the key as asked will do."""
    passages = Passages(transcripts, numbers)
    hits = [hit for hit in find_key(passages.text, question.key, question.value) if hit.value]
    exact = [hit for hit in hits if hit.num_edits == 0]
    if not exact:
        near = passages.text[hits[0].start : hits[0].end] if hits else ""
        return _Finding(f"{NOT_FOUND}; the nearest is: {near}" if near else NOT_FOUND)
    hit = exact[0]
    lines = passages.lines_of(hit.start, hit.end)
    start, end = lines[0].start, lines[-1].start + len(lines[-1].line.text)
    pages, box = passages.place_of(start, end)
    sure = passages.confidence_of(start, end) / len({hit.value for hit in exact})
    return _Finding(hit.value, passages.text[start:end].strip(), pages, box, sure)


def _extracted(found: Extraction) -> _Finding:
    return _Finding(found.answer, found.quote, found.pages, found.box, found.confidence)


def _presence(words: str, transcripts: Sequence[Transcript], numbers: Sequence[int]) -> _Finding:
    passages = Passages(transcripts, numbers)
    start = passages.text.find(words)
    if start < 0:
        return _Finding("no", confidence=_mean_confidence(passages))
    pages, box = passages.place_of(start, start + len(words))
    sure = passages.confidence_of(start, start + len(words))
    return _Finding("yes", passages.lines_of(start, start + 1)[0].line.text, pages, box, sure)


def _continuation(
    words: str, transcripts: Sequence[Transcript], numbers: Sequence[int]
) -> _Finding:
    """Return what follows words of the text, to the end of the sentence."""
    passages = Passages(transcripts, numbers)
    start = passages.text.find(words)
    if start < 0:
        return _Finding(NOT_FOUND)
    begin = start + len(words)
    ends = [end for _, end in passages.sentences() if end > begin]
    end = min(ends[0] if ends else len(passages.text), begin + MAX_CONTINUATION)
    pages, box = passages.place_of(start, end)
    text = " ".join(passages.text[begin:end].split())
    sure = passages.confidence_of(start, end)
    return _Finding(text or NOT_FOUND, passages.text[start:end], pages, box, sure if text else 0.0)


def _mean_confidence(passages: Passages) -> float:
    said = [placed.line.confidence for placed in passages.lines]
    known = [sure for sure in said if sure is not None]
    return sum(known) / len(known) if known else 0.0


def packaged_model() -> Path:
    """Return the folder of the model that comes with the package.

    Raises:
        ReaderError: The package holds none.
    """
    folder = Path(str(resources.files("glyph"))) / "models" / "nano"
    if not (folder / "reader.json").is_file():
        raise ReaderError(
            "this installation holds no nano model; give a model folder as nano:FOLDER, or use "
            "--reader ocr."
        )
    return folder
