"""Bytes become text: by their mark, as UTF-8, else by the likeliest older encoding.

Bytes that are no text are refused with a name for what they look like. What is not certain about a
reading is told in notes.
"""

import codecs
import re
from contextlib import suppress

from glyph.errors import DocumentError

ACCEPTED = "plain text, Markdown or source code (UTF-8, UTF-16, UTF-32 or a legacy encoding)"
"""What a document may be, for error messages."""

_SAMPLE_BYTES = 1 << 16
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


def count_of(number: int, what: str) -> str:
    """Return a number of things as people write it.

    Example:
        >>> count_of(1, "line"), count_of(2, "line")
        ('1 line', '2 lines')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def decode(data: bytes, name: str) -> tuple[str, str, list[str]]:
    """Return the text of bytes, its encoding, and notes where the reading is not certain.

    Args:
        data: The bytes of a file.
        name: What to call it in errors.

    Raises:
        DocumentError: The bytes are no text, or of an encoding that cannot be recognised.
    """
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
        with suppress(UnicodeDecodeError):
            # Halves of UTF-16 pairs, as some programs write them; what is done with them is told.
            return data.decode("utf-8", "surrogatepass"), "utf-8", []
        return _decode_legacy(data, name, error)


def _binary(name: str, what: str) -> DocumentError:
    return DocumentError(f"{name} {what}; glyph takes {ACCEPTED}. Convert it to text first.")


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
        return text, "utf-8", [f"{count_of(num_bad, 'damaged byte sequence')} shown as U+FFFD"]
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
