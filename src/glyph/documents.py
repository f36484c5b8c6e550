"""Take a text in: bytes, a file, standard input or a string become a `Document`.

    bytes ─► decoded text ─► normalised ─► unwrapped = Document.text, what layout sees
             (source offsets count here)

Nothing vanishes: a character that cannot be shown is replaced one to one by one that can, spaces
and tabs stay, and `Document.source` leads every character back to where it came from. Every change
is told in `Document.notes`.
"""

import re
import sys
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glyph.decoding import ACCEPTED, count_of, decode
from glyph.errors import ConfigError, DocumentError, nearest
from glyph.unwrap import SoftBreaks, find_soft_breaks

Kind = Literal["prose", "code", "markdown"]
Offsets = NDArray[np.int64]

_KINDS = "The kinds are 'prose', 'code' and 'markdown'."
_BLANKS = " \t\n\r\f\v\x85\xa0\u2028\u2029\u3000\u200b\ufeff"
_OTHER_BREAKS = "\f\v\x85\u2028\u2029"
_CONTROLS = "".join(map(chr, [*range(1, 0x09), *range(0x0E, 0x20), 0x7F]))
_SURROGATES = "".join(map(chr, range(0xD800, 0xE000)))
_REPLACED = (  # one to one, so that no offset moves
    (_OTHER_BREAKS, "other line separator", "read as a line feed"),
    ("\0", "NUL character", "shown as U+2400"),
    (_CONTROLS, "control character", "shown as a control picture (U+2401 to U+2421)"),
    (_SURROGATES, "lone surrogate", "shown as U+FFFD"),
)
_UNFIT = re.compile("[\0-\x08\v\f\x0e-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_FLOODS = (  # characters that stay in the text, but that no reader of pages will find there
    (
        # More in a row than any emoji or joined word has.
        re.compile(
            "[\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
            "\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]{9,}"
        ),
        "zero-width characters in long runs: no page shows them",
    ),
    (
        # More on one letter than Unicode's stream-safe form allows (UAX #15).
        re.compile(
            "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u1ab0-\u1aff"
            "\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{31,}"
        ),
        "combining marks heaped on single letters: no page can be read there",
    ),
)
_UNNAMED = ("text", "bytes", "stream", "stdin")
_MARKDOWN_SUFFIXES = {".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"}

_SAMPLE_CHARACTERS = 1 << 12


@dataclass(frozen=True, slots=True, eq=False)
class SourceMap:
    """A map between the offsets of a text and those of the source it was made from.

    Each character of the text stands for exactly one of the source, in order; the source may have
    more. So the map is strictly increasing and is kept as the pieces on which it runs in step:
    `text_starts[k] + i` maps to `source_starts[k] + i` until the next piece starts.

    Attributes:
        text_starts: First text offset of each piece, sorted, the first 0.
        source_starts: The source offset each piece starts at.
        text_length: Number of characters of the text.
        source_length: Number of characters of the source.

    Example:
        >>> crlf = SourceMap.without(5, starts=[2], ends=[3])  # "a\\r\\nbc" became "a\\nbc"
        >>> crlf.to_source([0, 1, 2, 3]).tolist(), crlf.to_text([1, 2, 3]).tolist()
        ([0, 1, 3, 4], [1, 2, 2])
    """

    text_starts: Offsets
    source_starts: Offsets
    text_length: int
    source_length: int

    @classmethod
    def identity(cls, length: int) -> "SourceMap":
        """Return the map of a text of `length` characters onto itself."""
        zero = np.zeros(1, np.int64)
        return cls(zero, zero, length, length)

    @classmethod
    def without(cls, source_length: int, starts: ArrayLike, ends: ArrayLike) -> "SourceMap":
        """Return the map of a source with the spans [starts[i], ends[i]) taken out.

        Args:
            source_length: Number of characters of the source.
            starts: Where each span starts; the spans are sorted and do not overlap.
            ends: Where each span ends, exclusive.

        Returns:
            The map from what is left onto the source.
        """
        begin, end = np.asarray(starts, np.int64), np.asarray(ends, np.int64)
        begin, end = begin[end > begin], end[end > begin]
        removed = np.cumsum(end - begin)
        text_starts = np.append(0, end - removed)
        source_starts = np.append(0, end)
        # Of pieces without a character (two spans that touch, or one at offset 0) the last counts.
        counts = np.append(np.diff(text_starts) > 0, True)
        text_length = source_length - int(removed[-1] if len(removed) else 0)
        return cls(text_starts[counts], source_starts[counts], text_length, source_length)

    def to_source(self, offsets: ArrayLike) -> Offsets:
        """Return the source offset of each text offset; the text's end maps to the source's end.

        Args:
            offsets: Text offsets, 0 to `text_length`, of any shape.

        Returns:
            Source offsets, of the same shape.

        Raises:
            DocumentError: An offset is outside the text.
        """
        at = _checked(offsets, self.text_length, "text")
        piece = np.searchsorted(self.text_starts, at, "right") - 1
        mapped = self.source_starts[piece] + (at - self.text_starts[piece])
        return np.where(at == self.text_length, self.source_length, mapped)

    def to_text(self, offsets: ArrayLike) -> Offsets:
        """Return the text offset of each source offset: the first character not before it.

        It undoes `to_source`. A source character that was taken out maps to the next one that was
        kept, so half-open spans of the source become half-open spans of the text.

        Args:
            offsets: Source offsets, 0 to `source_length`, of any shape.

        Returns:
            Text offsets, of the same shape.

        Raises:
            DocumentError: An offset is outside the source.
        """
        at = _checked(offsets, self.source_length, "source")
        piece = np.searchsorted(self.source_starts, at, "right") - 1
        inside = np.maximum(piece, 0)
        mapped = self.text_starts[inside] + np.maximum(at - self.source_starts[inside], 0)
        return np.minimum(mapped, np.append(self.text_starts, self.text_length)[piece + 1])

    def then(self, onward: "SourceMap") -> "SourceMap":
        """Return the map that goes through this one and on through `onward`.

        Args:
            onward: A map whose text is the source of this one.

        Returns:
            The map from this one's text to the source of `onward`.
        """
        assert self.source_length == onward.text_length
        text_starts = np.union1d(self.text_starts, self.to_text(onward.text_starts))
        text_starts = text_starts[(text_starts < self.text_length) | (text_starts == 0)]
        source_starts = onward.to_source(self.to_source(text_starts))
        return SourceMap(text_starts, source_starts, self.text_length, onward.source_length)


def _checked(offsets: ArrayLike, length: int, side: str) -> Offsets:
    at = np.asarray(offsets, np.int64)
    outside = at[(at < 0) | (at > length)]
    if outside.size:
        raise DocumentError(
            f"offset {outside[0]} is outside the {side} of {length} characters; give 0 to {length}."
        )
    return at


@dataclass(frozen=True, slots=True)
class Section:
    """A named stretch of a document's text: a file of a folder, a page of a PDF.

    Attributes:
        name: Path or page.
        start: First character, as an offset into the document's text.
        end: One past the last.
        language: Pygments alias of the programming language, for code where it is known.
        counts_lines: Whether its lines are those of the source, so that a place can name one.
    """

    name: str
    start: int
    end: int
    language: str | None
    counts_lines: bool


@dataclass(frozen=True, slots=True)
class Document:
    """A text ready for layout.

    Attributes:
        text: What layout sees: no line break but "\\n", no control character but tab.
        name: Where it came from, for people.
        kind: How it may be treated: prose is unwrapped, code is kept as it is.
        language: Pygments alias of the programming language, for code where it is known.
        source: Leads from offsets of `text` to offsets of the decoded source and back.
        encoding: How the bytes were decoded; "str" if the source was a string.
        notes: What was changed on the way, one clause each.
        sections: Named stretches of the text, in order; see `glyph.intake`.
    """

    text: str
    name: str
    kind: Kind
    language: str | None
    source: SourceMap
    encoding: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...] = ()

    def place_of(self, offset: int) -> str | None:
        """Return the section a character stands in, for people: "src/a.py:12", "page 3".

        Args:
            offset: Into the document's text.

        Returns:
            None between sections, or when there are none.
        """
        at = bisect_right(self.sections, offset, key=lambda section: section.start) - 1
        if at < 0 or offset >= self.sections[at].end:
            return None
        section = self.sections[at]
        line = self.text.count("\n", section.start, offset) + 1
        return f"{section.name}:{line}" if section.counts_lines else section.name


def load_document(
    source: str | Path | bytes | IO[bytes] | IO[str],
    *,
    kind: Kind | None = None,
    unwrap: bool | None = None,
    name: str | None = None,
) -> Document:
    """Return the document in a file, in bytes, in an open stream or on standard input.

    Bytes are read by their byte order mark, else as UTF-8, else in the encoding that
    charset-normalizer finds. Source offsets count characters of the decoded text, without its mark.

    Args:
        source: A path, "-" for standard input, bytes, or a stream to read to its end. To take in a
            string that is itself the text, use `document_from_text`.
        kind: How to treat the text; None looks at the suffix of the name.
        unwrap: Whether hard-wrapped prose is joined into paragraphs; None does so on strong
            evidence, True on weak evidence too. Code is never unwrapped.
        name: What to call the document; None takes the file's name. Its suffix counts.

    Returns:
        The document.

    Raises:
        DocumentError: The source is missing, unreadable, binary or empty.
        ConfigError: `kind` is unknown, or `unwrap` is True for code.
    """
    match source:
        case bytes():
            data, called = source, "bytes"
        case "-":
            data, called = sys.stdin.buffer.read(), "stdin"
        case str() | Path():
            data, called = read_file(Path(source)), Path(source).name
        case stream:
            data, called = stream.read(), "stream"
    called = name or called
    if isinstance(data, str):
        return document_from_text(data, kind=kind, unwrap=unwrap, name=called)
    text, encoding, notes = decode(data, called)
    return _make(text, called, (kind, unwrap), encoding, notes)


def document_from_text(
    text: str, *, kind: Kind | None = None, unwrap: bool | None = None, name: str = "text"
) -> Document:
    """Return the document of a string, whose characters the source offsets count.

    Args:
        text: The text.
        kind: How to treat the text; None looks at the suffix of the name.
        unwrap: As for `load_document`.
        name: What to call the document, such as "notes.md".

    Returns:
        The document.

    Raises:
        DocumentError: The text is empty or holds only white space.
        ConfigError: `kind` is unknown, or `unwrap` is True for code.

    Example:
        >>> document = document_from_text("one\\r\\ntwo\\x00")
        >>> document.text, document.source.to_source(4).tolist()
        ('one\\ntwo\u2400', 5)
    """
    return _make(text, name, (kind, unwrap), "str", [])


def _make(
    text: str, name: str, options: tuple[Kind | None, bool | None], encoding: str, notes: list[str]
) -> Document:
    kind, unwrap = options
    if not text.strip(_BLANKS):
        what = "holds only white space" if text else "is empty"
        raise DocumentError(f"{name} {what}, so there is nothing to show; give {ACCEPTED}.")
    kind, language = _kind(name, text, kind)
    if kind == "code" and unwrap:
        raise ConfigError(
            f"unwrap=True was given for {name}, which is code; only prose and Markdown can be "
            "unwrapped. Leave unwrap out, or pass kind='prose'."
        )
    text, source, changes = _normalise(text)
    if kind != "code" and unwrap is not False:
        breaks = find_soft_breaks(text, markdown=kind == "markdown", forced=unwrap is True)
        if len(breaks.starts):
            text, joined = _join(text, breaks)
            source = joined.then(source)
            changes.append(f"unwrapped {count_of(len(breaks.starts), 'line')}")
    return Document(text, name, kind, language, source, encoding, (*notes, *changes))


def _kind(name: str, text: str, kind: Kind | None) -> tuple[Kind, str | None]:
    """Return the kind of a text, and its language if that is known, from the name's suffix."""
    if kind not in (None, *get_args(Kind)):
        near = nearest(kind, get_args(Kind)) or "'prose'"
        raise ConfigError(f"unknown kind {kind!r}; did you mean {near}? {_KINDS}")
    if kind in ("prose", "markdown"):
        return kind, None
    if kind is None and PurePath(name).suffix.lower() in _MARKDOWN_SUFFIXES:
        return "markdown", None
    if kind is None and name in _UNNAMED:
        return "prose", None  # nothing to look up, which would take five megabytes
    from pygments.lexers import find_lexer_class_for_filename

    lexer = find_lexer_class_for_filename(PurePath(name).name, text[:_SAMPLE_CHARACTERS])
    language = lexer.aliases[0] if lexer is not None and lexer.name != "Text only" else None
    return ("code" if kind or language else "prose"), language


def _normalise(text: str) -> tuple[str, SourceMap, list[str]]:
    """Return the text with plain line breaks and visible control characters, and what changed."""
    notes: list[str] = []
    source = SourceMap.identity(len(text))
    num_returns = text.count("\r")
    if num_returns:
        second = [match.start() + 1 for match in re.finditer("\r\n", text)]
        source = SourceMap.without(len(text), second, np.asarray(second, np.int64) + 1)
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        notes.append(f"{count_of(num_returns, 'CRLF or CR line end')} read as a line feed")
    found = Counter(_UNFIT.findall(text))
    if found:
        text = _UNFIT.sub(lambda match: _stand_in(match[0]), text)
    for characters, what, how in _REPLACED:
        if number := sum(found[character] for character in found if character in characters):
            notes.append(f"{count_of(number, what)} {how}")
    if not text.isascii():
        for flood, told in _FLOODS:
            if number := sum(map(len, flood.findall(text))):
                notes.append(f"{number:,} {told}")
    return text, source, notes


def _stand_in(character: str) -> str:
    if character in _OTHER_BREAKS:
        return "\n"
    if character in _SURROGATES:
        return "\ufffd"
    return chr(0x2421 if character == "\x7f" else 0x2400 + ord(character))


def _join(text: str, breaks: SoftBreaks) -> tuple[str, SourceMap]:
    """Return the text with `breaks` taken out, and the map back to `text`."""
    begins, ends = [0, *breaks.ends.tolist()], [*breaks.starts.tolist(), len(text)]
    gaps = ["", *(" " if spaced else "" for spaced in breaks.spaced.tolist())]
    pieces = [gap + text[b:e] for gap, b, e in zip(gaps, begins, ends, strict=True)]
    # The space that takes the place of a break stands for its newline.
    return "".join(pieces), SourceMap.without(len(text), breaks.starts, breaks.ends - breaks.spaced)


def read_file(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        DocumentError: It is missing, a folder, or cannot be read; or the path is a text.
    """
    if "\n" in str(path) or "\0" in str(path):
        raise DocumentError(
            f"{str(path)[:40]!r} is not a file name; if it is the text itself, "
            "pass it to document_from_text."
        )
    # A path has lost one of the two slashes.
    if address := re.match("(https?|ftp|s3|gs):/+(.*)", path.as_posix(), re.IGNORECASE):
        raise DocumentError(
            f"{address[1]}://{address[2][:200]} is an address, and nothing is ever fetched; "
            "download it, and give the path of the file."
        )
    hint = "give the path of one file, or '-' for standard input"
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DocumentError(f"there is no file {path}; {hint}.") from error
    except OSError as error:
        refused = isinstance(error, IsADirectoryError | PermissionError)  # the latter on Windows
        why = "it is a folder" if refused and path.is_dir() else error.strerror
        raise DocumentError(f"cannot read {str(path)[:200]} ({why}); {hint}.") from error
