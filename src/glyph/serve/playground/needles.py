"""Needles: a self-test. Keys with values are put into the text, and asked for on its pages.

A model that finds none of them cannot read these pages, whatever it says about their content.
"""

import queue
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape

from glyph.asking import ask
from glyph.documents import Document, SourceMap, document_from_text
from glyph.errors import GlyphError
from glyph.serve.playground.desk import View
from glyph.serve.playground.lectern import Lectern, Listener, Who, config_for, first_pages

NOUNS = ("owl", "lamp", "river", "anvil", "maple", "comet", "harbor", "thistle", "violin", "walnut")
METALS = ("brass", "iron", "copper", "silver", "nickel", "bronze", "cobalt", "chrome")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
REACH_CHARS = 4_000


@dataclass(slots=True)
class Needle:
    """A key in the text and what a reader said of it.

    Attributes:
        key: Such as `brass-owl`.
        value: A number of seven digits.
        offset: Where its sentence begins.
        said: The answer; None until it is there.
        seconds: How long it took.
        error: Why there is no answer.
    """

    key: str
    value: str
    offset: int = 0
    said: str | None = None
    seconds: float = 0.0
    error: str = ""

    @property
    def sentence(self) -> str:
        """What is put into the text."""
        return f"The value of {self.key} is {self.value}."

    @property
    def is_hit(self) -> bool:
        """Whether the value was read digit by digit."""
        return self.value in re.findall(r"\d+", (self.said or "").replace(",", ""))


@dataclass(slots=True)
class SelfTest:
    """A text with needles in it.

    Attributes:
        document: The text with the needles.
        needles: In the order of the text.
        state: What goes on.
        note: How its pages look, when not as shown.
    """

    document: Document
    needles: list[Needle] = field(default_factory=lambda: list[Needle]())
    state: str = ""
    note: str = ""


def plant(document: Document, count: int, seed: int) -> SelfTest:
    """Put needles between the sentences of a text, evenly from its beginning to its end."""
    text, rng = document.text, random.Random(seed)
    pairs = [f"{metal}-{noun}" for metal in METALS for noun in NOUNS]
    keys = rng.sample([key for key in pairs if key not in text], count)
    needles = [Needle(key, f"{rng.randrange(10**6, 10**7)}") for key in keys]
    pieces: list[str] = []
    done = length = 0
    for i, needle in enumerate(needles):
        aim = max(int(len(text) * (i + 0.5) / count), done)
        at = _boundary(text, aim)
        before = text[done:at]
        glue = "\n" if document.kind == "code" or "\n" in text[max(at - 1, 0) : at] else " "
        start = "" if not before or before[-1:].isspace() else glue
        pieces += [before, start, needle.sentence, glue]
        needle.offset = length + len(before) + len(start)
        length = needle.offset + len(needle.sentence) + len(glue)
        done = at
    pieces.append(text[done:])
    whole = document_from_text("".join(pieces), kind=document.kind, unwrap=False, name="self-test")
    return SelfTest(whole, needles)


def _boundary(text: str, aim: int) -> int:
    """Return the first beginning of a sentence or line at or behind a place."""
    found = _SENTENCE_END.search(text, aim, aim + REACH_CHARS)
    return found.end() if found else len(text) if aim + REACH_CHARS > len(text) else aim


@dataclass(frozen=True, slots=True)
class Trial:
    """A self-test of a view by a reader.

    Attributes:
        view: Whose text and theta are tried.
        who: Who is asked.
        num_pages: Most pages of the text.
        count: Number of needles.
        seed: Chooses them.
    """

    view: View
    who: Who
    num_pages: int
    count: int
    seed: int

    def plant(self) -> SelfTest:
        """Return the text with needles."""
        source = first_pages(self.view, self.num_pages)
        source = Document(
            source.text, source.name, source.kind, source.language,
            SourceMap.identity(len(source.text)), source.encoding, (),
        )  # fmt: skip
        return plant(source, self.count, self.seed)

    def run(self, lectern: Lectern, test: SelfTest) -> Iterator[SelfTest]:
        """Ask for needle after needle; yields after each piece of news."""
        news: queue.SimpleQueue[bool] = queue.SimpleQueue()
        thread = threading.Thread(
            target=self._ask_all, args=(lectern, test, lambda: news.put(True)), daemon=True
        )
        thread.start()
        while thread.is_alive() or not news.empty():
            try:
                news.get(timeout=0.2)
            except queue.Empty:
                continue
            yield test
        thread.join()
        yield test

    def _ask_all(self, lectern: Lectern, test: SelfTest, tell: Callable[[], None]) -> None:
        for needle in test.needles:

            def on_page(done: int, total: int, key: str = needle.key) -> None:
                test.state = f"{key}: {done} of {total} pages"
                tell()

            began = time.perf_counter()
            try:
                with lectern.opened(self.who, Listener(lambda _: None, on_page)) as reader:
                    config, test.note = config_for(reader, self.view)
                    question = f"What is the value of {needle.key}?"
                    asked = ask(
                        test.document, question, reader=reader, preset=config, sidecar_share=0
                    )
                    needle.said = asked.answer.text
            except GlyphError as error:
                needle.error = str(error)
            needle.seconds = time.perf_counter() - began
            tell()
            if needle.error:
                break
        test.state = ""
        tell()


def table(test: SelfTest) -> str:
    """Return hits and misses as HTML."""
    asked = [needle for needle in test.needles if needle.said is not None]
    hits = sum(needle.is_hit for needle in asked)
    head = f'<p role="status"><strong id="glyph-hits">{hits} of {len(asked)}</strong> found'
    head += f', {len(test.needles) - len(asked)} not asked yet. <span class="gl-soft">'
    head += f"{escape(test.state or test.note)}</span></p>"
    rows = "".join(_row(needle, len(test.document.text)) for needle in test.needles)
    return (
        f'{head}<div class="gl-scroll"><table class="gl-table"><thead><tr><th scope="col">Key</th>'
        '<th scope="col">Depth</th><th scope="col">Value</th><th scope="col">Said</th>'
        f'<th scope="col">Result</th><th scope="col">Seconds</th></tr></thead><tbody>{rows}'
        "</tbody></table></div>"
    )


def _row(needle: Needle, length: int) -> str:
    depth = f"{needle.offset / max(length, 1):.0%}"
    result, style = "&hellip;", "gl-soft"
    if needle.error:
        result, style = escape(needle.error), "gl-bad"
    elif needle.said is not None:
        result, style = ("hit", "gl-good") if needle.is_hit else ("miss", "gl-bad")
    said = escape((needle.said or "")[:120])
    seconds = f"{needle.seconds:.2f}" if needle.said is not None else ""
    return (
        f'<tr><th scope="row">{needle.key}</th><td>{depth}</td><td>{needle.value}</td>'
        f'<td dir="auto">{said}</td><td class="{style}">{result}</td><td>{seconds}</td></tr>'
    )
