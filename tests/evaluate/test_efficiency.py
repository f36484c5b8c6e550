"""The efficiency benchmark: its patches, its cache bytes, its crossover, and what it prints."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import serving

from command_line import refusal, run, values
from glyph.api import make_config
from glyph.evaluate.efficiency.measure import Row, crossover
from glyph.evaluate.efficiency.sides import _Memory
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


def bench(*arguments: object) -> tuple[dict[str, Any], str]:
    """Return what a run on the nano backbone printed, and what it told."""
    fixed = ("--backbone", "nano", "--repeats", 1, "--json")
    result = run("bench", "efficiency", *fixed, *arguments)
    return json.loads(result.stdout), result.stderr


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """Measure two lengths, the shorter with a training step."""
    out = tmp_path_factory.mktemp("bench") / "rows.json"
    printed, told = bench("--lengths", "256,128", "--train-up-to", 128, "--out", out)
    return printed, told, out


Measured = tuple[dict[str, Any], str, Path]


def test_rows_hold_both_ways_of_the_same_text_and_cache_bytes_follow_the_formula(
    measured: Measured,
) -> None:
    printed, _, _ = measured
    spec = load_spec().text
    heads, layers = spec["num_key_value_heads"], spec["num_hidden_layers"]
    head = spec["hidden_size"] // spec["num_attention_heads"]
    assert [row["asked_tokens"] for row in printed["rows"]] == [128, 256]
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
        assert row["decode_ratio"] > 0
    assert "nano" in printed["crossover_text_tokens"]


def test_a_training_step_is_taken_up_to_its_limit_and_the_rest_is_named(measured: Measured) -> None:
    printed, told, _ = measured
    short, long = printed["rows"]
    assert short["train_ratio"] == pytest.approx(short["train_text_s"] / short["train_pages_s"])
    assert long["train_ratio"] is None
    (sentence,) = printed["left_out"]
    assert sentence == "training step of nano at 256 tokens: --train-up-to is 128"
    assert sentence in told


def test_rows_of_a_file_are_not_measured_again_and_other_settings_are_refused(
    measured: Measured,
) -> None:
    printed, _, out = measured
    again, _ = bench("--lengths", "128,256", "--train-up-to", 128, "--out", out)
    assert again["rows"] == printed["rows"]
    refused, told = bench("--lengths", "128", "--threads", 2, "--out", out)
    assert "rows" not in refused
    assert "holds rows of other settings" in told


def test_what_takes_too_long_is_given_up_and_said() -> None:
    printed, told = bench("--lengths", "128,256", "--max-seconds", 0.001)
    assert printed["rows"] == []
    assert printed["left_out"] == [
        "nano at 128 tokens: as pages, it took more than 0 s (--max-seconds)",
        "nano at 256 tokens: a shorter one took too long",
    ]
    assert all(sentence in told for sentence in printed["left_out"])


# In a process of its own, as it is used: one that ran other tests has memory to give again.
GROWTH = """
import numpy as np
from glyph.evaluate.efficiency.sides import _Memory
before = _Memory("cpu")
held = np.ones(40_000_000, np.uint8)
print(before.above(), _Memory("cpu").above(), held.sum())
"""


def test_memory_is_counted_from_the_loaded_network_on() -> None:
    if _Memory("cpu").above() is None:
        pytest.skip("this system does not tell")
    said = subprocess.run(
        [sys.executable, "-c", GROWTH], check=True, capture_output=True, text=True
    )
    grown, after, held = map(int, said.stdout.split())
    assert held == 40_000_000
    assert 30_000_000 < grown < 80_000_000
    assert after < 20_000_000


def row(tokens: int, speedup: float) -> Row:
    numbers = dict.fromkeys((each.name for each in fields(Row) if each.name != "backbone"), 0)
    return Row("nano", **{**numbers, "text_tokens": tokens, "speedup": speedup})


def test_the_crossover_lies_between_the_lengths_around_it() -> None:
    assert crossover([row(1000, 0.5), row(4000, 1.5)]) == 2000
    assert crossover([row(1000, 1.2), row(4000, 1.5)]) == 1000
    assert crossover([row(1000, 0.5), row(4000, 0.9)]) is None
    # A length that wins once and then loses again is no crossover.
    assert crossover([row(1000, 1.1), row(2000, 0.9), row(4000, 1.5)]) > 2000


def test_a_served_model_is_asked_for_text_and_pages_of_the_same_contexts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    arguments = ("bench", "efficiency", "--model", "m", "--lengths", 256, "--concurrency", 2)
    with serving(delay_s=0.05) as server:
        printed = values(*arguments, "--base-url", server.url)
        assert server.asked.total() == 16
    (row,) = printed["rows"]
    assert row["num_pages"] == 1
    assert min(row["first_token_text_s"], row["first_token_pages_s"]) > 0.05
    assert row["speedup"] == pytest.approx(row["first_token_text_s"] / row["first_token_pages_s"])
    # Two at a time take at least four turns of 0.05 s for eight.
    assert 0 < row["requests_pages_per_s"] < 8 / 0.2


def test_mistakes_are_named() -> None:
    assert "unknown backbone 'mini'" in refusal("bench", "efficiency", "--backbone", "mini")
    arguments = ("bench", "efficiency", "--backbone", "nano", "--lengths", 64)
    assert "threads is 0; at least 1" in refusal(*arguments, "--threads", 0)
    assert "torch finds no GPU; accepted: cpu" in refusal(*arguments, "--device", "cuda")
    assert "name it with --base-url" in refusal("bench", "efficiency", "--model", "m")
