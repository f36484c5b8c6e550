"""Looks: the controls of theta, and how their values become a config."""

# pyright: basic, reportMissingImports=false, reportPrivateImportUsage=false

from dataclasses import dataclass
from typing import Any

import gradio as gr

from glyph.config import RenderConfig, field_specs
from glyph.fonts import installed_families

FLOW_MARK = "¶"


@dataclass(frozen=True, slots=True)
class Range:
    """A slider: what is shown for a field, and between which values."""

    field: str
    label: str
    low: float
    high: float
    step: float


RANGES = (
    Range("dpi", "dpi", 36, 200, 1),
    Range("font_size_pt", "Font size (pt)", 4, 24, 0.5),
    Range("line_height_pt", "Line height (pt)", 4, 36, 0.5),
    Range("horizontal_scale", "Width of letters", 0.5, 1.5, 0.05),
    Range("letter_spacing_pt", "Letter spacing (pt)", 0, 4, 0.1),
    Range("margin_x_pt", "Side margins (pt)", 0, 80, 1),
    Range("margin_y_pt", "Top and bottom margins (pt)", 0, 80, 1),
    Range("columns", "Columns", 1, 4, 1),
    Range("page_width_pt", "Page width (pt)", 140, 1600, 1),
    Range("page_height_pt", "Page height (pt)", 140, 1600, 1),
)
CHOICES = (("font_family", "Font"), ("alignment", "Alignment"))
COLORS = (("font_color", "Text"), ("page_color", "Page"))
FLAGS = (("bold", "Bold"), ("highlight", "Syntax colours"), ("crop_width", "Crop to the text"))
FIRST_RANGES = 3
FIELDS = (
    *(each.field for each in RANGES),
    *(name for name, _ in (*CHOICES, *COLORS, *FLAGS)),
    "newline_marker",
)


def controls(config: RenderConfig) -> list[Any]:
    """Place the controls and return them, in the order of `FIELDS`."""
    held: dict[str, Any] = {}
    for each in RANGES[:FIRST_RANGES]:
        held[each.field] = _slider(each, config)
    held["newline_marker"] = gr.Checkbox(
        bool(config.newline_marker), label="Text flows on, line breaks as ¶", elem_id="flow"
    )
    with gr.Accordion("More", open=False):
        for each in RANGES[FIRST_RANGES:]:
            held[each.field] = _slider(each, config)
        for name, label in CHOICES:
            names = installed_families() if name == "font_family" else None
            names = names or list(field_specs()[name].choices)
            held[name] = gr.Dropdown(names, value=getattr(config, name), label=label)
        with gr.Row():
            for name, label in COLORS:
                held[name] = gr.ColorPicker(getattr(config, name), label=label)
        for name, label in FLAGS:
            held[name] = gr.Checkbox(getattr(config, name), label=label)
    return [held[name] for name in FIELDS]


def _slider(each: Range, config: RenderConfig) -> Any:
    return gr.Slider(
        each.low, each.high, _shown(getattr(config, each.field)), step=each.step, label=each.label,
        elem_id=each.field,
    )  # fmt: skip


def values_of(config: RenderConfig) -> list[Any]:
    """Return what the controls show of a config."""
    values = [_shown(getattr(config, name)) for name in FIELDS]
    return [*values[:-1], bool(values[-1])]


def _shown(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value


def config_of(base: RenderConfig, values: list[Any]) -> RenderConfig:
    """Return a config with the values of the controls; what they do not show stays.

    Lines are no lower than the font, so that one slider alone makes no page of overlapping lines.
    A control whose value its own rounding has not moved leaves the field as it is, so that line
    heights of thirds of a point survive.

    Raises:
        ConfigError: The values make no page.
    """
    shown = dict(zip(FIELDS, values, strict=True))
    changes: dict[str, Any] = {}
    for each in RANGES:
        old, new = getattr(base, each.field), shown[each.field]
        if abs(float(new) - float(old)) >= each.step / 2:
            changes[each.field] = type(old)(new)
    for name, _ in (*CHOICES, *FLAGS):
        changes[name] = shown[name]
    for name, _ in COLORS:
        changes[name] = hex_color(shown[name])
    mark = base.newline_marker or FLOW_MARK
    changes["newline_marker"] = mark if shown["newline_marker"] else ""
    size_pt = changes.get("font_size_pt", base.font_size_pt)
    changes["line_height_pt"] = max(changes.get("line_height_pt", base.line_height_pt), size_pt)
    return base.replace(**changes)


def hex_color(color: str) -> str:
    """Return a colour as configs write it; pickers also give 'rgba(...)'.

    Example:
        >>> hex_color("rgba(255, 0, 16.4, 1)"), hex_color("#abcdef")
        ('#FF0010', '#ABCDEF')
    """
    if not color.startswith("rgb"):
        return color.upper()
    parts = color.partition("(")[2].rstrip(")").split(",")[:3]
    return "#" + "".join(f"{round(float(part)):02X}" for part in parts)
