"""Answers from transcripts, without a model."""

import pytest

from glyph.pages import Box
from glyph.readers.extract import extract_answer
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
