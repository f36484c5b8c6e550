"""A job: the files of a folder from which an engine trains one stage."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

from glyph.errors import ConfigError, TrainingError
from glyph.output import write_atomically
from glyph.train.config import Stage, TrainConfig
from glyph.train.samples.config import DataConfig

Engine = Literal["ms-swift", "verl", "trl"]

TAKES: Mapping[Engine, tuple[Stage, ...]] = {
    "ms-swift": ("cpt", "sft", "grpo"),
    "verl": ("grpo",),
    "trl": ("cpt", "sft", "grpo"),
}
"""Stages an engine can run."""

PROMPT_ROOM_TOKENS = 2_048
CHARS_A_TOKEN = 3
"""Text of a prompt or response in characters a token, on the safe side for English."""

MARKER = "job.json"


@dataclass(frozen=True, slots=True)
class Order:
    """What a job is made for.

    Attributes:
        stage: Which stage.
        engine: Which engine.
        name: Name or file of the configuration, for the data command.
        config: Its content.
        num_gpus: GPUs of the one machine.
        start: Weights to begin with: a path or a name; "" is the model of the configuration.
        sources: Texts for the data command, as they are to be written in it.
    """

    stage: Stage
    engine: Engine
    name: str
    config: TrainConfig
    num_gpus: int = 8
    start: str = ""
    sources: tuple[str, ...] = ()

    @property
    def data(self) -> DataConfig:
        """Settings of the stage's samples."""
        return DataConfig.of_stage(self.config.data, self.stage, where=f"[data] of {self.name}")

    @property
    def model(self) -> str:
        """Weights to begin with."""
        return self.start or self.config.model.name

    @property
    def num_samples(self) -> int:
        """Samples that the stage's steps go through once."""
        settings = self.config.stage(self.stage)
        # Some are held out.
        return int(settings.steps * settings.batch / (1 - min(self.data.eval_share, 0.5))) + 1

    @property
    def max_tokens(self) -> int:
        """Longest sequence: pages, prompt and response, a multiple of 1024."""
        data = self.data
        text = PROMPT_ROOM_TOKENS + self.max_response_tokens
        if data.families.get("interleaved", 0):
            # Up to five spans of text stand between pages.
            text += 5 * data.max_response_chars // CHARS_A_TOKEN
        # Two marks stand around each page.
        return -(-(data.max_visual_tokens + 2 * data.max_pages + text) // 1024) * 1024

    @property
    def max_response_tokens(self) -> int:
        """Longest response."""
        if self.stage == "grpo":
            return self.config.grpo.max_response_tokens
        return self.data.max_response_chars // CHARS_A_TOKEN + 512

    def data_command(self, format: str) -> str:
        """Return the shell command that makes the stage's samples in the folder `data`."""
        sources = " ".join(self.sources) or '"$SOURCES"'
        return (
            f"glyph train data {sources} --out data --samples {self.num_samples} --seed 0 \\\n"
            f"  --config config.toml --stage {self.stage} --format {format}"
        )


@dataclass(frozen=True, slots=True)
class Job:
    """The files of a job.

    Attributes:
        order: What it is for.
        files: Content by name; those that end in `.sh` are made executable.
        flags: What the engine is called with, for the record.
    """

    order: Order
    files: Mapping[str, str]
    flags: Mapping[str, Any]


def check_order(order: Order) -> None:
    """Refuse what an engine cannot do.

    Raises:
        ConfigError: The engine has no such stage, the batch cannot be dealt out to the GPUs, or
            the configuration is for the nano reader.
    """
    if order.stage not in TAKES[order.engine]:
        raise ConfigError(
            f"{order.engine} does not run the stage {order.stage}; it runs "
            f"{', '.join(TAKES[order.engine])}. Use --engine ms-swift, which runs all three."
        )
    if order.num_gpus < 1:
        raise ConfigError(f"{order.num_gpus} GPUs were given; give 1 or more.")
    if order.data.styles:
        raise ConfigError(
            f"the configuration {order.name} makes pages for the nano reader, which trains on two "
            "cores with 'glyph train'; give one of a large model, such as glm-4.1v-9b."
        )


def write_job(job: Job, out: Path) -> list[str]:
    """Write a job's files.

    Args:
        job: What to write.
        out: Made when absent; one that holds anything but an earlier job is refused.

    Returns:
        Names of the files, sorted.

    Raises:
        TrainingError: The folder is not one of a job, or cannot be written.
    """
    marker = out / MARKER
    if out.exists() and not out.is_dir():
        raise TrainingError(f"{out} is a file; name a folder for the job.")
    if out.exists() and not marker.exists() and any(out.iterdir()):
        raise TrainingError(
            f"{out} holds files that are no job; name an empty or a new folder, so that nothing "
            "of yours is overwritten."
        )
    record = {
        "stage": job.order.stage,
        "engine": job.order.engine,
        "config": job.order.name,
        "num_gpus": job.order.num_gpus,
        "flags": dict(job.flags),
    }
    files = {
        **job.files,
        "config.toml": to_toml(job.order.config.to_dict()),
        MARKER: _json(record),
    }
    for name, text in files.items():
        write_atomically(out / name, text.encode())
        if name.endswith(".sh"):
            (out / name).chmod(0o755)
    return sorted(files)


def rewards_json(order: Order) -> str:
    """Return the weights of rewards as JSON."""
    return json.dumps(asdict(order.config.rewards), indent=4)


def filled(template: str, **values: str) -> str:
    """Return a template of this folder with each `@NAME@` replaced by its value.

    The name stands at the depth that the lines of its value are to have.
    """
    text = (resources.files("glyph.train.emit") / template).read_text("utf-8")
    for name, value in values.items():
        before = text.partition(f"@{name}@")[0].rpartition("\n")[2]
        depth = len(before) - len(before.lstrip(" "))
        text = text.replace(f"@{name}@", value.replace("\n", "\n" + " " * depth))
    return text


def to_toml(tables: Mapping[str, Any], path: str = "") -> str:
    """Return tables as TOML, values before the tables inside them.

    Example:
        >>> print(to_toml({"sft": {"steps": 3, "families": {"ocr": 1.0}}}).strip())
        [sft]
        steps = 3
        <BLANKLINE>
        [sft.families]
        ocr = 1.0
    """
    inner = {
        key: cast("Mapping[str, Any]", value)
        for key, value in tables.items()
        if isinstance(value, Mapping)
    }
    # JSON writes strings, numbers, flags and lists exactly as TOML reads them.
    lines = [f"{key} = {json.dumps(tables[key])}" for key in tables if key not in inner]
    text = f"[{path}]\n" if path and lines else ""
    text += "".join(f"{line}\n" for line in lines) + ("\n" if lines else "")
    parts = (to_toml(value, f"{path}.{key}" if path else key) for key, value in inner.items())
    return text + "".join(parts)


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1) + "\n"
