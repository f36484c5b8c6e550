"""Asking: the same question to pages, to the text, and to as much text as the pages cost.

Lanes run one after the other, so that their times can be compared.
"""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from html import escape

from glyph.asking import ask
from glyph.checking import Doubt, doubts_about
from glyph.documents import Document
from glyph.errors import GlyphError
from glyph.readers import Answer, Reader
from glyph.readers.extract import NOT_FOUND
from glyph.serve.playground.desk import Place, View
from glyph.serve.playground.lectern import (
    Lectern,
    Listener,
    Who,
    answer_text,
    config_for,
    first_pages,
    truncated,
)  # fmt: skip
from glyph.tokens import Cost

LANES = ("pages", "text", "truncated text")
MAX_ANSWER_CHARS = 20_000


@dataclass(slots=True)
class Lane:
    """One way of asking and what came of it.

    Attributes:
        what: One of `LANES`.
        state: What it does now; "" when it is over.
        text: The answer so far.
        first_s: Seconds to the first piece of the answer.
        total_s: Seconds in all.
        tokens: Tokens in and out, where known.
        note: What was shown.
        places: Where the answer stands.
        doubts: What of the answer the text does not hold.
        is_unsure: Whether the reader itself doubts its answer.
        error: Why there is no answer.
    """

    what: str
    state: str = "waits"
    text: str = ""
    first_s: float | None = None
    total_s: float | None = None
    tokens: tuple[int | None, int | None] = (None, None)
    note: str = ""
    places: list[Place] = field(default_factory=lambda: list[Place]())
    doubts: tuple[Doubt, ...] = ()
    is_unsure: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """A question, about which view, to whom.

    Attributes:
        view: What is shown.
        cost: Tokens of the view for the model that prices it.
        question: As typed.
        who: Who is asked.
        num_pages: Most pages that are shown.
    """

    view: View
    cost: Cost
    question: str
    who: Who
    num_pages: int

    def run(self, lectern: Lectern, lanes: Sequence[Lane]) -> Iterator[Sequence[Lane]]:
        """Ask lane after lane; yields whenever there is something new to show."""
        for lane in lanes:
            news: queue.SimpleQueue[bool] = queue.SimpleQueue()
            thread = threading.Thread(
                target=self._ask, args=(lectern, lane, lambda box=news: box.put(True)), daemon=True
            )
            lane.state = "asks"
            thread.start()
            yield lanes
            while thread.is_alive() or not news.empty():
                try:
                    news.get(timeout=0.2)
                except queue.Empty:
                    continue
                while not news.empty():
                    news.get()
                yield lanes
            thread.join()
            yield lanes

    def _ask(self, lectern: Lectern, lane: Lane, tell: Callable[[], None]) -> None:
        began = time.perf_counter()

        def on_text(piece: str) -> None:
            if lane.first_s is None:
                lane.first_s = time.perf_counter() - began
            lane.text = (lane.text + piece)[:MAX_ANSWER_CHARS]
            tell()

        def on_page(done: int, total: int) -> None:
            lane.state = f"has read {done} of {total} pages"
            tell()

        try:
            document = first_pages(self.view, self.num_pages)
            with lectern.opened(self.who, Listener(on_text, on_page)) as reader:
                began = time.perf_counter()
                answer = self._answer(reader, document, lane)
                lane.total_s = time.perf_counter() - began
            lane.text = answer.text
            lane.is_unsure = answer.is_unsure and answer.text != NOT_FOUND
            lane.first_s = lane.first_s if lane.first_s is not None else lane.total_s
            lane.tokens = (answer.usage.input_tokens, answer.usage.output_tokens)
            if lane.what != "pages":
                lane.doubts = doubts_about(answer.text, document.text, self.question)
                lane.places = self._places(document, answer)
        except GlyphError as error:
            lane.error = str(error)
        lane.state = ""
        tell()

    def _answer(self, reader: Reader, document: Document, lane: Lane) -> Answer:
        of = f"of {len(self.view.layouts):,} pages" if document is not self.view.document else ""
        if lane.what == "pages":
            config, note = config_for(reader, self.view)
            asked = ask(document, self.question, reader=reader, preset=config)
            lane.note = "; ".join(filter(None, (f"{asked.num_pages} pages {of}".strip(), note)))
            lane.doubts = asked.doubts
            for start, end in asked.spans:
                lane.places += self.view.places_of(start, end)
            return asked.answer
        text = document.text
        if lane.what == "truncated text":
            share = len(text) / len(self.view.document.text)
            limit = max(int(self.cost.visual_tokens * share), 1)
            text = truncated(text, limit, self.cost.tokenizer)
            lane.note = f"the first {limit:,} tokens, what the pages cost"
        else:
            lane.note = f"{len(text):,} characters {of}".strip()
        return answer_text(reader, text, self.question, self.cost.tokenizer)

    def _places(self, document: Document, answer: Answer) -> list[Place]:
        words = answer.quote or answer.text
        start = document.text.find(words) if words else -1
        return self.view.places_of(start, start + len(words)) if start >= 0 else []


# -- as HTML ---------------------------------------------------------------------------------


def cards(lanes: Sequence[Lane], view: View) -> str:
    """Return the lanes side by side, as HTML."""
    return f'<div class="gl-cards">{"".join(_card(lane, view) for lane in lanes)}</div>'


def _card(lane: Lane, view: View) -> str:
    head = f"<h3>{lane.what.capitalize()}</h3>"
    body = f'<p class="gl-answer" dir="auto">{escape(lane.text) or "&hellip;"}</p>'
    if lane.error:
        body += f'<p class="gl-bad">{escape(lane.error)}</p>'
    elif lane.state:
        body += f'<p class="gl-soft" role="status">{escape(lane.state)}</p>'
    else:
        unsure = '<p class="gl-bad">Unsure: the nearest that was found.</p>'
        body += unsure if lane.is_unsure else ""
        body += _numbers(lane) + place_link(lane.places) + _doubts(lane, view)
    note = f'<p class="gl-soft">{escape(lane.note)}</p>' if lane.note else ""
    return f'<article class="gl-card" data-lane="{lane.what}">{head}{body}{note}</article>'


def _numbers(lane: Lane) -> str:
    taken, given = lane.tokens
    rows = (
        ("first token", _seconds(lane.first_s)), ("total", _seconds(lane.total_s)),
        ("tokens in", f"{taken:,}" if taken is not None else "not told"),
        ("tokens out", f"{given:,}" if given is not None else "not told"),
    )  # fmt: skip
    return "<dl>" + "".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in rows) + "</dl>"


def _seconds(seconds: float | None) -> str:
    return f"{seconds:.2f} s" if seconds is not None else "none"


def place_link(places: Sequence[Place], words: str = "") -> str:
    """Return a button that leads to places in the viewer, "" without any."""
    if not places:
        return ""
    held = escape(json.dumps([asdict(place) for place in places]))
    shown = escape(words) or f"Show on page {places[0].page + 1}"
    return f'<button type="button" class="gl-place" data-places="{held}">{shown}</button>'


def _doubts(lane: Lane, view: View) -> str:
    if lane.is_unsure and not lane.doubts:
        return ""
    if not lane.doubts:
        return '<p class="gl-good">No exact string of the answer is absent from the text.</p>'
    items = ""
    for doubt in lane.doubts:
        near = place_link(view.places_of(*doubt.span), doubt.nearest) if doubt.nearest else ""
        what = f"the text has {near}" if near else "nothing in the text is like it"
        items += f"<li><strong>{escape(doubt.text)}</strong> is not in the text; {what}</li>"
    return f'<div class="gl-bad">Doubts<ul>{items}</ul></div>'
