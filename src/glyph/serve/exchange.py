"""Exchange: one request from its first byte to the last byte of its answer.

    receive ── rewrite ── send on ──> head ── relay ──> client

When the client leaves, whatever is under way is cancelled, up to the upstream. Before the first
byte of an answer things may be tried again: once with the original text when pages were refused.
After it, whatever goes wrong is told in the stream's own words.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from glyph.errors import GlyphError, UpstreamError
from glyph.serve.expand.loop import DIALECTS, ExpandedReply
from glyph.serve.expand.offer import Expander
from glyph.serve.guard import MODE_HEADER, returned
from glyph.serve.metrics import passage_of
from glyph.serve.paging import PagedText
from glyph.serve.replies import (
    UsageStream,
    error_body,
    error_event,
    report_headers,
    with_usage,
)
from glyph.serve.rewrite import Incoming, Report, Rewritten, read_request, rewrite, spec_of
from glyph.serve.upstream import Call, RawHeaders, Reply, Upstream
from glyph.serve.wires import Wire

if TYPE_CHECKING:
    from glyph.serve.gateway import Gateway

REFUSED = frozenset((400, 404, 413, 415, 422))
"""What an upstream answers when it takes no images, or not these."""

CLIENT_GONE = 499
Send = Callable[[dict[str, Any]], Any]


class BadRequestError(Exception):
    """The request is answered here; status and words for the client."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    Attributes:
        gateway: Whose.
        call: What came in, with the headers that may go on.
        wire: Its format; None for paths that only pass.
        mode: What the client wishes: `off`, `dry-run` or nothing.
        send: Sends to the client.
    """

    gateway: "Gateway"
    call: Call
    wire: Wire | None
    mode: str
    send: Send
    report: Report = field(default_factory=lambda: Report("passed", "not-chat"))
    model: str = ""
    upstream: str = ""
    status: int = 0
    has_begun: bool = False
    is_over: bool = False
    is_stream: bool = False
    outcome: str = "ok"
    times_s: list[float] = field(default_factory=lambda: [time.perf_counter()])

    async def run(self) -> None:
        """Answer the request; whatever happens is counted."""
        self.gateway.metrics.active.inc()
        try:
            await self._answer()
        except asyncio.CancelledError:
            self.outcome, self.status = "client-left", self.status or CLIENT_GONE
            raise
        except UpstreamError as error:
            self.outcome = "upstream-failed"
            await self._fail(error.status or 502, str(error))
        except BadRequestError as error:
            self.outcome = "refused"
            await self._fail(error.status, str(error))
        finally:
            self.gateway.metrics.active.dec()
            moments = [*self.times_s, *[time.perf_counter()] * (4 - len(self.times_s))]
            self.gateway.metrics.passed(
                passage_of(
                    self.report,
                    wire=self.wire.name if self.wire else "other",
                    model=self.model,
                    upstream=self.upstream,
                    status=self.status,
                    times_s=moments,
                    outcome=self.outcome,
                )
            )

    async def _answer(self) -> None:
        incoming: Incoming | None = None
        rewritten = Rewritten(self.call.pieces, self.report)
        if self.wire is not None:
            incoming = await self._read(self.wire)
            self.model, self.is_stream = incoming.model_name, incoming.is_stream
            rewritten = await self._rewrite(incoming)
        self.report = rewritten.report
        upstream = self.gateway.router.pick(self.model)
        self.upstream = upstream.name
        expander = self.gateway.expander
        is_paged = self.report.action == "compressed"
        if incoming is not None and expander is not None and is_paged:
            reply = await self._expand(expander, upstream, incoming, rewritten)
        else:
            self.times_s.append(time.perf_counter())
            reply = await upstream.send(replace(self.call, pieces=rewritten.pieces))
        reply = await self._fall_back(upstream, reply)
        self.times_s.append(time.perf_counter())
        try:
            await self._relay(reply)
        finally:
            await asyncio.shield(reply.close())

    async def _read(self, wire: Wire) -> Incoming:
        if (expander := self.gateway.expander) is not None and wire.name == "responses":
            self.call = replace(self.call, pieces=expander.resumed(self.call.pieces))
        body, rules = self.call.body, self.gateway.rules
        if len(body) < self.gateway.inline_bytes:
            return read_request(body, wire, rules)
        return await asyncio.to_thread(read_request, body, wire, rules)

    async def _rewrite(self, incoming: Incoming) -> Rewritten:
        """Make the pages and put them in; trouble with pages leaves the text."""
        untouched = Rewritten(self.call.pieces, Report("passed", incoming.reason))
        if self.mode == "off":
            return replace(untouched, report=Report("passed", "switched-off"))
        if incoming.model is None or incoming.reason:
            return untouched
        gateway, model = self.gateway, incoming.model
        if reason := gateway.legibility.reason_against(self.model, model.name):
            return replace(untouched, report=Report("passed", reason, model.name))
        spec = spec_of(model, gateway.rules)
        wanted = {site.text: site.digest for site in incoming.sites if not site.keep}
        try:
            made = await asyncio.gather(
                *(gateway.cache.get(text, spec, digest) for text, digest in wanted.items())
            )
        except GlyphError:
            return replace(untouched, report=Report("passed", "cannot-be-paged", model.name))
        paged: dict[str, PagedText] = dict(zip(wanted, made, strict=True))
        ledger = gateway.ledger
        done = rewrite(
            incoming,
            paged,
            gateway.rules,
            was_pages=ledger.was_pages,
            was_text=ledger.was_text,
            prices=gateway.prices.of(self.model),
            offer_tokens=gateway.expander.num_tokens(model) if gateway.expander else 0,
            dry_run=gateway.dry_run or self.mode == "dry-run",
        )
        sent = (
            {pages.key for _, pages in done.documents} if done.report.action == "compressed" else ()
        )
        for pages in made:
            ledger.note(pages, as_pages=pages.key in sent)
        is_changed = done.report.action == "compressed"
        return done if is_changed else replace(done, pieces=self.call.pieces)

    async def _expand(
        self, expander: Expander, upstream: Upstream, incoming: Incoming, done: Rewritten
    ) -> Reply:
        """Send the pages with the tools to read them; without, when those are refused."""

        async def ask(pieces: tuple[bytes, ...]) -> Reply:
            return await upstream.send(replace(self.call, pieces=pieces))

        offered = expander.offered(incoming, done, upstream.name)
        self.times_s.append(time.perf_counter())
        if isinstance(offered, str):
            self.report = replace(self.report, expand=offered)
            return await ask(done.pieces)
        self.report = replace(self.report, expand="offered")
        desk = expander.desk(done, self._noted)
        dialect = DIALECTS[incoming.wire.name]
        reply = ExpandedReply(
            await ask(offered), offered, ask, dialect, desk, on_renamed=expander.renamed
        )
        if reply.status not in REFUSED:
            return reply
        await reply.close()
        self.report = replace(self.report, expand="refused")
        plain = await ask(done.pieces)
        if plain.status not in REFUSED:
            expander.refused(upstream.name, self.model)
        return plain

    def _noted(self, tool: str) -> None:
        self.gateway.metrics.read(tool)
        self.report = replace(self.report, reads=self.report.reads + 1)

    async def _fall_back(self, upstream: Upstream, reply: Reply) -> Reply:
        """Send the original text, once, when pages were refused."""
        if self.report.action != "compressed" or reply.status not in REFUSED:
            return reply
        await reply.close()
        self.report = replace(self.report, action="fallback", reason=f"upstream-{reply.status}")
        return await upstream.send(self.call)

    # -- the answer --------------------------------------------------------------------------

    async def _relay(self, reply: Reply) -> None:
        kind = dict(reply.headers).get(b"content-type", b"")
        is_events = kind.startswith(b"text/event-stream")
        edits = self.wire is not None and self.report.action in ("compressed", "dry-run")
        if edits and not is_events:
            await self._whole(reply)
            return
        usage = UsageStream(self.wire, lambda: self.report) if edits and self.wire else None
        headers = returned(reply.headers, keep_length=not is_events)
        left = _length_of(headers)
        try:
            async for chunk in _edited(reply.chunks(), usage):
                # The head waits for the first bytes: both leave as one piece, and an answer that
                # fails before them fails with a status.
                await self._begin(reply.status, headers)
                left -= len(chunk)
                self.is_over = self.is_over or left == 0
                await self._body(chunk, is_last=left == 0)
        except UpstreamError as error:
            if not self.has_begun:
                raise
            self.outcome = "upstream-broke-off"
            if not is_events:
                # Only a cut connection tells the client that this is not all.
                raise ConnectionAbortedError(str(error)) from None
            await self._body(error_event(self.wire, error.status or 502, str(error)))
        await self._begin(reply.status, headers)
        if not self.is_over:
            await self._end(b"")

    async def _whole(self, reply: Reply) -> None:
        """Take in an answer that is one JSON value, and say in its usage what was done."""
        assert self.wire is not None
        parts: list[bytes] = []
        size = 0
        async for chunk in reply.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > self.gateway.max_body_bytes:
                raise UpstreamError("the upstream's answer is larger than the gateway takes.", 502)
        body = with_usage(b"".join(parts), self.wire, self.report)
        await self._respond(reply.status, returned(reply.headers, keep_length=False), body)

    async def _fail(self, status: int, message: str) -> None:
        if self.has_begun:
            return
        body = error_body(self.wire, status, message)
        await self._respond(status, [(b"content-type", b"application/json")], body)

    async def _respond(self, status: int, headers: RawHeaders, body: bytes) -> None:
        await self._begin(status, [*headers, (b"content-length", str(len(body)).encode())])
        await self._end(body)

    async def _end(self, body: bytes) -> None:
        # From here on the client's leaving is no cancellation.
        self.is_over = True
        await self._body(body, is_last=True)

    async def _body(self, body: bytes, *, is_last: bool = False) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": not is_last})

    async def _begin(self, status: int, headers: RawHeaders) -> None:
        if self.has_begun:
            return
        self.has_begun, self.status = True, status
        said = report_headers(self.report) if self.wire is not None else []
        start = {"type": "http.response.start", "status": status, "headers": [*headers, *said]}
        await self.send(start)


def _length_of(headers: RawHeaders) -> int:
    """Return how many bytes follow, -1 when nobody has said so."""
    length = dict(headers).get(b"content-length", b"")
    return int(length) if length.isdigit() else -1


async def _edited(chunks: AsyncIterator[bytes], usage: UsageStream | None) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        piece = usage.feed(chunk) if usage is not None else chunk
        if piece:
            yield piece
    if usage is not None and (rest := usage.end()):
        yield rest


def mode_of(headers: dict[bytes, bytes]) -> str:
    """Return what a client wishes in its header `x-glyph`: `off`, `dry-run` or nothing."""
    mode = headers.get(MODE_HEADER, b"").decode("latin-1").strip().lower()
    if mode not in ("", "on", "off", "dry-run"):
        raise BadRequestError(400, "header x-glyph: 'on', 'off' or 'dry-run' is accepted.")
    return mode
