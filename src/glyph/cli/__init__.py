"""The command line: every verb is a few lines over `glyph.api`.

    glyph render | measure | ask | read | probe | search | eval | bench | presets | models | doctor
    glyph demo | batch | train | serve | mcp

Modules of the package are imported when a verb runs, so that `glyph --help` is quick.
"""

import signal
import sys
from collections.abc import Callable
from importlib import metadata
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from glyph.cli import (
    batch,
    bench,
    demo,
    evaluate,
    mcp,
    names,
    pages,
    reading,
    search,
    serve,
    train,
    train_data,
    train_emit,
    train_stages,
    transcribing,
)
from glyph.cli.console import INTERRUPTED, Verb

TERMINATED = 143
HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="glyph",
    help="Long text as page images: render, price and read a context at a fraction of its tokens.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings=HELP,
    epilog="Start with: glyph demo",
)


def _add(name: str, verb: Callable[..., None], example: str) -> None:
    app.command(name, cls=Verb, epilog=f"Example: {example}", context_settings=HELP)(verb)


_add("render", pages.render, "glyph render book.txt -o pages --model qwen3-vl")
_add("measure", pages.measure, "glyph measure book.txt -m glm-4.5v -m claude-sonnet-4.6 --fit")
_add("ask", reading.ask, 'glyph ask notes.md "When does the lease end?" --reader ocr')
_add("read", transcribing.read, "glyph read book.txt --page 2 --line 7 --reader nano")
_add("probe", reading.probe, "glyph probe --preset aligned-28 --reader ocr")
_add("search", search.search, "glyph search book.txt --reader ocr --budget small --out runs/book")
_add("batch", batch.batch, "glyph batch corpus/ -o shards --model qwen3-vl --engine ray")
_add("presets", names.presets, "glyph presets --model gemini-3-flash")
_add("models", names.models, "glyph models qwen")
_add("doctor", reading.doctor, "glyph doctor --json")
_add("eval", evaluate.evaluate, "glyph eval ruler --reader ocr --lengths 1024 -n 2 -o runs")
_add("demo", demo.demo, "glyph demo --out demo")
train_stages.add_stages(train.app)
app.add_typer(train.app, name="train")
train.app.command("data", cls=Verb, epilog=train_data.EPILOG)(train_data.data)
train.app.command("emit", cls=Verb, epilog=train_emit.EPILOG)(train_emit.emit)
app.add_typer(bench.bench, name="bench")
_add("serve", serve.serve, "glyph serve --upstream http://127.0.0.1:8000 --cache pages")
_add("mcp", mcp.mcp, "glyph mcp handbook.md contract.txt --model claude-sonnet-4.6")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"glyph {metadata.version('glyph-context')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Long text as page images: render, price and read a context at a fraction of its tokens."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # A terminal that cannot show a character shows another one; it does not end the run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    # Being told to stop must clean up just as Ctrl-C does.
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _stop(_signal: int, _frame: object) -> NoReturn:
    sys.exit(TERMINATED)
