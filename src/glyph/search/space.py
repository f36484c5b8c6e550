"""The search space: every field of RenderConfig as a gene, with unit, kind, range and step.

A genome is a config's values by field name. `Space.repair` is the only way from values to a
config: it bends what has one obvious remedy (a line height below the font size), and refuses the
rest with the reason, so that a proposer can learn from it. Fields held fixed and limits asked for
by the user are part of the space.

A reader that was taught some styles only has a smaller space: one gene names the style, whose
fields go together, and beside it are those that the reader lets free.
"""

import hashlib
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np

from glyph.config import MIN_CONTRAST, RenderConfig, contrast, field_specs
from glyph.errors import ConfigError, nearest
from glyph.fonts import installed_families
from glyph.presets import load_preset, preset_names
from glyph.readers.protocol import PageStyle, Taught
from glyph.themes import FONT_POOLS, NEWLINE_MARKERS, THEME_PRIORS, sample_config

SPACE_VERSION = 2
"""Raised whenever genes or repairs change, so that an old study is not continued by other rules."""

STYLE = "style"
"""Gene of spaces of readers that were taught some styles: which of them a page has."""

Kind = Literal["number", "whole", "flag", "choice"]
Values = dict[str, Any]

# field: (low, high, step); ranges are those of the training distribution, and a little beyond
# where a denser page could still be read.
_NUMBERS: dict[str, tuple[float, float, float]] = {
    "dpi": (45, 300, 1),
    "page_width_pt": (100, 1224, 1),
    "page_height_pt": (100, 1224, 1),
    "margin_x_pt": (0, 40, 1),
    "margin_y_pt": (0, 40, 1),
    "column_gap_pt": (4, 24, 1),
    "font_size_pt": (5, 14, 0.25),
    "line_height_pt": (5, 20, 0.25),
    "horizontal_scale": (0.6, 1.0, 0.025),
    "letter_spacing_pt": (0, 1, 0.1),
    "first_line_indent_pt": (-40, 35, 1),
    "left_indent_pt": (0, 40, 1),
    "right_indent_pt": (0, 40, 1),
    "space_before_pt": (0, 16, 1),
    "space_after_pt": (0, 16, 1),
    "border_width_pt": (0, 2, 0.5),
    "border_padding_pt": (0, 6, 1),
}
_WHOLES = {"columns": (1, 4), "tab_columns": (2, 8)}
_COLOR_ROLES = {
    "page_color": "page",
    "paragraph_color": "paragraph",
    "font_color": "font",
    "border_color": "font",
    "newline_marker_color": "marker",
}

LINKED: tuple[tuple[str, ...], ...] = (
    (STYLE,),
    ("page_width_pt", "page_height_pt", "dpi", "grid_px"),
    ("font_family", "bold", "italic"),
    ("font_size_pt", "line_height_pt", "horizontal_scale", "letter_spacing_pt"),
    ("columns", "column_gap_pt"),
    ("margin_x_pt", "margin_y_pt"),
    ("first_line_indent_pt", "left_indent_pt", "right_indent_pt"),
    ("space_before_pt", "space_after_pt"),
    ("page_color", "paragraph_color", "font_color", "newline_marker_color"),
    ("border_width_pt", "border_padding_pt", "border_color"),
    ("newline_marker",),
    ("alignment",),
    ("crop_width", "crop_last_page"),
    ("tab_columns", "highlight", "page_label"),
)
"""Fields that make sense together only; crossover takes or leaves them together."""


@dataclass(frozen=True, slots=True)
class Gene:
    """One field as the search sees it.

    Attributes:
        name: Field of `RenderConfig`.
        unit: Of its values.
        kind: `number`, `whole`, `flag` or `choice`.
        about: What it does, in a few words.
        low: Smallest value of a number.
        high: Largest.
        step: Grid of random draws.
        choices: Values of a flag or choice.
        is_stepped: Whether only values on the grid are accepted; else those between are valid too.
    """

    name: str
    unit: str
    kind: Kind
    about: str
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    choices: tuple[Any, ...] = ()
    is_stepped: bool = False

    def clipped(self, value: Any) -> Any:
        """Return a number pulled into the range; other values must be one of the choices.

        Raises:
            ConfigError: The value is of another type, or no choice.
        """
        if self.kind in ("flag", "choice"):
            if value in self.choices and type(value) is type(self.choices[0]):
                return value
            hint = nearest(str(value), map(str, self.choices))
            accepted = hint or ", ".join(map(repr, self.choices[:12]))
            raise ConfigError(f"{self.name} is {value!r}; accepted are {accepted}.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise ConfigError(f"{self.name} is {value!r}; a number ({self.unit}) is accepted.")
        value = min(max(value, self.low), self.high)
        if self.is_stepped:
            value = self.low + round((value - self.low) / self.step) * self.step
        return round(value) if self.kind == "whole" else float(value)

    def drawn(self, rng: np.random.Generator) -> Any:
        """Draw a value uniformly."""
        if self.kind in ("flag", "choice"):
            return self.choices[int(rng.random() * len(self.choices))]
        steps = round((self.high - self.low) / self.step)
        value = self.low + int(rng.random() * (steps + 1)) * self.step
        return round(value) if self.kind == "whole" else round(min(value, self.high), 6)


@dataclass(frozen=True)
class Space:
    """What may be searched.

    Attributes:
        genes: One for each field that may change.
        fixed: Fields that are held, with their values.
        model: Whose visual tokens are counted, and whose patch grid pages may lie on.
        grid_px: That grid.
        styles: Those a reader was taught; none where it reads any page.
    """

    genes: tuple[Gene, ...]
    fixed: tuple[tuple[str, Any], ...]
    model: str
    grid_px: int
    styles: tuple[PageStyle, ...] = ()

    @classmethod
    def build(
        cls,
        model: str,
        grid_px: int,
        *,
        fixed: Mapping[str, Any] | None = None,
        families: Sequence[str] | None = None,
        taught: Taught | None = None,
    ) -> Self:
        """Build the space for a model.

        Args:
            model: Its canonical name.
            grid_px: Side of its patch grid, in pixels.
            fixed: Fields that must not change, such as those a company's style prescribes.
            families: Font families to choose from; by default those of the training pools that
                are installed.
            taught: What the reader was taught, where it does not read any page.

        Raises:
            ConfigError: A fixed field is unknown or its value never makes a page.
        """
        held = dict(fixed or {})
        _check_names(held)
        families = trained_families() if families is None else families
        found = _all_genes(grid_px, tuple(families))
        styles = () if taught is None else _styles_with(taught, held)
        if taught is not None:
            found = _taught_genes(found, taught, styles)
        genes = tuple(gene for gene in found if gene.name not in held)
        space = cls(genes, tuple(sorted(held.items())), model, grid_px, styles)
        space.sample(np.random.default_rng(0))  # contradictory fields are found here, not later
        return space

    @cached_property
    def by_name(self) -> dict[str, Gene]:
        """The genes by field name."""
        return {gene.name: gene for gene in self.genes}

    @cached_property
    def digest(self) -> str:
        """Names the space: its version, genes, fixed fields and model."""
        genes = [[g.name, g.kind, g.low, g.high, list(g.choices)] for g in self.genes]
        styles = [[style.name, dict(style.fields)] for style in self.styles]
        values = [SPACE_VERSION, genes, self.fixed, self.model, self.grid_px, styles]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]

    def repair(self, values: Mapping[str, Any]) -> RenderConfig:
        """Return the config nearest to some values that obeys ranges and exclusion rules.

        Numbers go into their range; the line height is raised to the font size; a font without
        contrast becomes black or white; indents give way to a text box that is too narrow. What is
        absent takes the default, what is fixed its fixed value.

        Raises:
            ConfigError: An unknown field, a value of another kind, or a page nobody can read.
        """
        _check_names(values, self.by_name)
        fixed = dict(self.fixed)
        merged = {**RenderConfig().to_dict(), **values, **fixed}
        if self.styles:
            return self._styled(merged, values)
        for gene in self.genes:
            merged[gene.name] = gene.clipped(merged[gene.name])
        if "line_height_pt" not in fixed:
            merged["line_height_pt"] = max(merged["line_height_pt"], merged["font_size_pt"])
        if "first_line_indent_pt" not in fixed:
            hang = -merged["left_indent_pt"]
            merged["first_line_indent_pt"] = max(merged["first_line_indent_pt"], hang)
        _mend_contrast(merged, self.by_name)
        try:
            return RenderConfig(**merged)
        except ConfigError:
            calm = {"first_line_indent_pt", "left_indent_pt", "right_indent_pt", "border_width_pt"}
            for name in calm - fixed.keys():
                merged[name] = 0.0
            if "columns" not in fixed:
                merged["columns"] = 1
            return RenderConfig(**merged)

    def _styled(self, merged: Values, given: Mapping[str, Any]) -> RenderConfig:
        """Return the config of the style that is named, or else the nearest, with free fields."""
        if STYLE in given and STYLE in self.by_name:
            self.by_name[STYLE].clipped(given[STYLE])
            style = next(style for style in self.styles if style.name == given[STYLE])
        else:
            style = self._nearest_style(merged)
        merged.pop(STYLE, None)
        for gene in self.genes:
            if gene.name != STYLE:
                merged[gene.name] = gene.clipped(merged[gene.name])
        return RenderConfig(**{**merged, **style.fields})

    def _nearest_style(self, values: Mapping[str, Any]) -> PageStyle:
        return min(
            self.styles,
            key=lambda style: sum(values[name] != value for name, value in style.fields.items()),
        )

    def sample(self, rng: np.random.Generator) -> RenderConfig:
        """Draw a config from the training distribution, brought into the space.

        Where a reader was taught some styles, its genes are drawn evenly.
        """
        if self.styles:
            return self.repair({gene.name: gene.drawn(rng) for gene in self.genes})
        families = self.by_name["font_family"].choices if "font_family" in self.by_name else None
        refusal: ConfigError | None = None
        for _ in range(20):
            grid_px = self.grid_px if rng.random() < 0.5 else 0
            drawn = sample_config(rng, grid_px=grid_px, families=families)
            try:
                return self.repair(drawn.to_dict())
            except ConfigError as error:
                refusal = error
        raise ConfigError(
            f"the fixed fields {dict(self.fixed)} leave no page that could be read: {refusal}"
        )

    def seeds(self) -> list[tuple[str, RenderConfig]]:
        """Return the presets that lie on the model's grid or on none, with their names.

        Where a reader was taught some styles, only presets of these.
        """
        found: list[tuple[str, RenderConfig]] = []
        for name in preset_names():
            config = load_preset(name)
            if config.grid_px not in (0, self.grid_px) or "zh" in name or "code" in name:
                continue
            try:
                seed = self.repair(config.to_dict())
            except ConfigError:  # a preset that the fixed fields make unreadable
                continue
            if not self.styles or _is_of(config, self._nearest_style(config.to_dict())):
                found.append((name, seed))
        return found

    def genome(self, config: RenderConfig) -> Values:
        """Return the values of the genes of a config."""
        return {gene.name: self.value(config, gene.name) for gene in self.genes}

    def value(self, config: RenderConfig, name: str) -> Any:
        """Return the value of one gene of a config."""
        if name == STYLE:
            return self._nearest_style(config.to_dict()).name
        return getattr(config, name)


def trained_families() -> tuple[str, ...]:
    """Return the families of the training pools that are on this machine."""
    installed = set(installed_families())
    pools = dict.fromkeys(name for pool in FONT_POOLS.values() for name in pool)
    return tuple(name for name in pools if name in installed)


def _all_genes(grid_px: int, families: tuple[str, ...]) -> Iterable[Gene]:
    palettes = [palette for theme in THEME_PRIORS.values() for palette, _ in theme.palettes]
    choices: dict[str, tuple[Any, ...]] = {
        "font_family": families,
        "newline_marker": ("", *(marker for marker, _ in NEWLINE_MARKERS)),
        "grid_px": (0, grid_px),
    }
    for name, role in _COLOR_ROLES.items():
        choices[name] = tuple(dict.fromkeys(
            ["#FFFFFF", "#000000", "#FF0000", *(getattr(palette, role) for palette in palettes)]
        ))  # fmt: skip
    for name, spec in field_specs().items():
        common: dict[str, Any] = {"name": name, "unit": spec.unit, "about": spec.about}
        if name in _NUMBERS:
            low, high, step = _NUMBERS[name]
            yield Gene(**common, kind="number", low=low, high=high, step=step)
        elif name in _WHOLES:
            low, high = _WHOLES[name]
            yield Gene(**common, kind="whole", low=low, high=high, step=1)
        elif spec.unit == "flag":
            yield Gene(**common, kind="flag", choices=(False, True))
        else:
            yield Gene(**common, kind="choice", choices=choices.get(name) or spec.choices)


def _styles_with(taught: Taught, held: Mapping[str, Any]) -> tuple[PageStyle, ...]:
    """Return the styles that agree with the fields held fixed."""
    found = tuple(
        style
        for style in taught.styles
        if all(style.fields.get(name, value) == value for name, value in held.items())
    )
    if not found:
        known = "; ".join(f"{style.name}: {style.about}" for style in taught.styles)
        raise ConfigError(
            f"the fixed fields {dict(held)} fit none of the styles the reader was taught ({known})."
        )
    return found


def _taught_genes(
    genes: Iterable[Gene], taught: Taught, styles: Sequence[PageStyle]
) -> Iterable[Gene]:
    about = "; ".join(f"{style.name}: {style.about}" for style in styles)
    yield Gene(STYLE, "style", "choice", about, choices=tuple(style.name for style in styles))
    for gene in genes:
        values = taught.free.get(gene.name)
        if values is None:
            continue
        if gene.kind in ("flag", "choice"):
            yield replace(gene, choices=values)
        else:
            low, high = min(values), max(values)
            step = (high - low) / max(len(values) - 1, 1)
            yield replace(gene, low=low, high=high, step=step, is_stepped=True)


def _is_of(config: RenderConfig, style: PageStyle) -> bool:
    return all(getattr(config, name) == value for name, value in style.fields.items())


def _check_names(values: Mapping[str, Any], genes: Container[str] = ()) -> None:
    known = field_specs()
    for key in values:
        if key not in known and key not in genes:
            hint = nearest(key, known)
            raise ConfigError(
                f"unknown field '{key}'" + (f"; did you mean {hint}?" if hint else ".")
            )


def _mend_contrast(values: Values, genes: Mapping[str, Gene]) -> None:
    """Make text and marks readable on their ground, in place, by colours that may be chosen."""

    def mend(name: str, ground: str, wanted: str) -> None:
        if name in genes and contrast(values[name], ground) < MIN_CONTRAST:
            extremes = max("#000000", "#FFFFFF", key=lambda color: contrast(color, ground))
            values[name] = wanted if wanted in genes[name].choices else extremes

    ground = values["paragraph_color"]
    mend("font_color", ground, "")
    if values["page_label"] != "none":
        mend("page_color", values["font_color"], ground)
    mend("newline_marker_color", ground, values["font_color"])
