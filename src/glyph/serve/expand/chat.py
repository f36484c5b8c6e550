"""Chat Completions: calls stand in the message, results are messages of their own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from glyph.serve.events import Event, written
from glyph.serve.expand.dialect import (
    Stream,
    Turn,
    Values,
    function_shape,
    is_ours,
    object_of,
    objects,
    summed,
    tools_edit,
)
from glyph.serve.expand.tools import ToolCall, ToolSpec
from glyph.serve.spans import Edit, Node

REASONING = "reasoning_content"
"""Where open models put their thoughts; those that think between calls want them back."""

PARAGRAPH = "\n\n"
_CUT_OFF = (None, "length", "content_filter")


def _shape(spec: ToolSpec) -> Values:
    return {"type": "function", "function": function_shape(spec)}


def _function(call: Values) -> Values:
    return object_of(call.get("function"))


def _said(content: str, reasoning: str, calls: Sequence[ToolCall]) -> Values:
    functions = [
        {"id": call.id, "type": "function",
         "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]  # fmt: skip
    message: Values = {"role": "assistant", "content": content or None, "tool_calls": functions}
    return message | {REASONING: reasoning} if reasoning else message


class ChatDialect:
    """OpenAI's Chat Completions."""

    def offer(self, body: Node) -> Edit | str:
        """Offer the tools, unless several answers are asked for or functions of the old kind."""
        many = body.get("n")
        if body.get("functions") is not None or (many is not None and many.value != ("1",)):
            return "not-possible"
        return tools_edit(body, _shape)

    def conversation(self, body: Node) -> Node | None:
        """Return the messages."""
        return body.get("messages")

    def results(self, turn: Turn, texts: Sequence[str]) -> list[Any]:
        """Return the message with the calls, and one for each result."""
        replies = [
            {"role": "tool", "tool_call_id": call.id, "content": text}
            for call, text in zip(turn.calls, texts, strict=True)
        ]
        return [*turn.said, *replies]

    def turn(self, answer: Values) -> Turn:
        """Read the message of the only choice."""
        message = _message(answer)
        calls = objects(message.get("tool_calls"))
        ours = tuple(
            ToolCall(str(call.get("id", "")), _function(call)["name"],
                     str(_function(call).get("arguments", "")))
            for call in calls
            if is_ours(_function(call).get("name"))
        )  # fmt: skip
        said = _said(_text(message), str(message.get(REASONING) or ""), ours)
        is_whole = _reason(answer) not in _CUT_OFF
        return Turn(ours, len(calls) > len(ours), (said,), is_whole)

    def merged(self, answers: Sequence[Values]) -> Values:
        """Join what was said; calls of our tools are left out."""
        *earlier, last = answers
        message = _message(last)
        texts = [_text(_message(answer)) for answer in answers]
        if earlier and any(texts[:-1]):
            message["content"] = PARAGRAPH.join(filter(None, texts))
        if "tool_calls" in message:
            calls = [
                call
                for call in objects(message["tool_calls"])
                if not is_ours(_function(call).get("name"))
            ]
            message["tool_calls"] = calls
        for answer in reversed(earlier):
            if "usage" in last or "usage" in answer:
                last["usage"] = summed(answer.get("usage"), last.get("usage"))
        return last

    def stream(self) -> Stream:
        """Return a joiner of chunks."""
        return _ChatStream()


def _message(answer: Values) -> Values:
    choices = objects(answer.get("choices"))
    return object_of(choices[0].get("message")) if choices else {}


def _reason(answer: Values) -> Any:
    choices = objects(answer.get("choices"))
    return choices[0].get("finish_reason") if choices else None


def _text(message: Values) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""


@dataclass(slots=True)
class _Slot:
    """A call as it arrives, piece by piece."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    held: list[Values] = field(default_factory=lambda: list[Values]())
    shown_as: int | None = None

    def take(self, entry: Values) -> None:
        function = _function(entry)
        self.id = self.id or str(entry.get("id") or "")
        self.name = self.name or str(function.get("name") or "")
        self.arguments += str(function.get("arguments") or "")
        self.held.append(entry)


class _ChatStream:
    """Chunks pass as they come; calls of our tools are kept back, and so is the end."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._usage: Any = None
        self._id: Any = None
        self._has_text = False
        self._is_paragraph_due = False
        self._num_shown = 0
        self._num_rounds = 0
        self._reset()

    def _reset(self) -> None:
        self._slots: dict[int, _Slot] = {}
        self._content, self._reasoning = "", ""
        self._closing: list[Event] = []
        self._round_usage: Any = None
        self._is_closing = False
        self._reason: Any = None

    def begin(self) -> None:
        """A round begins."""
        self._num_rounds += 1
        self._is_paragraph_due = self._has_text
        self._reset()

    def feed(self, event: Event) -> bytes:
        """Return what the client gets of a chunk."""
        values = event.values
        if values is None:
            is_end = event.has_data
            if is_end:
                self._closing.append(event)
            return b"" if is_end else event.raw
        if values.get("usage") is not None:
            self._round_usage = values["usage"]
        choices = objects(values.get("choices"))
        if not choices and "error" in values:
            return event.raw
        if not choices or self._is_closing:
            self._closing.append(event)
            return b""
        return self._choice(event, values, choices[0])

    def _choice(self, event: Event, values: Values, choice: Values) -> bytes:
        delta = object_of(choice.get("delta"))
        before = json.dumps(delta)
        self._id = self._id or values.get("id")
        self._note(delta)
        if self._num_rounds > 1:
            delta.pop("role", None)
            self._part_texts(delta)
        self._has_text = self._has_text or bool(delta.get("content"))
        if "tool_calls" in delta:
            delta["tool_calls"] = self._shown(objects(delta["tool_calls"]))
            if not delta["tool_calls"]:
                del delta["tool_calls"]
        reason = choice.get("finish_reason")
        if reason is not None:
            self._is_closing, self._reason = True, reason
            last: Values = {**values, "choices": [{**choice, "delta": {}}]}
            self._closing.append(Event(event.raw, last))
            choice["finish_reason"] = None
        is_changed = reason is not None or json.dumps(delta) != before
        if is_changed and not any(delta.values()):
            return b""
        if self._num_rounds == 1 and not is_changed:
            return event.raw
        return written(values | {"id": self._id}, event.raw)

    def _note(self, delta: Values) -> None:
        if isinstance(delta.get("content"), str):
            self._content += delta["content"]
        if isinstance(delta.get(REASONING), str):
            self._reasoning += delta[REASONING]

    def _part_texts(self, delta: Values) -> None:
        """Begin a paragraph where the text of another round went before."""
        content = delta.get("content")
        if isinstance(content, str) and content and self._is_paragraph_due:
            delta["content"] = f"{PARAGRAPH}{content}"
            self._is_paragraph_due = False

    def _shown(self, entries: list[Values]) -> list[Values]:
        shown: list[Values] = []
        for entry in entries:
            index = entry.get("index")
            if not isinstance(index, int):
                index = len(self._slots) - (0 if entry.get("id") else 1)
            slot = self._slots.setdefault(index, _Slot())
            slot.take(entry)
            if not slot.name or is_ours(slot.name):
                continue
            if slot.shown_as is None:
                slot.shown_as, self._num_shown = self._num_shown, self._num_shown + 1
            shown += [{**held, "index": slot.shown_as} for held in slot.held]
            slot.held = []
        return shown

    def turn(self) -> Turn:
        """Return what was said in this round."""
        self._usage = summed(self._usage, self._round_usage)
        slots = [self._slots[index] for index in sorted(self._slots)]
        ours = tuple(
            ToolCall(slot.id, slot.name, slot.arguments) for slot in slots if is_ours(slot.name)
        )
        said = _said(self._content, self._reasoning, ours)
        return Turn(ours, len(slots) > len(ours), (said,), self._reason not in _CUT_OFF)

    def end(self) -> bytes:
        """Return the reason, the usage of all rounds, and the end."""
        return b"".join(map(self._closed, self._closing))

    def _closed(self, event: Event) -> bytes:
        values = event.values
        if values is None:
            return event.raw
        if values.get("usage") is not None:
            values = values | {"usage": self._usage}
        return written(values | ({"id": self._id} if self._id else {}), event.raw)
