"""The verb that measures readers: eval."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glyph.cli import evaluate_options as given
from glyph.cli.console import FAILED, make_console, print_json, progress_bar, tell
from glyph.cli.options import BaseUrlOption, JsonOption, PresetOption, SettingsOption, fields_of
from glyph.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from glyph.evaluate.answering import Answerer
    from glyph.evaluate.judge import Judge
    from glyph.evaluate.runner import Progress
    from glyph.evaluate.session import Row
    from glyph.evaluate.summary import Price
    from glyph.evaluate.task import LoadedTask

DEFAULT_CONCURRENCY = 8
"""Requests to an endpoint at the same time; readers on this machine answer one by one."""

DEFAULT_OUT = Path("evaluation")
SHOWN_COLUMNS = (
    "shown as", "preset", "failed", "mean over subsets", "mean over categories", "silent errors",
    "ratio", "USD", "against pages",
)  # fmt: skip


def evaluate(
    task: given.TaskArgument,
    subset: given.SubsetOption = "",
    lengths: given.LengthsOption = "",
    num_examples: given.NumExamplesOption = None,
    data: given.DataOption = None,
    reader: given.ReaderOption = "ocr",
    base_url: BaseUrlOption = None,
    baseline: given.BaselineOption = None,
    with_baselines: given.WithBaselinesOption = False,
    preset: PresetOption = None,
    settings: SettingsOption = None,
    dpi: given.DpiOption = "",
    model: given.ModelOption = None,
    concurrency: given.ConcurrencyOption = None,
    retries: given.RetriesOption = 3,
    timeout: given.TimeoutOption = 120.0,
    price_input: given.PriceInputOption = None,
    price_output: given.PriceOutputOption = None,
    judge: given.JudgeOption = None,
    strict: given.StrictOption = False,
    out: given.OutOption = DEFAULT_OUT,
    seed: given.SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Score a reader on a task, beside text baselines at equal tokens.

    Answers are kept in --out the moment they arrive: a run that was stopped goes on where it was,
    and runs of one folder stand in one report.
    """
    from glyph.evaluate.report import write_report
    from glyph.evaluate.session import Plan, conditions_of, open_answerer, run_session
    from glyph.evaluate.task import TaskOptions, load_task

    conditions = conditions_of(baseline or (), with_baselines)
    price, its_judge = _price(price_input, price_output), _judge(judge, base_url, timeout)
    answerer = open_answerer(reader, seed, **_reader_options(reader, base_url, timeout))
    name = _model(answerer, model)
    options = TaskOptions(
        subsets=names_of(subset), lengths=lengths_of(lengths), num_examples=num_examples,
        data=tuple(data or ()), seed=seed, strict=strict, count=_counter(name),
    )  # fmt: skip
    plan = Plan(
        out=out, conditions=conditions, preset=preset, fields=tuple(fields_of(settings).items()),
        dpis=numbers_of(dpi, "dpi"), model=name, concurrency=concurrency or _concurrency(reader),
        retries=retries, seed=seed, price=price, judge=its_judge,
    )  # fmt: skip
    loaded = _told(load_task(task, options))
    rows = run_session(loaded, answerer, plan, _progress(loaded, quiet=as_json))
    write_report(out)
    if as_json:
        print_json(_values(loaded, rows))
    else:
        _print(loaded, rows, out)
    if all(row.summary.failed == row.summary.examples for row in rows):
        raise typer.Exit(FAILED)


def _reader_options(reader: str, base_url: str | None, timeout: float) -> dict[str, Any]:
    if reader.startswith("openai"):
        return {"base_url": base_url, "timeout_s": timeout}
    return {} if base_url is None else {"base_url": base_url}


def _concurrency(reader: str) -> int:
    return DEFAULT_CONCURRENCY if reader.startswith("openai") else 1


def _judge(name: str | None, base_url: str | None, timeout: float) -> "Judge | None":
    from glyph.evaluate.judge import judge_with
    from glyph.readers import open_reader

    if name is None:
        return None
    return judge_with(open_reader(name, **_reader_options(name, base_url, timeout)))


def _price(input_usd: float | None, output_usd: float | None) -> "Price | None":
    from glyph.evaluate.summary import Price

    if input_usd is None and output_usd is None:
        return None
    if input_usd is None or output_usd is None:
        other = "input" if input_usd is None else "output"
        raise ConfigError(f"a price has two sides; give --price-{other} too (it may be 0).")
    return Price(input_usd, output_usd)


def _model(answerer: "Answerer", asked: str | None) -> str:
    """Return the model whose tokens are counted; one that stands in is named."""
    from glyph.evaluate.session import model_of

    name, stands_in = model_of(answerer, asked)
    if stands_in:
        tell(
            f"warning: no token rule is known for {answerer.name}; tokens are counted as {name} "
            "does. Name another with --model."
        )
    return name


def _counter(model: str) -> "Callable[[str], int]":
    from glyph.text_tokens import count_text_tokens
    from glyph.tokens import resolve_model

    tokenizer = resolve_model(model).tokenizer
    return lambda text: count_text_tokens(text, tokenizer)


def _told(loaded: "LoadedTask") -> "LoadedTask":
    for sentence in loaded.skipped:
        tell(f"warning: {sentence}")
    return loaded


def names_of(text: str) -> tuple[str, ...]:
    """Return the names of an option's value, such as `vt,cwe`."""
    return tuple(each.strip() for each in text.split(",") if each.strip())


def lengths_of(text: str) -> tuple[int, ...]:
    """Return lengths in text tokens, such as `1024,4096`."""
    return tuple(int(each) for each in numbers_of(text, "length"))


def numbers_of(text: str, what: str) -> tuple[float, ...]:
    """Return the numbers of an option's value, such as `72,96`."""
    try:
        return tuple(float(each) for each in names_of(text))
    except ValueError:
        raise ConfigError(
            f"{what} '{text}' is not numbers separated by commas, such as 72,96."
        ) from None


def _progress(loaded: "LoadedTask", *, quiet: bool) -> "Callable[[str], Progress]":
    total = len(loaded.examples)

    def label(name: str) -> "Progress":
        bar = progress_bar(total, f"{loaded.name}: {name}", quiet=quiet)
        show = bar.__enter__()

        def report(done: int, failed: int, total: int) -> None:
            show(done)
            if done == total:
                bar.__exit__(None, None, None)

        return report

    return label


def _values(loaded: "LoadedTask", rows: "list[Row]") -> dict[str, Any]:
    first = rows[0]
    return {**_row_values(first), "task": loaded.name, "source": loaded.source,
            "skipped": len(loaded.skipped), "rows": [_row_values(row) for row in rows]}  # fmt: skip


def _row_values(row: "Row") -> dict[str, Any]:
    summary = asdict(row.summary)
    return {
        "task": row.task,
        **summary,
        "preset": row.preset,
        "dpi": row.dpi,
        "model": row.model,
        "against_pages": asdict(row.against_pages) if row.against_pages else None,
    }


def _print(loaded: "LoadedTask", rows: "list[Row]", out: Path) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from glyph.evaluate.report import COLUMNS, cells

    console = make_console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    # The reader stands in the title; what is left fits a terminal.
    kept = [COLUMNS.index(name) for name in SHOWN_COLUMNS]
    for name in SHOWN_COLUMNS:
        is_text = name in ("shown as", "preset")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=is_text)
    for row in rows:
        values = cells(row)
        table.add_row(*(Text(values[i]) for i in kept))
    first = rows[0]
    title = (
        f"{loaded.name}: {first.summary.reader}, {first.summary.examples} examples, contexts of "
        f"{loaded.source}"
    )
    console.print(Text(title, style="bold"))
    console.print(table)
    subsets = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    subsets.add_column("subset", style="bold", no_wrap=True)
    is_sweep = len({row.preset for row in rows}) > 1
    for row in rows:
        dpi = f" {row.dpi:g} dpi" if is_sweep else ""
        subsets.add_column(f"{row.summary.condition}{dpi}", justify="right")
    for name in dict.fromkeys(name for row in rows for name in row.summary.scores):
        subsets.add_row(name, *(_cell(row, name) for row in rows))
    console.print(subsets)
    if len(rows) == 1:
        console.print(Text("Baselines not run; add --with-baselines to stand beside them."))
    console.print(Text(f"Report: {out / 'report.html'}"))


def _cell(row: "Row", subset: str) -> str:
    if subset not in row.summary.scores:
        return "-"
    low, high = row.summary.intervals[subset]
    return f"{row.summary.scores[subset]:.1f} [{low:.0f}, {high:.0f}]"
