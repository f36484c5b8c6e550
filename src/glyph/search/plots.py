"""The plots of a report, drawn by matplotlib without a display."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from glyph.search.loop import front_of, outcomes, volumes
from glyph.search.pareto import REFERENCE
from glyph.search.space import Gene, Space
from glyph.search.study import Record

DPI = 144
MAX_FRONTS = 6
MAX_GENES = 14
NUM_BINS = 5
INK, MUTED, ACCENT, SECOND = "#7d8590", "#8c959f", "#2f81f7", "#db61a2"
"""Tones that are legible on light and on dark ground: plots have none of their own."""


def front_plot(records: Sequence[Record], best: Record, population: int) -> bytes:
    """Draw all candidates, and the front as it grew over generations."""
    figure, axes = _figure(7.2, 4.6)
    for is_full, mark, label in ((True, "o", "read to the end"), (False, "x", "given up early")):
        points = [r.point for r in records if r.measured.is_full is is_full]
        if points:
            accuracy, ratio = zip(*points, strict=True)
            axes.scatter(ratio, accuracy, s=14, marker=mark, c=MUTED, alpha=0.5, label=label)
    ends = sorted({*range(population, len(records), population), len(records)})
    step = max(-(-len(ends) // MAX_FRONTS), 1)
    shown = ends[::-1][::step][::-1]
    for place, end in enumerate(shown):
        front = [record.point for record in front_of(records[:end])]
        if not front:
            continue
        accuracy, ratio = zip(*front, strict=True)
        is_last = end == shown[-1]
        shade = 0.25 + 0.75 * (place + 1) / len(shown)
        axes.step(
            ratio, accuracy, where="pre", color=ACCENT, alpha=shade, lw=2 if is_last else 1,
            label=f"front after {end}",
        )  # fmt: skip
    low, high = best.measured.accuracy_low, best.measured.accuracy_high
    axes.errorbar(
        [best.point[1]], [best.point[0]],
        yerr=[[max(best.point[0] - low, 0)], [max(high - best.point[0], 0)]],
        fmt="*", ms=14, color=SECOND, capsize=3, label="chosen, 95 % interval", zorder=5,
    )  # fmt: skip
    axes.set_xlabel("compression ratio: text tokens for each visual token")
    axes.set_ylabel("accuracy of the reader")
    _legend(figure, loc="outside lower center", ncols=5)
    return _png(figure)


def volume_plot(records: Sequence[Record], population: int) -> bytes:
    """Draw hypervolume over candidates."""
    figure, axes = _figure(7.2, 2.8)
    found = volumes(records)
    axes.plot(range(1, len(found) + 1), found, color=ACCENT)
    for end in range(population, len(found), population):
        axes.axvline(end, color=MUTED, lw=0.4)
    axes.set_xlabel("candidates measured; lines part generations")
    axes.set_ylabel(f"hypervolume beyond {REFERENCE}")
    return _png(figure)


def importance_plot(records: Sequence[Record], space: Space) -> bytes:
    """Draw which genes went with accuracy and with ratio."""
    accuracy = importances(records, space, 0)
    ratio = importances(records, space, 1)
    names = sorted(accuracy, key=lambda name: -(accuracy[name] + ratio[name]))[:MAX_GENES][::-1]
    figure, axes = _figure(7.2, 0.3 * len(names) + 1.2)
    places = np.arange(len(names))
    axes.barh(places + 0.2, [accuracy[n] for n in names], 0.38, color=SECOND, label="accuracy")
    axes.barh(places - 0.2, [ratio[n] for n in names], 0.38, color=ACCENT, label="ratio")
    axes.set_yticks(places, names)
    axes.set_xlabel("share of the variance that goes with the gene")
    _legend(axes, loc="lower right")
    return _png(figure)


def operator_plot(records: Sequence[Record], population: int) -> bytes:
    """Draw who proposed in each generation, and how often a proposal enlarged the front."""
    found = outcomes(records)
    names = list(dict.fromkeys(outcome.operator for outcome in found))
    figure, axes = _figure(7.2, 3.0)
    generations = range(-(-len(found) // population))
    bottom = np.zeros(len(generations))
    for number, name in enumerate(names):
        counts = np.array([
            sum(o.operator == name for o in found[g * population : (g + 1) * population])
            for g in generations
        ])  # fmt: skip
        paid = sum(o.gain > 0 for o in found if o.operator == name)
        total = sum(o.operator == name for o in found)
        label = f"{name}: {paid} of {total} enlarged the front"
        axes.bar(generations, counts, bottom=bottom, color=f"C{number}", label=label, width=0.8)
        bottom += counts
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("generation")
    axes.set_ylabel("candidates")
    _legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _png(figure)


def importances(records: Sequence[Record], space: Space, objective: int) -> dict[str, float]:
    """Return for each gene the share of an objective's variance between bins of its values.

    The correlation ratio, corrected for the number of bins, so that a gene of no influence has 0 on
    average. It says what went together in this search, not what causes what.
    """
    target = np.array([record.point[objective] for record in records])
    found: dict[str, float] = {}
    for gene in space.genes:
        bins = _bins(gene, [space.value(record.config, gene.name) for record in records])
        found[gene.name] = _correlation_ratio(bins, target)
    return found


def _bins(gene: Gene, values: Sequence[object]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    if gene.kind in ("number", "whole"):
        numbers = np.array(values, float)
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
        return np.searchsorted(edges, numbers).astype(np.int64)
    return np.array([gene.choices.index(value) for value in values], np.int64)


def _correlation_ratio(
    bins: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    target: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> float:
    names = np.unique(bins)
    total = float(((target - target.mean()) ** 2).sum())
    if len(names) < 2 or total <= 0 or len(target) <= len(names):
        return 0.0
    within = sum(float(((target[bins == b] - target[bins == b].mean()) ** 2).sum()) for b in names)
    left = (within / (len(target) - len(names))) / (total / (len(target) - 1))
    return max(1 - left, 0.0)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    # Most of matplotlib has no complete types.
    figure: Any = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.grid(color=MUTED, lw=0.4, alpha=0.35)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, labelsize=8)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(INK)
        label.set_size(9)
    return figure, axes


def _legend(place: Any, **placed: Any) -> None:
    place.legend(labelcolor=INK, frameon=False, **{"fontsize": 8, **placed})


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, transparent=True, metadata={"Software": None})
    return buffer.getvalue()
