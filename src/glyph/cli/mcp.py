"""The verb `mcp`: the pages of files, and their text, as tools for a client with its own loop."""

from pathlib import Path
from typing import Annotated

import typer

from glyph.cli.options import PresetOption
from glyph.errors import ConfigError

INSTALL = 'pip install "glyph-context[serve]"'


def mcp(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Texts, Markdown or source files.")
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="Fit the pages to a model's grid."),
    ] = None,
    preset: PresetOption = None,
) -> None:
    """Serve files over the Model Context Protocol on standard input and output.

    Tools: show_page (an image), read_page (its exact text), search_pages. Nothing but the files
    named can be read.
    """
    try:
        from glyph.serve.mcp_server import make_server, open_library
    except ImportError as error:
        raise ConfigError(f"this needs package '{error.name}'; run: {INSTALL}") from None
    make_server(open_library(files, model=model, preset=preset)).run()
