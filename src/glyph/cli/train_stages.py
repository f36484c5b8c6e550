"""The verbs that train in three stages: cpt, sft, grpo."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from glyph.cli.console import Verb, make_console, print_json
from glyph.cli.options import JsonOption

if TYPE_CHECKING:
    from glyph.train.config import Stage
    from glyph.train.stages.plan import Plan
    from glyph.train.stages.run import Job, Outcome

Tracker = Literal["none", "trackio", "wandb", "tensorboard", "mlflow"]
GIB = 2**30

ConfigOption = Annotated[
    str,
    typer.Option("--config", metavar="NAME|FILE", help="nano, nano-smoke, glm-4.1v-9b, or TOML."),
]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")]
DataOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        metavar="PATH",
        help="Samples of 'glyph train data', or texts to make them of; repeat. "
        "Default: Python's own manual.",
    ),
]
StartOption = Annotated[
    Path | None,
    typer.Option(
        "--start", metavar="DIR", help="Model folder to begin from, as DIR/model of a stage."
    ),
]
StepsOption = Annotated[
    int | None,
    typer.Option("--steps", min=1, help="Length of the schedule; default: the config's."),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of samples, order and sampling.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run in DIR.")]
TrackOption = Annotated[
    Tracker, typer.Option("--track", help="Tracker beside DIR/metrics.jsonl; to be installed.")
]
DryOption = Annotated[
    bool, typer.Option("--dry-run", help="Print parameters, tokens, memory and time, and stop.")
]
FlopsOption = Annotated[
    float | None,
    typer.Option(
        "--tflops", help="Of all devices, for --dry-run; default: measured on this machine."
    ),
]


def add_stages(app: typer.Typer) -> None:
    """Add one verb for each stage."""
    stages: dict[Stage, str] = {
        "cpt": "Continual pre-training: transcribe pages, go on with them.",
        "sft": "Supervised fine-tuning: think about pages, then answer.",
        "grpo": "Reinforcement learning: answers in groups, judged against each other.",
    }
    for stage, text in stages.items():
        example = f"glyph train {stage} --config nano --data books --out runs/{stage}"
        if stage != "cpt":
            example += f" --start runs/{'cpt' if stage == 'sft' else 'sft'}/model"
        app.command(stage, cls=Verb, help=_help(text), epilog=f"Example: {example}")(_verb(stage))


def _help(text: str) -> str:
    return (
        f"{text} DIR/model is the trained model; DIR/metrics.jsonl, DIR/panels and checkpoints "
        "grow as it runs. Stopped at any moment, --resume goes on from the last checkpoint."
    )


def _verb(stage: "Stage") -> Callable[..., None]:
    def verb(
        out: OutOption,
        config: ConfigOption = "nano",
        data: DataOption = None,
        start: StartOption = None,
        steps: StepsOption = None,
        seed: SeedOption = 0,
        resume: ResumeOption = False,
        track: TrackOption = "none",
        dry_run: DryOption = False,
        tflops: FlopsOption = None,
        as_json: JsonOption = False,
    ) -> None:
        from glyph.train.config import load_config
        from glyph.train.stages.run import Job

        job = Job(
            stage=stage,
            config=load_config(config),
            out=out,
            sources=tuple(data or ()),
            start=start,
            steps=steps,
            seed=seed,
            resume=resume,
            track=track,
        )
        if dry_run:
            _plan(job, tflops, as_json)
        else:
            _run(job, as_json)

    return verb


def _run(job: "Job", as_json: bool) -> None:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from glyph.train.stages.run import run_stage

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        TextColumn("loss {task.fields[loss]:.4f}"), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=as_json) as bar:
        task = bar.add_task(job.stage, total=job.num_steps, loss=float("nan"))

        def show(step: int, steps: int, loss: float) -> None:
            bar.update(task, completed=step, total=steps, loss=loss)

        outcome = run_stage(job, show)
    if as_json:
        print_json(_values(outcome))
    else:
        make_console().print(
            f"{outcome.steps} steps, loss {outcome.loss_first:.3f} -> {outcome.loss_last:.3f}, "
            f"{outcome.seconds:.0f} s: {outcome.model}"
        )


def _values(outcome: "Outcome") -> dict[str, Any]:
    return {
        "steps": outcome.steps,
        "loss_first": outcome.loss_first,
        "loss_last": outcome.loss_last,
        "checkpoint": str(outcome.model),
        "seconds": outcome.seconds,
    }


def _plan(job: "Job", tflops: float | None, as_json: bool) -> None:
    from glyph.train.stages.plan import plan

    planned = plan(job, None if tflops is None else tflops * 1e12)
    if as_json:
        print_json(dataclasses.asdict(planned))
        return
    for name, value in _rows(planned):
        make_console().print(f"{name:<18}{value}")


def _rows(planned: "Plan") -> list[tuple[str, str]]:
    hours = planned.seconds / 3600
    return [
        ("parameters", f"{planned.parameters:,}"),
        ("that learn", f"{planned.trainable:,}"),
        ("steps", f"{planned.steps:,}"),
        ("samples a step", f"{planned.samples_a_step:,}"),
        ("tokens a step", f"{planned.tokens_a_step:,}"),
        ("memory", f"about {planned.memory_bytes / GIB:,.1f} GiB, unsharded"),
        ("time", f"about {hours:,.1f} h at {planned.device_flops / 1e12:,.3g} TFLOP/s"),
    ]
