"""The verbs that read pages, and the one that looks at the machine: ask, probe, doctor."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyph.cli.console import FAILED, make_console, print_json, progress_bar
from glyph.cli.costs import style_of_ratio
from glyph.cli.options import (
    BaseUrlOption,
    FileArgument,
    JsonOption,
    KindOption,
    PresetOption,
    ReadCacheOption,
    SettingsOption,
    UnwrapOption,
    fields_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from glyph.asking import Asked
    from glyph.checking import Doubt
    from glyph.doctor import Check
    from glyph.documents import Document
    from glyph.probe import Legibility, ProbeResult
    from glyph.readers import Reader

ReaderOption = Annotated[
    str | None,
    typer.Option(
        "--reader",
        "-r",
        metavar="NAME",
        help="Who reads: ocr or nano, on this machine, or openai:MODEL behind an endpoint. "
        "Default: nano for the pages it was trained on, ocr for others.",
    ),
]


def open_named(
    name: str,
    base_url: str | None,
    on_page: "Callable[[int, int], None]",
    cache: Path | None = None,
) -> "Reader":
    """Return the reader of a name."""
    from glyph.readers import open_reader

    options: dict[str, Any] = {}
    if base_url is not None:
        options["base_url"] = base_url
    if name.partition(":")[0] in ("ocr", "nano"):
        options.update(on_page=on_page, cache=cache)
    return open_reader(name, **options)


def ask(
    file: FileArgument,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to answer.")],
    reader: ReaderOption = None,
    base_url: BaseUrlOption = None,
    preset: PresetOption = None,
    settings: SettingsOption = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="Price and fit pages for this model."),
    ] = None,
    kind: KindOption = None,
    unwrap: UnwrapOption = None,
    sidecar: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Tokens for exact strings as text beside the pages, as a share of the tokens "
            "saved. For openai:MODEL. Default: 0.05.",
        ),
    ] = None,
    cache: ReadCacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Render a text, let a reader read the pages, and answer a question from what it read.

    The reader sees pixels and the question, never the text. The answer comes with its page, and
    with its place in the text where the reader points at one. Numbers, names in code and addresses
    of the answer that stand nowhere in the text are told as doubts.
    """
    from glyph import asking
    from glyph.intake import open_document

    begin = time.perf_counter()
    fields = fields_of(settings)
    document = open_document(file, kind=kind, unwrap=unwrap)
    name = reader or asking.default_reader(document, preset, is_changed=bool(fields))
    with progress_bar(1, "reading pages", quiet=as_json) as show:
        asked = asking.ask(
            document,
            question,
            reader=open_named(name, base_url, lambda done, total: show(done / total), cache),
            preset=preset,
            model=model,
            sidecar_share=asking.SIDECAR_SHARE if sidecar is None else sidecar,
            **fields,
        )
    seconds = time.perf_counter() - begin
    if as_json:
        print_json(_ask_values(asked, document, seconds))
    else:
        _print_answer(asked, document, seconds)


def _ask_values(asked: "Asked", document: "Document", seconds: float) -> dict[str, Any]:
    answer, cost = asked.answer, asked.cost
    to_source = document.source.to_source
    return {
        "answer": answer.text,
        "quote": answer.quote,
        "confidence": answer.confidence,
        "is_unsure": answer.is_unsure,
        "reader": answer.reader,
        "method": answer.method,
        "pages": [index + 1 for index in answer.pages],
        "page": answer.pages[0] + 1 if answer.pages and answer.box else None,
        "box": asdict(answer.box) if answer.box else None,
        "spans": [list(span) for span in asked.spans],
        "source_spans": [to_source(span).tolist() for span in asked.spans],
        "source_text": _text_under(asked, document),
        "place": document.place_of(asked.spans[0][0]) if asked.spans else None,
        "doubts": [asdict(doubt) for doubt in asked.doubts],
        "sidecar_tokens": asked.sidecar.num_tokens if asked.sidecar else 0,
        "usage": asdict(answer.usage),
        "num_pages": asked.num_pages,
        "model": cost.model if cost else None,
        "text_tokens": cost.text_tokens if cost else None,
        "visual_tokens": cost.visual_tokens if cost else None,
        "ratio": cost.ratio if cost else None,
        "warnings": list(cost.warnings) if cost else [],
        "seconds": seconds,
    }


def _text_under(asked: "Asked", document: "Document") -> str:
    return "".join(document.text[start:end] for start, end in asked.spans)


def _print_answer(asked: "Asked", document: "Document", seconds: float) -> None:
    from rich.text import Text

    from glyph.readers.extract import NOT_FOUND

    console, answer, cost = make_console(), asked.answer, asked.cost
    console.print(Text(answer.text, style="bold"))
    if answer.quote and answer.quote != answer.text:
        console.print(Text(f'  read     "{" ".join(answer.quote.split())}"'))
    if answer.pages and answer.box:
        box = answer.box
        place = (
            f"  at       page {answer.pages[0] + 1} of {asked.num_pages}, pixels "
            f"{box.left_px},{box.top_px} to {box.right_px},{box.bottom_px}"
        )
        if asked.spans:
            first, last = document.source.to_source((asked.spans[0][0], asked.spans[-1][1]))
            place += f"; characters {first:,} to {last:,} of the source"
            section = document.place_of(asked.spans[0][0])
            place += f", {section}" if section else ""
        console.print(Text(place))
    how = f" ({answer.method})" if answer.method else ""
    sure = "" if answer.confidence is None else f", confidence {answer.confidence:.2f}"
    console.print(Text(f"  by       {answer.reader}{how}{sure}, {seconds:.1f} s"))
    if answer.usage.input_tokens is not None:
        usage = f"{answer.usage.input_tokens:,} in, {answer.usage.output_tokens or 0:,} out"
        counter = "the endpoint" if answer.reader.startswith("openai") else "the reader"
        console.print(Text(f"  tokens   {usage}, as counted by {counter}"))
    if cost is not None:
        console.print(
            Text.assemble(
                f"  pages    {cost.pages:,}; {cost.visual_tokens:,} visual tokens of {cost.model} "
                f"in place of {cost.text_tokens:,} text tokens, ",
                (f"{cost.ratio:.2f}x", style_of_ratio(cost.ratio)),
            )
        )
        for warning in cost.warnings:
            console.print(Text(f"warning: {warning}", style="yellow"))
    if asked.sidecar is not None and asked.sidecar.entries:
        beside = f"{len(asked.sidecar.entries)} exact strings, {asked.sidecar.num_tokens} tokens"
        console.print(Text(f"  beside   {beside} as text (--sidecar 0 for none)"))
    for doubt in asked.doubts:
        console.print(Text(f"doubt: {_doubt(doubt, document)}", style="yellow"))
    if answer.is_unsure and answer.text != NOT_FOUND:
        told = "unsure: this is the nearest the reader found; the pages may not say what was asked."
        console.print(Text(told, style="yellow"))


def _doubt(doubt: "Doubt", document: "Document") -> str:
    nearest = ""
    if doubt.nearest:
        place = document.place_of(doubt.span[0])
        nearest = f"; nearest is {doubt.nearest}" + (f" ({place})" if place else "")
    return f"{doubt.text} stands nowhere in the text: misread, or worked out{nearest}."


def probe(
    preset: PresetOption = None,
    reader: ReaderOption = None,
    base_url: BaseUrlOption = None,
    settings: SettingsOption = None,
    lines: Annotated[int, typer.Option(help="Lines of each kind of text, 2 to 100.")] = 24,
    seed: Annotated[int, typer.Option(help="Of the texts that are drawn.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure whether a reader can read a preset: words, which can be guessed, and strings.

    CER is the character error rate: characters replaced, left out or added, over all characters.
    """
    from glyph.api import make_config, preset_of
    from glyph.asking import model_behind, own_preset
    from glyph.probe import probe as run_probe
    from glyph.readers import NANO_PRESETS

    fields = fields_of(settings)
    own = "nano" if preset in NANO_PRESETS else "ocr"
    opened = open_named(reader or own, base_url, lambda done, total: None)
    name = preset or own_preset(opened) or preset_of(model_behind(opened))
    with progress_bar(2, "reading pages", quiet=as_json) as show:
        config = make_config(name, **fields)
        result = run_probe(opened, config, seed=seed, lines=lines, on_page=show)
    if as_json:
        print_json({"preset": name, "seed": seed, "lines": lines, **asdict(result)})
    else:
        _print_probe(result, name)


def _print_probe(result: "ProbeResult", preset: str) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("text", style="bold", no_wrap=True)
    for header in ("CER", "95 % interval", "read exactly", "characters"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("most frequent errors")
    for name, found in (("words", result.words), ("random strings", result.strings)):
        table.add_row(
            name,
            f"{found.cer:.2%}",
            f"{found.cer_low:.2%} to {found.cer_high:.2%}",
            f"{found.exact:.1%}",
            f"{found.num_chars:,}",
            Text(_confusions(found)),
        )
    console = make_console()
    console.print(
        Text.assemble(
            (f"preset {preset}", "bold"),
            f" read by {result.reader}, {result.num_pages} pages in {result.seconds:.1f} s",
        )
    )
    console.print(table)
    console.print(Text(f"{result.reader} {result.verdict}", style="bold"))


def _confusions(found: "Legibility") -> str:
    shown = (
        f"{_visible(each.expected)} as {_visible(each.read)} x{each.count}"
        for each in found.confusions[:5]
    )
    return ", ".join(shown) or "none"


def _visible(char: str) -> str:
    return {"": "nothing", " ": "blank"}.get(char, char)


def doctor(base_url: BaseUrlOption = None, as_json: JsonOption = False) -> None:
    """Say what is installed, what works, and what to do about the rest.

    Exits with 1 when a part is broken that rendering, pricing or an installed reader needs.
    """
    from glyph.doctor import examine

    console = None if as_json else make_console()
    checks: list[Check] = []
    for check in examine(base_url):
        checks.append(check)
        if console is not None:
            _print_check(console, check)
    is_well = all(check.status != "broken" for check in checks)
    if as_json:
        print_json({"ok": is_well, "checks": [asdict(check) for check in checks]})
    if not is_well:
        raise typer.Exit(FAILED)


def _print_check(console: "Console", check: "Check") -> None:
    from rich.table import Table
    from rich.text import Text

    sign, style = {
        "ok": ("ok", "green"),
        "note": ("-", "yellow"),
        "broken": ("BROKEN", "bold red"),
    }[check.status]
    row = Table.grid(padding=(0, 2))
    row.add_column(min_width=6)
    row.add_column(min_width=16, style="bold", no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(Text(sign, style=style), Text(check.name), Text(check.detail))
    if check.remedy:
        row.add_row("", "", Text(check.remedy, style="dim"))
    console.print(row)
