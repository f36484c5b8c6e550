"""The whole chain offline: an OpenAI client, the gateway, pages, and the reader of the package."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import anthropic
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
    command = [sys.executable, "-m", "glyph", "serve", "--reader", "nano", "--port", str(port),
               "--no-playground"]  # fmt: skip
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


CONTENT = f"{TEXT}\n\n{QUESTION}"


def openai_client(base_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key="none", timeout=60, max_retries=0)


@pytest.mark.parametrize("stream", [False, True])
def test_responses_answer_whole_and_streamed(base_url: str, stream: bool):
    client = openai_client(base_url)
    if stream:
        with client.responses.stream(model="nano", input=CONTENT) as events:
            kinds = [event.type for event in events]
            response = events.get_final_response()
        assert kinds[0] == "response.created"
        assert "response.output_text.delta" in kinds
    else:
        response = client.responses.create(model="nano", input=CONTENT)
    assert response.output_text == VALUE
    assert response.usage.model_extra["glyph"]["action"] == "compressed"


@pytest.mark.parametrize("stream", [False, True])
def test_messages_answer_whole_and_streamed(base_url: str, stream: bool):
    client = anthropic.Anthropic(base_url=base_url.removesuffix("/v1"), api_key="none", timeout=60)
    options = {
        "model": "nano",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": CONTENT}],
    }
    if stream:
        with client.messages.stream(**options) as events:
            message = events.get_final_message()
    else:
        message = client.messages.create(**options)
    assert message.content[0].text == VALUE
    assert message.stop_reason == "end_turn"


def test_parallel_results_of_tools_are_read_for_the_users_question(base_url: str):
    client = openai_client(base_url)
    calls = [{"id": f"c{i}", "type": "function", "function": {"name": "load", "arguments": "{}"}}
             for i in range(2)]  # fmt: skip
    messages = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c0", "content": PROSE * 80},
        {"role": "tool", "tool_call_id": "c1", "content": TEXT},
    ]
    tools = [{"type": "function", "function": {"name": "load", "parameters": {"type": "object"}}}]
    raw = client.chat.completions.with_raw_response.create(
        model="nano", messages=messages, tools=tools, parallel_tool_calls=True
    )
    glyph = raw.parse().usage.model_extra["glyph"]
    assert [text["kind"] for text in glyph["texts"]] == ["tool", "tool"]
    assert glyph["pages"] >= 2
    assert raw.parse().choices[0].message.content == VALUE
    claude = anthropic.Anthropic(base_url=base_url.removesuffix("/v1"), api_key="none", timeout=60)
    blocks = [{"type": "tool_use", "id": f"t{i}", "name": "load", "input": {}} for i in range(2)]
    results = [
        {"type": "tool_result", "tool_use_id": f"t{i}", "content": text}
        for i, text in enumerate((PROSE * 80, TEXT))
    ]
    answer = claude.messages.create(
        model="nano",
        max_tokens=99,
        tools=[{"name": "load", "input_schema": {"type": "object"}}],
        messages=[
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": blocks},
            {"role": "user", "content": results},
        ],
    )
    assert answer.content[0].text == VALUE


def test_errors_are_those_of_the_sdks(base_url: str):
    client = openai_client(base_url)
    with pytest.raises(openai.BadRequestError, match="asks nothing"):
        client.chat.completions.create(model="nano", messages=[{"role": "user", "content": ""}])
    with pytest.raises(openai.NotFoundError, match="not served by a reader"):
        client.files.list()
    far = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}
    with pytest.raises(openai.BadRequestError, match="none is fetched"):
        client.chat.completions.create(
            model="nano",
            messages=[{"role": "user", "content": [far, {"type": "text", "text": "Why?"}]}],
        )
    claude = anthropic.Anthropic(base_url=base_url.removesuffix("/v1"), api_key="none", timeout=60)
    with pytest.raises(anthropic.BadRequestError, match="asks nothing"):
        claude.messages.create(
            model="nano", max_tokens=9, messages=[{"role": "assistant", "content": "So."}]
        )


def test_a_client_that_leaves_frees_the_reader(base_url: str):
    client = openai_client(base_url)
    # Long enough to be still read when its client is gone.
    text = f"{PROSE * 1_000}\n\n{QUESTION}"
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(
            model="nano", messages=[{"role": "user", "content": text}]
        )
    answer = client.chat.completions.create(
        model="nano", messages=[{"role": "user", "content": CONTENT}]
    )
    assert answer.choices[0].message.content == VALUE
    assert json.loads(answer.to_json())["object"] == "chat.completion"
