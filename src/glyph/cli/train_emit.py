"""The verb that writes jobs for training engines."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from glyph.cli.console import make_console, print_json
from glyph.cli.options import JsonOption

EPILOG = "Example: glyph train emit sft --engine ms-swift --config glm-4.1v-9b --out job"


def emit(
    stage: Annotated[Literal["cpt", "sft", "grpo"], typer.Argument(help="Stage of the training.")],
    out: Annotated[Path, typer.Option(help="Folder of the job; an earlier job is replaced.")],
    engine: Annotated[
        Literal["ms-swift", "verl", "trl"],
        typer.Option(help="ms-swift runs all stages, verl grpo, trl all with LoRA on one GPU."),
    ] = "ms-swift",
    config: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Training configuration.")
    ] = "glm-4.1v-9b",
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of the machine.")] = 8,
    start: Annotated[
        str, typer.Option(metavar="PATH|NAME", help="Weights to begin with. Default: the model's.")
    ] = "",
    source: Annotated[
        list[str] | None, typer.Option(help="Texts for the job's data command; repeat.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a complete job: commands, settings, environment, rewards and a data recipe.

    Nothing is trained and no engine is needed; the job runs on a machine with GPUs.
    """
    from glyph.train.config import load_config
    from glyph.train.emit.job import Order, write_job
    from glyph.train.emit.jobs import make_job

    order = Order(stage, engine, config, load_config(config), gpus, start, tuple(source or ()))
    files = write_job(make_job(order), out)
    if as_json:
        print_json(
            {
                "out": str(out),
                "stage": stage,
                "engine": engine,
                "config": config,
                "samples": order.num_samples,
                "max_tokens": order.max_tokens,
                "files": files,
            }
        )
        return
    make_console().print(f"job in {out}: {', '.join(files)}; read README.md there first")
