"""The judge against a real endpoint on loopback, right, wrong, slow and down."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from glyph.errors import ConfigError
from glyph.train.config import RewardsConfig
from glyph.train.judge import PAUSE_AFTER, PAUSE_S, Judge
from glyph.train.rewards import judge_reward

Reply = Callable[[str], tuple[int, str]]


@contextmanager
def endpoint(reply: Reply) -> Iterator[tuple[str, list[str]]]:
    """Serve Chat Completions; give the address and the questions asked so far."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            asked.append(json.loads(self.rfile.read(length))["messages"][0]["content"])
            status, text = reply(asked[-1])
            message = {"role": "assistant", "content": text}
            body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
            body["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()


def _judge(url: str, **more: float) -> Judge:
    settings = {"judge_timeout_s": 5.0, "judge_retries": 0, **more}
    return Judge(RewardsConfig(judge_url=url, judge_model="m", **settings))


def _reply(prompt: str) -> tuple[int, str]:
    return 200, "CORRECT" if "Answer:\n7\n" in prompt else "INCORRECT"


def test_a_judge_says_of_each_answer_what_its_endpoint_says():
    with endpoint(_reply) as (url, asked):
        words = _judge(url).verdicts([("How many?", ["7"], "7"), ("How many?", ["7"], "8")])
    assert [judge_reward(one) for one in words] == [1.0, 0.0]
    assert all("Reference:\n- 7" in prompt for prompt in asked)


def test_an_endpoint_that_fails_gives_no_verdict():
    with endpoint(lambda _: (500, "")) as (url, _):
        judge = _judge(url)
        assert judge.verdict("How many?", ["7"], "7") is None
    assert judge.num_failed == 1


def test_an_endpoint_that_is_slow_gives_no_verdict_in_time():
    def sleepy(_: str) -> tuple[int, str]:
        time.sleep(1.0)
        return 200, "CORRECT"

    with endpoint(sleepy) as (url, _):
        assert _judge(url, judge_timeout_s=0.2).verdict("How many?", ["7"], "7") is None


def test_an_endpoint_that_is_down_is_left_alone_for_a_while_and_then_asked_again():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    now = [0.0]
    settings = RewardsConfig(judge_url=url, judge_model="m", judge_retries=0, judge_timeout_s=1.0)
    judge = Judge(settings, clock=lambda: now[0])
    for _ in range(PAUSE_AFTER):
        assert judge.verdict("How many?", ["7"], "7") is None
    begin = time.perf_counter()
    # Ten minutes of a training that goes on: nothing is waited for.
    assert judge.verdicts([("How many?", ["7"], "7")] * 500) == [None] * 500
    assert time.perf_counter() - begin < 5
    assert judge.num_failed == PAUSE_AFTER + 500
    now[0] = PAUSE_S + 1
    assert judge.verdict("How many?", ["7"], "7") is None
    assert judge.num_failed == PAUSE_AFTER + 501


def test_a_judge_without_an_endpoint_says_what_to_set():
    with pytest.raises(ConfigError, match=r"set judge_url and judge_model in .rewards."):
        Judge(RewardsConfig())
