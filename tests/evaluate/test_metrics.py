"""Scores against those that other people's code gave, recorded in `recorded_scores.json`.

The file holds what the functions of lm-eval 0.4.13 (LongBench, RULER) answered on these cases,
with rouge 1.0.1, jieba 0.42.1 and fuzzywuzzy 0.18.0 on difflib.
"""

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph.evaluate.document_answers import (
    NOT_ANSWERABLE,
    document_answer_score,
    generalised_f1,
    short_answer,
)
from glyph.evaluate.metrics import METRICS, edit_distance, letter_of, score
from glyph.evaluate.task import Example

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "recorded_scores.json").read_text("utf-8")
)


def example(metric: str, answers: list[str], **more: Any) -> Example:
    return Example("x", "s", "context", "question?", tuple(answers), metric, **more)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['metric']}-{case['answer'][:12]}")
def test_scores_equal_those_recorded_from_the_released_metrics(case: dict[str, Any]) -> None:
    if case["metric"] in ("rouge_l", "rouge_l_chinese", "chinese_f1"):
        pytest.importorskip("rouge" if "rouge" in case["metric"] else "jieba")
    asked = example(case["metric"], case["answers"], choices=tuple(case["choices"]))
    metric = "first_line_classified" if case["metric"] == "classified" else case["metric"]
    assert METRICS[metric](asked, case["answer"]) == pytest.approx(case["score"], abs=1e-9)


def test_few_shot_tasks_score_the_first_line_only() -> None:
    asked = example("first_line_word_f1", ["Paris"])
    assert score(asked, "\nParis\nQuestion: What else?") == 1.0


def test_mrcr_needs_the_prefix_and_then_is_the_ratio_of_difflib() -> None:
    asked = example("prefixed_ratio", ["k3Jan otter swims"], prefix="k3J")
    assert score(asked, "an otter swims") == 0.0
    expected = difflib.SequenceMatcher(None, "an otter sank", "an otter swims").ratio()
    assert score(asked, "k3Jan otter sank") == expected
    assert score(asked, "k3Jan otter swims") == 1.0


def test_character_accuracy_counts_errors_over_the_truth_and_ignores_line_breaks() -> None:
    asked = example("character_accuracy", ["abcde fghij"])
    assert score(asked, "abcde\nfghij") == 1.0
    assert score(asked, "abcdX fghi") == pytest.approx(1 - 2 / 11)
    assert score(asked, "z" * 400) == 0.0


def test_a_line_break_is_free_after_a_hyphen_and_between_ideographs_and_a_blank_is_not() -> None:
    assert score(example("character_accuracy", ["1f-2e 7"]), "1f-\n2e\n7") == 1.0
    assert score(example("character_accuracy", ["天地人"]), "天\n地人") == 1.0
    assert score(example("character_accuracy", ["天地人"]), "天 地人") == pytest.approx(2 / 3)
    assert score(example("character_accuracy", ["abcd"]), "a\ncd") == pytest.approx(3 / 4)


@given(st.text("abc", max_size=9), st.text("abc", max_size=9))
def test_edit_distance_is_that_of_the_textbook(one: str, other: str) -> None:
    def slow(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        if a[0] == b[0]:
            return slow(a[1:], b[1:])
        return 1 + min(slow(a[1:], b), slow(a, b[1:]), slow(a[1:], b[1:]))

    short, other = one[:6], other[:6]
    assert edit_distance(short, other) == slow(short, other)


@given(st.sampled_from(sorted(set(METRICS) - {"chinese_f1", "rouge_l_chinese"})), st.text())
def test_every_score_lies_between_0_and_1(metric: str, answer: str) -> None:
    asked = example(metric, ["42"], choices=("42", "7"), category="Int")
    assert 0.0 <= score(asked, answer) <= 1.0


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("The correct answer is (B)", "B"),
        ("**The correct answer is C**", "C"),
        ("D", "D"),
        ("(A) because it says so", "A"),
        ("All of them are wrong", None),
        ("", None),
    ],
)
def test_the_letter_chosen_is_the_one_that_is_named(answer: str, letter: str | None) -> None:
    assert letter_of(answer, ("A", "B", "C", "D")) == letter


@pytest.mark.parametrize(
    ("truth", "response", "form", "expected"),
    [
        ("4087", "4,087 people were asked.", "Int", 1.0),
        ("41", "42", "Int", 0.0),
        ("12%", "The gap is 12.05 percent", "Float", 1.0),
        ("0.12", "12%", "Float", 1.0),
        ("12", "14", "Float", 0.0),
        ("['90%', '42%', '39%']", "['39%', '90%', '42%']", "List", 1.0),
        ("['90%', '42%', '39%']", "['39%', '90%']", "List", 0.0),
        ("Pew Research", "Pew Research.", "Str", 1.0),
        ("Pew Research", "entirely other words", "Str", 0.0),
        ("page 12", "page 13", "Str", 0.0),
        (NOT_ANSWERABLE, "The pages do not mention it.", "None", 1.0),
        (NOT_ANSWERABLE, "12", "None", 0.0),
        ("12", "The pages do not mention it.", "Int", 0.0),
    ],
)
def test_answers_from_documents_are_compared_by_the_published_rules(
    truth: str, response: str, form: str, expected: float
) -> None:
    assert document_answer_score(truth, response, form) == expected


def test_short_answers_are_cut_out_of_sentences() -> None:
    assert short_answer("About 1,204 people.", "Int") == "1204"
    assert short_answer("It is not stated.", "Str") == NOT_ANSWERABLE


def test_the_f1_of_documents_weighs_recall_against_precision() -> None:
    truths = ["1", "2", NOT_ANSWERABLE, NOT_ANSWERABLE]
    said = ["1", NOT_ANSWERABLE, "7", NOT_ANSWERABLE]
    # Recall 1 of 2 answerable, precision 1 of 2 given.
    assert generalised_f1(truths, said, [1.0, 0.0, 0.0, 1.0]) == 0.5
