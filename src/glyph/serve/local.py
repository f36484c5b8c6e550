"""A reader on this machine behind the same three wire formats, without any server elsewhere.

It stands where an upstream stands, so the whole way of a request is the one it takes to a hosted
model: the gateway puts pages in, and the reader gets their pixels. Text that came as text is drawn
here, since a reader reads nothing else.
"""

import asyncio
import base64
import binascii
import io
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from glyph.api import DEFAULT_MODEL
from glyph.asking import model_behind, own_preset
from glyph.documents import document_from_text
from glyph.errors import GlyphError, UnknownModelError
from glyph.pages import PALETTE_SIZE, Glyphs, Lines, Page, PageLayout
from glyph.readers import Answer, Reader
from glyph.readers import Request as Question
from glyph.render import render_pages
from glyph.serve.paging import config_for
from glyph.serve.replies import error_body
from glyph.serve.rules import HEAD_CHARS, REACH_CHARS, TAIL_CHARS, split_document
from glyph.serve.upstream import Call, RawHeaders, Reply
from glyph.serve.wires import WIRES, Wire
from glyph.serve.wires.sites import is_ours

MAX_PIXELS = 16_000_000
MAX_PAGES = 1_000
KEEP_ALIVE_S = 5.0
_PREFIX = "data:image/png;base64,"
_DELTA_CHARS = 24


class _BadCallError(Exception):
    """The call cannot be answered; its words are for the client."""


@dataclass(slots=True)
class _LocalReply:
    status: int
    headers: RawHeaders
    body: AsyncIterator[bytes]

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self.body:
            yield chunk

    async def close(self) -> None:
        close = getattr(self.body, "aclose", None)
        if close is not None:
            await close()


@dataclass(slots=True)
class _Asked:
    """What a call asks: pages and texts in order, and which text is the user's last."""

    pages: list[Page] = field(default_factory=lambda: list[Page]())
    texts: list[str] = field(default_factory=lambda: list[str]())
    last: int = -1
    question: str = ""

    def add(self, text: str, *, is_users: bool) -> None:
        """Take in a text; framing of pages says nothing to a reader."""
        if text.strip() and not is_ours(text):
            self.texts.append(text)
            if is_users:
                self.last = len(self.texts) - 1


class ReaderUpstream:
    """An upstream that answers with a reader in this process.

    Attributes:
        name: `local:` and the reader.
        reader: Who answers.
    """

    def __init__(self, reader: Reader):
        self.name = f"local:{reader.name}"
        self.reader = reader
        self._model = model_behind(reader) or DEFAULT_MODEL
        self._preset = own_preset(reader)
        # A reader is asked one thing at a time: it uses every core.
        self._turn = asyncio.Lock()

    async def send(self, call: Call) -> Reply:
        """Answer a call."""
        wire = WIRES.get(call.path) if call.method == "POST" else None
        if wire is None:
            return self._other(call)
        try:
            body = json.loads(call.body)
            asked = await asyncio.to_thread(self._take_in, body, wire)
        except (ValueError, _BadCallError, GlyphError) as error:
            message = str(error) if not isinstance(error, ValueError) else f"bad request: {error}"
            return _json_reply(400, error_body(wire, 400, message))
        if body.get("stream"):
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
            return _LocalReply(200, headers, self._events(asked, wire, str(body.get("model", ""))))
        try:
            answer = await self._ask(asked)
        except GlyphError as error:
            return _json_reply(500, error_body(wire, 500, str(error)))
        return _json_reply(200, json.dumps(_whole(answer, wire, self._model_name(body))).encode())

    async def close(self) -> None:
        """Nothing is open."""

    def _model_name(self, body: dict[str, Any]) -> str:
        return str(body.get("model") or self.reader.name)

    def _other(self, call: Call) -> Reply:
        if call.path == "/v1/models":
            model = {"id": self.reader.name, "object": "model", "created": 0, "owned_by": "glyph"}
            return _json_reply(200, json.dumps({"object": "list", "data": [model]}).encode())
        message = f"{call.method} {call.path[:100]} is not served by a reader."
        return _json_reply(404, error_body(None, 404, message))

    async def _ask(self, asked: _Asked) -> Answer:
        question = Question(question=asked.question, pages=tuple(asked.pages))
        async with self._turn:
            return await asyncio.to_thread(self.reader.answer, question)

    async def _events(self, asked: _Asked, wire: Wire, model: str) -> AsyncIterator[bytes]:
        """Stream an answer; comments keep the connection alive while the reader reads."""
        task = asyncio.create_task(self._ask(asked))
        try:
            while not (await asyncio.wait([task], timeout=KEEP_ALIVE_S))[0]:
                yield b": reading\n\n"
            answer = task.result()
        except GlyphError as error:
            name = b"" if wire.name == "chat" else b"event: error\n"
            yield name + b"data: " + error_body(wire, 500, str(error)) + b"\n\n"
            return
        finally:
            task.cancel()
        for event in _stream(answer, wire, model or self.reader.name):
            yield event

    # -- taking in ---------------------------------------------------------------------------

    def _take_in(self, body: Any, wire: Wire) -> _Asked:
        if not isinstance(body, dict):
            raise _BadCallError("the body is no JSON object.")
        values = cast("dict[str, Any]", body)
        asked = _Asked()
        given: Any = values.get("input" if wire.name == "responses" else "messages")
        if isinstance(given, str):
            given = [{"role": "user", "content": given}]
        if not isinstance(given, list) or not given:
            raise _BadCallError("there is no message to answer.")
        for message in cast("list[Any]", given):
            if isinstance(message, dict):
                held = cast("dict[str, Any]", message)
                is_users = held.get("role") == "user"
                self._content(held.get("content", held.get("output")), asked, is_users=is_users)
        if asked.last < 0:
            raise _BadCallError("the user asks nothing; end the last message with a text.")
        self._settle(asked)
        if len(asked.pages) > MAX_PAGES:
            raise _BadCallError(f"more than {MAX_PAGES} pages; ask about fewer.")
        return asked

    def _content(self, content: Any, asked: _Asked, *, is_users: bool) -> None:
        if isinstance(content, str):
            asked.add(content, is_users=is_users)
        if not isinstance(content, list):
            return
        for part in cast("list[Any]", content):
            if not isinstance(part, dict):
                continue
            held = cast("dict[str, Any]", part)
            if held.get("type") == "tool_result":
                self._content(held.get("content"), asked, is_users=False)
            elif isinstance(held.get("text"), str):
                asked.add(held["text"], is_users=is_users)
            elif "image" in str(held.get("type")):
                asked.pages.append(page_from_png(_png_of(held), len(asked.pages)))

    def _settle(self, asked: _Asked) -> None:
        """Part the question from the context, and draw what came as text."""
        last = asked.texts[asked.last]
        context = [text for i, text in enumerate(asked.texts) if i != asked.last]
        if len(last) > HEAD_CHARS + TAIL_CHARS + 2 * REACH_CHARS:
            head, body, tail = split_document(last)
            context.append(head + body)
            last = tail
        elif not asked.pages and not context:
            head, blank, tail = last.rpartition("\n\n")
            context, last = ([head], tail) if blank and head.strip() else ([], last)
        asked.question = last.strip().rpartition("\n\n")[2]
        context.append(last.strip()[: -len(asked.question)] if asked.question else "")
        text = "\n\n".join(part for part in context if part.strip())
        if not text and not asked.pages:
            raise _BadCallError("there is nothing to read; send a text or pages and a question.")
        if text:
            document = document_from_text(text, kind="prose", unwrap=False)
            pages = render_pages(document, config_for(self._model, self._preset))
            drawn = list(pages)
            asked.pages += [_renumbered(page, len(asked.pages) + i) for i, page in enumerate(drawn)]


def _png_of(part: dict[str, Any]) -> bytes:
    """Return the PNG of a part; only data that came with the request is taken."""
    source: Any = part.get("source") or {}
    url: Any = part.get("image_url")
    if isinstance(url, dict):
        url = cast("dict[str, Any]", url).get("url")
    data: Any = cast("dict[str, Any]", source).get("data") if isinstance(source, dict) else None
    if isinstance(url, str) and url.startswith(_PREFIX):
        data = url.removeprefix(_PREFIX)
    if not isinstance(data, str):
        raise _BadCallError("images are taken as base64 PNG inside the request; none is fetched.")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise _BadCallError("an image is no base64.") from None


def page_from_png(png: bytes, index: int) -> Page:
    """Return a page that is pixels and nothing else.

    Raises:
        _BadCallError: It is no PNG, or has more than `MAX_PIXELS` pixels.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(png), formats=("PNG",))
        if image.width * image.height > MAX_PIXELS:
            raise _BadCallError(f"an image has more than {MAX_PIXELS:,} pixels.")
        plane_HW = np.asarray(image.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise _BadCallError("an image is no PNG that can be read.") from None
    grays_C3 = np.repeat(np.arange(PALETTE_SIZE, dtype=np.uint8)[:, None], 3, axis=1)
    return Page(plane_HW, grays_C3, _blank_layout(index, image.width, image.height))


def _blank_layout(index: int, width_px: int, height_px: int) -> PageLayout:
    none = np.zeros(0, np.int64)
    glyphs = Glyphs(none, none, none, none, None)
    lines = Lines(none, none, none, none, none, none, none)
    return PageLayout(index, width_px, height_px, 0, 0, True, glyphs, lines)


def _renumbered(page: Page, index: int) -> Page:
    return Page(page.plane_HW, page.palette_C3, _blank_layout(index, page.width_px, page.height_px))


# -- answers ---------------------------------------------------------------------------------


def _json_reply(status: int, body: bytes) -> Reply:
    async def once() -> AsyncIterator[bytes]:
        yield body

    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return _LocalReply(status, headers, once())


def _counts(answer: Answer) -> tuple[int, int]:
    return answer.usage.input_tokens or 0, answer.usage.output_tokens or 0


def _whole(answer: Answer, wire: Wire, model: str) -> dict[str, Any]:
    taken, given = _counts(answer)
    name = uuid.uuid4().hex[:24]
    if wire.name == "chat":
        message = {"role": "assistant", "content": answer.text}
        return {
            "id": f"chatcmpl-{name}", "object": "chat.completion", "created": int(time.time()),
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": taken, "completion_tokens": given,
                      "total_tokens": taken + given},
        }  # fmt: skip
    usage = {"input_tokens": taken, "output_tokens": given}
    if wire.name == "messages":
        return {
            "id": f"msg_{name}", "type": "message", "role": "assistant", "model": model,
            "content": [{"type": "text", "text": answer.text}], "stop_reason": "end_turn",
            "stop_sequence": None, "usage": usage,
        }  # fmt: skip
    return _response(name, model, answer.text, "completed") | {
        "usage": usage | {"total_tokens": taken + given}
    }


def _response(name: str, model: str, text: str | None, status: str) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
    content: list[Any] = [] if text is None else [part]
    item: dict[str, Any] = {
        "type": "message",
        "id": f"msg_{name}",
        "role": "assistant",
        "status": status,
        "content": content,
    }
    return {
        "id": f"resp_{name}", "object": "response", "created_at": int(time.time()),
        "model": model, "status": status, "output": [] if text is None else [item],
        "parallel_tool_calls": False, "tool_choice": "auto", "tools": [], "error": None,
    }  # fmt: skip


def _stream(answer: Answer, wire: Wire, model: str) -> list[bytes]:
    text = answer.text
    deltas = [text[i : i + _DELTA_CHARS] for i in range(0, len(text), _DELTA_CHARS)]
    if wire.name == "chat":
        return _chat_events(answer, deltas, model)
    make = _message_events if wire.name == "messages" else _response_events
    return [
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        for event in make(answer, deltas, model)
    ]


def _chat_events(answer: Answer, deltas: list[str], model: str) -> list[bytes]:
    whole = _whole(answer, WIRES["/v1/chat/completions"], model)
    base = {"id": whole["id"], "object": "chat.completion.chunk", "created": whole["created"],
            "model": model}  # fmt: skip
    begin = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    chunks: list[dict[str, Any]] = [base | {"choices": [begin]}]
    for delta in deltas:
        choice = {"index": 0, "delta": {"content": delta}, "finish_reason": None}
        chunks.append(base | {"choices": [choice]})
    end: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks.append(base | {"choices": [end]})
    chunks.append(base | {"choices": [], "usage": whole["usage"]})
    return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]


def _message_events(answer: Answer, deltas: list[str], model: str) -> list[dict[str, Any]]:
    whole = _whole(answer, WIRES["/v1/messages"], model)
    start: dict[str, Any] = whole | {"content": [], "stop_reason": None}
    block = {"type": "text", "text": ""}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {"type": "content_block_delta", "index": 0,
             "delta": {"type": "text_delta", "text": delta}}
            for delta in deltas
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
         "usage": {"output_tokens": whole["usage"]["output_tokens"]}},
        {"type": "message_stop"},
    ]  # fmt: skip


def _response_events(answer: Answer, deltas: list[str], model: str) -> list[dict[str, Any]]:
    done = _whole(answer, WIRES["/v1/responses"], model)
    item, name = done["output"][0], done["id"].removeprefix("resp_")
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    part = item["content"][0]
    empty = part | {"text": ""}
    begun = _response(name, model, None, "in_progress")
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0,
         "item": item | {"content": [], "status": "in_progress"}},
        {"type": "response.content_part.added", **place, "part": empty},
        *({"type": "response.output_text.delta", **place, "delta": d, "logprobs": []}
          for d in deltas),
        {"type": "response.output_text.done", **place, "text": answer.text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ]  # fmt: skip
    return [event | {"sequence_number": i} for i, event in enumerate(events)]


def default_vision_model(reader: Reader) -> str:
    """Return whose token rule prices the pages of a reader."""
    try:
        return model_behind(reader) or DEFAULT_MODEL
    except UnknownModelError:
        return DEFAULT_MODEL
