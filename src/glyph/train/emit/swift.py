"""Jobs for ms-swift: `swift pt`, `swift sft` and `swift rlhf` on one machine of several GPUs.

Source: Glyph (arXiv 2510.17800), sections 3.3 to 3.6 and appendix B, for the numbers; ms-swift
4.6.0 for the flags. Its defaults that differ from the paper's are all written out.
"""

import json
import shlex
from collections.abc import Mapping
from typing import Any, cast

from glyph.errors import ConfigError
from glyph.train.config import GrpoConfig, StageConfig
from glyph.train.emit.job import Job, Order, filled, rewards_json

VERSION = "4.6.0"
VERBS = {"cpt": "pt", "sft": "sft", "grpo": "rlhf"}
LONG_TOKENS = 65_536
RESAMPLES = 3
REQUIREMENTS = f"""# For a machine with CUDA, in an environment of its own: ms-swift pins trl
# below 1 and transformers below 5.20, so it cannot live beside glyph-context[train].
ms-swift=={VERSION}
glyph-context
rapidfuzz
deepspeed
flash-attn
liger-kernel
tensorboard
vllm
"""
ENVIRONMENT = """# Sourced by run.sh.
export NPROC_PER_NODE={num_gpus}
# Pages in the JSON lines are named from the folder they were made in.
export ROOT_IMAGE_DIR="$PWD/data"
# Cross entropy is computed in chunks of so many positions: all logits of a context of 128K tokens
# would take 74 GiB.
export CELOSS_PARALLEL_SIZE=2048
export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
"""
ZERO3 = {
    "bf16": {"enabled": "auto"},
    "fp16": {"enabled": "auto"},
    "zero_optimization": {
        "stage": 3,
        "overlap_comm": True,
        "contiguous_gradients": True,
        "reduce_bucket_size": "auto",
        "stage3_prefetch_bucket_size": "auto",
        "stage3_param_persistence_threshold": "auto",
        "stage3_gather_16bit_weights_on_model_save": True,
    },
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
}
RUN = """#!/usr/bin/env bash
# {title}
set -euo pipefail
cd "$(dirname "$0")"
[ -f data/manifest.json ] || {{ echo "no samples in data: run ./make_data.sh first" >&2; exit 1; }}
source ./environment.sh
{more}
swift {verb} \\
{flags} \\
  "${{held_out[@]}}" "$@"
"""
HELD_OUT = """held_out=()
if compgen -G "data/eval/*.jsonl" > /dev/null; then
  held_out=(--val_dataset data/eval/*.jsonl --eval_strategy steps --eval_steps {every})
fi"""
MAKE_DATA = """#!/usr/bin/env bash
# Samples of the stage; can be stopped and started again. Give folders or files of text:
#   SOURCES=/data/books ./make_data.sh
set -euo pipefail
cd "$(dirname "$0")"
{command}
"""
README = """# {title}

Written by `glyph train emit`; nothing here was run on a GPU by the one who wrote it.

1. An environment of its own: `pip install -r requirements.txt`.
2. Samples: `SOURCES=/folder/of/texts ./make_data.sh` writes {num_samples:,} of them into `data`.
3. Weights: the job begins with `{model}`{before}.
4. `./run.sh` trains; more flags may follow it, such as
   `--resume_from_checkpoint output/checkpoint-200`.

| what | value |
|---|---|
| steps | {steps:,} |
| batch | {batch} |
| longest sequence | {max_tokens:,} tokens, {visual:,} of them visual |
| GPUs | {num_gpus}, sequences split over {parallel} |
| learning rate | {rate:g} to {least:g}, {warmup} steps of warm-up |

Loss counts on responses only. `config.toml` holds all settings; `job.json` what ms-swift is given.
"""


def swift_job(order: Order) -> Job:
    """Return the job of a stage for ms-swift.

    Raises:
        ConfigError: The batch cannot be dealt out to the GPUs.
    """
    flags = swift_flags(order)
    title = f"{order.stage.upper()} of {order.model} by ms-swift {VERSION}"
    settings = order.config.stage(order.stage)
    held_out = HELD_OUT.format(every=settings.save_every)
    if order.stage == "grpo":
        # Held-out prompts would be answered num_generations times each at every evaluation.
        held_out = "held_out=()"
    files = {
        "run.sh": RUN.format(
            title=title, verb=VERBS[order.stage], flags=as_shell(flags), more=held_out
        ),
        "make_data.sh": MAKE_DATA.format(command=order.data_command("ms-swift")),
        "environment.sh": ENVIRONMENT.format(num_gpus=order.num_gpus),
        "zero3.json": json.dumps(ZERO3, indent=1) + "\n",
        "requirements.txt": REQUIREMENTS,
        "README.md": _readme(order, settings, title),
    }
    if order.stage == "grpo":
        files["glyph_reward.py"] = filled("swift_reward.py.in", WEIGHTS=rewards_json(order))
    return Job(order, files, flags)


def swift_flags(order: Order) -> dict[str, Any]:
    """Return the flags of a stage by name; lists are several values of one flag."""
    settings = order.config.stage(order.stage)
    stage_flags = _grpo(order) if order.stage == "grpo" else _supervised(order, settings)
    model = order.config.model
    tuner: dict[str, Any] = {"tuner_type": "full"}
    if model.lora_rank:
        tuner = {
            "tuner_type": "lora",
            "lora_rank": model.lora_rank,
            "lora_alpha": model.lora_alpha,
            "lora_dropout": model.lora_dropout,
            "target_modules": "all-linear",
        }
    return {
        "model": order.model,
        "use_hf": True,
        **tuner,
        "freeze_vit": not model.train_vision,
        "freeze_aligner": not model.train_vision,
        "torch_dtype": model.dtype,
        "attn_impl": "flash_attn",
        "dataset": ["data/train/*.jsonl"],
        "load_from_cache_file": True,
        "strict": True,
        **stage_flags,
        "per_device_train_batch_size": 1,
        "max_steps": settings.steps,
        "learning_rate": settings.learning_rate,
        **_schedule(settings),
        "adam_beta1": settings.betas[0],
        "adam_beta2": settings.betas[1],
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "gradient_checkpointing": model.activation_checkpointing,
        "use_liger_kernel": order.stage != "grpo",
        "deepspeed": "zero3.json",
        "sequence_parallel_size": _parallel(order),
        "padding_free": True,
        "dataloader_num_workers": 4,
        "logging_steps": settings.log_every,
        "save_steps": settings.save_every,
        "save_total_limit": settings.keep,
        "output_dir": "output",
        "add_version": False,
        "report_to": ["tensorboard"],
    }


def as_shell(flags: Mapping[str, Any]) -> str:
    """Return flags as lines of a shell command; patterns of files are left to the shell."""
    lines: list[str] = []
    for name, value in flags.items():
        values = cast("list[Any]", value) if isinstance(value, list) else [value]
        words = " ".join(_word(one) for one in values)
        lines.append(f"  --{name} {words}")
    return " \\\n".join(lines)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if "*" in text else shlex.quote(text)


def _schedule(settings: StageConfig) -> dict[str, Any]:
    warmup = {"warmup_steps": settings.warmup_steps}
    if settings.min_learning_rate == settings.learning_rate:
        return {"lr_scheduler_type": "constant_with_warmup", **warmup}
    if not settings.min_learning_rate:
        return {"lr_scheduler_type": "cosine", **warmup}
    least = json.dumps({"min_lr": settings.min_learning_rate})
    return {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": least, **warmup}


def _parallel(order: Order) -> int:
    """Return over how many GPUs a sequence is split."""
    wanted = 8 if order.max_tokens > LONG_TOKENS else 4
    return next(k for k in (wanted, 4, 2, 1) if k <= wanted and order.num_gpus % k == 0)


def _supervised(order: Order, settings: StageConfig) -> dict[str, Any]:
    # GPUs that share a sequence count as one.
    at_once = order.num_gpus // _parallel(order)
    return {
        # The pre-training verb would count loss on all tokens and drop the chat template.
        "use_chat_template": True,
        "loss_scale": "default",
        "max_length": order.max_tokens,
        "truncation_strategy": "delete",
        "gradient_accumulation_steps": _dealt(settings.batch, at_once, order),
    }


def _grpo(order: Order) -> dict[str, Any]:
    settings: GrpoConfig = order.config.grpo
    responses = settings.batch * settings.generations
    return {
        "rlhf_type": "grpo",
        "external_plugins": ["glyph_reward.py"],
        "reward_funcs": ["glyph"],
        "num_generations": settings.generations,
        # ms-swift multiplies it by the GPUs that share a sequence.
        "gradient_accumulation_steps": _dealt(responses, order.num_gpus, order),
        "num_iterations": settings.iterations,
        "epsilon": settings.epsilon_low,
        "epsilon_high": settings.epsilon_high,
        "beta": settings.beta,
        "loss_type": "dapo",
        "scale_rewards": "group",
        "dynamic_sample": settings.drop_degenerate,
        "max_resample_times": RESAMPLES,
        "temperature": settings.temperature,
        "max_length": order.max_tokens - order.max_response_tokens,
        "truncation_strategy": "delete",
        "max_completion_length": settings.max_response_tokens,
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": 0.4,
        "vllm_max_model_len": order.max_tokens,
        "vllm_limit_mm_per_prompt": json.dumps({"image": order.data.max_pages, "video": 0}),
        "sleep_level": 1,
        "log_completions": True,
    }


def _dealt(batch: int, at_once: int, order: Order) -> int:
    if batch % at_once:
        raise ConfigError(
            f"the batch of {batch} cannot be dealt out to {at_once} sequences at a time on "
            f"{order.num_gpus} GPUs; change the batch in [{order.stage}], or --gpus."
        )
    return batch // at_once


def _readme(order: Order, settings: StageConfig, title: str) -> str:
    before = {"cpt": "", "sft": ", give that of CPT", "grpo": ", give that of SFT"}[order.stage]
    return README.format(
        title=title,
        num_samples=order.num_samples,
        model=order.model,
        before=f"{before} with `glyph train emit --start`" if before and not order.start else "",
        steps=settings.steps,
        batch=settings.batch,
        max_tokens=order.max_tokens,
        visual=order.data.max_visual_tokens,
        num_gpus=order.num_gpus,
        parallel=_parallel(order),
        rate=settings.learning_rate,
        least=settings.min_learning_rate,
        warmup=settings.warmup_steps,
    )
