"""The `openai:MODEL` reader: any model behind an OpenAI-compatible chat endpoint.

Pages go first as PNG data URLs, the question after them. The answer is streamed, so that a slow
model is told from a dead one and a cut answer from a short one. Whatever goes wrong becomes one
sentence; the key never appears in it.

`detail` is always sent as `high`: OpenAI needs it for its older models, some services treat its
absence as low, and vLLM, SGLang and Ollama ignore it. No temperature is sent, since reasoning
models refuse one.
"""

import base64
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from glyph.errors import BudgetError, ConfigError, ReaderError, UnknownModelError, UpstreamError
from glyph.pages import Page
from glyph.prompt import TRANSCRIBE, EncodedPage, final_answer, page_groups, reading_prompt
from glyph.readers.protocol import Answer, ReadLine, Request, Transcript, Usage
from glyph.tokens import resolve_model

MAX_RETRIES = 2
FIRST_WAIT_S = 0.5
MAX_WAIT_S = 30.0
"""Longest wait before a retry; a server that asks for more gets no retry."""

TRANSCRIPT_TOKENS = 8_192
PLACEHOLDER_KEY = "none"
MAX_QUOTED_CHARS = 300
OPENAI_HOSTS = ("api.openai.com", ".openai.azure.com")


@dataclass(slots=True)
class _Reply:
    """What has arrived of an answer."""

    text: str = ""
    finish_reason: str | None = None
    usage: Usage = field(default_factory=lambda: Usage(None, None, None))
    has_begun: bool = False


class OpenAIReader:
    """Asks a model behind an OpenAI-compatible endpoint.

    Attributes:
        name: `openai:` and the model.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 120.0,
        on_text: Callable[[str], None] | None = None,
        client: Any = None,
    ):
        """Prepare the client; nothing is sent.

        Args:
            model: Name of the model as the endpoint knows it.
            base_url: Such as `http://localhost:8000/v1`; None takes OPENAI_BASE_URL or OpenAI.
            api_key: None takes OPENAI_API_KEY; endpoints of one's own need none.
            timeout_s: Longest silence of the endpoint, in seconds.
            on_text: Called with each piece of the answer as it arrives.
            client: A ready `openai.OpenAI`, instead of `base_url` and `api_key`.

        Raises:
            ConfigError: No key for OpenAI's own endpoint, a URL that is none, a bad timeout.
            ReaderError: The openai package is not installed.
        """
        try:
            import openai
        except ImportError:
            raise ReaderError(
                "reader 'openai' needs openai; install it with: pip install openai"
            ) from None
        if timeout_s <= 0:
            raise ConfigError(f"timeout_s is {timeout_s:g}; seconds above 0 are accepted.")
        self.name = f"openai:{model}"
        self._model = model
        self._on_text = on_text
        self._timeout_s = timeout_s
        if client is None:
            url = base_url or os.environ.get("OPENAI_BASE_URL") or None
            key = _key_for(url, api_key)
            client = openai.OpenAI(api_key=key, base_url=url)
        self._client: Any = client.with_options(max_retries=0, timeout=timeout_s)
        self._key = str(self._client.api_key)
        self._host = urlsplit(str(self._client.base_url)).hostname or ""
        self._where = _shown_url(str(self._client.base_url))

    def answer(self, request: Request) -> Answer:
        """Ask the model a question about pages, in one request.

        Args:
            request: Question, pages and sidecar.

        Raises:
            BudgetError: More pages or bytes than the model is known to take in one request.
            UpstreamError: The endpoint refused or failed, and why.
        """
        began = time.perf_counter()
        encoded = self._encode(request.pages)
        numbers = [page.index for page in request.pages]
        num_pages = max(max(numbers, default=-1) + 1, len(numbers))
        lead, question = reading_prompt(request.question, num_pages, request.sidecar, numbers)
        reply = self._ask(lead, encoded, question, request.max_answer_tokens)
        return Answer(
            text=final_answer(reply.text),
            reader=self.name,
            pages=tuple(numbers),
            box=None,
            quote="",
            confidence=None,
            usage=reply.usage,
            seconds=time.perf_counter() - began,
        )

    def transcribe(self, page: Page) -> Transcript:
        """Let the model write down a page word for word; its lines have no places.

        Raises:
            UpstreamError: The endpoint refused or failed, and why.
        """
        reply = self._ask("", self._encode((page,)), TRANSCRIBE, TRANSCRIPT_TOKENS)
        lines = final_answer(reply.text).splitlines()
        return Transcript(tuple(ReadLine(line, None, 1.0) for line in lines if line.strip()))

    def _encode(self, pages: Sequence[Page]) -> tuple[EncodedPage, ...]:
        try:
            model = resolve_model(self._model)
        except UnknownModelError:
            # Asking needs no token rule; the endpoint itself will say what is too much.
            return next(page_groups(pages), ())
        groups = list(
            page_groups(pages, model.max_images, model.max_request_bytes, model.max_image_bytes)
        )
        if len(groups) > 1:
            num_bytes = sum(len(encoded.png) for group in groups for encoded in group)
            limits = [
                f"{model.max_images:,} images" if model.max_images else "",
                f"{model.max_request_bytes:,} bytes" if model.max_request_bytes else "",
            ]
            raise BudgetError(
                f"{len(pages)} pages with {num_bytes:,} bytes do not fit one request to "
                f"{self._model}, which takes {' and '.join(filter(None, limits))}. Ask about at "
                f"most {len(groups[0])} pages at once, or use denser pages."
            )
        return groups[0] if groups else ()

    # -- one request -------------------------------------------------------------------------

    def _ask(
        self, lead: str, pages: Sequence[EncodedPage], question: str, max_tokens: int
    ) -> _Reply:
        content: list[dict[str, Any]] = [{"type": "text", "text": lead}] if lead else []
        content += [_image_part(encoded.png) for encoded in pages]
        content.append({"type": "text", "text": question})
        is_openai = any(self._host.endswith(host) for host in OPENAI_HOSTS)
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "user", "content": content}],
            # OpenAI's newer models refuse max_tokens; other servers may not know its successor.
            "max_completion_tokens" if is_openai else "max_tokens": max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        num_bytes = sum(len(encoded.png) for encoded in pages)
        reply = self._send(body, f"{len(pages)} pages, {num_bytes / 1e6:.1f} MB of images")
        self._check_end(reply, max_tokens)
        return reply

    def _send(self, body: dict[str, Any], what: str) -> _Reply:
        """Send a request; try again only while nothing has been done for it."""
        for attempt in range(MAX_RETRIES + 1):
            reply = _Reply()
            try:
                for chunk in self._client.chat.completions.create(**body):
                    self._take(reply, chunk)
                return reply
            except Exception as error:
                wait_s = _wait_before_retry(error, attempt)
                if reply.has_begun or wait_s is None or attempt == MAX_RETRIES:
                    raise self._explained(error, reply, what) from None
            time.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")
