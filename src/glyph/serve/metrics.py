"""Metrics and logs: what passes through, in numbers and never in words.

No text of a request, no key and no answer is ever logged; a model's name is cut and cleaned.
"""

import re
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from glyph.serve.rewrite import Report

MAX_TRAFFIC = 500
_ODD = re.compile(r"[^A-Za-z0-9._:/@+-]")
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)


@dataclass(frozen=True, slots=True)
class Passage:
    """One request that passed, in numbers.

    Attributes:
        at: Unix time.
        wire: Wire format, or `other`.
        model: Name of the model, cleaned.
        upstream: Where it went.
        action: What was done.
        reason: Why nothing was.
        status: HTTP status.
        text_tokens: Text tokens of what became pages.
        page_tokens: Tokens of pages, framing and sidecar.
        pages: Number of pages.
        prepare_s: Seconds until it went on.
        first_byte_s: Seconds from there to the head of the answer.
        total_s: Seconds in all.
        outcome: `ok`, or what went wrong.
        reads: Pages and searches the model asked for.
    """

    at: float
    wire: str
    model: str
    upstream: str
    action: str
    reason: str
    status: int
    text_tokens: int
    page_tokens: int
    pages: int
    prepare_s: float
    first_byte_s: float
    total_s: float
    outcome: str
    reads: int = 0


class Metrics:
    """Counts everything, keeps the last passages for the playground, and writes the log."""

    def __init__(self, *, log: bool = True):
        """Make the instruments.

        Args:
            log: Write a line of JSON to standard error for each passage.
        """
        self.registry = CollectorRegistry()
        self.traffic: deque[Passage] = deque(maxlen=MAX_TRAFFIC)
        self._log = _logger() if log else None
        registry = self.registry
        self._requests = Counter(
            "glyph_requests", "Requests.", ("wire", "action", "status"), registry=registry
        )
        self._skips = Counter(
            "glyph_skips", "Requests that stayed text, by reason.", ("reason",), registry=registry
        )
        self._text = Counter(
            "glyph_text_tokens", "Text tokens of what became pages.", registry=registry
        )
        self._paged = Counter(
            "glyph_page_tokens", "Tokens of pages, framing and sidecars.", registry=registry
        )
        self._pages = Counter("glyph_pages", "Pages sent.", registry=registry)
        self._cache = Counter(
            "glyph_page_cache",
            "Where pages came from, and troubles.",
            ("event",),
            registry=registry,
        )
        self._reads = Counter(
            "glyph_expand_calls", "Calls of tools that read pages.", ("tool",), registry=registry
        )
        self._outcomes = Counter(
            "glyph_outcomes", "How exchanges ended.", ("outcome",), registry=registry
        )
        self._prepare = Histogram(
            "glyph_prepare_seconds",
            "From request to upstream.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._first_byte = Histogram(
            "glyph_first_byte_seconds",
            "From upstream call to head of the answer.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.active = Gauge("glyph_active_requests", "Requests under way.", registry=registry)

    def cache_event(self, event: str) -> None:
        """Count where pages came from."""
        self._cache.labels(event).inc()

    def read(self, tool: str) -> None:
        """Count a call of a tool that reads pages."""
        self._reads.labels(tool).inc()

    def passed(self, passage: Passage) -> None:
        """Count, keep and log one passage."""
        self._requests.labels(passage.wire, passage.action, str(passage.status)).inc()
        if passage.reason:
            self._skips.labels(passage.reason).inc()
        if passage.action == "compressed":
            self._text.inc(passage.text_tokens)
            self._paged.inc(passage.page_tokens)
            self._pages.inc(passage.pages)
        self._outcomes.labels(passage.outcome).inc()
        self._prepare.observe(passage.prepare_s)
        self._first_byte.observe(passage.first_byte_s)
        self.traffic.append(passage)
        if self._log is not None:
            values = asdict(passage)
            values.pop("at")
            self._log.info("passed", **{key: _short(value) for key, value in values.items()})

    def note(self, event: str, **values: Any) -> None:
        """Log something that happened outside of requests."""
        if self._log is not None:
            self._log.info(event, **values)

    def exposition(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self.registry)


def passage_of(
    report: Report, *, wire: str, model: str, upstream: str, status: int, times_s: list[float],
    outcome: str,
) -> Passage:  # fmt: skip
    """Return the passage of a report and four moments: begin, sent on, head arrived, end."""
    begin, sent, head, end = times_s
    return Passage(
        at=time.time(),
        wire=wire,
        model=clean(model),
        upstream=upstream,
        action=report.action,
        reason=report.reason,
        status=status,
        text_tokens=report.text_tokens,
        page_tokens=report.page_tokens,
        pages=report.pages,
        prepare_s=sent - begin,
        first_byte_s=max(head - sent, 0.0),
        total_s=end - begin,
        outcome=outcome,
        reads=report.reads,
    )


def clean(word: str) -> str:
    """Return a word from outside as it may be logged and sent in a header.

    Example:
        >>> clean("glm-4.5v\\r\\nx: y")
        'glm-4.5v__x:_y'
    """
    return _ODD.sub("_", word)[:80]


def _short(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value


def _logger() -> Any:
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
    )
