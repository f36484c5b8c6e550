"""The network that a stage trains, with its processor.

Shape key: B samples, L positions.
"""

# torch and transformers declare their types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, Glm4vForConditionalGeneration

from glyph.errors import TrainingError
from glyph.train.config import ModelConfig
from glyph.train.samples.sample import Sample
from glyph.train.stages.processor import PageProcessor, open_processor, user_turn

NANO = "nano"
ARCHITECTURE = "Glm4vForConditionalGeneration"


@dataclass(frozen=True, slots=True)
class Policy:
    """A network and what turns samples into its tensors.

    Attributes:
        model: The network.
        processor: Messages and pages to tensors, tensors to text.
        config: How it was opened.
    """

    model: Any
    processor: PageProcessor
    config: ModelConfig

    def messages(self, sample: Sample) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return the user's turn of a sample and its pages."""
        if self.config.context == "text":
            return user_turn([sample.text_prompt()], []), []
        images = [open_page(png) for png in sample.images]
        return user_turn(sample.parts(), images), images

    @torch.no_grad()
    def respond(
        self, samples: Sequence[Sample], *, max_tokens: int, at_once: int = 32
    ) -> list[str]:
        """Return the greedy responses to samples.

        Args:
            samples: What is asked.
            max_tokens: Longest response.
            at_once: Samples computed together.
        """
        was_training = self.model.training
        self.model.eval()
        said: list[str] = []
        for start in range(0, len(samples), at_once):
            turns = [self.messages(sample)[0] for sample in samples[start : start + at_once]]
            inputs: Any = self.processor.apply_chat_template(
                turns,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
            inputs = inputs.to(self.model.device)
            ids_BL = self.model.generate(**inputs, max_new_tokens=max_tokens, do_sample=False)
            said += self.processor.batch_decode(ids_BL[:, inputs["input_ids"].shape[1] :])
        self.model.train(was_training)
        return said


def open_policy(config: ModelConfig, start: Path | None = None) -> Policy:
    """Return the network of a config, with the weights of a checkpoint where one is given.

    Args:
        config: Names the network.
        start: Model folder to begin from instead.

    Raises:
        TrainingError: The folder holds no model, or one of another architecture or size.
    """
    base = model_folder(config)
    folder = start or base
    if isinstance(folder, Path):
        _check_folder(folder)
    if start is not None:
        _check_shape(start, base)
    dtype = getattr(torch, config.dtype)
    model: Any = Glm4vForConditionalGeneration.from_pretrained(folder, dtype=dtype)
    if not config.train_vision:
        model.model.visual.requires_grad_(False)
    model.config.use_cache = True
    return Policy(model, open_processor(base, is_nano=config.name == NANO), config)


def model_folder(config: ModelConfig) -> Path | str:
    """Return where the network of a config lies: a folder, or a name that transformers knows."""
    if config.name == NANO:
        return Path(str(resources.files("glyph") / "models" / NANO))
    return Path(config.name) if Path(config.name).is_dir() else config.name


def open_page(png: bytes) -> Image.Image:
    """Return a page as the processor takes it."""
    return Image.open(io.BytesIO(png)).convert("RGB")


def _check_folder(folder: Path) -> None:
    try:
        found = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError:
        raise TrainingError(
            f"{folder} holds no model (config.json is missing); give a model folder, such as "
            "OUT/model of an earlier stage."
        ) from None
    except ValueError:
        raise TrainingError(
            f"{folder}/config.json is not JSON; the checkpoint is damaged."
        ) from None
    names = found.get("architectures") or ["none"]
    if ARCHITECTURE not in names:
        raise TrainingError(
            f"{folder} is a checkpoint of another architecture ({', '.join(names)}); the stages "
            f"train {ARCHITECTURE}."
        )


def _check_shape(start: Path, base: Path | str) -> None:
    """Refuse a checkpoint whose sizes are not those of the configured model."""
    given, wanted = AutoConfig.from_pretrained(start), AutoConfig.from_pretrained(base)
    sizes = ("hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads")
    for part in ("text_config", "vision_config"):
        ours, theirs = getattr(wanted, part), getattr(given, part)
        for name in sizes:
            if getattr(ours, name, None) != getattr(theirs, name, None):
                raise TrainingError(
                    f"{start} is a checkpoint of another architecture: {name} of its {part} is "
                    f"{getattr(theirs, name, None)}, [model] name = '{base}' has "
                    f"{getattr(ours, name, None)}. Give a checkpoint of the same model."
                )
