"""The table of a benchmark: every length on every backbone, kept as it grows.

A length that is left out is named with the reason.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glyph.config import RenderConfig
from glyph.errors import EvaluationError
from glyph.evaluate.efficiency.children import start
from glyph.evaluate.efficiency.measure import Row, crossover, measure, with_training
from glyph.evaluate.efficiency.sides import Job
from glyph.evaluate.session import write_aside

GROWTH = 2.5
"""A length of twice the tokens takes about so many times as long."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What to measure.

    Attributes:
        backbones: Names of networks.
        lengths: Text tokens of the contexts.
        config: How pages look.
        preset: Its name, for the file.
        repeats: Times everything is done; medians count.
        train_up_to: Longest context that a training step is taken over; 0 for none.
        threads: Of the CPU.
        device: `cpu` or `cuda`.
        max_s: Seconds that one measurement may take.
        budget_s: Seconds after which nothing is begun that would not end in time; None for none.
        out: File that rows are kept in as they come, and taken from; None for none.
    """

    backbones: tuple[str, ...]
    lengths: tuple[int, ...]
    config: RenderConfig
    preset: str
    repeats: int
    train_up_to: int
    threads: int
    device: str
    max_s: float
    budget_s: float | None = None
    out: Path | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What rows of one file have in common."""
        return {"preset": self.preset, "config_digest": self.config.digest, "device": self.device,
                "threads": self.threads}  # fmt: skip


@dataclass(slots=True)
class Table:
    """What was measured, and a sentence for everything that was not."""

    rows: list[Row] = field(default_factory=list[Row])
    left_out: list[str] = field(default_factory=list[str])

    def values(self, plan: TablePlan) -> dict[str, Any]:
        """Return everything as plain values."""
        names = dict.fromkeys(row.backbone for row in self.rows)
        return {
            "settings": plan.settings,
            "rows": [asdict(row) for row in self.rows],
            "crossover_text_tokens": {name: crossover(self.of(name)) for name in names},
            "left_out": self.left_out,
        }

    def of(self, backbone: str) -> list[Row]:
        """Return the rows of a backbone, shortest first."""
        rows = [row for row in self.rows if row.backbone == backbone]
        return sorted(rows, key=lambda row: row.text_tokens)


def measure_table(plan: TablePlan, on_progress: Callable[[int], None] | None = None) -> Table:
    """Measure every length on every backbone; rows that `plan.out` holds are not measured again.

    Raises:
        EvaluationError: `plan.out` holds rows of other settings, or cannot be written.
    """
    began = time.perf_counter()
    start()
    table = Table()
    known = _known(plan)
    for name in plan.backbones:
        took_s, too_long = 0.0, False
        for length in sorted(plan.lengths):
            at_s = time.perf_counter() - began
            row = known.get((name, length))
            spare_s = plan.budget_s - at_s if plan.budget_s else None
            if row is None and (too_long or (table.rows and _lacks(spare_s, took_s))):
                why = "a shorter one took too long" if too_long else "the time is up"
                table.left_out.append(f"{name} at {length:,} tokens: {why}")
            elif row is None:
                row = _measured(table, plan, name, length, spare_s if table.rows else None)
                too_long = row is None
                took_s = time.perf_counter() - began - at_s
            if row is not None:
                table.rows.append(row)
                _keep(plan, table, known)
            if on_progress is not None:
                on_progress(len(table.rows) + len(table.left_out))
    return table


def _lacks(spare_s: float | None, took_s: float) -> bool:
    return spare_s is not None and GROWTH * took_s > spare_s


def _measured(
    table: Table, plan: TablePlan, name: str, length: int, spare_s: float | None
) -> Row | None:
    job = Job("text", name, plan.device, plan.threads, length, plan.config, plan.repeats)
    # Two sides share what is left; the first row of a table is always finished.
    found = measure(job, plan.max_s if spare_s is None else min(plan.max_s, spare_s / 2))
    if isinstance(found, str):
        table.left_out.append(f"{name} at {length:,} tokens: {found}")
        return None
    if not plan.train_up_to:
        return found
    if length > plan.train_up_to:
        limit = f"--train-up-to is {plan.train_up_to:,}"
        table.left_out.append(f"training step of {name} at {length:,} tokens: {limit}")
        return found
    trained = with_training(found, job, plan.max_s)
    if isinstance(trained, str):
        table.left_out.append(f"training step of {name} at {length:,} tokens: {trained}")
        return found
    return trained


def _known(plan: TablePlan) -> dict[tuple[str, int], Row]:
    if plan.out is None or not plan.out.exists():
        return {}
    try:
        values = json.loads(plan.out.read_text("utf-8"))
        rows = [Row(**row) for row in values["rows"]]
        settings = values["settings"]
    except (ValueError, TypeError, KeyError):
        raise EvaluationError(
            f"{plan.out} holds no table of this benchmark; give another --out."
        ) from None
    if settings != plan.settings:
        raise EvaluationError(
            f"{plan.out} holds rows of other settings ({settings}); give another --out."
        )
    return {(row.backbone, row.asked_tokens): row for row in rows}


def _keep(plan: TablePlan, table: Table, known: dict[tuple[str, int], Row]) -> None:
    """Write the rows so far, with those of the file that are still to come."""
    if plan.out is None:
        return
    done = {(row.backbone, row.asked_tokens) for row in table.rows}
    others = [row for key, row in known.items() if key not in done]
    whole = Table([*table.rows, *others], table.left_out)
    write_aside(plan.out, json.dumps(whole.values(plan), indent=1) + "\n")
