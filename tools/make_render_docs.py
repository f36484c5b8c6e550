"""Write the tables of docs/RENDER.md from the code, so that they cannot go stale.

python tools/make_render_docs.py
"""

import tomllib
from pathlib import Path
from typing import Any

import glyph
from glyph.config import RenderConfig, Spec, field_specs
from glyph.presets import load_preset, preset_names
from glyph.upstream import FIELD_OF_KEY

PAGE = Path(__file__).parents[1] / "docs" / "RENDER.md"
PRESETS = Path(glyph.__file__).parent / "presets"

PAPER = {
    "dpi": "dpi: 45-59, 60-71, 72-119, over 300, and {72, 80, 96, 100, 110, 120, 144, 150, 300}",
    "page_width_pt": "page_size: A, B and US papers, aspects 1.333 to 1.778, free aspects",
    "page_height_pt": "page_size",
    "margin_x_pt": "margins: 10-40 pt; all equal, or one direction larger",
    "margin_y_pt": "margins",
    "font_family": "font_family: serif, sans, mono, pixel",
    "italic": "font_family: italics among them",
    "font_size_pt": "font_size: {7, 7.5, 8, 9, 9.5, 10, 11, 12, 14} pt",
    "line_height_pt": "line_height: font size + {0, 1, 2, 3} pt",
    "horizontal_scale": "h_scale: 0.75-1.0",
    "alignment": "alignment: left and justify, seldom right and center",
    "first_line_indent_pt": "indent: first line 1-2.5 em, hanging",
    "left_indent_pt": "indent: block, hanging",
    "right_indent_pt": "indent: block",
    "space_before_pt": "spacing: none, small, large",
    "space_after_pt": "spacing",
    "page_color": "colors: coherent triplets, light and dark",
    "paragraph_color": "colors",
    "font_color": "colors",
    "border_width_pt": "borders: off by default",
    "border_padding_pt": "borders",
    "border_color": "borders",
    "newline_marker": "newline_markup",
    "newline_marker_color": "newline_markup",
    "crop_width": "auto_crop",
    "crop_last_page": "auto_crop",
}
"""The factor of the paper's table 8 that a field stands for, and its values there."""

EXTENSION = "this project"


def field_table() -> str:
    """Return one row per field of RenderConfig."""
    rows = ["| field | default | unit | accepted | meaning | source |", "|---|---|---|---|---|---|"]
    defaults = RenderConfig().to_dict()
    for name, spec in field_specs().items():
        cells = [f"`{name}`", _literal(defaults[name]), spec.unit, _accepted(spec), spec.about]
        rows.append("| " + " | ".join([*cells, source_of(name)]) + " |")
    return "\n".join(rows)


def source_of(field: str) -> str:
    """Return where a field comes from: the paper's factor and the key of the public JSON."""
    keys = [f"`{key}`" for key, fields in FIELD_OF_KEY.items() if field in fields.split(" and ")]
    return "; ".join([PAPER.get(field, EXTENSION), *keys])


def preset_table() -> str:
    """Return one row per preset."""
    rows = ["| preset | page, px | font / line, px | for |", "|---|---|---|---|"]
    for name in preset_names():
        config = load_preset(name)
        width_px, height_px = config.page_size_px
        size = f"{config.font_size_px:.3g} / {config.px(config.line_height_pt):.3g}"
        description = tomllib.loads((PRESETS / f"{name}.toml").read_text("utf-8"))["description"]
        rows.append(f"| `{name}` | {width_px} x {height_px} | {size} | {description} |")
    return "\n".join(rows)


def fill(page: str) -> str:
    """Return the page with both tables replaced."""
    for marker, table in (("fields", field_table()), ("presets", preset_table())):
        before, begin, rest = page.partition(f"<!-- {marker}: begin -->\n")
        _, end, after = rest.partition(f"<!-- {marker}: end -->")
        if not begin or not end:
            raise SystemExit(f"{PAGE} has no markers '{marker}: begin' and '{marker}: end'.")
        page = f"{before}{begin}{table}\n{end}{after}"
    return page


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    return f"`{value}`" if value != "" else "empty"


def _accepted(spec: Spec) -> str:
    if spec.choices:
        return ", ".join(f"`{choice}`" for choice in spec.choices)
    if spec.low is not None and spec.high is not None:
        return f"{spec.low:g} to {spec.high:g}"
    return {"flag": "true, false", "#RRGGBB": "`#000000` to `#FFFFFF`"}.get(spec.unit, "any text")


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text("utf-8")), "utf-8")
