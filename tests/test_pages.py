"""From a place on a page to the text and back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph.config import RenderConfig
from glyph.pages import Box, PageLayout
from glyph.presets import load_preset
from glyph.render import render_pages
from square_font import layouts_of, pages_of, square_config


def layout_of(square: Path, text: str, line_em: float, **changes: Any) -> PageLayout:
    return layouts_of(text, square_config(square, line_em=line_em, **changes))[0]


# -- boxes -----------------------------------------------------------------------------------


def test_a_character_has_the_box_of_its_advance_and_its_line(square: Path) -> None:
    page = layout_of(square, "aiW\nb", 6)
    assert page.boxes(0, 1) == [Box(0, 0, 4, 4)]
    assert page.boxes(1, 2) == [Box(4, 0, 6, 4)]
    assert page.boxes(2, 3) == [Box(6, 0, 14, 4)]
    assert page.boxes(4, 5) == [Box(0, 4, 4, 8)]


def test_a_span_over_several_lines_has_one_box_a_line(square: Path) -> None:
    page = layout_of(square, "ab ab ab", 4, page_em=5)
    assert page.boxes(1, 7) == [Box(4, 0, 8, 4), Box(0, 4, 8, 8), Box(0, 8, 4, 12)]


def test_boxes_count_characters_of_the_document_and_not_of_the_page(square: Path) -> None:
    config = square_config(square, line_em=4, page_em=4)
    first, second = layouts_of("ab\n" * 6, config)
    assert first.boxes(12, 14) == [] == second.boxes(0, 3)
    assert second.boxes(12, 14) == [Box(0, 0, 8, 4)] == first.boxes(0, 2)
    assert len(first.boxes(0, 18)) == 4 and len(second.boxes(0, 18)) == 2


def test_nothing_has_no_box(square: Path) -> None:
    page = layout_of(square, "ab", 4)
    assert page.boxes(0, 0) == page.boxes(2, 2) == page.boxes(5, 9) == []


def test_a_line_break_has_no_width(square: Path) -> None:
    page = layout_of(square, "ab\n\nc", 4)
    assert page.boxes(2, 3) == [Box(8, 0, 8, 4)]
    assert page.boxes(3, 4) == [Box(0, 4, 0, 8)]


def test_a_mark_has_the_box_of_its_cluster() -> None:
    page = layouts_of("abc e\u0301fg hijk", RenderConfig())[0]
    (box,) = page.boxes(4, 6)
    assert page.boxes(4, 5) == page.boxes(5, 6) == [box]
    assert 5 <= box.right_px - box.left_px <= 7


def test_right_to_left_characters_have_boxes_from_the_right(square: Path) -> None:
    page = layout_of(square, "אב ג", 5)
    assert [page.boxes(i, i + 1)[0].left_px for i in range(4)] == [16, 12, 8, 4]
    assert page.boxes(0, 2) == [Box(12, 0, 20, 4)]


def test_a_box_in_a_justified_line_is_where_the_glyph_is(square: Path) -> None:
    page = layout_of(square, "a b c d", 6, alignment="justify")
    assert page.boxes(2, 3) == [Box(10, 0, 14, 4)]
    assert page.boxes(1, 2) == [Box(4, 0, 10, 4)]


def test_boxes_of_a_second_column_lie_in_it(square: Path) -> None:
    text = "\n".join("ab ca" for _ in range(8))
    page = layout_of(square, text, 12, page_em=4, columns=2, column_gap_pt=8)
    assert page.boxes(6 * 4, 6 * 4 + 2) == [Box(28, 0, 36, 4)]


# -- characters ------------------------------------------------------------------------------


def test_a_pixel_leads_to_the_character_whose_advance_it_is_in(square: Path) -> None:
    page = layout_of(square, "aiW\nb", 6)
    found = [page.char_at(x + 0.5, 1) for x in range(14)]
    assert found == [0] * 4 + [1] * 2 + [2] * 8
    assert page.char_at(1, 5) == 4


def test_a_pixel_beside_the_lines_leads_nowhere(square: Path) -> None:
    page = layout_of(square, "aiW\nb", 6)
    outside = [(14, 1), (4, 5), (-1, 1), (1, 8), (1, -1)]
    assert [page.char_at(x, y) for x, y in outside] == [None] * 5


def test_a_pixel_in_the_gutter_between_columns_leads_nowhere(square: Path) -> None:
    text = "\n".join("ab ca" for _ in range(8))
    page = layout_of(square, text, 12, page_em=4, columns=2, column_gap_pt=8)
    assert page.char_at(19, 1) == 4
    assert page.char_at(24, 1) is None
    assert page.char_at(29, 1) == 24


def test_a_pixel_of_a_right_to_left_line_leads_to_its_character(square: Path) -> None:
    page = layout_of(square, "אב ג", 5)
    assert [page.char_at(x, 1) for x in (1, 5, 9, 13, 17)] == [None, 3, 2, 1, 0]


def test_the_label_belongs_to_no_character(square: Path) -> None:
    (page,) = layouts_of("ab\nab", square_config(square, line_em=6, page_label="number"))
    assert page.label is not None
    left_px = int(page.label.x64_N[0]) / 64
    assert page.char_at(left_px + 1, int(page.label.baseline_N[0]) - 1) is None


# -- boxes and the text under them ----------------------------------------------------------


@given(st.data())
def test_boxes_and_spans_undo_each_other(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=3))
    text = " ".join(words)
    (page,) = render_pages(text, load_preset("aligned-28"))
    first = data.draw(st.integers(0, len(words) - 1))
    start = len(" ".join(words[:first])) + (first > 0)
    end = start + len(words[first])
    spans = [span for box in page.layout.boxes(start, end) for span in page.layout.spans_under(box)]
    assert "".join(text[a:b] for a, b in spans) == words[first]


@pytest.mark.parametrize("word", ["السلام", "لا", "नमस्ते", "👨‍👩‍👧", "e\u0323", "山水"])
def test_words_of_every_script_are_led_back_whole(word: str) -> None:
    text = f"{word} one {word} {word}\n{word}"
    (page,) = render_pages(text, load_preset("aligned-28"))
    start = -1
    for _ in range(text.count(word)):
        start = text.index(word, start + 1)
        (box,) = page.layout.boxes(start, start + len(word))
        assert page.layout.spans_under(box) == ((start, start + len(word)),)


# -- pages -----------------------------------------------------------------------------------


def test_a_page_knows_its_size_place_and_span(square: Path) -> None:
    pages = pages_of("ab\n" * 6, square_config(square, line_em=4, page_em=4))
    assert [(p.index, p.start, p.end, p.width_px, p.height_px) for p in pages] == [
        (0, 0, 12, 16, 16),
        (1, 12, 18, 16, 8),
    ]
    assert pages[0].rgb().shape == (16, 16, 3)


def test_colours_are_told_from_greys() -> None:
    grey = pages_of("a", RenderConfig(font_color="#333333"))[0]
    tinted = pages_of("a", RenderConfig(font_color="#333334"))[0]
    assert grey.is_gray and not tinted.is_gray
    assert grey.gray().dtype == np.uint8


def test_an_empty_text_has_no_pages(square: Path) -> None:
    assert layouts_of("", square_config(square, line_em=4)) == []


@pytest.mark.parametrize("text", [" ", "\n", "\t", "\u200b", "\u202e", "\ufeff"])
def test_a_text_without_ink_has_one_blank_page(square: Path, text: str) -> None:
    (page,) = pages_of(text, square_config(square, line_em=4))
    assert (page.start, page.end) == (0, 1)
    assert (page.plane_HW == 255).all()
    assert page.height_px == 4
