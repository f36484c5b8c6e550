"""What decides a training run of the language model, alone or joined with the vision tower."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from glyph.errors import ConfigError, nearest
from glyph.train.nano.oracle import CodeNoise
from glyph.train.nano.tasks import TaskMix


@dataclass(frozen=True)
class LanguageSettings:
    """Everything that decides a run.

    Attributes:
        style: Page style.
        steps: Length of the schedule.
        seed: Of weights, pages and noise.
        learning_rate: Peak.
        warmup_steps: Linear rise.
        constant_share: Share of the schedule before the cosine fall to 0.
        tokens_per_step: About how many positions a step computes.
        page_sizes: Width, height and share of the page sizes; one size per step.
        mix: What stands on the pages and what is asked.
        noise: What is done to the codes.
        guide_weight: Weight of each guide and probe beside the answer loss.
        guide_end: Share of the schedule after which guides and probes fade out, 1 for never.
        start: Checkpoint to take the weights from; empty for a fresh start.
    """

    style: str = "A"
    steps: int = 3000
    seed: int = 0
    learning_rate: float = 1.5e-3
    warmup_steps: int = 60
    constant_share: float = 0.3
    tokens_per_step: int = 900
    page_sizes: tuple[tuple[int, int, float], ...] = (
        (84, 56, 0.08),
        (112, 84, 0.1),
        (168, 112, 0.3),
        (224, 168, 0.28),
        (336, 224, 0.16),
        (336, 448, 0.08),
    )
    mix: TaskMix = field(default_factory=TaskMix)
    noise: CodeNoise | None = field(default_factory=CodeNoise)
    guide_weight: float = 1.0
    guide_end: float = 1.0
    start: str = ""


@dataclass(frozen=True)
class JointSettings(LanguageSettings):
    """Everything that decides a run from pixels.

    Attributes:
        vision: Checkpoint of a tower that speaks the code of the language model at `start`.
        tower_rate_share: Learning rate of the tower as a share of that of the language model.
        distance_weight: Weight of the tower's distance to the code.
        code_weight: Weight of naming slots by the nearest code.
        keep_styles: Styles that the tower must go on reading: each step also reads pages of the
            text mixture in one of them.
        keep_tokens: Visual tokens of these pages.
    """

    vision: str = ""
    tower_rate_share: float = 0.5
    distance_weight: float = 1.0
    code_weight: float = 0.25
    keep_styles: tuple[str, ...] = ()
    keep_tokens: int = 192


Settings = TypeVar("Settings", bound=LanguageSettings)


def read_settings(path: Path, kind: type[Settings]) -> Settings:
    """Return the settings of a TOML file; what it leaves out keeps its default.

    Args:
        path: Keys are the fields of the settings; `mix` and `noise` are tables.
        kind: Which settings.

    Raises:
        ConfigError: A key is unknown.
    """
    table = tomllib.loads(path.read_text("utf-8"))
    values = _checked(table, kind, path)
    for name, part in (("mix", TaskMix), ("noise", CodeNoise)):
        if name in values:
            values[name] = part(**_checked(values[name], part, path))
    return kind(**values)


def _checked(
    table: Mapping[str, Any], kind: type[LanguageSettings | TaskMix | CodeNoise], path: Path
) -> dict[str, Any]:
    known = [entry.name for entry in dataclasses.fields(kind)]
    for name in table:
        if name not in known:
            raise ConfigError(
                f"unknown key '{name}' in {path}; did you mean "
                f"{nearest(name, known) or 'one of ' + ', '.join(known)}?"
            )
    return {name: _tuples(value) for name, value in table.items()}


def _tuples(value: Any) -> Any:
    """Return lists as tuples, inside lists too."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
