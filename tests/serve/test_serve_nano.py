"""The whole chain offline: an OpenAI client, the gateway, pages, and the reader of the package."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import openai
import pytest

KEY, VALUE = "455ac762-7428-4656-b3ee-4d3b5a104129", "1ee34dc4-3b04-4a8b-805b-fdc94e7ed827"
PROSE = "It was the custom of the house to light every lamp in the long gallery at dusk. "
QUESTION = f"What is the special magic uuid for {KEY} mentioned in the provided text?"
TEXT = f"{PROSE * 60}\nOne of the special magic uuids for {KEY} is: {VALUE}.\n{PROSE * 60}"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "glyph", "serve", "--reader", "nano", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz", process)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
        else:
            return
    pytest.fail("the gateway did not come up")


@pytest.mark.parametrize("stream", [False, True])
def test_an_exact_string_comes_back_through_pages(base_url: str, stream: bool):
    client = openai.OpenAI(base_url=base_url, api_key="none", timeout=60)
    messages = [{"role": "user", "content": f"{TEXT}\n\n{QUESTION}"}]
    raw = client.chat.completions.with_raw_response.create(
        model="nano", messages=messages, stream=stream
    )
    assert raw.headers["x-glyph-action"] == "compressed"
    assert float(raw.headers["x-glyph-ratio"]) > 2.5
    reply = raw.parse()
    if stream:
        said = "".join(chunk.choices[0].delta.content or "" for chunk in reply if chunk.choices)
    else:
        said = reply.choices[0].message.content
    assert said == VALUE
