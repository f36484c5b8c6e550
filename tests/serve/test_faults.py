"""Whatever goes wrong, a client gets a correct error or answer, and the next request works."""

import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from processes import Process, free_port
from raw_upstream import RawUpstream, raw_upstream

from conftest import LONG, QUESTION, Chain

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
IDLE_S = 2.0
MAX_BODY_BYTES = 1_000_000
Pair = tuple[Chain, RawUpstream]


@pytest.fixture(scope="module")
def pair(make_chain: Callable[..., Chain]) -> Iterator[Pair]:
    with raw_upstream() as upstream:
        yield (
            make_chain(url=upstream.url, idle_s=IDLE_S, max_body_bytes=MAX_BODY_BYTES),
            upstream,
        )


def body_of(mode: str, wire: str = "chat", *, stream: bool = False, text: str = "hi") -> bytes:
    key = "input" if wire == "responses" else "messages"
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": f"m@@{mode}", key: messages, "stream": stream}).encode()


def post(url: str, body: bytes, wire: str = "chat") -> httpx2.Response:
    return httpx2.post(f"{url}{PATHS[wire]}", content=body, timeout=30)


def the_next_request_works(url: str) -> None:
    answer = post(url, body_of("ok"))
    assert answer.status_code == 200
    assert answer.json()["usage"]["prompt_tokens"] == 1


def wires_of(mode: str) -> list[str]:
    """All wire formats; one where each of them would have to be waited for."""
    return ["chat"] if "stalls" in mode else list(PATHS)


def error_of(answer: httpx2.Response, wire: str) -> str:
    values = answer.json()
    if wire == "messages":
        assert values["type"] == "error"
    return values["error"]["message"]


@pytest.mark.parametrize("text", ["hi", f"{LONG}\n\n{QUESTION}"], ids=["passed", "pages"])
@pytest.mark.parametrize(
    ("mode", "status", "words"),
    [
        ("closes", 502, "closed the connection before it answered"),
        ("resets", 502, "closed the connection before it answered"),
        ("garbage", 502, "no HTTP answer"),
        ("half-head", 502, "closed the connection before it answered"),
        ("big-head", 502, "no HTTP answer"),
        ("stalls", 504, "gave no answer within 2 s"),
    ],
)
def test_before_the_first_byte_faults_have_a_status_and_words(
    pair: Pair, mode: str, status: int, words: str, text: str
):
    chain, _ = pair
    for wire in wires_of(mode):
        answer = post(chain.url, body_of(mode, wire, text=text), wire)
        assert answer.status_code == status
        assert words in error_of(answer, wire)
    the_next_request_works(chain.url)


@pytest.mark.parametrize("text", ["hi", f"{LONG}\n\n{QUESTION}"], ids=["passed", "pages"])
@pytest.mark.parametrize("mode", ["dies-in-event", "bad-chunk", "stalls-in-stream"])
def test_a_stream_that_breaks_ends_with_an_error_event(pair: Pair, mode: str, text: str):
    chain, _ = pair
    for wire in wires_of(mode):
        answer = post(chain.url, body_of(mode, wire, stream=True, text=text), wire)
        if answer.status_code != 200:
            # Nothing had been sent, so there is a better place to say it.
            assert mode == "bad-chunk"
            assert re.search("no HTTP answer|broke off", error_of(answer, wire))
            continue
        *_, last = [event for event in answer.text.split("\n\n") if event.strip()]
        data = json.loads(last.partition("data: ")[2])
        said = data["message"] if wire == "responses" else data["error"]["message"]
        assert ("fell silent for 2 s" if "stalls" in mode else "broke off") in said
    the_next_request_works(chain.url)


@pytest.mark.parametrize("mode", ["short-json", "endless"])
def test_an_answer_that_breaks_off_or_never_ends_is_no_answer(pair: Pair, mode: str):
    chain, _ = pair
    answer = post(chain.url, body_of(mode, text=f"{LONG}\n\n{QUESTION}"))
    assert answer.status_code == 502
    if mode == "short-json":
        with pytest.raises(httpx2.RemoteProtocolError):
            post(chain.url, body_of(mode))
    the_next_request_works(chain.url)


def test_nobody_listens_and_then_somebody_does(make_chain: Callable[..., Chain]):
    with raw_upstream() as upstream:
        port = int(upstream.url.rpartition(":")[2])
    chain = make_chain(url=upstream.url)
    answer = post(chain.url, body_of("ok"))
    assert answer.status_code == 502
    assert "refuses connections; is it up?" in answer.json()["error"]["message"]
    with socket.create_server(("127.0.0.1", port)) as listener:

        def answer_once() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as request:
                # Closing before all has been read would reset the connection.
                length = 0
                for line in iter(request.readline, b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                request.read(length)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

        thread = threading.Thread(target=answer_once)
        thread.start()
        assert post(chain.url, body_of("ok")).content == b"{}"
        thread.join(10)


@pytest.mark.parametrize("mode", ["stalls", "stalls-in-stream"])
def test_a_client_that_leaves_takes_the_upstream_with_it(
    make_chain: Callable[..., Chain], mode: str
):
    with raw_upstream() as upstream:
        chain = make_chain(url=upstream.url, idle_s=60)
        body = body_of(mode, stream=True)
        port = int(chain.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client:
            head = f"POST {PATHS['chat']} HTTP/1.1\r\nhost: localhost\r\n"
            client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            assert upstream.is_asked.wait(10)
            if mode == "stalls-in-stream":
                assert client.recv(10) == b"HTTP/1.1 2"
        assert upstream.is_left.wait(10)
        the_next_request_works(chain.url)


@pytest.mark.parametrize("text", ["hi", f"{LONG}\n\n{QUESTION}"], ids=["passed", "pages"])
def test_a_client_that_does_not_read_slows_the_upstream_down(
    make_chain: Callable[..., Chain], text: str
):
    with raw_upstream() as upstream:
        chain = make_chain(url=upstream.url)
        body = body_of("floods", stream=True, text=text)
        port = int(chain.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client:
            head = f"POST {PATHS['chat']} HTTP/1.1\r\nhost: localhost\r\n"
            client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            assert client.recv(10) == b"HTTP/1.1 2"
            sent = -1
            while sent < upstream.num_sent:
                sent = upstream.num_sent
                time.sleep(0.5)
            # Buffers of two sockets are full, and nothing else is.
            assert 0 < sent < 24 * 2**20
        the_next_request_works(chain.url)


def test_a_client_that_leaves_within_its_request_reaches_no_upstream(pair: Pair):
    chain, upstream = pair
    before = upstream.num_calls
    port = int(chain.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        head = f"POST {PATHS['chat']} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n"
        client.sendall(head.encode() + b'{"model": "m@@ok"')
    the_next_request_works(chain.url)
    assert upstream.num_calls == before + 1


def test_a_redirect_is_the_clients_to_follow(pair: Pair):
    chain, _ = pair
    answer = httpx2.post(
        f"{chain.url}{PATHS['chat']}", content=body_of("redirects"), follow_redirects=False
    )
    assert answer.status_code == 302
    assert answer.headers["location"] == "http://127.0.0.1:1/inside"


def test_images_urls_and_proxies_are_never_fetched(
    make_chain: Callable[..., Chain], monkeypatch: pytest.MonkeyPatch
):
    with raw_upstream() as upstream, raw_upstream() as trap:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, trap.url)
        chain = make_chain(url=upstream.url)
        parts = [
            {"type": "image_url", "image_url": {"url": f"{trap.url}/secret.png"}},
            {"type": "text", "text": LONG},
            {"type": "text", "text": QUESTION},
        ]
        messages = [{"role": "user", "content": parts}]
        body = json.dumps({"model": "m@@ok", "messages": messages}).encode()
        answer = httpx2.post(f"{chain.url}{PATHS['chat']}", content=body, trust_env=False)
        assert answer.headers["x-glyph-action"] == "compressed"
        assert (upstream.num_calls, trap.num_calls) == (1, 0)


# -- disk, and the end of the process --------------------------------------------------------


def test_a_damaged_disk_cache_costs_no_answer(make_chain: Callable[..., Chain], tmp_path: Path):
    with raw_upstream() as upstream:
        body = body_of("ok", text=f"{LONG}\n\n{QUESTION}")
        make = {"url": upstream.url, "cache": tmp_path}
        assert post(make_chain(**make).url, body).headers["x-glyph-action"] == "compressed"
        (file,) = tmp_path.glob("??/*.pages")
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        chain = make_chain(**make)
        assert post(chain.url, body).headers["x-glyph-action"] == "compressed"
        metrics = httpx2.get(f"{chain.url}/metrics").text
        assert 'glyph_page_cache_total{event="disk-corrupt"} 1.0' in metrics
        assert file.read_bytes() == whole


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_killed_at_once_and_started_again_on_a_disk_that_is_full(tmp_path: Path):
    port, pages = free_port(), body_of("ok", text=f"{LONG}\n\n{QUESTION}")
    with raw_upstream() as upstream, ThreadPoolExecutor(6) as pool:
        gateway = Process(upstream.url, port, "--cache", str(tmp_path))
        assert post(gateway.url, pages).headers["x-glyph-action"] == "compressed"
        others = [body_of("ok", text=f"{i} {LONG * 4}\n\n{QUESTION}") for i in range(3)]
        waiting = [pool.submit(post, gateway.url, body) for body in others]
        waiting += [pool.submit(post, gateway.url, body_of("stalls", stream=True))]
        time.sleep(0.3)
        workers = gateway.workers()
        os.kill(gateway.process.pid, signal.SIGKILL)
        gateway.process.wait(10)
        for each in waiting:
            error = each.exception(timeout=30)
            # An answer that was there before the end is an answer.
            assert error is None or isinstance(error, httpx2.TransportError)
        assert isinstance(waiting[-1].exception(), httpx2.TransportError)
        wait_until_gone(workers)

        def no_large_files() -> None:
            import resource  # not on every system

            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

        again = Process(upstream.url, port, "--cache", str(tmp_path), preexec_fn=no_large_files)
        try:
            # Those may all have been written before the end; the pages of this text are new.
            new = body_of("ok", text=f"{LONG.replace('garden', 'orchard') * 4}\n\n{QUESTION}")
            for body in (pages, *others, new):
                assert post(again.url, body).headers["x-glyph-action"] == "compressed"
            metrics = httpx2.get(f"{again.url}/metrics").text
            assert 'glyph_page_cache_total{event="disk"}' in metrics
            assert 'glyph_page_cache_total{event="disk-error"}' in metrics
            assert "disk-corrupt" not in metrics
            assert not list(tmp_path.rglob("*.tmp"))
        finally:
            again.process.terminate()
            assert again.process.wait(40) == 0 or again.process.returncode in (143, -15)


def wait_until_gone(pids: list[int]) -> None:
    assert pids
    for _ in range(100):
        if not any(is_running(pid) for pid in pids):
            return
        time.sleep(0.1)
    pytest.fail("workers outlive their gateway")


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False
