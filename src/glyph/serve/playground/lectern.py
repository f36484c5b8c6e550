"""Lectern: who can be asked from the playground, and what each is shown of a view.

Readers of this machine see pixels only; what they make of exact text is worked out by the very
finder that works on what they read, so that a difference between the two is misreading and nothing
else. Models behind the gateway are asked over the protocol of OpenAI.
"""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from glyph.asking import own_preset
from glyph.config import RenderConfig
from glyph.documents import Document, SourceMap
from glyph.errors import ConfigError
from glyph.presets import load_preset
from glyph.readers import NANO_PRESETS, Answer, Reader, Usage, open_reader
from glyph.readers.extract import extract_answer
from glyph.readers.protocol import ReadLine, TextReader, Transcript
from glyph.serve.playground.desk import View
from glyph.serve.upstream import HttpUpstream, Router
from glyph.text_tokens import count_text_tokens

LOCAL = ("nano", "ocr")
UPSTREAM = "upstream"
NO_KEY = "none"
_CHAT = "/chat/completions"


@dataclass(frozen=True, slots=True)
class Who:
    """Who is asked.

    Attributes:
        reader: `nano`, `ocr` or `upstream`.
        model: Name of the model, for an upstream.
        key: Key for the upstream; used for this question and kept nowhere.
    """

    reader: str
    model: str = ""
    key: str = ""


@dataclass(slots=True)
class Listener:
    """Hears how far a reader is.

    Attributes:
        on_text: Called with each piece of the answer.
        on_page: Called with pages read, and pages in all.
    """

    on_text: Callable[[str], None]
    on_page: Callable[[int, int], None]


class Lectern:
    """Opens readers once, and lets one question at a time to those that use every core."""

    def __init__(self, router: Router):
        self._router = router
        self._readers: dict[str, Reader] = {}
        self._turn = threading.RLock()
        self._listener: Listener | None = None

    @property
    def names(self) -> list[str]:
        """Who may be asked."""
        has_upstream = any(isinstance(r.upstream, HttpUpstream) for r in self._router.routes)
        return [*LOCAL, UPSTREAM] if has_upstream else [*LOCAL]

    @contextmanager
    def opened(self, who: Who, listener: Listener) -> Generator[Reader]:
        """Give a reader that reports to a listener.

        Raises:
            ConfigError: No model is named, or none has this name.
            ReaderError: A package is missing.
        """
        if who.reader == UPSTREAM:
            yield self._remote(who, listener)
            return
        if who.reader not in LOCAL:
            raise ConfigError(f"'{who.reader}' cannot be asked here; {', '.join(self.names)} can.")
        with self._turn:
            if who.reader not in self._readers:
                self._readers[who.reader] = open_reader(who.reader, on_page=self._on_page)
            self._listener = listener
            try:
                yield self._readers[who.reader]
            finally:
                self._listener = None

    def _on_page(self, done: int, total: int) -> None:
        if self._listener is not None:
            self._listener.on_page(done, total)

    def _remote(self, who: Who, listener: Listener) -> Reader:
        if not who.model.strip():
            raise ConfigError("name the model as its upstream knows it, such as glm-4.5v.")
        upstream = self._router.pick(who.model.strip())
        if not isinstance(upstream, HttpUpstream):
            raise ConfigError("this model is served by a reader of this machine; ask that one.")
        url = upstream.url_of(f"/v1{_CHAT}").removesuffix(_CHAT)
        return open_reader(
            f"openai:{who.model.strip()}", base_url=url, api_key=who.key.strip() or NO_KEY,
            on_text=listener.on_text,
        )  # fmt: skip


# -- what is shown ---------------------------------------------------------------------------


def first_pages(view: View, count: int) -> Document:
    """Return the document of the first pages of a view; offsets stay."""
    document = view.document
    if count >= len(view.layouts):
        return document
    text = document.text[: view.layouts[count - 1].end]
    identity = SourceMap.identity(len(text))
    return replace(document, text=text, source=identity, sections=())


def config_for(reader: Reader, view: View) -> tuple[RenderConfig, str]:
    """Return how pages look for a reader, and a note when that is not what is shown."""
    own = own_preset(reader)
    if own is None or any(view.config == load_preset(name) for name in NANO_PRESETS):
        return view.config, ""
    return load_preset(own), f"drawn in preset {own}, which this reader was trained on"


def answer_text(reader: Reader, text: str, question: str, tokenizer: str) -> Answer:
    """Return what a reader makes of exact text."""
    if isinstance(reader, TextReader):
        return reader.answer_text(text, question)
    began = time.perf_counter()
    lines = [ReadLine(line, None, 1.0) for line in text.split("\n") if line.strip()]
    found = extract_answer(question, [Transcript(tuple(lines))])
    usage = Usage(count_text_tokens(text, tokenizer), None, None)
    seconds = time.perf_counter() - began
    return Answer(
        found.answer, f"{reader.name}'s finder", (), None, found.quote, found.confidence, usage,
        seconds,
    )  # fmt: skip


def truncated(text: str, limit: int, tokenizer: str) -> str:
    """Return the longest beginning of a text, to a dozen characters, of at most `limit` tokens.

    Example:
        >>> truncated("one two three four", 9, "cl100k_base")
        'one two three four'
        >>> len(truncated("one two three four " * 50, 20, "cl100k_base")) < 100
        True
    """
    low, high = 0, len(text)
    if count_text_tokens(text[: 12 * limit], tokenizer) <= limit:
        return text[: 12 * limit]
    high = min(high, 12 * limit)
    while high - low > 12:
        middle = (low + high) // 2
        if count_text_tokens(text[:middle], tokenizer) <= limit:
            low = middle
        else:
            high = middle
    return text[:low]
