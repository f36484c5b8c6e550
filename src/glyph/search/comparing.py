"""What a search is worth: random draws and the paper's preset, read on the same questions.

Random draws get the budget the search had. The paper's preset moves along its own trade-off: its
dpi is lowered until it compresses as asked. None of these are candidates of the study.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from glyph.config import RenderConfig
from glyph.errors import ConfigError
from glyph.output import write_atomically
from glyph.presets import load_preset
from glyph.search.fitness import Fitness, Rival
from glyph.search.pareto import Point, front_indices
from glyph.search.space import Space

COMPARISON = "comparison.json"
MANUAL = "glyph-en-72"
RATIOS = (2.0, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0)
LOWEST_DPI = 33


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was read beside a search.

    Attributes:
        num_random: Random draws measured.
        random: Their front.
        manual: The paper's preset, at dpi that reach each of RATIOS; empty where the reader reads
            other styles only.
    """

    num_random: int
    random: tuple[Point, ...]
    manual: tuple[Point, ...]


def compare(
    space: Space,
    fitness: Fitness,
    count: int,
    *,
    seed: int,
    on_draw: Callable[[int], None] | None = None,
) -> Comparison:
    """Measure random draws and the paper's preset.

    Args:
        space: What is drawn from.
        fitness: Measures; what it has read before is not read again.
        count: Random draws.
        seed: Of the draws.
        on_draw: Called with the number of draws measured so far.
    """
    rng = np.random.default_rng([seed, 1])
    drawn: list[Point] = []
    rivals: list[Rival] = []
    for number in range(count):
        config = space.sample(rng)
        price = fitness.price(config)
        measured = fitness.measure(config, price, rivals)
        if measured.is_full:
            rivals.append(Rival(price.ratio, measured.scores))
            drawn.append((measured.accuracy, price.ratio))
        if on_draw is not None:
            on_draw(number + 1)
    manual = () if space.styles else _manual(fitness)
    return Comparison(count, tuple(drawn[i] for i in front_indices(drawn)), manual)


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Write a comparison beside the study, for this report and later ones."""
    write_atomically(folder / COMPARISON, f"{json.dumps(asdict(comparison), indent=1)}\n".encode())


def read_comparison(folder: Path) -> Comparison | None:
    """Return the comparison in a folder, None when there is none."""
    path = folder / COMPARISON
    if not path.exists():
        return None
    values = json.loads(path.read_text("utf-8"))
    points = {
        name: tuple((float(accuracy), float(ratio)) for accuracy, ratio in values[name])
        for name in ("random", "manual")
    }
    return Comparison(int(values["num_random"]), **points)


def preset_at(name: str, fitness: Fitness, ratio: float) -> RenderConfig | None:
    """Return a preset with dpi lowered until it compresses so much; None where it cannot."""
    preset = load_preset(name)
    for dpi in range(round(preset.dpi), LOWEST_DPI - 1, -1):
        try:
            config = preset.replace(dpi=dpi)
        except ConfigError:  # letters too small to be drawn
            return None
        if fitness.price(config).ratio >= ratio:
            return config
    return None


def _manual(fitness: Fitness) -> tuple[Point, ...]:
    found: list[Point] = []
    for ratio in RATIOS:
        config = preset_at(MANUAL, fitness, ratio)
        if config is not None:
            price = fitness.price(config)
            found.append((fitness.measure(config, price).accuracy, price.ratio))
    return tuple(found)
