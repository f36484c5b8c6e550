"""Pages of a PDF as pages to show, and the text inside it."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from glyph.errors import DocumentError, ReaderError
from glyph.pages import PALETTE_SIZE, Page, layout_of_pixels
from glyph.vision import VisionModel

LONG_SIDE_PX = 1344
"""Longest side of a shown page, before it is put on the model's grid."""


def _open(path: Path) -> Any:
    try:
        pdfium = import_module("pypdfium2")
    except ImportError:
        raise ReaderError(
            "PDF pages need pypdfium2; install it with: pip install 'glyph-context[evaluate]'"
        ) from None
    try:
        return pdfium.PdfDocument(path)
    except (pdfium.PdfiumError, OSError) as error:
        raise DocumentError(f"{path} cannot be opened as a PDF ({error}).") from None


def pdf_text(path: Path) -> str:
    """Return the text inside a PDF, page after page.

    Raises:
        DocumentError: The file is no PDF.
        ReaderError: pypdfium2 is not installed.
    """
    document = _open(path)
    texts = [page.get_textpage().get_text_range() for page in document]
    document.close()
    return "\n\n".join(text.replace("\r\n", "\n").replace("\x00", "") for text in texts)


def pdf_pages(path: Path, model: VisionModel) -> tuple[Page, ...]:
    """Return the pages of a PDF, in 256 colours each, on the grid of a model.

    A page is scaled so that its longer side is `LONG_SIDE_PX`, then filled up with white at the
    right and below to whole cells of the grid, so that the model resamples nothing.
    """
    document = _open(path)
    pages = tuple(
        _page(i, page.render(scale=_scale(page.get_size())).to_pil(), model.grid_px)
        for i, page in enumerate(document)
    )
    document.close()
    return pages


def _scale(size_pt: tuple[float, float]) -> float:
    return LONG_SIDE_PX / max(size_pt)


def _page(index: int, image: Image.Image, grid_px: int) -> Page:
    width, height = (-(-side // grid_px) * grid_px for side in image.size)
    sheet = Image.new("RGB", (width, height), "white")
    sheet.paste(image.convert("RGB"))
    flat = sheet.quantize(PALETTE_SIZE, dither=Image.Dither.NONE)
    colours = np.array(flat.getpalette(), np.uint8).reshape(-1, 3)
    palette_C3 = np.zeros((PALETTE_SIZE, 3), np.uint8)
    palette_C3[: len(colours)] = colours
    return Page(np.asarray(flat, np.uint8), palette_C3, layout_of_pixels(index, width, height))
