"""How the verbs show what pages cost, and what there is to remark about a run."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from glyph.documents import Document
    from glyph.tokens import Cost

MAX_MISSING_SHOWN = 8
WORTH_A_TIP = 1.2


def cost_table(rows: "list[tuple[str, Cost]]", *, show_preset: bool) -> "Table":
    """Return the table of what models pay, one row a model; rows are preset and cost."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from glyph.tokens import is_proxy

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", style="bold", no_wrap=True)
    if show_preset:
        table.add_column("preset", no_wrap=True)
    for header in ("text tokens", "pages", "visual tokens", "ratio"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("tokenizer", no_wrap=True)
    table.add_column("pixels", no_wrap=True)
    for preset, cost in rows:
        sign = "≈ " if is_proxy(cost) else ""
        table.add_row(
            Text(cost.model),
            *([Text(preset)] if show_preset else []),
            f"{cost.text_tokens:,}",
            f"{cost.pages:,}",
            f"{cost.visual_tokens:,}",
            Text(f"{cost.ratio:.2f}x", style=style_of_ratio(cost.ratio)),
            Text(f"{sign}{cost.tokenizer}"),
            Text("resampled", style="yellow") if cost.resampled else Text("kept", style="green"),
        )
    return table


def print_flow_tip(console: "Console", document: "Document", preset: str, cost: "Cost") -> None:
    """Say what the same pages cost with line breaks as marks, where that saves much.

    Blank lines and short last lines cost as much as full ones, so texts with many of them pay
    twice; only the default preset has a twin whose text flows on.
    """
    from rich.text import Text

    from glyph.api import DEFAULT_PRESET, FLOW_PRESET, measure

    if preset != DEFAULT_PRESET:
        return
    (flow,) = measure(document, preset=FLOW_PRESET, models=[cost.model]).costs
    if flow.ratio > WORTH_A_TIP * cost.ratio:
        console.print(
            Text(
                f"tip: with line breaks as red marks (--preset {FLOW_PRESET}) {cost.model} pays "
                f"{flow.visual_tokens:,} tokens for {flow.pages:,} pages, {flow.ratio:.2f}x."
            )
        )


def style_of_ratio(ratio: float) -> str:
    """Return the colour of a ratio: pages that cost more than text are red."""
    return "bold green" if ratio >= 1.5 else "yellow" if ratio >= 1 else "bold red"


def print_remarks(
    console: "Console",
    notes: Sequence[str],
    warnings: Sequence[str],
    missing: Counter[str],
) -> None:
    """Print what was changed on the way, what to know before sending, and what no font has."""
    from rich.text import Text

    for note in notes:
        console.print(Text(f"note: {note}", style="dim"))
    for warning in warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    if missing:
        shown = ", ".join(
            f"U+{ord(char):04X} x{count}" for char, count in missing.most_common(MAX_MISSING_SHOWN)
        )
        more = len(missing) - MAX_MISSING_SHOWN
        rest = f" and {more} more" if more > 0 else ""
        console.print(Text(f"warning: no font has {shown}{rest}; shown as boxes.", style="yellow"))


def cost_values(cost: "Cost") -> dict[str, Any]:
    """Return a cost as the JSON of every verb has it."""
    from glyph.tokens import is_proxy

    return {
        "model": cost.model,
        "text_tokens": cost.text_tokens,
        "tokenizer": cost.tokenizer,
        "tokenizer_is_exact": not is_proxy(cost),
        "pages": cost.pages,
        "visual_tokens": cost.visual_tokens,
        "overhead_tokens": cost.overhead_tokens,
        "ratio": cost.ratio,
        "resampled": cost.resampled,
        "warnings": list(cost.warnings),
    }


def missing_values(missing: Counter[str]) -> dict[str, Any]:
    """Return the characters without a glyph: how often they occur, all told and each."""
    return {"missing_glyphs": missing.total(), "missing": dict(missing)}
