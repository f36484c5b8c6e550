"""Jobs for verl: GRPO by its PPO trainer, rollouts by vLLM, on one machine of several GPUs.

Source: Glyph (arXiv 2510.17800), section 3.6 and appendix B, for the numbers; verl 0.9.1 for the
keys.
"""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from glyph.train.config import GrpoConfig
from glyph.train.emit.job import Job, Order, filled, rewards_json
from glyph.train.emit.swift import MAKE_DATA

VERSION = "0.9.1"
FILL_BATCHES = 4
REQUIREMENTS = f"""# For a machine with CUDA, in an environment of its own: verl pins
# transformers below 5.11, so it cannot live beside glyph-context[train].
verl[vllm]=={VERSION}
glyph-context
rapidfuzz
flash-attn
"""
RUN = """#!/usr/bin/env bash
# {title}
set -euo pipefail
cd "$(dirname "$0")"
[ -f data/manifest.json ] || {{ echo "no samples in data: run ./make_data.sh first" >&2; exit 1; }}
files() {{ local IFS=,; echo "[$*]"; }}
python3 -m verl.trainer.main_ppo \\
  data.train_files="$(files data/train/*.parquet)" \\
  data.val_files="$(files data/eval/*.parquet)" \\
{overrides} \\
  "$@"
"""
README = """# {title}

Written by `glyph train emit`; nothing here was run on a GPU by the one who wrote it.

1. An environment of its own: `pip install -r requirements.txt`.
2. Samples: `SOURCES=/folder/of/texts ./make_data.sh` writes {num_samples:,} of them into `data`.
3. Weights: the job begins with `{model}`; give those of SFT with `glyph train emit --start`.
4. `./run.sh` trains; more keys may follow it. It goes on after its last checkpoint by itself.
"""


def verl_job(order: Order) -> Job:
    """Return the job of GRPO for verl."""
    overrides = verl_overrides(order)
    title = f"GRPO of {order.model} by verl {VERSION}"
    files = {
        "run.sh": RUN.format(title=title, overrides=_as_shell(overrides)),
        "make_data.sh": MAKE_DATA.format(command=order.data_command("verl")),
        "glyph_reward.py": filled("verl_reward.py.in", WEIGHTS=rewards_json(order)),
        "requirements.txt": REQUIREMENTS,
        "README.md": README.format(title=title, num_samples=order.num_samples, model=order.model),
    }
    return Job(order, files, overrides)


def verl_overrides(order: Order) -> dict[str, Any]:
    """Return the keys of verl's configuration that the job sets."""
    settings: GrpoConfig = order.config.grpo
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    prompt_tokens = order.max_tokens - order.max_response_tokens
    parallel = next(k for k in (4, 2, 1) if order.num_gpus % k == 0)
    return {
        "algorithm.adv_estimator": "grpo",
        "algorithm.filter_groups.enable": settings.drop_degenerate,
        "algorithm.filter_groups.max_num_gen_batches": FILL_BATCHES,
        "algorithm.use_kl_in_reward": False,
        "data.train_batch_size": settings.batch,
        "data.max_prompt_length": prompt_tokens,
        "data.max_response_length": order.max_response_tokens,
        "data.filter_overlong_prompts": False,
        "data.truncation": "error",
        "data.seed": 0,
        "actor_rollout_ref.model.path": order.model,
        "actor_rollout_ref.model.enable_gradient_checkpointing": True,
        "actor_rollout_ref.model.use_remove_padding": True,
        "actor_rollout_ref.model.lora_rank": order.config.model.lora_rank,
        "actor_rollout_ref.model.lora_alpha": order.config.model.lora_alpha,
        f"{actor}.freeze_vision_tower": not order.config.model.train_vision,
        f"{actor}.optim.lr": settings.learning_rate,
        f"{actor}.optim.lr_scheduler_type": "constant",
        f"{actor}.optim.lr_warmup_steps": settings.warmup_steps,
        f"{actor}.optim.betas": list(settings.betas),
        f"{actor}.optim.weight_decay": settings.weight_decay,
        f"{actor}.grad_clip": settings.max_grad_norm,
        f"{actor}.ppo_epochs": settings.iterations,
        f"{actor}.ppo_mini_batch_size": settings.batch,
        f"{actor}.use_dynamic_bsz": True,
        f"{actor}.ppo_max_token_len_per_gpu": order.max_tokens,
        f"{actor}.ulysses_sequence_parallel_size": parallel,
        f"{actor}.clip_ratio_low": settings.epsilon_low,
        f"{actor}.clip_ratio_high": settings.epsilon_high,
        f"{actor}.loss_agg_mode": "token-mean",
        f"{actor}.use_kl_loss": settings.beta > 0,
        f"{actor}.kl_loss_coef": settings.beta,
        f"{actor}.kl_loss_type": "low_var_kl",
        f"{actor}.entropy_from_logits_with_chunking": True,
        f"{rollout}.name": "vllm",
        f"{rollout}.n": settings.generations,
        f"{rollout}.temperature": settings.temperature,
        f"{rollout}.tensor_model_parallel_size": 1,
        f"{rollout}.gpu_memory_utilization": 0.5,
        f"{rollout}.max_model_len": order.max_tokens,
        f"{rollout}.max_num_batched_tokens": order.max_tokens,
        "reward.custom_reward_function.path": "glyph_reward.py",
        "trainer.n_gpus_per_node": order.num_gpus,
        "trainer.total_training_steps": settings.steps,
        "trainer.save_freq": settings.save_every,
        "trainer.max_actor_ckpt_to_keep": settings.keep,
        "trainer.val_before_train": False,
        "trainer.logger": ["console", "tensorboard"],
        "trainer.project_name": "glyph",
        "trainer.experiment_name": "grpo",
        "trainer.default_local_dir": "output",
    }


def _as_shell(overrides: Mapping[str, Any]) -> str:
    lines = [f"  {shlex.quote(f'{key}={_value(value)}')}" for key, value in overrides.items()]
    return " \\\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, list):
        return json.dumps(value).replace('"', "").replace(" ", "")
    return f"{value:g}" if isinstance(value, float) else str(value)
