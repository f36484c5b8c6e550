"""Choosing one candidate of the front, and writing it down as a preset with its provenance."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyph.errors import ConfigError
from glyph.output import write_atomically
from glyph.search.loop import front_of
from glyph.search.pareto import Point, knee_index
from glyph.search.study import Record

BEST = "best.toml"
FRONT = "front.json"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the chosen candidate must have; the knee of the front where nothing is asked.

    Attributes:
        at_ratio: Compression at least; of such candidates that are as accurate as the best the
            one that compresses least is chosen: larger letters are the safer ones elsewhere.
        min_accuracy: Accuracy at least; the one that compresses most is chosen.
    """

    at_ratio: float | None = None
    min_accuracy: float | None = None

    def check(self) -> None:
        """Refuse wishes nothing can fulfil.

        Raises:
            ConfigError: A ratio that is not positive, an accuracy outside [0, 1].
        """
        if self.at_ratio is not None and self.at_ratio <= 0:
            raise ConfigError(f"at_ratio is {self.at_ratio:g}; a ratio above 0 is accepted.")
        if self.min_accuracy is not None and not 0 <= self.min_accuracy <= 1:
            raise ConfigError(f"min_accuracy is {self.min_accuracy:g}; 0 to 1 is accepted.")


def choose_best(records: Sequence[Record], wish: Wish) -> Record:
    """Return the candidate that a wish asks for; of the front, unless it asks for a ratio.

    Raises:
        ConfigError: Nothing was read to the end, or no candidate fulfils the wish.
    """
    front = front_of(records)
    if not front:
        raise ConfigError(
            "no candidate was read to the end; raise the budget of evaluations or seconds."
        )
    fitting = [
        record
        for record in front
        if record.point[1] >= (wish.at_ratio or 0.0)
        and record.point[0] >= (wish.min_accuracy or 0.0)
    ]
    if not fitting:
        raise ConfigError(
            f"no candidate reaches {_asked(wish)}; the front goes from "
            f"{_shown(front[-1])} to {_shown(front[0])}. Ask for less, or search longer."
        )
    if wish.at_ratio is not None:
        dense = [
            r
            for r in records
            if r.measured.is_full
            and r.point[1] >= wish.at_ratio
            and r.point[0] >= (wish.min_accuracy or 0.0)
        ]
        num_questions = len(dense[0].measured.scores)
        return dense[safest_index([record.point for record in dense], num_questions)]
    if wish.min_accuracy is not None:
        return max(fitting, key=lambda record: record.point[::-1])
    return fitting[knee_index([record.point for record in fitting])]


def safest_index(points: Sequence[Point], num_questions: int) -> int:
    """Return the point of least compression among those as accurate as the best.

    Less than half a question is no difference, and what many candidates read without an error on a
    small validation set is told apart on other texts by the size of letters alone.

    Example:
        >>> safest_index([(1.0, 7.5), (0.99, 5.0), (0.9, 4.0)], num_questions=15)
        1
    """
    best = max(accuracy for accuracy, _ in points)
    equal = [i for i, point in enumerate(points) if best - point[0] < 0.5 / num_questions]
    return min(equal, key=lambda i: (points[i][1], -points[i][0]))


def entry_of(record: Record) -> dict[str, Any]:
    """Return a candidate as plain values."""
    measured = record.measured
    return {
        "accuracy": measured.accuracy,
        "ratio": measured.price.ratio,
        "config": record.config.to_dict(),
        "reason": record.reason,
        "accuracy_low": measured.accuracy_low,
        "accuracy_high": measured.accuracy_high,
        "trial": record.number,
        "operator": record.operator,
        "parents": list(record.parents),
        "by_kind": dict(measured.by_kind),
        "digest": record.config.digest,
    }


def write_choice(
    folder: Path, best: Record, front: Sequence[Record], provenance: dict[str, Any]
) -> None:
    """Write the chosen candidate as a preset, and the front beside it.

    Args:
        folder: Of the search.
        best: The chosen candidate.
        front: All candidates of the front.
        provenance: What the study was about.
    """
    measured = best.measured
    description = (
        f"Searched: {measured.accuracy:.1%} of the questions right at {measured.price.ratio:.2f}x "
        f"for {provenance['reader']}"
    )
    values: dict[str, Any] = {
        **provenance,
        "trial": best.number,
        "operator": best.operator,
        "parents": list(best.parents),
        "reason": best.reason,
        "accuracy": measured.accuracy,
        "accuracy_interval_95": [measured.accuracy_low, measured.accuracy_high],
        "ratio": measured.price.ratio,
        "num_questions": len(measured.scores),
    }
    # JSON writes strings, numbers and lists exactly as TOML reads them.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    toml = best.config.to_toml(description=description) + "\n[provenance]\n" + "\n".join(lines)
    write_atomically(folder / BEST, f"{toml}\n".encode())
    entries = {"front": [entry_of(record) for record in front], "provenance": provenance}
    write_atomically(folder / FRONT, f"{json.dumps(entries, indent=1)}\n".encode())


def _asked(wish: Wish) -> str:
    parts: list[str] = []
    if wish.at_ratio is not None:
        parts.append(f"ratio {wish.at_ratio:g}")
    if wish.min_accuracy is not None:
        parts.append(f"accuracy {wish.min_accuracy:g}")
    return " and ".join(parts)


def _shown(record: Record) -> str:
    return f"accuracy {record.point[0]:.3f} at {record.point[1]:.2f}x"
