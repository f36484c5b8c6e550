"""OpenAI's Responses: calls are items of the output, and their results items of the input."""

from collections.abc import Sequence
from typing import Any

from glyph.serve.events import Event, written
from glyph.serve.expand.dialect import (
    Stream,
    Turn,
    Values,
    function_shape,
    is_ours,
    number_of,
    object_of,
    objects,
    summed,
    tools_edit,
)
from glyph.serve.expand.tools import ToolCall, ToolSpec
from glyph.serve.spans import Edit, Node

_CLOSING = ("response.completed", "response.incomplete", "response.failed")


def _shape(spec: ToolSpec) -> Values:
    return {"type": "function", **function_shape(spec), "strict": False}


def _is_our_call(item: Values) -> bool:
    return item.get("type") == "function_call" and is_ours(item.get("name"))


def _turn(items: Sequence[Values], response: Values) -> Turn:
    ours = tuple(
        ToolCall(str(item.get("call_id", "")), item["name"], str(item.get("arguments", "")))
        for item in items
        if _is_our_call(item)
    )
    num_calls = sum(str(item.get("type")).endswith("_call") and "call_id" in item for item in items)
    is_kept_there = response.get("store") is not False
    said = tuple(items) if is_kept_there else tuple(_sent_back(items))
    return Turn(ours, num_calls > len(ours), said, response.get("status") == "completed")


def _sent_back(items: Sequence[Values]) -> list[Values]:
    """Return items as a service takes them that has kept none: thoughts whole or not, no ids."""
    return [
        item if item.get("type") == "reasoning" else {k: v for k, v in item.items() if k != "id"}
        for item in items
        if item.get("type") != "reasoning" or item.get("encrypted_content")
    ]


class ResponsesDialect:
    """OpenAI's Responses."""

    def offer(self, body: Node) -> Edit | str:
        """Offer the tools, unless the answer is fetched later or kept in a conversation there."""
        background = body.get("background")
        is_late = background is not None and background.value is True
        if is_late or body.get("conversation") is not None:
            return "not-possible"
        return tools_edit(body, _shape)

    def conversation(self, body: Node) -> Node | None:
        """Return the input; a string has become a list with the pages in it."""
        return body.get("input")

    def results(self, turn: Turn, texts: Sequence[str]) -> list[Any]:
        """Return the items of the answer and an item for each result."""
        outputs = [
            {"type": "function_call_output", "call_id": call.id, "output": text}
            for call, text in zip(turn.calls, texts, strict=True)
        ]
        return [*turn.said, *outputs]

    def turn(self, answer: Values) -> Turn:
        """Read the items of an answer."""
        return _turn(objects(answer.get("output")), answer)

    def merged(self, answers: Sequence[Values]) -> Values:
        """Join the items; of earlier rounds without thoughts, which belong to their calls."""
        *earlier, last = answers
        outputs = [objects(answer.get("output")) for answer in answers]
        usage: Any = None
        for answer in answers:
            usage = summed(usage, answer.get("usage"))
        return _joined(last, outputs, usage) if earlier else _joined(last, outputs, None)

    def stream(self) -> Stream:
        """Return a joiner of events."""
        return _ResponsesStream()


def _joined(last: Values, outputs: Sequence[Sequence[Values]], usage: Any) -> Values:
    *earlier, own = outputs
    kept = [item for items in earlier for item in items if item.get("type") == "message"]
    joined = {**last, "output": [*kept, *(item for item in own if not _is_our_call(item))]}
    if isinstance(last.get("tools"), list):
        joined["tools"] = [
            tool for tool in last["tools"] if not is_ours(object_of(tool).get("name"))
        ]
    return joined if usage is None else joined | {"usage": usage}


class _ResponsesStream:
    """Items pass under numbers of one row; calls of our tools are kept back, and so is the end."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._usage: Any = None
        self._outputs: list[list[Values]] = []
        self._num_rounds = 0
        self._num_shown = 0
        self._num_events = 0
        self._reset()

    def _reset(self) -> None:
        self._items: list[Values] = []
        self._shown_as: dict[int, int] = {}
        self._closing: list[Event] = []

    def begin(self) -> None:
        """A round begins."""
        self._num_rounds += 1
        self._reset()

    def feed(self, event: Event) -> bytes:
        """Return what the client gets of an event."""
        values = event.values
        if values is None:
            return event.raw
        if event.kind in _CLOSING:
            self._closing.append(event)
            return b""
        if "response" in values:
            if self._num_rounds > 1:
                return b""
            response = _joined(object_of(values["response"]), [[]], None)
            return self._numbered(event, values | {"response": response})
        if "output_index" not in values:
            return self._numbered(event, values)
        return self._of_item(event, values)

    def _of_item(self, event: Event, values: Values) -> bytes:
        index = number_of(values["output_index"])
        item = object_of(values.get("item"))
        if event.kind == "response.output_item.added" and not _is_our_call(item):
            self._shown_as[index] = self._num_shown
            self._num_shown += 1
        elif event.kind == "response.output_item.done":
            self._items.append(item)
        shown_as = self._shown_as.get(index)
        if shown_as is None:
            return b""
        return self._numbered(event, values | {"output_index": shown_as})

    def _numbered(self, event: Event, values: Values) -> bytes:
        """Return an event under its number in the row, untouched if it has that already."""
        number, self._num_events = self._num_events, self._num_events + 1
        if "sequence_number" in values:
            values = values | {"sequence_number": number}
        return event.raw if values == event.values else written(values, event.raw)

    def turn(self) -> Turn:
        """Return what was said in this round."""
        response: Values = {}
        for event in self._closing:
            response = object_of(object_of(event.values).get("response"))
            self.names.append(str(response.get("id", "")))
            self._usage = summed(self._usage, response.get("usage"))
            if not self._items:
                self._items = objects(response.get("output"))
        self._outputs.append(self._items)
        return _turn(self._items, response)

    def end(self) -> bytes:
        """Return the whole response, with the usage of all rounds."""
        return b"".join(map(self._closed, self._closing))

    def _closed(self, event: Event) -> bytes:
        values = object_of(event.values)
        response = _joined(object_of(values.get("response")), self._outputs, self._usage)
        response["id"] = self.names[0]  # clients hold on to the one that began
        return self._numbered(event, values | {"response": response})
