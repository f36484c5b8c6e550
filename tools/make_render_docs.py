"""Write the tables of docs/RENDER.md from the code, so that they cannot go stale.

python tools/make_render_docs.py
"""

import tomllib
from pathlib import Path
from typing import Any

import glyph
from glyph.config import RenderConfig, Spec, field_specs
from glyph.presets import load_preset, preset_names

PAGE = Path(__file__).parents[1] / "docs" / "RENDER.md"
PRESETS = Path(glyph.__file__).parent / "presets"


def field_table() -> str:
    """Return one row per field of RenderConfig."""
    rows = ["| field | default | unit | accepted | meaning |", "|---|---|---|---|---|"]
    defaults = RenderConfig().to_dict()
    for name, spec in field_specs().items():
        cells = [f"`{name}`", _literal(defaults[name]), spec.unit, _accepted(spec), spec.about]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


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
