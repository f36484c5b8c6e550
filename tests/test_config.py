import dataclasses
import math
import re
import tomllib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glyph.config import (
    RenderConfig,
    contrast,
    field_specs,
    luminance,
    parse_setting,
)
from glyph.errors import ConfigError
from glyph.presets import load_preset, preset_names

ONE_PT = ("left_indent_pt", "right_indent_pt", "space_before_pt", "space_after_pt")
ONE_PT += ("border_width_pt", "border_padding_pt", "letter_spacing_pt")
OTHER_VALUE: dict[str, Any] = {
    **dict.fromkeys(ONE_PT, 1),
    **dict.fromkeys(["margin_x_pt", "margin_y_pt", "column_gap_pt", "line_height_pt"], 11),
    **dict.fromkeys(["bold", "italic", "highlight"], True),
    **dict.fromkeys(["crop_width", "crop_last_page"], False),
    **dict.fromkeys(["page_color", "paragraph_color"], "#FFFFFE"),
    **dict.fromkeys(["font_color", "border_color"], "#000001"),
    "dpi": 96,
    "page_width_pt": 596,
    "page_height_pt": 843,
    "columns": 2,
    "font_family": "DejaVu Serif",
    "font_size_pt": 9.5,
    "horizontal_scale": 0.9,
    "alignment": "justify",
    "first_line_indent_pt": 9,
    "tab_columns": 8,
    "newline_marker": "↵",
    "newline_marker_color": "#EE0000",
    "page_label": "number",
    "grid_px": 28,
}
NUMBERS = [f.name for f in dataclasses.fields(RenderConfig) if f.type in (int, float)]
FLOATS = [f.name for f in dataclasses.fields(RenderConfig) if f.type is float]
COLORS = [name for name, spec in field_specs().items() if spec.unit == "#RRGGBB"]

visible_text = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8)


def points(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@st.composite
def valid_configs(draw: st.DrawFn) -> RenderConfig:
    """Draw any config that passes the rules by construction, extreme floats included."""
    low_channel, high_channel = st.integers(0, 0x50), st.integers(0xB0, 0xFF)
    if draw(st.booleans()):
        low_channel, high_channel = high_channel, low_channel

    def color(channel: st.SearchStrategy[int]) -> str:
        spelling = draw(st.sampled_from(["#{:02x}{:02x}{:02x}", "#{:02X}{:02X}{:02X}"]))
        return spelling.format(draw(channel), draw(channel), draw(channel))

    font_size_pt = draw(points(6, 40))
    left_indent_pt = draw(points(0, 20))
    return RenderConfig(
        dpi=draw(points(48, 300)),
        page_width_pt=draw(points(400, 2000)),
        page_height_pt=draw(points(400, 2000)),
        margin_x_pt=draw(points(0, 40)),
        margin_y_pt=draw(points(0, 40)),
        columns=draw(st.integers(1, 2)),
        column_gap_pt=draw(points(0, 20)),
        font_family=draw(visible_text.filter(lambda name: bool(name.strip()))),
        bold=draw(st.booleans()),
        italic=draw(st.booleans()),
        font_size_pt=font_size_pt,
        line_height_pt=font_size_pt + draw(points(0, 20)),
        horizontal_scale=draw(points(0.4, 2)),
        letter_spacing_pt=draw(points(0, 50)),
        alignment=draw(st.sampled_from(["left", "justify", "right", "center"])),
        first_line_indent_pt=draw(points(-left_indent_pt, 10)),
        left_indent_pt=left_indent_pt,
        right_indent_pt=draw(points(0, 10)),
        space_before_pt=draw(points(0, 50)),
        space_after_pt=draw(points(0, 500)),
        tab_columns=draw(st.integers(1, 32)),
        page_color=color(high_channel),
        paragraph_color=color(high_channel),
        font_color=color(low_channel),
        border_width_pt=draw(points(0, 4)),
        border_padding_pt=draw(points(0, 4)),
        border_color=color(st.integers(0, 255)),
        newline_marker=draw(visible_text),
        newline_marker_color=color(low_channel),
        highlight=draw(st.booleans()),
        page_label=draw(st.sampled_from(["none", "number"])),
        crop_width=draw(st.booleans()),
        crop_last_page=draw(st.booleans()),
        grid_px=draw(st.sampled_from([0, 14, 28, 32])),
    )


def refusal(**fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        RenderConfig(**fields)
    return str(caught.value)


# -- in and out ------------------------------------------------------------------------------


@given(valid_configs(), st.text(st.characters(exclude_categories=["Cs"])))
@example(RenderConfig(), 'a "word",\t\x7f\n')
def test_a_config_survives_toml_with_its_digest(config: RenderConfig, description: str):
    text = config.to_toml(description=description)
    again = RenderConfig.from_toml(text)
    assert again == config
    assert again.digest == config.digest
    assert tomllib.loads(text)["description"] == description


@given(valid_configs())
def test_a_config_survives_plain_values(config: RenderConfig):
    assert RenderConfig.from_dict(config.to_dict()) == config
    assert list(config.to_dict()) == list(field_specs())


def test_every_field_changes_the_digest_and_nothing_else_does():
    assert set(OTHER_VALUE) == set(field_specs())
    digests = {RenderConfig().digest}
    for name, value in OTHER_VALUE.items():
        changed = RenderConfig().replace(**{name: value})
        assert changed == RenderConfig(**{name: value}) != RenderConfig()
        digests.add(changed.digest)
    assert len(digests) == len(OTHER_VALUE) + 1
    assert re.fullmatch("[0-9a-f]{16}", RenderConfig().digest)


def test_equal_configs_have_equal_digests_however_their_numbers_are_written():
    whole = RenderConfig(dpi=72, margin_x_pt=0, first_line_indent_pt=0)
    floating = RenderConfig(dpi=72.0, margin_x_pt=-0.0, first_line_indent_pt=-0.0)
    assert whole == floating
    assert whole.digest == floating.digest
    assert whole.to_toml() == floating.to_toml()


@pytest.mark.parametrize("name", FLOATS)
def test_a_length_is_a_float_even_when_given_as_a_whole_number(name: str):
    value = getattr(RenderConfig(), name)
    assert type(getattr(RenderConfig(**{name: int(value)}), name)) is float


def test_a_config_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RenderConfig().dpi = 96  # pyright: ignore[reportAttributeAccessIssue]


def test_the_defaults_are_the_searched_optimum_of_the_paper():
    config = RenderConfig()
    assert config.page_size_px == (595, 842)
    assert (config.dpi, config.font_size_pt, config.line_height_pt) == (72, 9, 10)
    assert (config.margin_x_pt, config.margin_y_pt, config.alignment) == (10, 10, "left")
    assert config.crop_width and config.crop_last_page
    assert not config.is_dark


def test_an_unknown_field_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError) as caught:
        RenderConfig.from_dict({"fontsize_pt": 9}, where="my.toml")
    assert str(caught.value).startswith("unknown field 'fontsize_pt' in my.toml; did you mean ")
    assert "'font_size_pt'" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        RenderConfig().replace(zzqqxx=1)
    assert str(caught.value).startswith(
        "unknown field 'zzqqxx' in changes; known fields: ['alignment', 'bold', "
    )


def test_a_preset_text_that_is_not_one_is_refused():
    def toml_refusal(text: str) -> str:
        with pytest.raises(ConfigError) as caught:
            RenderConfig.from_toml(text, where="my.toml")
        return str(caught.value)

    assert toml_refusal("dpi = = 3").startswith("my.toml is not valid TOML: ")
    assert toml_refusal("x = " + "9" * 5000).startswith("my.toml is not valid TOML: ")
    assert toml_refusal("x = " + "[" * 100_000).startswith("my.toml is not valid TOML: ")
    assert toml_refusal("dpi = 96") == (
        "unknown key 'dpi' in my.toml; a preset holds 'description', [render] and [provenance]."
    )
    assert toml_refusal("render = 3") == "'render' in my.toml is not a table; write [render]."
    assert toml_refusal("[render]\ndpi = '72'") == "dpi is '72'; a number (dpi) is accepted."
    assert toml_refusal("[render]\ndpi = nan") == "dpi is nan dpi; accepted: 20 to 1200."


def test_description_and_provenance_do_not_change_a_preset():
    text = 'description = "a"\n[provenance]\nseed = 3\n[render]\ndpi = 96\n'
    assert RenderConfig.from_toml(text) == RenderConfig(dpi=96)


# -- single values ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_out_of_range_is_refused_with_its_range(name: str):
    spec = field_specs()[name]
    assert spec.low is not None and spec.high is not None
    accepted = f"{spec.unit}; accepted: {spec.low:g} to {spec.high:g}."
    for value in (int(spec.low) - 1, int(spec.high) + 1):
        assert refusal(**{name: value}) == f"{name} is {value:g} {accepted}"
    assert refusal(**{name: 10**400}) == f"{name} is huge {accepted}"


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(name: str, value: float):
    assert refusal(**{name: value}).startswith(f"{name} is {value:g} ")


def test_a_value_of_another_type_is_refused():
    assert refusal(dpi="72") == "dpi is '72'; a number (dpi) is accepted."
    assert refusal(dpi=True) == "dpi is True; a number (dpi) is accepted."
    assert refusal(columns=2.0) == "columns is 2.0; a whole number (count) is accepted."
    assert refusal(bold=1) == "bold is 1; a flag is true or false."
    assert refusal(font_family=None) == "font_family is None; text is accepted."
    assert refusal(alignment=["left"]) == "alignment is ['left']; text is accepted."


def test_a_text_outside_the_choices_is_refused():
    assert refusal(alignment="LEFT") == (
        "alignment is 'LEFT'; accepted: left, justify, right, center."
    )
    assert refusal(page_label="roman") == "page_label is 'roman'; accepted: none, number."
    assert refusal(font_family=" ") == (
        "font_family is empty; name a family such as 'DejaVu Sans', or a font file."
    )


@pytest.mark.parametrize("name", COLORS)
@pytest.mark.parametrize("value", ["white", "#FFF", "#FFFFFFF", "#GGGGGG", "FFFFFF", ""])
def test_a_colour_in_another_spelling_is_refused(name: str, value: str):
    assert refusal(**{name: value}) == (
        f"{name} is '{value}'; a colour is written #RRGGBB, such as #353031."
    )


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x7f", "\x85", "\u2028", "\ud800"])
def test_a_newline_marker_cannot_hold_what_breaks_lines_or_files(character: str):
    assert refusal(newline_marker=f"a{character}") == (
        f"newline_marker holds the character U+{ord(character):04X}; "
        "visible characters on one line are accepted."
    )


# -- combinations ----------------------------------------------------------------------------


def test_lines_that_overlap_are_refused():
    assert refusal(font_size_pt=12, line_height_pt=11.5) == (
        "line_height_pt 11.5 is below font_size_pt 12; lines would overlap. Raise line_height_pt."
    )


def test_glyphs_under_four_pixels_are_refused():
    assert refusal(dpi=30) == (
        "font_size_pt 9 at 30 dpi is 3.8 px; at least 4 px can be read. Raise font_size_pt or dpi."
    )


def test_a_page_over_the_pixel_cap_is_refused():
    assert refusal(dpi=1200) == (
        "page of 9917x14033 px is over the cap of 100,000,000 pixels. Lower dpi or the page size."
    )


def test_a_page_without_room_for_a_line_is_refused():
    assert refusal(margin_x_pt=290) == (
        "text box of 15x822 px on a page of 595x842 px cannot hold one line of 2 em (18x10 px). "
        "Lower margins, indents or columns, or enlarge the page."
    )
    assert refusal(margin_y_pt=420).startswith("text box of 575x2 px on a page of 595x842 px ")
    assert refusal(columns=12, column_gap_pt=60).startswith("text box of -7x822 px ")
    assert refusal(left_indent_pt=560).startswith("text box of 15x822 px ")
    assert refusal(first_line_indent_pt=450, right_indent_pt=110).startswith("text box of 15x822 ")
    assert refusal(margin_y_pt=400, space_before_pt=40).startswith("text box of 575x2 px ")
    assert refusal(margin_y_pt=412, page_label="number").startswith("text box of 575x8 px ")
    assert refusal(margin_x_pt=280, border_width_pt=5, border_padding_pt=5).startswith(
        "text box of 15x802 px "
    )


def test_a_first_line_may_hang_as_far_as_the_indent_and_no_further():
    assert refusal(left_indent_pt=10, first_line_indent_pt=-10.5) == (
        "first_line_indent_pt -10.5 hangs out of the text box; with left_indent_pt 10 it may be "
        "-10 at the least."
    )
    assert RenderConfig(left_indent_pt=10, first_line_indent_pt=-10).line_width_px == 565


def test_text_nobody_could_see_is_refused():
    assert refusal(font_color="#AAAAAA") == (
        "font_color #AAAAAA on paragraph_color #FFFFFF has contrast 2.3:1; at least 3:1 can be "
        "read. Choose colours further apart."
    )
    marker = {"newline_marker": "↵", "newline_marker_color": "#FFFF00"}
    assert refusal(**marker) == (
        "newline_marker_color #FFFF00 on paragraph_color #FFFFFF has contrast 1.1:1; at least 3:1 "
        "can be read. Choose colours further apart."
    )
    label = {"page_color": "#101010", "page_label": "number"}
    assert refusal(**label) == (
        "font_color #000000 on page_color #101010 has contrast 1.1:1; at least 3:1 can be read. "
        "Choose colours further apart."
    )


def test_colours_that_are_not_drawn_may_be_anything():
    assert RenderConfig(newline_marker_color="#FFFFFF", border_color="#FFFFFF")
    assert RenderConfig(page_color="#000000", page_label="none")


# -- derived lengths -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grid_px", "size_px"),
    [(0, (595, 842)), (14, (588, 840)), (28, (588, 840)), (32, (576, 832)), (1024, (1024, 1024))],
)
def test_page_sides_snap_down_to_the_grid_but_never_to_nothing(
    grid_px: int, size_px: tuple[int, int]
):
    assert RenderConfig(grid_px=grid_px).page_size_px == size_px


@given(st.integers(1, 40), st.sampled_from([14, 28, 32, 48]), st.floats(48, 300))
def test_a_page_meant_as_n_cells_keeps_its_n_cells_at_any_dpi(cells: int, grid_px: int, dpi: float):
    side_pt = max(cells, 4) * grid_px * 72 / dpi
    config = RenderConfig(
        dpi=dpi,
        page_width_pt=max(side_pt, 14),
        page_height_pt=max(side_pt, 14),
        grid_px=grid_px,
        margin_x_pt=0,
        margin_y_pt=0,
        font_size_pt=6,
    )
    assert config.page_size_px == (max(cells, 4) * grid_px,) * 2


def test_columns_share_the_page_between_margins_and_gaps():
    config = RenderConfig(dpi=144, columns=3, column_gap_pt=10, margin_x_pt=20)
    assert config.column_width_px * 3 + 2 * 20 + 2 * 40 == config.page_size_px[0]


def test_dark_is_said_of_light_text_on_dark_ground():
    assert RenderConfig(paragraph_color="#353031", font_color="#F2F2F2").is_dark
    assert not RenderConfig(page_color="#000000").is_dark


def test_contrast_agrees_with_published_ratios():
    # Black on white is 21:1 by definition; #767676 is the known lightest grey over 4.5:1.
    assert contrast("#000000", "#FFFFFF") == contrast("#FFFFFF", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.005)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)
    assert contrast("#FF0000", "#FFFFFF") == pytest.approx(4.00, abs=0.005)
    assert luminance("#00FF00") == pytest.approx(0.7152)


# -- presets and settings --------------------------------------------------------------------


def test_an_unknown_preset_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"^unknown preset 'aligned28'; did you mean 'aligned-"):
        load_preset("aligned28")
    with pytest.raises(ConfigError) as caught:
        load_preset("zzqqxx")
    known = ", ".join(preset_names())
    assert str(caught.value) == f"unknown preset 'zzqqxx'; presets: {known}."


def test_a_preset_file_is_read_by_its_path(tmp_path: Any):
    path = tmp_path / "mine.toml"
    path.write_text("[render]\ndpi = 96\n", "utf-8")
    assert load_preset(path) == load_preset(str(path)) == RenderConfig(dpi=96)
    path.write_text("[render]\ndpi = 96\n", "utf-8-sig")
    assert load_preset(path) == RenderConfig(dpi=96)
    path = tmp_path / "upstream.json"
    path.write_text('{"dpi": 96}', "utf-8")
    assert load_preset(path) == RenderConfig(dpi=96)


def test_a_preset_file_that_cannot_be_read_is_refused(tmp_path: Any):
    def file_refusal(name: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load_preset(tmp_path / name)
        return str(caught.value)

    missing = f"cannot read preset {tmp_path / 'none.toml'}: No such file or directory."
    assert file_refusal("none.toml") == missing
    (tmp_path / "folder.toml").mkdir()
    assert file_refusal("folder.toml").startswith("cannot read preset ")
    (tmp_path / "latin.toml").write_bytes(b"description = '\xe9'")
    assert file_refusal("latin.toml").endswith("latin.toml: not UTF-8 text.")
    (tmp_path / "bad.toml").write_text("[render]\nmargin = 3\n", "utf-8")
    assert file_refusal("bad.toml").startswith(f"unknown field 'margin' in {tmp_path}")
    (tmp_path / "bad.json").write_text('{"marginx": 3}', "utf-8")
    assert f"{tmp_path / 'bad.json'}: unknown key 'marginx'; did you mean 'margin-x'" in (
        file_refusal("bad.json")
    )


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("dpi=96", ("dpi", 96.0)),
        ("columns=2", ("columns", 2)),
        ("bold=TRUE", ("bold", True)),
        ("crop_width=off", ("crop_width", False)),
        ("alignment=justify", ("alignment", "justify")),
        ("newline_marker= = ", ("newline_marker", " = ")),
        ("newline_marker=", ("newline_marker", "")),
    ],
)
def test_a_setting_takes_the_type_of_its_field(text: str, setting: tuple[str, Any]):
    assert parse_setting(text) == setting
    assert type(parse_setting(text)[1]) is type(setting[1])
    assert getattr(RenderConfig().replace(**dict([setting])), setting[0]) == setting[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dpi", "'dpi' is not a setting; write field=value, such as dpi=96."),
        ("=3", "'=3' is not a setting; write field=value, such as dpi=96."),
        ("dpy=3", "'dpy=3' is not a setting; write field=value, did you mean 'dpi'?"),
        ("dpi=high", "dpi='high' is not a number."),
        ("columns=1.5", "columns='1.5' is not a whole number."),
        ("bold=maybe", "bold='maybe' is not a flag; write bold=true or bold=false."),
    ],
)
def test_a_setting_that_cannot_be_read_is_refused(text: str, message: str):
    with pytest.raises(ConfigError) as caught:
        parse_setting(text)
    assert str(caught.value) == message
