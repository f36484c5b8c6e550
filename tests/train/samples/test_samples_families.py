"""Families: answers follow from the pages, budgets hold, a sample depends on its number only."""

import io
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tokenizers import Tokenizer

from glyph.encode import encode_png
from glyph.errors import ConfigError, TrainingError
from glyph.readers.nano.prompts import Prompt, key_prompt, line_prompt, quote_prompt, read_prompt
from glyph.readers.nano.reader import packaged_model
from glyph.readers.nano.spec import load_spec
from glyph.render import render_pages
from glyph.tokens import image_cost
from glyph.train.samples import wording
from glyph.train.samples.build import SampleMaker, samples
from glyph.train.samples.config import FAMILIES, DataConfig
from glyph.train.samples.sample import IMAGE_MARK, SPAN_MARK, Sample
from glyph.train.samples.sources import Sources

NANO = {"styles": ("A",), "min_visual_tokens": 192, "max_visual_tokens": 192, "max_pages": 1}


def config(*families: str, **fields: object) -> DataConfig:
    values = {"presets": ("glyph-en-72",), "max_visual_tokens": 3000, "random_share": 0.0}
    return DataConfig(families=dict.fromkeys(families, 1.0), **{**values, **fields})  # type: ignore[arg-type]


def nano(*families: str, **fields: object) -> DataConfig:
    values = {**NANO, "random_share": 0.0, "max_response_chars": 4000, **fields}
    return DataConfig(families=dict.fromkeys(families, 1.0), **values)  # type: ignore[arg-type]


def made(sources: Sources, data: DataConfig, number: int, seed: int = 0) -> list[Sample]:
    return [sample for _, sample in samples(sources, data, seed, stop=number)]


def final(sample: Sample) -> str:
    return re.sub(r"\A<think>.*?</think>", "", sample.completion, flags=re.DOTALL)


def thoughts(sample: Sample) -> str:
    found = re.match(r"<think>(.*?)</think>", sample.completion, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_keeps_to_its_budget_and_has_a_response(sources: Sources, family: str):
    for sample in made(sources, config(family, max_pages=12), 4):
        assert sample.family == family
        assert 1 <= len(sample.images) <= 12
        sizes = [Image.open(io.BytesIO(png)).size for png in sample.images]
        tokens = sum(image_cost(*size, "glm-4.1v").visual_tokens for size in sizes)
        assert sample.visual_tokens == tokens <= 3000
        assert sample.completion.strip() and sample.answers
        assert sample.prompt.count(IMAGE_MARK) in (0, len(sample.images))
        assert sample.text_tokens > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sample_depends_on_its_number_alone(sources: Sources, family: str):
    data = config(family)
    straight = made(sources, data, 3)
    assert [SampleMaker(sources, data, 0).make(k)[1] for k in (2, 0)] == [straight[2], straight[0]]
    assert made(sources, data, 1, seed=1) != straight[:1]


def test_pages_are_those_of_the_one_renderer(sources: Sources):
    from glyph.documents import document_from_text
    from glyph.presets import load_preset

    (sample,) = made(sources, config("ocr"), 1)
    document = document_from_text(sample.source, unwrap=False)
    pages = render_pages(document, load_preset("glyph-en-72"))
    assert tuple(encode_png(page) for page in pages) == sample.images


def test_what_is_asked_for_stands_on_the_pages_once(sources: Sources):
    for family in ("needle", "key-value"):
        for sample in made(sources, config(family, think_share=1.0), 6):
            assert sample.source.count(thoughts(sample)) == 1
            assert final(sample) == sample.answers[0] in thoughts(sample)
            assert wording.THINK in sample.prompt


def test_chains_lead_from_the_variable_to_its_number(sources: Sources):
    """Solve the assignments on the pages independently of how they were planted."""
    pattern = re.compile(r"^VAR ([A-Z]+) = (?:VAR )?(\w+)$", re.MULTILINE)
    num_hops = Counter[int]()
    for sample in made(sources, config("multi-hop", think_share=1.0, max_keys=12), 12):
        values = dict(pattern.findall(sample.source))
        assert sum(value.isdigit() for value in values.values()) > 1, "any number would do"
        name = re.search(r"\b[A-Z]{5}\b", sample.prompt)
        assert name is not None
        at, trace = name[0], []
        while not at.isdigit():
            is_number = values[at].isdigit()
            trace.append(f"VAR {at} = {'' if is_number else 'VAR '}{values[at]}")
            at = values[at]
        assert thoughts(sample).split("\n") == trace
        assert (final(sample), sample.answers) == (at, (at,))
        num_hops[len(trace) - 1] += 1
    assert len(num_hops) > 1 and min(num_hops) >= 1 and max(num_hops) <= 4


def test_traces_name_every_variable_of_a_number(sources: Sources):
    pattern = re.compile(r"^VAR ([A-Z]+) = (?:VAR )?(\w+)$", re.MULTILINE)
    for sample in made(sources, config("trace", max_keys=12), 8):
        values = dict(pattern.findall(sample.source))

        def end(name: str, values: dict[str, str] = values) -> str:
            return name if name.isdigit() else end(values[name])

        asked = re.search(r"\d{5}", sample.prompt)
        assert asked is not None
        assert {name for name in values if end(name) == asked[0]} == set(sample.answers)


def test_counts_are_those_of_the_pages(sources: Sources):
    seen = Counter[bool]()
    for sample in made(sources, config("aggregate"), 10):
        counts = Counter(re.findall(r"^Seen today: (\w+)\.$", sample.source, re.MULTILINE))
        asked = re.search(r"Seen today: (\w+)\.", sample.prompt)
        expected = str(counts[asked[1]]) if asked else counts.most_common(1)[0][0]
        assert sample.answers == (expected,)
        seen[asked is None] += 1
    assert len(seen) == 2


def test_tolls_of_different_pages_are_added_up_or_compared(sources: Sources):
    for sample in made(sources, config("cross-page", min_visual_tokens=1500), 8):
        tolls = dict(re.findall(r"The toll at ([\w-]+) is (\d+) coins\.", sample.source))
        asked = {key: int(toll) for key, toll in tolls.items() if key in sample.prompt}
        assert len(asked) >= 2 and len(sample.images) >= 2
        is_sum = "highest" not in sample.prompt
        expected = str(sum(asked.values())) if is_sum else max(asked, key=asked.__getitem__)
        assert sample.answers == (expected,)


def test_spans_between_texts_are_one_text(sources: Sources):
    """Pages, the text between them and the response follow each other in one document."""
    for sample in made(sources, config("interleaved"), 6):
        told = sample.text_prompt().split("\n\nParts of this text")[0]
        assert IMAGE_MARK not in told and SPAN_MARK not in told
        spans = sample.source.split(SPAN_MARK)
        assert all(span in told for span in spans)
        assert told.index(spans[0]) <= told.rindex(spans[-1])


def test_random_strings_hold_no_words_of_the_documents(sources: Sources):
    for sample in made(sources, config("ocr", random_share=1.0), 3):
        assert sample.document == "random strings"
        assert "lantern" not in sample.source


def test_questions_of_files_are_asked_among_other_texts(sources: Sources):
    for sample in made(sources, config("squad", min_visual_tokens=1500), 4):
        assert sample.answers[0] in sample.source
        assert sample.reward == "judge"
        assert sample.document.startswith("squad.json#")
    for sample in made(sources, config("instruct"), 3):
        assert sample.completion.startswith("<think>") and "<think>" not in sample.answers[0]


def test_families_without_a_source_are_named(corpus: object, sources: Sources):
    alone = Sources(sources.texts, (), (), ())
    maker = SampleMaker(alone, config("ocr", "squad", "instruct"), 0)
    assert maker.left_out == ("squad", "instruct")
    with pytest.raises(TrainingError, match="no source is of use for squad"):
        SampleMaker(alone, config("squad"), 0)


# -- nano ----------------------------------------------------------------------------------------


def test_nano_pages_are_those_the_reader_is_shown(sources: Sources):
    style = load_spec().style("A")
    for sample in made(sources, nano("ocr", "needle", "key-value"), 6):
        (png,) = sample.images
        pixels = np.array(Image.open(io.BytesIO(png)).convert("L"))
        assert pixels.shape == (448, 336) and sample.visual_tokens == 192
        assert sample.config_digest == style.config(336, 448).digest
        assert sample.text_tokens == len(sample.source)


def test_nano_prompts_are_spelled_as_its_tokenizer_reads_them():
    tokenizer = Tokenizer.from_file(str(packaged_model() / "tokenizer.json"))
    prompts: list[Prompt] = [key_prompt("owl-x"), key_prompt("owl", needle=True, in_words=True)]
    prompts += [line_prompt(7), read_prompt(), quote_prompt("a<b> c\n")]
    for prompt in prompts:
        assert tuple(tokenizer.encode(wording.nano_words(prompt)).ids) == prompt.ids


def test_nano_answers_quote_from_the_key_to_the_end_of_the_line(sources: Sources):
    for sample in made(sources, nano("key-value", "needle"), 8):
        key = re.search(r"<\|(?:key|needle)\|>([\w-]+)", sample.prompt)
        assert key is not None and sample.completion.startswith(key[1])
        assert sample.answers[0] in sample.completion
        assert any(line.endswith(sample.completion) for line in sample.source.split("\n"))


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32))
def test_nano_lines_are_the_lines_of_the_page(sources: Sources, seed: int):
    (sample,) = made(sources, nano("ocr", max_response_chars=200), 1, seed)
    number = re.fullmatch(r"<\|line\|>(\d\d)<\|val\|>", sample.prompt)
    assert number is not None
    config = load_spec().style("A").config(336, 448)
    (page,) = render_pages(sample.source, config)
    line = int(np.flatnonzero(page.layout.lines.top_L == 14 * int(number[1]))[0])
    start, end = page.layout.lines.start_L[line], page.layout.lines.end_L[line]
    assert sample.completion == sample.source[start:end].rstrip()


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"familys": {}}, r"unknown key 'familys' in \[data\]; did you mean 'families'"),
        ({"families": {"ocrr": 1}}, r"unknown family 'ocrr'.*did you mean 'ocr'"),
        ({"families": {"ocr": 0}}, "gives no family a share"),
        ({"families": {"ocr": -1}}, "the share of family 'ocr' is -1"),
        ({"styles": ["A"], "themes": ["web"]}, "exclude themes and presets"),
        ({"themes": ["wbe"]}, r"unknown name 'wbe' in themes; did you mean 'web'"),
        ({"presets": ["glyph-en-27"]}, "unknown preset 'glyph-en-27'"),
        ({"styles": ["A"], "page_sizes_px": [[100, 56]]}, "multiples of 28"),
        ({"eval_share": 2}, "eval_share is 2; give a share from 0 to 1"),
        ({"min_visual_tokens": 99, "max_visual_tokens": 9}, "min_visual_tokens is 99"),
        ({"max_pages": 1, "families": {"cross-page": 1}}, "needs pages to choose from"),
        ({"model": "glm-4.1w"}, "no visual-token rule is known for model 'glm-4.1w'"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_is_accepted(
    table: dict[str, object], message: str
):
    with pytest.raises(ConfigError, match=message):
        DataConfig.from_dict(table)


def test_a_mistake_in_another_stage_is_found_too():
    with pytest.raises(ConfigError, match="unknown key 'thinks'"):
        DataConfig.of_stage({"families": {"ocr": 1}, "grpo": {"thinks": 1}}, "cpt")


def test_what_cannot_fit_is_an_error_that_says_what_to_raise(sources: Sources):
    data = config("ocr", max_visual_tokens=40, min_visual_tokens=40)
    with pytest.raises(TrainingError, match=r"sample 0 of family 'ocr'.*40 visual tokens"):
        made(sources, data, 1)
