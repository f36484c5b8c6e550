import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph.config import RenderConfig, field_specs
from glyph.errors import ConfigError
from glyph.upstream import FIELD_OF_KEY, from_upstream_json, to_upstream_json

# The published optimum as a file, with every key the public renderer reads.
PUBLISHED: dict[str, Any] = {
    "page-size": "595,842",
    "dpi": 72,
    "margin-x": 10,
    "margin-y": 10,
    "font-path": "../config/Verdana.ttf",
    "font-size": 9,
    "line-height": 10,
    "font-color": "#000000",
    "alignment": "LEFT",
    "horizontal-scale": 1.0,
    "first-line-indent": 0,
    "left-indent": 0,
    "right-indent": 0,
    "space-before": 0,
    "space-after": 0,
    "border-width": 0,
    "border-padding": 0,
    "page-bg-color": "#FFFFFF",
    "para-bg-color": "#FFFFFF",
    "para-border-color": "#FFFFFF",
    "newline-markup": '<font color="#FF0000"> \\n </font>',
    "auto-crop-width": True,
    "auto-crop-last-page": True,
}

ranges = {
    "dpi": st.integers(45, 300) | st.floats(45, 300),
    "margin-x": st.integers(0, 40) | st.floats(0, 40),
    "margin-y": st.integers(0, 40) | st.floats(0, 40),
    "font-size": st.sampled_from([7, 7.5, 8, 9, 9.5, 9.0]),
    "line-height": st.sampled_from([10, 10.5, 11, 12.25]),
    "horizontal-scale": st.floats(0.75, 1) | st.just(1),
    "first-line-indent": st.integers(0, 30),
    "left-indent": st.integers(0, 40) | st.floats(0, 40),
    "right-indent": st.integers(0, 40),
    "space-before": st.floats(0, 40),
    "space-after": st.integers(0, 40),
    "border-padding": st.integers(0, 4),
    "auto-crop-width": st.booleans(),
    "auto-crop-last-page": st.booleans(),
}
light = st.sampled_from(["#FFFFFF", "#ffffff", "#F6F8FA", "#eeeEEE"])
dark = st.sampled_from(["#000000", "#353031", "#1f2328", "#7F0000"])
visible = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@st.composite
def upstream_files(draw: st.DrawFn) -> dict[str, Any]:
    """Draw any subset of the keys with values as the public files spell them."""
    sides = st.integers(300, 1200) | st.floats(300, 1200).filter(lambda side: side % 1 != 0)
    color, text = draw(dark), draw(st.text(visible, min_size=1, max_size=9))
    bordered = draw(st.booleans())
    file = {
        **{key: draw(values) for key, values in ranges.items()},
        "page-size": f"{draw(sides)},{draw(sides)}",
        "font-path": draw(st.text(visible, min_size=1).filter(lambda path: bool(path.strip()))),
        "alignment": draw(st.sampled_from(["LEFT", "JUSTIFY", "RIGHT", "CENTER"])),
        "page-bg-color": draw(light),
        "para-bg-color": draw(light),
        "font-color": draw(dark),
        "border-width": draw(st.floats(0.5, 4)) if bordered else 0,
        "para-border-color": draw(dark | light if bordered else dark | light | st.none()),
        "newline-markup": draw(
            st.sampled_from(["<br/>", f'<font color="{color}">{escaped(text)}</font>'])
        ),
    }
    assert set(file) == set(FIELD_OF_KEY)
    keys = draw(st.sets(st.sampled_from(sorted(FIELD_OF_KEY))))
    kept = {key: file[key] for key in file if key in keys}
    if kept.get("para-border-color", "") is None:
        kept["border-width"] = 0
    return kept


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        from_upstream_json(text, where="a.json")
    return str(caught.value)


def value_refusal(key: str, value: Any) -> str:
    return refusal(json.dumps({key: value}))


@given(upstream_files())
def test_every_key_of_a_file_comes_back_with_an_equal_value(file: dict[str, Any]):
    back = json.loads(to_upstream_json(from_upstream_json(json.dumps(file))))
    assert {key: back[key] for key in file} == file
    assert list(back) == list(FIELD_OF_KEY)


@given(upstream_files())
def test_a_config_comes_back_from_its_file(file: dict[str, Any]):
    config = from_upstream_json(json.dumps(file))
    again = from_upstream_json(to_upstream_json(config))
    assert again == config
    assert again.digest == config.digest


def test_the_published_file_means_the_published_optimum():
    config = from_upstream_json(json.dumps(PUBLISHED))
    assert config == RenderConfig(
        font_family="../config/Verdana.ttf",
        border_color="#FFFFFF",
        newline_marker=" \\n ",
        newline_marker_color="#FF0000",
    )
    assert json.loads(to_upstream_json(config)) == PUBLISHED
    assert list(FIELD_OF_KEY) == list(PUBLISHED)


def test_markup_characters_in_a_marker_mean_themselves():
    config = RenderConfig(newline_marker="<br> &lt; &")
    markup = json.loads(to_upstream_json(config))["newline-markup"]
    assert markup == '<font color="#FF0000">&lt;br&gt; &amp;lt; &amp;</font>'
    assert from_upstream_json(to_upstream_json(config)) == config


def test_each_key_sets_its_own_field():
    for key, names in FIELD_OF_KEY.items():
        # No two keys write to one field, and each names fields that exist.
        others = {f for other, fs in FIELD_OF_KEY.items() if other != key for f in fs.split()}
        assert not (set(names.split(" and ")) & others)
        assert set(names.split(" and ")) <= set(field_specs())


def test_keys_left_out_take_the_published_values():
    assert from_upstream_json("{}") == RenderConfig()
    # The public renderer sets lines one point apart when no height is given.
    assert from_upstream_json('{"font-size": 12}').line_height_pt == 13


@pytest.mark.parametrize(
    ("given_as", "usual"),
    [
        ({"page-size": [595, 842]}, {"page-size": "595,842"}),
        ({"page-size": "595.0, 842"}, {"page-size": "595,842"}),
        ({"alignment": "TA_JUSTIFY"}, {"alignment": "JUSTIFY"}),
        ({"newline-markup": "<br>"}, {"newline-markup": "<br/>"}),
        ({"newline-markup": "<br />"}, {"newline-markup": "<br/>"}),
        (
            {"newline-markup": "<font color='#00aa00'>x</font>"},
            {"newline-markup": '<font color="#00aa00">x</font>'},
        ),
    ],
)
def test_other_spellings_come_back_in_the_usual_one(given_as: Any, usual: Any):
    if "newline-markup" in given_as:
        given_as["font-color"] = usual["font-color"] = "#000000"
    back = json.loads(to_upstream_json(from_upstream_json(json.dumps(given_as))))
    assert back == json.loads(to_upstream_json(from_upstream_json(json.dumps(usual))))
    assert {key: back[key] for key in usual} == usual


def test_a_null_border_colour_is_kept_while_the_border_is_off():
    config = from_upstream_json('{"border-width": 0, "para-border-color": null}')
    assert json.loads(to_upstream_json(config))["para-border-color"] is None
    assert refusal('{"border-width": 2, "para-border-color": null}') == (
        "a.json: para-border-color is null but border-width is 2; give the border a #RRGGBB "
        "colour or the width 0."
    )


def test_a_file_that_is_no_json_object_is_refused():
    assert refusal("{").startswith("a.json: not valid JSON: ")
    assert refusal("[" * 100_000).startswith("a.json: not valid JSON: ")
    assert refusal("[1]") == (
        'a.json: holds a JSON list; an object such as {"dpi": 72, "font-size": 9} is accepted.'
    )
    assert refusal('{"dpi": 72, "dpi": 96}') == "a.json: key 'dpi' stands twice; keep one."


def test_an_unknown_key_is_refused_with_the_nearest_one():
    message = value_refusal("margin_x", 10)
    assert message.startswith("a.json: unknown key 'margin_x'; did you mean 'margin-x'")
    message = value_refusal("zzqqxx", 10)
    assert message.startswith("a.json: unknown key 'zzqqxx'; known keys: page-size, dpi, ")


@pytest.mark.parametrize("value", ["A4", "595", "595,842,1", [595], [595, None], 595, None, {}])
def test_a_page_size_that_is_not_two_numbers_is_refused(value: Any):
    assert value_refusal("page-size", value) == (
        f"a.json: page-size is {value!r}; width and height in points are accepted, "
        "such as '595,842'."
    )


@pytest.mark.parametrize("value", ["left", "TA_MIDDLE", 0, None])
def test_an_alignment_outside_the_four_is_refused(value: Any):
    assert value_refusal("alignment", value) == (
        f"a.json: alignment is {value!r}; accepted: LEFT, JUSTIFY, RIGHT, CENTER."
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        "¶",
        "<b>x</b>",
        '<font color="red">x</font>',
        '<font color="#FF0000"></font>',
        '<font color="#FF0000">a<br/>b</font>',
        '<font color="#FF0000">a & b</font>',
        '<font color="#FF0000">a</font><br/>',
        '<font size="3" color="#FF0000">a</font>',
        None,
    ],
)
def test_markup_that_is_neither_a_break_nor_one_coloured_text_is_refused(value: Any):
    assert value_refusal("newline-markup", value) == (
        f"a.json: newline-markup is {value!r}; accepted: <br/>, or one coloured text such as "
        r'<font color="#FF0000"> \n </font>, with &amp; &lt; &gt; for & < >.'
    )


def test_a_newline_marker_with_one_backslash_too_few_is_explained():
    assert refusal(r'{"newline-markup": "<font color=\"#FF0000\"> \n </font>"}') == (
        "a.json: newline-markup holds a real line break, which draws nothing; write the visible "
        r"characters \\n in the JSON, with two backslashes."
    )


def test_values_out_of_range_name_the_file():
    assert value_refusal("dpi", 5) == "a.json: dpi is 5 dpi; accepted: 20 to 1200."
    assert value_refusal("dpi", float("nan")) == "a.json: dpi is nan dpi; accepted: 20 to 1200."
    assert value_refusal("auto-crop-width", "yes") == (
        "a.json: crop_width is 'yes'; a flag is true or false."
    )
    assert value_refusal("font-size", "9") == (
        "a.json: font_size_pt is '9'; a number (pt) is accepted."
    )


def test_fields_without_a_key_are_refused_by_name_unless_neutral():
    config = RenderConfig(columns=2, bold=True, grid_px=28, letter_spacing_pt=0.5)
    with pytest.raises(ConfigError) as caught:
        to_upstream_json(config)
    assert str(caught.value) == (
        "the public JSON cannot hold columns=2, bold=true, letter_spacing_pt=0.5, grid_px=28; set "
        "columns=1, bold=false, letter_spacing_pt=0, grid_px=0 first, or write TOML, which holds "
        "every field."
    )


def test_no_field_is_lost_without_a_word():
    in_json = {name for names in FIELD_OF_KEY.values() for name in names.split(" and ")}
    other: dict[str, Any] = {
        "columns": 2,
        "column_gap_pt": 20,
        "bold": True,
        "italic": True,
        "letter_spacing_pt": 1,
        "tab_columns": 8,
        "highlight": True,
        "page_label": "number",
        "grid_px": 28,
    }
    assert in_json | set(other) == set(field_specs())
    # The colour of a marker has a place in the file only inside the marker.
    for name, value in [*other.items(), ("newline_marker_color", "#00AA00")]:
        with pytest.raises(ConfigError, match=f"cannot hold {name}="):
            to_upstream_json(RenderConfig().replace(**{name: value}))
