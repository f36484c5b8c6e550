"""The verb that measures speed: bench efficiency."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyph.cli.console import Verb, make_console, print_json, progress_bar, tell
from glyph.cli.options import JsonOption, PresetOption, SettingsOption, fields_of

if TYPE_CHECKING:
    from glyph.config import RenderConfig
    from glyph.evaluate.efficiency.endpoint import ServedRow
    from glyph.evaluate.efficiency.measure import Row

QUICK_LENGTHS, LENGTHS = (1024, 2048, 4096), (4096, 8192, 16384, 32768)
QUICK_BUDGET_S = 45.0
"""A quick run begins no length that would end after this, judged by the one before."""

GROWTH = 3.0
"""A length of twice the tokens takes about so many times as long."""

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
    repeats: Annotated[int, typer.Option(help="Forward passes; the fastest counts.")] = 2,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Take a training step too.")
    ] = True,
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
    training step are measured, and the length from which pages win is printed.
    """
    from glyph.api import make_config
    from glyph.cli.evaluate import numbers_of

    config = make_config(preset, **fields_of(settings))
    asked = tuple(int(each) for each in numbers_of(lengths, "length"))
    sizes = asked or (QUICK_LENGTHS if quick else LENGTHS)
    if model is not None:
        _print_served(_served(model, base_url, sizes, config, concurrency), as_json)
        return
    names = tuple(backbone.split(",")) if backbone else (("nano",) if quick else ("nano", "100m"))
    rows, left_out = _rows(names, sizes, config, repeats, train and not quick, threads, device,
                           QUICK_BUDGET_S if quick else None, as_json)  # fmt: skip
    values = _values(rows, left_out)
    if out is not None:
        import json

        from glyph.evaluate.session import write_aside

        write_aside(out, json.dumps(values, indent=1))
    if as_json:
        print_json(values)
    else:
        _print(rows, values)


def _rows(
    names: tuple[str, ...],
    sizes: tuple[int, ...],
    config: "RenderConfig",
    repeats: int,
    train: bool,
    threads: int,
    device: str,
    budget_s: float | None,
    quiet: bool,
) -> tuple[list["Row"], list[str]]:
    from glyph.evaluate.efficiency.backbone import build, limit_threads
    from glyph.evaluate.efficiency.measure import measure

    began = time.perf_counter()
    limit_threads(threads)
    rows: list[Row] = []
    left_out: list[str] = []
    with progress_bar(len(names) * len(sizes), "measuring", quiet=quiet) as show:
        for name in names:
            network = build(name, device)
            took = 0.0
            for size in sorted(sizes):
                spent = time.perf_counter() - began
                if budget_s is not None and rows and spent + GROWTH * took > budget_s:
                    left_out.append(f"{name} at {size:,} tokens, for lack of time")
                    continue
                start = time.perf_counter()
                rows.append(measure(network, size, config, repeats=repeats, with_training=train))
                took = time.perf_counter() - start
                show(len(rows))
    for each in left_out:
        tell(f"warning: left out: {each}.")
    return rows, left_out


def _values(rows: "list[Row]", left_out: list[str]) -> dict[str, Any]:
    from glyph.evaluate.efficiency.measure import crossover

    names = dict.fromkeys(row.backbone for row in rows)
    return {
        "rows": [asdict(row) for row in rows],
        "crossover_text_tokens": {
            name: crossover([row for row in rows if row.backbone == name]) for name in names
        },
        "left_out": left_out,
    }


def _print(rows: "list[Row]", values: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("backbone", "text", "visual", "render s", "vision s", "prefill text s",
                  "prefill pages s", "prefill", "with all", "decode", "KV", "train"):  # fmt: skip
        table.add_column(title, justify="left" if title == "backbone" else "right")
    for row in rows:
        train = "-" if row.train_ratio is None else f"{row.train_ratio:.1f}x"
        table.add_row(
            row.backbone, f"{row.text_tokens:,}", f"{row.visual_tokens:,}", f"{row.render_s:.4f}",
            f"{row.vision_s:.2f}", f"{row.prefill_text_s:.2f}", f"{row.prefill_pages_s:.2f}",
            f"{row.prefill_ratio:.1f}x", f"{row.speedup:.1f}x", f"{row.decode_ratio:.1f}x",
            f"{row.kv_ratio:.1f}x", train,
        )  # fmt: skip
    console = make_console()
    console.print(table)
    console.print(Text("Ratios: text over pages. 'with all': rendering, preprocessing and vision "
                       "tower are part of the pages' time."))  # fmt: skip
    for name, at in values["crossover_text_tokens"].items():
        said = f"from about {at:,} text tokens on" if at else "at none of these lengths"
        console.print(Text(f"{name}: pages are faster, rendering included, {said}.", style="bold"))


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
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("text tokens", "pages", "first token, text s", "first token, pages s", "faster",
                  "answers/s, text", "answers/s, pages", "more"):  # fmt: skip
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            f"{row.text_tokens:,}", str(row.num_pages), f"{row.first_token_text_s:.3f}",
            f"{row.first_token_pages_s:.3f}", f"{row.speedup:.1f}x",
            f"{row.requests_text_per_s:.2f}", f"{row.requests_pages_per_s:.2f}",
            f"{row.throughput_ratio:.1f}x",
        )  # fmt: skip
    make_console().print(table)
