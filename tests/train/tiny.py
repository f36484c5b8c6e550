"""Small things that the tests of the stages share."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from transformers import Glm4vForConditionalGeneration

from glyph.readers.nano.spec import load_spec
from glyph.train.config import TrainConfig, load_config
from glyph.train.nano.model import glm4v_config
from glyph.train.samples.build import samples
from glyph.train.samples.config import DataConfig
from glyph.train.samples.sample import Sample
from glyph.train.samples.sources import find_sources

TEXT = (
    "The owl reads by night. Every page is turned with care, and every word is kept. "
    "When the lamp goes out, the reader waits for the moon. "
)


def smoke(**sections: dict[str, Any]) -> TrainConfig:
    """Return the smoke configuration with some values replaced."""
    config = load_config("nano-smoke")
    made: dict[str, Any] = {
        name: dataclasses.replace(getattr(config, name), **values)
        for name, values in sections.items()
    }
    return dataclasses.replace(config, **made)


def made_samples(folder: Path, count: int, **families: float) -> list[Sample]:
    """Return samples of the smallest nano pages."""
    path = folder / "owl.txt"
    path.write_text(TEXT * 40)
    data = DataConfig(
        styles=("A",),
        page_sizes_px=((84, 56),),
        min_visual_tokens=6,
        max_visual_tokens=6,
        max_pages=1,
        max_response_chars=64,
        max_keys=2,
        max_hops=1,
        families=families or {"ocr": 1.0},
        eval_share=0.0,
    )
    return [sample for _, sample in samples(find_sources([path]), data, 0, stop=count)]


def tiny_model(*, tied: bool = True) -> Any:
    """Return a Glm4v of nano's vocabulary, one layer deep and a few numbers wide."""
    spec = load_spec()
    text = {**spec.text, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    text |= {"num_attention_heads": 2, "num_key_value_heads": 2}
    text["rope_parameters"] = {**spec.text["rope_parameters"], "mrope_section": [1, 1, 2]}
    vision = {**spec.vision, "depth": 1, "hidden_size": 24, "num_heads": 2, "out_hidden_size": 32}
    config = glm4v_config(dataclasses.replace(spec, text=text, vision=vision))
    config.tie_word_embeddings = tied
    torch.manual_seed(0)
    return Glm4vForConditionalGeneration(config)
