"""Texts that consist of named stretches."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from glyph.documents import Document, Kind, Section, document_from_text
from glyph.errors import DocumentError

MAX_CHARACTERS = 64_000_000
"""What one document may hold; about 16 million tokens."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a text that is being put together.

    Attributes:
        name: Of the section.
        heading: Stands before it and belongs to no section.
        text: Its text.
        language: Pygments alias, for source code.
    """

    name: str
    heading: str
    text: str
    language: str | None = None


def document_of_stretches(
    stretches: Iterable[Stretch],
    name: str,
    *,
    kind: Kind | None,
    unwrap: bool | None,
    counts_lines: bool,
) -> Document:
    """Return the document of stretches that follow each other, each on a line of its own.

    Args:
        stretches: In order.
        name: Of the document.
        kind: How to treat the text.
        unwrap: As for `load_document`.
        counts_lines: Whether a place in a section is told with its line.

    Raises:
        DocumentError: There is no text in them, or more than `MAX_CHARACTERS`.
    """
    pieces: list[str] = []
    found: list[tuple[Stretch, int, int]] = []
    length = 0
    for stretch in stretches:
        begin = length + len(stretch.heading)
        text = stretch.text if stretch.text.endswith("\n") else stretch.text + "\n"
        pieces += [stretch.heading, text]
        found.append((stretch, begin, begin + len(stretch.text)))
        length = begin + len(text)
        if length > MAX_CHARACTERS:
            raise DocumentError(
                f"{name} holds more than {MAX_CHARACTERS:,} characters of text; give a part of it."
            )
    document = document_from_text("".join(pieces), kind=kind, unwrap=unwrap, name=name)
    to_text = document.source.to_text
    sections = tuple(
        Section(s.name, int(to_text(begin)), int(to_text(end)), s.language, counts_lines)
        for s, begin, end in found
    )
    return replace(document, sections=sections)
