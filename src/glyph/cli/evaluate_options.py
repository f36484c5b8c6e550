"""The options of the verb eval, declared apart from what it does."""

from pathlib import Path
from typing import Annotated

import typer

TaskArgument = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="ruler, needle, mrcr, ocr, books, longbench, longbench-v2 or mmlongbench.",
    ),
]
SubsetOption = Annotated[
    str, typer.Option(metavar="A,B", help="Subsets of the task. Default: all.")
]
LengthsOption = Annotated[
    str, typer.Option(metavar="N,M", help="Lengths in text tokens, such as 1024,4096.")
]
NumExamplesOption = Annotated[
    int | None,
    typer.Option("--num-examples", "-n", help="Examples of each subset and length."),
]
DataOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="PATH", help="File or folder of the task's data; repeat."),
]
ReaderOption = Annotated[
    str,
    typer.Option(
        "--reader",
        "-r",
        metavar="NAME",
        help="ocr, nano, openai:MODEL, or to check a task: oracle, blank.",
    ),
]
BaselineOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Show this in place of the pages: full-text, truncate, bm25, blank, shuffled; repeat. "
        "With 'pages' among them, the pages too.",
    ),
]
WithBaselinesOption = Annotated[
    bool, typer.Option("--with-baselines", help="Run the pages and every baseline beside them.")
]
DpiOption = Annotated[
    str, typer.Option(metavar="N,M", help="Run at these resolutions, such as 72,96,120.")
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", help="Count this model's visual tokens."),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(help="Examples at the same time. Default: 8 for openai, 1 for others."),
]
RetriesOption = Annotated[int, typer.Option(help="Times to ask again after a passing failure.")]
TimeoutOption = Annotated[
    float, typer.Option(metavar="SECONDS", help="Longest silence of an endpoint.")
]
PriceInputOption = Annotated[
    float | None,
    typer.Option(metavar="USD", min=0, help="US dollars for a million tokens in."),
]
PriceOutputOption = Annotated[
    float | None,
    typer.Option(metavar="USD", min=0, help="US dollars for a million tokens out."),
]
JudgeOption = Annotated[
    str | None,
    typer.Option(
        metavar="openai:MODEL",
        help="Cuts short answers out of responses, for mmlongbench. Default: by rule.",
    ),
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Fail on a bad data record.")]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of answers and reports.")
]
SeedOption = Annotated[int, typer.Option(help="Of everything that is drawn.")]
