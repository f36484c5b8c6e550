"""The probe: its distances against a slow oracle, its rates, and a real reader."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph.errors import ConfigError
from glyph.pages import Page
from glyph.presets import load_preset
from glyph.probe import (
    MAX_LINES,
    Confusion,
    ProbeResult,
    alignment,
    bootstrap_interval,
    legibility,
    probe,
)
from glyph.readers import Answer, ReadLine, Request, Transcript, open_reader
from glyph.render import render_pages

SHORT = st.text("abc ", max_size=9)


def slow_distance(one: str, other: str) -> int:
    """Return the edit distance by its definition."""

    @cache
    def of(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        same = of(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(same, of(i - 1, j) + 1, of(i, j - 1) + 1)

    return of(len(one), len(other))


@given(SHORT, SHORT)
def test_an_alignment_has_as_few_edits_as_the_definition_allows(one: str, other: str) -> None:
    assert len(alignment(one, other)) == slow_distance(one, other)


@given(st.text(max_size=40), st.text(max_size=40))
def test_the_edits_of_an_alignment_lead_from_one_string_to_the_other(one: str, other: str) -> None:
    made, at = "", 0
    for position, old, new in alignment(one, other):
        assert position >= at
        assert one[position : position + len(old)] == old
        assert old != new
        made += one[at:position] + new
        at = position + len(old)
    assert made + one[at:] == other


def test_a_long_page_is_aligned_in_full() -> None:
    text = "".join(chr(97 + i * i % 26) for i in range(5_000))
    read = text[:1_000] + text[1_001:3_000] + "#" + text[3_001:] + "!"
    steps = alignment(text, read)
    assert len(steps) == 3
    assert steps[1] == (3_000, text[3_000], "#")


def test_perfect_reading_has_no_errors_however_lines_are_broken() -> None:
    found = legibility(["one two", "three four"], " one\ntwo  three\n\nfour\n")
    assert (found.cer, found.cer_low, found.cer_high, found.exact) == (0, 0, 0, 1)
    assert (found.num_chars, found.num_errors, found.confusions) == (18, 0, ())


def test_errors_are_counted_per_character_word_and_pair() -> None:
    found = legibility(["l0l 1ab", "cd efg"], "101 1ab cd ef")
    assert found.num_chars == len("l0l 1ab cd efg")
    assert found.num_errors == 3
    assert found.cer == 3 / 14
    assert found.exact == 2 / 4
    assert found.confusions == (Confusion("l", "1", 2), Confusion("g", "", 1))


def test_reading_nothing_or_far_too_much_is_no_crash() -> None:
    truth = ["abc def", "ghi jkl"]
    assert legibility(truth, "").cer == 1
    assert legibility(truth, "").exact == 0
    assert legibility(truth, "x" * 1_000_000).cer == 3


def test_the_interval_holds_the_rate_and_narrows_with_more_lines() -> None:
    rng = np.random.default_rng(5)
    few, many = rng.binomial(50, 0.04, 10), rng.binomial(50, 0.04, 1_000)
    widths: list[float] = []
    for errors in (few, many):
        chars = np.full(len(errors), 50)
        low, high = bootstrap_interval(errors, chars)
        assert low <= errors.sum() / chars.sum() <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 5


class Garbled:
    """A reader whose every page reads the same."""

    name = "garbled"

    def __init__(self, text: str):
        self.text = text
        self.pages: list[Page] = []

    def transcribe(self, page: Page) -> Transcript:
        self.pages.append(page)
        return Transcript((ReadLine(self.text, None, None),))

    def answer(self, request: Request) -> Answer:
        raise AssertionError("not asked")


def test_a_reader_that_reads_nothing_right_is_told_so() -> None:
    result = probe(Garbled("#"), load_preset("aligned-28"), lines=4)
    assert result.words.cer > 0.9
    assert result.strings.cer > 0.9
    assert result.verdict == "cannot read this preset: raise dpi or font_size_pt."


def test_the_text_of_a_probe_depends_on_its_seed_only() -> None:
    config = load_preset("aligned-28")
    digests: list[list[str]] = []
    for seed in (1, 1, 2):
        reader = Garbled("")
        probe(reader, config, seed=seed, lines=3)
        digests.append([page.digest for page in reader.pages])
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("preset", ["aligned-28", "columns", "glyph-zh-72", "web", "aligned-512"])
def test_no_string_of_a_probe_is_broken_over_lines(preset: str) -> None:
    reader = Garbled("")
    probe(reader, load_preset(preset), lines=5)
    _, *strings = reader.pages
    num_lines = sum(len(page.layout.lines.start_L) for page in strings)
    assert num_lines == 5


def test_markers_and_labels_are_not_part_of_a_probe() -> None:
    config = load_preset("aligned-28").replace(newline_marker="\\n", page_label="number")
    reader = Garbled("")
    result = probe(reader, config, lines=3)
    assert all(page.layout.label is None for page in reader.pages)
    assert result.config_digest == config.digest


@pytest.mark.parametrize("lines", [-1, 1, MAX_LINES + 1])
def test_a_probe_of_too_few_or_too_many_lines_is_refused(lines: int) -> None:
    with pytest.raises(ConfigError) as caught:
        probe(Garbled(""), load_preset("aligned-28"), lines=lines)
    assert str(caught.value) == f"lines is {lines}; 2 to 100 are accepted."


@pytest.fixture(scope="module")
def probed() -> ProbeResult:
    pytest.importorskip("rapidocr", reason="the reader needs the extra [ocr]")
    return probe(open_reader("ocr", threads=1), load_preset("aligned-28"), lines=6)


def test_the_ocr_reader_reads_words_of_the_default_preset(probed: ProbeResult) -> None:
    assert probed.words.cer < 0.02
    assert probed.strings.cer < 0.1
    assert probed.verdict.startswith("reads words")
    assert probed.num_pages == 2


def test_blurred_pages_are_read_worse(probed: ProbeResult) -> None:
    class Blurred:
        name = "blurred"

        def __init__(self) -> None:
            self.reader = open_reader("ocr", threads=1)

        def transcribe(self, page: Page) -> Transcript:
            gray_HW = page.gray().astype(int)
            for axis in (0, 1, 0, 1):
                gray_HW = (gray_HW + np.roll(gray_HW, 1, axis) + np.roll(gray_HW, -1, axis)) // 3
            return self.reader.transcribe(
                Page(gray_HW.astype(np.uint8), page.palette_C3, page.layout)
            )

        def answer(self, request: Request) -> Answer:
            return self.reader.answer(request)

    blurred = probe(Blurred(), load_preset("aligned-28"), lines=6)
    assert blurred.strings.cer > 2 * probed.strings.cer + 0.02


def test_lines_of_a_probe_stay_within_the_page() -> None:
    narrow = load_preset("aligned-28").replace(page_width_pt=112)
    reader = Garbled("")
    probe(reader, narrow, lines=3)
    assert all(page.width_px <= 112 for page in reader.pages)
    assert len(list(render_pages("x", narrow))) == 1
