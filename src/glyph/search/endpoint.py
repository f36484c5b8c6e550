"""A language model that answers in JSON: any OpenAI-compatible or Anthropic endpoint.

Whatever the endpoint does, one call ends within its time with parsed JSON or an `UpstreamError` of
one sentence. Servers differ in what they accept: where one refuses a schema or images it is asked
again without, and this is remembered.
"""

import base64
import json
import os
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from glyph.errors import ConfigError, UpstreamError

Kind = Literal["openai", "anthropic"]

MAX_ANSWER_TOKENS = 4_096
MIN_CONTEXT_TOKENS = 1_024
MAX_QUOTED_CHARS = 200
NOT_ACCEPTED = (400, 404, 415, 422, 500, 501)
_FENCE = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


class Endpoint:
    """A model behind an endpoint, asked for JSON.

    Attributes:
        name: `openai:MODEL` or `anthropic:MODEL`.
        context_tokens: What the model's context holds; None for plenty.
    """

    def __init__(
        self,
        spec: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 120.0,
        context_tokens: int | None = None,
    ):
        """Prepare the client; nothing is sent.

        Args:
            spec: `openai:MODEL` or `anthropic:MODEL`.
            base_url: Of the server; by default the vendor's, or what its variable names.
            api_key: By default OPENAI_API_KEY or ANTHROPIC_API_KEY; servers of one's own need none.
            timeout_s: Longest time one answer may take, in seconds.
            context_tokens: What the model's context holds, answer included; None for plenty.

        Raises:
            ConfigError: The spec is none, a number is too small, or a package is missing.
        """
        kind, _, model = spec.partition(":")
        if kind not in ("openai", "anthropic") or not model:
            raise ConfigError(
                f"'{spec}' is no language model; write openai:MODEL or anthropic:MODEL."
            )
        if timeout_s <= 0:
            raise ConfigError(f"timeout_s is {timeout_s:g}; seconds above 0 are accepted.")
        if context_tokens is not None and context_tokens < MIN_CONTEXT_TOKENS:
            raise ConfigError(
                f"the context of the language model is {context_tokens} tokens; at least "
                f"{MIN_CONTEXT_TOKENS} are needed to tell it about the search."
            )
        self.name = spec
        self.context_tokens = context_tokens
        self._kind: Kind = "anthropic" if kind == "anthropic" else "openai"
        self._model = model
        self._timeout_s = timeout_s
        self._answer_tokens = MAX_ANSWER_TOKENS
        if context_tokens is not None:
            self._answer_tokens = min(MAX_ANSWER_TOKENS, context_tokens // 4)
        self._takes_schema = True
        self._takes_images = True
        self._client = _client(self._kind, base_url, api_key, timeout_s)
        self._key = str(self._client.api_key)
        self._where = urlsplit(str(self._client.base_url)).netloc

    def ask(
        self, system: str, prompt: str, schema: dict[str, Any], images: Sequence[bytes] = ()
    ) -> dict[str, Any]:
        """Return what the model answers, parsed; the schema is asked for, not enforced here.

        Args:
            system: What the model is.
            prompt: What it should do.
            schema: JSON schema of the answer, an object.
            images: PNG files shown before the prompt, where the model takes images.

        Raises:
            UpstreamError: No answer in time, a refusal, or no JSON.
        """
        shown = tuple(images) if self._takes_images else ()
        while True:
            try:
                return self._within_time(lambda seen=shown: self._ask(system, prompt, schema, seen))
            except UpstreamError as error:
                if error.status not in NOT_ACCEPTED:
                    raise
                if shown:
                    self._takes_images, shown = False, ()
                elif self._takes_schema and self._kind == "openai":
                    self._takes_schema = False
                else:
                    raise

    def _within_time(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run a call in a thread of its own, since a server that drips bytes never times out."""
        found: list[dict[str, Any]] = []
        failed: list[UpstreamError] = []

        def run() -> None:
            try:
                found.append(call())
            except UpstreamError as error:
                failed.append(error)
            except Exception as error:
                # Clients raise trees of their own for what a server sends.
                failed.append(self._explained(error))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self._timeout_s + 1)
        if failed:
            raise failed[0]
        if not found:
            raise UpstreamError(f"{self.name} gave no answer within {self._timeout_s:g} s.")
        return found[0]

    def _ask(
        self, system: str, prompt: str, schema: dict[str, Any], images: Sequence[bytes]
    ) -> dict[str, Any]:
        if self._kind == "anthropic":
            return self._ask_anthropic(system, prompt, schema, images)
        return self._ask_openai(system, prompt, schema, images)

    def _ask_openai(
        self, system: str, prompt: str, schema: dict[str, Any], images: Sequence[bytes]
    ) -> dict[str, Any]:
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_base64(png)}"}}
            for png in images
        ]
        more: dict[str, Any] = {}
        if self._takes_schema:
            form = {"name": "answer", "schema": schema, "strict": True}
            more["response_format"] = {"type": "json_schema", "json_schema": form}
        else:
            prompt += f"\n\nAnswer with one JSON object of this schema:\n{json.dumps(schema)}"
        # Text alone is sent as a string, which the smallest servers take.
        user = [*content, {"type": "text", "text": prompt}] if content else prompt
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        reply = self._client.chat.completions.create(
            model=self._model, messages=messages, max_tokens=self._answer_tokens, **more
        )
        if not getattr(reply, "choices", None):
            raise UpstreamError(f"{self.name} sent no choices.")
        choice = reply.choices[0]
        if getattr(choice.message, "refusal", None):
            raise UpstreamError(f"{self.name} refused: {_quoted(choice.message.refusal)}")
        if choice.finish_reason in ("length", "content_filter"):
            raise UpstreamError(f"{self.name} ended its answer early: {choice.finish_reason}.")
        return self._parsed(choice.message.content or "")

    def _ask_anthropic(
        self, system: str, prompt: str, schema: dict[str, Any], images: Sequence[bytes]
    ) -> dict[str, Any]:
        content: list[dict[str, Any]] = [
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": _base64(png)},
            }
            for png in images
        ]
        content.append({"type": "text", "text": prompt})
        tool = {"name": "answer", "description": "Give the answer.", "input_schema": schema}
        reply = self._client.messages.create(
            model=self._model,
            max_tokens=self._answer_tokens,
            system=system,
            messages=[{"role": "user", "content": content}],
            tools=[tool],
            tool_choice={"type": "tool", "name": "answer"},
        )
        if reply.stop_reason in ("max_tokens", "refusal"):
            raise UpstreamError(f"{self.name} ended its answer early: {reply.stop_reason}.")
        for block in reply.content:
            if block.type == "tool_use":
                return self._object(block.input)
        said = "".join(getattr(block, "text", "") for block in reply.content)
        return self._parsed(said)

    def _parsed(self, text: str) -> dict[str, Any]:
        bare = _FENCE.sub("", _THOUGHT.sub("", text)).strip()
        try:
            return self._object(json.loads(bare))
        except (ValueError, RecursionError):
            raise UpstreamError(f"{self.name} answered no JSON: {_quoted(text)}") from None

    def _object(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise UpstreamError(f"{self.name} answered no object but {_quoted(value)}")
        return cast(dict[str, Any], value)

    def _explained(self, error: Exception) -> UpstreamError:
        status = getattr(error, "status_code", None)
        said = f"{type(error).__name__}: {error}".replace(self._key, "***")
        return UpstreamError(
            f"{self.name} at {self._where} failed: {_quoted(said)}",
            status if isinstance(status, int) else None,
        )


def _client(kind: Kind, base_url: str | None, api_key: str | None, timeout_s: float) -> Any:
    if kind == "openai":
        import openai

        url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        key = api_key or os.environ.get("OPENAI_API_KEY") or ("none" if url else "")
        if not key:
            raise ConfigError("no key for OpenAI: set OPENAI_API_KEY, or name your own server.")
        return openai.OpenAI(api_key=key, base_url=url, timeout=timeout_s, max_retries=0)
    try:
        import anthropic
    except ImportError:
        raise ConfigError(
            "anthropic:MODEL needs the package anthropic; pip install 'glyph-context[search]'."
        ) from None
    url = base_url or os.environ.get("ANTHROPIC_BASE_URL") or None
    key = api_key or os.environ.get("ANTHROPIC_API_KEY") or ("none" if url else "")
    if not key:
        raise ConfigError("no key for Anthropic: set ANTHROPIC_API_KEY, or name your own server.")
    return anthropic.Anthropic(api_key=key, base_url=url, timeout=timeout_s, max_retries=0)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _quoted(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= MAX_QUOTED_CHARS else text[: MAX_QUOTED_CHARS - 3] + "..."
