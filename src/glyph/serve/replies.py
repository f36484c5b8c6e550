"""Replies: the words of errors in each wire format, and `usage.glyph` put into answers.

A stream is edited line by line: a line goes out as soon as it is whole, and only lines that speak
of usage are looked at.
"""

import json
from collections.abc import Callable
from typing import Any

from glyph.serve.rewrite import Report
from glyph.serve.spans import NotJsonError, field_edit, parse, splice
from glyph.serve.upstream import RawHeaders
from glyph.serve.wires import Wire

MAX_LINE_BYTES = 4 * 2**20
_KINDS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
          404: "not_found_error", 413: "request_too_large", 422: "invalid_request_error",
          429: "rate_limit_error", 503: "overloaded_error"}  # fmt: skip


def error_body(wire: Wire | None, status: int, message: str) -> bytes:
    """Return an error as the clients of a wire format expect it."""
    return json.dumps(_error(wire, status, message)).encode()


def _error(wire: Wire | None, status: int, message: str) -> dict[str, Any]:
    kind = _KINDS.get(status, "api_error")
    if wire is not None and wire.name == "messages":
        return {"type": "error", "error": {"type": kind, "message": message}}
    error = {"message": message, "type": kind, "param": None, "code": f"glyph_{status}"}
    return {"error": error}


def error_event(wire: Wire | None, status: int, message: str) -> bytes:
    """Return an error as an event in the middle of a stream.

    It begins with a blank line, which ends an event that was cut off.
    """
    value = _error(wire, status, message)
    if wire is not None and wire.name == "responses":
        value = {"type": "error", "code": value["error"]["code"], "message": message, "param": None,
                 "sequence_number": 0}  # fmt: skip
    name = b"" if wire is None or wire.name == "chat" else b"event: error\n"
    return b"\n\n" + name + b"data: " + json.dumps(value).encode() + b"\n\n"


def report_headers(report: Report) -> RawHeaders:
    """Return what the gateway says about a request in headers."""
    values = report.values()
    cold, warm = values["cost_cold"], values["cost_warm"]
    unit = f" {values['cost_unit']}" if report.dollars is not None else ""
    pairs = {
        "action": report.action,
        "reason": report.reason or "profitable",
        "ratio": f"{report.ratio:.2f}",
    }
    if report.expand:
        pairs["expand"] = report.expand
    if report.model:
        pairs["model"] = report.model
    if report.pages:
        pairs |= {
            "original-tokens": str(report.text_tokens),
            "page-tokens": str(report.page_tokens),
            "pages": str(report.pages),
            "cost-text": f"{cold['text']} cold, {warm['text']} warm{unit}",
            "cost-pages": f"{cold['pages']} cold, {warm['pages']} warm{unit}",
        }
    return [
        (f"x-glyph-{key}".encode(), value.encode("ascii", "replace"))
        for key, value in pairs.items()
    ]


def with_usage(data: bytes, wire: Wire, report: Report) -> bytes:
    """Return an answer, or one event's data, with `glyph` inside its usage; else unchanged."""
    try:
        text = data.decode("utf-8")
        node = parse(text)
    except (UnicodeDecodeError, NotJsonError):
        return data
    added = json.dumps(report.values())
    found = [node.get(*path) for path in wire.usage_paths]
    edits = [
        field_edit(usage, "glyph", added)
        for usage in found
        if usage is not None and usage.fields and "glyph" not in usage.fields
    ]
    return b"".join(splice(text, edits)) if edits else data


class UsageStream:
    """Puts `usage.glyph` into the events of a stream while it passes."""

    def __init__(self, wire: Wire, report: Callable[[], Report]):
        """Begin.

        Args:
            wire: The format.
            report: Returns what was done so far.
        """
        self._wire = wire
        self._report = report
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return what may go out; an unfinished line is held back, unless it is too long."""
        data = self._held + chunk
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > MAX_LINE_BYTES:
            cut = len(data)
        self._held = data[cut:]
        whole = data[:cut]
        if b'"usage"' not in whole:
            return whole
        return b"".join(map(self._line, whole.splitlines(keepends=True)))

    def end(self) -> bytes:
        """Return what is left of a stream that ended within a line."""
        held, self._held = self._held, b""
        return held

    def _line(self, line: bytes) -> bytes:
        if not line.startswith(b"data:") or b'"usage"' not in line:
            return line
        data = line[5:].strip()
        return line.replace(data, with_usage(data, self._wire, self._report()), 1)
