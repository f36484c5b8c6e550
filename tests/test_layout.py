"""Golden pages, drawn by hand with the square font; see square_font for the shapes."""

from pathlib import Path
from typing import Any

import pytest

from glyph import layout
from glyph.pages import Page
from square_font import assert_page, layouts_of, pages_of, square_config

pytestmark = pytest.mark.usefixtures("kernel_in_use")


def pages(font: Path, text: str, line_em: float, **changes: Any) -> list[Page]:
    return pages_of(text, square_config(font, line_em=line_em, **changes))


def page(font: Path, text: str, line_em: float, **changes: Any) -> Page:
    (only,) = pages(font, text, line_em, **changes)
    return only


# -- lines -----------------------------------------------------------------------------------


def test_glyphs_stand_side_by_side_at_their_own_widths(square: Path) -> None:
    found = page(square, "aibWc", 6)
    assert_page(
        found,
        """
        #########___
        ###__######_
        """,
    )


def test_a_line_breaks_at_the_last_blank_that_leaves_room(square: Path) -> None:
    found = page(square, "ab c d", 4)
    assert_page(
        found,
        """
        ####____
        ##____##
        #_______
        #_______
        """,
    )


def test_blanks_at_the_end_of_a_line_hang_and_are_not_carried_over(square: Path) -> None:
    found = page(square, "ab      c", 4)
    assert_page(
        found,
        """
        ####____
        ##______
        ________
        ##______
        """,
    )


def test_blanks_at_the_start_of_a_paragraph_stay(square: Path) -> None:
    found = page(square, "  a\n b", 4)
    assert_page(
        found,
        """
        ____##__
        ____##__
        __##____
        ________
        """,
    )


def test_a_word_longer_than_the_line_is_cut(square: Path) -> None:
    found = page(square, "a abcdabcd", 4)
    assert_page(
        found,
        """
        ##______
        ##______
        ####__#_
        ##__###_
        ####__#_
        ##__###_
        """,
    )


def test_a_glyph_wider_than_the_line_stands_alone_on_it(square: Path) -> None:
    # The marker is one glyph of five ems on lines of four.
    found = page(square, "a\nb", 4, newline_marker="↵" * 5)
    assert_page(
        found,
        """
        ##______
        ##______
        *_*_*_*_
        _*_*_*_*
        ##______
        ________
        """,
    )


def test_line_feeds_end_lines_and_empty_lines_keep_their_height(square: Path) -> None:
    found = page(square, "a\n\nb\n", 4)
    assert_page(
        found,
        """
        ##______
        ##______
        ________
        ________
        ##______
        ________
        """,
    )


@pytest.mark.parametrize("break_text", ["\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_other_mandatory_breaks_end_lines_too(square: Path, break_text: str) -> None:
    found = page(square, f"a{break_text}b", 4)
    assert_page(
        found,
        """
        ##______
        ##______
        ##______
        ________
        """,
    )


# -- alignment -------------------------------------------------------------------------------


def test_right_aligned_lines_end_at_the_right_edge(square: Path) -> None:
    found = page(square, "ab c d", 5, alignment="right")
    assert_page(
        found,
        """
        __####____
        __##____##
        ________#_
        ________#_
        """,
    )


def test_centred_lines_share_out_what_is_left(square: Path) -> None:
    found = page(square, "ab c d", 5, alignment="center")
    assert_page(
        found,
        """
        _####_____
        _##____##_
        ____#_____
        ____#_____
        """,
    )


def test_justified_lines_are_stretched_but_not_the_last_of_a_paragraph(square: Path) -> None:
    found = page(square, "a b a\nc d b a\n", 6, alignment="justify")
    assert_page(
        found,
        """
        ##__##__##__
        ##______##__
        _____#____##
        ##___#______
        ##__________
        ##__________
        """,
    )


def test_a_justified_line_without_a_gap_stays_at_the_left(square: Path) -> None:
    found = page(square, "abc d", 4, alignment="justify")
    assert_page(
        found,
        """
        ####____
        ##__##__
        #_______
        #_______
        """,
    )


def test_what_does_not_divide_widens_the_first_gaps(square: Path) -> None:
    # 256 units of 1/64 px over three gaps: 86, 85 and 85.
    (found,) = layouts_of("a b a b a a a", square_config(square, line_em=8, alignment="justify"))
    first_line = found.glyphs.x64_N[:8].tolist()
    gaps = [first_line[i + 1] - first_line[i] - 256 for i in (1, 3, 5)]
    assert gaps == [86, 85, 85]


# -- indents and paragraphs ------------------------------------------------------------------


def test_the_first_line_of_each_paragraph_is_indented(square: Path) -> None:
    found = page(square, "a b a b a\nb", 5, first_line_indent_pt=4)
    assert_page(
        found,
        """
        __##__##__
        __##______
        ##__##__##
        ##______##
        __##______
        __________
        """,
    )


def test_a_negative_first_indent_hangs_into_the_left_indent(square: Path) -> None:
    found = page(square, "a b a b a", 5, first_line_indent_pt=-4, left_indent_pt=4)
    assert_page(
        found,
        """
        ##__##__##
        ##______##
        __##__##__
        ______##__
        """,
    )


def test_left_and_right_indents_narrow_every_line(square: Path) -> None:
    found = page(square, "abcd", 5, left_indent_pt=4, right_indent_pt=8)
    assert_page(
        found,
        """
        __####____
        __##______
        ____#_____
        __###_____
        """,
    )


def test_space_between_paragraphs_is_before_and_after_but_not_on_top_of_a_page(
    square: Path,
) -> None:
    found = page(square, "a b\nc d", 4, space_before_pt=2, space_after_pt=4)
    assert_page(
        found,
        """
        ##__##__
        ##______
        ________
        ________
        ________
        ____#___
        ##__#___
        """,
    )


def test_space_after_a_paragraph_does_not_open_a_page(square: Path) -> None:
    found = page(square, "a\nb\nc", 4, page_em=5, space_after_pt=4)
    assert_page(
        found,
        """
        ##______
        ##______
        ________
        ________
        ##______
        ________
        ________
        ________
        ________
        ##______
        """,
    )


# -- columns, pages, labels ------------------------------------------------------------------


def test_columns_are_filled_one_after_the_other(square: Path) -> None:
    first, second = pages(
        square, "a b c d a b c d b", 7, page_em=4, columns=2, column_gap_pt=4, line_height_pt=8
    )
    assert_page(
        first,
        """
        ______________
        ##__##__##__##
        ##______##____
        ______________
        ______________
        ____#_______#_
        ##__#___##__#_
        ______________
        """,
    )
    assert_page(
        second,
        """
        ______________
        ##____________
        ______________
        ______________
        """,
    )


def test_a_page_holds_the_lines_that_fit_and_the_next_takes_over(square: Path) -> None:
    first, second = pages(square, "a\nb\nc\nd\na", 4, page_em=4.4)
    assert_page(
        first,
        """
        ##______
        ##______
        ##______
        ________
        ________
        ##______
        #_______
        #_______
        ________
        """,
    )
    assert_page(
        second,
        """
        ##______
        ##______
        """,
    )
    assert (first.start, first.end, second.start, second.end) == (0, 8, 8, 9)


def test_margins_surround_the_text(square: Path) -> None:
    found = page(square, "abab", 4, margin_x_pt=2, margin_y_pt=4)
    assert_page(
        found,
        """
        ________
        ________
        _######_
        _##__##_
        _##_____
        ________
        ________
        ________
        """,
    )


def test_the_page_label_takes_the_place_of_the_last_line(square: Path) -> None:
    first, second = pages(square, "a b c d e b", 4, page_em=4, page_label="number", margin_y_pt=2)
    assert_page(
        first,
        """
        ________
        ##__##__
        ##______
        ____#___
        ##__#___
        ____#___
        ____#___
        ________
        """,
    )
    assert_page(
        second,
        """
        ________
        _#__##__
        _#______
        ___##___
        ___#____
        ________
        """,
    )


def test_a_page_cropped_to_narrow_lines_still_shows_its_whole_label(square: Path) -> None:
    text = "\n".join("i" * 22)
    last = pages(
        square, text, 4, page_em=4, line_height_pt=8, page_label="number", crop_width=True
    )[-1]
    assert_page(
        last,
        """
        ____
        #___
        #___
        ____
        ____
        ####
        #_#_
        ____
        """,
    )


# -- cropping --------------------------------------------------------------------------------


def test_width_is_cropped_to_the_widest_line_and_the_right_margin(square: Path) -> None:
    found = page(square, "ab\nc", 8, crop_width=True, margin_x_pt=2)
    assert_page(
        found,
        """
        _####_
        _##___
        ______
        _##___
        """,
    )


def test_cropped_sides_stay_on_the_patch_grid(square: Path) -> None:
    found = page(square, "abc\nc", 12, crop_width=True, grid_px=10)
    assert_page(
        found,
        """
        ####______
        ##__##____
        __________
        ##________
        __________
        """,
    )


def test_only_the_last_page_is_cropped_in_height(square: Path) -> None:
    whole, last = pages(square, "a\nb\nc\nd", 4, page_em=4, line_height_pt=5)
    assert (whole.height_px, last.height_px) == (16, 5)
    whole, last = pages(square, "a\nb\nc\nd", 4, page_em=4, line_height_pt=5, crop_last_page=False)
    assert (whole.height_px, last.height_px) == (16, 16)


# -- borders ---------------------------------------------------------------------------------


def test_border_and_padding_frame_each_paragraph(square: Path) -> None:
    found = page(square, "a b\nc", 7, border_width_pt=2, border_padding_pt=2, right_indent_pt=4)
    assert_page(
        found,
        """
        ++++++++++++__
        +..........+__
        +.##..##...+__
        +.##.......+__
        +..........+__
        ++++++++++++__
        ++++++++++++__
        +..........+__
        +..........+__
        +.##.......+__
        +..........+__
        ++++++++++++__
        """,
    )


def test_a_border_is_closed_where_a_page_break_cuts_its_paragraph(square: Path) -> None:
    first, second = pages(
        square, "a b a b a b a b a b", 5, page_em=5, border_width_pt=2, border_padding_pt=2
    )
    assert_page(
        first,
        """
        ++++++++++
        +........+
        +.##..##.+
        +.##.....+
        +.##..##.+
        +.##.....+
        +.##..##.+
        +.##.....+
        +........+
        ++++++++++
        """,
    )
    assert_page(
        second,
        """
        ++++++++++
        +........+
        +.##..##.+
        +.##.....+
        +.##..##.+
        +.##.....+
        +........+
        ++++++++++
        """,
    )


def test_a_paragraph_colour_fills_the_lines_from_edge_to_edge(square: Path) -> None:
    found = page(square, "a\nb", 4, paragraph_color="#EEEEEE", margin_x_pt=2, space_after_pt=2)
    assert_page(
        found,
        """
        _##...._
        _##...._
        ________
        _##...._
        _......_
        """,
    )


# -- spacing, scale, tabs, markers -----------------------------------------------------------


def test_letter_spacing_follows_every_character(square: Path) -> None:
    found = page(square, "ab c", 8, letter_spacing_pt=2)
    assert_page(
        found,
        """
        ##_##___________
        ##_______##_____
        """,
    )


def test_horizontal_scale_stretches_glyphs_and_advances(square: Path) -> None:
    wide = page(square, "ab", 6, horizontal_scale=2.0)
    narrow = page(square, "ab", 6, horizontal_scale=0.5)
    assert_page(
        wide,
        """
        ########____
        ####________
        """,
    )
    assert_page(
        narrow,
        """
        ##__________
        #___________
        """,
    )


def test_tabs_reach_the_next_stop_and_are_at_least_a_blank_wide(square: Path) -> None:
    found = page(square, "a\tb\naaa\tb\naaaa\tb\na\t\tb", 12, tab_columns=4)
    assert_page(
        found,
        """
        ##______##______________
        ##______________________
        ######__##______________
        ######__________________
        ########________##______
        ########________________
        ##______________##______
        ##______________________
        """,
    )


def test_a_newline_marker_stands_for_the_break_and_the_text_flows_on(square: Path) -> None:
    found = page(square, "ab\ncd\ne", 4, newline_marker="↵")
    assert_page(
        found,
        """
        ####*___
        ##___*__
        __#_*__#
        ###__*_#
        """,
    )


def test_a_newline_marker_the_font_lacks_comes_from_a_fallback_font(square: Path) -> None:
    marked = page(square, "a\nb", 6, newline_marker="¶")
    # The square font would draw it as its full block for unknown characters.
    assert marked.layout.lines.right64_L[0] != 3 * 256
    assert len(set(marked.plane_HW[:, 4:8].ravel().tolist())) > 2


# -- right to left ---------------------------------------------------------------------------


def test_right_to_left_lines_begin_at_the_right_and_break_in_reading_order(square: Path) -> None:
    found = page(square, "אבג אב", 4)
    assert_page(
        found,
        """
        __##_##_
        ___#####
        _____##_
        ____####
        """,
    )


def test_right_to_left_words_are_turned_round_inside_a_left_to_right_line(square: Path) -> None:
    found = page(square, "a אב b", 8)
    assert_page(
        found,
        """
        ##___##___##____
        ##__####________
        """,
    )


def test_numbers_and_latin_keep_their_order_inside_right_to_left_lines(square: Path) -> None:
    found = page(square, "אב d12 ב", 9)
    assert_page(
        found,
        """
        ___#__#__###___##_
        __##__#__##___####
        """,
    )


def test_right_alignment_means_where_reading_ends(square: Path) -> None:
    found = page(square, "אב אב", 6, alignment="right")
    assert_page(
        found,
        """
        _##____##___
        ####__####__
        """,
    )


def test_a_justified_right_to_left_line_keeps_its_last_line_at_the_right(square: Path) -> None:
    found = page(square, "א ב ג א", 6, alignment="justify")
    assert_page(
        found,
        """
        ##____#___#_
        _#___##___##
        __________#_
        __________##
        """,
    )


def test_a_right_to_left_first_line_is_indented_from_the_right(square: Path) -> None:
    found = page(square, "אב א ב", 5, first_line_indent_pt=4)
    assert_page(
        found,
        """
        #____##___
        ##__####__
        _________#
        ________##
        """,
    )


def test_a_hanging_indent_keeps_right_to_left_lines_inside_the_column(square: Path) -> None:
    found = page(square, "אבא אב אבא", 6, left_indent_pt=8, first_line_indent_pt=-8)
    assert_page(
        found,
        """
        _##___#__##_
        ####__######
        ______#__##_
        ______######
        """,
    )


# -- blocks ----------------------------------------------------------------------------------


def test_tab_stops_do_not_restart_where_a_block_of_text_ends(
    square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "ab " * 30 + "\n" + "ab " * 18 + "a\tb\n"
    whole = [found.digest for found in pages(square, text, 20)]
    monkeypatch.setattr(layout, "BLOCK_CHARS", 128)
    assert [found.digest for found in pages(square, text, 20)] == whole


def test_a_long_paragraph_keeps_its_direction_from_block_to_block(
    square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Lines of ten ems; the block ends inside the line that begins with numbers.
    text = "aaaa aaaa " * 6 + "1 2 " + "אב " * 30
    whole = [found.digest for found in pages(square, text, 10)]
    monkeypatch.setattr(layout, "BLOCK_CHARS", 64)
    assert [found.digest for found in pages(square, text, 10)] == whole


def test_with_a_newline_marker_each_paragraph_still_has_its_own_direction(
    square: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "אבאבאבאבא\n" * 6 + "ab ab ab ab\n" * 6
    whole = [found.digest for found in pages(square, text, 10, newline_marker="↵")]
    monkeypatch.setattr(layout, "BLOCK_CHARS", 64)
    assert [found.digest for found in pages(square, text, 10, newline_marker="↵")] == whole


# -- closed pages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "appended", "changes"),
    [
        ("1234 5678 " * 500, "אבג", {}),
        ("\u2068" + "1234 5678 " * 500, "אבג\u2069 אב", {}),
        ("א (1 " + "1 2 " * 1500, "a) b", {}),
        ("ab\n" * 4 + "a", " bc" * 9, {"border_width_pt": 2, "border_padding_pt": 2}),
        ("a b\n" * 9 + "a b a", " b" * 9, {"alignment": "justify", "space_before_pt": 2}),
        ("ab\n" * 9, "\u0301", {"newline_marker": "↵"}),
    ],
)
def test_a_closed_page_never_changes_when_text_is_appended(
    square: Path, text: str, appended: str, changes: dict[str, Any]
) -> None:
    before = pages(square, text, 10, page_em=8, **changes)
    after = pages(square, text + appended, 10, page_em=8, **changes)
    for old, new in zip(before, after, strict=False):
        if old.layout.is_closed:
            assert (old.digest, old.start, old.end) == (new.digest, new.start, new.end)


def test_pages_are_closed_once_a_paragraph_ends_behind_them(square: Path) -> None:
    found = pages(square, "ab\n" * 8 + "a", 4, page_em=4)
    assert [each.layout.is_closed for each in found] == [True, True, False]
