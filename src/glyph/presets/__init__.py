"""Presets: named configs, one TOML file each in this folder, and how files become configs.

A user's own preset is a TOML file of the same form, or a JSON file of the paper's public
repository.
"""

from importlib import resources
from pathlib import Path

from glyph.config import RenderConfig
from glyph.errors import ConfigError, nearest
from glyph.upstream import from_upstream_json


def preset_names() -> list[str]:
    """Return the names of the presets that come with the package."""
    folder = resources.files("glyph") / "presets"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name[-5:] == ".toml")


def load_preset(name_or_path: str | Path) -> RenderConfig:
    """Load a preset by name, or from a TOML or upstream JSON file.

    Raises:
        ConfigError: No such preset or file, or its content is not accepted.

    Example:
        >>> load_preset("glyph-en-72").dpi
        72.0
    """
    name = str(name_or_path)
    if name in preset_names():
        text = (resources.files("glyph") / "presets" / f"{name}.toml").read_text("utf-8")
        return RenderConfig.from_toml(text, where=f"preset '{name}'")
    path = Path(name)
    if path.suffix not in {".toml", ".json"}:
        hint = nearest(name, preset_names())
        raise ConfigError(
            f"unknown preset '{name}'; "
            + (f"did you mean {hint}?" if hint else f"presets: {', '.join(preset_names())}.")
        )
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"cannot read preset {path}: {reason}.") from None
    if path.suffix == ".json":
        return from_upstream_json(text, where=str(path))
    return RenderConfig.from_toml(text, where=str(path))
