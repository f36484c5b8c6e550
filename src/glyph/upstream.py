"""The JSON configuration of the paper's public repository, read and written without loss.

Its keys are a subset of `RenderConfig` under other names. Every value that the file holds comes
back equal after import and export; what cannot be held is refused, never dropped. Keys that a file
leaves out take the defaults of `RenderConfig`, which are the values of the published file for
English; an absent line height is the font size plus one point, as in the published renderer.
"""

import json
import re
from typing import Any, cast

from glyph.config import RenderConfig
from glyph.errors import ConfigError, nearest

FIELD_OF_KEY = {
    "page-size": "page_width_pt and page_height_pt",
    "dpi": "dpi",
    "margin-x": "margin_x_pt",
    "margin-y": "margin_y_pt",
    "font-path": "font_family",
    "font-size": "font_size_pt",
    "line-height": "line_height_pt",
    "font-color": "font_color",
    "alignment": "alignment",
    "horizontal-scale": "horizontal_scale",
    "first-line-indent": "first_line_indent_pt",
    "left-indent": "left_indent_pt",
    "right-indent": "right_indent_pt",
    "space-before": "space_before_pt",
    "space-after": "space_after_pt",
    "border-width": "border_width_pt",
    "border-padding": "border_padding_pt",
    "page-bg-color": "page_color",
    "para-bg-color": "paragraph_color",
    "para-border-color": "border_color",
    "newline-markup": "newline_marker and newline_marker_color",
    "auto-crop-width": "crop_width",
    "auto-crop-last-page": "crop_last_page",
}
"""Every key of the public files, and what it is called here."""

SPECIAL_KEYS = ("page-size", "alignment", "para-border-color", "newline-markup")
LINE_BREAK = "<br/>"
UNSET_BORDER_COLOR = "#FfFfFf"
"""Stands for a null border colour: white in a spelling nobody writes, and never drawn."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BREAK = re.compile(r"<br ?/?>")
_COLORED_TEXT = re.compile(
    r"<font color=(?P<quote>[\"'])(?P<color>#[0-9A-Fa-f]{6})(?P=quote)>"
    r"(?P<text>(?:[^<>&]|&(?:amp|lt|gt);)+)</font>"
)


def from_upstream_json(text: str, *, where: str = "config.json") -> RenderConfig:
    """Read a configuration file of the public repository.

    `to_upstream_json` gives every key of the file back with an equal value. A few other
    spellings are understood too and come back in the usual one: a list for `page-size`, `TA_LEFT`
    for `LEFT`, `<br>` for `<br/>`. A null `para-border-color` is fine while the border is off.

    Args:
        text: The JSON text; one object.
        where: Name of the file for error messages.

    Raises:
        ConfigError: Not a JSON object, an unknown or repeated key (the nearest key is named), or
            a value that cannot be held.

    Source:
        Glyph (arXiv 2510.17800), figure 6 and the configuration files of its repository. Deviation:
        margins stay points everywhere; the public scripts take them as pixels when cropping.

    Example:
        >>> from_upstream_json('{"page-size": "595,842", "dpi": 96}').page_size_px
        (793, 1123)
    """
    fields: dict[str, Any] = {}
    try:
        values = _read_object(text)
        for key, value in values.items():
            fields |= _fields_of(key, value)
        if "line-height" not in values and isinstance(values.get("font-size"), int | float):
            fields["line_height_pt"] = values["font-size"] + 1
        config = RenderConfig(**fields)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if config.border_width_pt and values.get("para-border-color", "") is None:
        raise ConfigError(
            f"{where}: para-border-color is null but border-width is "
            f"{config.border_width_pt:g}; give the border a #RRGGBB colour or the width 0."
        )
    return config


def to_upstream_json(config: RenderConfig) -> str:
    """Write a config as a configuration file of the public repository, all keys present.

    Raises:
        ConfigError: A field that the JSON has no key for is not at its default; all such fields
            are named.

    Example:
        >>> json.loads(to_upstream_json(RenderConfig()))["page-size"]
        '595,842'
    """
    _check_expressible(config)
    values: dict[str, Any] = {}
    for key, field in FIELD_OF_KEY.items():
        values[key] = None if key in SPECIAL_KEYS else _plain(getattr(config, field))
    values["page-size"] = f"{_plain(config.page_width_pt)},{_plain(config.page_height_pt)}"
    values["alignment"] = config.alignment.upper()
    if config.border_color != UNSET_BORDER_COLOR or config.border_width_pt:
        values["para-border-color"] = config.border_color
    values["newline-markup"] = _markup(config)
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


# -- reading ---------------------------------------------------------------------------------


def _read_object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text, object_pairs_hook=_unique)
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not valid JSON: {error}.") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"holds a JSON {type(values).__name__}; an object such as "
            '{"dpi": 72, "font-size": 9} is accepted.'
        )
    return cast(dict[str, Any], values)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ConfigError(f"key '{repeated}' stands twice; keep one.")
    return values


def _fields_of(key: str, value: Any) -> dict[str, Any]:
    if key not in FIELD_OF_KEY:
        hint = nearest(key, FIELD_OF_KEY)
        raise ConfigError(
            f"unknown key '{key}'; "
            + (f"did you mean {hint}?" if hint else f"known keys: {', '.join(FIELD_OF_KEY)}.")
        )
    if key == "page-size":
        return _read_page_size(value)
    if key == "alignment":
        return {"alignment": _read_alignment(value)}
    if key == "newline-markup":
        return _read_markup(value)
    if key == "para-border-color" and value is None:
        return {"border_color": UNSET_BORDER_COLOR}
    return {FIELD_OF_KEY[key]: value}


def _read_page_size(value: Any) -> dict[str, Any]:
    parts = value.split(",") if isinstance(value, str) else value
    refused = ConfigError(
        f"page-size is {value!r}; width and height in points are accepted, such as '595,842'."
    )
    if not isinstance(parts, list) or len(cast(list[Any], parts)) != 2:
        raise refused
    try:
        width_pt, height_pt = (float(part) for part in cast(list[Any], parts))
    except (TypeError, ValueError, OverflowError):
        raise refused from None
    return {"page_width_pt": width_pt, "page_height_pt": height_pt}


def _read_alignment(value: Any) -> str:
    choices = ("LEFT", "JUSTIFY", "RIGHT", "CENTER")
    name = value.removeprefix("TA_") if isinstance(value, str) else value
    if name not in choices:
        raise ConfigError(f"alignment is {value!r}; accepted: {', '.join(choices)}.")
    return name.lower()


def _read_markup(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        if _BREAK.fullmatch(value):
            return {"newline_marker": ""}
        if "\n" in value:
            raise ConfigError(
                "newline-markup holds a real line break, which draws nothing; write the visible "
                r"characters \\n in the JSON, with two backslashes."
            )
        if colored := _COLORED_TEXT.fullmatch(value):
            marker = colored["text"]
            for character, entity in reversed(_ENTITIES.items()):
                marker = marker.replace(entity, character)
            return {"newline_marker": marker, "newline_marker_color": colored["color"]}
    raise ConfigError(
        f"newline-markup is {value!r}; accepted: {LINE_BREAK}, or one coloured text such as "
        r'<font color="#FF0000"> \n </font>, with &amp; &lt; &gt; for & < >.'
    )


# -- writing ---------------------------------------------------------------------------------


def _markup(config: RenderConfig) -> str:
    if not config.newline_marker:
        return LINE_BREAK
    marker = config.newline_marker
    for character, entity in _ENTITIES.items():
        marker = marker.replace(character, entity)
    return f'<font color="{config.newline_marker_color}">{marker}</font>'


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_expressible(config: RenderConfig) -> None:
    known = {name for names in FIELD_OF_KEY.values() for name in names.split(" and ")}
    if not config.newline_marker:
        known -= {"newline_marker_color"}
    default = RenderConfig().to_dict()
    lost = {
        name: value
        for name, value in config.to_dict().items()
        if name not in known and value != default[name]
    }
    if lost:
        given = ", ".join(f"{name}={_shown(value)}" for name, value in lost.items())
        neutral = ", ".join(f"{name}={_shown(default[name])}" for name in lost)
        raise ConfigError(
            f"the public JSON cannot hold {given}; set {neutral} first, or write TOML, "
            "which holds every field."
        )


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(_plain(value))
