"""Where lines go: rows, columns, pages and the room between paragraphs."""

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glyph.config import RenderConfig
from glyph.paginate import Paginator, Places

PLAIN: dict[str, Any] = {
    "page_width_pt": 100,
    "page_height_pt": 100,
    "margin_x_pt": 0,
    "margin_y_pt": 10,
    "font_size_pt": 10,
    "line_height_pt": 20,
}


def places(config: RenderConfig, paragraphs: list[int], cuts: list[int] | None = None) -> Places:
    """Place paragraphs of so many lines, handed over in blocks that end at `cuts`."""
    starts = [i == 0 for length in paragraphs for i in range(length)]
    ends = [i == length - 1 for length in paragraphs for i in range(length)]
    paginator = Paginator(config)
    bounds = [0, *sorted(cuts or []), len(starts)]
    parts = [
        paginator.places(np.array(starts[a:b], np.bool_), np.array(ends[a:b], np.bool_))
        for a, b in pairwise(bounds)
    ]
    joined = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("page_L", "column_L", "top_L")
    )
    return Places(*joined)


def rows_of(found: Places) -> list[tuple[int, int, float]]:
    columns = found.page_L.tolist(), found.column_L.tolist(), found.top_L.tolist()
    return list(zip(*columns, strict=True))


def test_lines_fill_a_page_from_margin_to_margin() -> None:
    found = rows_of(places(RenderConfig(**PLAIN), [5]))
    assert found == [(0, 0, 10), (0, 0, 30), (0, 0, 50), (0, 0, 70), (1, 0, 10)]


def test_columns_come_before_pages() -> None:
    config = RenderConfig(**PLAIN, columns=2, column_gap_pt=0)
    found = rows_of(places(config, [9]))
    assert [(page, column) for page, column, _ in found] == ([(0, 0)] * 4 + [(0, 1)] * 4 + [(1, 0)])


def test_a_page_of_exactly_so_many_lines_is_not_lost_to_rounding() -> None:
    config = RenderConfig(
        dpi=96, page_height_pt=842.1, margin_y_pt=0, line_height_pt=842.25 / 11, font_size_pt=9
    )
    assert config.page_size_px[1] == 1123
    assert [page for page, _, _ in rows_of(places(config, [12]))] == [0] * 11 + [1]


def test_the_label_takes_one_line_from_every_page() -> None:
    config = RenderConfig(**PLAIN, page_label="number")
    assert [page for page, _, _ in rows_of(places(config, [4]))] == [0, 0, 0, 1]


def test_space_before_is_left_out_at_the_top_of_a_column() -> None:
    config = RenderConfig(**PLAIN, space_before_pt=20)
    assert rows_of(places(config, [1, 1, 1])) == [(0, 0, 10), (0, 0, 50), (1, 0, 10)]


def test_space_after_is_lost_at_the_end_of_a_column() -> None:
    config = RenderConfig(**PLAIN, space_after_pt=20)
    assert rows_of(places(config, [1, 1, 1])) == [(0, 0, 10), (0, 0, 50), (1, 0, 10)]


def test_a_border_takes_room_above_and_below_and_again_after_a_break() -> None:
    config = RenderConfig(**PLAIN, border_width_pt=2, border_padding_pt=3)
    assert rows_of(places(config, [4])) == [(0, 0, 15), (0, 0, 35), (0, 0, 55), (1, 0, 15)]
    assert rows_of(places(config, [1, 2])) == [(0, 0, 15), (0, 0, 45), (0, 0, 65)]


# -- properties ------------------------------------------------------------------------------

paragraph_lists = st.lists(st.integers(1, 9), min_size=1, max_size=20)
rooms = st.sampled_from([0.0, 0.0, 0.5, 3.25, 20.0])


@st.composite
def configs(draw: st.DrawFn) -> RenderConfig:
    fields: dict[str, Any] = {
        **PLAIN,
        "page_height_pt": draw(st.floats(100, 200)),
        "margin_y_pt": draw(st.sampled_from([0.0, 0.3, 10.0])),
        "line_height_pt": draw(st.floats(10, 20)),
        "columns": draw(st.integers(1, 3)),
        "column_gap_pt": 0,
        "space_before_pt": draw(rooms),
        "space_after_pt": draw(rooms),
        "border_width_pt": draw(st.sampled_from([0.0, 0.25, 2.0])),
        "page_label": draw(st.sampled_from(["none", "number"])),
    }
    return RenderConfig(**fields)


@given(config=configs(), paragraphs=paragraph_lists)
def test_every_line_has_room_for_itself_and_its_border(
    config: RenderConfig, paragraphs: list[int]
) -> None:
    label_px = config.px(config.line_height_pt) if config.page_label == "number" else 0.0
    frame_px = config.px(config.border_width_pt)
    bottom_px = config.page_size_px[1] - config.px(config.margin_y_pt) - label_px
    pitch_px = config.px(config.line_height_pt)
    before = (0, 0, -1.0)
    for page, column, top_px in rows_of(places(config, paragraphs)):
        assert top_px >= config.px(config.margin_y_pt) + frame_px - 1e-6
        assert top_px + pitch_px + frame_px <= bottom_px + 1e-5
        assert (page, column, top_px) > before
        if (page, column) == before[:2] and before[2] >= 0:
            assert top_px >= before[2] + pitch_px - 1e-6
        assert page * config.columns + column <= before[0] * config.columns + before[1] + 1
        before = (page, column, top_px)


@given(config=configs(), paragraphs=paragraph_lists, data=st.data())
def test_places_do_not_depend_on_how_lines_are_handed_over(
    config: RenderConfig, paragraphs: list[int], data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, sum(paragraphs)), max_size=5))
    whole, parts = places(config, paragraphs), places(config, paragraphs, cuts)
    assert rows_of(whole) == rows_of(parts)


@given(config=configs(), paragraphs=paragraph_lists, more=paragraph_lists)
def test_more_lines_never_move_earlier_ones(
    config: RenderConfig, paragraphs: list[int], more: list[int]
) -> None:
    few = rows_of(places(config, paragraphs))
    assert rows_of(places(config, paragraphs + more))[: len(few)] == few


@given(config=configs(), num_lines=st.integers(1, 100))
def test_walking_gives_the_places_that_arithmetic_gives(
    config: RenderConfig, num_lines: int
) -> None:
    # With a space that one single paragraph never meets, lines are walked one by one.
    plain = config.replace(space_before_pt=0, space_after_pt=0, border_width_pt=0)
    walked = rows_of(places(plain.replace(space_after_pt=1), [num_lines]))
    counted = rows_of(places(plain, [num_lines]))
    assert [row[:2] for row in walked] == [row[:2] for row in counted]
    assert np.allclose([row[2] for row in walked], [row[2] for row in counted])
