"""The desk a sample is made at: prose of one split, a look, an aim, and the only source of chance.

A context is filled to its aim by laying text out, never by guessing, and packed from as many
documents as that takes.
"""

import re
import string
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from glyph.train.samples import wording
from glyph.train.samples.config import DataConfig
from glyph.train.samples.looks import Look, Shown, fitting, show
from glyph.train.samples.sample import IMAGE_MARK, Reward
from glyph.train.samples.sources import Place, text_of

PROBE_CHARS = 4_000
MAX_CHARS_A_TOKEN = 24
MAX_FITTINGS = 12
SPACE_FOR_START = 2_000
RANDOM_WORDS = 60

_ENDS = re.compile(r"(?<=[.!?;。！？])[\"'”’)\]]*\s+|\n+|(?<=[。！？])")

T = TypeVar("T")
Joint = Literal["line", "inline"]


@dataclass(frozen=True, slots=True)
class Made:
    """A sample before its bookkeeping.

    Attributes:
        shown: Texts as pages, in order.
        prompt: With one `IMAGE_MARK` for each of `shown` where text stands between them.
        completion: The response.
        answers: What a right answer holds.
        reward: How an answer is judged.
    """

    shown: tuple[Shown, ...]
    prompt: str
    completion: str
    answers: tuple[str, ...]
    reward: Reward

    def page_prompt(self) -> str:
        """Return the prompt with one mark a page instead of one a text."""
        texts = self.prompt.split(IMAGE_MARK)
        if len(texts) == 1:
            return self.prompt
        marks = (IMAGE_MARK * len(shown.images) for shown in self.shown)
        return texts[0] + "".join(mark + text for mark, text in zip(marks, texts[1:], strict=True))


class Prose:
    """A text without end that is taken piece by piece.

    Args:
        draw: Gives the next document; documents are parted by a blank line.
    """

    def __init__(self, draw: Callable[[], str]):
        self._draw = draw
        self._rest = draw()

    def take(self, num_chars: int) -> str:
        """Return so many characters more."""
        taken: list[str] = []
        while num_chars > 0:
            if not self._rest:
                self._rest = "\n\n" + self._draw()
            taken.append(self._rest[:num_chars])
            self._rest = self._rest[num_chars:]
            num_chars -= len(taken[-1])
        return "".join(taken)

    def put_back(self, text: str) -> None:
        """Take back what was taken last and not used."""
        self._rest = text + self._rest


@dataclass(slots=True)
class Desk:
    """What families make samples with.

    Attributes:
        data: Settings.
        look: How pages look.
        rng: Source of chance.
        places: Texts of the split.
        passages: Passages with questions of the split.
        triples: Instruction triples of the split.
        aim_tokens: Visual tokens the context should have.
        documents: Names of the documents used so far.
    """

    data: DataConfig
    look: Look
    rng: np.random.Generator
    places: Sequence[Place]
    passages: Sequence[Place]
    triples: Sequence[Place]
    aim_tokens: int
    documents: list[str] = field(default_factory=list[str])

    @property
    def is_nano(self) -> bool:
        """Whether the nano reader's pages are made, which is asked in words of its own."""
        return self.look.style is not None

    # -- chance ------------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        """Return True in a share of calls."""
        return self.rng.random() < share

    def below(self, count: int) -> int:
        """Return a whole number from 0 to `count` - 1."""
        return int(self.rng.random() * count)

    def between(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, uniform on a logarithmic scale."""
        if high <= low:
            return low
        drawn = np.exp(self.rng.random() * np.log((high + 1) / low)) * low
        return min(high, int(drawn))

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of several, each as likely."""
        return choices[self.below(len(choices))]

    def letters(self, alphabet: str, size: int) -> str:
        """Return random letters."""
        return "".join(alphabet[self.below(len(alphabet))] for _ in range(size))

    # -- prose -------------------------------------------------------------------------------

    def prose(self) -> "Prose":
        """Return a text without end: a document from a random place on, then another."""
        is_random = self.chance(self.data.random_share)
        return Prose(self._random_words if is_random else self._drawn_text)

    def _drawn_text(self) -> str:
        """Return a document from the start of a sentence on; long ones are drawn more often."""
        weights = np.cumsum([place.num_chars for place in self.places])
        drawn = self.rng.random() * float(weights[-1])
        place = self.places[int(np.searchsorted(weights, drawn, side="right"))]
        if place.document not in self.documents:
            self.documents.append(place.document)
        text = self.look.text(text_of(place))
        at = self.below(max(len(text) - SPACE_FOR_START, 1))
        if at:
            end = _ENDS.search(text, at)
            at = end.end() if end and end.end() < len(text) else at
        return text[at:].lstrip()

    def _random_words(self) -> str:
        alphabet = string.ascii_letters + string.digits + "-_/.:+="
        words = [self.letters(alphabet, 2 + self.below(10)) for _ in range(RANDOM_WORDS)]
        return " ".join(words)

    # -- pages -------------------------------------------------------------------------------

    def filled(self, share: float = 1.0, prose: "Prose | None" = None) -> str:
        """Return prose that fills a share of the aim with whole pages, or one page at the least.

        Args:
            share: Share of the aim, above 0.
            prose: Where to take it from; what is not used stays there.
        """
        prose = prose or self.prose()
        budget = max(int(self.aim_tokens * share), 1)
        text = prose.take(min(PROBE_CHARS, budget * MAX_CHARS_A_TOKEN + 200))
        end = 0
        for _ in range(MAX_FITTINGS):
            end, tokens = fitting(text, self.look, budget, self.data.max_pages)
            if not end:
                end = self._first_page(text)
            if end < len(text):
                prose.put_back(text[end:])
                return text[:end].rstrip()
            missing = max(budget - tokens, 1) * len(text) / max(tokens, 1)
            text += prose.take(int(missing * 1.1) + 500)
        prose.put_back(text[end:])
        return text[:end].rstrip()

    def _first_page(self, text: str) -> int:
        return fitting(text, self.look, self.data.max_visual_tokens, 1)[0]

    def planted(
        self, lines: Sequence[str], joint: Joint, *, even: bool = False
    ) -> tuple[str, tuple[int, ...]] | None:
        """Return prose of the aim with lines planted in it in their order, and where they are.

        Args:
            lines: What is planted.
            joint: `line` gives each a line of its own, `inline` puts it between sentences.
            even: Spread evenly over the text, not by chance.

        Returns:
            The text and the offset of each line; None when they do not fit the aim.
        """
        hay = self.filled()
        ends = [match.end() for match in _ENDS.finditer(hay)]
        drawn = np.sort(self.rng.random(len(lines)))
        depths = (np.arange(len(lines)) + 0.1 + 0.8 * drawn) / len(lines) if even else drawn
        length = len(hay) - sum(map(len, lines))
        budget = max(self.aim_tokens, self._page_tokens())
        for _ in range(MAX_FITTINGS):
            if length < 0:
                return None
            text, offsets = _insert(
                hay[:length], ends, list(zip(depths, lines, strict=True)), joint
            )
            end, _ = fitting(text, self.look, budget, self.data.max_pages)
            if end >= len(text):
                return text, offsets
            length -= max((len(text) - end) * 21 // 20, 20)
        return None

    def _page_tokens(self) -> int:
        return self.look.tokens(*self.look.config.page_size_px)

    def asked(self, words: str) -> str:
        """Return a prompt in words as the model that reads these pages takes it."""
        return wording.nano_words(self.look.text(words)) if self.is_nano else words

    def answered(
        self,
        shown: tuple[Shown, ...],
        question: str,
        trace: str,
        answer: str,
        answers: tuple[str, ...] = (),
        *,
        reward: Reward = "match",
        is_asked: bool = False,
    ) -> Made:
        """Return a question with its answer, in a share of calls after a thought.

        Args:
            shown: The pages.
            question: In words.
            trace: The thought: what the answer follows from.
            answer: The answer alone.
            answers: What a right answer holds; by default the answer.
            reward: How an answer is judged.
            is_asked: Whether `question` is a prompt already.
        """
        thinks = self.chance(self.data.think_share)
        if thinks and not self.is_nano:
            question = f"{question}\n{wording.THINK}"
        return Made(
            shown,
            question if is_asked else self.asked(question),
            wording.thought(trace, answer) if thinks else answer,
            answers or (answer,),
            reward,
        )

    def show(self, text: str) -> Shown | None:
        """Return a text as pages; None when there are none, or they are over the budget."""
        if not text.strip():
            return None
        shown = show(text, self.look)
        return shown if self.fits(shown) else None

    def fits(self, *shown: Shown) -> bool:
        """Return whether pages are within the limits of a sample."""
        tokens = sum(each.visual_tokens for each in shown)
        pages = sum(len(each.images) for each in shown)
        return tokens <= self.data.max_visual_tokens and pages <= self.data.max_pages


def _insert(
    hay: str, ends: Sequence[int], placed: Sequence[tuple[float, str]], joint: Joint
) -> tuple[str, tuple[int, ...]]:
    """Return a text with lines put in at relative depths, at ends of sentences where there are."""
    parts: list[str] = []
    offsets: list[int] = []
    at = total = 0
    for depth, line in placed:
        near = bisect_right(ends, depth * len(hay))
        place = ends[near - 1] if near else 0
        place = max(min(place, len(hay)), at)
        before = hay[at:place]
        at = place
        if joint == "line":
            # The text around gives up its own break, so that no empty line comes into being.
            before = before.rstrip(" \n")
            before += "\n" if before or total else ""
        parts += [before, line, "\n" if joint == "line" else " "]
        total += len(before)
        offsets.append(total)
        total += len(line) + 1
    rest = hay[at:]
    parts.append(rest.lstrip("\n") if joint == "line" else rest)
    return "".join(parts).rstrip(), tuple(offsets)
