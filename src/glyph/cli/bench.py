"""The verb that measures speed: bench efficiency."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glyph.cli.console import FAILED, Verb, make_console, print_json, progress_bar, tell
from glyph.cli.options import JsonOption, PresetOption, SettingsOption, fields_of

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from glyph.config import RenderConfig
    from glyph.evaluate.efficiency.endpoint import ServedRow
    from glyph.evaluate.efficiency.measure import Row
    from glyph.evaluate.efficiency.table import Table, TablePlan

QUICK_LENGTHS, LENGTHS = (1024, 2048, 4096), (4096, 8192, 16384, 32768)
QUICK_BUDGET_S = 52.0
"""A quick run begins no length that would end after this, judged by the one before, and gives up
what takes longer all the same."""

bench = typer.Typer(
    help="Measure speed and memory.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@bench.callback()
def _root() -> None:
    """Measure speed and memory."""


@bench.command("efficiency", cls=Verb, epilog="Example: glyph bench efficiency --quick --json")
def efficiency(
    quick: Annotated[
        bool, typer.Option("--quick", help="Short contexts, nano only, under a minute.")
    ] = False,
    backbone: Annotated[
        str, typer.Option(metavar="A,B", help="nano, 100m, or both. Default: both; quick: nano.")
    ] = "",
    lengths: Annotated[str, typer.Option(metavar="N,M", help="Text tokens of the contexts.")] = "",
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Times everything is done; medians count. Default: 3; quick: 1."),
    ] = None,
    train_up_to: Annotated[
        int,
        typer.Option(metavar="N", help="Take a training step over contexts up to N; 0 for none."),
    ] = 8192,
    max_seconds: Annotated[
        float, typer.Option(metavar="S", help="Give up a measurement after S seconds, and say so.")
    ] = 900.0,
    threads: Annotated[
        int, typer.Option(help="Of the CPU; with 1, other work disturbs least.")
    ] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Time this model behind --base-url instead.")
    ] = None,
    base_url: Annotated[
        str, typer.Option(metavar="URL", help="Of a served model, such as vLLM's.")
    ] = "",
    concurrency: Annotated[int, typer.Option(help="Requests at the same time.")] = 4,
    preset: PresetOption = None,
    settings: SettingsOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Keep the rows as JSON.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare text tokens with pages of the same text on one backbone, rendering included.

    Weights are random: cost does not depend on them. Prefill, decoding, cache bytes, memory and a
    training step are measured, and the length from which pages win is printed. With --out, rows
    are kept as they come, and a run that was stopped goes on.
    """
    from glyph.api import make_config
    from glyph.cli.evaluate import numbers_of
    from glyph.evaluate.efficiency.table import TablePlan

    config = make_config(preset, **fields_of(settings))
    asked = tuple(int(each) for each in numbers_of(lengths, "length"))
    sizes = asked or (QUICK_LENGTHS if quick else LENGTHS)
    if model is not None:
        _print_served(_served(model, base_url, sizes, config, concurrency), as_json)
        return
    names = tuple(backbone.split(",")) if backbone else (("nano",) if quick else ("nano", "100m"))
    plan = TablePlan(
        backbones=names,
        lengths=sizes,
        config=config,
        preset=preset or "default",
        repeats=repeats or (1 if quick else 3),
        train_up_to=0 if quick else train_up_to,
        threads=threads,
        device=device,
        max_s=max_seconds,
        budget_s=QUICK_BUDGET_S if quick else None,
        out=out,
    )
    table = _measured(plan, quiet=as_json)
    if as_json:
        print_json(table.values(plan))
    else:
        _print(table)
    if not table.rows:
        raise typer.Exit(FAILED)


def _measured(plan: "TablePlan", *, quiet: bool) -> "Table":
    from glyph.evaluate.efficiency.backbone import check
    from glyph.evaluate.efficiency.table import measure_table

    check(plan.backbones, plan.threads)
    total = len(plan.backbones) * len(plan.lengths)
    with progress_bar(total, "measuring", quiet=quiet) as show:
        table = measure_table(plan, show)
    for each in table.left_out:
        tell(f"left out: {each}.")
    return table


TIMES = ("text", "visual", "render", "patches", "vision", "prefill text", "prefill pages",
         "prefill", "with all")  # fmt: skip
SIZES = ("text", "tok/s text", "tok/s pages", "decode", "KV text", "KV pages", "KV", "peak text",
         "peak pages", "train")  # fmt: skip


def _print(table: "Table") -> None:
    from rich.text import Text

    from glyph.evaluate.efficiency.measure import crossover

    console = make_console()
    for name in dict.fromkeys(row.backbone for row in table.rows):
        rows = table.of(name)
        console.print(Text(f"{name}: seconds, and text over pages", style="bold"))
        console.print(_columns(TIMES, [_times(row) for row in rows]))
        console.print(Text(f"{name}: decoding, memory in MB, training step", style="bold"))
        console.print(_columns(SIZES, [_sizes(row) for row in rows]))
        at = crossover(rows)
        said = f"from about {at:,} text tokens on" if at else "at none of these lengths"
        console.print(Text(f"{name}: pages are faster, rendering included, {said}.", style="bold"))
    console.print(Text("'with all': rendering, making patches and the vision tower are part of "
                       "the pages' time."))  # fmt: skip


def _times(row: "Row") -> tuple[str, ...]:
    return (
        f"{row.text_tokens:,}", f"{row.visual_tokens:,}", f"{row.render_s:.4f}",
        f"{row.preprocess_s:.3f}", f"{row.vision_s:.2f}", f"{row.prefill_text_s:.2f}",
        f"{row.prefill_pages_s:.2f}", f"{row.prefill_ratio:.1f}x", f"{row.speedup:.1f}x",
    )  # fmt: skip


def _sizes(row: "Row") -> tuple[str, ...]:
    return (
        f"{row.text_tokens:,}", f"{row.decode_text_tokens_per_s:.0f}",
        f"{row.decode_pages_tokens_per_s:.0f}", f"{row.decode_ratio:.1f}x",
        _megabytes(row.kv_text_bytes), _megabytes(row.kv_pages_bytes), f"{row.kv_ratio:.1f}x",
        _megabytes(row.peak_text_bytes), _megabytes(row.peak_pages_bytes),
        "-" if row.train_ratio is None else f"{row.train_ratio:.1f}x",
    )  # fmt: skip


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:,.0f}"


def _columns(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> "RichTable":
    from rich import box
    from rich.table import Table as RichTable

    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _served(
    model: str,
    base_url: str,
    sizes: tuple[int, ...],
    config: "RenderConfig",
    concurrency: int,
) -> "list[ServedRow]":
    from glyph.errors import ConfigError
    from glyph.evaluate.efficiency.endpoint import measure_endpoint

    if not base_url:
        raise ConfigError("--model is timed behind an endpoint; name it with --base-url.")
    return [
        measure_endpoint(model, base_url, size, config, concurrency=concurrency) for size in sizes
    ]


def _print_served(rows: "list[ServedRow]", as_json: bool) -> None:
    if as_json:
        print_json({"rows": [asdict(row) for row in rows]})
        return
    titles = ("text tokens", "pages", "first token, text s", "first token, pages s", "faster",
              "answers/s, text", "answers/s, pages", "more")  # fmt: skip
    shown = [
        (
            f"{row.text_tokens:,}", str(row.num_pages), f"{row.first_token_text_s:.3f}",
            f"{row.first_token_pages_s:.3f}", f"{row.speedup:.1f}x",
            f"{row.requests_text_per_s:.2f}", f"{row.requests_pages_per_s:.2f}",
            f"{row.throughput_ratio:.1f}x",
        )
        for row in rows
    ]  # fmt: skip
    make_console().print(_columns(titles, shown))
