"""Answers from transcripts, without a model."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph.pages import Box
from glyph.readers.extract import NOTHING, extract_answer, has_definite_answer
from glyph.readers.keys import KeyQuestion, parse_key_question
from glyph.readers.passages import Passages
from glyph.readers.protocol import ReadLine, Transcript


def pages(*texts: str) -> list[Transcript]:
    """Return transcripts whose lines lie ten pixels apart."""
    return [
        Transcript(
            tuple(
                ReadLine(line, Box(0, 10 * i, 8 * len(line), 10 * i + 9), 0.99)
                for i, line in enumerate(text.split("\n"))
            )
        )
        for text in texts
    ]


FILLER = "Nothing of note was seen that day, and the harbour stayed quiet until the evening."


@pytest.mark.parametrize("key", ["retry_limit", "door-code", "tall-river"])
def test_the_value_of_a_key_is_found_on_its_page_and_line(key: str) -> None:
    lines = [f"other_{i}: {1000 + i}" for i in range(20)]
    read = pages(FILLER, "\n".join([*lines, f"{key}: 4711", FILLER]))
    found = extract_answer(f"What is the value of {key}?", read)
    assert found.answer == "4711"
    assert found.pages == (1,)
    assert found.box is not None
    assert found.box.top_px <= 200 < found.box.bottom_px
    assert key in found.quote


def test_the_magic_number_of_a_needle_is_found_among_others() -> None:
    needles = [
        f"One of the special magic numbers for {key} is: {value}."
        for key, value in (("calm-otter", 8100204), ("calm-otters", 5), ("pale-wind", 7712345))
    ]
    read = pages(" ".join([FILLER, needles[0]]), "\n".join([FILLER, *needles[1:]]))
    question = "What is the special magic number for pale-wind mentioned in the provided text?"
    found = extract_answer(question, read)
    assert (found.answer, found.pages) == ("7712345", (1,))


def test_a_sentence_over_a_line_break_is_quoted_whole() -> None:
    read = pages("The keeper's name was Ada\nLovegrove, who lit the lamp.\nIt rained.")
    found = extract_answer("Who lit the lamp?", read)
    assert "Ada Lovegrove" in found.quote.replace("\n", " ")


def test_what_is_not_there_is_not_made_up() -> None:
    found = extract_answer("What is the value of zebra_count?", pages(FILLER, FILLER))
    assert found.confidence == 0
    assert not any(char.isdigit() for char in found.answer)


# -- running text ----------------------------------------------------------------------------


def wrapped(text: str, width: int, lines_per_page: int, char_px: int = 5) -> list[Transcript]:
    """Break a text as a page would: after blanks and hyphens, paragraphs at line feeds."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        current = ""
        for piece in re.findall(r"[^\s-]+-?|-|\s+", paragraph):
            if current.strip() and len(current) + len(piece.rstrip()) > width:
                lines.append(current.rstrip())
                current = ""
            current += piece if current or piece.strip() else ""
        lines += [current.rstrip()] if current.strip() else []
    read = [
        ReadLine(line, Box(10, 10 * (i % lines_per_page), 10 + char_px * len(line),
                           10 * (i % lines_per_page) + 9), 0.99)
        for i, line in enumerate(lines)
    ]  # fmt: skip
    return [
        Transcript(tuple(read[i : i + lines_per_page])) for i in range(0, len(read), lines_per_page)
    ]


WORDS = st.lists(
    st.sampled_from(
        ["walk", "half-an-hour", "the", "a", "shrubbery", "Mrs.", "1,024", "well-known"]
    ),
    min_size=1, max_size=60,
)  # fmt: skip


@given(WORDS, st.integers(14, 70), st.integers(1, 9))
def test_broken_lines_join_to_the_words_they_were(words: list[str], width: int, height: int):
    text = " ".join(words)
    assert Passages(wrapped(text, width, height)).text.replace("\n", " ") == text


@given(WORDS, st.integers(14, 70), st.integers(1, 9), st.data())
def test_every_stretch_of_the_text_leads_back_to_the_lines_that_hold_it(
    words: list[str], width: int, height: int, data: st.DataObject
):
    pages = wrapped(" ".join(words), width, height)
    passages = Passages(pages)
    start = data.draw(st.integers(0, len(passages.text) - 1))
    end = data.draw(st.integers(start + 1, len(passages.text)))
    lines = passages.lines_of(start, end)
    assert passages.text[start:end].replace("\n", " ").strip() in " ".join(
        placed.line.text for placed in lines
    ).replace("- ", "-")
    numbers, box = passages.place_of(start, end)
    assert numbers == tuple(sorted({placed.page for placed in lines}))
    assert box is not None
    inside = [placed.line.box for placed in lines if placed.page == numbers[0]]
    assert all(line and box.top_px <= line.top_px for line in inside)


@given(st.text("ab. !?\n\"'Mrs.12。", max_size=120))
def test_sentences_cover_every_mark_of_the_text_once(text: str):
    passages = Passages([Transcript(tuple(ReadLine(t, None, 1.0) for t in text.split("\n")))])
    spans = passages.sentences()
    assert all(a_end <= b_start for (_, a_end), (b_start, _) in pairwise(spans))
    kept = "".join(passages.text[start:end] for start, end in spans)
    assert "".join(kept.split()) == "".join(passages.text.split())


def test_a_paragraph_ends_where_a_line_leaves_room_for_the_next_word():
    long = "a line that runs on to the edge of the column and"
    pages_read = wrapped(f"{long} on\nA heading\nAnother paragraph starts here", 52, 10)
    assert Passages(pages_read).text.split("\n") == [
        f"{long} on A heading",  # the full line leaves no room: it may as well go on
        "Another paragraph starts here",
    ]


def test_ideographs_join_without_a_blank():
    assert (
        Passages(pages("云长造青龙偃\n月刀，又名", "冷艳锯。")).text
        == "云长造青龙偃月刀，又名冷艳锯。"
    )


def test_a_page_s_own_number_is_no_text():
    read = pages("The sum was\n3", "paid in full.\n2", "3")
    assert " ".join(Passages(read).text.split()) == "The sum was 3 paid in full. 3"
    assert " ".join(Passages(read, [2, 6, 8]).text.split()) == "The sum was paid in full. 2 3"


def test_titles_and_initials_end_no_sentence():
    passages = Passages(pages('"Mr. J. Reed came," said Mrs. Reed. No. 7 was empty. It rained.'))
    texts = [passages.text[a:b] for a, b in passages.sentences()]
    assert texts == ['"Mr. J. Reed came," said Mrs. Reed.', "No. 7 was empty.", "It rained."]


# -- keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "keys", "kind", "wants_all"),
    [
        ("What is the special magic number for tall-river mentioned in the provided text?",
         ("tall-river",), "number", False),
        ("What are all the special magic numbers for tall-river mentioned in the provided text?",
         ("tall-river",), "number", True),
        ("What are all the special magic words for ant, bee, and cow mentioned in the text?",
         ("ant", "bee", "cow"), "any", True),
        ("What is the special magic uuid for 9f-a1 mentioned in the provided text? The special "
         "magic uuid for 9f-a1 mentioned in the provided text is", ("9f-a1",), "uuid", False),
        ("what is the value of max_open_files", ("max_open_files",), "any", False),
        ('What is the code for "A7-33"?', ("A7-33",), "any", False),
    ],
)  # fmt: skip
def test_a_question_for_a_key_is_told_with_its_key_and_kind(
    question: str, keys: tuple[str, ...], kind: str, wants_all: bool
):
    assert parse_key_question(question) == KeyQuestion(keys, kind, wants_all)


@pytest.mark.parametrize(
    "question",
    ["What is the name of Mr. Rochester's dog?", "What is the number of tackles he made?",
     "Who keeps the key for the tower?", "Why?", ""],
)  # fmt: skip
def test_other_questions_are_not_taken_for_keys(question: str):
    assert parse_key_question(question) is None


def test_a_key_read_with_a_wrong_letter_is_found_and_trusted_less():
    exact = extract_answer("What is the value of quota_limit?", pages("quota_limit = 512"))
    misread = extract_answer("What is the value of quota_limit?", pages("quota_1imjt = 512"))
    assert exact.answer == misread.answer == "512"
    assert 0 < misread.confidence < exact.confidence


def test_a_longer_key_is_another_key():
    read = pages("door-code-2: 99, door-code: 4711.")
    assert extract_answer("What is the value of door-code?", read).answer == "4711"


def test_a_key_and_its_value_may_stand_on_two_pages():
    read = pages("One of the special magic numbers for calm-", "otter is:\n8100204. More follows.")
    found = extract_answer("What is the special magic number for calm-otter?", read)
    assert (found.answer, found.pages) == ("8100204", (0, 1))


def test_a_value_broken_at_its_hyphens_is_joined():
    read = pages("The special magic uuid for k-1 is: 1ee34dc4-3b04-\n4a8b-805b-fdc94e7ed827.")
    found = extract_answer("What is the special magic uuid for k-1 mentioned?", read)
    assert found.answer == "1ee34dc4-3b04-4a8b-805b-fdc94e7ed827"


def test_letters_in_a_number_are_read_as_the_digits_they_look_like():
    read = pages("The special magic number for tall-river is: 81OO2l4.")
    assert extract_answer("What is the special magic number for tall-river?", read).answer == (
        "8100214"
    )


def test_all_values_of_a_key_are_given_with_all_their_pages():
    needle = "The special magic number for tall-river is: {}."
    read = pages(needle.format(11), FILLER, needle.format(22), needle.format(11))
    found = extract_answer("What are all the special magic numbers for tall-river?", read)
    assert (found.answer, found.pages) == ("11, 22", (0, 2, 3))


def test_a_key_with_two_values_is_answered_with_doubt():
    needle = "The special magic number for tall-river is: {}."
    read = pages(needle.format(11), needle.format(22))
    found = extract_answer("What is the special magic number for tall-river?", read)
    assert found.answer == "11" and found.confidence <= 0.5


@pytest.mark.parametrize(
    ("text", "is_definite"),
    [
        ("The special magic number for tall-river is: 11. And on", True),
        ("The special magic number for tall-river is: 11", False),  # more digits may follow
        ("The special magic number for tall-rjver is: 11. And on", False),
        ("We speak of tall-river later.", False),
    ],
)
def test_reading_may_stop_only_at_the_key_itself_with_a_whole_value(text: str, is_definite: bool):
    question = "What is the special magic number for tall-river?"
    assert has_definite_answer(question, pages(text)) is is_definite
    assert not has_definite_answer(question.replace("is the", "are all the"), pages(text))
    assert not has_definite_answer("Who went to tall-river?", pages(text))


# -- words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When did the harbour close?", "January 1871"),
        ("How many sheep drowned in the flood?", "forty"),
        ("Who painted the lighthouse?", "Ada Lovegrove"),
        ("How tall is the tower?", "38"),
    ],
)
def test_a_short_span_answers_where_only_one_can(question: str, answer: str):
    read = pages(
        f"{FILLER}\nThe harbour closed in January 1871.\n{FILLER}",
        "In the flood forty sheep drowned, and 3 men.\nThe lighthouse was painted by Ada "
        "Lovegrove.",
        f"{FILLER}\nThe tower is 38 metres tall.",
    )
    found = extract_answer(question, read)
    assert found.answer == answer
    assert found.answer in found.quote


def test_where_two_names_could_answer_the_whole_sentence_does():
    sentence = "The lamp was lit by Ada Lovegrove and later by Bertha Mason."
    assert extract_answer("Who lit the lamp?", pages(sentence)).answer == sentence


def test_a_question_without_an_answer_finds_nothing():
    found = extract_answer("Which rocket engine drives the second stage?", pages(FILLER, FILLER))
    assert found == NOTHING
    assert extract_answer("Who?", []) == extract_answer("", pages(FILLER)) == NOTHING


def test_confidence_is_lower_where_the_next_sentence_fits_as_well():
    one = extract_answer("Who lit the lamp?", pages(f"{FILLER}\nAda lit the lamp."))
    two = extract_answer("Who lit the lamp?", pages("Ada lit the lamp.\nBea lit the lamp."))
    assert 0 < two.confidence < one.confidence <= 1


def test_chinese_is_searched_by_its_ideographs():
    read = pages("玄德谢别二客，便命良匠打造双股剑。", "云长造青龙偃月刀，又名冷艳锯，重八十二斤。")
    found = extract_answer("云长的刀重多少斤？", read)
    assert (found.answer, found.pages) == ("八十二", (1,))


# -- real data -------------------------------------------------------------------------------


def test_the_sentence_with_the_answer_comes_first_for_three_questions_in_four(data_folder: Path):
    articles = json.loads((data_folder / "multilingual/xquad.en.first12.json").read_text())["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    read = wrapped("\n".join(paragraph["context"] for paragraph in paragraphs), 110, 82)
    asked = [pair for paragraph in paragraphs for pair in paragraph["qas"]][::4]
    hits = [
        pair["answers"][0]["text"].lower() in extract_answer(pair["question"], read).quote.lower()
        for pair in asked
    ]
    assert len(hits) > 80 and sum(hits) / len(hits) >= 0.75


def test_every_needle_of_a_ruler_haystack_is_found(data_folder: Path):
    rows = (data_folder / "ruler/niah_multikey_3.4096.head50.jsonl").read_text().splitlines()
    for row in map(json.loads, rows[:20]):
        context, _, question = row["input"].rpartition("\nWhat is")
        found = extract_answer("What is" + question, wrapped(context, 110, 82))
        assert found.answer == row["outputs"][0]
        assert found.confidence > 0.9
