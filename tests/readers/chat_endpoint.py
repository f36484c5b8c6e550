"""A chat endpoint on loopback that keeps what it is sent and plays the faults of real ones."""

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


def sends(status: int, body: bytes, kind: str = "application/json") -> Reply:
    def reply(handler: Handler) -> None:
        handler.begin(status, kind)
        handler.wfile.write(body)

    return reply


def ends_with(reason: str | None, *pieces: str) -> Reply:
    def reply(handler: Handler) -> None:
        handler.begin(200, "text/event-stream")
        for piece in pieces:
            handler.wfile.write(chunk(piece))
        if reason:
            end = json.loads(chunk(None).removeprefix(b"data: "))
            end["choices"][0]["finish_reason"] = reason
            handler.wfile.write(b"data: " + json.dumps(end).encode() + b"\n\n")

    return reply


def cut_in_chunked_transfer(handler: Handler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    piece = chunk("four")
    handler.wfile.write(b"%x\r\n%s\r\n40\r\nhalf a chu" % (len(piece), piece))
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def falls_silent(handler: Handler) -> None:
    handler.begin(200, "text/event-stream")
    handler.wfile.write(chunk("four"))
    handler.wfile.flush()
    time.sleep(2)


def hangs_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving() -> Iterator[Endpoint]:
    """Serve on a free port until left."""
    handler = type("OneHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.endpoint = Endpoint(f"http://127.0.0.1:{server.server_address[1]}/v1", [])
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield handler.endpoint
    server.shutdown()
    server.server_close()
