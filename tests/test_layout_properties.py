"""Properties that hold for every text and every config."""

import dataclasses
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, reject, settings
from hypothesis import strategies as st

from glyph import kernel, layout
from glyph.atlas import Atlas, Typeface, shared_atlas
from glyph.config import RenderConfig
from glyph.errors import ConfigError
from glyph.layout import Layout
from glyph.pages import SUBPIXELS, Page, PageLayout
from glyph.raster import NUM_LEVELS, make_palette, needs_inks, raster
from glyph.unicode_data import is_cluster_extend, needs_shaping
from square_font import layouts_of, pages_of, plain_document

LATIN = ["a", "of", "Ishmael", "don't", "(x)", "1,234.5", "$5", "a_b", "—", "fi"]
EAST_ASIAN = ["字", "一二三。", "「漢字」", "カタカナ", "한국어", "\u3000"]
RIGHT_TO_LEFT = ["שלום", "עברית", "אב(ג)", "سلام", "العَرَبِيَّة", "٣٤", "לא1"]
COMPLEX = ["क्षत्रिय", "हिन्दी", "ภาษาไทย", "ที่", "தமிழ்", "e\u0301", "x\u0301\u0302\u0323", "각"]
EMOJI = ["👩‍👩‍👧", "🇫🇷🇯🇵", "👍🏽", "☺️", "🙂"]
UNSEEN = ["\u200b", "\u200d", "\u00ad", "\u2060", "\ufeff", "\u0301", "\ufe0f"]
CONTROLS = [
    "\u202e",
    "\u202c",
    "\u2067",
    "\u2068",
    "\u2069",
    "\u200f",
    "\0",
    "\x07",
    "\r",
    "\u2028",
]
UNKNOWN = ["\ue000", "\U0010fffd", "\ud800", "\u0378"]
BLANKS = [" ", " ", " ", " ", "\n", "\n", "\t", "  ", "\n\n", "\u00a0"]

words = st.one_of(
    *(st.sampled_from(group) for group in (LATIN, EAST_ASIAN, RIGHT_TO_LEFT, COMPLEX, EMOJI)),
    st.sampled_from(UNSEEN + CONTROLS + UNKNOWN),
    st.builds("".join, st.lists(st.sampled_from("abc字אé"), min_size=30, max_size=60)),
)
plain_words = st.sampled_from(LATIN + EAST_ASIAN[:-1])
two_way_words = st.sampled_from(LATIN + RIGHT_TO_LEFT[:2])


def texts_of(some_words: st.SearchStrategy[str], max_size: int = 60) -> st.SearchStrategy[str]:
    """Return texts of some words with blanks between them, most of the time."""
    gaps = st.one_of(st.sampled_from(BLANKS), st.just(""))
    pairs = st.tuples(some_words, gaps).map("".join)
    return st.lists(pairs, min_size=1, max_size=max_size).map("".join)


texts = texts_of(words)

# Few typefaces, since each opens the fonts of all scripts; Layout does not care which it is.
TYPEFACES: list[dict[str, Any]] = [
    {"font_family": "DejaVu Sans", "font_size_pt": 9.0},
    {"font_family": "Square", "font_size_pt": 4.0},
    {"font_family": "DejaVu Serif", "font_size_pt": 6.5, "dpi": 96.0, "bold": True},
    {"font_family": "Noto Sans", "font_size_pt": 8.0, "horizontal_scale": 0.8, "italic": True},
]


@st.composite
def fields(draw: st.DrawFn, **fixed: Any) -> dict[str, Any]:
    """Draw a config as fields: small pages of any kind, most of them with few extras."""
    typeface = draw(st.sampled_from(TYPEFACES))
    size_pt = typeface["font_size_pt"]

    def often(default: Any, other: st.SearchStrategy[Any]) -> Any:
        return draw(st.one_of(st.just(default), other))

    columns = often(1, st.integers(2, 3))
    left_pt = often(0.0, st.floats(0, 2 * size_pt))
    width_pt = draw(st.floats(9, 30)) * size_pt * columns
    drawn: dict[str, Any] = {
        "page_width_pt": width_pt,
        "page_height_pt": draw(st.floats(10, 24)) * size_pt,
        "margin_x_pt": often(0.0, st.floats(0, 10)),
        "margin_y_pt": often(0.0, st.floats(0, size_pt)),
        "columns": columns,
        "column_gap_pt": draw(st.floats(0, size_pt)),
        "line_height_pt": size_pt * often(1.0, st.floats(1, 1.6)),
        "letter_spacing_pt": often(0.0, st.floats(0, 3)),
        "alignment": draw(st.sampled_from(["left", "justify", "right", "center"])),
        "left_indent_pt": left_pt,
        "right_indent_pt": often(0.0, st.floats(0, size_pt)),
        "first_line_indent_pt": often(0.0, st.floats(-left_pt, size_pt)),
        "space_before_pt": often(0.0, st.floats(0, size_pt)),
        "space_after_pt": often(0.0, st.floats(0, 2 * size_pt)),
        "tab_columns": draw(st.integers(1, 8)),
        "paragraph_color": often("#FFFFFF", st.just("#EEEEEE")),
        "border_width_pt": often(0.0, st.floats(0, 3)),
        "border_padding_pt": often(0.0, st.floats(0, 3)),
        "newline_marker": often("", st.sampled_from(["↵", "¶ ", "\\n"])),
        "page_label": draw(st.sampled_from(["none", "number"])),
        "crop_width": draw(st.booleans()),
        "crop_last_page": draw(st.booleans()),
        "grid_px": often(0, st.sampled_from([14, 28])),
    }
    found: dict[str, Any] = {**typeface, **drawn, **fixed}
    try:
        RenderConfig(**found)
    except ConfigError:
        # Margins, indents and grid may leave no room for a line.
        reject()
    return found


def config_of(drawn: dict[str, Any], square: Path) -> RenderConfig:
    found = dict(drawn)
    if drawn["font_family"] == "Square":
        found["font_family"] = str(square)
    return RenderConfig(**found)


def arrays_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and content of every field of a layout, one after another."""
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        if dataclasses.is_dataclass(part):
            yield from arrays_of(part)
        else:
            yield field.name, part.tolist() if isinstance(part, np.ndarray) else part


def is_visible(char: str) -> bool:
    """Whether a character must leave ink: not a blank, a mark, or a control of the format."""
    return unicodedata.category(char)[0] in "LNPS" or char in UNKNOWN


# -- nothing is lost -------------------------------------------------------------------------


@given(text=texts, drawn=fields())
def test_pages_tile_the_text_and_lines_tile_the_pages(
    text: str, drawn: dict[str, Any], square: Path
) -> None:
    position = 0
    for index, page in enumerate(layouts_of(text, config_of(drawn, square))):
        lines = page.lines
        assert (page.index, page.start) == (index, position)
        assert lines.start_L[0] == page.start
        assert (lines.start_L[1:] == lines.end_L[:-1]).all()
        assert (lines.end_L > lines.start_L).all()
        assert lines.end_L[-1] == page.end
        position = page.end
    assert position == len(text)


@given(text=texts, drawn=fields())
def test_every_visible_character_has_ink_in_its_line(
    text: str, drawn: dict[str, Any], square: Path
) -> None:
    config = config_of(drawn, square)
    has_inks = needs_inks(config, has_roles=False)
    atlas = shared_atlas(Typeface.of(config), NUM_LEVELS if has_inks else 256)
    for page in layouts_of(text, config):
        lines, glyphs = page.lines, page.glyphs
        rows_N = atlas.bitmaps.shape_K5[4 * glyphs.slot_N, 2]
        ends = np.append(lines.glyph_L[1:], len(glyphs.slot_N))
        for line, (first, last) in enumerate(zip(lines.glyph_L, ends, strict=True)):
            char_G = glyphs.char_N[first:last] + page.start
            start, end = int(lines.start_L[line]), int(lines.end_L[line])
            assert ((char_G >= start) & (char_G < end)).all()
            has_ink = np.zeros(end - start, np.bool_)
            np.logical_or.at(has_ink, char_G - start, rows_N[first:last] > 0)
            has_glyph = np.isin(np.arange(start, end), char_G)
            check_ink(text[start:end], has_glyph.tolist(), has_ink.tolist())


def check_ink(line: str, has_glyph: list[bool], has_ink: list[bool]) -> None:
    """Check the characters of a line; one without a glyph belongs to the last that has one."""
    head = 0
    for i, char in enumerate(line):
        if has_glyph[i]:
            head = i
        else:
            context = [ord(part) for part in line[head : i + 1]]
            assert not set(line[head : i + 1]) & set(" \t\n")
            assert needs_shaping()[context].any() or is_cluster_extend()[context].any()
        assert has_ink[head] or not is_visible(char), f"U+{ord(char):04X} vanished"


@given(text=texts, drawn=fields())
def test_ink_and_fills_stay_on_the_page(text: str, drawn: dict[str, Any], square: Path) -> None:
    config = config_of(drawn, square)
    for page in layouts_of(text, config):
        lines = page.lines
        assert lines.top_L[0] >= 0 and lines.bottom_L[-1] <= page.height_px
        for fill in page.fills:
            box = fill.box
            assert 0 <= box.left_px <= box.right_px <= page.width_px
            assert 0 <= box.top_px <= box.bottom_px <= page.height_px
        if page.label is not None:
            assert (page.label.x64_N >= 0).all()
            assert (page.label.x64_N < page.width_px * SUBPIXELS).all()


# -- geometry --------------------------------------------------------------------------------


@given(text=texts, drawn=fields())
@example(text="אב אב אב אב אב אב", drawn={
    **TYPEFACES[1], "line_height_pt": 4.0, "page_width_pt": 40.0, "page_height_pt": 100.0,
    "left_indent_pt": 8.0, "first_line_indent_pt": -8.0, "margin_x_pt": 0.0,
})  # fmt: skip
def test_lines_stay_inside_their_column(text: str, drawn: dict[str, Any], square: Path) -> None:
    config = config_of(drawn, square)
    frame_pt = config.border_width_pt + config.border_padding_pt
    hang_pt = min(config.first_line_indent_pt, 0.0)
    inset_px = config.px(config.left_indent_pt + hang_pt + frame_pt)
    pitch_px = config.column_width_px + config.px(config.column_gap_pt)
    lefts_px = config.px(config.margin_x_pt) + pitch_px * np.arange(config.columns)
    rights_px = lefts_px + config.column_width_px - config.px(config.right_indent_pt + frame_pt)
    hair_px = 2 / SUBPIXELS
    for page in layouts_of(text, config):
        for line in range(len(page.lines.start_L)):
            left_px = int(page.lines.left64_L[line]) / SUBPIXELS
            right_px = int(page.lines.right64_L[line]) / SUBPIXELS
            column = int(np.searchsorted(lefts_px, left_px + hair_px, side="right")) - 1
            assert column >= 0 and left_px >= lefts_px[column] + inset_px - hair_px
            if right_px > rights_px[column] + hair_px:
                assert num_wide_clusters(text, page, line) <= 1


def num_wide_clusters(text: str, page: PageLayout, line: int) -> int:
    """Return how many clusters of a line are neither white space at its end nor invisible."""
    glyphs, lines = page.glyphs, page.lines
    first = int(lines.glyph_L[line])
    last = int(np.append(lines.glyph_L, len(glyphs.slot_N))[line + 1])
    inked = text[lines.start_L[line] : lines.end_L[line]].rstrip(" \n")
    end = int(lines.start_L[line]) + len(inked) - page.start
    heads = {int(char) for char in glyphs.char_N[first:last] if char < end}
    return sum(text[page.start + head] not in UNSEEN + CONTROLS for head in heads)


@given(text=texts, drawn=fields(space_before_pt=0.0, space_after_pt=0.0, border_width_pt=0.0,
                                border_padding_pt=0.0, columns=1))  # fmt: skip
def test_lines_follow_each_other_at_the_pitch(
    text: str, drawn: dict[str, Any], square: Path
) -> None:
    config = config_of(drawn, square)
    pitch_px = config.px(config.line_height_pt)
    for page in layouts_of(text, config):
        top_L = page.lines.top_L
        wanted_L = config.px(config.margin_y_pt) + pitch_px * np.arange(len(top_L))
        assert (np.abs(top_L - wanted_L) <= 0.5 + 1e-6).all()
        assert (np.abs(page.lines.bottom_L - wanted_L - pitch_px) <= 0.5 + 1e-6).all()


@given(text=texts, drawn=fields())
def test_a_higher_page_never_needs_more_pages(
    text: str, drawn: dict[str, Any], square: Path
) -> None:
    low = config_of(drawn, square)
    high = low.replace(page_height_pt=low.page_height_pt + 3 * low.line_height_pt)
    assert len(layouts_of(text, high)) <= len(layouts_of(text, low))


# -- from pixels to characters and back ------------------------------------------------------


@given(text=texts_of(plain_words), drawn=fields(newline_marker="", horizontal_scale=1.0))
def test_the_box_of_a_character_leads_back_to_it(
    text: str, drawn: dict[str, Any], square: Path
) -> None:
    for page in layouts_of(text, config_of(drawn, square)):
        left_px = -1
        top_px = -1
        for i in range(page.start, page.end):
            if text[i].isspace():
                continue
            (box,) = page.boxes(i, i + 1)
            center_px = (box.left_px + box.right_px) / 2, (box.top_px + box.bottom_px) / 2
            assert page.char_at(*center_px) == i
            if box.top_px == top_px:
                assert box.left_px >= left_px
            left_px, top_px = box.left_px, box.top_px


@given(text=texts_of(two_way_words), drawn=fields(newline_marker="", horizontal_scale=1.0))
def test_boxes_lead_back_in_lines_of_both_directions(
    text: str, drawn: dict[str, Any], square: Path
) -> None:
    for page in layouts_of(text, config_of(drawn, square)):
        for i in range(page.start, page.end):
            if not text[i].isspace():
                (box,) = page.boxes(i, i + 1)
                center_px = (box.left_px + box.right_px) / 2, (box.top_px + box.bottom_px) / 2
                assert page.char_at(*center_px) == i


@given(text=texts, drawn=fields())
@example(
    text="a\u05d0\u05d1(\u05d2)\u0627\u0644\u0639\u064e\u0631\u064e\u0628\u0650\u064a\u064e\u0651\u0629",
    drawn={
        "font_family": "Square",
        "font_size_pt": 4.0,
        "line_height_pt": 4.0,
        "page_width_pt": 36.0,
        "page_height_pt": 40.0,
        "margin_x_pt": 4.0,
    },
)
def test_the_box_of_a_span_covers_the_boxes_of_its_characters(
    text: str, drawn: dict[str, Any], square: Path
) -> None:
    for page in layouts_of(text, config_of(drawn, square)):
        start, end = page.start, min(page.end, page.start + 20)
        whole = page.boxes(start, end)
        for i in range(start, end):
            if text[i].isspace():
                continue  # white space at a line's end hangs outside the line's box
            (box,) = page.boxes(i, i + 1)
            assert any(
                outer.left_px <= box.left_px
                and box.right_px <= outer.right_px
                and (outer.top_px, outer.bottom_px) == (box.top_px, box.bottom_px)
                for outer in whole
            )


@given(text=texts_of(two_way_words), marker=st.sampled_from(["", "↵", "¶ "]))
@example(text="a\nשלום ", marker="↵")
@example(text="שלום\na ", marker="↵")
def test_white_space_at_a_lines_end_never_stands_among_its_ink(
    text: str, marker: str, square: Path
) -> None:
    config = RenderConfig(font_family="DejaVu Sans", page_width_pt=120, newline_marker=marker)
    for page in layouts_of(text, config):
        lines, glyphs = page.lines, page.glyphs
        for line, (left64, right64) in enumerate(zip(lines.left64_L, lines.right64_L, strict=True)):
            of_line_N = lines.glyph_L[line] <= np.arange(len(glyphs.x64_N))
            if line + 1 < len(lines.glyph_L):
                of_line_N &= np.arange(len(glyphs.x64_N)) < lines.glyph_L[line + 1]
            is_ink_N = np.array([not text[page.start + i].isspace() for i in glyphs.char_N])
            inked64 = glyphs.x64_N[of_line_N & is_ink_N]
            assert (inked64 >= left64).all()
            assert (inked64 <= right64).all()


@pytest.mark.parametrize(("first", "leads"), [("x ", True), ("\u05d3 ", False)])
def test_columns_between_tabs_keep_the_order_of_their_paragraph(
    first: str, leads: bool, square: Path
) -> None:
    """UAX #9, rule L1: a tab has the paragraph's level, so words beside it do not change places."""
    text = f"{first}\u05d0\u05d1\t\u05d2\u05d3"
    (page,) = layouts_of(text, RenderConfig(font_family="DejaVu Sans"))
    (before,), (after,) = page.boxes(3, 4), page.boxes(5, 6)
    assert text[3] == "\u05d1" and text[5] == "\u05d2"
    assert (before.left_px < after.left_px) == leads


# -- the same pages, however they are made ---------------------------------------------------


@given(text=texts, drawn=fields())
def test_both_kernels_give_the_same_layouts_and_the_same_pixels(
    text: str, drawn: dict[str, Any], square: Path
) -> None:
    if not kernel.has_native():
        pytest.skip("the C kernel was not built")
    config = config_of(drawn, square)
    found: dict[str, list[Page]] = {}
    for name in ("c", "numpy"):
        with kernel.using(name):
            found[name] = pages_of(text, config)
    assert len(found["c"]) == len(found["numpy"])
    for one, other in zip(found["c"], found["numpy"], strict=True):
        assert dict(arrays_of(one.layout)) == dict(arrays_of(other.layout))
        assert (one.plane_HW == other.plane_HW).all()


@given(
    text=texts,
    appended=texts_of(words, max_size=20),
    drawn=fields(),
    repeats=st.sampled_from([1, 1, 1, 40]),
)
def test_a_closed_page_never_changes_when_text_is_appended(
    text: str, appended: str, drawn: dict[str, Any], repeats: int, square: Path
) -> None:
    config = config_of(drawn, square)
    before = pages_of(text * repeats, config)
    after = pages_of(text * repeats + appended, config)
    assert not before[-1].layout.is_closed
    for old, new in zip(before, after, strict=False):
        if old.layout.is_closed:
            assert (old.start, old.end, old.digest) == (new.start, new.end, new.digest)
            assert new.layout.is_closed


@settings(max_examples=40)
@given(
    text=texts_of(words, max_size=200),
    drawn=fields(newline_marker=""),
    block_chars=st.integers(64, 4096),
)
def test_pages_do_not_depend_on_where_blocks_of_text_end(
    text: str, drawn: dict[str, Any], block_chars: int, square: Path
) -> None:
    assume(max(len(paragraph) for paragraph in text.split("\n")) < block_chars)
    config = config_of(drawn, square)
    whole = [dict(arrays_of(page)) for page in layouts_of(text, config)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "BLOCK_CHARS", block_chars)
        cut = [dict(arrays_of(page)) for page in layouts_of(text, config)]
    for page in (*whole, *cut):
        page.pop("is_closed")  # which may come earlier when a block ends
    assert cut == whole


@settings(max_examples=12)
@given(text=texts, drawn=fields())
def test_a_cold_atlas_gives_the_same_pixels_as_a_warm_one(
    text: str, drawn: dict[str, Any], square: Path
) -> None:
    config = config_of({**drawn, "newline_marker": "", "border_width_pt": 0.0}, square)
    config = config.replace(paragraph_color="#FFFFFF")
    warm = pages_of(text, config)
    cold = Atlas(Typeface.of(config), levels=256)
    palette_C3 = make_palette(config, None)
    again = [raster(p, cold, palette_C3) for p in Layout(text, config, cold).pages()]
    assert [page.digest for page in again] == [page.digest for page in warm]
    assert plain_document(text).text == text
