"""Sources and settings in, samples out: the one place where a sample is put together.

Sample number k of a seed depends on the seed, k, the sources and the settings only. It is drawn
again, from the next number of its own stream of chance, when what was drawn does not fit.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from glyph.errors import TrainingError
from glyph.text_tokens import count_text_tokens
from glyph.tokens import resolve_model
from glyph.train.samples import asking, given, reading
from glyph.train.samples.config import DataConfig
from glyph.train.samples.desk import Desk, Made
from glyph.train.samples.looks import Look, Looks
from glyph.train.samples.sample import IMAGE_MARK, SPAN_MARK, Sample
from glyph.train.samples.sources import SPLITS, Kind, Place, Sources, Split

MAX_ATTEMPTS = 60
MAX_NAMES = 8

Family = Callable[[Desk], Made | None]

MAKERS: Mapping[str, Family] = {
    "ocr": reading.ocr,
    "interleaved": reading.interleaved,
    "continue": reading.go_on,
    "fill": reading.fill,
    "needle": asking.needle,
    "key-value": asking.key_value,
    "multi-hop": asking.multi_hop,
    "trace": asking.trace,
    "aggregate": asking.aggregate,
    "cross-page": asking.cross_page,
    "squad": given.squad,
    "instruct": given.instruct,
}

NEEDS: Mapping[str, Kind] = {"squad": "passage", "instruct": "triple"}
"""Families that need sources of their own; prose can be had from any source."""


def samples(
    sources: Sources, data: DataConfig, seed: int, *, start: int = 0, stop: int | None = None
) -> Iterator[tuple[Split, Sample]]:
    """Yield samples with their split, without end unless `stop` is given.

    Args:
        sources: As `find_sources` gives them.
        data: Settings.
        seed: Any whole number from 0.
        start: Number of the first sample.
        stop: One past the number of the last.

    Raises:
        TrainingError: No family has sources, or a sample does not work out however often it is
            drawn.
    """
    maker = SampleMaker(sources, data, seed)
    number = start
    while stop is None or number < stop:
        yield maker.make(number)
        number += 1


@dataclass(frozen=True, slots=True)
class _Stock:
    """What one split offers."""

    places: tuple[Place, ...]
    passages: tuple[Place, ...]
    triples: tuple[Place, ...]
    families: tuple[str, ...]
    shares: tuple[float, ...]


class SampleMaker:
    """Makes samples by number.

    Attributes:
        left_out: Families with a share for which no source was given.
    """

    def __init__(self, sources: Sources, data: DataConfig, seed: int):
        if seed < 0:
            raise TrainingError(f"the seed is {seed}; give a whole number from 0.")
        self._data, self._seed = data, seed
        self._looks = Looks(data)
        self._stock = {split: _stock(sources, data, split) for split in SPLITS}
        wanted = [name for name, share in data.families.items() if share]
        self.left_out = tuple(n for n in wanted if n not in self._stock["train"].families)
        if not self._stock["train"].families:
            raise TrainingError(
                f"no source is of use for {', '.join(wanted)}: squad needs SQuAD-like JSON, "
                "instruct needs JSONL of instruction triples, and nano styles need texts in ASCII. "
                "Add sources, or change families."
            )

    def make(self, number: int) -> tuple[Split, Sample]:
        """Return a sample and the split it belongs to."""
        first = np.random.default_rng((self._seed, number))
        held_out = first.random() < self._data.eval_share
        split: Split = "eval" if held_out and self._stock["eval"].families else "train"
        family = ""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            rng = np.random.default_rng((self._seed, number, attempt))
            family = family or self._family(rng, split)
            desk = self._desk(rng, split)
            made = MAKERS[family](desk)
            if made is not None and _is_sound(made):
                return split, self._sample(number, family, desk, made)
        raise TrainingError(
            f"sample {number} of family '{family}' did not work out in {MAX_ATTEMPTS} draws: what "
            f"it shows does not fit {self._data.max_visual_tokens} visual tokens, "
            f"{self._data.max_pages} pages and {self._data.max_response_chars} characters of "
            "response. Raise one of them, or set the family's share to 0."
        )

    def _family(self, rng: np.random.Generator, split: Split) -> str:
        stock = self._stock[split]
        bounds = list(accumulate(stock.shares))
        return stock.families[bisect_right(bounds, rng.random() * bounds[-1])]

    def _desk(self, rng: np.random.Generator, split: Split) -> Desk:
        data, stock = self._data, self._stock[split]
        low, high = data.min_visual_tokens, data.max_visual_tokens
        aim = low * (high / low) ** rng.random()
        look = self._looks.draw(rng)
        return Desk(data, look, rng, stock.places, stock.passages, stock.triples, max(int(aim), 1))

    def _sample(self, number: int, family: str, desk: Desk, made: Made) -> Sample:
        images = tuple(image for shown in made.shown for image in shown.images)
        source = SPAN_MARK.join(shown.text for shown in made.shown)
        names = desk.documents[:MAX_NAMES]
        return Sample(
            id=f"{self._seed}-{number:08d}",
            family=family,
            document=" + ".join(names) or "random strings",
            images=images,
            prompt=made.page_prompt(),
            completion=made.completion,
            answers=made.answers,
            reward=made.reward,
            source=source,
            visual_tokens=sum(shown.visual_tokens for shown in made.shown),
            text_tokens=self._text_tokens(source, desk.look),
            config_digest=desk.look.digest,
            seed=self._seed,
        )

    def _text_tokens(self, text: str, look: Look) -> int:
        """Return what a text costs; the nano reader's tokens are characters."""
        if look.style is not None and not self._data.tokenizer:
            return len(text)
        return count_text_tokens(text, self._data.tokenizer or resolve_model(look.model).tokenizer)


def _stock(sources: Sources, data: DataConfig, split: Split) -> _Stock:
    # The nano reader has codes for ASCII; of other texts its pages would say nothing.
    texts, passages, triples = (
        sources.of_split(kind, split, data.eval_share, is_ascii=bool(data.styles))
        for kind in ("text", "passage", "triple")
    )
    places = texts + passages or triples
    offered = {"passage": passages, "triple": triples}
    shares = {
        name: share
        for name, share in data.families.items()
        if share and places and (name not in NEEDS or offered[NEEDS[name]])
    }
    return _Stock(places, passages, triples, tuple(shares), tuple(shares.values()))


def _is_sound(made: Made) -> bool:
    """Return whether a sample says something, and no text of it is taken for a mark."""
    marks = made.prompt.count(IMAGE_MARK)
    return (
        marks in (0, len(made.shown))
        and all(shown.images for shown in made.shown)
        and IMAGE_MARK not in made.completion
        and bool(made.completion.strip())
    )
