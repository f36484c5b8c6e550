"""The reader that reads pixels: what it reads, what it answers, what it refuses."""

import random
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glyph import ConfigError, Page, Request, open_reader
from glyph.readers.extract import NOT_FOUND
from glyph.readers.ocr import OcrReader
from glyph.readers.passages import Passages
from glyph.readers.protocol import ReadLine

PagesOf = Callable[..., list[Page]]

PROSE = (
    "There was no possibility of taking a walk that day. We had been wandering, indeed, in the "
    "leafless shrubbery an hour in the morning; but since dinner (Mrs. Reed, when there was no "
    "company, dined early) the cold winter wind had brought with it clouds so sombre, and a rain "
    "so penetrating, that further out-door exercise was now out of the question. I was glad of "
    "it: I never liked long walks, especially on chilly afternoons: dreadful to me was the coming "
    "home in the raw twilight, with nipped fingers and toes, and a heart saddened by the chidings "
    "of Bessie, the nurse."
)


def edits(wanted: str, got: str) -> int:
    """Return the edit distance, from its recurrence."""
    row = list(range(len(got) + 1))
    for i, a in enumerate(wanted, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(got, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def error_rate(ocr: OcrReader, pages: list[Page], text: str) -> float:
    read = Passages([ocr.transcribe(page) for page in pages]).text
    return edits(" ".join(text.split()), " ".join(read.split())) / len(text)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"dpi": 96},
        {"line_height_pt": 9},
        {"columns": 2, "alignment": "justify"},
        {"page_color": "#1E1E1E", "paragraph_color": "#1E1E1E", "font_color": "#D4D4D4"},
        {"page_color": "#EDEDED", "paragraph_color": "#FFFFFF", "border_width_pt": 1},
    ],
    ids=["9 px", "12 px", "no leading", "two columns", "dark", "border"],
)
def test_prose_is_read_with_less_than_one_wrong_letter_in_a_hundred(
    fields: dict[str, object], ocr: OcrReader, pages_of: PagesOf
):
    assert error_rate(ocr, pages_of(PROSE, **fields), PROSE) < 0.01


def test_random_strings_are_read_with_less_than_two_wrong_letters_in_a_hundred(
    ocr: OcrReader, pages_of: PagesOf
):
    rng = random.Random(11)
    alphabets = (string.hexdigits[:16], string.ascii_letters + string.digits, string.digits)
    words = ["".join(rng.choices(rng.choice(alphabets), k=rng.choice((8, 16)))) for _ in range(40)]
    text = " ".join(words)
    assert error_rate(ocr, pages_of(text), text) < 0.02


def test_chinese_and_accented_letters_are_read(ocr: OcrReader, pages_of: PagesOf):
    text = "话说天下大势，分久必合，合久必分。"
    assert error_rate(ocr, pages_of(text, font_size_pt=12, line_height_pt=14), text) < 0.1
    text = "Ça a été très élégant, à Málaga, Köln und Århus."
    assert error_rate(ocr, pages_of(text, dpi=96), text) < 0.1


def test_a_script_outside_the_alphabet_is_not_passed_off_as_read(ocr: OcrReader, pages_of: PagesOf):
    lines = ocr.transcribe(pages_of("Все люди рождаются свободными и равными")[0]).lines
    assert not any("\u0400" <= char <= "\u04ff" for line in lines for char in line.text)
    assert all(line.confidence is not None and line.confidence < 0.9 for line in lines)


def test_words_far_apart_on_a_line_are_read_as_words(ocr: OcrReader, pages_of: PagesOf):
    page = pages_of(f"{'first cell':60s}second cell", font_family="DejaVu Sans Mono")[0]
    assert [line.text for line in ocr.transcribe(page).lines] == ["first cell second cell"]


def test_every_character_is_placed_where_the_layout_drew_it(ocr: OcrReader, pages_of: PagesOf):
    text = "Whatever is read is led back to its place."
    page = pages_of(text)[0]
    (line,) = ocr.transcribe(page).lines
    assert line.text == text and line.box is not None
    middle_px = (line.box.top_px + line.box.bottom_px) / 2
    found = [page.layout.char_at(x_px, middle_px) for x_px in line.x_px]
    assert all(at is not None and abs(at - i) <= 1 for i, at in enumerate(found))


def test_a_page_is_read_once_and_then_remembered_by_its_pixels(ocr: OcrReader, pages_of: PagesOf):
    first, again = pages_of("Read me once.")[0], pages_of("Read me once.")[0]
    assert first is not again
    assert ocr.transcribe(first) is ocr.transcribe(again)


def test_a_blank_page_has_no_lines_and_answers_nothing(ocr: OcrReader, pages_of: PagesOf):
    page = pages_of("x")[0]
    blank = Page(np.full_like(page.plane_HW, 255), page.palette_C3, page.layout)
    assert ocr.transcribe(blank).lines == ()
    answer = ocr.answer(Request("Where is the needle?", (blank,)))
    assert answer.text == NOT_FOUND
    assert (answer.pages, answer.box, answer.quote, answer.confidence) == ((), None, "", 0.0)


# -- answers ---------------------------------------------------------------------------------

NEEDLE = "The special magic number for amber-finch is: 7418296."


def haystack(num_before: int, num_after: int) -> str:
    return "\n".join([PROSE] * num_before + [NEEDLE] + [PROSE] * num_after)


def test_the_needle_is_found_with_its_page_and_the_box_of_its_words(
    ocr: OcrReader, pages_of: PagesOf
):
    text = haystack(3, 1)
    pages = pages_of(text, page_height_pt=130)
    question = "What is the special magic number for amber-finch mentioned in the provided text?"
    answer = ocr.answer(Request(question, tuple(pages)))
    assert answer.text == "7418296"
    assert answer.quote == NEEDLE
    start = text.index(NEEDLE)
    home = next(page for page in pages if page.start <= start < page.end)
    assert answer.pages == (home.index,) and answer.box is not None
    (expected,) = home.layout.boxes(start, start + len(NEEDLE))
    assert abs(answer.box.left_px - expected.left_px) <= 3
    assert abs(answer.box.right_px - expected.right_px) <= 3
    assert expected.top_px <= answer.box.top_px < answer.box.bottom_px <= expected.bottom_px + 1
    assert answer.reader == "ocr"
    assert answer.confidence is not None and answer.confidence > 0.9
    assert answer.usage.input_tokens is None


def test_reading_stops_early_only_once_the_key_is_found(ocr: OcrReader, pages_of: PagesOf):
    seen: list[tuple[int, int]] = []
    reader = OcrReader(threads=1, on_page=lambda read, total: seen.append((read, total)))
    pages = tuple(pages_of(haystack(0, 4), page_height_pt=60))
    assert len(pages) > 3
    reader.answer(Request("What is the special magic number for amber-finch?", pages))
    assert seen == [(1, len(pages))]
    seen.clear()
    answer = reader.answer(Request("What is the special magic number for amber-finches?", pages))
    assert seen[-1] == (len(pages), len(pages))
    assert answer.confidence is not None and answer.confidence < 0.8


def test_a_question_in_words_is_answered_with_the_sentence_that_holds_it(
    ocr: OcrReader, pages_of: PagesOf
):
    pages = tuple(pages_of(PROSE + "\nThe coachman set me down at a place called Whitcross."))
    answer = ocr.answer(Request("At which place did the coachman set the traveller down?", pages))
    assert "Whitcross" in answer.text
    assert answer.quote.startswith("The coachman set me down")


# -- opening ---------------------------------------------------------------------------------


def test_a_reader_is_opened_by_name():
    assert open_reader("ocr", threads=1).name == "ocr"


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (
            "orc",
            {},
            "unknown reader 'orc'; did you mean 'ocr'? known readers: nano, ocr, openai:MODEL.",
        ),
        ("zzz", {}, "unknown reader 'zzz'; known readers: nano, ocr, openai:MODEL."),
        ("ocr:v5", {}, "reader 'ocr' takes no model, but 'ocr:v5' names one; write 'ocr'."),
        ("openai", {}, "reader 'openai' needs a model; write openai:MODEL"),
        (
            "ocr",
            {"model": 1},
            "reader 'ocr' has no option 'model'; it takes threads, on_page, cache.",
        ),
        ("ocr", {"threads": 0}, "threads is 0; at least 1 is accepted, or None for all."),
    ],
)
def test_a_wrong_name_or_option_says_what_is_known(
    spec: str, options: dict[str, object], message: str
):
    with pytest.raises(ConfigError) as caught:
        open_reader(spec, **options)
    assert message in str(caught.value)


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PATH": "", "PYTHONPATH": environment.get("PYTHONPATH", "")},
    )  # fmt: skip
    return done.stdout.strip()


def test_importing_the_readers_loads_no_recogniser_and_no_client():
    heavy = "{'onnxruntime', 'rapidocr', 'openai', 'cv2'} & set(sys.modules)"
    assert run_python(f"import sys, glyph, glyph.readers; print({heavy})") == "set()"


def test_reading_loads_neither_a_detector_nor_opencv(ocr: OcrReader):
    code = (
        "import sys; from glyph import open_reader; open_reader('ocr'); print('cv2' in sys.modules)"
    )
    assert run_python(code) == "False"


def test_a_missing_extra_is_named_with_the_command_that_installs_it():
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from glyph import ReaderError, open_reader\n"
        "try: open_reader('ocr')\n"
        "except ReaderError as error: print(error)"
    )
    expected = "reader 'ocr' needs onnxruntime; install it with: pip install 'glyph-context[ocr]'"
    assert run_python(code) == expected


def test_a_package_without_weights_is_told_apart(tmp_path: Path):
    (tmp_path / "rapidocr" / "models").mkdir(parents=True)
    (tmp_path / "rapidocr" / "__init__.py").touch()
    code = (
        "from glyph import ReaderError, open_reader\n"
        "try: open_reader('ocr')\n"
        "except ReaderError as error: print(error)"
    )
    said = run_python(code, PYTHONPATH=str(tmp_path))
    assert said.startswith("rapidocr is installed without its weights (no PP-OCR*_rec_*.onnx in")
    assert "pip install --force-reinstall" in said


def test_part_of_a_line_without_places_has_the_line_s_box():
    assert ReadLine("words", None, None).box_of(1, 3) is None
