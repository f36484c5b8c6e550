"""Where a stage's samples come from: a folder of made ones, or texts they are made of."""

import json
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
from glyph.train.samples.store import MANIFEST, read
from glyph.train.stages.folder import write_bytes

MANUAL = "manual.jsonl"
DRAWS_A_SAMPLE = 200
"""Samples drawn at most for each one of the held-out split."""


@dataclass(frozen=True, slots=True)
class Supply:
    """Samples of a stage.

    Attributes:
        sources: A folder of made samples, or texts.
        data: What samples are made of.
        seed: Of the samples.
    """

    sources: tuple[Path, ...]
    data: DataConfig
    seed: int

    def take(self, split: Split, count: int) -> Iterator[Sample]:
        """Yield up to `count` samples of a split; made or held-out ones may be fewer."""
        return islice(self._all(split, count), count)

    def _all(self, split: Split, count: int) -> Iterator[Sample]:
        if len(self.sources) == 1 and (self.sources[0] / MANIFEST).is_file():
            yield from read(self.sources[0], split)
            return
        found = find_sources(self.sources)
        for part, sample in samples(found, self.data, self.seed, stop=DRAWS_A_SAMPLE * count):
            if part == split:
                yield sample


def supply_of(
    config: TrainConfig, stage: Stage, sources: tuple[Path, ...], out: Path, seed: int
) -> Supply:
    """Return the samples of a stage.

    Args:
        config: Its table [data] says what samples are made of.
        stage: Which stage.
        sources: A folder of made samples, or texts; without any, Python's own manual.
        out: Where the manual is written.
        seed: Of the samples.

    Raises:
        TrainingError: A source is missing.
    """
    for source in sources:
        if not source.exists():
            raise TrainingError(f"there is no file or folder {source}; check --data.")
    data = DataConfig.of_stage(config.data, stage)
    return Supply(sources or (_manual(out),), data, seed)


def _manual(out: Path) -> Path:
    """Write Python's manual as texts, one for each of its topics."""
    path = out / MANUAL
    lines = (json.dumps({"text": text}) for text in pydoc_data.topics.topics.values())
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())
    return path
