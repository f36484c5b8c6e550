"""Tell by name and first bytes what a source is, and hand it to whoever can read it."""

import sys
from pathlib import Path, PurePath
from typing import IO

from glyph.documents import Document, Kind, document_from_text, load_document, read_file
from glyph.intake.folder import document_of_folder
from glyph.intake.office import OFFICE_SUFFIXES, document_of_office
from glyph.intake.pdf import document_of_pdf

PDF_MAGIC, ZIP_MAGIC = b"%PDF-", b"PK\x03\x04"


def open_document(
    source: str | Path | bytes | IO[bytes] | IO[str],
    *,
    kind: Kind | None = None,
    unwrap: bool | None = None,
    name: str | None = None,
) -> Document:
    """Return the document in a file of any supported kind, in a folder, or in bytes.

    | source | becomes |
    |---|---|
    | a folder | its texts one after the other, each under its path; what git ignores is left out |
    | PDF | the text of its pages (needs the extra `documents`) |
    | DOCX, PPTX, XLSX, EPUB | Markdown (needs the extra `documents`) |
    | anything else | a text, as `load_document` takes it in |

    Args:
        source: A path, "-" for standard input, bytes, or a stream to read to its end.
        kind: How to treat the text; None looks at the suffix of the name.
        unwrap: Whether hard-wrapped prose is joined into paragraphs; None does so on evidence.
        name: What to call the document; its suffix counts.

    Raises:
        DocumentError: The source cannot be taken in, or an extra is missing.
        ConfigError: `kind` is unknown, or `unwrap` is True for code.
    """
    match source:
        case "-":
            data, called = sys.stdin.buffer.read(), "stdin"
        case str() | Path():
            path = Path(source)
            if "\0" not in str(path) and path.is_dir():
                return document_of_folder(path, name or path.resolve().name)
            data, called = read_file(path), path.name
        case bytes():
            data, called = source, "bytes"
        case stream:
            data, called = stream.read(), "stream"
    called = name or called
    if isinstance(data, str):
        return document_from_text(data, kind=kind, unwrap=unwrap, name=called)
    if data.startswith(PDF_MAGIC):
        return document_of_pdf(data, called, kind=kind, unwrap=unwrap)
    if data.startswith(ZIP_MAGIC) and PurePath(called).suffix.lower() in OFFICE_SUFFIXES:
        return document_of_office(data, called, kind=kind, unwrap=unwrap)
    return load_document(data, kind=kind, unwrap=unwrap, name=called)
