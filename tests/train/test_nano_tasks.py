"""Task pages: answers stand where queries say, and nothing leaks from training to evaluation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="torch is not installed; the [train] extra brings it")

from glyph.errors import ConfigError
from glyph.readers.nano.spec import char_ids, chars_of, load_spec
from glyph.train.nano.corpus import TextMixture, random_mixture
from glyph.train.nano.oracle import MonoGrid
from glyph.train.nano.scoring import EVAL_STREAM, TRAIN_STREAM, generator
from glyph.train.nano.tasks import (
    NEEDLE_HEAD,
    TaskMaker,
    TaskMix,
    log_uniform,
    wrap,
)

SIZES = ((84, 56), (168, 112), (336, 224))
EVERYTHING = TaskMix(
    page_weights=(("keys", 0.4), ("needles", 0.2), ("prose", 0.3), ("trace", 0.1)),
    extra_share=1.0,
)


def maker(seed: int, size: tuple[int, int] = (168, 112), mix: TaskMix = EVERYTHING) -> TaskMaker:
    grid = MonoGrid(load_spec().style("A"), *size)
    return TaskMaker(grid, random_mixture(), mix, generator(seed, TRAIN_STREAM))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from(SIZES))
def test_every_answer_letter_stands_at_its_place_on_the_page(seed: int, size: tuple[int, int]):
    page = maker(seed, size).page()
    newline, end = load_spec().special("NL"), load_spec().special("EOS")
    for query in page.queries:
        assert len(query.places) == len(query.answer)
        if query.task == "present":
            continue
        for token, place in zip(query.answer, query.places, strict=True):
            if place is None:
                assert token in (newline, end)
                continue
            line, column = place
            if token in (newline, end):
                assert column == len(page.lines[line]) or query.task == "quote"
            else:
                assert [token] == char_ids(page.lines[line][column]).tolist()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from(SIZES))
def test_lines_fit_the_page_and_end_without_blanks(seed: int, size: tuple[int, int]):
    task_maker = maker(seed, size)
    page = task_maker.page()
    assert len(page.lines) == task_maker.grid.num_lines
    assert all(len(line) <= task_maker.grid.num_columns for line in page.lines)
    assert all(line == line.rstrip() for line in page.lines)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), num_keys=st.integers(1, 8))
def test_keys_are_distinct_and_each_answer_begins_with_its_key(seed: int, num_keys: int):
    page = maker(seed).key_page(num_keys, num_queries=num_keys)
    keys: list[str] = []
    for query in page.queries:
        key = chars_of(list(query.prompt[query.key_at : query.key_at + query.key_size]))
        assert chars_of(list(query.answer)).startswith(key + ": ")
        assert chars_of(list(query.answer)) in page.lines
        assert query.key_place is not None
        assert page.lines[query.key_place[0]].startswith(key)
        keys.append(key)
    assert len(set(keys)) == len(keys) == num_keys


def test_questions_in_words_have_the_wording_readers_are_asked_with():
    mix = TaskMix(question_share=1.0)
    bare = maker(3, mix=mix).key_page(4, num_queries=1).queries[0]
    key = chars_of(list(bare.prompt[bare.key_at : bare.key_at + bare.key_size]))
    assert chars_of(list(bare.prompt)) == f"What is the value of {key}?"
    page = maker(3, (336, 224), mix).key_page(4, needles=True, num_queries=1)
    needle = page.queries[0]
    key = chars_of(list(needle.prompt[needle.key_at : needle.key_at + needle.key_size]))
    assert chars_of(list(needle.prompt)) == (
        f"What is the special magic number for {key} mentioned in the provided text?"
    )
    assert needle.key_place is not None
    assert page.lines[needle.key_place[0]].startswith(f"{NEEDLE_HEAD}{key} is: ")


def test_the_line_query_names_its_line_and_reads_all_of_it():
    task_maker = maker(5)
    page = task_maker.prose_page()
    query = task_maker.line_query(page.lines, 6)
    assert chars_of(list(query.prompt)) == "06"
    assert chars_of(list(query.answer)) == page.lines[6]


def test_the_whole_page_is_read_in_order():
    task_maker = maker(6)
    page = task_maker.prose_page()
    query = task_maker.read_query(page.lines)
    assert chars_of(list(query.answer)) == "\n".join(page.lines)


def test_presence_is_asked_of_keys_that_are_there_and_of_keys_that_are_not():
    special = load_spec().special
    seen: set[bool] = set()
    for seed in range(20):
        task_maker = maker(seed)
        page = task_maker.key_page(4)
        query = next(q for q in page.queries if q.task == "present")
        key = chars_of(list(query.prompt))
        there = any(line.startswith(key + ": ") for line in page.lines)
        assert query.answer == (special("YES" if there else "NO"), special("EOS"))
        seen.add(there)
    assert seen == {True, False}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_traced_variables_follow_from_each_other(seed: int):
    page = maker(seed).trace_page()
    query = page.queries[0]
    value = chars_of(list(query.prompt))
    reached = {value}
    names: list[str] = []
    for line in page.lines:
        if line.startswith("VAR ") and line[10:].removeprefix("VAR ") in reached:
            names.append(line[4:7])
            reached.add(names[-1])
    assert chars_of(list(query.answer)).split("\n") == names


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_quotation_is_unique_on_its_page_and_continued_verbatim(seed: int):
    task_maker = maker(seed)
    page = task_maker.prose_page()
    query = task_maker.quote_query(page.lines)
    if query is None:
        return
    snippet = chars_of(list(query.prompt))
    text = chars_of(char_ids("\n".join(page.lines)))
    assert text.count(snippet) == 1
    assert snippet + chars_of(list(query.answer)) in text


def test_the_same_seed_gives_the_same_pages():
    first, second = maker(11), maker(11)
    assert [first.page() for _ in range(5)] == [second.page() for _ in range(5)]


@given(seed=st.integers(0, 2**32), other=st.integers(0, 2**32))
def test_training_and_evaluation_draw_different_numbers_from_any_two_seeds(seed: int, other: int):
    train = generator(seed, TRAIN_STREAM).integers(0, 2**62, 4)
    held_out = generator(other, EVAL_STREAM).integers(0, 2**62, 4)
    assert not np.intersect1d(train, held_out).size


def test_evaluation_keys_do_not_occur_in_training_pages_of_the_same_seed():
    grid = MonoGrid(load_spec().style("A"), 168, 112)
    keys: list[set[str]] = []
    for stream in (TRAIN_STREAM, EVAL_STREAM):
        task_maker = TaskMaker(grid, random_mixture(), TaskMix(hard_share=0), generator(1, stream))
        pages = [task_maker.key_page(8, num_queries=0) for _ in range(100)]
        keys.append({line for page in pages for line in page.lines})
    assert not keys[0] & keys[1]


def test_key_counts_are_even_on_a_logarithmic_scale():
    rng = np.random.default_rng(0)
    counts = np.array([log_uniform(rng, 63) for _ in range(6000)])
    shares = [np.mean((counts >= 2**k) & (counts < 2 ** (k + 1))) for k in range(6)]
    assert counts.min() == 1
    assert counts.max() == 63
    assert np.allclose(shares, 1 / 6, atol=0.03)


def test_too_many_keys_are_refused():
    with pytest.raises(
        ConfigError,
        match=r"9 keys on a page of 8 lines; give 1 to 8, or a larger page\.",
    ):
        maker(0).key_page(9)


@given(text=st.text(alphabet="ab \n", max_size=200), width=st.integers(1, 20))
def test_wrapping_loses_no_letter(text: str, width: int):
    lines = wrap(text, width, 1000)
    assert "".join(lines).replace(" ", "") == "".join(text.split())
    assert all(len(line) <= width for line in lines)


def test_prose_of_a_page_comes_from_the_given_text():
    text = TextMixture(("owl " * 500,), (1.0,), 0.0)
    grid = MonoGrid(load_spec().style("A"), 168, 112)
    page = TaskMaker(grid, text, TaskMix(), generator(0, TRAIN_STREAM)).prose_page()
    assert set("".join(page.lines)) <= set("owl ")
