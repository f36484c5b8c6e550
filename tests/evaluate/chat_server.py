"""A real chat endpoint on loopback, for tests: fast or slow, failing as it is told."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SLOW = 0
"""In place of a status: nothing is said in time."""

Script = Callable[[str, str, int], str | int]
"""From model, question and how often it was asked: an answer, or a status."""


@dataclass
class Server:
    """A chat endpoint whose answer depends on the question alone, after a while."""

    url: str
    delay_s: float = 0.0
    failing_share: float = 0.0
    status: int = 503
    asked: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    answer: str = ""
    script: Script | None = None


def reply_to(question: str) -> str:
    return f"it is {random.Random(question).randint(1_000_000, 9_999_999)}"


class Handler(BaseHTTPRequestHandler):
    server_state: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][0]["content"][-1]["text"]
        state = self.server_state
        with state.lock:
            state.asked[question] += 1
            state.models[body["model"]] += 1
            number = state.asked[question]
        time.sleep(state.delay_s)
        said: str | int = state.answer or reply_to(question)
        if state.script is not None:
            said = state.script(body["model"], question, number)
        elif number == 1 and random.Random("fail" + question).random() < state.failing_share:
            said = state.status
        if said == SLOW:
            time.sleep(1.5)  # longer than the reader waits
            return
        if isinstance(said, int):
            self.send_response(said)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(ConnectionError):  # whoever asked may be gone
            self.wfile.write(b"".join(_chunks(said)))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _chunks(text: str) -> Iterator[bytes]:
    base = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    for delta, reason in (({"content": text}, None), ({}, "stop")):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        yield b"data: " + json.dumps({**base, "choices": [choice]}).encode() + b"\n\n"
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
    yield b"data: " + json.dumps({**base, "choices": [], "usage": usage}).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


@contextmanager
def serving(**state: Any) -> Iterator[Server]:
    handler = type("OneHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.server_state = Server(f"http://127.0.0.1:{server.server_address[1]}/v1", **state)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield handler.server_state
    server.shutdown()
    server.server_close()
