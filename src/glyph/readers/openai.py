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
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletionChunk

from glyph.errors import BudgetError, ConfigError, UnknownModelError, UpstreamError
from glyph.pages import Page
from glyph.prompt import (
    TRANSCRIBE,
    EncodedPage,
    final_answer,
    page_groups,
    reading_prompt,
    text_prompt,
)
from glyph.readers.protocol import Answer, ReadLine, Request, Transcript, Usage
from glyph.tokens import resolve_model

MAX_RETRIES = 2
FIRST_WAIT_S = 0.25
MAX_WAIT_S = 30.0
"""Longest wait before a retry; a server that asks for more gets no retry."""

TRANSCRIPT_TOKENS = 8_192
PLACEHOLDER_KEY = "none"
MAX_QUOTED_CHARS = 300
OPENAI_HOSTS = ("api.openai.com", ".openai.azure.com")


NO_USAGE = Usage(None, None, None)


@dataclass(slots=True)
class _Reply:
    """What has arrived of an answer."""

    text: str = ""
    finish_reason: str | None = None
    usage: Usage = NO_USAGE
    has_begun: bool = False


class OpenAIReader:
    """Asks a model behind an OpenAI-compatible endpoint.

    Attributes:
        name: `openai:` and the model.
        takes_sidecar: It is given exact strings as text beside the pages.
    """

    takes_sidecar = True

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 120.0,
        on_text: Callable[[str], None] | None = None,
        client: openai.OpenAI | None = None,
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
        """
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
        self._client = client.with_options(max_retries=0, timeout=timeout_s)
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
        is_whole = numbers == list(range(len(numbers)))
        num_pages = len(numbers) if is_whole else None
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

    def answer_text(self, context: str, question: str, max_answer_tokens: int = 512) -> Answer:
        """Ask the model the same way about a text, which is what pages are compared with.

        Raises:
            UpstreamError: The endpoint refused or failed, and why.
        """
        began = time.perf_counter()
        reply = self._ask(context, (), text_prompt(question), max_answer_tokens)
        return Answer(
            text=final_answer(reply.text),
            reader=self.name,
            pages=(),
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
        return Transcript(tuple(ReadLine(line, None, None) for line in lines if line.strip()))

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
        reply = self._send(body, _amount(pages))
        self._check_end(reply, max_tokens)
        return reply

    def _send(self, body: dict[str, Any], what: str) -> _Reply:
        """Send a request; try again only while nothing has been done for it."""
        attempt = 0
        while True:
            reply = _Reply()
            try:
                create: Any = self._client.chat.completions.create
                for chunk in cast("Iterator[ChatCompletionChunk]", create(**body)):
                    self._take(reply, chunk)
                return reply
            # The SDK lets the errors of its JSON decoder through.
            except (openai.OpenAIError, json.JSONDecodeError, UnicodeDecodeError) as error:
                wait_s = self._wait_s(error, attempt)
                if reply.has_begun or wait_s is None:
                    raise self._explained(error, reply, what, attempt + 1) from None
            time.sleep(wait_s)
            attempt += 1

    def _take(self, reply: _Reply, chunk: ChatCompletionChunk) -> None:
        reply.has_begun = True
        if chunk.usage is not None:
            reply.usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens, None)
        # The SDK checks nothing: a server may leave out what it has nothing to say about.
        for choice in chunk.choices or []:
            text = (choice.delta.content if choice.delta else None) or ""
            reply.text += text
            reply.finish_reason = choice.finish_reason or reply.finish_reason
            if text and self._on_text is not None:
                self._on_text(text)

    def _check_end(self, reply: _Reply, max_tokens: int) -> None:
        if not reply.has_begun:
            raise UpstreamError(
                f"{self._where} sent no chat completion; check that base_url is the address of "
                "an OpenAI-compatible API, which mostly ends in /v1."
            )
        if reply.finish_reason is None:
            raise UpstreamError(
                f"the answer from {self._where} was cut off after {len(reply.text)} characters; "
                "ask again."
            )
        if reply.finish_reason == "content_filter":
            raise UpstreamError(
                f"model '{self._model}' was stopped by its content filter; ask another question "
                "or another model."
            )
        if final_answer(reply.text):
            return
        if reply.finish_reason == "length":
            raise UpstreamError(
                f"model '{self._model}' used up {max_tokens} tokens before it answered; raise "
                "max_answer_tokens."
            )
        raise UpstreamError(f"model '{self._model}' answered with nothing; ask again.")

    # -- errors ------------------------------------------------------------------------------

    def _wait_s(self, error: Exception, attempts: int) -> float | None:
        """Return how long to wait before trying again, or None when that is not safe or useful."""
        if attempts >= MAX_RETRIES:
            return None
        wait_s = FIRST_WAIT_S * 2**attempts
        if isinstance(error, openai.APIStatusError):
            is_passing = error.status_code >= 500 or (
                error.status_code == 429 and error.code != "insufficient_quota"
            )
            asked_s = _retry_after_s(error.response.headers)
            wait_s = wait_s if asked_s is None else asked_s
            return wait_s if is_passing and wait_s <= MAX_WAIT_S else None
        return wait_s if _is_refused(error) else None

    def _explained(
        self, error: Exception, reply: _Reply, what: str, attempts: int
    ) -> UpstreamError:
        """Return one sentence for whatever went wrong."""
        where = self._where
        tries = f" after {attempts} attempts" if attempts > 1 else ""
        if isinstance(error, openai.APIStatusError):
            return self._explained_status(error, what, tries)
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
            return UpstreamError(
                f"{where} sent something that is not JSON after {len(reply.text)} characters of "
                "the answer; ask again, or check the proxy in between."
            )
        if reply.has_begun and isinstance(error, openai.APIConnectionError):
            is_slow = isinstance(error, openai.APITimeoutError)
            how = f"fell silent for {self._timeout_s:g} s" if is_slow else "broke off"
            return UpstreamError(
                f"the answer from {where} {how} after {len(reply.text)} characters; ask again."
            )
        if isinstance(error, openai.APITimeoutError):
            return UpstreamError(
                f"no answer from {where} within {self._timeout_s:g} s for {what}; raise "
                "timeout_s, or ask about fewer pages."
            )
        if _is_refused(error):
            return UpstreamError(
                f"nothing listens at {where} (connection refused{tries}); start the server, or "
                "check base_url."
            )
        if isinstance(error, openai.APIConnectionError):
            return UpstreamError(
                f"the connection to {where} failed before an answer came"
                f"{self._said(_root_cause(error))}; check base_url and the network."
            )
        return UpstreamError(f"{where} reported an error{self._said(error)}.")

    def _explained_status(
        self, error: openai.APIStatusError, what: str, tries: str
    ) -> UpstreamError:
        status, where = int(error.status_code), self._where
        said = self._said(error)
        match status:
            case 401 | 403:
                # What the server says here may repeat the key.
                text = (
                    f"{where} refused the API key ({status}); check OPENAI_API_KEY or api_key, "
                    f"and that the key may use model '{self._model}'."
                )
            case 404:
                text = (
                    f"{where} knows no model '{self._model}', or the URL is wrong (404){said}; "
                    "check the model's name and base_url, which mostly ends in /v1."
                )
            case 413:
                text = (
                    f"{where} finds the request too large (413): {what}. Ask about fewer pages "
                    "at once, or render smaller ones."
                )
            case 429:
                wait_s = _retry_after_s(error.response.headers)
                wait = "later" if wait_s is None else f"in {wait_s:g} s"
                text = f"{where} limits the rate (429{tries}){said}; try again {wait}."
            case _ if status >= 500:
                text = f"{where} failed ({status}{tries}){said}; try again later."
            case _:
                text = f"{where} refused the request ({status}){said}; it held {what}."
        return UpstreamError(text, status)

    def _said(self, error: BaseException) -> str:
        """Return what the other side said, on one line, with the key blanked out."""
        body: Any = getattr(error, "body", None)
        message = cast("dict[str, Any]", body).get("message") if isinstance(body, dict) else body
        text = " ".join(str(message or error).split())
        if len(self._key) > len(PLACEHOLDER_KEY):
            text = text.replace(self._key, "[key]")
        if len(text) > MAX_QUOTED_CHARS:
            text = text[:MAX_QUOTED_CHARS] + "..."
        return f": {text.rstrip('.')}" if text else ""


def _amount(pages: Sequence[EncodedPage]) -> str:
    num_bytes = sum(len(encoded.png) for encoded in pages)
    size = f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:.0f} kB"
    return f"{len(pages)} page{'' if len(pages) == 1 else 's'} of {size}"


def _image_part(png: bytes) -> dict[str, Any]:
    url = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return {"type": "image_url", "image_url": {"url": url, "detail": "high"}}


def _key_for(base_url: str | None, api_key: str | None) -> str:
    """Return the key to send: the one given, the environment's, or a placeholder."""
    if base_url is not None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(
                f"base_url is '{_shown_url(base_url)}'; http://... or https://... is accepted, "
                "such as http://localhost:8000/v1."
            )
    key = (api_key or os.environ.get("OPENAI_API_KEY") or "").strip()
    if not key and (base_url is None or (urlsplit(base_url).hostname or "") in OPENAI_HOSTS):
        raise ConfigError(
            "reader 'openai' has no API key; set OPENAI_API_KEY, pass api_key, or name your own "
            "endpoint with base_url."
        )
    if not key.isascii() or not key.isprintable():
        raise ConfigError("api_key holds characters that no key has; copy it again.")
    return key or PLACEHOLDER_KEY


def _shown_url(url: str) -> str:
    """Return a URL as it may be shown: no user, no password, no query."""
    parts = urlsplit(url)
    if not parts.hostname:
        return url.partition("?")[0]
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"


def _retry_after_s(headers: Any) -> float | None:
    """Return the seconds a server asks to wait (RFC 9110, section 10.2.3), or None."""
    raw = str(headers.get("retry-after") or "")
    if raw.replace(".", "", 1).isdecimal():
        return float(raw)
    try:
        return max(parsedate_to_datetime(raw).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _is_refused(error: BaseException) -> bool:
    """Whether nothing listens at the address, so that no request can have been taken."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _root_cause(error: BaseException) -> BaseException:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error
