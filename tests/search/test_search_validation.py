"""Questions made from texts, and marks for answers."""

import json

import pytest

from glyph import DocumentError
from glyph.search.scoring import interval, score_answer
from glyph.search.validation import SetSize, questions_from_jsonl, questions_from_texts


def test_every_expected_answer_stands_in_its_passage_and_keys_in_the_questions(text: str) -> None:
    found = questions_from_texts([text], size=SetSize(9, 300), seed=3)
    kinds = {question.kind for passage in found.passages for question in passage.questions}
    assert kinds == {
        "readback", "first", "last", "nth", "number", "uuid", "word", "cloze"
    }  # fmt: skip
    for passage in found.passages:
        assert len(passage.text) < 330
        flat = " ".join(passage.text.split())
        for question in passage.questions:
            assert all(" ".join(right.split()) in flat for right in question.expected)
            if question.kind in ("number", "uuid", "word"):
                assert question.expected[0] not in question.text


def test_a_seed_gives_one_set_and_another_seed_another(text: str) -> None:
    sets = [questions_from_texts([text], seed=seed) for seed in (1, 1, 2)]
    assert sets[0] == sets[1]
    assert sets[0].digest != sets[2].digest


def test_all_texts_are_drawn_from_and_priced() -> None:
    texts = ["Alpha river went home. " * 60, "Omega castle stood still. " * 60]
    found = questions_from_texts(texts, size=SetSize(12, 240))
    joined = " ".join(passage.text for passage in found.passages)
    assert "river" in joined
    assert "castle" in joined
    assert "river" in found.priced_text
    assert "castle" in found.priced_text


@pytest.mark.parametrize("texts", [[""], ["  \n "], ["too short"], []])
def test_texts_too_short_to_ask_about_are_refused(texts: list[str]) -> None:
    with pytest.raises(DocumentError, match="a search needs at least 400"):
        questions_from_texts(texts)


def test_chinese_texts_give_questions_too() -> None:
    found = questions_from_texts(["话说天下大势，分久必合，合久必分。" * 60])
    assert all(len(passage.questions) >= 4 for passage in found.passages)


def line(**values: object) -> str:
    return json.dumps(values)


def test_labelled_questions_find_the_passage_that_shares_their_words() -> None:
    text = "The cat is grey. " * 50 + "The captain's parrot is grey and old. " + "So it goes. " * 50
    found = questions_from_jsonl(
        line(question="What colour is the captain's parrot?", answers=["grey"]), [text]
    )
    assert "parrot" in found.passages[0].text


def test_labelled_questions_may_bring_their_passage() -> None:
    given = line(question="Who?", answers=["Ann"], context="It was Ann.")
    found = questions_from_jsonl(given, [])
    assert (found.passages[0].text, found.priced_text) == ("It was Ann.", "It was Ann.")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{", "line 1 is no JSON"),
        ("[1]", "needs 'question'"),
        (line(question="Who?"), "needs 'question'"),
        (line(question="Who?", answers=[]), "needs 'question'"),
        (line(question="Who?", answers=[3]), "needs 'question'"),
        (line(question="Who?", answers=["Zoe"]), "none of the answers"),
        ("\n\n", "holds no question"),
    ],
)
def test_bad_labels_say_which_line_and_what_is_wanted(given: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        questions_from_jsonl(given, ["Ann was here. " * 40])


@pytest.mark.parametrize(
    ("scoring", "given", "right", "score"),
    [
        ("exact", "the value is 4711.", "4711", 1.0),
        ("exact", "the value is 47110", "4711", 0.0),
        ("exact", "key ab-12 and more", "ab-1", 0.0),
        ("exact", "It is Velvet", "velvet", 0.0),
        ("contains", "It was MR. ROCHESTER’S dog", "Mr Rochester's", 1.0),
        ("contains", "the others", "other", 0.0),
        ("similar", "abcd", "abcd", 1.0),
        ("similar", "", "abcd", 0.0),
        ("similar", "abxd", "abcd", 0.75),
        ("similar", "“a” – b", '"a" - b', 1.0),
    ],
)
def test_marks(scoring: str, given: str, right: str, score: float) -> None:
    assert score_answer(scoring, given, [right]) == score  # type: ignore[arg-type]


def test_the_interval_holds_the_mean_and_widens_when_passages_fail_together() -> None:
    scores = [1.0] * 10 + [0.0] * 10
    alone = interval(scores, list(range(20)))
    together = interval(scores, [i // 5 for i in range(20)])
    assert alone[0] < 0.5 < alone[1]
    assert together[0] < alone[0]
    assert interval([1.0] * 5, [0] * 5) == (1.0, 1.0)
