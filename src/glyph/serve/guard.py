"""Guard: who may talk to the gateway, and what goes on to an upstream.

On a loopback address everyone on this machine may; a web page from elsewhere may not, neither
under its own name (`Origin`) nor under a name it has made to point here (`Host`). On any other
address a token is demanded. Keys of upstreams pass through and are kept nowhere.
"""

import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from glyph.errors import ConfigError
from glyph.serve.upstream import RawHeaders

TOKEN_HEADER = b"x-glyph-token"
TOKEN_COOKIE = "glyph_token"
MODE_HEADER = b"x-glyph"
MIN_TOKEN_CHARS = 16
_NOT_FORWARDED = frozenset(
    (
        b"host", b"content-length", b"connection", b"keep-alive", b"proxy-authenticate",
        b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"cookie",
        b"origin", b"referer", b"expect", b"accept-encoding", b"forwarded", b"x-forwarded-for",
        b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", TOKEN_HEADER, MODE_HEADER,
    )
)  # fmt: skip
_NOT_RETURNED = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"trailer", b"set-cookie")
)
_LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may talk to the gateway.

    Attributes:
        host: The address it listens on.
        token: What others must show; None on loopback only.
    """

    host: str
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise ConfigError(
                f"host {self.host} can be reached by others, so a token is needed; set GLYPH_TOKEN "
                f"to at least {MIN_TOKEN_CHARS} characters, or listen on 127.0.0.1."
            )
        if self.token is not None and len(self.token) < MIN_TOKEN_CHARS:
            raise ConfigError(
                f"the token has {len(self.token)} characters; at least {MIN_TOKEN_CHARS} are "
                "accepted, such as those of 'openssl rand -hex 16'."
            )

    def refusal(self, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """Return status and reason when a request is refused, None when it may come in."""
        host = _host_of(headers.get(b"host", b"").decode("latin-1"))
        if self.token is None and host not in _LOOPBACK_NAMES and host != self.host:
            return 403, "this gateway answers to loopback names only; use http://127.0.0.1."
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and _host_of(urlsplit(origin).netloc) != host:
            return 403, "web pages of other origins may not use this gateway."
        if self.token is not None and not self._shows_token(headers):
            return 401, "send the gateway's token in the header x-glyph-token."
        return None

    def _shows_token(self, headers: dict[bytes, bytes]) -> bool:
        assert self.token is not None
        shown = [headers.get(TOKEN_HEADER, b"").decode("latin-1")]
        shown.append(_cookie(headers.get(b"cookie", b"").decode("latin-1")))
        shown.append(headers.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer "))
        wanted = self.token.encode()
        return any(hmac.compare_digest(each.encode("utf-8", "replace"), wanted) for each in shown)

    def forwarded(self, headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
        """Return the headers that go on to an upstream: the client's own, never our token."""
        kept = [
            (key, value)
            for key, value in headers
            if key not in _NOT_FORWARDED
            and not (self.token is not None and self.token.encode() in value)
        ]
        # An answer that is read here must not be packed; over loopback packing gains nothing.
        return [*kept, (b"accept-encoding", b"identity")]


def returned(headers: Iterable[tuple[bytes, bytes]], *, keep_length: bool) -> RawHeaders:
    """Return the headers of an upstream's answer that go back to the client."""
    return [
        (key, value)
        for key, value in headers
        if key not in _NOT_RETURNED
        and not key.startswith(b"x-glyph-")
        and (keep_length or key != b"content-length")
    ]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_of(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(TOKEN_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""
