"""JSON with the place of every value, so that a value can be replaced and the rest left alone.

A request is never written anew. What is not replaced keeps its bytes: the order of keys, numbers
such as `1.0` or `1e400`, escapes, white space, fields nobody here has heard of.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

MAX_DEPTH = 64
MAX_VALUES = 200_000
"""More values than any conversation has; beyond, a small body could take gigabytes of objects."""

# The C scanner behind json.loads, which the stubs leave out: a string's value and its end.
_scan_string = cast(Callable[[str, int, bool], tuple[str, int]], vars(json.decoder)["scanstring"])
_BLANK = re.compile(r"[ \t\n\r]*")
_ATOM = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


class NotJsonError(ValueError):
    """The text is no JSON, or no JSON that is taken apart here; its words say why."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place.

    Attributes:
        start: Offset of its first character.
        end: Offset after its last character.
        value: A string, bool or None as itself; objects and arrays as dicts and lists of nodes;
            numbers as the text they are written with, in a tuple of one.
    """

    start: int
    end: int
    value: Any

    @property
    def text(self) -> str | None:
        """The string, if this is one."""
        return self.value if isinstance(self.value, str) else None

    @property
    def fields(self) -> dict[str, "Node"]:
        """The object's values; empty for everything else."""
        value: object = self.value
        return cast("dict[str, Node]", value) if isinstance(value, dict) else {}

    @property
    def items(self) -> "list[Node]":
        """The array's values; empty for everything else."""
        value: object = self.value
        return cast("list[Node]", value) if isinstance(value, list) else []

    def get(self, *path: str) -> "Node | None":
        """Return the value under a path of keys, None where there is none."""
        node: Node | None = self
        for key in path:
            node = node.fields.get(key) if node is not None else None
        return node

    def text_at(self, *path: str) -> str:
        """Return the string under a path of keys, "" where there is none."""
        node = self.get(*path)
        return (node.text if node is not None else None) or ""

    @property
    def is_blank(self) -> bool:
        """Whether this is null, or an empty string, array or object."""
        return self.value is None or self.value in ("", [], {})


@dataclass(frozen=True, slots=True)
class Edit:
    """Put `pieces` in the place of the characters [start, end).

    Pieces that are bytes are ASCII already, such as base64, and are not looked at again.
    """

    start: int
    end: int
    pieces: tuple[str | bytes, ...]


def parse(text: str) -> Node:
    """Return the value of a JSON text, with places.

    Raises:
        NotJsonError: It is no JSON, repeats a key, or is too deep or too rich.

    Example:
        >>> node = parse('{"a": [1.0, "x"]}')
        >>> node.get("a").start, node.get("a").items[1].text
        (6, 'x')
    """
    scanner = _Scanner(text)
    try:
        node = scanner.value(scanner.skip(0), 0)
    except (IndexError, json.JSONDecodeError) as error:
        raise NotJsonError("the body is not JSON") from error
    if scanner.skip(node.end) != len(text):
        raise NotJsonError("something follows the JSON value")
    return node


class _Scanner:
    def __init__(self, text: str):
        self._text = text
        self._num_values = 0

    def skip(self, at: int) -> int:
        match = _BLANK.match(self._text, at)
        assert match is not None
        return match.end()

    def value(self, at: int, depth: int) -> Node:
        self._num_values += 1
        if self._num_values > MAX_VALUES or depth > MAX_DEPTH:
            raise NotJsonError("the JSON is too deep or has too many values")
        match self._text[at]:
            case '"':
                string, end = _scan_string(self._text, at + 1, True)
                return Node(at, end, string)
            case "{":
                return self._object(at, depth)
            case "[":
                return self._array(at, depth)
            case _:
                found = _ATOM.match(self._text, at)
                if found is None:
                    raise NotJsonError("the body is not JSON")
                word = found[0]
                return Node(at, found.end(), _WORDS.get(word, (word,)))

    def _object(self, start: int, depth: int) -> Node:
        fields: dict[str, Node] = {}
        at = self.skip(start + 1)
        if self._text[at] == "}":
            return Node(start, at + 1, fields)
        while True:
            self._expect(at, '"')
            key, at = _scan_string(self._text, at + 1, True)
            at = self.skip(at)
            self._expect(at, ":")
            node = self.value(self.skip(at + 1), depth + 1)
            if key in fields:
                raise NotJsonError("a key is given twice")
            fields[key] = node
            at = self.skip(node.end)
            if self._text[at] == "}":
                return Node(start, at + 1, fields)
            self._expect(at, ",")
            at = self.skip(at + 1)

    def _array(self, start: int, depth: int) -> Node:
        items: list[Node] = []
        at = self.skip(start + 1)
        if self._text[at] == "]":
            return Node(start, at + 1, items)
        while True:
            node = self.value(at, depth + 1)
            items.append(node)
            at = self.skip(node.end)
            if self._text[at] == "]":
                return Node(start, at + 1, items)
            self._expect(at, ",")
            at = self.skip(at + 1)

    def _expect(self, at: int, mark: str) -> None:
        if self._text[at] != mark:
            raise NotJsonError("the body is not JSON")


def splice(text: str, edits: Iterable[Edit]) -> tuple[bytes, ...]:
    """Return the UTF-8 of a text with some places replaced; all else keeps its bytes.

    The pieces are not joined: a request with pages has megabytes, and copying them takes longer
    than all the rest that is done to it.

    Args:
        text: The text.
        edits: Without overlap; those at one place follow each other in the order given.
    """
    done: list[bytes] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        assert edit.start >= at, "edits overlap"
        done.append(text[at : edit.start].encode())
        done += [piece if isinstance(piece, bytes) else piece.encode() for piece in edit.pieces]
        at = edit.end
    done.append(text[at:].encode())
    return tuple(done)


def field_edit(node: Node, key: str, value: Sequence[str | bytes] | str) -> Edit:
    """Return the edit that adds a field at the end of an object, which must not have it yet."""
    pieces = (value,) if isinstance(value, str) else tuple(value)
    comma = ", " if node.fields else ""
    return Edit(node.end - 1, node.end - 1, (f"{comma}{quoted(key)}: ", *pieces))


def quoted(text: str) -> str:
    """Return a string as JSON, in ASCII."""
    return json.dumps(text)
