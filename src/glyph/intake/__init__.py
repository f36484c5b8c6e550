"""Intake: PDFs, office files, books and whole folders become documents like any other text.

    a path, bytes, a stream ──> text with named sections ──> Document

What is already text goes straight to `glyph.documents`. A section is a named stretch of the text,
a page of a PDF or a file of a folder, so that an answer can say where it stands.
"""

from glyph.intake.opening import open_document

__all__ = ["open_document"]
