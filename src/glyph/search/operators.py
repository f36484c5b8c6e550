"""Classical operators: how offspring are made from parents without a language model.

| operator | what it does |
|---|---|
| crossover | takes each group of linked fields from one of two parents, and mutates now and then |
| mutation | moves one to three fields by a few of their steps, or redraws a choice |
| packing | gives up one or two things that cost tokens and say nothing: margins, leading, indents |
| scaling | makes letters larger or smaller in pixels and leaves everything else in proportion |
| aligning | puts pages, lines and margins on the patch grid of the model |
| immigrant | a fresh draw from the training distribution |

Crossover, mutation and immigrant know nothing of typography; the other three know what
a point is. Every operator gives values with a reason in words; `Space.repair` makes them a config.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp
from typing import TypeVar

import numpy as np

from glyph.config import RenderConfig
from glyph.search.space import LINKED, Gene, Space, Values

T = TypeVar("T")

MUTATED_SHARE = 0.3
LOGS_OF_SCALE = (0.03, 0.25)
MANY_STEPS = 8


@dataclass(frozen=True, slots=True)
class Parent:
    """A candidate to breed from.

    Attributes:
        number: Of its trial.
        config: How its pages look.
        accuracy: What was read.
        ratio: What it costs.
    """

    number: int
    config: RenderConfig
    accuracy: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Offspring:
    """Values that may become a candidate.

    Attributes:
        values: By field.
        operator: Who made it.
        parents: Trial numbers.
        reason: Why, in words.
    """

    values: Values
    operator: str
    parents: tuple[int, ...]
    reason: str


Breed = Callable[[np.random.Generator, Space, Sequence[Parent]], Offspring]


def crossover(rng: np.random.Generator, space: Space, parents: Sequence[Parent]) -> Offspring:
    """Mix two parents by groups of linked fields."""
    one, other = (parents[i] for i in _two(rng, len(parents)))
    values, given = space.genome(one.config), space.genome(other.config)
    taken: list[str] = []
    for group in LINKED:
        moved = [name for name in group if name in values and values[name] != given[name]]
        if moved and rng.random() < 0.5:
            values.update({name: given[name] for name in moved})
            taken.append(moved[0])
    if rng.random() < MUTATED_SHARE:
        _mutate(rng, values, _one_of(rng, space.genes))
    took = ", ".join(taken[:4]) or "nothing"
    reason = f"candidate {one.number} with {took} of candidate {other.number}"
    return Offspring(values, "crossover", (one.number, other.number), reason)


def mutation(rng: np.random.Generator, space: Space, parents: Sequence[Parent]) -> Offspring:
    """Change one to three fields of a parent."""
    parent = _one_of(rng, parents)
    values = space.genome(parent.config)
    changes: list[str] = []
    for _ in range(1 + int(rng.random() * 3)):
        gene = _one_of(rng, space.genes)
        _mutate(rng, values, gene)
        changes.append(f"{gene.name} to {_shown(values[gene.name])}")
    return Offspring(values, "mutation", (parent.number,), "; ".join(changes))


def packing(rng: np.random.Generator, space: Space, parents: Sequence[Parent]) -> Offspring:
    """Give up one or two things that cost tokens and say nothing."""
    parent = _one_of(rng, parents)
    values = space.genome(parent.config)
    savings = [(name, new) for name, new in _savings(rng, space, values) if values[name] != new]
    chosen: list[tuple[str, object]] = []
    for _ in range(min(len(savings), 1 + int(rng.random() * 2))):
        chosen.append(savings.pop(int(rng.random() * len(savings))))
    values.update(chosen)
    saved = ", ".join(f"{name} {_shown(value)}" for name, value in chosen)
    reason = f"less space that says nothing: {saved or 'nothing was left to give up'}"
    return Offspring(values, "packing", (parent.number,), reason)


def scaling(rng: np.random.Generator, space: Space, parents: Sequence[Parent]) -> Offspring:
    """Make letters larger or smaller in pixels; leading keeps its proportion."""
    parent = _one_of(rng, parents)
    values = space.genome(parent.config)
    low, high = LOGS_OF_SCALE
    factor = exp((low + rng.random() * (high - low)) * (1 if rng.random() < 0.5 else -1))
    kind = rng.random()
    if kind < 0.4 and "horizontal_scale" in values:
        values["horizontal_scale"] *= factor
        what = "width of letters"
    elif kind < 0.7 and "font_size_pt" in values:
        values["font_size_pt"] *= factor
        if "line_height_pt" in values:
            values["line_height_pt"] *= factor
        what = "font and lines"
    else:
        _zoom(values, factor)
        what = "dpi, on a page of the same pixels"
    _round_to_steps(space, values)
    reason = f"{what} by {factor:.2f} to move along the front"
    return Offspring(values, "scaling", (parent.number,), reason)


def aligning(rng: np.random.Generator, space: Space, parents: Sequence[Parent]) -> Offspring:
    """Put pages on the patch grid, and lines and margins on whole fractions of it."""
    parent = _one_of(rng, parents)
    values = space.genome(parent.config)
    grid_pt = space.grid_px * 72 / values.get("dpi", parent.config.dpi)
    line_pt = values.get("line_height_pt", parent.config.line_height_pt)
    lines = max(round(grid_pt / line_pt + (0.5 if rng.random() < 0.3 else 0.0)), 1)
    wanted: Values = {
        "grid_px": space.grid_px,
        "page_width_pt": _multiple(values.get("page_width_pt"), grid_pt),
        "page_height_pt": _multiple(values.get("page_height_pt"), grid_pt),
        "line_height_pt": grid_pt / lines,
        "margin_y_pt": _half_rest(grid_pt, grid_pt / lines),
        "margin_x_pt": grid_pt / 4,
    }
    values.update({name: value for name, value in wanted.items() if name in values and value})
    if "font_size_pt" in values:
        values["font_size_pt"] = min(values["font_size_pt"], values.get("line_height_pt", line_pt))
    reason = f"pages on the {space.grid_px} px grid, {lines} lines in each cell of it"
    return Offspring(values, "aligning", (parent.number,), reason)


def immigrant(rng: np.random.Generator, space: Space, parents: Sequence[Parent]) -> Offspring:
    """Draw from the training distribution."""
    values = space.genome(space.sample(rng))
    return Offspring(values, "immigrant", (), "a fresh draw from the training distribution")


OPERATORS: dict[str, Breed] = {
    "crossover": crossover,
    "mutation": mutation,
    "immigrant": immigrant,
    "packing": packing,
    "scaling": scaling,
    "aligning": aligning,
}


def _savings(rng: np.random.Generator, space: Space, values: Values) -> list[tuple[str, object]]:
    """Return the changes that may save tokens, as far as their fields may change."""
    genes = space.by_name
    font_pt = values.get("font_size_pt", 9.0)
    line_pt = values.get("line_height_pt", font_pt)
    tightest = {
        "margin_x_pt": values.get("margin_x_pt", 0) // 2,
        "margin_y_pt": values.get("margin_y_pt", 0) // 2,
        "line_height_pt": max(font_pt, line_pt - 0.5),
        "letter_spacing_pt": 0.0,
        "first_line_indent_pt": 0.0,
        "left_indent_pt": 0.0,
        "right_indent_pt": 0.0,
        "space_before_pt": 0.0,
        "space_after_pt": 0.0,
        "border_width_pt": 0.0,
        "column_gap_pt": 8.0,
        "crop_width": True,
        "crop_last_page": True,
        "page_label": "none",
        "alignment": "left",
        "bold": False,
    }
    found: list[tuple[str, object]] = [(k, v) for k, v in tightest.items() if k in values]
    if "newline_marker" in genes and not values["newline_marker"]:
        markers = [marker for marker in genes["newline_marker"].choices if marker]
        found += [("newline_marker", _one_of(rng, markers))] * 3
    return found


def _mutate(rng: np.random.Generator, values: Values, gene: Gene) -> None:
    """Move a number by a few steps, mostly few; redraw anything else, and a number in ten."""
    if gene.kind in ("flag", "choice") or rng.random() < 0.1:
        values[gene.name] = gene.drawn(rng)
        return
    steps = 1 + min(int(-np.log(max(rng.random(), 1e-9)) * 3), MANY_STEPS * 3)
    sign = 1 if rng.random() < 0.5 else -1
    values[gene.name] = gene.clipped(values[gene.name] + sign * steps * gene.step)


def _zoom(values: Values, factor: float) -> None:
    """Change dpi so that letters scale, and the page in points so that its pixels do not."""
    if "dpi" not in values:
        return
    dpi = values["dpi"]
    values["dpi"] = float(round(dpi * factor)) or dpi
    for name in ("page_width_pt", "page_height_pt"):
        if name in values:
            values[name] *= dpi / values["dpi"]


def _round_to_steps(space: Space, values: Values) -> None:
    for name in ("font_size_pt", "horizontal_scale"):
        if name in space.by_name:
            step = space.by_name[name].step
            values[name] = round(values[name] / step) * step


def _multiple(length_pt: float | None, grid_pt: float) -> float | None:
    return None if length_pt is None else max(round(length_pt / grid_pt), 1) * grid_pt


def _half_rest(grid_pt: float, line_pt: float) -> float:
    """Return the margin above and below that leaves room for whole lines on a page of cells."""
    return line_pt * round(grid_pt / line_pt) / 2 if line_pt < grid_pt else 0.0


def _two(rng: np.random.Generator, count: int) -> tuple[int, int]:
    first = int(rng.random() * count)
    if count == 1:
        return first, first
    return first, (first + 1 + int(rng.random() * (count - 1))) % count


def _one_of(rng: np.random.Generator, values: Sequence[T]) -> T:
    return values[int(rng.random() * len(values))]


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)
