"""Server-sent events: a stream of bytes as whole events, and events as bytes."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from glyph.errors import UpstreamError

MAX_EVENT_BYTES = 16 * 2**20
_END = re.compile(rb"\r?\n\r?\n|\r\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        raw: Its bytes, the blank line at its end among them.
        values: Its data, if that is a JSON object; else None.
    """

    raw: bytes
    values: dict[str, Any] | None

    @property
    def kind(self) -> str:
        """The `type` its data says, "" without."""
        return str(self.values.get("type", "")) if self.values is not None else ""

    @property
    def is_error(self) -> bool:
        """Whether it says that the stream has failed."""
        values = self.values or {}
        return self.kind == "error" or (values.get("error") is not None and "choices" not in values)

    @property
    def has_data(self) -> bool:
        """Whether it is more than a comment."""
        return self.raw.startswith(b"data:") or b"\ndata:" in self.raw


def event_of(raw: bytes) -> Event:
    """Return the bytes of an event with its data.

    Example:
        >>> event_of(b'event: ping\\ndata: {"type": "ping"}\\n\\n').kind
        'ping'
    """
    data = b"\n".join(line[5:] for line in raw.splitlines() if line.startswith(b"data:"))
    try:
        values: Any = json.loads(data)
    except ValueError:
        values = None
    return Event(raw, cast("dict[str, Any]", values) if isinstance(values, dict) else None)


def written(values: dict[str, Any], like: bytes) -> bytes:
    """Return data as an event; it bears its kind as a name if the one it stands for does."""
    named = like.startswith(b"event:")
    head = f"event: {values.get('type', '')}\n" if named else ""
    return f"{head}data: {json.dumps(values)}\n\n".encode()


async def events_in(chunks: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """Yield the events of a stream as soon as each is whole, and what is left of a broken one.

    Raises:
        UpstreamError: An event is larger than `MAX_EVENT_BYTES`.
    """
    held = b""
    async for chunk in chunks:
        searched = max(len(held) - 3, 0)
        held += chunk
        while (end := _END.search(held, searched)) is not None:
            yield event_of(held[: end.end()])
            held, searched = held[end.end() :], 0
        if len(held) > MAX_EVENT_BYTES:
            raise UpstreamError("an event of the upstream is larger than the gateway takes.", 502)
    if held:
        yield event_of(held)
