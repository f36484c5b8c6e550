"""A folder of texts, such as a code base, as one document."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pathspec import GitIgnoreSpec

from glyph.decoding import count_of
from glyph.documents import Document, load_document
from glyph.errors import DocumentError
from glyph.intake.sections import Stretch, document_of_stretches

IGNORE_FILE = ".gitignore"
NEVER = frozenset({"node_modules", "__pycache__"})
MAX_FILE_BYTES = 2_000_000
"""Larger files are data or generated more often than written."""

MAX_NAMED = 3


def document_of_folder(folder: Path, name: str) -> Document:
    """Return all texts of a folder in the order of their paths, each under a heading.

    Hidden files and what `.gitignore` files name are left out; so are links, binaries and files
    above 2 MB, which the document's notes say. Every file is a section with the language of its
    suffix, so that pages are coloured and an answer can name file and line.

    Raises:
        DocumentError: There is no text in it, or more than fits.
    """
    left_out: list[str] = []
    stretches = list(_stretches(folder, left_out))
    if not stretches:
        raise DocumentError(f"the folder {folder} holds no text; give one with texts in it.")
    document = document_of_stretches(stretches, name, kind="code", unwrap=None, counts_lines=True)
    notes = [f"{count_of(len(stretches), 'file')} of a folder"]
    if left_out:
        more = ", ..." if len(left_out) > MAX_NAMED else ""
        named = ", ".join(left_out[:MAX_NAMED]) + more
        what = count_of(len(left_out), "file")
        notes.append(f"{what} left out, not text, too large, or links ({named})")
    return replace(document, notes=(*notes, *document.notes))


def _stretches(folder: Path, left_out: list[str]) -> Iterator[Stretch]:
    for path in _files(folder, ()):
        name = path.relative_to(folder).as_posix()
        try:
            if path.is_symlink() or path.stat().st_size > MAX_FILE_BYTES:
                left_out.append(name)
                continue
            document = load_document(path, unwrap=False)
        except (DocumentError, OSError):
            left_out.append(name)
            continue
        yield Stretch(name, f"=== {name} ===\n", document.text, document.language)


def _files(folder: Path, specs: tuple[tuple[Path, GitIgnoreSpec], ...]) -> Iterator[Path]:
    ignore = folder / IGNORE_FILE
    if ignore.is_file():
        lines = ignore.read_text("utf-8", "replace").splitlines()
        specs = (*specs, (folder, GitIgnoreSpec.from_lines(lines)))
    try:
        entries = sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name))
    except OSError as error:
        raise DocumentError(f"cannot read the folder {folder} ({error.strerror}).") from None
    for path in entries:
        if path.name.startswith(".") or path.name in NEVER:
            continue
        slash = "/" if path.is_dir() else ""
        if any(spec.match_file(path.relative_to(at).as_posix() + slash) for at, spec in specs):
            continue
        if path.is_file() or path.is_symlink():
            yield path
        elif path.is_dir():
            yield from _files(path, specs)
