"""A chat endpoint on loopback that speaks both protocols, and plays the faults of real ones."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["Handler"], None]


@dataclass
class Served:
    """A server with one reply for each request to come; the last one repeats."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Records each request and sends the next reply."""

    served: Served

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.served.bodies.append(body)
        replies = self.served.replies
        (replies.pop(0) if len(replies) > 1 else replies[0])(self)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    @property
    def is_anthropic(self) -> bool:
        return self.path.endswith("/messages")

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def completion(text: str, *, finish: str = "stop", refusal: str | None = None) -> bytes:
    message = {"role": "assistant", "content": None if refusal else text, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    usage = {"prompt_tokens": 900, "completion_tokens": 80, "total_tokens": 980}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
         "usage": usage}
    ).encode()  # fmt: skip


def message(content: list[dict[str, Any]], stop: str = "tool_use") -> bytes:
    return json.dumps(
        {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": content,
         "stop_reason": stop, "stop_sequence": None,
         "usage": {"input_tokens": 900, "output_tokens": 80}}
    ).encode()  # fmt: skip


def answers(values: Any) -> Reply:
    def reply(handler: Handler) -> None:
        if handler.is_anthropic:
            block = {"type": "tool_use", "id": "t", "name": "answer", "input": values}
            handler.send(200, message([block]))
        else:
            handler.send(200, completion(json.dumps(values)))

    return reply


def says(text: str, finish: str = "stop") -> Reply:
    def reply(handler: Handler) -> None:
        if handler.is_anthropic:
            stop = "max_tokens" if finish == "length" else "end_turn"
            handler.send(200, message([{"type": "text", "text": text}], stop))
        else:
            handler.send(200, completion(text, finish=finish))

    return reply


def declines(handler: Handler) -> None:
    if handler.is_anthropic:
        handler.send(200, message([], "refusal"))
    else:
        handler.send(200, completion("", refusal="I cannot help with typography."))


def refuses(status: int, headers: dict[str, str] | None = None) -> Reply:
    def reply(handler: Handler) -> None:
        body = {"type": "error", "error": {"type": "some_error", "message": f"no: {status}"}}
        handler.send(status, json.dumps(body).encode(), headers)

    return reply


def is_slow(seconds: float) -> Reply:
    def reply(handler: Handler) -> None:
        time.sleep(seconds)

    return reply


def drips(handler: Handler) -> None:
    """Send a byte now and then, which no timeout between bytes ever ends."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    try:
        for _ in range(40):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        return


def cuts_off(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "1", "choices": [{"ind')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def hangs_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def sends_bytes(body: bytes) -> Reply:
    return lambda handler: handler.send(200, body)


@contextmanager
def serving() -> Iterator[Served]:
    """Serve on a free port until left."""
    handler = type("OneHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.served = Served(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield handler.served
    server.shutdown()
    server.server_close()
