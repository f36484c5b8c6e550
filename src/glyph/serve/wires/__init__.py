"""The wire formats: where each keeps its texts, and how each writes text and images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from glyph.serve.rules import Rules
from glyph.serve.spans import Node
from glyph.serve.wires import chat, messages, responses
from glyph.serve.wires.sites import Site

WireName = Literal["chat", "responses", "messages"]


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire format.

    Attributes:
        name: What it is called in logs and metrics.
        path: Where clients post to.
        sites: Finds the texts that may become pages.
        write_text: Writes a part of text.
        image_ends: What stands before and after the base64 of an image.
        usage_paths: Where usage stands in answers and in events of streams.
    """

    name: WireName
    path: str
    sites: Callable[[str, Node, Rules], list[Site]]
    write_text: Callable[[str], str]
    image_ends: tuple[bytes, bytes]
    usage_paths: tuple[tuple[str, ...], ...]


_URL = b'"data:image/png;base64,'
CHAT = Wire(
    name="chat",
    path="/v1/chat/completions",
    sites=chat.sites,
    write_text=chat.write_text,
    # Older models of OpenAI need the detail; other services ignore it, or take its absence as low.
    image_ends=(b'{"type": "image_url", "image_url": {"url": ' + _URL, b'", "detail": "high"}}'),
    usage_paths=(("usage",),),
)
RESPONSES = Wire(
    name="responses",
    path="/v1/responses",
    sites=responses.sites,
    write_text=responses.write_text,
    image_ends=(b'{"type": "input_image", "image_url": ' + _URL, b'", "detail": "high"}'),
    usage_paths=(("usage",), ("response", "usage")),
)
MESSAGES = Wire(
    name="messages",
    path="/v1/messages",
    sites=messages.sites,
    write_text=messages.write_text,
    image_ends=(
        b'{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "',
        b'"}}',
    ),
    usage_paths=(("usage",), ("message", "usage")),
)
WIRES = {wire.path: wire for wire in (CHAT, RESPONSES, MESSAGES)}
