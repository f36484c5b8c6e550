"""The network of the stages sees and says what the nano reader does."""

from pathlib import Path

import numpy as np
import pytest
import tiny

from glyph.readers.nano.prompts import key_prompt
from glyph.readers.nano.spec import load_spec
from glyph.train.config import ModelConfig
from glyph.train.nano.vision import pixel_values
from glyph.train.stages.plan import plan
from glyph.train.stages.policy import Policy, open_page, open_policy
from glyph.train.stages.run import Job


@pytest.fixture(scope="module")
def policy() -> Policy:
    return open_policy(ModelConfig())


def test_a_prompt_is_the_page_and_the_ids_of_the_reader(policy: Policy, tmp_path: Path):
    sample = tiny.made_samples(tmp_path, 1, **{"key-value": 1.0})[0]
    turn, images = policy.messages(sample)
    made = policy.processor.apply_chat_template(
        [turn], tokenize=True, return_dict=True, return_tensors="pt"
    )
    special = load_spec().special
    page = [special("BOI"), *[special("IMAGE")] * sample.visual_tokens, special("EOI")]
    ids = made["input_ids"][0].tolist()
    assert ids[: len(page)] == page
    key = sample.source.partition(":")[0].splitlines()[-1]
    bare, worded = key_prompt(key).ids, key_prompt(key, in_words=True).ids
    assert tuple(ids[len(page) :]) in (bare, worded) or len(sample.source.split(":")) > 2
    plane = np.asarray(images[0].convert("L"))
    np.testing.assert_allclose(made["pixel_values"], pixel_values(plane[None]), atol=1e-6)


def test_thoughts_begin_where_to_answer_and_one_word_ends_them(policy: Policy):
    processor = policy.processor
    text = "<think>owl: 7</think>7"
    ids = processor(text=[text], return_tensors="pt")["input_ids"][0]
    assert len(ids) == len("owl: 7") + 1 + 1
    assert processor.batch_decode([ids]) == [text]
    plain = processor(text=["owl: 7"], return_tensors="pt")["input_ids"][0]
    assert (ids[: len(plain)] == plain).all()
    assert processor.batch_decode([plain]) == ["owl: 7"]


def test_the_shipped_network_looks_keys_up(policy: Policy, tmp_path: Path):
    samples = tiny.made_samples(tmp_path, 8, **{"key-value": 1.0})
    said = policy.respond(samples, max_tokens=24)
    assert sum(s.answers[0] in one for s, one in zip(samples, said, strict=True)) >= 7
    assert all(open_page(s.images[0]).size == (84, 56) for s in samples)


def test_a_plan_counts_weights_and_tokens(tmp_path: Path):
    frozen = tiny.smoke(model={"train_vision": False})
    whole, part = (
        plan(Job(stage="sft", config=config, out=tmp_path, steps=10), device_flops=1e9)
        for config in (tiny.smoke(), frozen)
    )
    assert whole.parameters == whole.trainable == part.parameters == 6_150_208
    assert 0 < part.trainable < whole.trainable
    assert part.memory_bytes < whole.memory_bytes
    expected = 6 * whole.parameters * whole.tokens_a_step * 10 / 1e9
    assert whole.seconds == pytest.approx(expected)


def test_the_9b_model_is_planned_unseen():
    from glyph.train.config import load_config
    from glyph.train.stages.plan import _network, _weights

    model = load_config("glm-4.1v-9b").model
    total, trainable = _weights(_network(model, None), model)
    assert 10.2e9 < total < 10.4e9 and trainable == total
