"""Rules: what the gateway may turn into pages, and what must stay text."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from glyph.errors import ConfigError

SiteKind = Literal["document", "history", "tool", "system"]

HEAD_CHARS, TAIL_CHARS = 200, 600
"""What stays text around a document that shares its text with the question, at the least."""

REACH_CHARS = 1_400
"""How much further the next break is looked for."""

_SECRET = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY"
    r"|\b(?:sk|rk|pk)[-_](?:live|test|proj|ant|or|svcacct)[-_][A-Za-z0-9_-]{12}"
    r"|\bsk-[A-Za-z0-9]{20}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30}|\bgithub_pat_\w{30}|\bglpat-[\w-]{20}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10}|\bAIza[\w-]{35}|\bhf_[A-Za-z0-9]{30}"
    r"|\beyJ[\w-]{10,500}+\.eyJ[\w-]{10,2000}+\.[\w-]{10}"
)
# What a secret begins with. Looking for these takes a hundredth of the time of the pattern, which
# has to be tried at every word.
_SECRET_STARTS = (
    "-----BEGIN ", "sk-", "sk_", "rk-", "rk_", "pk-", "pk_", "AKIA", "ASIA", "ghp_", "gho_",
    "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AIza", "hf_", "eyJ",
)  # fmt: skip
# Lines that change from request to request; on a page they would change its bytes every time.
_VOLATILE = re.compile(
    r"(?im)^[^\S\n]*[-*<]?[^\S\n]*(?:today(?:'s date)?|(?:current )?(?:date|time|datetime)|now|cwd"
    r"|working dir(?:ectory)?|(?:remaining |used )?tokens?(?: used| left)?|session[ _-]?id"
    r"|request[ _-]?id)\b[^\S\n]*(?:is\b|[:=>]).*$\n?"
)
_BREAKS = ("\n\n", "\n", ". ", "? ", "! ", "。", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What may become pages, and when it pays.

    Attributes:
        documents: Long texts of the user.
        tools: Long results of tools.
        history: Old turns, in chunks that never change once they are pages.
        system: Long system prompts; off, since some models then refuse or take pages for orders.
        min_chars: Shorter texts are not looked at.
        min_saving: Share of the tokens pages must save, framing and sidecar counted.
        keep_saving: The same for a text whose beginning travelled as pages before: without a
            margin between the two, a text near the line would change sides, and lose the cache.
        history_chunk: Messages of one chunk; boundaries are multiples of it.
        history_keep: Newest messages that always stay text.
        horizon: Requests over which turning a text that is already cached must pay.
        sidecar_share: Tokens for exact strings, as a share of the tokens saved.
        preset: Of the pages; None takes the one on the model's grid, line breaks shown as marks.
        vision_model: Whose token rule holds for every model name; None goes by the name.
        max_images: Upper limit below the model's own; None for none.
        max_image_bytes_total: The same for all images of a request together, before base64.
    """

    documents: bool = True
    tools: bool = True
    history: bool = True
    system: bool = False
    min_chars: int = 4_000
    min_saving: float = 0.15
    keep_saving: float = 0.05
    history_chunk: int = 16
    history_keep: int = 8
    horizon: int = 10
    sidecar_share: float = 0.05
    preset: str | None = None
    vision_model: str | None = None
    max_images: int | None = None
    max_image_bytes_total: int | None = None

    def __post_init__(self) -> None:
        least = HEAD_CHARS + TAIL_CHARS + 2 * REACH_CHARS
        if self.min_chars < least:
            raise ConfigError(f"min_chars is {self.min_chars}; at least {least} is accepted.")
        if not 0 <= self.keep_saving <= self.min_saving < 1:
            raise ConfigError(
                f"min_saving is {self.min_saving:g} and keep_saving {self.keep_saving:g}; shares "
                "with 0 <= keep_saving <= min_saving < 1 are accepted."
            )
        if not 0 <= self.sidecar_share <= 1:
            raise ConfigError(f"sidecar_share is {self.sidecar_share:g}; 0 to 1 is accepted.")
        if self.history_chunk < 2 or self.history_keep < 1 or self.horizon < 1:
            raise ConfigError(
                "history_chunk is at least 2, history_keep and horizon are at least 1."
            )


def digest_of(text: str) -> bytes:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def holds_secret(text: str) -> bool:
    """Whether a text holds something that looks like a key or a password of a service.

    Such texts stay text: a secret misread by one character is worth nothing, and a picture of one
    escapes every filter that looks for it.

    Example:
        >>> holds_secret("key: AKIA" + 16 * "A"), holds_secret("a plain sentence")
        (True, False)
    """
    return any(
        _SECRET.match(text, at) for start in _SECRET_STARTS for at in _places_of(start, text)
    )


def _places_of(word: str, text: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def split_volatile(text: str) -> tuple[str, str]:
    """Return a text without the lines that change with every request, and those lines.

    Example:
        >>> split_volatile("You help.\\nToday's date: 2026-11-25\\nBe kind.")
        ('You help.\\nBe kind.', "Today's date: 2026-11-25\\n")
    """
    lines = [match[0] for match in _VOLATILE.finditer(text)]
    return (_VOLATILE.sub("", text), "".join(lines)) if lines else (text, "")


def split_document(text: str) -> tuple[str, str, str]:
    """Return beginning, middle and end of a text that may hold a document and a question.

    A question stands before its document or after it, and the words that introduce a document
    stand there too. Both ends therefore stay text, to the nearest end of a paragraph, line,
    sentence or word. Only the text decides, so it is split alike in every later request.

    Args:
        text: At least `HEAD_CHARS + TAIL_CHARS + 2 * REACH_CHARS` characters.
    """
    start = _break_after(text, HEAD_CHARS, HEAD_CHARS + REACH_CHARS)
    limit = len(text) - TAIL_CHARS
    end = _break_before(text, limit - REACH_CHARS, limit)
    return text[:start], text[start:end], text[end:]


def _break_after(text: str, low: int, high: int) -> int:
    for mark in _BREAKS:
        at = text.find(mark, low, high)
        if at >= 0:
            return at + len(mark)
    return low


def _break_before(text: str, low: int, high: int) -> int:
    for mark in _BREAKS:
        at = text.rfind(mark, low, high)
        if at >= 0:
            return at + len(mark)
    return high
