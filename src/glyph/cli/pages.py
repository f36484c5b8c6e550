"""The verbs that make and price pages: render, measure."""

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from glyph.cli.console import make_console, print_json, progress_bar
from glyph.cli.costs import (
    cost_table,
    cost_values,
    missing_values,
    print_flow_tip,
    print_remarks,
    style_of_ratio,
)
from glyph.cli.options import (
    FileArgument,
    JsonOption,
    KindOption,
    ModelsOption,
    PresetOption,
    SettingsOption,
    TokenizerOption,
    UnwrapOption,
    fields_of,
)

if TYPE_CHECKING:
    from glyph.output import Saved
    from glyph.pages import Page
    from glyph.tokens import Cost

FormatName = Literal["png", "webp", "pdf"]


def render(
    file: FileArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the pages.")],
    preset: PresetOption = None,
    settings: SettingsOption = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME", help="Who will read the pages.")
    ] = None,
    format: Annotated[FormatName, typer.Option("--format", "-f", help="Of the pages.")] = "png",
    bits: Annotated[Literal["8", "4"], typer.Option(help="Bits a pixel of grey PNGs.")] = "8",
    html: Annotated[bool, typer.Option("--html", help="Write DIR/report.html too.")] = False,
    kind: KindOption = None,
    unwrap: UnwrapOption = None,
    tokenizer: TokenizerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Render a text to page images and a manifest, and say what they cost.

    The folder holds page-00001.png and so on, and manifest.json, which leads every page back to
    the characters of the source. A folder with an earlier run is replaced as a whole.
    """
    from glyph.api import DEFAULT_MODEL, DEFAULT_MODELS, save
    from glyph.intake import open_document
    from glyph.output import REPORT, write_atomically
    from glyph.report import ReportPages, report_of

    begin = time.perf_counter()
    fields = fields_of(settings)
    document = open_document(file, kind=kind, unwrap=unwrap)
    chosen = model or DEFAULT_MODEL
    models = [chosen, *(m for m in DEFAULT_MODELS if html and m != chosen)]
    kept = ReportPages() if html else None
    with progress_bar(len(document.text), "rendering", quiet=as_json) as show:

        def on_page(page: "Page") -> None:
            show(page.end)
            if kept is not None:
                kept.add(page)

        run = save(
            document,
            out,
            preset=preset,
            models=models,
            tokenizer=tokenizer,
            format=format,
            bits=8 if bits == "8" else 4,
            on_page=on_page,
            **fields,
        )
    if kept is not None:
        write_atomically(out / REPORT, report_of(run, kept).encode())
    seconds = time.perf_counter() - begin
    if as_json:
        print_json(_render_result(run, seconds, has_report=html))
    else:
        _print_run(run, seconds, has_report=html)


def _render_result(run: "Saved", seconds: float, *, has_report: bool) -> dict[str, Any]:
    from glyph.output import MANIFEST, REPORT

    cost = run.costs[0]
    return {
        **cost_values(cost),
        **missing_values(run.missing),
        "seconds": seconds,
        "characters": len(run.document.text),
        "folder": str(run.folder),
        "manifest": str(run.folder / MANIFEST),
        "report": str(run.folder / REPORT) if has_report else None,
        "format": run.format,
        "num_bytes": run.num_bytes,
        "preset": run.preset,
        "config_digest": run.config.digest,
        "notes": list(run.document.notes),
    }


def _print_run(run: "Saved", seconds: float, *, has_report: bool) -> None:
    from rich.text import Text

    from glyph.output import REPORT, size_text
    from glyph.tokens import is_proxy

    console, cost, document = make_console(), run.costs[0], run.document
    pages = f"{cost.pages:,} page{'' if cost.pages == 1 else 's'}"
    console.print(
        Text.assemble(
            (document.name, "bold"),
            f"  {len(document.text):,} characters  ->  ",
            (pages, "bold"),
            f" in {run.folder} ({run.format}, {size_text(run.num_bytes)}, preset {run.preset})",
        )
    )
    close = f", close to that of {cost.model}" if is_proxy(cost) else ""
    console.print(Text(f"  as text   {cost.text_tokens:>11,} tokens ({cost.tokenizer}{close})"))
    console.print(
        Text.assemble(
            f"  as pages  {cost.visual_tokens:>11,} visual tokens of {cost.model}, ",
            (f"{cost.ratio:.2f} text tokens each", style_of_ratio(cost.ratio)),
        )
    )
    console.print(Text(f"  {seconds:.2f} s", style="dim"))
    if has_report:
        console.print(Text(f"  report    {run.folder / REPORT}"))
    print_remarks(console, document.notes, cost.warnings, run.missing)


def measure(
    file: FileArgument,
    model: ModelsOption = None,
    preset: PresetOption = None,
    settings: SettingsOption = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Give each model the preset of its own patch grid.")
    ] = False,
    kind: KindOption = None,
    unwrap: UnwrapOption = None,
    tokenizer: TokenizerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a text costs as text and as pages, for one or many models. No pixel is drawn.

    Several models are compared on the same pages, unless --fit is given. A ratio above 1 means
    that pages are cheaper than text.
    """
    from glyph import api
    from glyph.intake import open_document
    from glyph.tokens import resolve_model

    if fit and preset:
        raise typer.BadParameter("--fit chooses the preset of each model; leave out --preset.")
    begin = time.perf_counter()
    fields = fields_of(settings)
    models = model or list(api.DEFAULT_MODELS)
    document = open_document(file, kind=kind, unwrap=unwrap)
    is_code = document.kind == "code"
    owner = models[0] if len(models) == 1 else None
    groups: dict[str, list[str]] = {}
    for name in models:
        key = preset or api.preset_of(name if fit else owner, is_code=is_code)
        groups.setdefault(key, []).append(name)
    rows: list[tuple[str, Cost]] = []
    missing: Counter[str] = Counter()
    for key, names in groups.items():
        found = api.measure(document, preset=key, models=names, tokenizer=tokenizer, **fields)
        rows += [(key, cost) for cost in found.costs]
        missing |= found.missing
    asked = [resolve_model(name).name for name in models]
    rows.sort(key=lambda row: asked.index(row[1].model))
    if as_json:
        print_json(
            {
                "characters": len(document.text),
                "document": document.name,
                "costs": [{**cost_values(cost), "preset": key} for key, cost in rows],
                **missing_values(missing),
                "warnings": _remarks(rows),
                "notes": list(document.notes),
                "seconds": time.perf_counter() - begin,
            }
        )
        return
    _print_costs(document.name, len(document.text), rows)
    if not fields:
        print_flow_tip(make_console(), document, *rows[0])
    print_remarks(make_console(), document.notes, _remarks(rows), missing)


def _remarks(rows: "list[tuple[str, Cost]]") -> list[str]:
    return list(dict.fromkeys(warning for _, cost in rows for warning in cost.warnings))


def _print_costs(name: str, characters: int, rows: "list[tuple[str, Cost]]") -> None:
    from rich.text import Text

    from glyph.tokens import is_proxy

    console = make_console()
    presets = list(dict.fromkeys(key for key, _ in rows))
    same = f", pages of preset {presets[0]}" if len(presets) == 1 else ""
    console.print(Text.assemble((name, "bold"), f"  {characters:,} characters{same}"))
    console.print(cost_table(rows, show_preset=len(presets) > 1))
    if any(is_proxy(cost) for _, cost in rows):
        console.print(Text("≈ the nearest bundled tokenizer; the model has another.", style="dim"))
