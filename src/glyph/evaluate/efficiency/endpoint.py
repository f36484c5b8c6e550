"""The same comparison on a served model: time to the first token, and throughput.

The endpoint is asked about the same text, once as text and once as pages. What it does inside
(batching, caching of prefixes) is its own business, so every request is about another part of the
text.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from glyph.config import RenderConfig
from glyph.documents import document_from_text
from glyph.errors import UpstreamError
from glyph.evaluate.efficiency.sides import CONTEXT_TOKENIZER, sample_text
from glyph.readers import Request, open_reader
from glyph.readers.protocol import TextReader
from glyph.render import render_pages
from glyph.text_tokens import count_text_tokens

QUESTION = "Which subject is the first paragraph about?"
OUTPUT_TOKENS = 64
NUM_REQUESTS = 8
"""Of each kind."""


@dataclass(frozen=True, slots=True)
class ServedRow:
    """The same text, both ways, at an endpoint.

    Attributes:
        text_tokens: Tokens of the context as text.
        num_pages: Its pages.
        render_s: Text to page pixels.
        first_token_text_s: Median time to the first token with text.
        first_token_pages_s: With pages, rendering and upload included.
        speedup: The first over the second.
        requests_text_per_s: Answers a second at the concurrency asked for.
        requests_pages_per_s: With pages.
        throughput_ratio: The second over the first.
    """

    text_tokens: int
    num_pages: int
    render_s: float
    first_token_text_s: float
    first_token_pages_s: float
    speedup: float
    requests_text_per_s: float
    requests_pages_per_s: float
    throughput_ratio: float


def measure_endpoint(
    model: str,
    base_url: str,
    num_tokens: int,
    config: RenderConfig,
    *,
    concurrency: int = 4,
    timeout_s: float = 600.0,
) -> ServedRow:
    """Return what a served model takes for a context as text and as pages.

    Args:
        model: Name of the model as the endpoint knows it.
        base_url: Where it is served.
        num_tokens: Text tokens of the context.
        config: How pages look.
        concurrency: Requests at the same time.
        timeout_s: Longest silence.

    Raises:
        UpstreamError: The endpoint refused or failed.
    """
    texts = [sample_text(num_tokens, seed) for seed in range(NUM_REQUESTS)]
    options = {"base_url": base_url, "timeout_s": timeout_s}
    as_text = _run(lambda text: _ask_text(model, text, options), texts, concurrency)
    as_pages = _run(lambda text: _ask_pages(model, text, config, options), texts, concurrency)
    began = time.perf_counter()
    pages = tuple(render_pages(document_from_text(texts[0], kind="prose", unwrap=False), config))
    render_s = time.perf_counter() - began
    first_text, first_pages = _median(as_text[0]), _median(as_pages[0])
    return ServedRow(
        text_tokens=count_text_tokens(texts[0], CONTEXT_TOKENIZER),
        num_pages=len(pages),
        render_s=render_s,
        first_token_text_s=first_text,
        first_token_pages_s=first_pages,
        speedup=first_text / first_pages,
        requests_text_per_s=as_text[1],
        requests_pages_per_s=as_pages[1],
        throughput_ratio=as_pages[1] / as_text[1],
    )


def _run(
    ask: Callable[[str], float], texts: Sequence[str], concurrency: int
) -> tuple[list[float], float]:
    """Return the times to the first token, and answers a second."""
    began = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        firsts = list(pool.map(ask, texts))
    return firsts, len(texts) / (time.perf_counter() - began)


class _FirstToken:
    """Notes when the first piece of an answer arrives."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._seconds: float | None = None

    def __call__(self, _: str) -> None:
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._began

    def taken_s(self, model: str) -> float:
        """Return the seconds until it came."""
        if self._seconds is None:
            raise UpstreamError(
                f"{model} answered without a word; there is no first token to time."
            )
        return self._seconds


def _ask_text(model: str, text: str, options: dict[str, Any]) -> float:
    first = _FirstToken()
    reader = open_reader(f"openai:{model}", on_text=first, **options)
    assert isinstance(reader, TextReader)
    reader.answer_text(text, QUESTION, OUTPUT_TOKENS)
    return first.taken_s(model)


def _ask_pages(model: str, text: str, config: RenderConfig, options: dict[str, Any]) -> float:
    first = _FirstToken()
    reader = open_reader(f"openai:{model}", on_text=first, **options)
    pages = tuple(render_pages(document_from_text(text, kind="prose", unwrap=False), config))
    reader.answer(Request(QUESTION, pages, OUTPUT_TOKENS))
    return first.taken_s(model)


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
