import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph.train.config import RewardsConfig
from glyph.train.rewards import (
    format_reward,
    judge_reward,
    match_reward,
    ocr_reward,
    score,
    take_apart,
)

WORDS = st.text(string.ascii_letters + " ", max_size=30)


@pytest.mark.parametrize(
    ("text", "is_formed"),
    [
        ("<think>a</think>7", True),
        (" <think>a\nb</think>\n7 ", True),
        ("<think></think>7", True),
        ("7", False),
        ("", False),
        ("<think>a</think>", False),
        ("<think>a</think>  ", False),
        ("<think>a 7", False),
        ("a</think>7", False),
        ("so <think>a</think>7", False),
        ("<think>a</think>7<think>b</think>8", False),
        ("<think><think>a</think>7", False),
        ("<think>a</think>7</think>", False),
    ],
)
def test_a_response_is_in_form_when_thoughts_come_first_and_once(text: str, is_formed: bool):
    assert format_reward(text) == float(is_formed)
    assert take_apart(text).is_formed is is_formed


@given(WORDS, WORDS)
def test_thoughts_and_answer_come_back(trace: str, answer: str):
    found = take_apart(f"<think>{trace}</think>{answer}")
    assert (found.trace, found.answer) == (trace.strip(), answer.strip())


@pytest.mark.parametrize(
    ("text", "answers", "worth"),
    [
        ("4821", ["4821"], 1.0),
        ("It is 4821.", ["4821"], 1.0),
        ("it is ÉCOLE", ["e\u0301cole"], 1.0),
        ("48210", ["4821"], 0.0),
        ("<think>4821</think>none", ["4821"], 0.0),
        ("ABC, DEF", ["ABC", "DEF"], 1.0),
        ("ABC", ["ABC", "DEF"], 0.0),
        ("", ["4821"], 0.0),
        (" ".join(str(n) for n in range(1000, 9999)), ["4821"], 0.0),
        ("anything", [], None),
        ("anything", [" "], None),
    ],
)
def test_a_match_holds_every_answer_as_whole_words(text: str, answers: list, worth: float | None):
    assert match_reward(text, answers) == worth


def _levenshtein(one: str, two: str) -> int:
    """The textbook's table, as an oracle."""
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        above, row = row, [i]
        for j, b in enumerate(two, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    return row[-1]


@given(WORDS, WORDS.filter(str.strip))
def test_a_transcription_is_worth_its_similarity(said: str, truth: str):
    a, b = said.strip(), truth.strip()
    expected = 1 - _levenshtein(a, b) / max(len(a), len(b), 1)
    assert ocr_reward(said, truth) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("verdict", "worth"),
    [
        ("CORRECT", 1.0),
        ("Correct.", 1.0),
        ("**yes**", 1.0),
        ("INCORRECT", 0.0),
        ("No", 0.0),
        ("0", 0.0),
        ("correct, but incomplete", None),
        ("CORRECT\nINCORRECT", None),
        ("The answer is correct", None),
        ("", None),
        (None, None),
    ],
)
def test_a_verdict_is_one_word_or_unknown(verdict: str | None, worth: float | None):
    assert judge_reward(verdict) == worth


def test_a_score_is_the_weighted_sum_of_the_parts_that_apply():
    weights = RewardsConfig(match=2.0, format=0.5, ocr=3.0)
    formed = score("<think>a</think>7", kind="match", answers=["7"], truth="", weights=weights)
    bare = score("7", kind="match", answers=["7"], truth="", weights=weights)
    read = score("abcd", kind="ocr", answers=[], truth="abxd", weights=weights)
    assert (formed.total, bare.total, read.total) == (2.5, 2.0, pytest.approx(2.25))
    assert read.format is None and formed.ocr is None


def test_an_unknown_verdict_is_no_reward_even_when_the_form_is_right():
    weights = RewardsConfig()
    asked = {"kind": "judge", "answers": ["7"], "truth": "", "weights": weights}
    assert score("<think>a</think>7", **asked, verdict=None).total is None
    assert score("<think>a</think>7", **asked, verdict="CORRECT").total == pytest.approx(1.2)
    assert score("<think>a</think>7", **asked, verdict="INCORRECT").total == pytest.approx(0.2)
