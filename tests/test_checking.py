"""An answer's exact strings are held against the text."""

import random
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

import glyph
from glyph.checking import doubts_about
from glyph.sidecar import exact_strings

TEXT = (
    "The gate opens with 7f3a9c21 and closes at 18:45. Call +49 30 901820 or write to "
    "desk@harbour.example. RETRY_LIMIT = 17\nThe rent is 1,204.50 USD, paid to order "
    "2d1f1a6e-9f0b-4a37-8c1e-0b8f6c1f7d11."
)


@pytest.mark.parametrize(
    "answer",
    [
        "The gate opens with 7f3a9c21.",
        "It closes at 18:45, and the rent is 1204.50 USD.",
        "Write to desk@harbour.example, or see RETRY_LIMIT.",
        "Nobody said so.",
        "",
    ],
)
def test_what_the_text_holds_is_no_doubt(answer: str) -> None:
    assert doubts_about(answer, TEXT) == ()


@pytest.mark.parametrize(
    ("answer", "text", "nearest"),
    [
        ("7f3a9c27", "7f3a9c27", "7f3a9c21"),
        ("The rent is 1,204.60 USD.", "1,204.60 USD", "1,204.50 USD"),
        ("desk@harbor.example", "desk@harbor.example", "desk@harbour.example"),
        ("It is 99412.", "99412", ""),
        ("The gate opens with 7f3a9c2.", "7f3a9c2", "7f3a9c21"),
        ("Order 2d1f1a6e.", "2d1f1a6e", "2d1f1a6e-9f0b-4a37-8c1e-0b8f6c1f7d11"),
        ("No 0b8f6c1f7d11.", "0b8f6c1f7d11", "2d1f1a6e-9f0b-4a37-8c1e-0b8f6c1f7d11"),
    ],
)
def test_what_it_does_not_hold_is_told_with_the_nearest(
    answer: str, text: str, nearest: str
) -> None:
    (doubt,) = doubts_about(answer, TEXT)
    assert (doubt.text, doubt.nearest) == (text, nearest)
    assert TEXT[slice(*doubt.span)] == nearest


def test_strings_of_the_question_may_be_repeated() -> None:
    assert doubts_about("There is no ticket AB-9912.", TEXT, "Where is ticket AB-9912?") == ()


@given(seed=st.integers(0, 10_000))
def test_one_changed_digit_never_passes(seed: int) -> None:
    rng = random.Random(seed)
    number = str(rng.randrange(10**5, 10**9))
    at = rng.randrange(len(number))
    wrong = number[:at] + rng.choice(re.sub(number[at], "", string.digits)) + number[at + 1 :]
    (doubt,) = doubts_about(f"It is {wrong}.", f"The key is {number}, said the owl.")
    assert (doubt.text, doubt.nearest) == (wrong, number)


@given(st.text("abcdef0123456789-_. \nXYZ@", max_size=200))
def test_a_text_never_doubts_itself(text: str) -> None:
    for found in exact_strings(text):
        assert doubts_about(found.text, text) == ()


def test_asking_tells_what_was_misread() -> None:
    asked = glyph.ask(TEXT, "What is the value of RETRY_LIMIT?", reader="nano")
    assert (asked.answer.text, asked.doubts) == ("17", ())
    assert asked.sidecar is None


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        ("Token", "Token_index_max61"),
        ("max.", "max_lock_limit69"),
        ("It is Token", "Token_index_max61"),
    ],
)
def test_a_word_cut_out_of_a_name_is_doubted_in_a_short_answer(answer: str, whole: str) -> None:
    text = (
        "gray-fox: Token_index_max61\nThe lamps were lit.\noak-owl: max_lock_limit69\nIt is late."
    )
    (doubt,) = doubts_about(answer, text)
    assert doubt.nearest == whole and text[slice(*doubt.span)] == whole


def test_plain_words_are_not_doubted() -> None:
    text = "gray-fox: Token_index_max61\nThe Token of the harbour master."
    assert doubts_about("Token", text) == ()
    assert doubts_about("a lighthouse", text) == ()
    assert doubts_about("the max of it all", text) == ()
