"""The full sampler of RenderConfig: five themes and the priors of every field.

The paper publishes which values a field takes (table 8) and which of them dominate, but no
probabilities and no per-theme tables. All weights below are therefore choices of this project,
kept as data so that they can be read and argued with. Weights are shares: those of one table need
not sum to one.

A draw that breaks an exclusion rule of `RenderConfig` is thrown away whole and drawn again; no
value is ever bent to fit. Columns, letter spacing, tab stops, highlighting and page labels are not
in the paper's table and keep their defaults.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, TypeAlias, TypeVar

import numpy as np

from glyph.config import RenderConfig
from glyph.errors import ConfigError, nearest

T = TypeVar("T")
Weights: TypeAlias = tuple[tuple[T, float], ...]
"""Values with their shares."""

MAX_DRAWS = 100

# -- priors of all themes --------------------------------------------------------------------

DPI_SETS: Weights[tuple[int, ...]] = (
    (tuple(range(45, 60)), 0.05),  # lowest
    (tuple(range(60, 72)), 0.10),  # low
    (tuple(range(72, 120)), 0.35),  # medium
    ((72, 80, 96, 100, 110, 120, 144, 150, 300), 0.45),  # normal
    (tuple(range(301, 451)), 0.05),  # high; 450 keeps a Tabloid page under 40 megapixels
)
PAPERS_PT: Weights[tuple[int, int]] = (
    ((595, 842), 0.40),  # A4
    ((612, 792), 0.20),  # Letter
    ((612, 1008), 0.08),  # Legal
    ((420, 595), 0.10),  # A5
    ((499, 709), 0.08),  # B5
    ((842, 1191), 0.06),  # A3
    ((709, 1001), 0.04),  # B4
    ((792, 1224), 0.04),  # Tabloid
)
SCREENS_PT: Weights[tuple[int, int]] = (
    ((960, 540), 0.50),  # the paper's example of the web theme
    ((1280, 720), 0.20),
    ((1024, 768), 0.15),
    ((800, 600), 0.15),
)
PAGE_RATIOS: Weights[float] = ((1.414, 0.40), (1.333, 0.20), (1.5, 0.20), (1.778, 0.20))
FREE_RATIOS: Weights[tuple[float, float]] = (  # height over width, uniform within a piece
    ((0.4, 0.8), 0.10),  # wide
    ((0.8, 1.3), 0.25),  # squarish
    ((1.3, 1.8), 0.40),  # page
    ((1.8, 3.0), 0.20),  # tall
    ((3.0, 5.0), 0.05),  # strip
)
PAGE_AREA_PT2 = 595 * 842
PAGE_SIDE_SCALE = (0.7, 1.3)
"""Pages by ratio have the area of A4, their sides scaled by a uniform factor."""

FONT_SIZES_PT: Weights[float] = (
    (7, 0.08),
    (7.5, 0.07),
    (8, 0.13),
    (9, 0.24),
    (9.5, 0.08),
    (10, 0.16),
    (11, 0.09),
    (12, 0.10),
    (14, 0.05),
)
LEADINGS_PT: Weights[float] = ((0, 0.15), (1, 0.40), (2, 0.30), (3, 0.15))
HORIZONTAL_SCALES: Weights[float] = (
    (1.0, 0.50),
    (0.95, 0.20),
    (0.9, 0.13),
    (0.85, 0.08),
    (0.8, 0.05),
    (0.75, 0.04),
)
MARGIN_PATTERNS: Weights[str] = (("equal", 0.50), ("vertical", 0.25), ("horizontal", 0.25))
MARGIN_PT = (10, 40)
INDENT_MODES: Weights[str] = (("none", 0.60), ("first", 0.22), ("block", 0.09), ("hanging", 0.09))
FIRST_LINE_EM: Weights[float] = ((1.0, 0.25), (1.5, 0.25), (2.0, 0.35), (2.5, 0.15))
BLOCK_INDENT_PT = (10, 40)
SPACINGS_PT: Weights[tuple[int, int]] = (
    ((0, 0), 0.65),  # none
    ((1, 4), 0.25),  # small
    ((6, 16), 0.10),  # large
)
BORDER_SHARE = 0.05
BORDER_WIDTHS_PT: Weights[float] = ((0.5, 0.40), (1, 0.40), (2, 0.20))
BORDER_PADDINGS_PT: Weights[float] = ((2, 0.40), (4, 0.40), (6, 0.20))
NEWLINE_MARKER_SHARE = 0.10
NEWLINE_MARKERS: Weights[str] = ((" \\n ", 0.60), ("↵", 0.20), ("¶", 0.10), (" <br> ", 0.10))
CROP_WIDTH_SHARE = 0.70
CROP_LAST_PAGE_SHARE = 0.80

FONT_POOLS: dict[str, tuple[str, ...]] = {
    "sans": ("DejaVu Sans", "Noto Sans", "Roboto"),
    "serif": ("DejaVu Serif", "Noto Serif", "STIXGeneral"),
    "mono": ("DejaVu Sans Mono", "JetBrains Mono"),
    "pixel": ("Press Start 2P",),
}
"""Families by kind, equal shares within a pool. DejaVu and STIX are in every installation."""

# -- themes ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours that belong together."""

    page: str
    paragraph: str
    font: str
    marker: str = "#FF0000"


@dataclass(frozen=True, slots=True)
class Theme:
    """The priors that make a style; what is not here is common to all themes.

    Attributes:
        share: How often the theme is drawn when none is named.
        pools: Kinds of font.
        pages: Where page sizes come from: `paper`, `ratio`, `free` or `screen`.
        landscape_share: How often a page by ratio lies on its side.
        alignments: Alignment of lines.
        palettes: Colours.
        bold_share: How often the bold face is drawn.
        italic_share: How often the italic face is drawn.
    """

    share: float
    pools: Weights[str]
    pages: Weights[str]
    landscape_share: float
    alignments: Weights[str]
    palettes: Weights[Palette]
    bold_share: float = 0.05
    italic_share: float = 0.05


PROSE_ALIGNMENTS: Weights[str] = (
    ("left", 0.50),
    ("justify", 0.42),
    ("right", 0.04),
    ("center", 0.04),
)
LIGHT = (
    (Palette("#FFFFFF", "#FFFFFF", "#000000"), 0.70),
    (Palette("#FFFFFF", "#FFFFFF", "#222222"), 0.15),
    (Palette("#FBF4E4", "#FBF4E4", "#3B2A1A"), 0.08),
    (Palette("#EDEDED", "#FFFFFF", "#111111"), 0.07),
)
WEB = (
    (Palette("#FFFFFF", "#FFFFFF", "#1F2328"), 0.45),
    (Palette("#F6F8FA", "#FFFFFF", "#1F2328"), 0.25),
    (Palette("#F0F2F5", "#FFFFFF", "#1C1E21"), 0.20),
    (Palette("#FFFFFF", "#F7F3EE", "#2B2B2B"), 0.10),
)
DARK = (
    (Palette("#1E1E1E", "#1E1E1E", "#D4D4D4", "#FF6B6B"), 0.40),
    (Palette("#000000", "#000000", "#FFFFFF", "#FF6B6B"), 0.25),
    (Palette("#0D1117", "#161B22", "#C9D1D9", "#FF6B6B"), 0.20),
    (Palette("#121212", "#1D1D1D", "#E6E6E6", "#FF6B6B"), 0.15),
)
CODE = (
    (Palette("#353031", "#353031", "#F2F2F2", "#FF6B6B"), 0.50),  # the paper's example
    (Palette("#1E1E1E", "#1E1E1E", "#D4D4D4", "#FF6B6B"), 0.20),
    (Palette("#FFFFFF", "#FFFFFF", "#24292F"), 0.30),
)
PIXEL = (
    (Palette("#000000", "#000000", "#33FF33", "#FF6B6B"), 0.30),
    (Palette("#0F380F", "#0F380F", "#9BBC0F", "#FF8B8B"), 0.20),
    (Palette("#1D2B53", "#1D2B53", "#FFF1E8", "#FF8B8B"), 0.25),
    (Palette("#FFF1E8", "#FFF1E8", "#1D2B53"), 0.25),
)

THEME_PRIORS: dict[str, Theme] = {
    "document": Theme(
        share=0.45,
        pools=(("sans", 0.55), ("serif", 0.42), ("mono", 0.03)),
        pages=(("paper", 0.65), ("ratio", 0.20), ("free", 0.15)),
        landscape_share=0.05,
        alignments=PROSE_ALIGNMENTS,
        palettes=LIGHT,
    ),
    "web": Theme(
        share=0.20,
        pools=(("sans", 0.90), ("serif", 0.10)),
        pages=(("screen", 0.60), ("ratio", 0.20), ("free", 0.20)),
        landscape_share=0.60,
        alignments=PROSE_ALIGNMENTS,
        palettes=WEB,
    ),
    "dark": Theme(
        share=0.12,
        pools=(("sans", 0.70), ("serif", 0.20), ("mono", 0.10)),
        pages=(("paper", 0.40), ("screen", 0.20), ("ratio", 0.20), ("free", 0.20)),
        landscape_share=0.30,
        alignments=PROSE_ALIGNMENTS,
        palettes=DARK,
    ),
    "code": Theme(
        share=0.18,
        pools=(("mono", 1.0),),
        pages=(("paper", 0.35), ("ratio", 0.20), ("free", 0.45)),
        landscape_share=0.20,
        alignments=(("left", 1.0),),
        palettes=CODE,
    ),
    "pixel": Theme(
        share=0.05,
        pools=(("pixel", 0.85), ("mono", 0.15)),
        pages=(("paper", 0.30), ("screen", 0.30), ("free", 0.40)),
        landscape_share=0.40,
        alignments=(("left", 0.80), ("center", 0.20)),
        palettes=PIXEL,
        bold_share=0.0,  # the pixel face has one style
        italic_share=0.0,
    ),
}
THEMES = tuple(THEME_PRIORS)


# -- the sampler -----------------------------------------------------------------------------


def sample_config(
    rng: np.random.Generator,
    *,
    theme: str | None = None,
    grid_px: int = 0,
    families: Sequence[str] | None = None,
) -> RenderConfig:
    """Draw a config from the priors; equal generators give equal configs.

    Args:
        rng: Source of randomness. Only its uniform floats are used, whose stream NumPy keeps
            stable between versions better than that of its other methods.
        theme: One of `THEMES`; None draws the theme too.
        grid_px: Patch grid that every config gets, in pixels; 0 is off.
        families: Font families that may be used, such as those installed; None allows all of
            `FONT_POOLS`.

    Raises:
        ConfigError: No such theme, no family left, or `MAX_DRAWS` draws refused in a row.

    Source:
        Glyph (arXiv 2510.17800), table 8 and section 3.3; the weights are ours.

    Example:
        >>> config = sample_config(np.random.default_rng(0), theme="code")
        >>> config.alignment
        'left'
    """
    if theme is not None and theme not in THEME_PRIORS:
        hint = nearest(theme, THEMES)
        raise ConfigError(
            f"unknown theme '{theme}'; "
            + (f"did you mean {hint}?" if hint else f"themes: {', '.join(THEMES)}.")
        )
    fonts = _fonts_by_theme([theme] if theme else THEMES, families)
    name = theme or _pick(rng, [(name, THEME_PRIORS[name].share) for name in fonts])
    refusal = ""
    for _ in range(MAX_DRAWS):
        fields = _draw_fields(rng, THEME_PRIORS[name], fonts[name])
        try:
            return RenderConfig(**fields, grid_px=grid_px)
        except ConfigError as error:
            refusal = str(error)
    raise ConfigError(f"{MAX_DRAWS} draws in a row were refused; the last one: {refusal}")


def _fonts_by_theme(
    themes: Iterable[str], families: Sequence[str] | None
) -> dict[str, list[tuple[str, float]]]:
    """Return the families of each theme that may be used; themes without one are left out."""
    fonts: dict[str, list[tuple[str, float]]] = {}
    for name in themes:
        for pool, share in THEME_PRIORS[name].pools:
            allowed = [f for f in FONT_POOLS[pool] if families is None or f in families]
            if allowed:
                fonts.setdefault(name, []).extend((f, share / len(allowed)) for f in allowed)
    if not fonts:
        pools = [pool for name in themes for pool, _ in THEME_PRIORS[name].pools]
        known = [f for pool in dict.fromkeys(pools) for f in FONT_POOLS[pool]]
        raise ConfigError(
            f"no font family is left to draw from; families is {list(families or [])}, "
            f"and at least one of these is needed: {', '.join(known)}."
        )
    return fonts


def _draw_fields(
    rng: np.random.Generator, theme: Theme, fonts: Sequence[tuple[str, float]]
) -> dict[str, Any]:
    font_size_pt = _pick(rng, FONT_SIZES_PT)
    width_pt, height_pt = _draw_page_size(rng, theme)
    return {
        "dpi": _one_of(rng, _pick(rng, DPI_SETS)),
        "page_width_pt": width_pt,
        "page_height_pt": height_pt,
        "font_family": _pick(rng, fonts),
        "bold": rng.random() < theme.bold_share,
        "italic": rng.random() < theme.italic_share,
        "font_size_pt": font_size_pt,
        "line_height_pt": font_size_pt + _pick(rng, LEADINGS_PT),
        "horizontal_scale": _pick(rng, HORIZONTAL_SCALES),
        "alignment": _pick(rng, theme.alignments),
        "space_before_pt": _whole(rng, *_pick(rng, SPACINGS_PT)),
        "space_after_pt": _whole(rng, *_pick(rng, SPACINGS_PT)),
        "crop_width": rng.random() < CROP_WIDTH_SHARE,
        "crop_last_page": rng.random() < CROP_LAST_PAGE_SHARE,
        **_draw_margins(rng),
        **_draw_indents(rng, font_size_pt),
        **_draw_colors(rng, theme),
    }


def _draw_page_size(rng: np.random.Generator, theme: Theme) -> tuple[int, int]:
    source = _pick(rng, theme.pages)
    if source == "paper":
        return _pick(rng, PAPERS_PT)
    if source == "screen":
        return _pick(rng, SCREENS_PT)
    if source == "free":
        ratio = _uniform(rng, *_pick(rng, FREE_RATIOS))
    else:
        ratio = _pick(rng, PAGE_RATIOS)
        if rng.random() < theme.landscape_share:
            ratio = 1 / ratio
    width_pt = sqrt(PAGE_AREA_PT2 / ratio) * _uniform(rng, *PAGE_SIDE_SCALE)
    return round(width_pt), round(width_pt * ratio)


def _draw_margins(rng: np.random.Generator) -> dict[str, Any]:
    pattern = _pick(rng, MARGIN_PATTERNS)
    small, large = _whole(rng, *MARGIN_PT), _whole(rng, *MARGIN_PT)
    if pattern == "equal":
        return {"margin_x_pt": small, "margin_y_pt": small}
    while large == small:
        large = _whole(rng, *MARGIN_PT)
    small, large = min(small, large), max(small, large)
    if pattern == "vertical":
        return {"margin_x_pt": small, "margin_y_pt": large}
    return {"margin_x_pt": large, "margin_y_pt": small}


def _draw_indents(rng: np.random.Generator, font_size_pt: float) -> dict[str, Any]:
    mode = _pick(rng, INDENT_MODES)
    if mode == "none":
        return {}
    if mode == "first":
        return {"first_line_indent_pt": _pick(rng, FIRST_LINE_EM) * font_size_pt}
    left_pt = _whole(rng, *BLOCK_INDENT_PT)
    if mode == "block":
        return {"left_indent_pt": left_pt, "right_indent_pt": _whole(rng, *BLOCK_INDENT_PT)}
    return {"left_indent_pt": left_pt, "first_line_indent_pt": -left_pt}


def _draw_colors(rng: np.random.Generator, theme: Theme) -> dict[str, Any]:
    palette = _pick(rng, theme.palettes)
    fields: dict[str, Any] = {
        "page_color": palette.page,
        "paragraph_color": palette.paragraph,
        "font_color": palette.font,
    }
    if rng.random() < BORDER_SHARE:
        fields["border_width_pt"] = _pick(rng, BORDER_WIDTHS_PT)
        fields["border_padding_pt"] = _pick(rng, BORDER_PADDINGS_PT)
        fields["border_color"] = palette.font
    if rng.random() < NEWLINE_MARKER_SHARE:
        fields["newline_marker"] = _pick(rng, NEWLINE_MARKERS)
        fields["newline_marker_color"] = palette.marker
    return fields


def _pick(rng: np.random.Generator, weights: Sequence[tuple[T, float]]) -> T:
    mark = rng.random() * sum(weight for _, weight in weights)
    for value, weight in weights:
        mark -= weight
        if mark < 0:
            return value
    return weights[-1][0]


def _one_of(rng: np.random.Generator, values: Sequence[T]) -> T:
    return values[int(rng.random() * len(values))]


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return low + rng.random() * (high - low)


def _whole(rng: np.random.Generator, low: int, high: int) -> int:
    return low + int(rng.random() * (high - low + 1))
