"""Our settings as TRL's arguments."""

# TRL declares its types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from pathlib import Path
from typing import Any

from peft import LoraConfig
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.sft_config import SFTConfig

from glyph.errors import ConfigError
from glyph.train.config import GrpoConfig, ModelConfig, Stage, StageConfig, TrainConfig

LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_up_proj|down_proj)"
TRACKERS = ("trackio", "wandb", "tensorboard", "mlflow", "none")


def trainer_arguments(
    config: TrainConfig, stage: Stage, out: Path, *, steps: int, seed: int, track: str
) -> Any:
    """Return the arguments of a stage's trainer.

    Args:
        config: All settings.
        stage: Which stage.
        out: Output folder.
        steps: Length of the schedule.
        seed: Of data order, dropout and sampling.
        track: Tracker beside the metrics file.
    """
    common = _common(config.model, config.stage(stage), out, steps, seed, track)
    if stage == "grpo":
        return GRPOConfig(**common, **_grpo(config.grpo))
    accumulate = accumulation(config.stage(stage))
    return SFTConfig(
        **common,
        gradient_accumulation_steps=accumulate,
        max_length=None,
        completion_only_loss=True,
    )


def accumulation(settings: StageConfig) -> int:
    """Return how many device batches make an update.

    Raises:
        ConfigError: The batch is no multiple of the device batch.
    """
    size = settings.batch
    if isinstance(settings, GrpoConfig):
        size *= settings.generations
    if size % settings.device_batch:
        raise ConfigError(
            f"device_batch is {settings.device_batch}; give a divisor of the {size} samples of "
            "an update."
        )
    return size // settings.device_batch


def lora(model: ModelConfig) -> Any:
    """Return the adapters of a model, or None where all weights are trained."""
    if not model.lora_rank:
        return None
    return LoraConfig(
        r=model.lora_rank,
        lora_alpha=model.lora_alpha,
        lora_dropout=model.lora_dropout,
        target_modules=LORA_TARGETS,
        task_type="CAUSAL_LM",
    )


def _common(
    model: ModelConfig, settings: StageConfig, out: Path, steps: int, seed: int, track: str
) -> dict[str, Any]:
    if track not in TRACKERS:
        raise ConfigError(f"unknown tracker '{track}'; trackers: {', '.join(TRACKERS)}.")
    warmup = min(settings.warmup_steps, steps - 1)
    return {
        "output_dir": str(out),
        "max_steps": steps,
        "per_device_train_batch_size": settings.device_batch,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr": settings.min_learning_rate},
        "warmup_steps": warmup,
        "adam_beta1": settings.betas[0],
        "adam_beta2": settings.betas[1],
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "logging_steps": settings.log_every,
        "logging_nan_inf_filter": False,
        "save_steps": settings.save_every,
        "save_strategy": "steps",
        "bf16": model.dtype == "bfloat16",
        "gradient_checkpointing": model.activation_checkpointing,
        "remove_unused_columns": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "report_to": track,
        "disable_tqdm": True,
        "seed": seed,
        "data_seed": seed,
    }


def _grpo(settings: GrpoConfig) -> dict[str, Any]:
    return {
        "gradient_accumulation_steps": accumulation(settings),
        "num_generations": settings.generations,
        "num_iterations": settings.iterations,
        "epsilon": settings.epsilon_low,
        "epsilon_high": settings.epsilon_high,
        "beta": settings.beta,
        "use_bias_correction_kl": True,
        "temperature": settings.temperature,
        "max_completion_length": settings.max_response_tokens,
        "loss_type": "dapo",
        "scale_rewards": "group",
        "multi_objective_aggregation": "sum_then_normalize",
        "use_vllm": False,
    }
