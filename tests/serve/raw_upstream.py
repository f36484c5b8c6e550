"""An upstream of bare sockets that breaks the protocol in every way, named in the model's name."""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator

OK = b'{"choices": [], "content": [], "output": [], "usage": {"prompt_tokens": 1}}'
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
EVENT_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "hello"}}]}\n\n'


class RawUpstream:
    """Counts its calls, and notes when a client of it is gone."""

    def __init__(self) -> None:
        self.num_calls = 0
        self.num_sent = 0
        self.is_left = threading.Event()
        self.is_asked = threading.Event()
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; a thread that waits for a connection would still take one."""
        self._stop.set()
        with contextlib.suppress(OSError):  # where it wakes nobody, a connection does
            self._listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), timeout=1).close()
        self._thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while body := _request(connection):
                self.num_calls += 1
                self.is_asked.set()
                mode = json.loads(body).get("model", "").partition("@@")[2]
                if not self._answer(connection, mode or "ok"):
                    return

    def _answer(self, connection: socket.socket, mode: str) -> bool:
        """Answer, and say whether the connection stays open."""
        if mode == "ok":
            connection.sendall(JSON_HEAD + b"content-length: %d\r\n\r\n%s" % (len(OK), OK))
            return True
        if mode == "closes":
            return False
        if mode == "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return False
        parts = {
            "garbage": b"\x00\xff this is no HTTP\r\n\r\n",
            "half-head": b"HTTP/1.1 200 OK\r\ncontent-ty",
            "big-head": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
            "short-json": JSON_HEAD + b"content-length: 1000\r\n\r\n" + OK[:20],
            "bad-chunk": EVENT_HEAD + b"zz\r\n" + EVENT,
            "dies-in-event": EVENT_HEAD + b"%x\r\n" % (len(EVENT) + 9) + EVENT + b'data: {"a',
        }
        if mode in parts:
            connection.sendall(parts[mode])
            return False
        if mode == "endless":
            connection.sendall(JSON_HEAD + b"\r\n")
            while True:
                connection.sendall(b"x" * 65_536)
        if mode == "floods":
            block = EVENT * 1_000
            connection.sendall(EVENT_HEAD)
            while True:
                connection.sendall(b"%x\r\n%s\r\n" % (len(block), block))
                self.num_sent += len(block)
        if mode == "stalls-in-stream":
            connection.sendall(EVENT_HEAD + b"%x\r\n%s\r\n" % (len(EVENT), EVENT))
        if mode == "redirects":
            head = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/inside\r\n"
            connection.sendall(head + b"content-length: 0\r\n\r\n")
            return True
        # Silence, until the gateway leaves.
        connection.settimeout(30)
        if connection.recv(1) == b"":
            self.is_left.set()
        return False


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65_536)
    return body or b"{}"


@contextlib.contextmanager
def raw_upstream() -> Iterator[RawUpstream]:
    upstream = RawUpstream()
    try:
        yield upstream
    finally:
        upstream.close()
