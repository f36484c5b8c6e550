"""Where a stage's samples come from: a folder of made ones, or texts they are made of."""

import pydoc_data.topics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from glyph.errors import TrainingError
from glyph.train.config import Stage, TrainConfig
from glyph.train.samples.build import samples
from glyph.train.samples.config import DataConfig
from glyph.train.samples.sample import Sample
from glyph.train.samples.sources import Split, find_sources


@dataclass(frozen=True, slots=True)
class Supply:
    """Samples of a stage.

    Attributes:
        sources: Folders of made samples, or texts; without any, Python's own manual.
        data: What samples are made of.
        seed: Of the samples.
    """

    sources: tuple[Path, ...]
    data: DataConfig
    seed: int

    def take(self, split: Split, count: int) -> Iterator[Sample]:
        """Yield up to `count` samples of a split; made ones may be fewer."""
        return islice(self._all(split), count)

    def _all(self, split: Split) -> Iterator[Sample]:
        found = find_sources(self.sources or (Path(pydoc_data.topics.__file__),))
        for part, sample in samples(found, self.data, self.seed):
            if part == split:
                yield sample


def supply_of(config: TrainConfig, stage: Stage, sources: tuple[Path, ...], seed: int) -> Supply:
    """Return the samples of a stage.

    Raises:
        TrainingError: A source is missing.
    """
    for source in sources:
        if not source.exists():
            raise TrainingError(f"there is no file or folder {source}; check --data.")
    return Supply(sources, DataConfig.of_stage(config.data, stage), seed)
