"""Fitness by real reading: what a reader answers from pages of a config, and what they cost.

Compression is exact and needs no reader: the user's text is laid out and priced. Accuracy is read:
passages are rendered, the reader answers, answers are marked. Passages come in rungs, each twice
as long as the one before; after a rung, a candidate is read no further when a rival of the same or
a higher ratio beats it by more than chance on the same questions.

A reader with no vision model of its own is shown what the priced model would see: where that model
resamples a page, so are the pages read. A search would else find sizes that are billed small and
read large.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from PIL import Image

from glyph.config import RenderConfig
from glyph.documents import document_from_text
from glyph.pages import Page
from glyph.render import render_pages
from glyph.search.pareto import REFERENCE
from glyph.search.readings import Reading, Readings
from glyph.search.scoring import interval, score_answer
from glyph.search.validation import Passage, Question, ValidationSet
from glyph.text_tokens import count_text_tokens
from glyph.tokens import document_cost, resolve_model

MARGIN = 0.5
"""A candidate must be behind by this over the root of the number of questions to be given up: about
two standard errors of a difference on the same questions."""

Judge = Callable[[Question, str], float]


@dataclass(frozen=True, slots=True)
class Price:
    """What the user's text costs under a config; exact, and known before anything is read.

    Attributes:
        text_tokens: Tokens as text.
        visual_tokens: Tokens as pages.
        seen_scale: Width and height the model sees over those of a page.
    """

    text_tokens: int
    visual_tokens: int
    seen_scale: tuple[float, float]

    @property
    def ratio(self) -> float:
        """Text tokens for each visual token."""
        return self.text_tokens / self.visual_tokens


@dataclass(frozen=True, slots=True)
class Rival:
    """A candidate read to the end, as racing sees it: its ratio and its scores in order."""

    ratio: float
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found out about a candidate.

    Attributes:
        accuracy: Mean score of the questions asked.
        accuracy_low: Lower end of its 95 % bootstrap interval.
        accuracy_high: Upper end.
        price: Cost of the text.
        scores: One for each question asked, in order of the validation set.
        is_full: Whether every question was asked; else racing gave the candidate up.
        by_kind: Mean score of each kind of question.
        failures: Reasons for which the reader gave no answer, each once.
        num_failed: Questions without an answer; they score 0.
        tokens: Tokens the reader spent, where it says.
        seconds: Wall time.
        num_down: Of those without an answer, the ones for which the reader's endpoint was down.
    """

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    price: Price
    scores: tuple[float, ...]
    is_full: bool
    by_kind: tuple[tuple[str, float], ...]
    failures: tuple[str, ...]
    num_failed: int
    tokens: int
    seconds: float
    num_down: int = 0

    @property
    def is_unread(self) -> bool:
        """Whether the reader gave no answer at all."""
        return self.num_failed == len(self.scores)

    @property
    def is_down(self) -> bool:
        """Whether the endpoint was down throughout, which says nothing about the config."""
        return self.num_down == len(self.scores)


class Fitness:
    """Measures candidates with one reader on one validation set.

    Attributes:
        validation: The questions.
        readings: The reader and what it has said.
    """

    def __init__(
        self,
        validation: ValidationSet,
        readings: Readings,
        model: str,
        *,
        sees_itself: bool,
        judge: Judge | None = None,
        seed: int = 0,
    ):
        """Prepare; nothing is read.

        Args:
            validation: Passages and questions.
            readings: The reader behind its cache.
            model: Whose visual tokens are counted.
            sees_itself: Whether the reader resamples pages itself, as models behind endpoints do.
            judge: Marks answers to questions that were written by a language model.
            seed: Of the bootstrap.
        """
        self.validation = validation
        self.readings = readings
        self._model = resolve_model(model)
        self._sees_itself = sees_itself
        self._judge = judge
        self._seed = seed
        self._document = document_from_text(validation.priced_text)
        tokenizer = self._model.tokenizer
        self._text_tokens = count_text_tokens(validation.priced_text, tokenizer)

    def price(self, config: RenderConfig) -> Price:
        """Return what the user's text costs.

        Raises:
            ConfigError: The model refuses pages of such a size.
        """
        layouts = render_pages(self._document, config).layouts()
        sizes = [(layout.width_px, layout.height_px) for layout in layouts]
        cost = document_cost(sizes, self._text_tokens, self._model, self._model.tokenizer)
        width, height = sizes[0]
        seen = self._model.rule.cost(width, height)
        scale = (seen.seen_width_px / width, seen.seen_height_px / height)
        return Price(self._text_tokens, cost.visual_tokens, scale)

    def page_key(self, config: RenderConfig, price: Price) -> str:
        """Name what a reader would see and pay; equal keys mean that nothing new can be learnt."""
        pages = self.pages(self.validation.passages[0], config, price)
        parts = [str(price.visual_tokens), *(page.digest for page in pages)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

    def pages(self, passage: Passage, config: RenderConfig, price: Price) -> tuple[Page, ...]:
        """Return the pages of a passage as the reader is shown them."""
        if passage.straddling:
            pages = _around_break(passage, config)
        else:
            pages = tuple(render_pages(passage.text, config))
        if self._sees_itself or price.seen_scale == (1.0, 1.0):
            return pages
        return tuple(_resampled(page, price.seen_scale) for page in pages)

    def measure(self, config: RenderConfig, price: Price, rivals: Sequence[Rival] = ()) -> Measured:
        """Read passages until all are read or racing gives the candidate up.

        Args:
            config: The candidate.
            price: Its price.
            rivals: Candidates read to the end.
        """
        begin = time.perf_counter()
        marks: list[tuple[Question, float, Reading]] = []
        groups: list[int] = []
        passages = self.validation.passages
        behind = [rival for rival in rivals if rival.ratio >= price.ratio]
        is_full = True
        for number, passage in enumerate(passages):
            if number in _rung_ends(len(passages)) and _is_hopeless(
                [score for _, score, _ in marks], behind
            ):
                is_full = False
                break
            marks += self._ask(passage, config, price)
            groups += [number] * (len(marks) - len(groups))
        scores = tuple(score for _, score, _ in marks)
        low, high = interval(scores, groups, seed=self._seed)
        errors = [reading.error for _, _, reading in marks if reading.error]
        return Measured(
            accuracy=float(np.mean(scores)),
            accuracy_low=low,
            accuracy_high=high,
            price=price,
            scores=scores,
            is_full=is_full,
            by_kind=_by_kind(marks),
            failures=tuple(dict.fromkeys(errors)),
            num_failed=len(errors),
            tokens=sum(reading.tokens for _, _, reading in marks),
            seconds=time.perf_counter() - begin,
            num_down=sum(reading.is_down for _, _, reading in marks),
        )

    def _ask(
        self, passage: Passage, config: RenderConfig, price: Price
    ) -> list[tuple[Question, float, Reading]]:
        pages = self.pages(passage, config, price)
        marks: list[tuple[Question, float, Reading]] = []
        for question in passage.questions:
            if question.via == "transcript":
                reading = self.readings.transcribe(pages)
                text = _without_marker(reading.text, config.newline_marker)
                given = _slice_of(text, question)
            else:
                reading = self.readings.answer(pages, question.text)
                given = reading.text
            if reading.error:
                score = 0.0
            elif self._judge is not None and question.kind == "written":
                score = self._judge(question, given)
            else:
                score = score_answer(question.scoring, given, question.expected)
            marks.append((question, score, reading))
        return marks


def _rung_ends(num_passages: int) -> set[int]:
    """Return after how many passages racing looks: 1, 2, 4, 8..., never at the end."""
    return {2**k for k in range(num_passages.bit_length()) if 2**k < num_passages}


def _is_hopeless(scores: Sequence[float], behind: Sequence[Rival]) -> bool:
    margin = MARGIN / sqrt(len(scores))
    reached = float(np.mean(scores)) + margin
    if reached < REFERENCE[0]:
        return True
    return any(float(np.mean(rival.scores[: len(scores)])) > reached for rival in behind)


def _by_kind(marks: Sequence[tuple[Question, float, Reading]]) -> tuple[tuple[str, float], ...]:
    kinds: dict[str, list[float]] = {}
    for question, score, _ in marks:
        kinds.setdefault(question.kind, []).append(score)
    return tuple((kind, float(np.mean(found))) for kind, found in sorted(kinds.items()))


def _without_marker(text: str, marker: str) -> str:
    return text.replace(marker.strip(), " ") if marker.strip() else text


def _slice_of(transcript: str, question: Question) -> str:
    """Return the words of a transcript where those of a question should stand.

    A misread blank moves all words behind it, so that the nearest of a few places counts.
    """
    if question.kind == "readback":
        return transcript
    words = transcript.split()
    num_words = len(question.expected[0].split())
    last = max(len(words) - num_words, 0)
    middle = round(question.place * last)
    places = range(max(middle - 3, 0), min(middle + 3, last) + 1)
    cuts = [" ".join(words[at : at + num_words]) for at in places]
    return max(cuts, key=lambda cut: score_answer("similar", cut, question.expected), default="")


def _resampled(page: Page, scale: tuple[float, float]) -> Page:
    """Return a page as a model sees it that scales pages by these factors."""
    width = max(round(page.width_px * scale[0]), 1)
    height = max(round(page.height_px * scale[1]), 1)
    gray = Image.fromarray(page.gray()).resize((width, height), Image.Resampling.BICUBIC)
    palette_C3 = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    return Page(np.asarray(gray), palette_C3, page.layout)


def _around_break(passage: Passage, config: RenderConfig) -> tuple[Page, ...]:
    """Return the rows around a sentence that the first page break cuts in two.

    The sentence goes where the first page of the text ends. On pages that hold the whole text it
    stands in the middle of them, with no break to cross.
    """
    sentence = f" {passage.straddling} "
    first = next(iter(render_pages(passage.text, config).layouts()))
    is_cut = first.end < len(passage.text)
    around = first.end - len(sentence) // 2 if is_cut else len(passage.text) // 2
    at = max(passage.text.rfind(" ", 0, max(around, 1)), 0)
    text = passage.text[:at] + sentence + passage.text[at:].lstrip(" ")
    strips: list[Page] = []
    for page in render_pages(text, config):
        boxes = page.layout.boxes(at, at + len(sentence))
        if not boxes:
            if strips:
                break
            continue
        line_px = max(box.bottom_px - box.top_px for box in boxes)
        top = max(min(box.top_px for box in boxes) - line_px, 0)
        bottom = max(box.bottom_px for box in boxes) + line_px
        strips.append(Page(page.plane_HW[top:bottom], page.palette_C3, page.layout))
    return tuple(strips)
