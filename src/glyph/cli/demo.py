"""The verb `demo`: it tells what `glyph.demo` does, step by step."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyph.cli.console import make_console, print_json, progress_bar, tell
from glyph.cli.costs import cost_table, cost_values, print_flow_tip
from glyph.cli.options import JsonOption
from glyph.errors import ReaderError

if TYPE_CHECKING:
    from rich.console import Console

    from glyph.demo import Answered, ReadBack, Rendered
    from glyph.pages import Page


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the demo.")
    ] = Path("demo"),
    as_json: JsonOption = False,
) -> None:
    """Render half a megabyte of real text, price it, read a chapter back and ask it questions.

    The text is the Python language reference that every Python carries. Nothing is downloaded and
    nothing is sent anywhere. It leaves the pages and report.html in the folder.
    """
    from glyph.demo import reference, render_reference, write_report

    text = reference()
    console = None if as_json else make_console()
    if console is not None:
        _step(console, "Glyph", "the Python language reference as pictures of its pages\n")
    begin = last = time.perf_counter()
    with progress_bar(len(text.document.text), "rendering", quiet=as_json) as show:

        def on_page(page: "Page") -> None:
            nonlocal last
            last = time.perf_counter()
            show(page.end)

        rendered = render_reference(text, out, on_page)
    render_seconds = last - begin
    if console is not None:
        _print_rendered(console, rendered, render_seconds)
    begin = time.perf_counter()
    read = _read(console, rendered)
    read_seconds = time.perf_counter() - begin
    report = write_report(rendered, read, out)
    if console is None:
        values = None if read is None else _read_values(rendered, read, read_seconds)
        print_json(_values(rendered, render_seconds) | {"read": values, "report": str(report)})
        return
    if read is not None:
        _print_read(console, rendered, read, read_seconds)
    _step(console, "Look", f"{report}, in a browser")


def _step(console: "Console", name: str, text: str) -> None:
    from rich.text import Text

    console.print(Text.assemble((f"{name:<8}", "bold cyan"), text))


def _read(console: "Console | None", rendered: "Rendered") -> "ReadBack | None":
    """Read the chapter, or say what is missing for that."""
    from glyph.demo import CHAPTER, read_back
    from glyph.readers import open_reader

    try:
        reader = open_reader("ocr")
    except ReaderError as error:
        tell(f"not read back: {error}")
        return None
    pages = rendered.chapter
    numbers = f"{pages[0].index + 1} to {pages[-1].index + 1}"
    if console is not None:
        _step(
            console,
            "Read",
            f"reading {len(pages)} of {len(rendered.run.pages)} pages from their pixels: "
            f"{numbers}, topic '{CHAPTER}', with reader {reader.name}",
        )
    with progress_bar(len(pages), "reading", quiet=console is None) as show:
        return read_back(rendered, reader, show)


def _print_rendered(console: "Console", rendered: "Rendered", seconds: float) -> None:
    from glyph.kernel import kernel_name
    from glyph.output import size_text

    run = rendered.run
    num_chars = len(run.document.text)
    _step(
        console,
        "Render",
        f"{num_chars:,} characters -> {len(run.pages)} pages in {run.folder} "
        f"({size_text(run.num_bytes)} of PNG, preset {run.preset})",
    )
    speed = f"{num_chars / seconds / 1e6:.1f} million characters a second"
    _step(console, "", f"{seconds:.2f} s, {speed}, {kernel_name()} kernel\n")
    _step(console, "Price", "tokens as text and as pages, the same pages for every model")
    console.print(cost_table([(run.preset, cost) for cost in run.costs], show_preset=False))
    print_flow_tip(console, run.document, run.preset, run.costs[0])


def _print_read(console: "Console", rendered: "Rendered", read: "ReadBack", seconds: float) -> None:
    of_all = f"{read.num_errors / read.num_chars:.2%}"
    of_letters = f"{read.num_letter_errors / read.num_letters:.2%}"
    _step(console, "", f"{read.num_chars:,} characters in {seconds:.0f} s")
    _step(
        console,
        "",
        f"compared with the text afterwards, {of_letters} of the letters and digits are wrong, and",
    )
    _step(console, "", f"{of_all} of all characters, with the rulings under headings\n")
    _step(console, "Ask", "answered from what was read, not from the text")
    for each in read.answers:
        _print_answer(console, rendered, each)
    console.print()


def _print_answer(console: "Console", rendered: "Rendered", each: "Answered") -> None:
    from rich.padding import Padding
    from rich.text import Text

    answer = each.answer
    console.print(Padding(Text(f"? {each.question}", style="dim"), (0, 0, 0, 8), expand=False))
    console.print(Padding(Text(answer.text, style="bold"), (0, 0, 0, 10), expand=False))
    if answer.pages and answer.box:
        box = answer.box
        place = (
            f"page {answer.pages[0] + 1}, pixels {box.left_px},{box.top_px} to "
            f"{box.right_px},{box.bottom_px}"
        )
        if each.spans:
            place += f", characters {each.spans[0][0]:,} to {each.spans[-1][1]:,} of the text"
        console.print(Padding(Text(place, style="dim"), (0, 0, 0, 10), expand=False))


def _values(rendered: "Rendered", seconds: float) -> dict[str, Any]:
    run = rendered.run
    return {
        "characters": len(run.document.text),
        "pages": len(run.pages),
        "folder": str(run.folder),
        "preset": run.preset,
        "render_seconds": seconds,
        "costs": [cost_values(cost) for cost in run.costs],
    }


def _read_values(rendered: "Rendered", read: "ReadBack", seconds: float) -> dict[str, Any]:
    return {
        "pages": [page.index + 1 for page in rendered.chapter],
        "characters": read.num_chars,
        "errors": read.num_errors,
        "cer": read.num_errors / read.num_chars,
        "letters": read.num_letters,
        "letter_errors": read.num_letter_errors,
        "seconds": seconds,
        "answers": [
            {
                "question": each.question,
                "answer": each.answer.text,
                "quote": each.answer.quote,
                "page": each.answer.pages[0] + 1 if each.answer.pages else None,
                "box": asdict(each.answer.box) if each.answer.box else None,
                "spans": [list(span) for span in each.spans],
            }
            for each in read.answers
        ],
    }
