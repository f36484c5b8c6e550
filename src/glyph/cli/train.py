"""The verbs that train: the nano reader from scratch; samples and stages are beside it."""

from pathlib import Path
from typing import Annotated

import typer

from glyph.cli.console import Verb, make_console, print_json
from glyph.cli.options import JsonOption

app = typer.Typer(help="Train readers.", no_args_is_help=True)


@app.command(
    cls=Verb, epilog="Example: glyph train nano --hours 2.5 --novels novels --out runs/nano"
)
def nano(
    out: Annotated[Path, typer.Option(help="Folder of the run; a run there is continued.")] = Path(
        "runs/nano"
    ),
    hours: Annotated[
        float, typer.Option(help="Wall time on two cores that the schedules are made for.")
    ] = 2.5,
    novels: Annotated[
        Path | None,
        typer.Option(help="Folder of .txt novels. Default: Python's manual and library alone."),
    ] = None,
    books: Annotated[
        Path | None, typer.Option(help="Folder of held-out .txt books, read while it trains.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, texts and noise.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Train the nano reader from scratch: tower, language model, distillation, joint training.

    The command can be stopped at any moment; the same command again continues.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from glyph.train.nano.recipe import Sources, train_nano

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), disable=as_json) as bar:

        def show(stage: str, step: int, steps: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=steps)
            bar.update(tasks[stage], completed=step)

        folder = train_nano(out, Sources(novels, books), hours=hours, seed=seed, on_progress=show)
    if as_json:
        print_json({"model": str(folder), "hours": hours, "seed": seed})
    else:
        make_console().print(f"trained: {folder}; ask it with --reader nano:{folder}")
