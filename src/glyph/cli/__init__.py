"""The command line: every verb is a few lines over `glyph.api`.

    glyph render | measure | ask | probe | presets | models | doctor | demo

Modules of the package are imported when a verb runs, so that `glyph --help` is quick.
"""

import signal
import sys
from importlib import metadata
from typing import Annotated, NoReturn

import typer

from glyph.cli import names, pages, reading
from glyph.cli.console import INTERRUPTED, Verb

TERMINATED = 143
HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="glyph",
    help="Long text as page images: render, price and read a context at a fraction of its tokens.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=HELP,
    epilog="Start with: glyph demo",
)

VERBS = {
    "render": (pages.render, "glyph render book.txt -o pages --model qwen3-vl"),
    "measure": (pages.measure, "glyph measure book.txt -m glm-4.5v -m claude-sonnet-4.6 --fit"),
    "ask": (reading.ask, 'glyph ask notes.md "When does the lease end?" --reader ocr'),
    "probe": (reading.probe, "glyph probe --preset aligned-28 --reader ocr"),
    "presets": (names.presets, "glyph presets --model gemini-3-flash"),
    "models": (names.models, "glyph models qwen"),
    "doctor": (reading.doctor, "glyph doctor --json"),
    "demo": (reading.demo, "glyph demo --out demo"),
}

for _name, (_verb, _example) in VERBS.items():
    app.command(_name, cls=Verb, epilog=f"Example: {_example}", context_settings=HELP)(_verb)


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
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # pyright: ignore[reportUnknownMemberType]
    # Being told to stop must clean up just as Ctrl-C does.
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _stop(_signal: int, _frame: object) -> NoReturn:
    sys.exit(TERMINATED)
