"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

KindName = Literal["prose", "code", "markdown"]

FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="Text, Markdown, source file, PDF, DOCX, PPTX, XLSX, EPUB, or a folder such as a code "
        "base; - is standard input.",
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        "-p",
        metavar="NAME|FILE",
        help="How pages look: a name from 'glyph presets', or a TOML or JSON file. "
        "Default: aligned with the patch grid of the model.",
    ),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", metavar="NAME", help="A model from 'glyph models'; repeat."),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change one field of the preset; repeat."),
]
TokenizerOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Count text tokens with this one. Default: the model's own, or the nearest bundled.",
    ),
]
KindOption = Annotated[
    KindName | None,
    typer.Option("--kind", help="How to treat the text. Default: by the name of the file."),
]
UnwrapOption = Annotated[
    bool | None,
    typer.Option(
        "--unwrap/--no-unwrap",
        help="Join hard-wrapped lines into paragraphs. Default: where the wrapping is evident.",
    ),
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where an openai:MODEL reader is served. Default: OPENAI_BASE_URL, or OpenAI.",
    ),
]
ReadCacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        envvar="GLYPH_CACHE",
        help="Remember pages that nano or ocr have read here, so that the next question about "
        "them costs no reading. Holds what stands on the pages.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print exactly one JSON object on standard output.")
]


def fields_of(settings: list[str] | None) -> dict[str, Any]:
    """Return the fields that `--set` options change."""
    from glyph.config import parse_setting

    return dict(map(parse_setting, settings or []))
