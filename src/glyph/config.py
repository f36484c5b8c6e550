"""RenderConfig: the vector theta that turns a text into pages.

One frozen value holds everything that decides how a page looks. Two equal configs and one text
give the same bytes on every machine; `digest` names that promise. Lengths are points (1/72 inch),
so that dpi changes pixels and tokens but never which text stands on a page.

The fields, their ranges and the searched optimum follow Glyph (arXiv 2510.17800), appendix A
table 8 and figure 6. Columns, letter spacing, labels, tab stops, highlighting and the patch grid
are additions of this project.
"""

import dataclasses
import hashlib
import json
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self, cast

from glyph.errors import ConfigError, nearest

LAYOUT_VERSION = 1
"""Part of every digest; raised whenever equal input may give other pixels than before."""

MIN_CONTRAST = 3.0
MIN_FONT_PX = 4.0
MAX_PAGE_PIXELS = 100_000_000
MIN_LINE_EM = 2.0

Alignment = Literal["left", "justify", "right", "center"]
PageLabel = Literal["none", "number"]
RGB = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Spec:
    """What one field means: its unit, accepted range or choices, and one line for the docs."""

    unit: str
    about: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


def _field(
    default: Any,
    unit: str,
    about: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    spec = Spec(unit, about, low, high, choices)
    return field(default=default, metadata={"spec": spec})


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How a text becomes pages; the defaults are the searched optimum of the paper.

    Raises:
        ConfigError: A value is out of its range, or the combination makes no page one could
            read (the exclusion rules in `_check_combination`).

    Source:
        Glyph (arXiv 2510.17800), table 8 (fields, ranges) and figure 6 (optimum). Deviations:
        the default font is DejaVu Sans, the open near-equivalent of Verdana.

    Example:
        >>> RenderConfig(dpi=96).font_size_px
        12.0
    """

    dpi: float = _field(72, "dpi", "pixels per inch", low=20, high=1200)
    page_width_pt: float = _field(595, "pt", "page width (A4: 595)", low=14, high=10_000)
    page_height_pt: float = _field(842, "pt", "page height (A4: 842)", low=14, high=10_000)
    margin_x_pt: float = _field(10, "pt", "left and right margin", low=0, high=1_000)
    margin_y_pt: float = _field(10, "pt", "top and bottom margin", low=0, high=1_000)
    columns: int = _field(1, "count", "text columns on a page", low=1, high=12)
    column_gap_pt: float = _field(12, "pt", "space between columns", low=0, high=500)
    font_family: str = _field("DejaVu Sans", "name", "family name, or path of a font file")
    bold: bool = _field(False, "flag", "bold face")
    italic: bool = _field(False, "flag", "italic or oblique face")
    font_size_pt: float = _field(9, "pt", "em size", low=2, high=200)
    line_height_pt: float = _field(10, "pt", "baseline to baseline", low=2, high=400)
    horizontal_scale: float = _field(1.0, "factor", "width of glyph outlines", low=0.4, high=2.0)
    letter_spacing_pt: float = _field(0.0, "pt", "added after each character", low=0, high=50)
    alignment: Alignment = _field(
        "left", "choice", "of lines", choices=("left", "justify", "right", "center")
    )
    first_line_indent_pt: float = _field(
        0.0, "pt", "first line of a paragraph; negative hangs", low=-500, high=500
    )
    left_indent_pt: float = _field(0.0, "pt", "all lines, from the left", low=0, high=2_000)
    right_indent_pt: float = _field(0.0, "pt", "all lines, from the right", low=0, high=2_000)
    space_before_pt: float = _field(0.0, "pt", "above each paragraph", low=0, high=500)
    space_after_pt: float = _field(0.0, "pt", "below each paragraph", low=0, high=500)
    tab_columns: int = _field(4, "spaces", "distance of tab stops", low=1, high=32)
    page_color: str = _field("#FFFFFF", "#RRGGBB", "page background")
    paragraph_color: str = _field("#FFFFFF", "#RRGGBB", "background behind paragraphs")
    font_color: str = _field("#000000", "#RRGGBB", "text")
    border_width_pt: float = _field(0.0, "pt", "paragraph border; 0 is off", low=0, high=20)
    border_padding_pt: float = _field(0.0, "pt", "border to text", low=0, high=50)
    border_color: str = _field("#000000", "#RRGGBB", "paragraph border")
    newline_marker: str = _field(
        "", "text", "shown in place of a line break, text flowing on; empty breaks the line"
    )
    newline_marker_color: str = _field("#FF0000", "#RRGGBB", "of the newline marker")
    highlight: bool = _field(False, "flag", "syntax colours for source code")
    page_label: PageLabel = _field(
        "none", "choice", "number in place of the last line", choices=("none", "number")
    )
    crop_width: bool = _field(True, "flag", "cut the empty right part of a page")
    crop_last_page: bool = _field(True, "flag", "cut the empty rest of the last page")
    grid_px: int = _field(
        0, "px", "page sides are multiples of this patch grid; 0 is off", low=0, high=1024
    )

    def __post_init__(self) -> None:
        for spec_field in dataclasses.fields(self):
            value = getattr(self, spec_field.name)
            _check_value(spec_field, value)
            if spec_field.type is float:
                # 72, 72.0 and -0.0 must not give equal configs with different digests.
                object.__setattr__(self, spec_field.name, float(value) + 0.0)
        self._check_combination()

    # -- derived lengths ---------------------------------------------------------------------

    @property
    def has_colored_marker(self) -> bool:
        """Whether newline markers have a colour of their own, which takes pages of two inks."""
        same = self.newline_marker_color.upper() == self.font_color.upper()
        return bool(self.newline_marker) and not same

    @property
    def font_size_px(self) -> float:
        """Em size in pixels."""
        return self.px(self.font_size_pt)

    def px(self, length_pt: float) -> float:
        """Return a length in points as pixels at this dpi."""
        return length_pt * self.dpi / 72.0

    @property
    def page_size_px(self) -> tuple[int, int]:
        """Page width and height in pixels before cropping, on the patch grid if there is one."""
        width_px = _snap(self.px(self.page_width_pt), self.grid_px)
        height_px = _snap(self.px(self.page_height_pt), self.grid_px)
        return width_px, height_px

    @property
    def column_width_px(self) -> float:
        """Width of one text column in pixels, indents not yet taken off."""
        gaps_px = self.px(self.column_gap_pt) * (self.columns - 1)
        inner_px = self.page_size_px[0] - 2 * self.px(self.margin_x_pt) - gaps_px
        return inner_px / self.columns

    @property
    def line_width_px(self) -> float:
        """Room for the narrowest line of a paragraph, in pixels."""
        indent_pt = self.left_indent_pt + self.right_indent_pt + max(self.first_line_indent_pt, 0)
        border_pt = 2 * (self.border_width_pt + self.border_padding_pt)
        return self.column_width_px - self.px(indent_pt + border_pt)

    @property
    def is_dark(self) -> bool:
        """Whether text is lighter than its background."""
        return luminance(self.font_color) > luminance(self.paragraph_color)

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that name this config and the layout version."""
        values = {"layout_version": LAYOUT_VERSION, **self.to_dict()}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    # -- in and out --------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, in the order of the class."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "config") -> Self:
        """Build a config from plain values.

        Args:
            values: Field names and values; what is absent takes the default.
            where: Place named in error messages, such as a file.

        Raises:
            ConfigError: An unknown key (the nearest field is named) or a bad value.
        """
        known = {spec_field.name for spec_field in dataclasses.fields(cls)}
        for key in values:
            if key not in known:
                hint = nearest(key, known)
                raise ConfigError(
                    f"unknown field '{key}' in {where}"
                    + (f"; did you mean {hint}?" if hint else f"; known fields: {sorted(known)}.")
                )
        return cls(**values)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; names and values are checked."""
        return type(self).from_dict({**self.to_dict(), **changes}, where="changes")

    def to_toml(self, *, description: str = "") -> str:
        """Return the config as a preset file."""
        lines = [f"description = {_toml_value(description)}", "", "[render]"]
        lines += [f"{key} = {_toml_value(value)}" for key, value in self.to_dict().items()]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, *, where: str = "preset") -> Self:
        """Read a preset: a `[render]` table; `description` and `[provenance]` are carried along.

        Raises:
            ConfigError: Not TOML, an unknown table, or a bad field.
        """
        try:
            tables = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where} is not valid TOML: {error}.") from None
        unknown = set(tables) - {"description", "render", "provenance"}
        if unknown:
            raise ConfigError(
                f"unknown key '{min(unknown)}' in {where}; a preset holds 'description', "
                "[render] and [provenance]."
            )
        render = tables.get("render", {})
        if not isinstance(render, dict):
            raise ConfigError(f"'render' in {where} is not a table; write [render].")
        return cls.from_dict(cast(dict[str, Any], render), where=where)

    # -- exclusion rules ---------------------------------------------------------------------

    def _check_combination(self) -> None:
        if self.line_height_pt < self.font_size_pt:
            raise ConfigError(
                f"line_height_pt {self.line_height_pt:g} is below font_size_pt "
                f"{self.font_size_pt:g}; lines would overlap. Raise line_height_pt."
            )
        if self.font_size_px < MIN_FONT_PX:
            raise ConfigError(
                f"font_size_pt {self.font_size_pt:g} at {self.dpi:g} dpi is "
                f"{self.font_size_px:.1f} px; at least {MIN_FONT_PX:g} px can be read. "
                "Raise font_size_pt or dpi."
            )
        width_px, height_px = self.page_size_px
        if width_px * height_px > MAX_PAGE_PIXELS:
            raise ConfigError(
                f"page of {width_px}x{height_px} px is over the cap of {MAX_PAGE_PIXELS:,} "
                "pixels. Lower dpi or the page size."
            )
        self._check_text_box(width_px, height_px)
        self._check_contrast()

    def _check_contrast(self) -> None:
        pairs = [("font_color", "paragraph_color")]
        if self.newline_marker:
            pairs.append(("newline_marker_color", "paragraph_color"))
        if self.page_label != "none":
            pairs.append(("font_color", "page_color"))
        for ink, ground in pairs:
            ratio = contrast(getattr(self, ink), getattr(self, ground))
            if ratio < MIN_CONTRAST:
                raise ConfigError(
                    f"{ink} {getattr(self, ink)} on {ground} {getattr(self, ground)} has contrast "
                    f"{ratio:.1f}:1; at least {MIN_CONTRAST:g}:1 can be read. "
                    "Choose colours further apart."
                )

    def _check_text_box(self, width_px: int, height_px: int) -> None:
        border_pt = 2 * (self.border_width_pt + self.border_padding_pt)
        label_pt = 0.0 if self.page_label == "none" else self.line_height_pt
        spacing_pt = self.space_before_pt + border_pt + label_pt
        box_height_px = height_px - 2 * self.px(self.margin_y_pt) - self.px(spacing_pt)
        needed_px = max(MIN_LINE_EM * self.font_size_px, 1.0)
        if self.line_width_px < needed_px or box_height_px < self.px(self.line_height_pt):
            raise ConfigError(
                f"text box of {self.line_width_px:.0f}x{box_height_px:.0f} px on a page of "
                f"{width_px}x{height_px} px cannot hold one line of {MIN_LINE_EM:g} em "
                f"({needed_px:.0f}x{self.px(self.line_height_pt):.0f} px). Lower margins, indents "
                "or columns, or enlarge the page."
            )
        if self.first_line_indent_pt < -self.left_indent_pt:
            raise ConfigError(
                f"first_line_indent_pt {self.first_line_indent_pt:g} hangs out of the text box; "
                f"with left_indent_pt {self.left_indent_pt:g} it may be "
                f"{-self.left_indent_pt:g} at the least."
            )


def field_specs() -> dict[str, Spec]:
    """Return every field's name and meaning, in order; the docs and the search read this."""
    return {f.name: cast(Spec, f.metadata["spec"]) for f in dataclasses.fields(RenderConfig)}


# -- the command line -----------------------------------------------------------------------


def parse_setting(text: str) -> tuple[str, Any]:
    """Read one `field=value` of the command line into the field's type.

    Raises:
        ConfigError: No '=', an unknown field, or a value of another type.

    Example:
        >>> parse_setting("dpi=96")
        ('dpi', 96.0)
    """
    key, equals, raw = text.partition("=")
    types = {f.name: f.type for f in dataclasses.fields(RenderConfig)}
    if not equals or key not in types:
        hint = nearest(key, types)
        raise ConfigError(
            f"'{text}' is not a setting; write field=value"
            + (f", did you mean {hint}?" if hint and equals else ", such as dpi=96.")
        )
    kind = types[key]
    if kind is bool:
        if raw.lower() not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
            raise ConfigError(f"{key}='{raw}' is not a flag; write {key}=true or {key}=false.")
        return key, raw.lower() in {"true", "1", "yes", "on"}
    if kind in (int, float):
        try:
            return key, kind(raw)
        except ValueError:
            word = "whole number" if kind is int else "number"
            raise ConfigError(f"{key}='{raw}' is not a {word}.") from None
    return key, raw


# -- colours ---------------------------------------------------------------------------------


def rgb(color: str) -> RGB:
    """Return a '#RRGGBB' colour as three bytes."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def luminance(color: str) -> float:
    """Return relative luminance in [0, 1] (WCAG 2.2, definition of relative luminance)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (byte / 255 for byte in rgb(color))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, contrast ratio)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


# -- checks ----------------------------------------------------------------------------------


def _snap(length_px: float, grid_px: int) -> int:
    if grid_px:
        return max(int(length_px / grid_px + 1e-6) * grid_px, grid_px)
    return max(round(length_px), 1)


def _check_value(spec_field: "dataclasses.Field[Any]", value: Any) -> None:
    spec = cast(Spec, spec_field.metadata["spec"])
    name = spec_field.name
    if spec_field.type is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{name} is {value!r}; a flag is true or false.")
    elif spec_field.type in (int, float):
        _check_number(name, value, spec, whole=spec_field.type is int)
    elif not isinstance(value, str):
        raise ConfigError(f"{name} is {value!r}; text is accepted.")
    elif hidden := [c for c in value if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]:
        raise ConfigError(
            f"{name} holds the character U+{ord(hidden[0]):04X}; "
            "visible characters on one line are accepted."
        )
    elif spec.choices and value not in spec.choices:
        raise ConfigError(f"{name} is '{value}'; accepted: {', '.join(spec.choices)}.")
    elif spec.unit == "#RRGGBB" and not re.fullmatch(r"#[0-9A-Fa-f]{6}", value):
        raise ConfigError(f"{name} is '{value}'; a colour is written #RRGGBB, such as #353031.")
    elif spec.unit == "name" and not value.strip():
        raise ConfigError(f"{name} is empty; name a family such as 'DejaVu Sans', or a font file.")


def _check_number(name: str, value: Any, spec: Spec, *, whole: bool) -> None:
    accepted = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, accepted):
        word = "whole number" if whole else "number"
        raise ConfigError(f"{name} is {value!r}; a {word} ({spec.unit}) is accepted.")
    assert spec.low is not None and spec.high is not None
    if not spec.low <= value <= spec.high:
        # A whole number of a thousand digits has no float to print.
        shown = f"{value:g}" if isinstance(value, float) or abs(value) < 1e300 else "huge"
        raise ConfigError(
            f"{name} is {shown} {spec.unit}; accepted: {spec.low:g} to {spec.high:g}."
        )


def _toml_value(value: Any) -> str:
    # JSON writes strings, numbers and booleans exactly as TOML reads them.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
