"""Lines found from pixels, against the layout that put them there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph import Page
from glyph.pages import SUBPIXELS, Box
from glyph.readers.textlines import TextLine, find_lines, ink_of, line_ink

PagesOf = Callable[..., list[Page]]

PROSE = (
    "There was no possibility of taking a walk that day. We had been wandering, indeed, in the "
    "leafless shrubbery an hour in the morning; but since dinner (Mrs. Reed, when there was no "
    "company, dined early) the cold winter wind had brought with it clouds so sombre, and a rain "
    "so penetrating, that further out-door exercise was now out of the question.\n"
    "I was glad of it: I never liked long walks, especially on chilly afternoons.\n"
) * 8

SETTINGS: dict[str, dict[str, Any]] = {
    "the default": {},
    "96 dpi": {"dpi": 96},
    "a pitch between pixels": {"dpi": 80},
    "no leading": {"line_height_pt": 9},
    "wide leading": {"line_height_pt": 15},
    "small letters": {"font_size_pt": 7, "line_height_pt": 8},
    "large letters": {"dpi": 200},
    "two columns": {"columns": 2},
    "three justified columns": {"columns": 3, "page_width_pt": 842, "alignment": "justify"},
    "right": {"alignment": "right"},
    "centre": {"alignment": "center"},
    "dark": {"page_color": "#1E1E1E", "paragraph_color": "#1E1E1E", "font_color": "#D4D4D4"},
    "paragraphs on a ground of their own": {
        "page_color": "#EDEDED", "paragraph_color": "#FFFFFF", "space_before_pt": 7,
    },
    "dark paragraphs on black": {
        "page_color": "#000000", "paragraph_color": "#1D1D1D", "font_color": "#E6E6E6",
    },
    "borders": {"border_width_pt": 1, "border_padding_pt": 2, "space_after_pt": 4},
    "newline marks": {"newline_marker": " \\n "},
    "mono": {"font_family": "DejaVu Sans Mono"},
}  # fmt: skip


def lines_of(page: Page) -> list[TextLine]:
    return find_lines(ink_of(page.gray()))


def inked_lines(page: Page, text: str) -> list[int]:
    starts, ends = page.layout.lines.start_L, page.layout.lines.end_L
    return [
        i
        for i, (start, end) in enumerate(zip(starts, ends, strict=True))
        if text[start:end].strip()
    ]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_line_of_the_layout_is_found_from_the_pixels_in_reading_order(
    name: str, pages_of: PagesOf
):
    for page in pages_of(PROSE, page_height_pt=420, **SETTINGS[name]):
        truth = page.layout.lines
        expected = inked_lines(page, PROSE)
        found = lines_of(page)
        assert len(found) == len(expected)
        for line, i in zip(found, expected, strict=True):
            middle_px = (line.box.top_px + line.box.bottom_px) / 2
            assert truth.top_L[i] <= middle_px < truth.bottom_L[i]
            assert abs(line.box.left_px - truth.left64_L[i] / SUBPIXELS) <= 4
            assert line.top_px <= line.box.top_px < line.box.bottom_px <= line.bottom_px


@pytest.mark.parametrize("dpi", [60, 66, 72, 84, 96])
def test_lines_of_ideographs_that_touch_those_below_are_told_apart(dpi: int, pages_of: PagesOf):
    text = (
        "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。及秦灭之后，楚、汉分争，又并入于汉。"
        * 12
    )
    page = pages_of(text, dpi=dpi, line_height_pt=9.3333)[0]
    assert len(lines_of(page)) == len(inked_lines(page, text)) > 5


def test_a_page_label_is_read_after_the_columns_it_stands_between(pages_of: PagesOf):
    page = pages_of(PROSE, columns=2, page_height_pt=200, page_label="number")[0]
    last = lines_of(page)[-1]
    assert last.box.top_px >= page.layout.lines.bottom_L.max()
    assert last.box.right_px - last.box.left_px < 12


def test_a_gap_in_one_place_of_a_code_page_makes_no_columns(pages_of: PagesOf):
    text = "\n".join(["first = call_of_something(argument)"] * 5 + [f"{'x = 1':60s}# here"] * 2)
    page = pages_of(text, font_family="DejaVu Sans Mono")[0]
    tops = [line.box.top_px for line in lines_of(page)]
    assert tops == sorted(tops) and len(tops) == 7


def test_small_marks_stand_at_their_height_in_a_window_of_common_size(pages_of: PagesOf):
    full = "High glyphs, kept apart\n" * 3
    page = pages_of(f"{full}____\n{full}''''\n{full}low glyphs")[0]
    found = lines_of(page)
    assert len(found) == 12
    height = found[0].bottom_px - found[0].top_px
    underscores, quotes = found[3], found[7]
    for line in (underscores, quotes):
        assert abs(line.bottom_px - line.top_px - height) <= 1
    assert underscores.box.top_px - underscores.top_px > height / 2
    assert quotes.bottom_px - quotes.box.bottom_px > height / 2


def drawn(art: str) -> np.ndarray:
    return np.array([[255 * (c == "#") for c in row] for row in art.split()], np.uint8)


def test_a_neighbour_s_tips_are_taken_out_of_a_line_and_its_own_marks_stay():
    # A line in rows 2 to 5: a tip hangs in from above, one stands up from below. The line has an
    # ascender at the right, a descender that ends in the next line's row, and an underscore.
    ink_HW = drawn("""
        ...#.......
        ...#.......
        ...#.....#.
        .........#.
        .###....##.
        .#.#.##.#..
        .#........#
        ..........#
    """)
    line = TextLine(Box(1, 2, 10, 6), 2, 7, touches_above=True, touches_below=True)
    assert (
        line_ink(ink_HW, line, 0, 11).tolist()
        == drawn("""
        .........#.
        .........#.
        .###....##.
        .#.#.##.#..
        .#.........
    """).tolist()
    )


def test_ink_is_the_same_on_light_and_on_dark(pages_of: PagesOf):
    light = ink_of(pages_of("Ink", font_color="#000000")[0].gray())
    inverse = {"page_color": "#000000", "paragraph_color": "#000000", "font_color": "#FFFFFF"}
    dark = ink_of(pages_of("Ink", **inverse)[0].gray())
    assert np.abs(light.astype(int) - dark).max() <= 1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_page_of_one_colour_has_no_lines(level: int):
    assert find_lines(ink_of(np.full((50, 80), level, np.uint8))) == []


@given(st.integers(1, 40), st.integers(1, 60), st.randoms(use_true_random=False))
def test_whatever_the_pixels_the_boxes_lie_on_the_page_and_hold_ink(
    height: int, width: int, random: Any
):
    gray_HW = np.array(
        [[random.choice([0, 90, 255, 255, 255]) for _ in range(width)] for _ in range(height)],
        np.uint8,
    )
    ink_HW = ink_of(gray_HW)
    for line in find_lines(ink_HW):
        box = line.box
        assert 0 <= line.top_px <= box.top_px < box.bottom_px <= line.bottom_px <= height
        assert 0 <= box.left_px < box.right_px <= width
        assert ink_HW[box.top_px : box.bottom_px, box.left_px : box.right_px].any()
