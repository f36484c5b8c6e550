"""What rewriting keeps, whatever the request."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph.errors import ConfigError
from glyph.serve.paging import page_text
from glyph.serve.rewrite import Rewritten, read_request, rewrite, spec_of
from glyph.serve.rules import Rules, holds_secret, split_document, split_volatile
from glyph.serve.spans import NotJsonError, parse, splice
from glyph.serve.wires import CHAT, MESSAGES, RESPONSES, WIRES, Wire

pytest.importorskip("starlette", reason="the extra [serve] is not installed")

LONG = "\n".join(f"Entry {i}: the garden needs water in week {i} of the year." for i in range(200))
RULES = Rules(vision_model="claude-sonnet-4.6")


def rewrite_now(body: bytes, wire: Wire, rules: Rules) -> Rewritten:
    """Rewrite a request in one go, making its pages here and now."""
    incoming = read_request(body, wire, rules)
    paged = {}
    if incoming.model is not None and not incoming.reason:
        spec = spec_of(incoming.model, rules)
        paged = {site.text: page_text(site.text, spec) for site in incoming.sites if not site.keep}
    done = rewrite(incoming, paged, rules)
    return done if done.documents else Rewritten((body,), done.report)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=json_values, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_parsing_finds_every_value_in_its_place(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    stack = [(parse(text), value)]
    while stack:
        node, expected = stack.pop()
        assert json.loads(text[node.start : node.end]) == expected
        if isinstance(expected, dict):
            stack += [(node.fields[key], inner) for key, inner in expected.items()]
        elif isinstance(expected, list):
            stack += list(zip(node.items, expected, strict=True))


@given(text=st.text(alphabet='{}[]",:0123456789.eE+-truefalsn\\ \n', max_size=40))
def test_parsing_accepts_what_the_standard_library_accepts(text):
    try:
        json.loads(text, parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        with pytest.raises(NotJsonError):
            parse(text)
    else:
        try:
            parse(text)
        except NotJsonError as error:
            assert "twice" in str(error)


def test_a_json_bomb_is_refused_in_bounded_depth_and_number():
    with pytest.raises(NotJsonError, match="too deep"):
        parse("[" * 10_000)
    with pytest.raises(NotJsonError, match="too deep or"):
        parse("[" + "0," * 300_000 + "0]")


def test_bytes_outside_of_the_compressed_text_are_the_clients_own():
    head = b'{ "model":"any",\n "seed":1.0, "big":1e400, "odd":"\\u0041\\/", "messages":\t['
    text = json.dumps(LONG + "\n\nWhy?").encode()
    tail = b' } ], "tools" : [{"function":{"parameters":{"minimum":0.10}}}] } '
    body = head + b'{"role":"user","content": ' + text + tail
    done = rewrite_now(body, CHAT, RULES)
    assert done.report.action == "compressed"
    assert done.body.startswith(head)
    assert done.body.endswith(tail)


def chat_of(num_turns: int) -> list[dict]:
    words = "I looked at the roses and they were fine, but the lilies need a little more care. "
    turns = []
    for i in range(num_turns):
        turns.append({"role": "user", "content": f"Turn {i}. {words * 6}"})
        turns.append({"role": "assistant", "content": f"Answer {i}. {words * 5}"})
    return turns


@pytest.mark.parametrize("wire", [CHAT, MESSAGES, RESPONSES])
def test_appended_turns_keep_the_bytes_of_earlier_pages(wire):
    key = "input" if wire is RESPONSES else "messages"
    first = [
        {"role": "user", "content": f"{LONG}\n\nWhy?"},
        {"role": "assistant", "content": "So."},
    ]
    seen: list[str] = []
    last_images: list[str] = []
    for num_turns in range(10, 30, 8):
        request = {"model": "any", key: [*first, *chat_of(num_turns)]}
        done = rewrite_now(json.dumps(request).encode(), wire, RULES)
        images = re.findall(rb"[A-Za-z0-9+/=]{400,}", done.body)
        names = [image.decode() for image in images]
        assert names[: len(last_images)] == last_images
        last_images = names
        seen.append(done.report.verdicts[-1].kind)
        assert rewrite_now(done.body, wire, RULES).body == done.body
    assert "history" in seen
    assert len(last_images) > 2


def test_a_growing_document_keeps_its_closed_pages_and_what_stands_before_them():
    def images_of(text: str) -> list[bytes]:
        parts = [{"type": "text", "text": text}, {"type": "text", "text": "Why?"}]
        request = {"model": "any", "messages": [{"role": "user", "content": parts}]}
        body = rewrite_now(json.dumps(request).encode(), CHAT, RULES).body
        return [*re.findall(rb"[A-Za-z0-9+/=]{400,}", body), body.split(b"data:image")[0]]

    short, longer = images_of(LONG * 4), images_of(LONG * 4 + "\nOne more line." * 50)
    assert short[-1] == longer[-1]
    assert len(short) > 4
    assert short[:-3] == longer[: len(short) - 3]


def test_parallel_results_of_tools_become_pages_behind_the_last_of_them():
    calls = [{"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
             for i in range(2)]  # fmt: skip
    messages = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": None, "tool_calls": calls},
        *({"role": "tool", "tool_call_id": f"c{i}", "content": LONG + str(i)} for i in range(2)),
    ]
    done = rewrite_now(json.dumps({"model": "any", "messages": messages}).encode(), CHAT, RULES)
    after = json.loads(done.body)["messages"]
    assert after[:2] == messages[:2]
    assert [message["role"] for message in after[2:]] == ["tool", "tool", "user", "user"]
    assert [message.get("tool_call_id") for message in after[2:4]] == ["c0", "c1"]
    assert "tool call c1" in after[5]["content"][0]["text"]


def test_a_cache_mark_stays_behind_its_text():
    part = {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    content = [part, {"type": "text", "text": "Why?"}]
    request = {"model": "any", "max_tokens": 5, "messages": [{"role": "user", "content": content}]}
    done = rewrite_now(json.dumps(request).encode(), MESSAGES, RULES)
    after = json.loads(done.body)["messages"][0]["content"]
    marked = [i for i, each in enumerate(after) if "cache_control" in each]
    assert marked == [len(after) - 2]
    assert after[marked[0]]["cache_control"] == part["cache_control"]
    assert done.report.prices.read == 0.1


def test_a_failed_result_and_unknown_fields_of_a_part_stay_text():
    result = {"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": LONG}
    cited = {"type": "text", "text": LONG, "citations": [{"x": 1}]}
    messages = [{"role": "user", "content": [result, cited]}]
    body = json.dumps({"model": "any", "messages": messages}).encode()
    assert rewrite_now(body, MESSAGES, RULES).body == body


def test_system_prompts_are_pages_only_when_asked_and_changing_lines_stay_text():
    system = f"You help.\nToday's date: 2026-11-25\n{LONG}"
    request = {"model": "any", "system": system, "messages": [{"role": "user", "content": "Hi"}]}
    body = json.dumps(request).encode()
    assert rewrite_now(body, MESSAGES, RULES).report.action == "passed"
    rules = Rules(vision_model="claude-sonnet-4.6", system=True)
    after = json.loads(rewrite_now(body, MESSAGES, rules).body)
    assert after["system"].endswith("Today's date: 2026-11-25\n")
    assert after["messages"][0]["content"][1]["type"] == "image"
    assert after["messages"][1] == request["messages"][0]


def test_texts_with_secrets_stay_text():
    text = f"{LONG}\nAWS key AKIA{'A' * 16}\n{LONG}"
    body = json.dumps({"model": "any", "messages": [{"role": "user", "content": text}]}).encode()
    done = rewrite_now(body, CHAT, RULES)
    assert done.body == body
    assert done.report.reason == "secret"
    assert holds_secret("-----BEGIN RSA PRIVATE KEY-----")


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (Rules(vision_model="glm-4.1v", min_saving=0.95), "unprofitable"),
        (Rules(vision_model="glm-4.1v", max_images=0), "too-many-images"),
        (Rules(vision_model="glm-4.1v", max_image_bytes_total=1000), "too-many-bytes"),
        (Rules(vision_model="gpt-4o-mini"), "unprofitable"),
        (Rules(), "unknown-model"),
    ],
)
def test_the_reason_for_leaving_a_text_alone_is_named(rules, reason):
    message = {"role": "user", "content": LONG}
    body = json.dumps({"model": "my-own-model", "messages": [message]}).encode()
    done = rewrite_now(body, CHAT, rules)
    assert (done.body, done.report.reason) == (body, reason)


def test_limits_hold_for_a_block_as_a_whole_and_earlier_blocks_come_first():
    parts = [{"type": "text", "text": LONG * 3 + str(i)} for i in range(3)]
    request = {
        "model": "any",
        "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "?"}]}],
    }
    whole = rewrite_now(json.dumps(request).encode(), CHAT, RULES).report
    limit = whole.pages // 3 * 2 + 1
    rules = Rules(vision_model="claude-sonnet-4.6", max_images=limit)
    verdicts = rewrite_now(json.dumps(request).encode(), CHAT, rules).report.verdicts
    assert [verdict.is_compressed for verdict in verdicts] == [True, True, False]


@settings(max_examples=30, deadline=None)
@given(text=st.text(alphabet="ab \n.?", min_size=4000, max_size=4600))
def test_a_split_document_is_whole_and_both_ends_stay_text(text):
    head, body, tail = split_document(text)
    assert head + body + tail == text
    assert 200 <= len(head) <= 1600
    assert 600 <= len(tail) <= 2000


def test_lines_that_change_are_told_from_others():
    text, lines = split_volatile("Dates matter.\nCurrent date: today\n- cwd: /home\nTime flies.\n")
    assert text == "Dates matter.\nTime flies.\n"
    assert lines == "Current date: today\n- cwd: /home\n"


def test_rules_say_what_they_accept():
    with pytest.raises(ConfigError, match="at least 3600 is accepted"):
        Rules(min_chars=10)
    with pytest.raises(ConfigError, match="0 <= keep_saving <= min_saving < 1"):
        Rules(min_saving=0.01)


def test_anything_that_is_no_json_object_of_the_format_passes():
    for body in (b"", b"[]", b"\xff", b"{", b'{"messages": 3}', b'{"model": 1, "messages": [1]}'):
        for wire in WIRES.values():
            assert rewrite_now(body, wire, RULES).body == body
            assert not read_request(body, wire, RULES).sites


def test_splice_puts_edits_of_one_place_in_the_order_given():
    from glyph.serve.spans import Edit

    edits = [Edit(1, 1, ("1",)), Edit(1, 1, (b"2",)), Edit(2, 3, ("x",))]
    assert b"".join(splice("abc", edits)) == b"a12bx"
