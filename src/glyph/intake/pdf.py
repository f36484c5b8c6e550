"""The text of a PDF, page by page, with pdfium."""

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

from glyph.decoding import count_of
from glyph.documents import Document, Kind
from glyph.errors import DocumentError
from glyph.intake.sections import Stretch, document_of_stretches

_HYPHEN_AT_LINE_END = re.compile("[\u00ad\x02\ufffe]\r?\n?")
"""How pdfium gives a word that was divided at the end of a line."""

_SYMBOL_BULLETS = {0xF0B7: "\u2022", 0xF0A7: "\u25aa"}
"""Bullets of Symbol and Wingdings, as word processors write them; no other font has them there."""


def document_of_pdf(data: bytes, name: str, *, kind: Kind | None, unwrap: bool | None) -> Document:
    """Return the text of a PDF with a section a page; its hard-wrapped lines are joined.

    Raises:
        DocumentError: It is damaged, needs a password, or has no text (a scan).
    """
    pdf = _open(data, name)
    try:
        num_pages = len(pdf)
        stretches = list(_stretches(pdf))
    finally:
        pdf.close()
    if not any(stretch.text.strip() for stretch in stretches):
        raise DocumentError(
            f"{name} has {count_of(num_pages, 'page')} but no text, as a scan has; run OCR over it "
            "first, or send its pages to a vision model as they are."
        )
    document = document_of_stretches(
        stretches, name, kind=kind or "prose", unwrap=unwrap, counts_lines=False
    )
    note = f"text taken out of a PDF of {count_of(num_pages, 'page')}"
    return replace(document, encoding="pdf", notes=(note, *document.notes))


def _open(data: bytes, name: str) -> Any:
    try:
        pypdfium2 = import_module("pypdfium2")
    except ImportError:
        raise DocumentError(
            f"{name} is a PDF; to read those, install pip install 'glyph-context[documents]'."
        ) from None
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        why = "needs a password" if "assword" in str(error) else "is damaged"
        raise DocumentError(f"the PDF {name} {why}; give one that opens by itself.") from None


def _stretches(pdf: Any) -> Iterator[Stretch]:
    for number in range(len(pdf)):
        page = pdf[number]
        text_page = page.get_textpage()
        text = str(text_page.get_text_range())
        text_page.close()
        page.close()
        yield Stretch(f"page {number + 1}", "", _plain(text))


def _plain(text: str) -> str:
    text = _HYPHEN_AT_LINE_END.sub("", text).replace("\r\n", "\n")
    return text.translate(_SYMBOL_BULLETS)
