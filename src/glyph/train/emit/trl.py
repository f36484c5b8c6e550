"""Jobs for TRL: one script that trains LoRA adapters on one GPU."""

import json
from typing import Any

from glyph.train.config import GrpoConfig, StageConfig
from glyph.train.emit.job import Job, Order, filled, rewards_json
from glyph.train.emit.swift import MAKE_DATA

VERSION = "1.16.0"
DEFAULT_RANK = 64
LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_up_proj|down_proj)"
REQUIREMENTS = f"""trl=={VERSION}
peft
datasets
torchvision
glyph-context
rapidfuzz
"""
RUN = """#!/usr/bin/env bash
# {title}
set -euo pipefail
cd "$(dirname "$0")"
python3 train.py --data data --out output "$@"
"""
README = """# {title}

Written by `glyph train emit`; nothing here was run on a GPU by the one who wrote it.

1. `pip install -r requirements.txt`
2. `SOURCES=/folder/of/texts ./make_data.sh` writes {num_samples:,} samples into `data`.
3. `./run.sh` trains adapters of rank {rank}; `./run.sh --resume` goes on after the last checkpoint.

A single GPU holds no context of {visual:,} visual tokens with a model of 9B; lower
max_visual_tokens in `config.toml` to what it holds before making samples.
"""


def trl_job(order: Order) -> Job:
    """Return the job of a stage for TRL."""
    settings = trl_settings(order)
    title = f"{order.stage.upper()} of {order.model} by TRL {VERSION}, LoRA on one GPU"
    text = json.dumps(settings, indent=1)
    files = {
        "train.py": filled("trl_script.py.in", TITLE=title, SETTINGS=text),
        "run.sh": RUN.format(title=title),
        "make_data.sh": MAKE_DATA.format(command=order.data_command("parquet")),
        "requirements.txt": REQUIREMENTS,
        "README.md": README.format(
            title=title,
            num_samples=order.num_samples,
            rank=settings["lora"]["r"],
            visual=order.data.max_visual_tokens,
        ),
    }
    return Job(order, files, settings["arguments"])


def trl_settings(order: Order) -> dict[str, Any]:
    """Return everything the script is told: model, adapters, arguments of the trainer, rewards."""
    model = order.config.model
    stage = order.config.stage(order.stage)
    own = _grpo(order.config.grpo) if order.stage == "grpo" else _supervised(stage)
    return {
        "stage": order.stage,
        "model": order.model,
        "dtype": model.dtype,
        "lora": {
            "r": model.lora_rank or DEFAULT_RANK,
            "lora_alpha": model.lora_alpha if model.lora_rank else 2 * DEFAULT_RANK,
            "lora_dropout": model.lora_dropout,
            "target_modules": LORA_TARGETS,
        },
        "arguments": {**_common(stage, model.dtype), **own},
        "rewards": json.loads(rewards_json(order)),
    }


def _common(settings: StageConfig, dtype: str) -> dict[str, Any]:
    return {
        "max_steps": settings.steps,
        "per_device_train_batch_size": 1,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr": settings.min_learning_rate},
        "warmup_steps": settings.warmup_steps,
        "adam_beta1": settings.betas[0],
        "adam_beta2": settings.betas[1],
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "logging_steps": settings.log_every,
        "save_steps": settings.save_every,
        "save_total_limit": settings.keep,
        "bf16": dtype == "bfloat16",
        "gradient_checkpointing": True,
        "remove_unused_columns": False,
        "report_to": "none",
        "seed": 0,
    }


def _supervised(settings: StageConfig) -> dict[str, Any]:
    return {
        "gradient_accumulation_steps": settings.batch,
        "completion_only_loss": True,
        # Cutting a sequence would cut pages.
        "max_length": None,
    }


def _grpo(settings: GrpoConfig) -> dict[str, Any]:
    return {
        "gradient_accumulation_steps": settings.batch * settings.generations,
        "num_generations": settings.generations,
        "num_iterations": settings.iterations,
        "epsilon": settings.epsilon_low,
        "epsilon_high": settings.epsilon_high,
        "beta": settings.beta,
        "loss_type": "dapo",
        "scale_rewards": "group",
        "temperature": settings.temperature,
        "max_completion_length": settings.max_response_tokens,
    }
