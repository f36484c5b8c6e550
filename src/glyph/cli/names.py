"""The verbs that tell names: presets, models."""

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyph.cli.console import make_console, print_json
from glyph.cli.options import JsonOption, ModelsOption
from glyph.errors import ConfigError, nearest

if TYPE_CHECKING:
    from glyph.tokens import VisionModel

SHOWN_MODELS = ("glm-4.1v", "qwen3-vl", "gpt-5.4")


def presets(model: ModelsOption = None, as_json: JsonOption = False) -> None:
    """List the presets, with the price of a full page for some models."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from glyph.presets import load_preset, preset_names
    from glyph.tokens import image_cost, resolve_model

    models = [resolve_model(name).name for name in model or SHOWN_MODELS]
    found: list[dict[str, Any]] = []
    for name in preset_names():
        config = load_preset(name)
        costs = {each: image_cost(*config.page_size_px, each) for each in models}
        found.append(
            {
                "name": name,
                "description": _description(name),
                "page_width_px": config.page_size_px[0],
                "page_height_px": config.page_size_px[1],
                "grid_px": config.grid_px,
                "font_size_px": config.font_size_px,
                "visual_tokens": {each: cost.visual_tokens for each, cost in costs.items()},
                "resampled": {each: cost.resampled for each, cost in costs.items()},
            }
        )
    if as_json:
        print_json({"presets": found})
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("preset", style="bold", no_wrap=True)
    table.add_column("page px", justify="right", no_wrap=True)
    for each in models:
        table.add_column(each, justify="right")
    table.add_column("for")
    for row in found:
        prices = [
            Text(f"{row['visual_tokens'][each]:,}{'~' if row['resampled'][each] else ' '}",
                 style="dim" if row["resampled"][each] else "")
            for each in models
        ]  # fmt: skip
        size = f"{row['page_width_px']}x{row['page_height_px']}"
        table.add_row(row["name"], size, *prices, Text(row["description"]))
    console = make_console()
    console.print(table)
    console.print(Text("Visual tokens of a full page; ~ the model resamples it.", style="dim"))


def _description(preset: str) -> str:
    text = (resources.files("glyph") / "presets" / f"{preset}.toml").read_text("utf-8")
    return str(tomllib.loads(text).get("description", ""))


def models(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only names that hold this.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the models whose visual tokens are known, with their limits."""
    from glyph.tokens import model_names, resolve_model

    names = [each for each in model_names() if name.lower() in each]
    if not names:
        hint = nearest(name.lower(), model_names())
        raise ConfigError(
            f"no model name holds '{name}'"
            + (f"; did you mean {hint}?" if hint else "; 'glyph models' lists them all.")
        )
    found = [resolve_model(each) for each in names]
    if as_json:
        print_json({"models": [_model_values(each) for each in found]})
    else:
        _print_models(found)


def _model_values(model: "VisionModel") -> dict[str, Any]:
    from dataclasses import asdict

    from glyph.api import preset_of
    from glyph.tokens import largest_page_px

    return {
        "name": model.name,
        "family": model.family,
        "grid_px": model.grid_px,
        "context_tokens": model.context_tokens,
        "tokenizer": model.tokenizer,
        "tokenizer_is_exact": model.tokenizer_is_exact,
        "evidence": model.evidence,
        "preset": preset_of(model.name),
        "largest_page_px": list(largest_page_px(model)),
        "limits": asdict(model.limits),
    }


def _print_models(found: "list[VisionModel]") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from glyph.api import preset_of

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", style="bold", no_wrap=True)
    table.add_column("family", no_wrap=True)
    for header in ("grid px", "context", "images", "MB a request"):
        table.add_column(header, justify="right", no_wrap=True)
    for header in ("tokenizer", "preset", "evidence"):
        table.add_column(header, no_wrap=True)
    for model in found:
        limits = model.limits
        megabytes = limits.max_request_bytes and f"{limits.max_request_bytes / 1e6:.0f}"
        table.add_row(
            model.name,
            model.family,
            str(model.grid_px),
            f"{model.context_tokens:,}" if model.context_tokens else "-",
            f"{limits.max_images:,}" if limits.max_images else "-",
            megabytes or "-",
            Text(model.tokenizer if model.tokenizer_is_exact else f"≈ {model.tokenizer}"),
            preset_of(model.name),
            model.evidence,
        )
    console = make_console()
    console.print(table)
    legend = "- set by the server, or not known   ≈ the nearest bundled tokenizer"
    console.print(Text(legend, style="dim"))
