"""The verb that measures readers: eval."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyph.cli.console import FAILED, make_console, print_json, progress_bar, tell
from glyph.cli.options import BaseUrlOption, JsonOption, PresetOption, SettingsOption, fields_of
from glyph.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from glyph.evaluate.answering import Answerer
    from glyph.evaluate.judge import Judge
    from glyph.evaluate.runner import Progress
    from glyph.evaluate.session import Plan, Row
    from glyph.evaluate.task import LoadedTask

DEFAULT_CONCURRENCY = 8
"""Requests to an endpoint at the same time; readers on this machine answer one by one."""

DEFAULT_OUT = Path("evaluation")
SHOWN_COLUMNS = (
    "shown as", "preset", "failed", "mean over subsets", "mean over categories", "silent errors",
    "ratio", "USD", "against pages",
)  # fmt: skip


def evaluate(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="ruler, needle, mrcr, ocr, books, longbench, longbench-v2 or mmlongbench.",
        ),
    ],
    subset: Annotated[
        str, typer.Option(metavar="A,B", help="Subsets of the task. Default: all.")
    ] = "",
    lengths: Annotated[
        str, typer.Option(metavar="N,M", help="Lengths in text tokens, such as 1024,4096.")
    ] = "",
    num_examples: Annotated[
        int | None,
        typer.Option("--num-examples", "-n", help="Examples of each subset and length."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="File or folder of the task's data; repeat."),
    ] = None,
    reader: Annotated[
        str,
        typer.Option(
            "--reader",
            "-r",
            metavar="NAME",
            help="ocr, nano, openai:MODEL, or to check a task: oracle, blank.",
        ),
    ] = "ocr",
    base_url: BaseUrlOption = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Show this in place of the pages: full-text, truncate, bm25, blank, shuffled.",
        ),
    ] = None,
    with_baselines: Annotated[
        bool, typer.Option("--with-baselines", help="Run the pages and every baseline beside them.")
    ] = False,
    preset: PresetOption = None,
    settings: SettingsOption = None,
    dpi: Annotated[
        str, typer.Option(metavar="N,M", help="Run at these resolutions, such as 72,96,120.")
    ] = "",
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="Count this model's visual tokens."),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(help="Examples at the same time. Default: 8 for openai, 1 for others."),
    ] = None,
    retries: Annotated[int, typer.Option(help="Times to ask again after a passing failure.")] = 3,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="Longest silence of an endpoint.")
    ] = 120.0,
    price: Annotated[
        str, typer.Option(metavar="IN,OUT", help="US dollars for a million tokens, in and out.")
    ] = "",
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="openai:MODEL",
            help="Cuts short answers out of responses, for mmlongbench. Default: by rule.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on a bad data record.")] = False,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of answers and reports.")
    ] = DEFAULT_OUT,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Score a reader on a task, beside text baselines at equal tokens.

    Answers are kept in --out the moment they arrive: a run that was stopped goes on where it was,
    and runs of one folder stand in one report.
    """
    from glyph.evaluate.report import write_report
    from glyph.evaluate.session import conditions_of, open_answerer, run_session

    conditions = conditions_of(baseline or (), with_baselines)
    answerer = open_answerer(reader, seed, **_reader_options(reader, base_url, timeout))
    plan = _plan(
        answerer, out, conditions, preset, model, retries, seed,
        fields=tuple(fields_of(settings).items()),
        dpis=numbers_of(dpi, "dpi"),
        concurrency=concurrency or (DEFAULT_CONCURRENCY if reader.startswith("openai") else 1),
        price=price,
        judge=_judge(judge, base_url, timeout),
    )  # fmt: skip
    loaded = _load(task, answerer, plan, subset, lengths, num_examples, data or [], strict)
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


def _judge(name: str | None, base_url: str | None, timeout: float) -> "Judge | None":
    from glyph.evaluate.judge import judge_with
    from glyph.readers import open_reader

    if name is None:
        return None
    return judge_with(open_reader(name, **_reader_options(name, base_url, timeout)))


def _plan(
    answerer: "Answerer",
    out: Path,
    conditions: tuple[str, ...],
    preset: str | None,
    model: str | None,
    retries: int,
    seed: int,
    *,
    price: str,
    **more: Any,
) -> "Plan":
    from glyph.evaluate.session import Plan, model_of
    from glyph.evaluate.summary import Price

    name, stands_in = model_of(answerer, model)
    if stands_in:
        tell(
            f"warning: no token rule is known for {answerer.name}; tokens are counted as {name} "
            "does. Name another with --model."
        )
    amounts = numbers_of(price, "price")
    if amounts and len(amounts) != 2:
        raise ConfigError(f"price '{price}' is not two numbers; write IN,OUT, such as 0.6,1.8.")
    charged = Price(*amounts) if amounts else None
    return Plan(
        out=out, conditions=conditions, preset=preset, model=name, retries=retries, seed=seed,
        price=charged, **more,
    )  # fmt: skip


def _load(
    task: str,
    answerer: "Answerer",
    plan: "Plan",
    subset: str,
    lengths: str,
    num_examples: int | None,
    data: list[Path],
    strict: bool,
) -> "LoadedTask":
    from glyph.evaluate.task import TaskOptions, load_task
    from glyph.text_tokens import count_text_tokens
    from glyph.tokens import resolve_model

    tokenizer = plan.tokenizer or resolve_model(plan.model or "").tokenizer
    options = TaskOptions(
        subsets=tuple(each.strip() for each in subset.split(",") if each.strip()),
        lengths=tuple(int(each) for each in numbers_of(lengths, "length")),
        num_examples=num_examples,
        data=tuple(data),
        seed=plan.seed,
        strict=strict,
        count=lambda text: count_text_tokens(text, tokenizer),
    )
    loaded = load_task(task, options)
    for sentence in loaded.skipped:
        tell(f"warning: {sentence}")
    return loaded


def numbers_of(text: str, what: str) -> tuple[float, ...]:
    """Return the numbers of an option's value, such as `72,96`."""
    try:
        return tuple(float(each) for each in text.split(",") if each.strip())
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
