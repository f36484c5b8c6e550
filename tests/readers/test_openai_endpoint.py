"""The OpenAI reader against a real server on loopback that checks what arrives and plays faults."""

import base64
import io
import json
import socket
import time
from typing import Any

import numpy as np
import pytest
from chat_endpoint import (
    Endpoint,
    Handler,
    Reply,
    breaks_off,
    cut_in_chunked_transfer,
    ends_with,
    falls_silent,
    hangs_up,
    refuses,
    says,
    sends,
    stalls,
    talks_nonsense,
)
from PIL import Image

from glyph import (
    BudgetError,
    ConfigError,
    ReaderError,
    RenderConfig,
    Request,
    UpstreamError,
    open_reader,
    render_pages,
)
from glyph.readers.openai import OpenAIReader

KEY = "sk-canary-0123456789"
TEXT = "The lamp is green.\nThe door is 4711.\n" * 40


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


# -- what each failure says ------------------------------------------------------------------

MESSAGES: dict[int, str] = {
    400: "{url} refused the request (400): no: 400; it held {amount}.",
    401: "{url} refused the API key (401); check OPENAI_API_KEY or api_key, and that the key may "
    "use model 'some-model'.",
    403: "{url} refused the API key (403); check OPENAI_API_KEY or api_key, and that the key may "
    "use model 'some-model'.",
    404: "{url} knows no model 'some-model', or the URL is wrong (404): no: 404; check the "
    "model's name and base_url, which mostly ends in /v1.",
    413: "{url} finds the request too large (413): {amount}. Ask about fewer "
    "pages at once, or render smaller ones.",
    429: "{url} limits the rate (429 after 3 attempts): no: 429; try again in 0 s.",
    500: "{url} failed (500 after 3 attempts): no: 500; try again later.",
    503: "{url} failed (503 after 3 attempts): no: 503; try again later.",
}


def amount_sent(endpoint: Endpoint) -> str:
    urls = [
        part["image_url"]["url"]
        for part in endpoint.bodies[0]["messages"][0]["content"]
        if part["type"] == "image_url"
    ]
    num_bytes = sum(len(base64.b64decode(url.partition(",")[2])) for url in urls)
    return f"{len(urls)} pages of {num_bytes / 1000:.0f} kB"


@pytest.mark.parametrize("status", MESSAGES)
def test_each_status_says_what_happened_and_what_to_do(endpoint: Endpoint, status: int) -> None:
    error = failure(endpoint, refuses(status, {"Retry-After": "0"}))
    assert str(error) == MESSAGES[status].format(url=endpoint.url, amount=amount_sent(endpoint))
    assert error.status == status
    assert error.__cause__ is None and error.__suppress_context__


ENDINGS: dict[str, tuple[Reply, str]] = {
    "cut between chunks": (
        cut_in_chunked_transfer,
        "the answer from {url} broke off after 4 characters; ask again.",
    ),
    "no finish reason": (
        ends_with(None, "five!"),
        "the answer from {url} was cut off after 5 characters; ask again.",
    ),
    "silence in the middle": (
        falls_silent,
        "the answer from {url} fell silent for 0.5 s after 4 characters; ask again.",
    ),
    "silence at the start": (
        stalls,
        "no answer from {url} within 0.5 s for {amount}; raise timeout_s, or "
        "ask about fewer pages.",
    ),
    "not JSON": (
        talks_nonsense,
        "{url} sent something that is not JSON after 0 characters of the answer; ask again, or "
        "check the proxy in between.",
    ),
    "a web page": (
        sends(200, b"<html>Welcome</html>", "text/html"),
        "{url} sent no chat completion; check that base_url is the address of an "
        "OpenAI-compatible API, which mostly ends in /v1.",
    ),
    "content filter": (
        ends_with("content_filter"),
        "model 'some-model' was stopped by its content filter; ask another question or another "
        "model.",
    ),
    "all tokens thought away": (
        ends_with("length", "<think>Let me see.</think>"),
        "model 'some-model' used up 512 tokens before it answered; raise max_answer_tokens.",
    ),
    "nothing": (
        ends_with("stop"),
        "model 'some-model' answered with nothing; ask again.",
    ),
    "an error in the stream": (
        sends(200, b'data: {"error": {"message": "out of memory."}}\n\n', "text/event-stream"),
        "{url} reported an error: out of memory.",
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_each_broken_answer_says_how_it_broke(endpoint: Endpoint, name: str) -> None:
    reply, message = ENDINGS[name]
    error = failure(endpoint, reply, timeout_s=0.5)
    assert str(error) == message.format(url=endpoint.url, amount=amount_sent(endpoint))
    assert error.status is None
    assert len(endpoint.bodies) == 1


def test_a_connection_closed_before_the_answer_is_not_tried_again(endpoint: Endpoint) -> None:
    error = failure(endpoint, hangs_up)
    assert str(error).startswith(f"the connection to {endpoint.url} failed before an answer came")
    assert str(error).endswith("; check base_url and the network.")
    assert len(endpoint.bodies) == 1


def test_a_long_wait_is_told_and_not_sat_out(endpoint: Endpoint) -> None:
    error = failure(endpoint, refuses(429, {"Retry-After": "3600"}))
    assert str(error).endswith("(429): no: 429; try again in 3600 s.")
    assert len(endpoint.bodies) == 1


def test_a_spent_quota_is_not_tried_again(endpoint: Endpoint) -> None:
    quota = {"error": {"message": "You have no quota.", "code": "insufficient_quota"}}
    error = failure(endpoint, sends(429, json.dumps(quota).encode()))
    assert "(429): You have no quota; try again later." in str(error)
    assert len(endpoint.bodies) == 1


def test_the_key_is_blanked_out_of_what_the_server_repeats(endpoint: Endpoint) -> None:
    repeated = {"error": {"message": f"bad header: Bearer {KEY} " + "x" * 1000}}
    error = failure(endpoint, sends(400, json.dumps(repeated).encode()))
    assert "Bearer [key]" in str(error)
    assert len(str(error)) < 500


def test_an_error_that_is_no_json_is_quoted_as_it_is(endpoint: Endpoint) -> None:
    error = failure(endpoint, sends(502, b"<h1>Bad\ngateway</h1>", "text/html"))
    assert str(error) == (
        f"{endpoint.url} failed (502 after 3 attempts): <h1>Bad gateway</h1>; try again later."
    )


# -- what is sent, and what comes back -------------------------------------------------------


def test_the_answer_is_handed_on_while_it_arrives(endpoint: Endpoint) -> None:
    pieces: list[str] = []
    endpoint.replies[:] = [says("It ", "is ", "green.")]
    reader = OpenAIReader("m", endpoint.url, KEY, on_text=pieces.append)
    pages = tuple(render_pages(TEXT, RenderConfig()))
    answer = reader.answer(Request("What colour?", pages, 64, sidecar="4711 (door)"))
    assert pieces == ["It ", "is ", "green."]
    assert (answer.pages, answer.box, answer.quote, answer.confidence) == ((0,), None, "", None)
    (body,) = endpoint.bodies
    assert body["max_tokens"] == 64 and "max_completion_tokens" not in body
    assert body["stream"] is True and "temperature" not in body
    lead, image, question = body["messages"][0]["content"]
    assert lead["text"] == "Page 1 of 1 of the document follows as an image."
    assert image["image_url"]["detail"] == "high"
    assert question["text"].startswith("Exact strings from these pages, as text:\n4711 (door)\n\n")
    assert question["text"].endswith("Question: What colour?")


def test_the_key_goes_in_the_header_and_a_server_of_one_s_own_needs_none(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def notes_key(handler: Handler) -> None:
        sent.append(handler.headers["Authorization"])
        says("ok")(handler)

    endpoint.replies[:] = [notes_key]
    pages = tuple(render_pages("a b", RenderConfig()))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    OpenAIReader("m", endpoint.url).answer(Request("?", pages))
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    OpenAIReader("m", endpoint.url).answer(Request("?", pages))
    assert sent == ["Bearer none", f"Bearer {KEY}"]


def test_some_pages_of_a_document_are_named_by_their_numbers(endpoint: Endpoint) -> None:
    endpoint.replies[:] = [says("green")]
    pages = tuple(render_pages(TEXT, RenderConfig(page_height_pt=110)))
    chosen = (pages[1], pages[2], pages[4])
    answer = OpenAIReader("m", endpoint.url, KEY).answer(Request("?", chosen))
    assert answer.pages == (1, 2, 4)
    lead = endpoint.bodies[0]["messages"][0]["content"][0]["text"]
    assert lead == "Pages 2-3, 5 of the document follow as images."


def test_a_page_is_transcribed_line_by_line(endpoint: Endpoint) -> None:
    endpoint.replies[:] = [says("The lamp is green.\n", "\nThe door is 4711.")]
    (page,) = render_pages(TEXT, RenderConfig())
    transcript = OpenAIReader("m", endpoint.url, KEY).transcribe(page)
    assert transcript.text == "The lamp is green.\nThe door is 4711."
    assert all(line.box is None and line.confidence is None for line in transcript.lines)


def test_thoughts_and_marks_are_no_part_of_the_answer(endpoint: Endpoint) -> None:
    answer, _ = ask(endpoint, says("<think>Page 1.</think>", "<answer>green</answer>"))
    assert answer.text == "green"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "reader 'openai' has no API key; set OPENAI_API_KEY, pass api_key, or name your own"),
        ({"base_url": "localhost:8000"}, "base_url is 'localhost:8000'; http://... or https://..."),
        ({"base_url": "ftp://host/v1"}, "base_url is 'ftp://host/v1'; http://... or https://..."),
        ({"api_key": "кey"}, "api_key holds characters that no key has; copy it again."),
        ({"api_key": "k", "timeout_s": 0}, "timeout_s is 0; seconds above 0 are accepted."),
    ],
)
def test_a_reader_that_cannot_work_is_refused_when_it_is_opened(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigError) as raised:
        open_reader("openai:m", **options)
    assert message in str(raised.value)


def test_a_password_in_the_url_is_not_shown() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    reader = OpenAIReader("m", f"http://user:secret@127.0.0.1:{port}/v1", KEY)
    (page,) = render_pages("a b", RenderConfig())
    with pytest.raises(UpstreamError) as raised:
        reader.answer(Request("?", (page,)))
    assert str(raised.value) == (
        f"nothing listens at http://127.0.0.1:{port}/v1 (connection refused after 3 attempts); "
        "start the server, or check base_url."
    )
