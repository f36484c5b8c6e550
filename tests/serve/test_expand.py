"""Models read pages again as text, through the SDKs of OpenAI and Anthropic, unmodified."""

import json
from collections.abc import Callable, Iterator

import anthropic
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paging_model import LOOK, PagingModel
from processes import Process, free_port
from servers import running

from conftest import LONG, QUESTION, Chain
from glyph.serve.events import event_of
from glyph.serve.expand.loop import DIALECTS
from glyph.serve.expand.offer import Expander
from glyph.serve.rules import Rules
from glyph.text_tokens import count_text_tokens

WEATHER = {"name": "weather", "description": "d", "parameters": {"type": "object"}}
MESSAGES = [{"role": "user", "content": f"{LONG}\n\n{QUESTION}"}]
Made = tuple[Chain, PagingModel]


@pytest.fixture(scope="module")
def make(make_chain: Callable[..., Chain]) -> Iterator[Callable[..., Made]]:
    import contextlib

    with contextlib.ExitStack() as stack:

        def made(*, takes_tools: bool = True, max_rounds: int = 8, **more) -> Made:
            model = PagingModel(takes_tools=takes_tools)
            url = stack.enter_context(running(model.app))
            return make_chain(url=url, expander=Expander(max_rounds), **more), model

        yield made


@pytest.fixture(scope="module")
def chain(make: Callable[..., Made]) -> Made:
    return make()


def openai_client(chain: Chain) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{chain.url}/v1", api_key="k", max_retries=0, timeout=60)


def anthropic_client(chain: Chain) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=chain.url, api_key="k", max_retries=0, timeout=60)


def said_in(results: str, first_page: int) -> None:
    """The answer holds exactly what stands on the page."""
    assert f"Page {first_page} of " in results
    assert results.count("Entry ") > 20


@pytest.mark.parametrize("stream", [False, True])
def test_chat_pages_are_read_and_the_client_sees_one_answer(chain: Made, stream: bool):
    through, model = chain
    client = openai_client(through)
    before = len(model.requests)
    options = {"model": "m@@read=2+search=week 150", "messages": MESSAGES}
    if stream:
        with client.chat.completions.stream(
            **options, stream_options={"include_usage": True}
        ) as events:
            done = events.get_final_completion()
    else:
        done = client.chat.completions.create(**options)
    message = done.choices[0].message
    assert message.content.startswith(LOOK)
    said_in(message.content, 2)
    assert '1 place with "week 150"' in message.content
    assert not message.tool_calls
    assert done.choices[0].finish_reason == "stop"
    assert done.usage.prompt_tokens == 200
    assert done.usage.completion_tokens == 20
    assert done.usage.prompt_tokens_details.cached_tokens == 14
    assert done.usage.model_extra["glyph"]["reads"] == 2
    assert len(model.requests) == before + 2
    first, second = model.requests[-2:]
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert [m["role"] for m in second["messages"][-3:]] == ["assistant", "tool", "tool"]


def test_what_is_read_is_what_stands_on_the_pages(chain: Made):
    through, model = chain
    client = openai_client(through)
    texts, page = [], 1
    while True:
        answer = client.chat.completions.create(model=f"m@@read={page}", messages=MESSAGES)
        read = answer.choices[0].message.content.removeprefix(LOOK).lstrip()
        if not read.startswith("Page"):
            assert "1 to " in read
            break
        texts.append(read.partition("as text:\n")[2])
        page += 1
    sent = model.requests[-1]["messages"][0]["content"]
    parts = [part["text"] for part in sent if part["type"] == "text"]
    assert page > 2
    assert parts[0] + "".join(texts) + parts[-1] == MESSAGES[0]["content"]


@pytest.mark.parametrize("stream", [False, True])
def test_messages_blocks_keep_one_row_and_usage_is_summed(chain: Made, stream: bool):
    through, model = chain
    client = anthropic_client(through)
    options = {"model": "m@@read=1", "max_tokens": 99, "messages": MESSAGES}
    if stream:
        with client.messages.stream(**options) as events:
            indices = [e.index for e in events if e.type == "content_block_start"]
            done = events.get_final_message()
        assert indices == list(range(len(indices)))
    else:
        done = client.messages.create(**options)
    texts = [block.text for block in done.content if block.type == "text"]
    assert texts[0] == LOOK
    said_in(texts[1], 1)
    assert {block.type for block in done.content} == {"thinking", "text"}
    assert done.stop_reason == "end_turn"
    assert (done.usage.input_tokens, done.usage.output_tokens) == (200, 20)
    assert done.usage.cache_read_input_tokens == 10
    blocks = model.requests[-1]["messages"][-2]["content"]
    assert blocks[0] == {"type": "thinking", "thinking": "hm", "signature": "sig"}
    assert blocks[-1]["input"] == {"page": 1}


@pytest.mark.parametrize("stream", [False, True])
def test_responses_items_keep_one_row_and_usage_is_summed(chain: Made, stream: bool):
    through, model = chain
    client = openai_client(through)
    options = {"model": "m@@read=1", "input": MESSAGES[0]["content"]}
    if stream:
        with client.responses.stream(**options) as events:
            numbers = [event.sequence_number for event in events]
            done = events.get_final_response()
        assert numbers == list(range(len(numbers)))
    else:
        done = client.responses.create(**options)
    assert done.output_text.startswith(LOOK)
    said_in(done.output_text, 1)
    assert [item.type for item in done.output] == ["message", "reasoning", "message"]
    assert done.usage.total_tokens == 220
    assert done.usage.output_tokens_details.reasoning_tokens == 4
    assert done.usage.model_extra["glyph"]["reads"] == 1
    assert done.tools == []
    kinds = [item["type"] for item in model.requests[-1]["input"]]
    assert kinds == ["message", "reasoning", "message", "function_call", "function_call_output"]


def test_an_answer_that_took_rounds_can_be_gone_on_from(chain: Made):
    through, model = chain
    client = openai_client(through)
    before = len(model.requests)
    with client.responses.stream(model="m@@read=1", input=MESSAGES[0]["content"]) as events:
        done = events.get_final_response()
    assert done.id == f"resp-{before + 1}"
    client.responses.create(model="m", input="And?", previous_response_id=done.id)
    assert model.requests[-1]["previous_response_id"] == f"resp-{before + 2}"
    client.responses.create(model="m", input="And?", previous_response_id="resp-other")
    assert model.requests[-1]["previous_response_id"] == "resp-other"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("steps", ["weather", "read=1+weather", "weather+read=1"])
def test_calls_of_the_clients_own_tools_reach_the_client_alone(
    chain: Made, stream: bool, steps: str
):
    through, model = chain
    before = len(model.requests)
    tools = [{"type": "function", "function": WEATHER}]
    options = {"model": f"m@@{steps}", "messages": MESSAGES, "tools": tools}
    client = openai_client(through)
    if stream:
        with client.chat.completions.stream(**options) as events:
            done = events.get_final_completion()
    else:
        done = client.chat.completions.create(**options)
    (call,) = done.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "weather", {"city": "Oslo"}
    )  # fmt: skip
    assert done.choices[0].finish_reason == "tool_calls"
    assert len(model.requests) == before + 1
    assert [tool["function"]["name"] for tool in model.requests[-1]["tools"]] == [
        "weather", "read_page", "search_pages"
    ]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
def test_a_clients_call_beside_ours_keeps_its_place_in_messages_and_responses(
    chain: Made, stream: bool
):
    through, _ = chain
    shape = {"name": "weather", "description": "d", "input_schema": {"type": "object"}}
    client = anthropic_client(through)
    options = {"model": "m@@read=1+weather", "messages": MESSAGES, "max_tokens": 9}
    if stream:
        with client.messages.stream(**options, tools=[shape]) as events:
            done = events.get_final_message()
    else:
        done = client.messages.create(**options, tools=[shape])
    assert [block.type for block in done.content] == ["thinking", "text", "tool_use"]
    assert done.content[-1].input == {"city": "Oslo"}
    assert done.stop_reason == "tool_use"
    options = {"model": "m@@read=1+weather", "input": MESSAGES[0]["content"]}
    options["tools"] = [{"type": "function", "strict": False, **WEATHER}]
    responses = openai_client(through).responses
    if stream:
        with responses.stream(**options) as parts:
            answer = parts.get_final_response()
    else:
        answer = responses.create(**options)
    assert [item.type for item in answer.output] == ["reasoning", "message", "function_call"]
    assert [tool.name for tool in answer.tools] == ["weather"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_only_reads_is_told_to_answer_and_then_given_up(
    make: Callable[..., Made], stream: bool
):
    through, model = make(max_rounds=2)
    with pytest.raises(openai.APIError, match="asked for pages 3 times and gave no answer"):
        list(
            openai_client(through).chat.completions.create(
                model="m@@again", messages=MESSAGES, stream=stream
            )
        )
    assert len(model.requests) == 4
    assert "No more pages" in model.requests[-1]["messages"][-1]["content"]


def test_an_upstream_that_takes_no_tools_gets_the_pages_without_from_then_on(
    make: Callable[..., Made],
):
    through, model = make(takes_tools=False)
    for num_requests in (2, 3):
        raw = openai_client(through).chat.completions.with_raw_response.create(
            model="m@@read=1", messages=MESSAGES
        )
        assert raw.headers["x-glyph-action"] == "compressed"
        assert raw.headers["x-glyph-expand"] == "refused"
        assert raw.parse().choices[0].message.content == "plain answer"
        assert len(model.requests) == num_requests
        assert "tools" not in model.requests[-1]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"tools": [{"type": "function", "function": {**WEATHER, "name": "read_page"}}]},
         "names-taken"),
        ({"tool_choice": "none"}, "tool-choice"),
        ({"n": 2}, "not-possible"),
        ({"tools": []}, "offered"),
        ({"tool_choice": "auto"}, "offered"),
    ],
)  # fmt: skip
def test_when_tools_cannot_be_offered_a_header_says_why(chain: Made, options: dict, word: str):
    through, model = chain
    raw = openai_client(through).chat.completions.with_raw_response.create(
        model="m@@none", messages=MESSAGES, **options
    )
    assert raw.headers["x-glyph-expand"] == word
    names = [tool["function"]["name"] for tool in model.requests[-1].get("tools", [])]
    assert ("search_pages" in names) == (word == "offered")


def test_requests_without_pages_carry_no_tools(chain: Made):
    through, model = chain
    raw = openai_client(through).chat.completions.with_raw_response.create(
        model="m@@read=1", messages=[{"role": "user", "content": "hi"}]
    )
    assert "x-glyph-expand" not in raw.headers
    assert "tools" not in model.requests[-1]


def test_several_documents_are_told_apart_by_name(make: Callable[..., Made]):
    through, model = make(rules=Rules(vision_model="glm-4.1v"))
    other = LONG.replace("garden", "harbour")
    parts = [{"type": "text", "text": text} for text in (LONG, other, QUESTION)]
    messages = [{"role": "user", "content": parts}]
    client = openai_client(through)
    answer = client.chat.completions.create(model="m@@read=1", messages=messages)
    said = answer.choices[0].message.content
    assert "the document is not named; give one of: " in said
    answer = client.chat.completions.create(model="m@@search=harbour", messages=messages)
    (name,) = {
        line.split(",")[0]
        for line in answer.choices[0].message.content.splitlines()
        if line.startswith("document ")
    }
    framing = [p["text"] for p in model.requests[-1]["messages"][0]["content"] if "text" in p]
    assert name in framing[3]
    assert name not in framing[1]


def test_the_offer_is_counted_with_the_first_pages(chain: Made, make_chain):
    through, model = chain
    with running(model.app) as url:
        without = make_chain(url=url)
        tokens = [
            int(
                openai_client(each)
                .chat.completions.with_raw_response.create(model="m@@none", messages=MESSAGES)
                .headers["x-glyph-page-tokens"]
            )
            for each in (through, without)
        ]
    written = json.dumps(model.requests[-2]["tools"])
    assert 0.8 < (tokens[0] - tokens[1]) / count_text_tokens(written) < 1.2


def test_metrics_count_what_was_read(chain: Made):
    import httpx2

    openai_client(chain[0]).chat.completions.create(model="m@@read=1", messages=MESSAGES)
    assert (
        'glyph_expand_calls_total{tool="read_page"}' in httpx2.get(f"{chain[0].url}/metrics").text
    )


def test_the_command_line_turns_it_on_and_takes_prices(chain: Made, tmp_path):
    prices = tmp_path / "prices.toml"
    prices.write_text("['m*']\ninput = 2.0\n")
    with running(chain[1].app) as url:
        gateway = Process(url, free_port(), "--expand", "--prices", str(prices))
        try:
            client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="k", timeout=60)
            raw = client.chat.completions.with_raw_response.create(
                model="m@@read=1", messages=MESSAGES
            )
        finally:
            gateway.process.terminate()
            gateway.process.wait(40)
    assert raw.headers["x-glyph-expand"] == "offered"
    assert raw.headers["x-glyph-cost-pages"].endswith("warm USD")
    said_in(raw.parse().choices[0].message.content, 1)


# -- what upstreams should not send ----------------------------------------------------------

words = st.sampled_from(
    [
        "choices",
        "delta",
        "tool_calls",
        "index",
        "function",
        "name",
        "read_page",
        "arguments",
        "finish_reason",
        "usage",
        "content",
        "type",
        "tool_use",
        "content_block_start",
        "content_block",
        "content_block_delta",
        "message_start",
        "message",
        "message_delta",
        "input_json_delta",
        "partial_json",
        "citations_delta",
        "text_delta",
        "item",
        "output",
        "call_id",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
        "response",
        "output_index",
        "function_call",
        "error",
        "tools",
    ]
)
odd_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(
    rounds=st.lists(st.lists(odd_values, max_size=5), min_size=1, max_size=3),
    name=st.sampled_from(list(DIALECTS)),
)
def test_no_event_whatever_it_holds_stops_the_loop(rounds: list, name: str):
    dialect = DIALECTS[name]
    stream = dialect.stream()
    for values in rounds:
        stream.begin()
        for value in values:
            assert isinstance(
                stream.feed(event_of(b"data: %s" % json.dumps(value).encode())), bytes
            )
        assert isinstance(stream.turn().calls, tuple)
    assert isinstance(stream.end(), bytes)
    answers = [value for values in rounds for value in values if isinstance(value, dict)]
    for answer in answers:
        dialect.turn(answer)
    if answers:
        json.dumps(dialect.merged(answers))


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_was_cut_off_is_not_answered(chain: Made, stream: bool):
    through, model = chain
    before = len(model.requests)
    options = {"model": "m@@read=1+cut", "messages": MESSAGES}
    client = openai_client(through)
    if stream:
        with client.chat.completions.stream(**options) as events:
            done = None
            with pytest.raises(openai.LengthFinishReasonError):
                done = events.get_final_completion()
            assert done is None
    else:
        done = client.chat.completions.create(**options)
        assert done.choices[0].finish_reason == "length"
        assert not done.choices[0].message.tool_calls
    assert len(model.requests) == before + 1
