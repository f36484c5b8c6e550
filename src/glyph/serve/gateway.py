"""Gateway: the ASGI application, and what its exchanges share.

Three paths are looked into; everything else below /v1/ passes. The work of a request is done in
`exchange`; here it is let in, limited, and watched for the client's leaving.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route as HttpRoute

from glyph.errors import ConfigError
from glyph.probe import POOR_WORDS
from glyph.serve.cache import MIB, Ledger, PageCache
from glyph.serve.exchange import BadRequestError, Exchange, mode_of
from glyph.serve.expand.offer import Expander
from glyph.serve.guard import TOKEN_COOKIE, Guard
from glyph.serve.metrics import Metrics
from glyph.serve.prices import PriceList
from glyph.serve.replies import error_body
from glyph.serve.rules import Rules
from glyph.serve.upstream import Call, Router, is_safe_path
from glyph.serve.wires import WIRES

MAX_BODY_BYTES = 64 * MIB
BODY_SILENCE_S = 30.0
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Legibility:
    """Which models were found unable to read their pages.

    Attributes:
        word_errors: Character error rate on words by model name, from `glyph probe --json`.
    """

    word_errors: dict[str, float] = field(default_factory=lambda: dict[str, float]())

    def reason_against(self, *names: str) -> str:
        """Return why a model gets no pages, "" when it may."""
        found = [
            self.word_errors[name.lower()] for name in names if name.lower() in self.word_errors
        ]
        return "unreadable" if found and found[0] > POOR_WORDS else ""

    @classmethod
    def from_folder(cls, folder: Path) -> "Legibility":
        """Read all results of `glyph probe --json` in a folder.

        Raises:
            ConfigError: A file is no such result.
        """
        errors: dict[str, float] = {}
        for path in sorted(folder.glob("*.json")):
            try:
                values = json.loads(path.read_bytes())
                name = str(values["reader"]).partition(":")[2] or str(values["reader"])
                errors[name.lower()] = float(values["words"]["cer"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{path} is no result of 'glyph probe --json'; keep only those in the folder."
                ) from error
        return cls(errors)


@dataclass(slots=True)
class Gateway:
    """What all exchanges share.

    Attributes:
        router: Where requests go on to.
        cache: Where pages come from.
        rules: What may become pages.
        guard: Who may come in.
        metrics: What is counted.
        legibility: Who can read.
        prices: What tokens cost in dollars.
        expander: Lets models read pages as text; None offers nothing.
        dry_run: Decide and report, but change nothing.
        max_body_bytes: Largest request and largest answer that is edited.
        inline_bytes: Larger bodies are taken apart in a thread.
    """

    router: Router
    cache: PageCache
    guard: Guard
    rules: Rules = field(default_factory=Rules)
    metrics: Metrics = field(default_factory=Metrics)
    legibility: Legibility = field(default_factory=Legibility)
    prices: PriceList = field(default_factory=PriceList)
    expander: Expander | None = None
    dry_run: bool = False
    max_body_bytes: int = MAX_BODY_BYTES
    inline_bytes: int = MIB
    ledger: Ledger = field(default_factory=Ledger)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that passes or is rewritten."""
        headers = dict(scope["headers"])
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
        wire = WIRES.get(path) if scope["method"] == "POST" else None
        try:
            if not is_safe_path(path):
                raise BadRequestError(400, "the path leads elsewhere.")
            mode = mode_of(headers)
            body = await self._body(headers, receive)
        except BadRequestError as error:
            await _answer(send, error.status, error_body(wire, error.status, str(error)))
            return
        forwarded = self.guard.forwarded(scope["headers"])
        call = Call(scope["method"], path, scope["query_string"], forwarded, (body,))
        exchange = Exchange(self, call, wire, mode, send)
        await _while_connected(exchange, receive)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        limit = self.max_body_bytes
        too_large = BadRequestError(413, f"the body is larger than {limit:,} bytes.")
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise BadRequestError(415, "send the body unpacked; content-encoding is not accepted.")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > limit:
            raise too_large
        parts: list[bytes] = []
        size = 0
        while True:
            try:
                message = await asyncio.wait_for(receive(), BODY_SILENCE_S)
            except TimeoutError:
                raise BadRequestError(408, "the body did not arrive.") from None
            if message["type"] == "http.disconnect":
                raise BadRequestError(400, "the client left.")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise too_large
            if not message.get("more_body"):
                return b"".join(parts)


async def _while_connected(exchange: Exchange, receive: Receive) -> None:
    """Run an exchange; cancel it when the client leaves."""
    task = asyncio.create_task(exchange.run())

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not exchange.is_over:
            task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        with suppress(asyncio.CancelledError):
            await task
    finally:
        watcher.cancel()
        if not task.done():
            task.cancel()


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Doorkeeper:
    """Lets in whoever the guard lets in; health is for everyone."""

    def __init__(self, app: Any, gateway: Gateway):
        self._app = app
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "lifespan" or scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        token = self._gateway.guard.token
        if token is not None and query == f"token={token}" and scope["method"] == "GET":
            await _set_cookie(scope, send, token)
            return
        refused = self._gateway.guard.refusal(dict(scope["headers"]))
        if refused is not None:
            await _answer(send, refused[0], error_body(WIRES.get(scope["path"]), *refused))
        elif scope["path"].startswith("/v1/"):
            await self._gateway.handle(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _set_cookie(scope: Scope, send: Send, token: str) -> None:
    """Trade the token in an address for a cookie, so that it does not stay in the address bar."""
    cookie = f"{TOKEN_COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/"
    headers = [(b"location", scope["path"].encode()), (b"set-cookie", cookie.encode())]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def make_app(gateway: Gateway, *, playground: Callable[[Starlette], Any] | None = None) -> Any:
    """Return the ASGI application of a gateway.

    Args:
        gateway: What it serves.
        playground: Mounts the playground on the inner application and returns the result.
    """

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(
            gateway.metrics.exposition(), media_type="text/plain; version=0.0.4"
        )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        yield
        await gateway.router.close()
        await gateway.cache.close()

    routes = [HttpRoute("/healthz", healthz), HttpRoute("/metrics", metrics)]
    app = Starlette(routes=routes, lifespan=cast(Any, lifespan))
    inner = playground(app) if playground is not None else app
    return _Doorkeeper(inner, gateway)
