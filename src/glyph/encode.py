"""Encode: pages become files. PNG without loss and without waste, WebP, PDF, and a manifest.

Deflate at level 1 on unfiltered rows is the fastest lossless form of anti-aliased text and also
the smallest among the fast ones, so the PNG container is written here: four chunks around one
compressed stream. The same page gives the same bytes on every machine.
"""

# pyright: reportUnknownMemberType=false
# isal's stubs leave buffers untyped.

import io
import struct
import zlib
from collections.abc import Iterable
from typing import BinaryIO, Literal

import numpy as np
from isal import isal_zlib
from jaxtyping import UInt8

from glyph.pages import PALETTE_SIZE, Page

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_GRAY, COLOR_PALETTE = 0, 3
DEFLATE_LEVEL = 1

Format = Literal["png", "webp", "pdf"]
FORMATS: tuple[Format, ...] = ("png", "webp", "pdf")


def encode_png(page: Page, *, bits: Literal[8, 4] = 8) -> bytes:
    """Return a page as PNG: grey where its colours are grey, else with a palette.

    Args:
        page: The page.
        bits: Bits a pixel of a grey page; 4 keeps 16 greys, reads as well and is smaller.
            Pages with colours always have 8, of which four are coverage and four the ink.

    Returns:
        The file's bytes, equal for equal pages.
    """
    if page.is_gray:
        rows = page.gray()
        if bits == 4:
            rows = _pack_nibbles(rows)
        return _png(page, rows, bits, COLOR_GRAY)
    return _png(page, page.plane_HW, 8, COLOR_PALETTE)


def _png(page: Page, rows_HB: UInt8[np.ndarray, "H B"], bits: int, color: int) -> bytes:
    height, row_bytes = rows_HB.shape
    # Each row is led by the number of its filter; 0 is none.
    filtered = np.zeros((height, row_bytes + 1), np.uint8)
    filtered[:, 1:] = rows_HB
    header = struct.pack(">IIBBBBB", page.width_px, page.height_px, bits, color, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    if color == COLOR_PALETTE:
        chunks.append(_chunk(b"PLTE", np.ascontiguousarray(page.palette_C3).tobytes()))
    chunks.append(_chunk(b"IDAT", isal_zlib.compress(filtered.data, DEFLATE_LEVEL)))
    return PNG_SIGNATURE + b"".join(chunks) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = isal_zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def _pack_nibbles(gray_HW: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H B"]:
    """Return rows of 4-bit greys, two pixels a byte, the left one high."""
    level_HW = ((gray_HW.astype(np.uint16) * 15 + 127) // 255).astype(np.uint8)
    if level_HW.shape[1] % 2:
        level_HW = np.pad(level_HW, ((0, 0), (0, 1)))
    return (level_HW[:, ::2] << 4) | level_HW[:, 1::2]


def encode_webp(page: Page) -> bytes:
    """Return a page as lossless WebP; a third smaller than PNG and much slower to write."""
    from PIL import Image

    buffer = io.BytesIO()
    pixels = np.repeat(page.gray()[:, :, None], 3, axis=2) if page.is_gray else page.rgb()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=50, method=2)
    return buffer.getvalue()


def encode_page(page: Page, format: Format, *, bits: Literal[8, 4] = 8) -> bytes:
    """Return a page as a file of its own."""
    if format == "webp":
        return encode_webp(page)
    if format == "pdf":
        buffer = io.BytesIO()
        write_pdf([page], buffer, dpi=72)
        return buffer.getvalue()
    return encode_png(page, bits=bits)


# -- PDF -------------------------------------------------------------------------------------


def write_pdf(pages: Iterable[Page], file: BinaryIO, *, dpi: float) -> int:
    """Write pages as a PDF of lossless images, one page at a time.

    Args:
        pages: Consumed once; only one page is held.
        file: Open for writing bytes.
        dpi: Pixels per inch, so that the PDF has the size of the config.

    Returns:
        Number of pages.

    Source:
        ISO 32000-1, sections 7.5 (file structure) and 8.9 (images).
    """
    pdf = _PdfWriter(file)
    numbers = [pdf.page(page, dpi) for page in pages]
    pdf.finish(numbers)
    return len(numbers)


class _PdfWriter:
    """Objects, their offsets, and the cross-reference table at the end."""

    CATALOG, TREE = 1, 2

    def __init__(self, file: BinaryIO):
        self._file = file
        self._offsets: dict[int, int] = {}
        self._next = 3
        self._position = 0
        self._write(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")

    def page(self, page: Page, dpi: float) -> int:
        """Write one page and return its object number."""
        image, content, number = self._next, self._next + 1, self._next + 2
        self._next += 3
        width_pt, height_pt = (72 * side / dpi for side in (page.width_px, page.height_px))
        raw = page.gray() if page.is_gray else page.plane_HW
        self._stream(
            image,
            b"/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 8"
            b" /Filter /FlateDecode /ColorSpace %s"
            % (page.width_px, page.height_px, _color_space(page)),
            isal_zlib.compress(np.ascontiguousarray(raw).data, DEFLATE_LEVEL),
        )
        draw = f"q {width_pt:.4f} 0 0 {height_pt:.4f} 0 0 cm /Im Do Q".encode()
        self._stream(content, b"", draw)
        box = f"[0 0 {width_pt:.4f} {height_pt:.4f}]".encode()
        self._object(
            number,
            b"<< /Type /Page /Parent %d 0 R /MediaBox %s /Contents %d 0 R"
            b" /Resources << /XObject << /Im %d 0 R >> >> >>" % (self.TREE, box, content, image),
        )
        return number

    def finish(self, pages: list[int]) -> None:
        """Write the page tree, the catalogue and the cross-reference table."""
        kids = b" ".join(b"%d 0 R" % number for number in pages)
        tree = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(pages), kids)
        self._object(self.TREE, tree)
        self._object(self.CATALOG, b"<< /Type /Catalog /Pages %d 0 R >>" % self.TREE)
        start, size = self._position, self._next
        rows = b"".join(b"%010d 00000 n \n" % self._offsets[n] for n in range(1, size))
        self._write(b"xref\n0 %d\n0000000000 65535 f \n" % size + rows)
        self._write(b"trailer\n<< /Size %d /Root %d 0 R >>\n" % (size, self.CATALOG))
        self._write(b"startxref\n%d\n%%%%EOF\n" % start)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._position += len(data)

    def _object(self, number: int, body: bytes) -> None:
        self._offsets[number] = self._position
        self._write(b"%d 0 obj\n%s\nendobj\n" % (number, body))

    def _stream(self, number: int, entries: bytes, data: bytes) -> None:
        head = b"<< %s /Length %d >>\nstream\n" % (entries, len(data))
        self._object(number, head + data + b"\nendstream")


def _color_space(page: Page) -> bytes:
    if page.is_gray:
        return b"/DeviceGray"
    table = np.ascontiguousarray(page.palette_C3).tobytes().hex().encode()
    return b"[/Indexed /DeviceRGB %d <%s>]" % (PALETTE_SIZE - 1, table)
