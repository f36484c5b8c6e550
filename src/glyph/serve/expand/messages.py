"""Anthropic's Messages: calls are blocks of the answer, results are blocks of a user message."""

import json
from collections.abc import Sequence
from typing import Any

from glyph.serve.events import Event, written
from glyph.serve.expand.dialect import (
    Stream,
    Turn,
    Values,
    is_ours,
    number_of,
    object_of,
    objects,
    summed,
    tools_edit,
)
from glyph.serve.expand.tools import ToolCall, ToolSpec
from glyph.serve.spans import Edit, Node

_THOUGHTS = ("thinking", "redacted_thinking")


def _shape(spec: ToolSpec) -> Values:
    return {
        "name": spec.name,
        "description": spec.description,
        "input_schema": spec.parameters,
    }


def _is_our_call(block: Values) -> bool:
    return block.get("type") == "tool_use" and is_ours(block.get("name"))


def _turn(blocks: Sequence[Values], reason: Any) -> Turn:
    ours = tuple(
        ToolCall(str(block.get("id", "")), block["name"], json.dumps(block.get("input") or {}))
        for block in blocks
        if _is_our_call(block)
    )
    num_calls = sum(block.get("type") == "tool_use" for block in blocks)
    # Empty texts are refused when they come back.
    said = [block for block in blocks if block.get("type") != "text" or block.get("text")]
    message = {"role": "assistant", "content": said}
    return Turn(ours, num_calls > len(ours), (message,), reason == "tool_use")


class MessagesDialect:
    """Anthropic's Messages."""

    def offer(self, body: Node) -> Edit | str:
        """Offer the tools."""
        return tools_edit(body, _shape)

    def conversation(self, body: Node) -> Node | None:
        """Return the messages."""
        return body.get("messages")

    def results(self, turn: Turn, texts: Sequence[str]) -> list[Any]:
        """Return the answer with the calls, and a message with all results."""
        blocks = [
            {"type": "tool_result", "tool_use_id": call.id, "content": text}
            for call, text in zip(turn.calls, texts, strict=True)
        ]
        return [*turn.said, {"role": "user", "content": blocks}]

    def turn(self, answer: Values) -> Turn:
        """Read the blocks of an answer."""
        return _turn(objects(answer.get("content")), answer.get("stop_reason"))

    def merged(self, answers: Sequence[Values]) -> Values:
        """Join the blocks; of earlier rounds without thoughts, which belong to their calls."""
        *earlier, last = answers
        kept = [
            block
            for answer in earlier
            for block in objects(answer.get("content"))
            if block.get("type") not in _THOUGHTS and not _is_our_call(block)
        ]
        own = [block for block in objects(last.get("content")) if not _is_our_call(block)]
        last["content"] = [*kept, *own]
        for answer in reversed(earlier):
            last["usage"] = summed(answer.get("usage"), last.get("usage"))
        return last

    def stream(self) -> Stream:
        """Return a joiner of events."""
        return _MessagesStream()


class _MessagesStream:
    """Blocks pass under numbers of one row; those of our tools are kept back, and so is the end."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._usage: Any = None
        self._num_shown = 0
        self._num_rounds = 0
        self._reset()

    def _reset(self) -> None:
        self._blocks: dict[int, Values] = {}
        self._inputs: dict[int, str] = {}
        self._shown_as: dict[int, int] = {}
        self._round_usage: Any = None
        self._closing: list[Event] = []
        self._reason: Any = None

    def begin(self) -> None:
        """A round begins."""
        self._num_rounds += 1
        self._reset()

    def feed(self, event: Event) -> bytes:
        """Return what the client gets of an event."""
        values = event.values
        if values is None:
            return event.raw
        match event.kind:
            case "message_start":
                self._round_usage = object_of(values.get("message")).get("usage")
                return event.raw if self._num_rounds == 1 else b""
            case "content_block_start" | "content_block_delta" | "content_block_stop":
                return self._block(event, values)
            case "message_delta":
                usage = object_of(values.get("usage"))
                self._round_usage = object_of(self._round_usage) | usage
                self._reason = object_of(values.get("delta")).get("stop_reason")
                self._closing.append(event)
                return b""
            case "message_stop":
                self._closing.append(event)
                return b""
            case _:
                return event.raw

    def _block(self, event: Event, values: Values) -> bytes:
        index = number_of(values.get("index"))
        if event.kind == "content_block_start":
            block = object_of(values.get("content_block"))
            self._blocks[index] = dict(block)
            self._inputs[index] = ""
            if not _is_our_call(block):
                self._shown_as[index] = self._num_shown
                self._num_shown += 1
        elif event.kind == "content_block_delta":
            self._add(index, object_of(values.get("delta")))
        shown_as = self._shown_as.get(index)
        if shown_as is None:
            return b""
        if shown_as == index:
            return event.raw
        return written(values | {"index": shown_as}, event.raw)

    def _add(self, index: int, delta: Values) -> None:
        block = self._blocks.setdefault(index, {})
        match delta.get("type"):
            case "text_delta":
                block["text"] = f"{block.get('text', '')}{delta.get('text', '')}"
            case "thinking_delta":
                block["thinking"] = f"{block.get('thinking', '')}{delta.get('thinking', '')}"
            case "signature_delta":
                block["signature"] = delta.get("signature", "")
            case "citations_delta":
                block["citations"] = [*objects(block.get("citations")), delta.get("citation")]
            case "input_json_delta":
                self._inputs[index] = self._inputs.get(index, "") + str(
                    delta.get("partial_json", "")
                )
            case _:
                pass  # a kind that is not known yet; the client gets it all the same

    def turn(self) -> Turn:
        """Return what was said in this round."""
        self._usage = summed(self._usage, self._round_usage)
        for index, written_input in self._inputs.items():
            if written_input:
                self._blocks[index]["input"] = _parsed(written_input)
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        return _turn(blocks, self._reason)

    def end(self) -> bytes:
        """Return the reason, the usage of all rounds, and the end."""
        return b"".join(map(self._closed, self._closing))

    def _closed(self, event: Event) -> bytes:
        values = event.values
        if values is None or event.kind != "message_delta" or self._num_rounds == 1:
            return event.raw
        return written(values | {"usage": self._usage}, event.raw)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}
