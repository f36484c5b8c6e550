"""Upstreams: where requests go on to, and how one is chosen by model.

A host is named by whoever starts the gateway, never by a request; redirects are not followed.
"""

import asyncio
import fnmatch
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from glyph.errors import ConfigError, UpstreamError

CONNECT_RETRIES = 2
FIRST_WAIT_S = 0.2
MAX_CONNECTIONS = 2_000
MAX_HEADER_BYTES = 64 * 1024
BLOCK_BYTES = 128 * 1024
RawHeaders = list[tuple[bytes, bytes]]
_VERSION = re.compile(r"/v\d+(?:beta|alpha)?\d*$")


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it goes on.

    Attributes:
        method: HTTP method.
        path: Path as the client wrote it, from the root of the gateway.
        query: Query without the question mark.
        headers: Those that go on.
        pieces: Its body, in pieces that follow each other.
    """

    method: str
    path: str
    query: bytes
    headers: RawHeaders
    pieces: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        """Its body, in one piece."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    @property
    def num_bytes(self) -> int:
        """Length of its body."""
        return sum(map(len, self.pieces))


class Reply(Protocol):
    """An answer whose head has arrived."""

    status: int
    headers: RawHeaders

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            UpstreamError: It broke off or fell silent.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection; what is still to come is cancelled."""
        ...


class Upstream(Protocol):
    """Anything that answers calls."""

    name: str

    async def send(self, call: Call) -> Reply:
        """Send a call and return when the head of the answer is there.

        Raises:
            UpstreamError: Nobody answers; its status is 502 or 504.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long an upstream may take.

    Attributes:
        connect_s: To accept a connection.
        idle_s: Longest silence, before the first byte and between two.
    """

    connect_s: float = 10.0
    idle_s: float = 300.0


@dataclass(slots=True)
class _HttpReply:
    response: aiohttp.ClientResponse
    name: str
    idle_s: float
    status: int = 0
    headers: RawHeaders = field(default_factory=lambda: RawHeaders())

    def __post_init__(self) -> None:
        self.status = self.response.status
        self.headers = [(key.lower(), value) for key, value in self.response.raw_headers]

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self.response.content.iter_any():
                yield chunk
        except TimeoutError:
            raise UpstreamError(
                f"upstream {self.name} fell silent for {self.idle_s:g} s in the middle of its "
                "answer; ask again.",
                504,
            ) from None
        except (aiohttp.ClientError, OSError):
            raise UpstreamError(
                f"upstream {self.name} broke off in the middle of its answer; ask again.", 502
            ) from None

    async def close(self) -> None:
        # Over a connection whose answer is not at its end nothing else can be asked.
        self.response.close()


async def _blocks(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces as blocks of about `BLOCK_BYTES`; joining all of them would cost more."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= BLOCK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


class HttpUpstream:
    """An upstream behind a URL.

    Attributes:
        name: Its host and port.
    """

    def __init__(self, url: str, timeouts: Timeouts | None = None):
        """Check the URL; nothing is sent.

        Raises:
            ConfigError: It is no http or https URL, or holds a user, a query or a fragment.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"upstream '{_without_secrets(url)}' is no URL; http://HOST[:PORT][/PATH] or "
                "https://... is accepted, such as http://127.0.0.1:8000."
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError(
                f"upstream '{_without_secrets(url)}' may hold no user, query or fragment; clients "
                "send their keys themselves."
            )
        self.name = parts.netloc
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/")
        self._timeouts = timeouts or Timeouts()
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        """Return the connections, which belong to the loop that asks first."""
        if self._session is None:
            times = self._timeouts
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=times.connect_s, sock_read=times.idle_s
                ),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                auto_decompress=False,
                trust_env=False,
                max_line_size=MAX_HEADER_BYTES,
                max_field_size=MAX_HEADER_BYTES,
            )
        return self._session

    def url_of(self, path: str) -> str:
        """Return the URL of a path: an upstream that ends in a version replaces the client's.

        Example:
            >>> HttpUpstream("http://127.0.0.1:8000/v1").url_of("/v1/models")
            'http://127.0.0.1:8000/v1/models'
        """
        if _VERSION.search(self._prefix) and path.startswith("/v1/"):
            path = path.removeprefix("/v1")
        return f"{self._base}{self._prefix}{path}"

    async def send(self, call: Call) -> Reply:
        """Send a call; a connection that was refused or gone is tried again."""
        query = f"?{call.query.decode('latin-1')}" if call.query else ""
        url = URL(f"{self.url_of(call.path)}{query}", encoded=True)
        headers = [(key.decode("latin-1"), value.decode("latin-1")) for key, value in call.headers]
        length = call.num_bytes
        if length > BLOCK_BYTES:
            headers.append(("content-length", str(length)))
        for attempt in range(CONNECT_RETRIES + 1):
            # Large bodies are handed over in blocks, so that other streams go on meanwhile.
            is_small = length <= BLOCK_BYTES
            data = call.body or None if is_small else _blocks(call.pieces)
            try:
                response = await self._open().request(
                    call.method, url, headers=headers, data=data, allow_redirects=False
                )
            except aiohttp.ConnectionTimeoutError:
                raise self._failed(
                    f"did not accept a connection within {self._timeouts.connect_s:g} s", 504
                ) from None
            except TimeoutError:
                raise self._failed(
                    f"gave no answer within {self._timeouts.idle_s:g} s", 504
                ) from None
            except aiohttp.ClientConnectorError:
                # Nothing was sent, so nothing can happen twice.
                if attempt == CONNECT_RETRIES:
                    raise self._failed("refuses connections", 502) from None
                await asyncio.sleep(FIRST_WAIT_S * 2**attempt)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError):
                # Mostly a kept connection that the upstream has closed meanwhile.
                if attempt > 0:
                    raise self._failed("closed the connection before it answered", 502) from None
            except (aiohttp.ClientError, ValueError):
                raise self._failed("sent something that is no HTTP answer", 502) from None
            else:
                return _HttpReply(response, self.name, self._timeouts.idle_s)
        raise AssertionError("the loop returns or raises")

    def _failed(self, what: str, status: int) -> UpstreamError:
        return UpstreamError(f"upstream {self.name} {what}; is it up?", status)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


@dataclass(frozen=True, slots=True)
class Route:
    """Models whose name fits the pattern go to the upstream; `*` fits all."""

    pattern: str
    upstream: Upstream


@dataclass(frozen=True, slots=True)
class Router:
    """Chooses an upstream by model: the first route that fits."""

    routes: tuple[Route, ...]

    def pick(self, model: str) -> Upstream:
        """Return the upstream of a model; requests that name none go to the last route.

        Raises:
            UpstreamError: No route fits.
        """
        for route in self.routes:
            if model and fnmatch.fnmatchcase(model.lower(), route.pattern.lower()):
                return route.upstream
        last = self.routes[-1]
        if not model or last.pattern == "*":
            return last.upstream
        patterns = ", ".join(route.pattern for route in self.routes)
        raise UpstreamError(f"no upstream is set up for this model; routes: {patterns}.", 404)

    async def close(self) -> None:
        """Close all upstreams."""
        for route in self.routes:
            await route.upstream.close()


def parse_routes(specs: Sequence[str], timeouts: Timeouts | None = None) -> Router:
    """Return the router of `URL` and `PATTERN=URL` specs; those with a pattern are tried first.

    Raises:
        ConfigError: A URL is none, or two specs have the same pattern.

    Example:
        >>> router = parse_routes(["claude-*=http://127.0.0.1:9001", "http://127.0.0.1:9002"])
        >>> router.pick("claude-opus-5").name, router.pick("glm-4.5v").name
        ('127.0.0.1:9001', '127.0.0.1:9002')
    """
    pairs: list[tuple[str, str]] = []
    for spec in specs:
        pattern, equals, url = spec.partition("=")
        is_plain = not equals or "://" in pattern
        pairs.append(("*", spec) if is_plain else (pattern, url))
    patterns = [pattern for pattern, _ in pairs]
    twice = next((p for p in patterns if patterns.count(p) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"two upstreams for models '{twice}'; write PATTERN=URL with different patterns, such "
            "as 'claude-*=https://HOST'."
        )
    ordered = sorted(pairs, key=lambda pair: pair[0] == "*")
    return Router(tuple(Route(pattern, HttpUpstream(url, timeouts)) for pattern, url in ordered))


def is_safe_path(path: str) -> bool:
    """Whether a path stays below the upstream's own.

    Example:
        >>> is_safe_path("/v1/models"), is_safe_path("/v1/%2e%2e/admin")
        (True, False)
    """
    plain = unquote(unquote(path))
    segments = plain.replace("\\", "/").split("/")
    has_odd = any(ord(char) < 33 or char in "#?" for char in plain)
    return path.startswith("/") and "//" not in plain and ".." not in segments and not has_odd


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else url.partition("?")[0]
