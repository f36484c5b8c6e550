import dataclasses
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
import pytest

from glyph import themes
from glyph.config import RenderConfig
from glyph.errors import ConfigError
from glyph.themes import FONT_POOLS, THEME_PRIORS, THEMES, sample_config

NUM_SAMPLES = 5_000
NOT_SAMPLED = {
    "columns",
    "column_gap_pt",
    "letter_spacing_pt",
    "tab_columns",
    "highlight",
    "page_label",
    "grid_px",
}
"""Fields that the paper does not sample, and the grid, which the caller sets."""


@cache
def samples(theme: str | None) -> tuple[RenderConfig, ...]:
    rng = np.random.default_rng(20_251_017)
    number = NUM_SAMPLES if theme is None else NUM_SAMPLES // 2
    return tuple(sample_config(rng, theme=theme) for _ in range(number))


def assert_shares(found: Iterable[Hashable], weights: Iterable[tuple[Any, float]]) -> None:
    """Pearson's chi-square test against declared weights, at about one false alarm in 30,000."""
    expected: dict[Hashable, float] = {}
    for value, weight in weights:
        expected[value] = expected.get(value, 0.0) + weight
    counts = Counter(found)
    assert set(counts) <= set(expected), f"never declared: {set(counts) - set(expected)}"
    total, size = sum(expected.values()), sum(counts.values())
    statistic = sum(
        (counts[value] - size * weight / total) ** 2 / (size * weight / total)
        for value, weight in expected.items()
    )
    freedom = len(expected) - 1
    # Wilson and Hilferty's approximation of the quantile four deviations out.
    limit = freedom * (1 - 2 / (9 * freedom) + 4 * sqrt(2 / (9 * freedom))) ** 3
    assert statistic < limit, f"chi-square {statistic:.1f} over {limit:.1f}: {counts}"


# -- the declared shares ---------------------------------------------------------------------


def test_the_chi_square_test_itself_sees_a_wrong_share():
    rng = np.random.default_rng(1)
    assert_shares((rng.random(5_000) < 0.3).tolist(), [(True, 0.3), (False, 0.7)])
    with pytest.raises(AssertionError, match="chi-square"):
        assert_shares((rng.random(5_000) < 0.3).tolist(), [(True, 0.35), (False, 0.65)])
    with pytest.raises(AssertionError, match="never declared"):
        assert_shares([1, 2, 3], [(1, 0.5), (2, 0.5)])


FIELD_TABLES: dict[str, tuple[Callable[[RenderConfig], Hashable], Iterable[tuple[Any, float]]]] = {
    "font size": (lambda c: c.font_size_pt, themes.FONT_SIZES_PT),
    "leading": (lambda c: c.line_height_pt - c.font_size_pt, themes.LEADINGS_PT),
    "horizontal scale": (lambda c: c.horizontal_scale, themes.HORIZONTAL_SCALES),
    "border": (
        lambda c: c.border_width_pt > 0,
        [(True, themes.BORDER_SHARE), (False, 1 - themes.BORDER_SHARE)],
    ),
    "newline marker": (
        lambda c: c.newline_marker,
        [("", 1 - themes.NEWLINE_MARKER_SHARE)]
        + [(marker, w * themes.NEWLINE_MARKER_SHARE) for marker, w in themes.NEWLINE_MARKERS],
    ),
    "crop width": (
        lambda c: c.crop_width,
        [(True, themes.CROP_WIDTH_SHARE), (False, 1 - themes.CROP_WIDTH_SHARE)],
    ),
    "crop last page": (
        lambda c: c.crop_last_page,
        [(True, themes.CROP_LAST_PAGE_SHARE), (False, 1 - themes.CROP_LAST_PAGE_SHARE)],
    ),
    "dpi": (
        lambda c: c.dpi,
        [(dpi, w / len(values)) for values, w in themes.DPI_SETS for dpi in values],
    ),
    "indent": (
        lambda c: (
            "hanging"
            if c.first_line_indent_pt < 0
            else "first"
            if c.first_line_indent_pt
            else "block"
            if c.left_indent_pt
            else "none"
        ),
        themes.INDENT_MODES,
    ),
    "first line": (
        lambda c: c.first_line_indent_pt / c.font_size_pt if c.first_line_indent_pt > 0 else 0,
        [(0, 0.78)] + [(em, 0.22 * w) for em, w in themes.FIRST_LINE_EM],
    ),
    "space before": (
        lambda c: (
            "none" if not c.space_before_pt else "small" if c.space_before_pt < 6 else "large"
        ),
        zip(["none", "small", "large"], [w for _, w in themes.SPACINGS_PT], strict=True),
    ),
    "margins": (
        lambda c: np.sign(c.margin_y_pt - c.margin_x_pt).item(),
        zip([0.0, 1.0, -1.0], [w for _, w in themes.MARGIN_PATTERNS], strict=True),
    ),
}


@pytest.mark.parametrize("name", FIELD_TABLES)
def test_fields_come_with_their_declared_shares(name: str):
    value_of, weights = FIELD_TABLES[name]
    assert_shares(map(value_of, samples(None)), weights)


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_draws_its_own_fonts_colours_and_alignments(theme: str):
    prior = THEME_PRIORS[theme]
    configs = samples(theme)
    assert_shares(
        (c.font_family for c in configs),
        [(f, w / len(FONT_POOLS[p])) for p, w in prior.pools for f in FONT_POOLS[p]],
    )
    assert_shares(
        ((c.page_color, c.paragraph_color, c.font_color) for c in configs),
        [((p.page, p.paragraph, p.font), w) for p, w in prior.palettes],
    )
    if len(prior.alignments) > 1:
        assert_shares((c.alignment for c in configs), prior.alignments)
    for name, share in (("bold", prior.bold_share), ("italic", prior.italic_share)):
        found = sum(getattr(config, name) for config in configs) / len(configs)
        assert found == pytest.approx(share, abs=4 * sqrt(share / len(configs)))


def test_papers_come_with_their_priors():
    # The themes other than code draw papers too, but the document theme draws most.
    papers = dict(themes.PAPERS_PT)
    sizes = [(round(c.page_width_pt), round(c.page_height_pt)) for c in samples("document")]
    share = sum(size in papers for size in sizes) / len(sizes)
    assert share == pytest.approx(dict(THEME_PRIORS["document"].pages)["paper"], abs=0.03)
    assert_shares((size for size in sizes if size in papers), themes.PAPERS_PT)


def test_themes_come_with_their_shares():
    # Palettes tell themes apart, as no two themes share one.
    theme_of: Mapping[Any, str] = {
        (p.page, p.paragraph, p.font): name
        for name, prior in THEME_PRIORS.items()
        for p, _ in prior.palettes
        if name in {"web", "pixel"}
    }
    found = (
        theme_of.get((c.page_color, c.paragraph_color, c.font_color), "other")
        for c in samples(None)
    )
    web, pixel = THEME_PRIORS["web"].share, THEME_PRIORS["pixel"].share
    total = sum(prior.share for prior in THEME_PRIORS.values())
    assert_shares(found, [("web", web), ("pixel", pixel), ("other", total - web - pixel)])


# -- the ranges of the paper -----------------------------------------------------------------


def test_every_field_that_the_paper_samples_varies():
    for field in dataclasses.fields(RenderConfig):
        values = {getattr(config, field.name) for config in samples(None)}
        assert (len(values) == 1) == (field.name in NOT_SAMPLED), field.name


def test_samples_stay_in_the_ranges_of_the_paper():
    for config in samples(None):
        assert 45 <= config.dpi <= 450
        assert config.font_size_pt in {7, 7.5, 8, 9, 9.5, 10, 11, 12, 14}
        assert config.line_height_pt - config.font_size_pt in {0, 1, 2, 3}
        assert 0.75 <= config.horizontal_scale <= 1.0
        assert 10 <= config.margin_x_pt <= 40 and 10 <= config.margin_y_pt <= 40
        if config.first_line_indent_pt > 0:
            assert 1 <= config.first_line_indent_pt / config.font_size_pt <= 2.5
        assert bool(config.border_width_pt) == bool(config.border_padding_pt)


def test_favoured_values_lead_and_extremes_are_rare():
    configs = samples(None)
    assert sum(c.alignment in {"left", "justify"} for c in configs) > 0.9 * NUM_SAMPLES
    usual_dpi = sum(72 <= c.dpi <= 300 for c in configs) / NUM_SAMPLES
    assert 0.75 < usual_dpi < 0.85
    assert 0 < sum(c.dpi < 60 for c in configs) < 0.1 * NUM_SAMPLES
    assert 0 < sum(c.dpi > 300 for c in configs) < 0.1 * NUM_SAMPLES
    scales = [weight for _, weight in sorted(themes.HORIZONTAL_SCALES, reverse=True)]
    assert scales == sorted(scales, reverse=True)


def test_pages_reach_from_wide_to_strips():
    ratios = [c.page_height_pt / c.page_width_pt for c in samples(None)]
    assert min(ratios) < 0.5 and max(ratios) > 4
    for wanted in (1.414, 1.778):
        # Whole points leave a hair; free ratios alone would hit so narrow a band ten times.
        assert sum(abs(ratio - wanted) < 0.002 for ratio in ratios) > 50
        assert sum(abs(1 / ratio - wanted) < 0.002 for ratio in ratios) > 25


def test_the_named_themes_look_like_the_paper_says():
    assert all(c.alignment == "left" for c in samples("code"))
    assert all(c.font_family in FONT_POOLS["mono"] for c in samples("code"))
    assert any(c.page_color == "#353031" for c in samples("code"))
    assert any((c.page_width_pt, c.page_height_pt) == (960, 540) for c in samples("web"))
    assert all(c.is_dark for c in samples("dark"))
    assert not any(c.is_dark for c in samples("document"))
    assert any(c.font_family == "Press Start 2P" for c in samples("pixel"))


# -- seeds, grids, fonts, refusals -----------------------------------------------------------


def test_equal_seeds_give_equal_configs():
    def first_digests(seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        return [sample_config(rng).digest for _ in range(50)]

    assert first_digests(7) == first_digests(7)
    assert first_digests(7) != first_digests(8)
    assert len(set(first_digests(7))) == 50


@pytest.mark.parametrize("grid_px", [28, 32, 448])
def test_every_sample_takes_the_grid_asked_for(grid_px: int):
    rng = np.random.default_rng(3)
    for _ in range(300):
        config = sample_config(rng, grid_px=grid_px)
        assert config.grid_px == grid_px
        assert [side % grid_px for side in config.page_size_px] == [0, 0]


@pytest.mark.parametrize("theme", [None, *THEMES])
def test_fonts_can_be_restricted_to_those_installed(theme: str | None):
    installed = ["DejaVu Sans", "DejaVu Sans Mono", "Noto Sans CJK SC"]
    rng = np.random.default_rng(4)
    families = {sample_config(rng, theme=theme, families=installed).font_family for _ in range(200)}
    assert families <= {"DejaVu Sans", "DejaVu Sans Mono"}


def test_a_theme_without_a_font_left_is_not_drawn():
    rng = np.random.default_rng(5)
    for _ in range(200):
        config = sample_config(rng, families=["Press Start 2P"])
        assert config.font_family == "Press Start 2P"
    with pytest.raises(ConfigError) as caught:
        sample_config(rng, theme="pixel", families=["DejaVu Sans"])
    assert str(caught.value) == (
        "no font family is left to draw from; families is ['DejaVu Sans'], and at least one of "
        "these is needed: Press Start 2P, DejaVu Sans Mono, JetBrains Mono."
    )
    with pytest.raises(ConfigError, match=r"families is \[\], and at least one"):
        sample_config(rng, families=[])


def test_an_unknown_theme_is_refused_with_the_nearest_one():
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError) as caught:
        sample_config(rng, theme="darkmode")
    assert str(caught.value) == "unknown theme 'darkmode'; did you mean 'dark', 'code'?"
    with pytest.raises(ConfigError) as caught:
        sample_config(rng, theme="zzqqxx")
    assert str(caught.value) == (
        "unknown theme 'zzqqxx'; themes: document, web, dark, code, pixel."
    )


def test_draws_that_are_always_refused_end_with_the_reason():
    with pytest.raises(ConfigError) as caught:
        sample_config(np.random.default_rng(0), grid_px=2_000)
    assert str(caught.value) == (
        "100 draws in a row were refused; the last one: grid_px is 2000 px; accepted: 0 to 1024."
    )
