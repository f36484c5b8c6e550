"""Samples as the rows that TRL's trainers take."""

# datasets declares its types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Value
from datasets import List as ListOf
from datasets.exceptions import DatasetGenerationError

from glyph.errors import GlyphError
from glyph.train.config import Stage
from glyph.train.samples.sample import Sample
from glyph.train.stages.policy import Policy

_TEXTS = ("id", "family", "document", "prompt", "completion", "reward", "source", "config_digest")
_NUMBERS = ("visual_tokens", "text_tokens", "seed")
_FEATURES: dict[str, Any] = {
    "images": ListOf(Value("binary")),
    "answers": ListOf(Value("string")),
    **{name: Value("string") for name in _TEXTS},
    **{name: Value("int64") for name in _NUMBERS},
}


def to_rows(samples: Iterable[Sample], policy: Policy, stage: Stage, cache: Path) -> Any:
    """Return a dataset of samples; pages stay PNG files on disk until a row is used.

    Args:
        samples: What the stage trains on.
        policy: Makes messages and pages of them.
        stage: Reinforcement learning takes prompts only, and what rewards need.
        cache: Folder for the rows.
    """

    def plain() -> Iterator[dict[str, Any]]:
        for sample in samples:
            yield dataclasses.asdict(sample)

    try:
        rows: Any = Dataset.from_generator(
            plain, features=Features(_FEATURES), cache_dir=str(cache), fingerprint=f"glyph-{stage}"
        )
    except DatasetGenerationError as error:
        # What went wrong while samples were made is said in our words.
        if isinstance(error.__cause__, GlyphError):
            raise error.__cause__ from None
        raise
    rows.set_transform(_row_maker(policy, stage))
    return rows


def sample_of(row: dict[str, Any]) -> Sample:
    """Return the sample of a plain row."""
    values = {entry.name: row[entry.name] for entry in dataclasses.fields(Sample)}
    values["images"], values["answers"] = tuple(row["images"]), tuple(row["answers"])
    return Sample(**values)


def _row_maker(policy: Policy, stage: Stage) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def make(columns: dict[str, Any]) -> dict[str, Any]:
        count = len(columns["id"])
        plain = [{name: column[k] for name, column in columns.items()} for k in range(count)]
        made = [training_row(sample_of(one), policy, stage) for one in plain]
        return {name: [row[name] for row in made] for name in made[0]}

    return make


def training_row(sample: Sample, policy: Policy, stage: Stage) -> dict[str, Any]:
    """Return one row: pages and messages, and for rewards the sample itself."""
    messages, images = policy.messages(sample)
    # TRL puts each page into its place by order.
    content = [
        {"type": "image"} if part["type"] == "image" else part for part in messages[0]["content"]
    ]
    row: dict[str, Any] = {"images": images, "prompt": [{"role": "user", "content": content}]}
    if stage == "grpo":
        return {**row, "sample": sample}
    return {**row, "completion": [{"role": "assistant", "content": sample.completion}]}
