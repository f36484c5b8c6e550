"""What the command line says, and where: results on stdout, everything else on stderr.

With `--json` stdout holds exactly one JSON object, also when the verb fails.
"""

import json
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import typer
from typer.core import TyperCommand

from glyph.errors import GlyphError

if TYPE_CHECKING:
    from rich.console import Console

FAILED, INTERRUPTED = 1, 130
WIDTH_WITHOUT_TERMINAL = 120


class Verb(TyperCommand):
    """A command whose expected errors are one line on stderr and an exit code."""

    def invoke(self, ctx: typer.Context) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run the verb; errors that are not ours pass through, with their traceback."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except GlyphError as error:
            tell(f"error: {error}")
            if ctx.params.get("as_json"):
                print_json({"error": str(error), "kind": type(error).__name__})
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            tell("interrupted; nothing half-written is left.")
            raise typer.Exit(INTERRUPTED) from None


def tell(message: str) -> None:
    """Print one line on stderr."""
    typer.echo(" ".join(message.splitlines()), err=True)


def print_json(values: dict[str, Any]) -> None:
    """Print one JSON object on stdout, in ASCII, which every terminal and pipe carries."""
    typer.echo(json.dumps(values, indent=2))


def make_console() -> "Console":
    """Return the console for results; without a terminal, tables are not squeezed to 80 columns."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(width=width, highlight=False, soft_wrap=False)


@contextmanager
def progress_bar(total: int, label: str, *, quiet: bool) -> Generator[Callable[[float], None]]:
    """Give a function that shows how much of `total` is done, on stderr and on terminals only.

    Args:
        total: Units of work, such as characters.
        label: What is being done.
        quiet: Show nothing, whatever the terminal.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.update(task, completed=done)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    tell(f"warning: {message}")
