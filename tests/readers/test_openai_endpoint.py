"""The OpenAI reader against a real server on loopback that checks what arrives and plays faults."""

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from glyph import BudgetError, ReaderError, RenderConfig, Request, UpstreamError, render_pages
from glyph.readers.openai import OpenAIReader

KEY = "sk-canary-0123456789"
TEXT = "The lamp is green.\nThe door is 4711.\n" * 40

Reply = Callable[["Handler"], None]


@dataclass
class Endpoint:
    """A server with one reply for each request to come; the last one repeats."""

    url: str
    replies: list[Reply]
    bodies: list[dict[str, Any]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Records each request and sends the next reply."""

    endpoint: Endpoint

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.endpoint.bodies.append(json.loads(self.rfile.read(length)))
        replies = self.endpoint.replies
        (replies.pop(0) if len(replies) > 1 else replies[0])(self)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def begin(self, status: int, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()


def refuses(status: int, headers: dict[str, str] | None = None) -> Reply:
    def reply(handler: Handler) -> None:
        handler.begin(status, "application/json", headers)
        handler.wfile.write(json.dumps({"error": {"message": f"no: {status}"}}).encode())

    return reply


def chunk(text: str | None, **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if text is None else None}
    body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**body, "choices": [choice], **more}).encode() + b"\n\n"


def says(*pieces: str) -> Reply:
    def reply(handler: Handler) -> None:
        handler.begin(200, "text/event-stream")
        for piece in pieces:
            handler.wfile.write(chunk(piece))
        usage = {"prompt_tokens": 700, "completion_tokens": 3, "total_tokens": 703}
        handler.wfile.write(chunk(None, usage=usage) + b"data: [DONE]\n\n")

    return reply


def breaks_off(handler: Handler) -> None:
    handler.begin(200, "text/event-stream")
    handler.wfile.write(chunk("half an ans"))
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def talks_nonsense(handler: Handler) -> None:
    handler.begin(200, "text/event-stream")
    handler.wfile.write(b"data: {this is no json\n\n")


def stalls(handler: Handler) -> None:
    time.sleep(3)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    handler = type("OneHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.endpoint = Endpoint(f"http://127.0.0.1:{server.server_address[1]}/v1", [])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler.endpoint
    server.shutdown()
    server.server_close()


def ask(
    endpoint: Endpoint, *replies: Reply, model: str = "some-model", timeout_s: float = 10
) -> Any:
    endpoint.replies[:] = replies
    reader = OpenAIReader(model, base_url=endpoint.url, api_key=KEY, timeout_s=timeout_s)
    pages = tuple(render_pages(TEXT, RenderConfig(page_height_pt=200)))
    return reader.answer(Request("What colour is the lamp?", pages)), pages


def failure(endpoint: Endpoint, *replies: Reply, **options: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        ask(endpoint, *replies, **options)
    assert KEY not in str(raised.value)
    assert "\n" not in str(raised.value)
    return raised.value


def test_pages_go_first_as_the_very_pixels_and_the_question_last(endpoint: Endpoint) -> None:
    answer, pages = ask(endpoint, says("It is ", "green."))
    assert (answer.text, answer.reader) == ("It is green.", "openai:some-model")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (700, 3)
    (body,) = endpoint.bodies
    parts = [part for message in body["messages"] for part in message["content"]]
    parts = [part for part in parts if isinstance(part, dict)]
    images = [part for part in parts if part["type"] == "image_url"]
    assert len(images) == len(pages) > 1
    for part, page in zip(images, pages, strict=True):
        png = base64.b64decode(part["image_url"]["url"].removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(png)) as image:
            assert (np.asarray(image.convert("L")) == page.gray()).all()
    assert parts[-1]["type"] == "text"
    assert "What colour is the lamp?" in parts[-1]["text"]
    assert "green" not in json.dumps([part for part in parts if part["type"] == "text"])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_refusal_is_one_sentence_and_is_not_tried_again(endpoint: Endpoint, status: int) -> None:
    error = failure(endpoint, refuses(status))
    assert error.status == status
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again_before_the_first_byte(
    endpoint: Endpoint, status: int
) -> None:
    answer, _ = ask(endpoint, refuses(status, {"Retry-After": "0"}), says("green"))
    assert answer.text == "green"
    assert len(endpoint.bodies) == 2


def test_it_gives_up_in_the_end(endpoint: Endpoint) -> None:
    error = failure(endpoint, refuses(429, {"Retry-After": "0"}))
    assert error.status == 429
    assert len(endpoint.bodies) == 3


@pytest.mark.parametrize("fault", [breaks_off, talks_nonsense])
def test_an_answer_that_breaks_is_never_asked_for_twice(endpoint: Endpoint, fault: Reply) -> None:
    failure(endpoint, fault, says("green"))
    assert len(endpoint.bodies) == 1


def test_silence_ends_after_the_time_allowed(endpoint: Endpoint) -> None:
    began = time.monotonic()
    failure(endpoint, stalls, timeout_s=0.3)
    assert time.monotonic() - began < 20


def test_nobody_at_home_is_told_with_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    reader = OpenAIReader("m", base_url=f"http://127.0.0.1:{port}/v1", timeout_s=2)
    (page,) = render_pages("a b", RenderConfig())
    with pytest.raises(ReaderError, match=rf"127\.0\.0\.1:{port}"):
        reader.answer(Request("?", (page,)))


def test_more_pages_than_the_model_takes_are_refused_before_sending(endpoint: Endpoint) -> None:
    endpoint.replies[:] = [says("green")]
    reader = OpenAIReader("claude-sonnet-4.5", base_url=endpoint.url, api_key=KEY)
    (page,) = render_pages("a b", RenderConfig())
    with pytest.raises(BudgetError, match="100"):
        reader.answer(Request("?", (page,) * 101))
    assert endpoint.bodies == []
