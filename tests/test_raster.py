"""From positions to pixels: palettes, inks, fills, clipping."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph.atlas import Typeface, shared_atlas
from glyph.config import RenderConfig, rgb
from glyph.layout import Layout
from glyph.pages import Page
from glyph.raster import NUM_INKS, NUM_LEVELS, make_palette, needs_inks, raster
from glyph.render import PageStream
from square_font import assert_page, pages_of, plain_document, square_config

pytestmark = pytest.mark.usefixtures("kernel_in_use")

COLORS: dict[str, Any] = {
    "page_color": "#FFFFFF",
    "paragraph_color": "#FFF0E0",
    "font_color": "#102030",
    "border_color": "#00AA00",
    "newline_marker_color": "#C00000",
}


def page(text: str, config: RenderConfig) -> Page:
    (only,) = pages_of(text, config)
    return only


def inked_page(text: str, config: RenderConfig, inks: list[int], colors: list[Any]) -> Page:
    """Return the page of a text whose characters have the inks given."""
    atlas = shared_atlas(Typeface.of(config), NUM_LEVELS)
    (layout,) = Layout(text, config, atlas, np.array(inks, np.uint8)).pages()
    return raster(layout, atlas, make_palette(config, colors))


# -- one ink ---------------------------------------------------------------------------------


def test_black_on_white_the_plane_is_the_grey_image(square: Path) -> None:
    found = page("ab c", square_config(square, line_em=5))
    assert found.is_gray
    assert found.gray() is found.plane_HW
    assert (found.palette_C3 == np.arange(256)[:, None]).all()
    assert set(np.unique(found.plane_HW).tolist()) == {0, 255}


def test_full_coverage_has_the_colour_of_the_font_and_none_that_of_the_page(square: Path) -> None:
    dark: dict[str, Any] = {"page_color": "#101838", "paragraph_color": "#101838"}
    config = square_config(square, line_em=4, font_color="#FFE040", **dark)
    pixels = page("a ", config).rgb()
    assert (pixels[:, :4] == rgb("#FFE040")).all()
    assert (pixels[:, 4:] == rgb("#101838")).all()


def test_half_coverage_is_half_way_between_the_colours() -> None:
    palette_C3 = make_palette(RenderConfig(font_color="#400000", paragraph_color="#FFFFFF"), None)
    assert palette_C3[255].tolist() == [255, 255, 255]
    assert palette_C3[0].tolist() == [0x40, 0, 0]
    assert palette_C3[127].tolist() == [159, 127, 127]


def test_glyphs_that_are_not_on_whole_pixels_have_partial_coverage(square: Path) -> None:
    # An indent of half a pixel spreads the block of four pixels over five.
    found = page("a", square_config(square, line_em=4, left_indent_pt=0.5))
    assert found.plane_HW[1, :6].tolist() == [127, 0, 0, 0, 127, 255]


def test_pens_stand_on_quarters_of_a_pixel(square: Path) -> None:
    edges = [
        page("a", square_config(square, line_em=4, left_indent_pt=indent)).plane_HW[1, 0]
        for indent in (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5)
    ]
    quarter = edges[3]
    assert edges == [0, 0, quarter, quarter, quarter, edges[6], edges[6]]
    assert 0 < quarter < edges[6]


# -- several inks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({"page_color": "#EEEEEE", "paragraph_color": "#eeeeee"}, False),
        ({"newline_marker": "↵"}, True),
        ({"border_width_pt": 1}, True),
        ({"paragraph_color": "#EEEEEE"}, True),
    ],
)
def test_inks_are_needed_for_more_than_one_colour(changes: dict[str, Any], needed: bool) -> None:
    assert needs_inks(RenderConfig(**changes), has_roles=False) is needed
    assert needs_inks(RenderConfig(**changes), has_roles=True)


def test_every_ink_and_fill_has_its_colour(square: Path) -> None:
    config = square_config(
        square, line_em=8, margin_x_pt=2, margin_y_pt=2, border_width_pt=2, border_padding_pt=2,
        newline_marker="↵", **COLORS,
    )  # fmt: skip
    found = page("a\na", config)
    assert_page(
        found,
        """
        ________________
        _++++++++++++++_
        _+............+_
        _+.##*.##.....+_
        _+.##.*##.....+_
        _+............+_
        _++++++++++++++_
        ________________
        """,
    )
    pixels = found.rgb()
    assert not found.is_gray
    for (row, column), name in {
        (0, 0): "page_color",
        (2, 2): "border_color",
        (4, 4): "paragraph_color",
        (6, 6): "font_color",
        (6, 10): "newline_marker_color",
    }.items():
        assert tuple(pixels[row, column].tolist()) == rgb(COLORS[name]), name


def test_sixteen_inks_keep_apart_on_one_page(square: Path) -> None:
    config = square_config(square, line_em=16)
    colors = [(10 * ink, 0, 255 - 10 * ink) for ink in range(NUM_INKS)]
    found = inked_page("a" * 16, config, list(range(16)), colors)
    row = found.rgb()[1]
    assert [tuple(row[4 * ink + 1].tolist()) for ink in range(16)] == colors


def test_where_glyphs_overlap_the_more_covered_one_wins(square: Path) -> None:
    # At half a pixel, the last column of the first and the first of the second are half covered.
    config = square_config(square, line_em=5, left_indent_pt=0.5)
    found = inked_page("aa", config, [0, 1], [(0, 0, 0), (200, 0, 0)])
    half_of_one, half_of_both = found.plane_HW[1, 0], found.plane_HW[1, 4]
    assert half_of_both == half_of_one - 1  # same level, ink 1: the lower byte is kept
    assert found.plane_HW[1, 1] == 15 and found.plane_HW[1, 5] == 14


def test_sixteen_levels_are_the_nearest_to_the_real_coverage() -> None:
    config = RenderConfig(font_size_pt=20, line_height_pt=24)
    text = "Sphinx of black quartz, judge my vow. 0123456789"
    fine = page(text, config)
    coarse = inked_page(text, config, [0] * len(text), [(0, 0, 0)])
    apart = np.abs(fine.gray().astype(int) - coarse.gray().astype(int))
    assert apart.max() <= 9  # half of a sixteenth, and rounding
    assert len(np.unique(coarse.plane_HW)) <= NUM_LEVELS


def test_unused_inks_have_the_colour_of_plain_text() -> None:
    palette_C3 = make_palette(RenderConfig(), [(0, 0, 0), (255, 0, 0)])
    assert palette_C3[15 - 9].tolist() == [0, 0, 0]
    assert palette_C3[14].tolist() == [255, 0, 0]
    assert palette_C3[255].tolist() == [255, 255, 255]


def test_highlighted_code_has_the_inks_of_its_roles(square: Path) -> None:
    document = plain_document("def a(): return 1  # b")
    code = type(document)(
        document.text, "a.py", "code", "python", document.source, document.encoding, ()
    )
    (found,) = PageStream(code, RenderConfig(highlight=True))
    assert found.layout.glyphs.ink_N is not None
    assert len(set(found.layout.glyphs.ink_N.tolist())) >= 4
    assert not found.is_gray


# -- grey ------------------------------------------------------------------------------------


@given(data=st.binary(min_size=768, max_size=768))
def test_grey_is_the_luma_of_the_colours(data: bytes) -> None:
    from PIL import Image

    palette_C3 = np.frombuffer(data, np.uint8).reshape(256, 3)
    plane_HW = np.arange(256, dtype=np.uint8).reshape(16, 16)
    (layout,) = Layout("a", RenderConfig(), shared_atlas(Typeface.of(RenderConfig()), 256)).pages()
    found = Page(plane_HW, palette_C3, layout)
    # Pillow's conversion is the same formula in fixed point, so it may round the other way.
    wanted = np.asarray(Image.fromarray(found.rgb()).convert("L"))
    assert np.abs(found.gray().astype(int) - wanted).max() <= 1


# -- edges -----------------------------------------------------------------------------------


def test_ink_beyond_the_page_is_cut_at_its_edges() -> None:
    # An italic glyph larger than its line reaches over the top, the left and the bottom.
    config = RenderConfig(
        font_family="DejaVu Serif", italic=True, font_size_pt=40, line_height_pt=40,
        page_width_pt=120, page_height_pt=60, margin_x_pt=0, margin_y_pt=0, crop_width=False,
    )  # fmt: skip
    found = page("Ä\u0302ĝj", config)
    assert found.plane_HW.shape == (found.height_px, 120)
    assert (found.plane_HW < 128).any()


def test_the_digest_names_size_palette_and_pixels(square: Path) -> None:
    config = square_config(square, line_em=5)
    first = page("ab", config)
    assert first.digest == page("ab", config).digest
    others = [
        page("ba", config),
        page("ab", config.replace(page_width_pt=24)),
        page("ab", config.replace(font_color="#000001")),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 4
