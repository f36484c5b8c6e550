"""A report of a run as one HTML file: pages beside their text, prices, and how it was made.

The file holds everything it shows and asks the network for nothing; its content security policy
forbids both that and any script but its own. Pointing at a line of a page marks it in the text,
and the other way round, by the same line boxes that lead answers back to their source.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources

import numpy as np

from glyph.config import RenderConfig, field_specs
from glyph.encode import encode_png
from glyph.output import Saved, size_text
from glyph.pages import SUBPIXELS, Box, Lines, Page
from glyph.tokens import Cost, is_proxy

MAX_PAGES = 50
MAX_IMAGE_BYTES = 32_000_000
MAX_MISSING = 100
BAR_WIDTH_PX = 120
COST_NOTE = (
    "Above 1, pages are cheaper than text. &asymp; marks the nearest bundled tokenizer where the "
    "model has another. Resampled pages reach the model blurred; a preset of its own patch grid "
    "avoids that."
)

SLOT = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """A question and what a reader answered.

    Attributes:
        question: As asked.
        answer: As answered.
        reader: Who answered.
        number: Page the answer stands on, from 1; None when the reader does not point.
        boxes: Where it stands on that page.
    """

    question: str
    answer: str
    reader: str
    number: int | None = None
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """What a report keeps of a page."""

    number: int
    width_px: int
    height_px: int
    lines: Lines
    png: bytes


class ReportPages:
    """The pages a report shows, collected while a run streams by; the rest is only counted.

    Args:
        limit: How many pages are kept at most.
    """

    def __init__(self, limit: int = MAX_PAGES):
        self.sheets: list[_Sheet] = []
        self._room = limit
        self._num_bytes = 0

    def add(self, page: Page) -> None:
        """Keep a page while there is room."""
        if len(self.sheets) >= self._room:
            return
        png = encode_png(page, bits=4)
        if self._num_bytes + len(png) > MAX_IMAGE_BYTES:
            self._room = len(self.sheets)
            return
        self._num_bytes += len(png)
        lines = page.layout.lines
        self.sheets.append(_Sheet(page.index + 1, page.width_px, page.height_px, lines, png))


def report_of(run: Saved, pages: ReportPages, answers: Sequence[ReportAnswer] = ()) -> str:
    """Return the report of a run as HTML.

    Args:
        run: What was rendered, and its prices for any number of models.
        pages: The pages to show.
        answers: What readers answered from the pages.
    """
    document, cost, shown = run.document, run.costs[0], pages.sheets
    slots = {
        "title": escape(_plain(document.name)),
        "numbers": _numbers(run),
        "costs": "".join(_cost_row(each, run.costs) for each in run.costs),
        "cost_note": COST_NOTE,
        "answers": _answers(answers, {sheet.number for sheet in shown}),
        "pages": "".join(_page(run, sheet) for sheet in shown),
        "pages_note": _pages_note(run, pages),
        "config": _fields(run.config),
        "config_summary": escape(
            f"Preset {run.preset}: {run.config.font_family} {run.config.font_size_pt:g} pt on "
            f"{run.config.page_size_px[0]}x{run.config.page_size_px[1]} px pages"
        ),
        "notes": _notes(run),
        "places": _script_json([_places(sheet, answers) for sheet in shown]),
        "footer": f"Config {run.config.digest}. Tokens of {escape(cost.model)}.",
    }
    template = _template()
    slots["policy"] = _policy(template)
    return SLOT.sub(lambda match: slots[match[1]], template)


@cache
def _template() -> str:
    return (resources.files("glyph") / "report.html").read_text("utf-8")


def _policy(template: str) -> str:
    """Return the content security policy: this style and this script, and nothing else."""
    sources = [
        f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for kind, text in (
            ("style", template.split("<style>")[1].split("</style>")[0]),
            ("script", template.split("<script>")[1].split("</script>")[0]),
        )
    ]
    return "; ".join(["default-src 'none'", "img-src data:", *sources, "base-uri 'none'"])


def _plain(text: str) -> str:
    """Return a text that UTF-8 can hold; names of files may be no Unicode."""
    return text.encode("utf-8", "replace").decode()


def _script_json(value: object) -> str:
    """Return JSON that cannot end the script element it stands in."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


# -- numbers and prices ----------------------------------------------------------------------


def _numbers(run: Saved) -> str:
    cost = run.costs[0]
    rows = (
        ("Characters", f"{len(run.document.text):,}", run.document.kind),
        ("Pages", f"{cost.pages:,}", f"{size_text(run.num_bytes)} of {run.format.upper()}"),
        ("Tokens as text", f"{cost.text_tokens:,}", cost.tokenizer),
        ("Tokens as pages", f"{cost.visual_tokens:,}", cost.model),
        ("Text tokens per visual token", f"{cost.ratio:.2f}", _verdict(cost)),
    )
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{value}<small>{escape(note)}</small></dd></div>"
        for name, value, note in rows
    )


def _verdict(cost: Cost) -> str:
    saved = 1 - cost.visual_tokens / max(cost.text_tokens, 1)
    return f"{saved:.0%} fewer tokens" if saved >= 0 else f"{-saved:.0%} more tokens"


def _cost_row(cost: Cost, costs: Sequence[Cost]) -> str:
    width_px = BAR_WIDTH_PX * cost.ratio / max(each.ratio for each in costs)
    bar = (
        f'<svg class="bar" width="{BAR_WIDTH_PX}" height="6" aria-hidden="true">'
        f'<rect class="rail" width="{BAR_WIDTH_PX}" height="6" rx="3"/>'
        f'<rect width="{width_px:.1f}" height="6" rx="3"/></svg>'
    )
    pixels = '<td class="bad">resampled</td>' if cost.resampled else '<td class="good">kept</td>'
    return (
        f'<tr><th scope="row">{escape(cost.model)}</th>'
        f'<td class="number">{cost.text_tokens:,}</td>'
        f"<td>{'&asymp; ' if is_proxy(cost) else ''}{escape(cost.tokenizer)}</td>"
        f'<td class="number">{cost.pages:,}</td><td class="number">{cost.visual_tokens:,}</td>'
        f"<td>{cost.ratio:.2f}{bar}</td>{pixels}</tr>"
    )


# -- answers ---------------------------------------------------------------------------------


def _answers(answers: Sequence[ReportAnswer], shown: set[int]) -> str:
    if not answers:
        return ""
    cards = "".join(_answer(answer, shown) for answer in answers)
    return (
        '<section aria-labelledby="answers-head"><h2 id="answers-head">What was read</h2>'
        f'<div class="answers">{cards}</div></section>'
    )


def _answer(answer: ReportAnswer, shown: set[int]) -> str:
    where = ""
    if answer.number is not None:
        where = f", page {answer.number}"
        if answer.number in shown:
            where = f', <a href="#page-{answer.number}">page {answer.number}</a>'
    return (
        f'<div class="card"><p class="question" dir="auto">{escape(_plain(answer.question))}</p>'
        f'<p class="answer" dir="auto">{escape(_plain(answer.answer))}</p>'
        f'<p class="soft">{escape(answer.reader)}{where}</p></div>'
    )


# -- pages -----------------------------------------------------------------------------------


def _boxes(lines: Lines) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """Return left, top, right, bottom of every line in whole pixels."""
    right64_L = np.maximum(lines.right64_L, lines.left64_L)
    sides = (
        lines.left64_L // SUBPIXELS, lines.top_L, -(-right64_L // SUBPIXELS), lines.bottom_L
    )  # fmt: skip
    return np.stack(sides, axis=1).astype(np.int64)


def _places(sheet: _Sheet, answers: Sequence[ReportAnswer]) -> dict[str, list[int]]:
    here = [box for answer in answers if answer.number == sheet.number for box in answer.boxes]
    return {
        "lines": _boxes(sheet.lines).ravel().tolist(),
        "answers": [
            side for box in here for side in (box.left_px, box.top_px, box.right_px, box.bottom_px)
        ],
    }


def _page(run: Saved, sheet: _Sheet) -> str:
    text, lines, number = run.document.text, sheet.lines, sheet.number
    spans = "".join(
        f"<span>{escape(text[start:end], quote=False)}</span>"
        for start, end in zip(lines.start_L.tolist(), lines.end_L.tolist(), strict=True)
    )
    record = run.pages[number - 1]
    style = "lines code" if run.document.kind == "code" else "lines"
    image = base64.b64encode(sheet.png).decode()
    return (
        f'<article class="page" id="page-{number}" data-number="{number}">'
        f"<h3>Page {number} <small>characters {record.start:,} to {record.end:,}, "
        f"{sheet.width_px}x{sheet.height_px} px</small></h3>"
        f'<figure><button class="sheet" aria-label="Enlarge page {number}">'
        f'<img width="{sheet.width_px}" height="{sheet.height_px}" decoding="async"'
        f' alt="Page {number}" src="data:image/png;base64,{image}"></button></figure>'
        f'<div class="pane"><div class="{style}" tabindex="0" dir="auto" aria-label="Text of page '
        f'{number}; arrow keys go from line to line">{spans}</div></div></article>'
    )


def _pages_note(run: Saved, pages: ReportPages) -> str:
    num_shown, num_pages = len(pages.sheets), len(run.pages)
    how = "Point at a line, on the page or in the text, to see the other. Click a page to enlarge."
    if num_shown == num_pages:
        return how
    numbers = [sheet.number for sheet in pages.sheets]
    which = f"pages {numbers[0]} to {numbers[-1]}" if numbers else "none"
    return f"{num_shown} of {num_pages:,} pages are in this report ({which}). {how}"


# -- config and notes ------------------------------------------------------------------------


def _fields(config: RenderConfig) -> str:
    default = RenderConfig()
    rows: list[str] = []
    for name, spec in field_specs().items():
        value = getattr(config, name)
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        if isinstance(value, bool):
            shown = "yes" if value else "no"
        unit = f" {spec.unit}" if spec.unit in ("pt", "px", "dpi") else ""
        changed = ' class="changed"' if value != getattr(default, name) else ""
        rows.append(
            f'<div{changed} title="{escape(spec.about)}"><dt>{name}</dt>'
            f"<dd>{escape(shown) or 'none'}{unit}</dd></div>"
        )
    return "".join(rows)


def _notes(run: Saved) -> str:
    notes = [*run.document.notes, *dict.fromkeys(w for cost in run.costs for w in cost.warnings)]
    if run.missing:
        most = run.missing.most_common(MAX_MISSING)
        listed = ", ".join(f"U+{ord(char):04X} ({count:,})" for char, count in most)
        more = len(run.missing) - len(most)
        rest = f" and {more} more" if more else ""
        notes.append(f"No font has these characters, so they are drawn as boxes: {listed}{rest}.")
    if not notes:
        return ""
    items = "".join(f"<li>{escape(_plain(note))}</li>" for note in notes)
    return (
        '<section aria-labelledby="notes-head"><h2 id="notes-head">Notes</h2>'
        f'<ul class="card">{items}</ul></section>'
    )
