"""The verb that reads aloud: read."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyph.cli.console import print_json
from glyph.cli.options import BaseUrlOption, JsonOption, PresetOption, SettingsOption, fields_of
from glyph.cli.reading import ReaderOption, open_named

if TYPE_CHECKING:
    from glyph.readers import ReadLine


def read(
    file: Annotated[
        str, typer.Argument(metavar="FILE|PNG", help="A text, which is rendered, or a page image.")
    ],
    page: Annotated[int, typer.Option(min=1, help="Number of the page, from 1.")] = 1,
    line: Annotated[
        int | None, typer.Option(min=1, help="Number of one line, from 1. Default: the page.")
    ] = None,
    reader: ReaderOption = None,
    base_url: BaseUrlOption = None,
    preset: PresetOption = None,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a reader read a page aloud, or one line of it, from the pixels alone.

    Reader nano counts blank lines, others the lines they find.
    """
    from glyph.aloud import read as read_aloud
    from glyph.asking import default_reader

    begin = time.perf_counter()
    fields = fields_of(settings)
    name = reader or default_reader(preset=preset, is_changed=bool(fields))
    opened = open_named(name, base_url, lambda done, total: None)
    transcript = read_aloud(
        file,
        page=page,
        line=line,
        reader=opened,
        preset=preset,
        **fields,
    )
    if as_json:
        print_json(
            {
                "text": transcript.text,
                "page": page,
                "line": line,
                "lines": [_line_values(each) for each in transcript.lines],
                "reader": opened.name,
                "seconds": time.perf_counter() - begin,
            }
        )
    else:
        typer.echo(transcript.text)


def _line_values(line: "ReadLine") -> dict[str, Any]:
    return {
        "text": line.text,
        "box": asdict(line.box) if line.box else None,
        "confidence": line.confidence,
    }
