"""What a stage will take, before it begins: parameters, tokens, memory, time.

Nothing is loaded: weights are counted on the meta device, tokens on a few samples. Memory and
time are estimates, and say how they were made.
"""

# torch and transformers declare their types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, Glm4vConfig, Glm4vForConditionalGeneration

from glyph.errors import TrainingError
from glyph.text_tokens import count_text_tokens
from glyph.tokens import resolve_model
from glyph.train.config import GrpoConfig, ModelConfig
from glyph.train.samples.sample import Sample
from glyph.train.stages.arguments import LORA_TARGETS
from glyph.train.stages.policy import NANO, model_folder
from glyph.train.stages.run import Job
from glyph.train.stages.supply import supply_of

NUM_PROBES = 8
PROBE_SIDE, PROBE_S = 512, 0.2
STOCK_NAMES = ("GLM-4.1V-9B",)
"""Models whose sizes are the defaults of their class, so that they can be planned for unseen."""

LAYER_BYTES_A_TOKEN = 17
"""Activations of a layer for a token, in values of the hidden size; with checkpointing, 1.
Source: Korthikanti et al. 2022, equation 2, without the attention map, which is never kept."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stage will take.

    Attributes:
        parameters: Weights of the network.
        trainable: Weights that learn.
        steps: Updates.
        samples_a_step: Samples, or responses in GRPO.
        tokens_a_step: Positions computed in an update.
        memory_bytes: Weights, gradients, moments and activations of a device.
        device_flops: Floating-point operations a second, measured here unless given.
        seconds: Of all steps at that rate.
    """

    parameters: int
    trainable: int
    steps: int
    samples_a_step: int
    tokens_a_step: int
    memory_bytes: int
    device_flops: float
    seconds: float


def plan(job: Job, device_flops: float | None = None) -> Plan:
    """Return what a stage will take.

    Args:
        job: What would be done; its output folder is only used for the default texts.
        device_flops: Operations a second of all devices together; measured here by default.

    Raises:
        TrainingError: The sizes of the network are not known.
    """
    settings, model = job.config.stage(job.stage), job.config.model
    config = _network(model, job.start)
    total, trainable = _weights(config, model)
    job.out.mkdir(parents=True, exist_ok=True)
    supply = supply_of(job.config, job.stage, job.sources, job.out, job.seed)
    probes = list(supply.take("train", NUM_PROBES))
    prompts = [_prompt_tokens(sample, job) for sample in probes]
    said = [_text_tokens(sample.completion, job) for sample in probes]
    samples, work = settings.batch, 6
    if isinstance(settings, GrpoConfig):
        samples, said = settings.batch * settings.generations, [settings.max_response_tokens]
        # Writing responses and reading them with the frozen policy are forward passes.
        work = 6 * settings.iterations + 2 + (2 if settings.beta else 0)
    length = sum(prompts) / len(prompts) + sum(said) / len(said)
    tokens = int(length * samples)
    flops = device_flops or _measured_flops()
    return Plan(
        parameters=total,
        trainable=trainable,
        steps=job.num_steps,
        samples_a_step=samples,
        tokens_a_step=tokens,
        memory_bytes=_memory(config, model, total, trainable, int(length) * settings.device_batch),
        device_flops=flops,
        seconds=work * total * tokens * job.num_steps / flops,
    )


def _network(model: ModelConfig, start: Path | None) -> Any:
    folder = start or model_folder(model)
    if isinstance(folder, Path):
        return AutoConfig.from_pretrained(folder)
    if any(name in folder for name in STOCK_NAMES):
        return Glm4vConfig()
    try:
        return AutoConfig.from_pretrained(folder)
    except OSError as error:
        raise TrainingError(
            f"the sizes of '{folder}' are not known here: {error}. Give --start with its folder."
        ) from None


def _weights(config: Any, model: ModelConfig) -> tuple[int, int]:
    with torch.device("meta"):
        network: Any = Glm4vForConditionalGeneration(config)
    seen = {id(weight): (name, weight) for name, weight in network.named_parameters()}
    total = sum(weight.numel() for _, weight in seen.values())
    if model.lora_rank:
        layers = [m for n, m in network.named_modules() if re.fullmatch(LORA_TARGETS, n)]
        return total, sum(model.lora_rank * sum(layer.weight.shape) for layer in layers)
    frozen = () if model.train_vision else ("model.visual",)
    learn = (
        [w.numel() for name, w in seen.values() if not name.startswith(frozen)] if frozen else []
    )
    return total, sum(learn) if frozen else total


def _memory(config: Any, model: ModelConfig, total: int, trainable: int, tokens: int) -> int:
    size = 2 if model.dtype == "bfloat16" else 4
    text = config.text_config
    kept = 1 if model.activation_checkpointing else LAYER_BYTES_A_TOKEN
    activations = tokens * text.num_hidden_layers * text.hidden_size * kept * size
    # A gradient and two moments of every weight that learns.
    return size * total + 3 * size * trainable + activations


def _prompt_tokens(sample: Sample, job: Job) -> int:
    is_text = job.config.model.context == "text"
    context = sample.text_tokens if is_text else sample.visual_tokens
    return context + _text_tokens(sample.prompt, job)


def _text_tokens(text: str, job: Job) -> int:
    if job.config.model.name == NANO:
        return len(re.sub(r"<\|\w+\|>|</?think>", ".", text))
    return count_text_tokens(
        text, resolve_model(job.config.data.get("model", "glm-4.1v")).tokenizer
    )


def _measured_flops() -> float:
    """Return what this machine computes in a second, on a matrix product."""
    side = PROBE_SIDE
    left, right = torch.rand(side, side), torch.rand(side, side)
    count, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < PROBE_S or not count:
        torch.mm(left, right)
        count += 1
    return count * 2 * side**3 / elapsed
