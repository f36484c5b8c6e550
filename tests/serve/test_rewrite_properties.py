"""Random valid requests of all three formats: nothing is lost, nothing changes twice, or later."""

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glyph.serve.paging import PagedText, page_text
from glyph.serve.rewrite import Rewritten, read_request, rewrite, spec_of
from glyph.serve.rules import Rules
from glyph.serve.wires import CHAT, MESSAGES, RESPONSES, WIRES, Wire

RULES = Rules(vision_model="claude-sonnet-4.6", history=False)
LONGS = [
    "\n".join(f"Entry {i}: the {what} needs water in week {i}." for i in range(160))
    for what in ("garden", "meadow")
]
POINTER = re.compile(r"\[The result follows as page images in the next user message: (.*)\.\]")
PIXEL = "iVBORw0KGgo="
_made: dict[str, PagedText] = {}
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def rewritten(request: dict | bytes, wire: Wire, rules: Rules = RULES) -> Rewritten:
    """Rewrite, and make the pages of each text once for all examples."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    incoming = read_request(body, wire, rules)
    if incoming.model is None or incoming.reason:
        return Rewritten((body,), rewrite(incoming, {}, rules).report)
    spec = spec_of(incoming.model, rules)
    for site in incoming.sites:
        if not site.keep and site.text not in _made:
            _made[site.text] = page_text(site.text, spec)
    done = rewrite(incoming, _made, rules)
    return done if done.documents else Rewritten((body,), done.report)


# -- requests --------------------------------------------------------------------------------

values = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
extras = st.dictionaries(st.sampled_from(["x-a", "x-b", "name"]), values, max_size=2)
short = st.text(alphabet='ab \u00e9\n"\\', max_size=12)
texts = short | st.sampled_from(LONGS) | st.sampled_from(LONGS).map(lambda text: f"{text}\n\nWhy?")
marks = st.none() | st.just({"type": "ephemeral"}) | st.just({"type": "ephemeral", "ttl": "1h"})


def image(wire: Wire) -> dict[str, Any]:
    url = f"data:image/png;base64,{PIXEL}"
    if wire is MESSAGES:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        return {"type": "image", "source": source}
    return (
        {"type": "image_url", "image_url": {"url": url}}
        if wire is CHAT
        else {"type": "input_image", "image_url": url}
    )


@st.composite
def contents(draw: st.DrawFn, wire: Wire) -> Any:
    if draw(st.booleans()):
        return draw(texts)
    parts: list[dict[str, Any]] = []
    for kind in draw(st.lists(st.sampled_from(["text", "image", "odd"]), min_size=1, max_size=3)):
        if kind == "image":
            parts.append(image(wire))
        elif kind == "odd":
            parts.append({"type": "not-known-yet", "payload": draw(values), **draw(extras)})
        else:
            part = {"type": "input_text" if wire is RESPONSES else "text", "text": draw(texts)}
            mark = draw(marks) if wire is MESSAGES else None
            unknown = {"citations": [draw(values)]} if draw(st.integers(0, 4)) == 0 else {}
            parts.append(part | ({"cache_control": mark} if mark else {}) | unknown)
    return parts


def exchange(wire: Wire, results: list[str], number: int) -> list[dict[str, Any]]:
    """Return parallel calls of tools and their results."""
    ids = [f"call_{number}_{i}" for i in range(len(results))]
    if wire is CHAT:
        function = {"name": "f", "arguments": '{"a": 1.0}'}
        calls = [{"id": each, "type": "function", "function": function} for each in ids]
        replies = [
            {"role": "tool", "tool_call_id": each, "content": text}
            for each, text in zip(ids, results, strict=True)
        ]
        return [{"role": "assistant", "content": None, "tool_calls": calls}, *replies]
    if wire is MESSAGES:
        blocks = [{"type": "tool_use", "id": each, "name": "f", "input": {"a": 1}} for each in ids]
        replies = [
            {"type": "tool_result", "tool_use_id": each, "content": text}
            for each, text in zip(ids, results, strict=True)
        ]
        return [{"role": "assistant", "content": blocks}, {"role": "user", "content": replies}]
    calls = [{"type": "function_call", "call_id": each, "name": "f", "arguments": "{}"}
             for each in ids]  # fmt: skip
    replies = [
        {"type": "function_call_output", "call_id": each, "output": text}
        for each, text in zip(ids, results, strict=True)
    ]
    return [*calls, *replies]


@st.composite
def requests(draw: st.DrawFn, wire: Wire) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 4))):
        items.append({"role": "user", "content": draw(contents(wire)), **draw(extras)})
        if draw(st.booleans()):
            results = draw(st.lists(texts, min_size=1, max_size=2))
            items += exchange(wire, results, number)
        if draw(st.booleans()):
            items.append({"role": "assistant", "content": draw(short), **draw(extras)})
    tools = [{"type": "function", "name": "f", "parameters": {"minimum": 0.5}}]
    request = {"model": "any", ("input" if wire is RESPONSES else "messages"): items}
    return {**request, "tools": tools, "temperature": 1.0, **draw(extras)}


# -- what a request says, whatever form it has -----------------------------------------------


class Canon:
    """A request without its form: pages are read as the text they stand for."""

    def __init__(self, done: Rewritten | None = None) -> None:
        self._documents = [site for site, _ in done.documents] if done else []
        self._by_what = {site.what: site.text for site in self._documents}
        self._at = 0

    def request(self, values: dict[str, Any]) -> list[Any]:
        key = "input" if "input" in values else "messages"
        rest = {k: v for k, v in values.items() if k != key}
        items = [self.item(item) for item in values[key]]
        return [rest, *[item for item in items if item is not None]]

    def item(self, item: dict[str, Any]) -> Any:
        key = "output" if "output" in item else "content"
        rest = {k: v for k, v in item.items() if k != key}
        found = self.content(item.get(key))
        return None if found == "moved" else (rest, found)

    def content(self, content: Any) -> Any:
        if content is None:
            return None
        if isinstance(content, str):
            moved = POINTER.match(content)
            return (self._by_what[moved[1]] if moved else content, [], [])
        text, others, marks = "", [], []
        inside = has_own = False
        for part in content:
            said = part.get("text", "")
            if said.startswith("[Pages of "):
                inside = True
                site = self._documents[self._at]
                self._at += 1
                moved = site.kind == "tool" and "type" in part and key_of(site) == "chat"
                text += "" if moved else site.text
            elif said.startswith("[These were "):
                inside = False
            elif not inside:
                has_own = has_own or said != "[End of the pages.]"
                if part.get("type") == "tool_result":
                    rest = {k: v for k, v in part.items() if k != "content"}
                    others.append((rest, self.content(part["content"])))
                elif "citations" in part:
                    others.append(part)  # a field not known to the gateway keeps its text as text
                elif "text" in part:
                    text += said.removeprefix("[End of the pages.]")
                else:
                    others.append(part)
            if "cache_control" in part:
                marks.append(part["cache_control"])
        assert not inside, "framing is closed in the message that opens it"
        return (text, others, marks) if has_own or text else "moved"


def key_of(site: Any) -> str:
    """Tell where a tool's pages stand: in a message of their own only in Chat Completions."""
    return "chat" if len(site.insets) > 1 else "other"


@few
@given(data=st.data(), wire=st.sampled_from(list(WIRES.values())))
def test_nothing_a_client_says_is_lost(data: st.DataObject, wire: Wire):
    request = data.draw(requests(wire))
    done = rewritten(request, wire)
    before = Canon().request(request)
    after = json.loads(done.body)
    assert Canon(done).request(after) == before
    if wire is CHAT:
        results_follow_their_calls(after["messages"])


def results_follow_their_calls(messages: list[dict[str, Any]]) -> None:
    for i, message in enumerate(messages):
        ids = [call["id"] for call in message.get("tool_calls") or ()]
        followers = messages[i + 1 : i + 1 + len(ids)]
        assert [each.get("tool_call_id") for each in followers] == ids


@few
@given(data=st.data(), wire=st.sampled_from(list(WIRES.values())))
def test_rewriting_a_rewritten_request_changes_no_byte(data: st.DataObject, wire: Wire):
    once = rewritten(data.draw(requests(wire)), wire)
    again = rewritten(once.body, wire)
    assert again.body == once.body
    assert not again.documents


def images_of(body: bytes) -> list[bytes]:
    return re.findall(rb"iVBORw0KGgo[A-Za-z0-9+/=]{400,}", body)


@few
@given(data=st.data(), wire=st.sampled_from(list(WIRES.values())))
def test_what_is_appended_leaves_everything_before_it_alone(data: st.DataObject, wire: Wire):
    request = data.draw(requests(wire))
    key = "input" if wire is RESPONSES else "messages"
    more = [
        {"role": "assistant", "content": "So."},
        {"role": "user", "content": data.draw(contents(wire))},
    ]
    before = rewritten(request, wire).body
    after = rewritten(request | {key: [*request[key], *more]}, wire).body
    earlier, later = json.loads(before)[key], json.loads(after)[key]
    assert later[: len(earlier)] == earlier
    assert images_of(after)[: len(images_of(before))] == images_of(before)


@pytest.mark.parametrize("wire", [CHAT, MESSAGES, RESPONSES])
def test_a_conversation_that_grows_turn_by_turn_keeps_its_pages(wire: Wire):
    rules = Rules(vision_model="claude-sonnet-4.6")
    key = "input" if wire is RESPONSES else "messages"
    words = "I looked at the roses and they were fine, but the lilies need a little more care. "
    turns: list[dict[str, Any]] = []
    last: list[bytes] = []
    counts = []
    for number in range(42):
        role = "assistant" if number % 2 else "user"
        turns.append({"role": role, "content": f"Turn {number}. {words * 6}"})
        done = rewritten({"model": "any", key: turns}, wire, rules)
        found = images_of(done.body)
        assert found[: len(last)] == last
        last = found
        counts.append(len(found))
    # Pages came in two steps, when a chunk of 16 was 8 turns old, and never else.
    steps = [i for i in range(1, len(counts)) if counts[i] != counts[i - 1]]
    assert len(steps) == 2
    assert counts[-1] > 0
