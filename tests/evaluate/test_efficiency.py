"""The efficiency benchmark: its patches, its cache bytes, its crossover, and what it prints."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from command_line import refusal, values
from glyph.api import make_config
from glyph.evaluate.efficiency.measure import Row, crossover
from glyph.readers.nano.spec import load_spec
from glyph.render import render_pages

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


def test_patches_are_those_of_the_image_processor_of_transformers() -> None:
    from PIL import Image
    from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil

    from glyph.evaluate.efficiency.backbone import patches_of

    (page,) = render_pages("Call me Ishmael. " * 60, make_config())
    processor: Any = Glm4vImageProcessorPil(size={"shortest_edge": 784, "longest_edge": 10**8})
    wanted = processor(Image.fromarray(page.rgb()), return_tensors="np")
    found, grid = patches_of(page)
    assert [1, *grid] == np.asarray(wanted["image_grid_thw"])[0].tolist()
    np.testing.assert_allclose(found, np.asarray(wanted["pixel_values"]), atol=2e-6)


def test_rows_hold_both_ways_of_the_same_text_and_cache_bytes_follow_the_formula() -> None:
    # A quick run would leave out a length on a machine that is busy.
    arguments = ("--backbone", "nano", "--lengths", "128,256", "--repeats", 1, "--no-train")
    printed = values("bench", "efficiency", *arguments)
    spec = load_spec().text
    heads, layers = spec["num_key_value_heads"], spec["num_hidden_layers"]
    head = spec["hidden_size"] // spec["num_attention_heads"]
    for row in printed["rows"]:
        assert row["text_tokens"] > row["visual_tokens"]
        assert row["total_pages_s"] == pytest.approx(
            row["render_s"] + row["preprocess_s"] + row["vision_s"] + row["prefill_pages_s"]
        )
        # Keys and values of every layer and token, in 4 bytes; 32 tokens are the question's.
        a_token = 2 * layers * heads * head * 4
        assert row["kv_text_bytes"] == a_token * (row["text_tokens"] + 32)
        assert row["kv_pages_bytes"] == a_token * (row["visual_tokens"] + 32)
        assert min(row["render_s"], row["prefill_text_s"], row["prefill_pages_s"]) > 0
    assert "nano" in printed["crossover_text_tokens"]


def row(tokens: int, speedup: float) -> Row:
    zeros = (0,) * 21
    return replace(Row("nano", *zeros[:20]), text_tokens=tokens, speedup=speedup)


def test_the_crossover_lies_between_the_lengths_around_it() -> None:
    assert crossover([row(1000, 0.5), row(4000, 1.5)]) == 2000
    assert crossover([row(1000, 1.2), row(4000, 1.5)]) == 1000
    assert crossover([row(1000, 0.5), row(4000, 0.9)]) is None
    # A length that wins once and then loses again is no crossover.
    assert crossover([row(1000, 1.1), row(2000, 0.9), row(4000, 1.5)]) > 2000


def test_mistakes_are_named() -> None:
    assert "unknown backbone 'mini'" in refusal("bench", "efficiency", "--backbone", "mini")
    assert "name it with --base-url" in refusal("bench", "efficiency", "--model", "m")
