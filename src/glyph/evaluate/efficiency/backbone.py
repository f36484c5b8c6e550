"""One network that takes text tokens and pages: `Glm4v` with random weights.

Cost does not depend on what weights and token ids hold, so random ones will do. Text and pages go
through the same language model; pages go through the vision tower first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float32

from glyph.errors import ConfigError, ReaderError
from glyph.pages import Page
from glyph.readers.nano.spec import load_spec

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
PATCH_PX, MERGE, FRAMES = 14, 2, 2

_SMALL = {
    "text": {
        "vocab_size": 32_768,
        "hidden_size": 640,
        "intermediate_size": 1_920,
        "num_hidden_layers": 12,
        "num_attention_heads": 10,
        "num_key_value_heads": 10,
        "max_position_embeddings": 262_144,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "partial_rotary_factor": 0.5,
            "mrope_section": [4, 6, 6],
        },
    },
    "vision": {
        "depth": 6,
        "hidden_size": 384,
        "num_heads": 6,
        "out_hidden_size": 640,
        "intermediate_size": 1_920,
        "image_size": 336,
        "patch_size": PATCH_PX,
        "spatial_merge_size": MERGE,
    },
}
BACKBONES = ("nano", "100m")


@dataclass(frozen=True)
class Backbone:
    """A network ready to be timed.

    Attributes:
        name: `nano` or `100m`.
        model: The `Glm4vForConditionalGeneration`.
        device: Where it is.
        num_parameters: Of text and vision together.
        vocabulary: Number of token ids.
    """

    name: str
    model: Any
    device: str
    num_parameters: int
    vocabulary: int


def build(name: str, device: str = "cpu", seed: int = 0) -> Backbone:
    """Return a network with random weights.

    Args:
        name: `nano`, the architecture of the bundled reader, or `100m`, about 100 million weights.
        device: `cpu`, or `cuda`, which computes in bfloat16.
        seed: Of the weights.

    Raises:
        ConfigError: The name is not known, or the device is not there.
        ReaderError: torch or transformers is not installed.
    """
    check((name,), 1)
    try:
        torch: Any = import_module("torch")
        transformers: Any = import_module("transformers")
    except ImportError:
        raise _missing() from None
    if device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"device '{device}' is not there: torch finds no GPU; accepted: cpu.")
    spec = load_spec()
    text = dict(spec.text if name == "nano" else _SMALL["text"])
    vision = dict(spec.vision if name == "nano" else _SMALL["vision"])
    text["max_position_embeddings"] = max(text["max_position_embeddings"], 262_144)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.Glm4vConfig(
        text_config={**text, **ids},
        vision_config=vision,
        image_token_id=spec.special("IMAGE"),
        image_start_token_id=spec.special("BOI"),
        image_end_token_id=spec.special("EOI"),
        video_token_id=spec.special("VIDEO"),
        video_start_token_id=spec.special("BOV"),
        video_end_token_id=spec.special("EOV"),
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = transformers.Glm4vForConditionalGeneration(config).eval()
    if device != "cpu":
        model = model.to(device, torch.bfloat16)
    number = sum(each.numel() for each in model.parameters())
    return Backbone(name, model, device, number, int(text["vocab_size"]))


def _missing() -> ReaderError:
    return ReaderError(
        "the efficiency benchmark needs torch and transformers; install them with: "
        "pip install 'glyph-context[train]'"
    )


def patches_of(page: Page) -> tuple[Float32[np.ndarray, "P D"], tuple[int, int]]:
    """Return the patches of a page as the vision tower takes them, and their rows and columns.

    The four patches of a visual token follow each other. A page on the grid is not resampled; one
    that is not is filled up with its last rows and columns.

    Returns:
        One row a patch, colours by frames by pixels; and the grid, in patches.

    Source:
        `Glm4vImageProcessor` of transformers, whose values these are; a test compares them.
    """
    cell = PATCH_PX * MERGE
    rgb_HW3 = page.rgb()
    height, width = (-(-side // cell) * cell for side in rgb_HW3.shape[:2])
    pad = ((0, height - rgb_HW3.shape[0]), (0, width - rgb_HW3.shape[1]), (0, 0))
    image_HW3 = np.pad(rgb_HW3, pad, mode="edge").astype(np.float32) / np.float32(255)
    image_HW3 = (image_HW3 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    rows, columns = height // PATCH_PX, width // PATCH_PX
    split = image_HW3.reshape(rows // MERGE, MERGE, PATCH_PX, columns // MERGE, MERGE, PATCH_PX, 3)
    ordered = split.transpose(0, 3, 1, 4, 6, 2, 5).reshape(rows * columns, 3, 1, PATCH_PX, PATCH_PX)
    # A still picture fills both frames of a patch.
    doubled = np.broadcast_to(ordered, (rows * columns, 3, FRAMES, PATCH_PX, PATCH_PX))
    return np.ascontiguousarray(doubled).reshape(rows * columns, -1), (rows, columns)


def check(names: Sequence[str], threads: int) -> None:
    """Refuse names and numbers that are not accepted, before anything is loaded.

    Raises:
        ConfigError: A backbone is not known, or there are fewer threads than 1.
    """
    for name in names:
        if name not in BACKBONES:
            raise ConfigError(f"unknown backbone '{name}'; accepted: {', '.join(BACKBONES)}.")
    if threads < 1:
        raise ConfigError(f"threads is {threads}; at least 1 is accepted.")


def limit_threads(number: int) -> None:
    """Let torch compute with so many threads of the CPU.

    Raises:
        ReaderError: torch is not installed.
    """
    try:
        import_module("torch").set_num_threads(number)
    except ImportError:
        raise _missing() from None
