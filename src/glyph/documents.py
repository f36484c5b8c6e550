"""Take a text in: bytes, a file, standard input or a string become a `Document`.

    bytes ─► decoded text ─► normalised ─► unwrapped = Document.text, what layout sees
             (source offsets count here)

Nothing vanishes: a character that cannot be shown is replaced one to one by one that can, spaces
and tabs stay, and `Document.source` leads every character back to where it came from. Every change
is told in `Document.notes`.
"""

import codecs
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glyph.errors import ConfigError, DocumentError, nearest
from glyph.unwrap import SoftBreaks, find_soft_breaks

Kind = Literal["prose", "code", "markdown"]
Offsets = NDArray[np.int64]

_KINDS = "The kinds are 'prose', 'code' and 'markdown'."
_ACCEPTED = "plain text, Markdown or source code (UTF-8, UTF-16, UTF-32 or a legacy encoding)"
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
_MARKDOWN_SUFFIXES = {".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"}

_SAMPLE_BYTES = 1 << 16
_SAMPLE_CHARACTERS = 1 << 12
_HIGH_BYTES = bytes(range(0x80, 0x100))
# Escape and backspace are left out: logs of terminals are full of them.
_BINARY_CONTROLS = bytes([*range(0x08), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F])
_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LEGACY_ENCODINGS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("iso8859_2", "koi8_r", "cp866", "cp850", "mac_roman", "cp874"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
_WESTERN_LOOKALIKES = {"cp1250", "cp1254", "cp1257"}
_MAGIC = (
    (rb"%PDF-", "a PDF"),
    (rb"PK(\x03\x04|\x05\x06|\x07\x08)", "a ZIP archive (or a DOCX, XLSX, PPTX or EPUB file)"),
    (rb"\xd0\xcf\x11\xe0", "an old Microsoft Office file"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|II\*\0|MM\0\*|BM.{4}\0{4}|RIFF.{4}WEBP", "an image"),
    (rb"\x1f\x8b|BZh[1-9]1AY|\xfd7zXZ\0|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!\x1a", "a compressed file"),
    (rb".{257}ustar", "a TAR archive"),
    (rb"ID3[\x02-\x04]|OggS\0|fLaC|RIFF.{4}(WAVE|AVI )|.{4}ftyp", "a sound or video file"),
    (rb"\x7fELF|MZ.{2,80}\0|\xca\xfe\xba\xbe|[\xce\xcf]\xfa\xed\xfe|\0asm", "a program"),
    (rb"SQLite format 3\0|PAR1[\x15\x19]|\x93NUMPY|\x89HDF", "a database or data file"),
    (rb"\0\x01\0\0\0|OTTO\0|wOF[F2]|ttcf\0", "a font"),
)


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
    """

    text: str
    name: str
    kind: Kind
    language: str | None
    source: SourceMap
    encoding: str
    notes: tuple[str, ...]


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
            data, called = _read_file(Path(source)), Path(source).name
        case stream:
            data, called = stream.read(), "stream"
    called = name or called
    if isinstance(data, str):
        return document_from_text(data, kind=kind, unwrap=unwrap, name=called)
    text, encoding, notes = _decode(data, called)
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
        raise DocumentError(f"{name} {what}, so there is nothing to show; give {_ACCEPTED}.")
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
            changes.append(f"unwrapped {_count(len(breaks.starts), 'line')}")
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
        notes.append(f"{_count(num_returns, 'CRLF or CR line end')} read as a line feed")
    found = Counter(_UNFIT.findall(text))
    if found:
        text = _UNFIT.sub(lambda match: _stand_in(match[0]), text)
    for characters, what, how in _REPLACED:
        if number := sum(found[character] for character in found if character in characters):
            notes.append(f"{_count(number, what)} {how}")
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


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _read_file(path: Path) -> bytes:
    if "\n" in str(path) or "\0" in str(path):
        raise DocumentError(
            f"{str(path)[:40]!r} is not a file name; if it is the text itself, "
            "pass it to document_from_text."
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


def _decode(data: bytes, name: str) -> tuple[str, str, list[str]]:
    """Return the text of `data`, its encoding, and notes where the reading is not certain."""
    for magic, what in _MAGIC:
        if re.match(magic, data, re.DOTALL):
            raise _binary(name, f"looks like {what}")
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding, "surrogatepass"), encoding, []
            except UnicodeDecodeError as error:
                raise DocumentError(
                    f"{name} begins with the byte order mark of {encoding} but is not valid from "
                    f"byte {error.start} on; save it again as UTF-8."
                ) from error
    if wide := _unmarked_utf16(data[:_SAMPLE_BYTES]):
        return data.decode(wide, "replace"), wide, [f"read as {wide}, by its NUL bytes"]
    num_controls = len(data) - len(data.translate(None, _BINARY_CONTROLS))
    if num_controls > max(3, 0.1 * len(data)):
        raise _binary(name, "is binary data (many control bytes)")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8"), "utf-8", []
    except UnicodeDecodeError as error:
        if num_controls > max(3, 0.01 * len(data)):
            raise _binary(name, "is binary data (control bytes, not UTF-8)") from error
        return _decode_legacy(data, name, error)


def _binary(name: str, what: str) -> DocumentError:
    return DocumentError(f"{name} {what}; glyph takes {_ACCEPTED}. Convert it to text first.")


def _unmarked_utf16(sample: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark: most characters have one NUL byte."""
    pairs = len(sample) // 2
    low, high = sample[1::2].count(0), sample[0::2].count(0)
    if pairs >= 8 and max(low, high) > 0.4 * pairs and min(low, high) < 0.05 * pairs:
        return "utf-16-le" if low > high else "utf-16-be"
    return None


def _decode_legacy(data: bytes, name: str, error: UnicodeDecodeError) -> tuple[str, str, list[str]]:
    """Return the text of bytes that are not UTF-8: damaged UTF-8, or an older encoding."""
    text = data.decode("utf-8", "replace")
    num_bad = text.count("\ufffd")
    num_good = len(text) - len(data.translate(None, _HIGH_BYTES)) - num_bad
    cut_off = error.reason == "unexpected end of data" and num_bad == 1 <= num_good
    if num_good >= 10 * num_bad or cut_off:
        return text, "utf-8", [f"{_count(num_bad, 'damaged byte sequence')} shown as U+FFFD"]
    from charset_normalizer import from_bytes

    # What comes before the first byte above 127 says nothing; what comes long after costs time.
    begin = next(re.finditer(rb"[\x80-\xff]", data)).start()
    sample = data[begin : begin + _SAMPLE_BYTES]
    whole = max(sample.rfind(b"\n"), sample.rfind(b" ")) + 1
    if len(sample) == _SAMPLE_BYTES and whole:
        sample = sample[:whole]  # not in the middle of a character
    found = [match.encoding for match in from_bytes(sample, cp_isolation=list(_LEGACY_ENCODINGS))]
    if found and found[0] in _WESTERN_LOOKALIKES and "cp1252" in found:
        found.insert(0, "cp1252")  # equally likely by the letters, far more common
    for encoding in found:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return text, encoding, [f"read as {encoding}, a guess; save as UTF-8 to be sure"]
    raise DocumentError(
        f"the encoding of {name} cannot be recognised (not UTF-8 from byte {error.start} on); "
        "save it as UTF-8."
    )
