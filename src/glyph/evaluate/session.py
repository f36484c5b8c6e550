"""A session: one task, one reader, its conditions and resolutions, and the folder they land in."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glyph.api import DEFAULT_MODEL, make_config, preset_of
from glyph.asking import model_behind, own_preset
from glyph.config import RenderConfig
from glyph.errors import ConfigError, EvaluationError
from glyph.evaluate.answering import (
    BASELINES,
    BUILT_IN,
    CONDITIONS,
    PAGE_CONDITIONS,
    TEXT_CONDITIONS,
    Answerer,
    BlankAnswerer,
    OracleAnswerer,
    ReaderAnswerer,
)
from glyph.evaluate.judge import Judge
from glyph.evaluate.runner import Progress, Run, RunSettings, evaluate
from glyph.evaluate.showing import Showing
from glyph.evaluate.summary import (
    Difference,
    Price,
    Summary,
    paired_difference,
    scores_of,
    summarise,
)
from glyph.evaluate.task import LoadedTask
from glyph.readers import open_reader
from glyph.tokens import resolve_model


@dataclass(frozen=True, slots=True)
class Row:
    """A run and its place in a table.

    Attributes:
        task: Name of the task.
        preset: Preset and resolution.
        dpi: Resolution of the pages.
        model: Whose visual tokens were counted.
        examples_digest: Equal for runs over the same examples.
        summary: The numbers.
        records: Subset and score of each answered example, by id.
        against_pages: Difference to the reader's own pages, or None for those.
    """

    task: str
    preset: str
    dpi: float
    model: str
    examples_digest: str
    summary: Summary
    records: dict[str, tuple[str, float]]
    against_pages: Difference | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session runs.

    Attributes:
        out: Folder of journals and reports.
        conditions: Each is run at every resolution.
        preset: Name or file of a preset; None for the reader's own, or that of the model's grid.
        fields: Fields of `RenderConfig` to change.
        dpis: Resolutions to sweep; empty for the preset's own.
        model: Whose visual tokens to count; None for the reader's.
        tokenizer: Whose text tokens to count; None for the model's.
        concurrency: Examples at the same time.
        retries: Times an example is asked again.
        seed: Of shuffled pages and guesses.
        price: Of tokens, or None.
        judge: Cuts short answers out of responses, or None.
    """

    out: Path
    conditions: tuple[str, ...] = ("pages",)
    preset: str | None = None
    fields: tuple[tuple[str, Any], ...] = ()
    dpis: tuple[float, ...] = ()
    model: str | None = None
    tokenizer: str | None = None
    concurrency: int = 1
    retries: int = 3
    seed: int = 0
    price: Price | None = None
    judge: Judge | None = None


def open_answerer(name: str, seed: int, **options: Any) -> Answerer:
    """Return a built-in answerer (`oracle`, `blank`) or the reader of a name.

    Raises:
        ConfigError: The name is not known.
    """
    if name == "oracle":
        return OracleAnswerer()
    if name == "blank":
        return BlankAnswerer(seed)
    try:
        return ReaderAnswerer(open_reader(name, **options))
    except ConfigError as error:
        if str(error).startswith("unknown reader"):
            built_in = ", ".join(BUILT_IN)
            raise ConfigError(f"{error} Built into the evaluation: {built_in}.") from None
        raise


def model_of(answerer: Answerer, asked: str | None) -> tuple[str, bool]:
    """Return the model whose tokens are counted, and whether it stands in for an unknown one."""
    if asked is not None:
        return resolve_model(asked).name, False
    if isinstance(answerer, ReaderAnswerer):
        known = model_behind(answerer.reader)
        return known or DEFAULT_MODEL, known is None
    return DEFAULT_MODEL, False


def run_session(
    task: LoadedTask,
    answerer: Answerer,
    plan: Plan,
    on_progress: Callable[[str], Progress] | None = None,
) -> list[Row]:
    """Run every condition at every resolution, and write journals and summaries.

    Args:
        task: What is asked.
        answerer: Who answers.
        plan: Conditions, pages, folder.
        on_progress: Gives the function to call during a run, from the run's label.

    Returns:
        One row a run, in the order of resolutions, then conditions.
    """
    model, _ = model_of(answerer, plan.model)
    tokenizer = plan.tokenizer or resolve_model(model).tokenizer
    rows: list[Row] = []
    own = own_preset(answerer.reader) if isinstance(answerer, ReaderAnswerer) else None
    for config, label in _configs(plan, model, own):
        showing = Showing(config, model, tokenizer)
        of_pages: Run | None = None
        for condition in applicable(task, plan.conditions):
            settings = RunSettings(condition, plan.concurrency, plan.retries, plan.seed, plan.judge)
            stem = f"{task.name}.{_safe(answerer.name)}.{condition}.{_safe(label)}"
            path = plan.out / f"{stem}.jsonl"
            progress = on_progress(f"{condition}, {label}") if on_progress else None
            run = evaluate(task.examples, answerer, showing, path, settings, progress)
            of_pages = run if condition == "pages" else of_pages
            is_other = of_pages is not None and of_pages is not run
            against = None
            if of_pages is not None and is_other:
                against = paired_difference(scores_of(run), scores_of(of_pages))
            row = _row(task, label, config, model, run, plan.price, against)
            write_aside(plan.out / f"{stem}.summary.json", json.dumps(asdict(row), indent=1))
            rows.append(row)
    return rows


def _configs(plan: Plan, model: str, own: str | None) -> list[tuple[RenderConfig, str]]:
    name = plan.preset or own or preset_of(model)
    base = make_config(name, model=model, **dict(plan.fields))
    shown = Path(name).stem
    if not plan.dpis:
        return [(base, f"{shown}-{base.dpi:g}dpi")]
    return [(base.replace(dpi=dpi), f"{shown}-{dpi:g}dpi") for dpi in plan.dpis]


def _row(
    task: LoadedTask,
    label: str,
    config: RenderConfig,
    model: str,
    run: Run,
    price: Price | None,
    against: Difference | None,
) -> Row:
    sha = hashlib.sha256()
    for example in task.examples:
        sha.update(
            f"{example.id}\0{example.question}\0{example.context}\0".encode("utf-8", "replace")
        )
    return Row(
        task=task.name,
        preset=label,
        dpi=float(config.dpi),
        model=model,
        examples_digest=sha.hexdigest()[:16],
        summary=summarise(run, price),
        records=dict(scores_of(run)),
        against_pages=against,
    )


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def write_aside(path: Path, content: str | bytes) -> None:
    """Write a file whole: aside first, then moved into place.

    Raises:
        EvaluationError: There is no room, or the folder cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise EvaluationError(
            f"{path} cannot be written ({error.strerror}); the answers are safe in the journals "
            "beside it."
        ) from None


def read_rows(folder: Path) -> list[Row]:
    """Return the rows of all runs of a folder, by file name."""
    rows: list[Row] = []
    for path in sorted(folder.glob("*.summary.json")):
        try:
            values: dict[str, Any] = json.loads(path.read_text("utf-8"))
            rows.append(_read_row(values))
        except (ValueError, TypeError, KeyError):
            raise EvaluationError(
                f"{path} is no summary of a run; delete it and run the same command again."
            ) from None
    return rows


def _read_row(values: dict[str, Any]) -> Row:
    summary = values.pop("summary")
    against = values.pop("against_pages")
    summary["intervals"] = {name: tuple(each) for name, each in summary["intervals"].items()}
    records = {name: tuple(each) for name, each in values.pop("records").items()}
    return Row(
        **values,
        records=records,
        summary=Summary(**summary),
        against_pages=Difference(**against) if against else None,
    )


def conditions_of(baselines: Sequence[str], with_baselines: bool) -> tuple[str, ...]:
    """Return the conditions to run.

    Args:
        baselines: What to show in place of the reader's pages; `pages` beside them runs both.
        with_baselines: Run the pages and every baseline.

    Raises:
        ConfigError: A baseline is not known.
    """
    for name in baselines:
        if name not in CONDITIONS:
            raise ConfigError(f"unknown baseline '{name}'; accepted: {', '.join(BASELINES)}.")
    if with_baselines:
        return CONDITIONS
    # The pages go first: what stands beside them is compared with them.
    return tuple(name for name in CONDITIONS if name in baselines) or ("pages",)


def applicable(task: LoadedTask, conditions: Sequence[str]) -> tuple[str, ...]:
    """Return the conditions that make sense for a task: text is not there to be transcribed.

    Raises:
        ConfigError: None is left.
    """
    if not any(example.action == "transcribe" for example in task.examples):
        return tuple(conditions)
    kept = tuple(name for name in conditions if name not in TEXT_CONDITIONS)
    if not kept:
        raise ConfigError(
            f"task '{task.name}' transcribes pages; {', '.join(conditions)} shows text. Accepted: "
            f"{', '.join(PAGE_CONDITIONS)}."
        )
    return kept
