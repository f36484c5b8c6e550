"""The SDKs of OpenAI and Anthropic, unmodified, through a gateway to a real upstream."""

import json
import threading
import time

import anthropic
import httpx2
import openai
import pytest

from conftest import LONG, QUESTION
from glyph.serve.rules import Rules

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def openai_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="sk-mine", max_retries=0, timeout=60)


def anthropic_client(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="sk-mine", max_retries=0, timeout=60)


def message(text: str = f"{LONG}\n\n{QUESTION}") -> list[dict]:
    return [{"role": "user", "content": text}]


def test_chat_long_texts_arrive_as_pages_and_headers_and_usage_say_so(chain):
    client = openai_client(chain.url)
    raw = client.chat.completions.with_raw_response.create(model="m", messages=message())
    completion = raw.parse()
    assert raw.headers["x-glyph-action"] == "compressed"
    assert float(raw.headers["x-glyph-ratio"]) > 1.5
    usage = completion.usage.model_extra["glyph"]
    assert usage["pages"] == int(raw.headers["x-glyph-pages"]) > 0
    assert usage["original_tokens"] > usage["page_tokens"] > 0
    assert completion.choices[0].message.content == f"{usage['pages']} pages"
    content = chain.upstream.last["messages"][0]["content"]
    assert content[-1]["text"].endswith(QUESTION)
    assert chain.upstream.headers[-1]["authorization"] == "Bearer sk-mine"
    assert not any(name.startswith("x-glyph") for name in chain.upstream.headers[-1])


def test_chat_streams_arrive_whole_with_usage(chain):
    stream = openai_client(chain.url).chat.completions.create(
        model="m", messages=message(), stream=True
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two thrée"
    assert chunks[-1].usage.model_extra["glyph"]["action"] == "compressed"


def test_a_stream_arrives_piece_by_piece(chain):
    moments = []
    for _ in openai_client(chain.url).chat.completions.create(
        model="m@@slow", messages=message(), stream=True
    ):
        moments.append(time.perf_counter())
    assert moments[2] - moments[0] > 0.25


def test_short_requests_pass_byte_for_byte(chain):
    body = b'{ "model":"m", "messages" : [{"role":"user","content":"hi"}], "seed":1.0}'
    answer = httpx2.post(f"{chain.url}/v1/chat/completions", content=body)
    assert chain.upstream.bodies[-1] == body
    assert answer.headers["x-glyph-action"] == "passed"
    assert answer.headers["x-glyph-reason"] == "short"
    assert answer.headers["x-glyph-ratio"] == "1.00"
    assert "glyph" not in answer.json()["usage"]


def test_parallel_tool_calls_and_their_results_go_both_ways(chain):
    client = openai_client(chain.url)
    first = client.chat.completions.create(model="m", messages=message("Weather?"), tools=TOOLS)
    calls = first.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Oslo", "Bergen"]
    results = [{"role": "tool", "tool_call_id": call.id, "content": LONG} for call in calls]
    conversation = [*message("Weather?"), first.choices[0].message, *results]
    client.chat.completions.create(model="m", messages=conversation, tools=TOOLS)
    sent = chain.upstream.last
    assert sent["tools"] == TOOLS
    assert [m["role"] for m in sent["messages"]] == [
        "user", "assistant", "tool", "tool", "user", "user"
    ]  # fmt: skip
    assert [c["id"] for c in sent["messages"][1]["tool_calls"]] == ["call_0", "call_1"]


def test_responses_whole_and_typed(chain):
    raw = openai_client(chain.url).responses.with_raw_response.create(
        model="m", input=f"{LONG}\n\n{QUESTION}"
    )
    assert raw.headers["x-glyph-action"] == "compressed"
    response = raw.parse()
    assert response.usage.model_extra["glyph"]["pages"] > 0
    content = chain.upstream.last["input"][0]["content"]
    assert content[2]["type"] == "input_image"


def test_messages_whole_and_streamed(chain):
    client = anthropic_client(chain.url)
    answer = client.messages.create(model="m", max_tokens=9, messages=message())
    pages = answer.usage.model_extra["glyph"]["pages"]
    assert answer.content[0].text == f"{pages} pages"
    assert "Bearer sk-mine" in chain.upstream.headers[-1].values()
    with client.messages.stream(model="m", max_tokens=9, messages=message()) as stream:
        final = stream.get_final_message()
    assert final.content[0].text == "hello"
    assert final.usage.model_extra["glyph"]["pages"] == pages


def test_other_paths_and_errors_of_the_upstream_pass(chain):
    client = openai_client(chain.url)
    assert [model.id for model in client.models.list()] == ["m"]
    with pytest.raises(openai.RateLimitError, match="said no"):
        client.chat.completions.create(model="m@@status-429", messages=message())
    with pytest.raises(anthropic.RateLimitError, match="said no"):
        anthropic_client(chain.url).messages.create(
            model="m@@status-429", max_tokens=9, messages=message()
        )


def test_refused_pages_fall_back_to_the_text_once(chain):
    before = len(chain.upstream.bodies)
    raw = openai_client(chain.url).chat.completions.with_raw_response.create(
        model="m@@no-images", messages=message()
    )
    assert raw.headers["x-glyph-action"] == "fallback"
    assert raw.headers["x-glyph-reason"] == "upstream-400"
    assert len(chain.upstream.bodies) == before + 2
    assert chain.upstream.last["messages"] == message()


def test_clients_may_switch_pages_off_or_only_ask_what_would_happen(chain):
    client = openai_client(chain.url)
    for mode, action in (("off", "passed"), ("dry-run", "dry-run")):
        raw = client.chat.completions.with_raw_response.create(
            model="m", messages=message(), extra_headers={"x-glyph": mode}
        )
        assert raw.headers["x-glyph-action"] == action
        assert chain.upstream.last["messages"] == message()
    assert raw.parse().usage.model_extra["glyph"]["pages"] > 0


def test_when_the_client_leaves_the_upstream_is_cancelled(chain):
    stream = openai_client(chain.url).chat.completions.create(
        model="m@@stalls", messages=message(), stream=True
    )
    next(iter(stream))
    stream.close()
    assert chain.upstream.left.wait(5)


def test_a_model_without_a_rule_or_found_unreadable_gets_text(make_chain):
    from glyph.serve.gateway import Legibility

    unknown = make_chain(rules=Rules())
    raw = openai_client(unknown.url).chat.completions.with_raw_response.create(
        model="my-own", messages=message()
    )
    assert raw.headers["x-glyph-reason"] == "unknown-model"
    blind = make_chain(legibility=Legibility({"glm-4.1v": 0.4}))
    raw = openai_client(blind.url).chat.completions.with_raw_response.create(
        model="m", messages=message()
    )
    assert raw.headers["x-glyph-reason"] == "unreadable"


def test_health_and_metrics(chain):
    openai_client(chain.url).chat.completions.create(model="m", messages=message())
    assert httpx2.get(f"{chain.url}/healthz").status_code == 200
    metrics = httpx2.get(f"{chain.url}/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'glyph_requests_total{action="compressed",status="200",wire="chat"}' in metrics.text
    assert 'glyph_page_cache_total{event="memory"}' in metrics.text


# -- faults ----------------------------------------------------------------------------------


def test_a_stream_that_dies_ends_with_an_error_the_sdks_raise(chain):
    stream = openai_client(chain.url).chat.completions.create(
        model="m@@dies", messages=message(), stream=True
    )
    with pytest.raises(openai.APIError, match="broke off"):
        list(stream)
    client = anthropic_client(chain.url)
    with (
        pytest.raises(anthropic.APIStatusError, match="broke off"),
        client.messages.stream(model="m@@dies", max_tokens=9, messages=message()) as events,
    ):
        events.get_final_message()
    test_short_requests_pass_byte_for_byte(chain)


def test_a_stalling_upstream_is_told_and_an_absent_one_too(make_chain):
    slow = make_chain(idle_s=0.5)
    stream = openai_client(slow.url).chat.completions.create(
        model="m@@stalls", messages=message(), stream=True
    )
    with pytest.raises(openai.APIError, match="fell silent for"):
        list(stream)
    absent = make_chain(url="http://127.0.0.1:9")
    with pytest.raises(openai.InternalServerError, match="refuses connections"):
        openai_client(absent.url).chat.completions.create(model="m", messages=message())


def test_garbage_from_the_upstream_passes_as_it_is(chain):
    body = json.dumps({"model": "m@@garbage", "messages": message()}).encode()
    answer = httpx2.post(f"{chain.url}/v1/chat/completions", content=body)
    assert answer.content == b"\x00\xff<html>"
    assert answer.headers["x-glyph-action"] == "compressed"


def test_many_streams_at_once_lose_no_byte(chain):
    found, threads = [], []

    def stream() -> None:
        body = json.dumps({"model": "m@@slow", "stream": True, "messages": message("hi")})
        url = f"{chain.url}/v1/chat/completions"
        with httpx2.stream("POST", url, content=body, timeout=60) as answer:
            found.append(b"".join(answer.iter_raw()))

    for _ in range(40):
        threads.append(threading.Thread(target=stream))
        threads[-1].start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 40
    assert len(set(found)) == 1
    assert found[0].endswith(b"data: [DONE]\n\n")
