"""The verb `demo`: it tells what `glyph.demo` does, step by step."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyph.cli.console import make_console, print_json, progress_bar, tell
from glyph.cli.costs import cost_table, cost_values, print_flow_tip
from glyph.cli.options import JsonOption
from glyph.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from glyph.demo import Answered, ReadErrors, Rendered
    from glyph.documents import Document
    from glyph.pages import Page

READER, PRESET = "nano", "nano-dense"


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the demo.")
    ] = Path("demo"),
    as_json: JsonOption = False,
) -> None:
    """Render half a megabyte of real text, price it, read it back and ask it questions.

    The text is the Python language reference that every Python carries. Nothing is downloaded and
    nothing is sent anywhere. It leaves the pages and report.html in the folder.
    """
    from glyph.api import DEFAULT_MODELS, DEFAULT_PRESET
    from glyph.demo import reference, write_report

    document = reference()
    console = None if as_json else make_console()
    if console is not None:
        _step(console, "Glyph", "the Python language reference as pictures of its pages\n")
    rendered, seconds = _render(console, document, out / "pages", DEFAULT_PRESET, DEFAULT_MODELS)
    if console is not None:
        _print_rendered(console, rendered, seconds)
    read = _read(console, document, out / "reading")
    report = write_report(rendered, read.answers if read else (), out)
    if console is None:
        values = None if read is None else _read_values(read)
        print_json(_values(rendered, seconds) | {"read": values, "report": str(report)})
        return
    _step(console, "Look", f"{report}, in a browser")


@dataclass(frozen=True, eq=False)
class _Read:
    """What came of reading: the pages, how well they were read, the answers, and how long."""

    rendered: "Rendered"
    errors: "ReadErrors"
    answers: "tuple[Answered, ...]"
    read_seconds: float
    ask_seconds: float


def _render(
    console: "Console | None", document: "Document", folder: Path, preset: str,
    models: "Sequence[str]",
) -> "tuple[Rendered, float]":  # fmt: skip
    from glyph.demo import render_reference

    begin = last = time.perf_counter()
    with progress_bar(len(document.text), "rendering", quiet=console is None) as show:

        def on_page(page: "Page") -> None:
            nonlocal last
            last = time.perf_counter()
            show(page.end)

        rendered = render_reference(document, folder, preset, models, on_page)
    return rendered, last - begin


def _step(console: "Console", name: str, text: str) -> None:
    from rich.text import Text

    console.print(Text.assemble((f"{name:<8}", "bold cyan"), text))


def _read(console: "Console | None", document: "Document", folder: Path) -> "_Read | None":
    """Read the document back, or say what is missing for that."""
    from glyph.api import DEFAULT_MODEL
    from glyph.demo import QUESTIONS, ask_pages, compare, page_files, read_back
    from glyph.readers import open_reader

    try:
        reader = open_reader(READER)
    except ReaderError as error:
        tell(f"not read back: {error}")
        return None
    rendered, _ = _render(console, document, folder, PRESET, (DEFAULT_MODEL,))
    pages = page_files(rendered)
    cost = rendered.run.costs[0]
    if console is not None:
        _step(
            console,
            "Read",
            f"the same text in preset {PRESET}: {len(pages)} pages, {cost.visual_tokens:,} visual "
            f"tokens in place of {cost.text_tokens:,} text tokens, {cost.ratio:.2f}x;",
        )
        _step(console, "", f"reading them from their pixels with reader {reader.name}")
    begin = time.perf_counter()
    with progress_bar(len(pages), "reading", quiet=console is None) as show:
        transcripts = read_back(pages, reader, show)
    asked = time.perf_counter()
    answers = tuple(ask_pages(question, pages, reader) for question in QUESTIONS)
    ask_seconds = time.perf_counter() - asked
    errors = compare(document, pages, transcripts)
    read = _Read(rendered, errors, answers, asked - begin, ask_seconds)
    if console is not None:
        _print_read(console, read)
    return read


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


def _print_read(console: "Console", read: _Read) -> None:
    errors = read.errors
    of_all = f"{errors.num_errors / errors.num_chars:.3%}"
    of_letters = f"{errors.num_letter_errors / errors.num_letters:.3%}"
    _step(
        console,
        "",
        f"{errors.num_chars:,} characters in {read.read_seconds:.0f} s; compared with the text "
        "afterwards,",
    )
    _step(console, "", f"{of_letters} of letters and digits and {of_all} of all are wrong\n")
    _step(
        console, "Ask", f"answered from what was read, not from the text: {read.ask_seconds:.1f} s"
    )
    for each in read.answers:
        _print_answer(console, each)
    console.print()


def _print_answer(console: "Console", each: "Answered") -> None:
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


def _read_values(read: _Read) -> dict[str, Any]:
    errors, cost = read.errors, read.rendered.run.costs[0]
    return {
        "preset": read.rendered.run.preset,
        "pages": len(read.rendered.pages),
        "visual_tokens": cost.visual_tokens,
        "ratio": cost.ratio,
        "characters": errors.num_chars,
        "errors": errors.num_errors,
        "cer": errors.num_errors / errors.num_chars,
        "letters": errors.num_letters,
        "letter_errors": errors.num_letter_errors,
        "seconds": read.read_seconds,
        "ask_seconds": read.ask_seconds,
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
