"""One stage from its config to a trained model.

config ──► policy, samples ──► TRL's trainer ──► checkpoints, metrics, panels ──► model
"""

# torch and transformers declare their types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import logging
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from safetensors import SafetensorError

from glyph.errors import TrainingError
from glyph.train.config import GrpoConfig, SftConfig, Stage, TrainConfig
from glyph.train.stages import folder
from glyph.train.stages.arguments import lora, trainer_arguments
from glyph.train.stages.policy import Policy, open_policy
from glyph.train.stages.rows import to_rows
from glyph.train.stages.scoring import open_scorer
from glyph.train.stages.supply import Supply, supply_of
from glyph.train.stages.teaching import taught
from glyph.train.stages.trainers import GroupTrainer, SupervisedTrainer, checkpoints
from glyph.train.stages.watching import Metrics, OnStep, Panels

PANEL_TOKENS = 256


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done.

    Attributes:
        stage: Which stage.
        config: All settings.
        out: Output folder.
        sources: Texts or made samples; none for Python's own manual.
        start: Model folder to begin from; None for the config's own model.
        steps: Length of the schedule; None for the config's.
        seed: Of samples, data order and sampling.
        resume: Go on with the run in `out`.
        track: Tracker beside the metrics file.
    """

    stage: Stage
    config: TrainConfig
    out: Path
    sources: tuple[Path, ...] = ()
    start: Path | None = None
    steps: int | None = None
    seed: int = 0
    resume: bool = False
    track: str = "none"

    @property
    def num_steps(self) -> int:
        """Length of the schedule."""
        return self.config.stage(self.stage).steps if self.steps is None else self.steps

    @property
    def num_samples(self) -> int:
        """Samples of the schedule; each is used once."""
        return self.num_steps * self.config.stage(self.stage).batch

    def record(self) -> dict[str, Any]:
        """Return what decides the run."""
        return {
            "stage": self.stage,
            "steps": self.num_steps,
            "seed": self.seed,
            "start": str(self.start) if self.start else self.config.model.name,
            "sources": [str(source) for source in self.sources],
            "config": self.config.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a stage ended.

    Attributes:
        steps: Steps done.
        loss_first: Loss of the first logged step.
        loss_last: Mean loss of the last tenth of the logged steps.
        model: Folder of the trained model.
        seconds: Wall time of this run.
    """

    steps: int
    loss_first: float
    loss_last: float
    model: Path
    seconds: float


def run_stage(job: Job, on_step: OnStep | None = None) -> Outcome:
    """Train a stage, or go on with it.

    Args:
        job: What is to be done.
        on_step: Told of every logged step.

    Raises:
        TrainingError: The folder is in use or holds another run, the checkpoint is of another
            architecture, a loss is no number, or a checkpoint cannot be saved.
        ConfigError: Settings contradict each other.
    """
    _quiet()
    with folder.locked(job.out):
        folder.begin(job.out, job.record(), resume=job.resume)
        saved = checkpoints(job.out)
        last = saved[-1] if saved else None
        folder.keep_metrics(job.out, int(last.name.rpartition("-")[2]) if last else 0)
        policy = open_policy(job.config.model, job.start)
        trainer = _trainer(job, policy, on_step)
        try:
            trained = trainer.train(resume_from_checkpoint=str(last) if last else None)
        except SafetensorError as error:
            raise TrainingError(
                f"the checkpoint {last} cannot be read: {error}. Remove it; --resume goes on from "
                "the one before."
            ) from error
        _save_model(trainer, policy, job.out)
        shutil.rmtree(job.out / "rows", ignore_errors=True)
    return _outcome(job.out, trainer.state.global_step, trained.metrics["train_runtime"])


def _trainer(job: Job, policy: Policy, on_step: OnStep | None) -> Any:
    settings = job.config.stage(job.stage)
    supply = supply_of(job.config, job.stage, job.sources, job.out, job.seed)
    rows = to_rows(_training_samples(job, supply, policy), policy, job.stage, job.out / "rows")
    shown = list(supply.take("eval", settings.panels)) if settings.panels else []
    longest = PANEL_TOKENS
    if isinstance(settings, GrpoConfig):
        longest = min(longest, settings.max_response_tokens)
    callbacks = [Metrics(job.out, on_step), Panels(job.out, policy, shown, longest)]
    common: dict[str, Any] = {
        "model": policy.model,
        "args": trainer_arguments(
            job.config, job.stage, job.out, steps=job.num_steps, seed=job.seed, track=job.track
        ),
        "train_dataset": rows,
        "processing_class": policy.processor,
        "peft_config": lora(job.config.model),
        "callbacks": callbacks,
    }
    if isinstance(settings, GrpoConfig):
        scorer = open_scorer(job.config.rewards, [*supply.take("train", job.num_samples)])
        trainer: Any = GroupTrainer(reward_funcs=[scorer], **common)
        trainer.drop_degenerate = settings.drop_degenerate
    else:
        trainer = SupervisedTrainer(**common)
    trainer.keep = settings.keep
    # It prints every step; the caller shows them.
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def _training_samples(job: Job, supply: Supply, policy: Policy) -> Any:
    samples = supply.take("train", job.num_samples)
    settings = job.config.stage(job.stage)
    if isinstance(settings, SftConfig) and settings.teacher:
        return taught(samples, settings, policy, job.config.rewards)
    return samples


def _save_model(trainer: Any, policy: Policy, out: Path) -> None:
    """Write the model folder aside and rename it; adapters are merged into it."""
    aside, model = out / ".model", trainer.model
    shutil.rmtree(aside, ignore_errors=True)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    try:
        model.save_pretrained(aside)
        policy.processor.tokenizer.save_pretrained(aside)
        policy.processor.image_processor.save_pretrained(aside)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise TrainingError(
            f"the model was not saved: {error}. Make room, then go on with --resume."
        ) from error
    shutil.rmtree(out / folder.MODEL, ignore_errors=True)
    aside.replace(out / folder.MODEL)


def _outcome(out: Path, steps: int, seconds: float) -> Outcome:
    losses = [entry["loss"] for entry in folder.read_metrics(out)]
    tail = losses[-max(len(losses) // 10, 1) :]
    return Outcome(steps, losses[0], sum(tail) / len(tail), out / folder.MODEL, seconds)


def _quiet() -> None:
    """Leave the terminal to the progress bar and to errors."""
    transformers.logging.set_verbosity_error()
    # It prints whole rows, pages and all, where a reward is unknown.
    logging.getLogger("trl").setLevel(logging.ERROR)
    transformers.logging.disable_progress_bar()
    import datasets

    datasets.disable_progress_bars()
    warnings.filterwarnings("ignore", module=r"(trl|transformers|torch|accelerate|peft)\b")
