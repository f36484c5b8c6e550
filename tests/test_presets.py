import runpy
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glyph
from glyph.config import RenderConfig
from glyph.presets import load_preset, preset_names
from glyph.readers.nano.spec import load_spec
from glyph.render import render_pages
from glyph.tokens import image_cost

ROOT = Path(__file__).parents[1]
FOLDER = Path(glyph.__file__).parent / "presets"

PATCH_PX = {16: 16, 28: 14, 32: 16, 48: 16, 336: 14, 448: 14, 512: 32, 640: 16, 768: 16}
PATCH_PX |= {896: 14, 1024: 16}
"""Side of a patch in the encoders whose grid a preset is named after."""

CELL_PX = {16: 16, 28: 28, 32: 32, 48: 48, 336: 28, 448: 28, 512: 32, 640: 64, 768: 64}
CELL_PX |= {896: 56, 1024: 64}
"""Side of the square that becomes one visual token; for the tiles of OpenAI, a divisor of them."""

TILED = ("aligned-336", "aligned-448", "aligned-512", "aligned-640", "aligned-640-large")
TILED += ("aligned-768",)
BUDGETS = ("aligned-48", "aligned-48-70", "aligned-48-140", "aligned-48-280", "aligned-48-560")
BUDGETS += ("aligned-48-2240",)
SQUARES = ("aligned-512-square", "aligned-640-small", "aligned-896", "aligned-1024")
FIXED_SHAPE = (*TILED, *BUDGETS, *SQUARES, "nano", "nano-dense")
"""Families that stretch, pad or charge a page of another shape; the small reader's own sizes."""

MODELS = {
    "aligned-16": ["pixtral-12b"],
    "aligned-28": [
        "glyph",
        "glm-4.1v",
        "glm-4.5v",
        "glm-4.6v",
        "qwen2-vl",
        "qwen2.5-vl",
        "claude-sonnet-4.5",
        "claude-opus-4.7",
        "kimi-vl",
        "kimi-k2.5",
        "mistral-small-3.1",
    ],
    "aligned-32": ["qwen3-vl", "qwen3.5", "gpt-5-mini", "gpt-5.4", "gpt-5.5", "o4-mini"],
    "aligned-48": ["gemini-3.6-flash", "gemini-3-pro", "gemma-4@1120"],
    "aligned-48-70": ["gemma-4@70"],
    "aligned-48-140": ["gemma-4@140"],
    "aligned-48-280": ["gemma-4", "gemini-3.6-flash@low"],
    "aligned-48-560": ["gemma-4@560", "gemini-3.6-flash@medium"],
    "aligned-48-2240": ["gemini-3.6-flash@ultra"],
    "aligned-336": ["llama-4"],
    "aligned-448": ["internvl3", "internvl3.5", "minicpm-v-2.6", "minicpm-v-4.5"],
    "aligned-512": ["gpt-4o", "gpt-4.1", "gpt-5", "o1", "o3"],
    "aligned-512-square": ["gpt-4o@low", "o3@low", "deepseek-ocr@tiny"],
    "aligned-640": ["deepseek-ocr"],
    "aligned-640-small": ["deepseek-ocr@small"],
    "aligned-640-large": ["deepseek-ocr@large"],
    "aligned-768": ["deepseek-ocr-2", "gemini-2.5-pro"],
    "aligned-896": ["gemma-3"],
    "aligned-1024": ["deepseek-ocr@base"],
}
VARIANT_OF = {
    "nano": "aligned-28",
    "nano-dense": "aligned-28",
    "aligned-28-small": "aligned-28",
    "aligned-28-dense": "aligned-28",
    "aligned-28-flow": "aligned-28",
    "aligned-28-flow-dense": "aligned-28",
    "aligned-32-flow": "aligned-32",
    "aligned-28-clear": "aligned-28",
    "aligned-48-clear": "aligned-48",
    "code": "aligned-28",
    "code-dark": "aligned-28",
    "code-32": "aligned-32",
    "code-48": "aligned-48",
    "columns": "aligned-28",
    "dark": "aligned-28",
    "web": "aligned-28",
}
ON_GRID = [name for name in preset_names() if not name.startswith("glyph-")]
TEXT = "The quick brown fox jumps over the lazy dog. " * 1_500


def tables(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


def is_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-9


# -- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_loads_and_says_what_it_is_for(name: str):
    assert load_preset(name) == RenderConfig.from_dict(tables(name)["render"])
    assert 20 < len(tables(name)["description"]) <= 96


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_writes_only_what_differs_from_the_default(name: str):
    default = RenderConfig().to_dict()
    assert [key for key, value in tables(name)["render"].items() if default[key] == value] == []


def test_the_presets_are_those_named_in_the_tables_of_this_test():
    assert set(ON_GRID) == set(MODELS) | set(VARIANT_OF)
    assert set(preset_names()) - set(ON_GRID) == {
        "glyph-en-72",
        "glyph-en-96",
        "glyph-zh-72",
        "glyph-zh-96",
    }


def test_no_two_presets_are_the_same():
    digests = [load_preset(name).digest for name in preset_names()]
    assert len(set(digests)) == len(digests)


def test_the_paper_presets_are_the_published_optimum():
    assert load_preset("glyph-en-72") == RenderConfig()
    assert load_preset("glyph-en-96") == RenderConfig(dpi=96)
    assert load_preset("glyph-zh-72") == RenderConfig(font_family="Noto Sans CJK SC")
    assert load_preset("glyph-zh-96") == RenderConfig(dpi=96, font_family="Noto Sans CJK SC")


@pytest.mark.parametrize(("name", "style"), [("nano", "A"), ("nano-dense", "N")])
def test_the_presets_of_the_nano_reader_are_its_styles(name: str, style: str):
    ours, theirs = load_preset(name), load_spec().style(style).config(336, 448)
    # Without marks their colour means nothing, and a preset writes only what differs.
    assert ours.replace(newline_marker_color="#000000") == theirs


# -- the grid --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ON_GRID)
def test_a_preset_on_a_grid_keeps_its_phase(name: str):
    config = load_preset(name)
    pitch_px, margin_px = config.px(config.line_height_pt), config.px(config.margin_y_pt)
    width_px, height_px = config.page_size_px
    assert config.grid_px == int(VARIANT_OF.get(name, name).split("-")[1])
    assert (width_px, height_px) == (
        config.px(config.page_width_pt),
        config.px(config.page_height_pt),
    )
    assert width_px % config.grid_px == height_px % config.grid_px == 0
    assert margin_px % PATCH_PX[config.grid_px] == 0
    assert is_whole(CELL_PX[config.grid_px] / pitch_px)
    assert is_whole(config.grid_px / CELL_PX[config.grid_px])
    assert is_whole((height_px - 2 * margin_px) / pitch_px)
    assert is_whole(config.px(config.space_before_pt + config.space_after_pt) / pitch_px)


@pytest.mark.parametrize("name", ON_GRID)
def test_lines_meet_the_grid_alike_from_cell_to_cell_and_fill_the_page(name: str):
    config = load_preset(name)
    layout = next(render_pages(TEXT, config).layouts())
    lines = layout.lines
    cell_px = CELL_PX[config.grid_px]
    lines_in_cell = round(cell_px / config.px(config.line_height_pt))
    top_L = lines.top_L[: len(lines.top_L) // config.columns]
    baseline_L = layout.glyphs.baseline_N[lines.glyph_L][: len(top_L)]
    for rows in (top_L, baseline_L):
        steps = rows[lines_in_cell:] - rows[:-lines_in_cell]
        assert set(steps.tolist()) == {cell_px}
    assert top_L[0] == config.px(config.margin_y_pt)
    assert lines.bottom_L.max() == config.page_size_px[1] - config.px(config.margin_y_pt)
    assert len(set(np.diff(top_L).tolist())) <= 2


@pytest.mark.parametrize("name", TILED)
def test_no_line_is_cut_by_the_edge_of_a_tile(name: str):
    config = load_preset(name)
    layout = next(render_pages(TEXT, config).layouts())
    width_px, height_px = config.page_size_px
    for edge_px in range(config.grid_px, height_px, config.grid_px):
        cut = (layout.lines.top_L < edge_px) & (edge_px < layout.lines.bottom_L)
        assert not cut.any()
    for edge_px in range(config.grid_px, width_px, config.grid_px):
        left_L, right_L = layout.lines.left64_L / 64, layout.lines.right64_L / 64
        assert not ((left_L < edge_px) & (edge_px < right_L)).any()


@pytest.mark.parametrize("name", ON_GRID)
def test_cropped_pages_stay_on_the_grid_and_fixed_shapes_stay_whole(name: str):
    config = load_preset(name)
    (page,) = render_pages("A short text.\n", config).layouts()
    assert page.width_px % config.grid_px == page.height_px % config.grid_px == 0
    if {name, VARIANT_OF.get(name)} & set(FIXED_SHAPE):
        assert (page.width_px, page.height_px) == config.page_size_px
    else:
        assert page.height_px < config.page_size_px[1]


@pytest.mark.parametrize(
    ("name", "model"), [(name, model) for name, models in MODELS.items() for model in models]
)
def test_a_full_page_is_never_resampled_by_the_models_it_is_made_for(name: str, model: str):
    variants = [name, *(variant for variant, of in VARIANT_OF.items() if of == name)]
    for variant in variants:
        width_px, height_px = load_preset(variant).page_size_px
        cost = image_cost(width_px, height_px, model)
        assert not cost.resampled, (
            f"{variant} is seen as {cost.seen_width_px}x{cost.seen_height_px}"
        )


def test_the_published_page_is_resampled_where_the_aligned_one_is_not():
    assert image_cost(*load_preset("glyph-en-72").page_size_px, "glm-4.1v").resampled
    assert image_cost(*load_preset("aligned-28").page_size_px, "glm-4.1v").visual_tokens == 630


# -- what presets are for --------------------------------------------------------------------


def test_dense_and_clear_variants_hold_more_and_less_text_on_the_same_page():
    def chars(name: str) -> int:
        return next(render_pages(TEXT, load_preset(name)).layouts()).end

    assert chars("aligned-28-dense") > 1.3 * chars("aligned-28")
    assert chars("aligned-28-flow-dense") > 1.3 * chars("aligned-28-flow")
    assert chars("aligned-28-clear") < 0.6 * chars("aligned-28")
    assert chars("aligned-48-clear") < 0.5 * chars("aligned-48")


def test_flowing_presets_hold_more_of_short_lines_on_the_same_page():
    def chars(name: str) -> int:
        return next(render_pages("short line\n\n" * 2_000, load_preset(name)).layouts()).end

    assert chars("aligned-32-flow") > 3 * chars("aligned-32")
    assert chars("aligned-28-flow-dense") > chars("aligned-28-flow") > 3 * chars("aligned-28")


def test_code_presets_hold_a_hundred_columns_and_say_which_is_dark():
    for name in ("code", "code-32", "code-48", "code-dark"):
        config = load_preset(name)
        page = next(render_pages("m" * 100 + "\n" + "x\n" * 300, config).layouts())
        assert page.lines.end_L[0] == 101
        assert config.highlight and config.alignment == "left"
    assert load_preset("code-dark").is_dark and load_preset("dark").is_dark
    assert not load_preset("code").is_dark
    assert load_preset("code-dark").page_color == "#353031"


def test_two_columns_hold_more_short_lines_than_one():
    text = "a short line\n" * 2_000
    two, one = (
        next(render_pages(text, load_preset(name)).layouts()).end
        for name in ("columns", "aligned-28")
    )
    assert two == 2 * one


# -- the page of the docs --------------------------------------------------------------------


def test_the_tables_of_the_render_page_are_current():
    page = (ROOT / "docs" / "RENDER.md").read_text("utf-8")
    fill = runpy.run_path(str(ROOT / "tools" / "make_render_docs.py"))["fill"]
    assert fill(page) == page, "run: python tools/make_render_docs.py"
