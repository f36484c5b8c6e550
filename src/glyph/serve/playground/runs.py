"""Runs: what `glyph search` found, as a chart whose points are candidates one can load.

Folders come from the command line. A browser chooses by number and never names a path.
"""

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from glyph.config import RenderConfig
from glyph.errors import ConfigError

FRONT = "front.json"
MAX_RUNS = 200
MAX_BYTES = 8 << 20
WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 18, 46
NUM_TICKS = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point of a front.

    Attributes:
        accuracy: Mean score.
        low: Lower end of its interval.
        high: Upper end.
        ratio: Text tokens per visual token.
        reason: Why it was tried.
        config: Its theta.
    """

    accuracy: float
    low: float
    high: float
    ratio: float
    reason: str
    config: RenderConfig


@dataclass(frozen=True, slots=True)
class Run:
    """A folder that a search wrote.

    Attributes:
        name: Path below the folder of runs.
        about: Reader, model and number of evaluations.
        front: Its points, by ratio.
    """

    name: str
    about: str
    front: tuple[Candidate, ...]


def run_names(folder: Path | None) -> list[str]:
    """Return the folders with a front, the newest first."""
    if folder is None:
        return []
    found = [path for pattern in (FRONT, f"*/{FRONT}", f"*/*/{FRONT}")
             for path in folder.glob(pattern)]  # fmt: skip
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [str(path.parent.relative_to(folder)) for path in found[:MAX_RUNS]]


def load_run(folder: Path | None, name: str) -> Run:
    """Read a run.

    Raises:
        ConfigError: It is none of `run_names`, or its front cannot be read.
    """
    if folder is None or name not in run_names(folder):
        raise ConfigError(f"there is no run '{name[:80]}'.")
    path = folder / name / FRONT
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{name}/{FRONT} is larger than {MAX_BYTES:,} bytes.")
        values: Any = json.loads(path.read_bytes())
        front = tuple(sorted(map(_candidate, values["front"]), key=lambda each: each.ratio))
        given = values.get("provenance", {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{name}/{FRONT} is no front of 'glyph search' ({error}).") from None
    about = (
        f"{given.get('reader', '?')} reads, {given.get('model', '?')} prices, "
        f"{given.get('evaluations', '?')} candidates tried"
    )
    return Run(name, about, front)


def _candidate(values: dict[str, Any]) -> Candidate:
    accuracy = float(values["accuracy"])
    return Candidate(
        accuracy,
        float(values.get("accuracy_low", accuracy)),
        float(values.get("accuracy_high", accuracy)),
        float(values["ratio"]),
        str(values.get("reason", "")),
        RenderConfig(**values["config"]),
    )


# -- the chart -------------------------------------------------------------------------------


def chart(run: Run) -> str:
    """Return the front as SVG; every point is a button with its number."""
    if not run.front:
        return '<p class="gl-soft">This front is empty.</p>'
    ratios = [each.ratio for each in run.front]
    xs = _scale(min(ratios), max(ratios), LEFT, WIDTH - RIGHT)
    lows = min(each.low for each in run.front)
    ys = _scale(lows, max(each.high for each in run.front), HEIGHT - BOTTOM, TOP, 1.0)
    steps = " ".join(f"{xs(each.ratio):.1f},{ys(each.accuracy):.1f}" for each in run.front)
    points = "".join(
        _point(i, each, xs(each.ratio), (ys(each.low), ys(each.accuracy), ys(each.high)))
        for i, each in enumerate(run.front)
    )
    return (
        f'<p class="gl-soft">{escape(run.about)}. Choose a point to load it.</p>'
        f'<svg class="gl-chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" '
        f'aria-label="Accuracy over ratio">{_axes(xs, ys)}'
        f'<polyline class="gl-front" points="{steps}"/>{points}</svg>'
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """Values to pixels, with some room at both ends."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)

    @property
    def ticks(self) -> list[float]:
        step = (self.high - self.low) / (NUM_TICKS - 1)
        return [self.low + i * step for i in range(NUM_TICKS)]


def _scale(
    low: float, high: float, first: float, last: float, limit: float = float("inf")
) -> _Scale:
    room = max((high - low) * 0.08, 0.01)
    return _Scale(low - room, min(high + room, limit), first, last)


def _axes(xs: _Scale, ys: _Scale) -> str:
    parts: list[str] = []
    for tick in xs.ticks:
        x = xs(tick)
        parts.append(f'<line class="gl-grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" '
                     f'y2="{HEIGHT - BOTTOM}"/><text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" '
                     f'text-anchor="middle">{tick:.2f}</text>')  # fmt: skip
    for tick in ys.ticks:
        y = ys(tick)
        parts.append(f'<line class="gl-grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                     f'y2="{y:.1f}"/><text x="{LEFT - 8}" y="{y + 4:.1f}" '
                     f'text-anchor="end">{tick:.3f}</text>')  # fmt: skip
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        "text tokens per visual token</text>"
        f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
        'text-anchor="middle">accuracy</text>'
    )
    return "".join(parts)


def _point(number: int, each: Candidate, x: float, heights: tuple[float, float, float]) -> str:
    low, middle, high = heights
    words = f"accuracy {each.accuracy:.3f}, ratio {each.ratio:.2f}: {each.reason}"
    return (
        f'<g class="gl-point" role="button" tabindex="0" data-point="{number}" '
        f'aria-label="Load {escape(words)}"><title>{escape(words)}</title>'
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
        f'<circle cx="{x:.1f}" cy="{middle:.1f}" r="7"/></g>'
    )
