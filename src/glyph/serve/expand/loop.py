"""The loop: asks the upstream again while the model reads pages; to the client it is one answer.

    call ──> answer ──> calls of our tools? ──> results ──> call ... ──> the last answer

What the model says before it reads a page reaches the client as it is said; the calls and their
results never do. Calls of the client's own tools end the loop, since only the client can answer
them; a page read beside them is asked for again in the next request.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from glyph.errors import UpstreamError
from glyph.serve.events import events_in
from glyph.serve.expand.chat import ChatDialect
from glyph.serve.expand.dialect import Dialect, Turn, Values, appended
from glyph.serve.expand.messages import MessagesDialect
from glyph.serve.expand.responses import ResponsesDialect
from glyph.serve.expand.tools import Desk
from glyph.serve.spans import parse, splice
from glyph.serve.upstream import RawHeaders, Reply

OK = 200
MAX_ANSWER_BYTES = 64 * 2**20
_MAX_SAID_BYTES = 64 * 1024
DIALECTS: dict[str, Dialect] = {
    "chat": ChatDialect(),
    "messages": MessagesDialect(),
    "responses": ResponsesDialect(),
}
"""By the name of the wire format."""

Ask = Callable[[tuple[bytes, ...]], Awaitable[Reply]]


@dataclass(slots=True)
class ExpandedReply:
    """The answers of all rounds as one reply.

    Attributes:
        first: The answer to the first round.
        pieces: What it was asked with.
        ask: Sends the body of another round.
        dialect: The wire format.
        desk: Answers calls.
        on_renamed: Told the name the client knows an answer by, and that of its last round.
        status: Of the first answer.
        headers: Of the first answer.
    """

    first: Reply
    pieces: tuple[bytes, ...]
    ask: Ask
    dialect: Dialect
    desk: Desk
    on_renamed: Callable[[str, str], None] = lambda known, kept: None
    status: int = field(init=False)
    headers: RawHeaders = field(init=False)
    _reply: Reply = field(init=False)

    def __post_init__(self) -> None:
        self.status, self._reply = self.first.status, self.first
        self.headers = [pair for pair in self.first.headers if pair[0] != b"content-length"]

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream of events."""
        return dict(self.headers).get(b"content-type", b"").startswith(b"text/event-stream")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the answer to the client."""
        if self.status != OK:
            pieces = self._reply.chunks()
        else:
            pieces = self._streamed() if self.is_stream else self._whole()
        async for piece in pieces:
            yield piece

    async def close(self) -> None:
        """Let go of the round under way."""
        await self._reply.close()

    async def _streamed(self) -> AsyncIterator[bytes]:
        stream = self.dialect.stream()
        while True:
            stream.begin()
            has_failed = False
            async for event in events_in(self._reply.chunks()):
                has_failed = has_failed or event.is_error
                if piece := stream.feed(event):
                    yield piece
            turn = stream.turn()
            if has_failed or not turn.goes_on:
                break
            await self._next_round(turn)
        if len(stream.names) > 1:
            self.on_renamed(stream.names[0], stream.names[-1])
        if closing := stream.end():
            yield closing

    async def _whole(self) -> AsyncIterator[bytes]:
        answers: list[Values] = []
        while True:
            raw = await _all_of(self._reply, MAX_ANSWER_BYTES)
            answer = _object(raw)
            if answer is None:
                # No answer of this format; it is the client's to make sense of.
                yield raw
                return
            answers.append(answer)
            turn = self.dialect.turn(answer)
            if not turn.goes_on:
                break
            await self._next_round(turn)
        is_plain = len(answers) == 1 and not turn.calls and "tools" not in answer
        yield raw if is_plain else json.dumps(self.dialect.merged(answers)).encode()

    async def _next_round(self, turn: Turn) -> None:
        if self.desk.is_exhausted:
            raise UpstreamError(
                f"the model asked for pages {self.desk.num_rounds} times and gave no answer; ask "
                "more narrowly, or raise --expand-rounds.",
                502,
            )
        texts = await asyncio.to_thread(self.desk.answer, turn.calls)
        added = self.dialect.results(turn, texts)
        self.pieces = await asyncio.to_thread(_grown, self.pieces, self.dialect, added)
        await self._reply.close()
        self._reply = await self.ask(self.pieces)
        if self._reply.status != OK:
            said = await _all_of(self._reply, _MAX_SAID_BYTES)
            raise UpstreamError(
                f"the upstream refused the text of pages that the model asked for: {_words(said)}",
                self._reply.status if self._reply.status >= 400 else 502,
            )


def _grown(pieces: tuple[bytes, ...], dialect: Dialect, added: list[Any]) -> tuple[bytes, ...]:
    """Return a request with more at the end of its conversation; all else keeps its bytes."""
    text = b"".join(pieces).decode()
    conversation = dialect.conversation(parse(text))
    assert conversation is not None, "a request with pages has a conversation"
    return splice(text, [appended(conversation, added)])


async def _all_of(reply: Reply, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in reply.chunks():
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            raise UpstreamError("the upstream's answer is larger than the gateway takes.", 502)
    return b"".join(parts)


def _object(raw: bytes) -> Values | None:
    try:
        values: Any = json.loads(raw)
    except ValueError:
        return None
    return cast("Values", values) if isinstance(values, dict) else None


def _words(raw: bytes) -> str:
    """Return what an error says, short."""
    values = _object(raw) or {}
    error: Any = values.get("error")
    message: Any = cast("Values", error).get("message") if isinstance(error, dict) else error
    return str(message or "no reason given")[:300]
