"""Word, PowerPoint, Excel and EPUB files as Markdown, with markitdown."""

import io
import zipfile
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from glyph.documents import Document, Kind, document_from_text
from glyph.errors import DocumentError
from glyph.intake.sections import MAX_CHARACTERS

OFFICE_SUFFIXES = (".docx", ".pptx", ".xlsx", ".epub")
MAX_UNPACKED_BYTES = 1 << 29
MAX_GROWTH = 200
"""A file that unpacks to more than this many times its size is no honest document."""


def document_of_office(
    data: bytes, name: str, *, kind: Kind | None, unwrap: bool | None
) -> Document:
    """Return an office file or EPUB as Markdown.

    Raises:
        DocumentError: It is damaged, far larger unpacked than packed, or holds no text.
    """
    _check_size(data, name)
    text = _markdown_of(data, name)
    if len(text) > MAX_CHARACTERS:
        raise DocumentError(
            f"{name} holds more than {MAX_CHARACTERS:,} characters of text; give a part of it."
        )
    document = document_from_text(text, kind=kind or "markdown", unwrap=unwrap, name=name)
    suffix = PurePath(name).suffix.lower().removeprefix(".")
    note = f"Markdown made from a {suffix.upper()} file"
    return replace(document, encoding=suffix, notes=(note, *document.notes))


def _check_size(data: bytes, name: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
    except zipfile.BadZipFile:
        raise DocumentError(f"{name} is damaged (no whole ZIP archive); save it again.") from None
    if unpacked > min(MAX_UNPACKED_BYTES, MAX_GROWTH * max(len(data), 1 << 16)):
        raise DocumentError(
            f"{name} would unpack to {unpacked / 1e6:,.0f} MB from {len(data) / 1e6:,.1f} MB, "
            "which no honest document does; it was not opened."
        )


def _markdown_of(data: bytes, name: str) -> str:
    try:
        import markitdown
    except ImportError:
        suffix = PurePath(name).suffix.lower()
        raise DocumentError(
            f"{name} is a {suffix} file; to read those, install "
            "pip install 'glyph-context[documents]'."
        ) from None
    known: Any = markitdown.StreamInfo(extension=PurePath(name).suffix.lower())
    try:
        converter: Any = markitdown.MarkItDown(enable_plugins=False)
        return str(converter.convert_stream(io.BytesIO(data), stream_info=known).text_content)
    except (markitdown.MarkItDownException, ValueError, KeyError, zipfile.BadZipFile) as error:
        why = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise DocumentError(f"{name} cannot be read ({why}); save it again, or as text.") from None
