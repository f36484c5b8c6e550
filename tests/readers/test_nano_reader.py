"""The nano reader: what it understands, what it refuses, and that only pixels count.

Tests that read need trained weights: those of the package, or a folder in GLYPH_NANO_MODEL.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import glyph
from glyph.aloud import read
from glyph.errors import ConfigError, ReaderError
from glyph.pages import Page
from glyph.presets import load_preset
from glyph.readers import open_reader
from glyph.readers.nano.questions import Question, understand
from glyph.readers.nano.reader import NanoReader
from glyph.readers.nano.support import Candidate, supported, value_of
from glyph.readers.protocol import LineReader, ReadLine, Request, Transcript
from glyph.render import render_pages

PROSE = (
    "It was the custom of the house to light every lamp in the long gallery at dusk, whether or "
    "not a guest was there to see them, and to put them out again at ten. "
)
TEXT = f"{PROSE * 9}\nbrass-owl: 44170\n{PROSE * 9}\ntin-fox: Ab3Xy\n{PROSE * 2}"
NEEDLE = "One of the special magic numbers for gray-fox is: 7312245."
NEEDLES = f"{PROSE * 9}\n{NEEDLE}\n{PROSE * 12}"


@pytest.fixture(scope="session")
def nano() -> NanoReader:
    package = Path(glyph.__file__).parent / "models" / "nano"
    folder = Path(os.environ.get("GLYPH_NANO_MODEL", package))
    if not (folder / "reader.json").is_file():
        pytest.skip("there are no trained weights: set GLYPH_NANO_MODEL")
    return NanoReader(folder, threads=1)


def pages_of(text: str, preset: str = "nano") -> tuple[Page, ...]:
    return tuple(render_pages(text, load_preset(preset)))


# -- questions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "understood"),
    [
        (
            "What is the special magic number for gray-fox mentioned in the provided text?",
            Question("needle", "gray-fox", value="number"),
        ),
        (
            "What is the special magic number for gray-fox mentioned in the provided text? "
            "The special magic number for gray-fox mentioned in the provided text is",
            Question("needle", "gray-fox", value="number"),
        ),
        (
            "What is the special magic uuid for 455ac762-7428 mentioned in the provided text?",
            Question("needle", "455ac762-7428", value="uuid"),
        ),
        ("What is the value of brass-owl?", Question("lookup", "brass-owl")),
        ('what is  the value of "brass-owl"', Question("lookup", "brass-owl")),
        ("brass-owl?", Question("lookup", "brass-owl")),
        ("What does line 12 of page 3 say?", Question("line", line=12, page=3)),
        ("What does line 2 say?", Question("line", line=2, page=1)),
        ("Continue the quotation: It was the custom", Question("quote", "It was the custom")),
        ("Does tin-fox appear?", Question("present", "tin-fox")),
        ("Who lit the lamps?", Question("other")),
    ],
)
def test_the_forms_of_questions_are_understood(question: str, understood: Question):
    assert understand(question) == understood


# -- support ---------------------------------------------------------------------------------


def transcript(*lines: str) -> Transcript:
    return Transcript(tuple(ReadLine(line, None, 1.0) for line in lines))


@pytest.mark.parametrize(
    ("quote", "is_supported"),
    [
        ("owl: 417", True),
        ("owl: 41", False),
        ("fox: 417", False),
        ("owl: ", False),
        ("ow: 417", False),
    ],
)
def test_an_answer_counts_when_a_line_holds_it_whole(quote: str, is_supported: bool):
    question = Question("lookup", "owl")
    found = Candidate(0, quote, value_of(question, quote), -0.1)
    held = supported(question, found, transcript("growl: 417", "owl: 417", "fox: 417"))
    assert (held is not None) == is_supported
    if held is not None:
        assert (held.value, held.line.text) == ("417", "owl: 417")


def test_a_key_within_a_longer_one_is_another_key():
    found = Candidate(0, "owl: 417", "417", -0.1)
    assert supported(Question("lookup", "owl"), found, transcript("growl: 417")) is None


def test_values_are_cut_out_of_quotes():
    assert value_of(Question("lookup", "owl"), "owl: a b") == "a b"
    assert value_of(Question("needle", "owl"), "owl is: 417.") == "417"


# -- opening ---------------------------------------------------------------------------------


def test_opening_says_what_is_wrong(tmp_path: Path):
    with pytest.raises(ReaderError, match=r"holds no nano model .*nano:FOLDER"):
        open_reader(f"nano:{tmp_path}")
    with pytest.raises(ConfigError, match="threads is 0; at least 1"):
        open_reader(f"nano:{tmp_path}", threads=0)
    with pytest.raises(ConfigError, match="reader 'nano' has no option 'base_url'; it takes"):
        open_reader("nano", base_url="http://localhost")


# -- reading ---------------------------------------------------------------------------------


def test_a_key_is_looked_up_and_pointed_at(nano: NanoReader):
    asked = glyph.ask(TEXT, "What is the value of brass-owl?", reader=nano)
    assert asked.answer.text == "44170"
    assert asked.answer.quote == "brass-owl: 44170"
    assert [TEXT[start:end] for start, end in asked.spans] == ["brass-owl: 44170"]
    assert asked.answer.confidence is not None
    assert asked.answer.confidence > 0.9
    assert asked.cost is not None
    assert asked.cost.visual_tokens == asked.answer.usage.visual_tokens


def test_a_needle_sentence_is_found_on_its_page(nano: NanoReader):
    question = "What is the special magic number for gray-fox mentioned in the provided text?"
    asked = glyph.ask(NEEDLES, question, reader=nano)
    assert asked.answer.text == "7312245"
    start = NEEDLES.index(NEEDLE)
    (page,) = (p for p in pages_of(NEEDLES) if p.start <= start < p.end)
    assert asked.answer.pages == (page.index,)


def test_a_key_that_is_not_there_gets_no_value(nano: NanoReader):
    for key in ("brass-own", "zinc-eel"):
        answer = nano.answer(Request(f"What is the value of {key}?", pages_of(TEXT)))
        assert answer.text.startswith("not found on these pages")
        assert (answer.confidence, answer.box, answer.quote) == (0.0, None, "")


def test_the_pixels_decide_and_the_source_plays_no_part(nano: NanoReader):
    shown = pages_of("brass-owl: 44170\n" + PROSE * 3)[0]
    source = pages_of("brass-owl: 90210\n" + PROSE * 3)[0]
    forged = dataclasses.replace(shown, layout=source.layout)
    answer = nano.answer(Request("What is the value of brass-owl?", (forged,)))
    assert answer.text == "44170"
    assert nano.transcribe(forged).lines[0].text == "brass-owl: 44170"
    blank = dataclasses.replace(source, plane_HW=np.full_like(source.plane_HW, 255))
    answer = nano.answer(Request("What is the value of brass-owl?", (blank,)))
    assert answer.text == "not found on these pages"


def test_the_wrong_page_gives_nothing(nano: NanoReader):
    right, wrong = pages_of(f"brass-owl: 44170\n{PROSE}"), pages_of(f"tin-fox: 1203\n{PROSE}")
    question = "What is the value of brass-owl?"
    assert nano.answer(Request(question, right)).text == "44170"
    assert "44170" not in nano.answer(Request(question, wrong)).text


@pytest.mark.parametrize("preset", ["nano", "nano-dense"])
def test_pages_of_its_presets_are_read_word_for_word(nano: NanoReader, preset: str):
    text = PROSE * 4 + "\nowl-nest: 4417 (see p. 12); 5% of 'Ab3Xy'\n" + PROSE * 2
    (page,) = pages_of(text, preset)
    read_aloud = " ".join(nano.transcribe(page).text.split())
    wrong = sum(a != b for a, b in zip(read_aloud, " ".join(text.split()), strict=False))
    assert wrong <= 3
    assert abs(len(read_aloud) - len(" ".join(text.split()))) <= 3


def test_one_line_is_read_from_a_text_or_from_an_image(nano: NanoReader, tmp_path: Path):
    lines = ["first line of all", "", "the third, after a blank one"]
    path = tmp_path / "page.png"
    (page,) = pages_of("\n".join(lines))
    Image.fromarray(page.gray()).save(path)
    assert isinstance(nano, LineReader)
    for source in ("\n".join(lines), path):
        for number, line in enumerate(lines, 1):
            assert read(source, line=number, reader=nano).text == line
    with pytest.raises(ReaderError, match="page 1 has no line 99; it has lines 1 to 32"):
        read(path, line=99, reader=nano)


def test_other_questions_are_answered_from_what_was_read(nano: NanoReader):
    pages = pages_of(TEXT)
    assert nano.answer(Request("Does tin-fox appear?", pages)).text == "yes"
    assert nano.answer(Request("Does zinc-eel appear?", pages)).text == "no"
    answer = nano.answer(Request("Continue the quotation: light every lamp", pages))
    assert answer.text.startswith("in the long gallery at dusk")
    answer = nano.answer(Request("What does line 2 of page 1 say?", pages))
    first = pages[0].layout.lines
    assert answer.text == TEXT[first.start_L[1] : first.end_L[1]].strip()


@pytest.mark.parametrize("preset", ["dark", "glyph-en-72", "aligned-28"])
def test_pages_of_another_style_are_refused_by_name(nano: NanoReader, preset: str):
    page = pages_of(PROSE * 20, preset)[0]
    with pytest.raises(ReaderError, match="--preset nano or nano-dense, or use --reader ocr"):
        nano.transcribe(page)


def test_pages_of_an_earlier_question_are_not_encoded_again(
    nano: NanoReader, monkeypatch: pytest.MonkeyPatch
):
    pages = pages_of(f"kettle-pond: 90817\n{TEXT}", "nano-dense")
    first = nano.answer(Request("What is the value of kettle-pond?", pages))
    monkeypatch.setattr(nano.network, "encode", None)
    second = nano.answer(Request("What is the value of tin-fox?", pages))
    assert (first.text, second.text) == ("90817", "Ab3Xy")


def test_typographic_quotes_and_dashes_are_read_as_ascii(nano: NanoReader):
    text = "\u201cYes,\u201d she said \u2014 and it wasn\u2019t so\u2026 " * 30
    (page, *_) = pages_of(text, "nano")
    lines = nano.transcribe(page).text.split("\n")
    assert lines[0].startswith('"Yes," she said - and it wasn\'t so. "Yes,"')


@pytest.mark.parametrize("preset", ["nano", "nano-dense"])
def test_uuids_are_read_whole_over_line_ends(nano: NanoReader, preset: str):
    key, value = "455ac762-7428-4656-b3ee-4d3b5a104129", "1ee34dc4-3b04-4a8b-805b-fdc94e7ed827"
    text = f"{PROSE}\nOne of the special magic uuids for {key} is: {value}.\n{PROSE}"
    question = f"What is the special magic uuid for {key} mentioned in the provided text?"
    assert nano.answer(Request(question, pages_of(text, preset))).text == value
