"""What a wire format must be able to do for the loop, and what all of them share."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from glyph.serve.events import Event
from glyph.serve.expand.tools import NAMES, TOOLS, ToolCall, ToolSpec
from glyph.serve.spans import Edit, Node, field_edit

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model said in one round.

    Attributes:
        calls: Calls of our tools.
        has_others: Calls of the client's own tools stand beside them; only the client can answer
            those, so the round is the last.
        said: What goes back to the model in front of the results.
        is_whole: It ended by itself, and was not cut off within a call.
    """

    calls: tuple[ToolCall, ...]
    has_others: bool
    said: tuple[Any, ...]
    is_whole: bool

    @property
    def goes_on(self) -> bool:
        """Whether the model waits for pages and nothing else."""
        return bool(self.calls) and self.is_whole and not self.has_others


class Stream(Protocol):
    """The streams of all rounds on their way to becoming one.

    Attributes:
        names: Under which the upstream keeps the answer of each round, where it keeps any.
    """

    names: list[str]

    def begin(self) -> None:
        """A round begins."""
        ...

    def feed(self, event: Event) -> bytes:
        """Return what the client gets of an event, now."""
        ...

    def turn(self) -> Turn:
        """Return what was said, once the round is over."""
        ...

    def end(self) -> bytes:
        """Return what closes the stream, kept back until it was known that no round follows."""
        ...


class Dialect(Protocol):
    """One wire format."""

    def offer(self, body: Node) -> Edit | str:
        """Return the edit that offers the tools, or in one word why they cannot be offered."""
        ...

    def conversation(self, body: Node) -> Node | None:
        """Return the array that grows with the conversation."""
        ...

    def results(self, turn: Turn, texts: Sequence[str]) -> list[Any]:
        """Return what is added to it: what the model said, and the results of its calls."""
        ...

    def turn(self, answer: Values) -> Turn:
        """Return what the model said in an answer that came as a whole."""
        ...

    def merged(self, answers: Sequence[Values]) -> Values:
        """Return the answers of all rounds as one, without our tools."""
        ...

    def stream(self) -> Stream:
        """Return a new joiner of streams."""
        ...


def is_ours(name: Any) -> bool:
    """Whether a tool of this name is one of ours."""
    return isinstance(name, str) and name in NAMES


def tools_edit(body: Node, shape: Any) -> Edit | str:
    """Return the edit that adds our tools behind the client's, or why there can be none.

    Args:
        body: The request.
        shape: Returns a `ToolSpec` in the wire format.
    """
    choice = body.get("tool_choice")
    if choice is not None and not _is_free(choice):
        return "tool-choice"
    tools = body.get("tools")
    own = tools.items if tools is not None else []
    names = {tool.text_at("name") or tool.text_at("function", "name") for tool in own}
    if names & NAMES:
        return "names-taken"
    written = ", ".join(json.dumps(shape(spec)) for spec in TOOLS)
    if tools is None:
        return field_edit(body, "tools", f"[{written}]")
    if own:
        return Edit(tools.end - 1, tools.end - 1, (f", {written}",))
    return Edit(tools.start, tools.end, (f"[{written}]",))


def _is_free(choice: Node) -> bool:
    return choice.value is None or "auto" in (choice.text, choice.text_at("type"))


def appended(conversation: Node, added: Sequence[Any]) -> Edit:
    """Return the edit that adds values at the end of an array."""
    written = ", ".join(map(json.dumps, added))
    comma = ", " if conversation.items else ""
    return Edit(conversation.end - 1, conversation.end - 1, (f"{comma}{written}",))


def summed(one: Any, two: Any) -> Any:
    """Return two usages as one: numbers are added, all else is the later one's.

    Example:
        >>> summed({"a": 1, "b": {"c": 2}}, {"a": 3, "b": {"c": 4}, "d": "x"})
        {'a': 4, 'b': {'c': 6}, 'd': 'x'}
    """
    if isinstance(one, dict) and isinstance(two, dict):
        first, second = cast("Values", one), cast("Values", two)
        return {key: summed(first.get(key), second.get(key)) for key in {**first, **second}}
    if _is_number(one) and _is_number(two):
        return one + two
    return cast("Any", one if two is None else two)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def function_shape(spec: ToolSpec) -> Values:
    """Return a tool's name, description and parameters, as both formats of OpenAI hold them."""
    return {"name": spec.name, "description": spec.description, "parameters": spec.parameters}


def objects(values: Any) -> list[Values]:
    """Return the objects of a list from outside, whatever else it may be."""
    if not isinstance(values, list):
        return []
    return [cast("Values", value) for value in cast("list[Any]", values) if isinstance(value, dict)]


def number_of(value: Any) -> int:
    """Return a whole number from outside, -1 when it is none."""
    return value if isinstance(value, int) else -1


def object_of(values: Any) -> Values:
    """Return an object from outside; empty when it is none."""
    return cast("Values", values) if isinstance(values, dict) else {}
