"""Fitness: what is read, what it costs, and when reading stops."""

from pathlib import Path

import numpy as np
import pytest
from search_texts import TINY

from glyph import Answer, Page, RenderConfig, Request, measure
from glyph.errors import ConfigError, ReaderError
from glyph.presets import load_preset
from glyph.readers import Transcript
from glyph.readers.ocr import OcrReader
from glyph.search.fitness import Fitness, Rival
from glyph.search.readings import Readings
from glyph.search.validation import SetSize, questions_from_texts


def test_the_ratio_is_what_measure_says_of_the_same_text(fitness: Fitness) -> None:
    config = load_preset("aligned-28-dense")
    price = fitness.price(config)
    found = measure(fitness.validation.priced_text, preset=config, models=["glm-4.1v"])
    assert price.ratio == found.costs[0].ratio


def test_clear_pages_are_read_and_pages_of_four_pixels_are_not(fitness: Fitness) -> None:
    clear = load_preset("aligned-28")
    measured = fitness.measure(clear, fitness.price(clear))
    assert measured.accuracy > 0.95
    assert measured.is_full
    assert measured.accuracy_low <= measured.accuracy <= measured.accuracy_high
    tiny = RenderConfig(font_size_pt=5, line_height_pt=5, dpi=60, horizontal_scale=0.6)
    lost = fitness.measure(tiny, fitness.price(tiny))
    assert lost.accuracy < 0.6


def test_a_candidate_far_behind_a_denser_rival_is_given_up_after_a_passage(
    fitness: Fitness,
) -> None:
    tiny = RenderConfig(font_size_pt=5, line_height_pt=5, dpi=60, horizontal_scale=0.6)
    price = fitness.price(tiny)
    rival = Rival(price.ratio + 1, (1.0,) * fitness.validation.num_questions)
    measured = fitness.measure(tiny, price, [rival])
    assert not measured.is_full
    assert len(measured.scores) == len(fitness.validation.passages[0].questions)
    clear = load_preset("aligned-28")
    assert fitness.measure(clear, fitness.price(clear), [rival]).is_full


def test_what_was_read_is_not_read_again_even_by_another_process(
    text: str, ocr: OcrReader, tmp_path: Path
) -> None:
    validation = questions_from_texts([text], size=SetSize(1, 160))
    config = load_preset("aligned-28")
    asked: list[int] = []
    for _ in range(2):
        readings = Readings(ocr, tmp_path / "readings.sqlite")
        fitness = Fitness(validation, readings, "glm-4.1v", sees_itself=False)
        fitness.measure(config, fitness.price(config))
        asked.append(readings.num_asked)
        readings.close()
    assert asked[0] > 0
    assert asked[1] == 0


def test_a_reader_without_a_model_sees_pages_as_the_priced_model_would(fitness: Fitness) -> None:
    config = RenderConfig(crop_width=False)
    price = fitness.price(config)
    assert price.seen_scale == (588 / 595, 840 / 842)
    (page,) = fitness.pages(fitness.validation.passages[0], config, price)
    assert page.width_px == 588
    assert page.gray().min() < 128


def test_a_page_the_model_would_shrink_is_read_shrunk(fitness: Fitness) -> None:
    huge = RenderConfig(dpi=300, page_width_pt=1224, page_height_pt=1224, crop_width=False)
    price = fitness.price(huge)
    assert max(price.seen_scale) < 0.95
    (page,) = fitness.pages(fitness.validation.passages[0], huge, price)
    assert page.width_px == round(5100 * price.seen_scale[0])


def test_a_needle_across_pages_is_shown_as_the_rows_on_both_sides(text: str) -> None:
    validation = questions_from_texts([text], size=SetSize(1, 160, with_cross_page=True))
    passage = validation.passages[-1]
    fitness = Fitness(validation, None, "glm-4.1v", sees_itself=True)  # type: ignore[arg-type]
    config = RenderConfig(page_height_pt=120, crop_last_page=False)
    pages = fitness.pages(passage, config, fitness.price(config))
    assert len(pages) == 2
    assert all(page.height_px < 60 for page in pages)
    assert pages[0].layout.end == pages[1].layout.start
    whole = RenderConfig(page_height_pt=9000)
    assert len(fitness.pages(passage, whole, fitness.price(whole))) == 1


class Failing:
    """A reader that fails on every page wider than it is high."""

    name = "failing"

    def answer(self, request: Request) -> Answer:
        raise ReaderError("the answer is not to be had")

    def transcribe(self, page: Page) -> Transcript:
        if page.width_px > 500:
            raise ReaderError("the page is too wide")
        return Transcript(())


def test_a_reader_that_fails_on_some_pages_scores_nothing_there_and_says_why(
    text: str, tmp_path: Path
) -> None:
    validation = questions_from_texts([text], size=TINY)
    readings = Readings(Failing(), tmp_path / "readings.sqlite")
    fitness = Fitness(validation, readings, "glm-4.1v", sees_itself=True)
    narrow = RenderConfig(page_width_pt=300)
    some = fitness.measure(narrow, fitness.price(narrow))
    assert some.failures == ("the answer is not to be had",)
    assert 0 < some.num_failed < len(some.scores)
    assert not some.is_unread
    wide = RenderConfig()
    assert fitness.measure(wide, fitness.price(wide)).is_unread


def test_equal_pages_have_one_key_and_other_prices_another(fitness: Fitness) -> None:
    plain, bordered = RenderConfig(), RenderConfig(border_color="#123456")
    assert plain != bordered
    keys = [fitness.page_key(config, fitness.price(config)) for config in (plain, bordered)]
    assert keys[0] == keys[1]
    other = RenderConfig(page_height_pt=400)
    assert fitness.page_key(other, fitness.price(other)) != keys[0]


def test_a_file_that_is_no_cache_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "readings.sqlite"
    path.write_text("my diary, " * 400)
    with pytest.raises(ConfigError, match="no cache of readings"):
        Readings(Failing(), path)
    assert path.read_text().startswith("my diary")


def test_the_bootstrap_does_not_depend_on_the_run(fitness: Fitness) -> None:
    clear = load_preset("aligned-28")
    one, two = (fitness.measure(clear, fitness.price(clear)) for _ in range(2))
    assert np.allclose(one.scores, two.scores)
    assert (one.accuracy_low, one.accuracy_high) == (two.accuracy_low, two.accuracy_high)
