"""Files: they decode to the pixels they came from, and equal pages give equal bytes."""

import hashlib
import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from glyph import kernel
from glyph.config import RenderConfig
from glyph.encode import encode_page, encode_png, encode_webp, write_pdf
from glyph.pages import Page, PageLayout
from square_font import layouts_of, pages_of

TEXT = "Call me Ishmael.\nSome years ago — never mind how long precisely.\n\tשלום字 नमस्ते 👍🏽\n" * 3
CONFIGS: dict[str, RenderConfig] = {
    "grey": RenderConfig(page_width_pt=201),
    "tinted": RenderConfig(font_color="#204060", page_color="#F0E8D8", paragraph_color="#F0E8D8"),
    "inked": RenderConfig(newline_marker="↵", border_width_pt=1, paragraph_color="#EEEEFF"),
}

planes = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40))


@pytest.fixture(scope="module", params=list(CONFIGS))
def page(request: pytest.FixtureRequest) -> Page:
    return pages_of(TEXT, CONFIGS[request.param])[0]


@pytest.fixture(scope="module")
def any_layout() -> PageLayout:
    return layouts_of("a", RenderConfig())[0]


GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def decoded(data: bytes) -> npt.NDArray[np.uint8]:
    """Return an image file's pixels as red, green and blue."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# -- PNG -------------------------------------------------------------------------------------


def test_png_decodes_to_the_same_pixels(page: Page) -> None:
    data = encode_png(page)
    assert (decoded(data) == page.rgb()).all()
    assert Image.open(io.BytesIO(data)).mode == ("L" if page.is_gray else "P")


@given(plane_HW=planes)
def test_png_keeps_planes_of_any_size_and_content(
    plane_HW: npt.NDArray[np.uint8], any_layout: PageLayout
) -> None:
    grey = Page(plane_HW, GREYS, any_layout)
    assert (np.asarray(Image.open(io.BytesIO(encode_png(grey)))) == plane_HW).all()
    coloured = Page(plane_HW, GREYS[::-1] // np.array([1, 2, 3], np.uint8), any_layout)
    assert (decoded(encode_png(coloured)) == coloured.rgb()).all()


@given(plane_HW=planes)
def test_four_bit_png_keeps_the_nearest_of_sixteen_greys(
    plane_HW: npt.NDArray[np.uint8], any_layout: PageLayout
) -> None:
    data = encode_png(Page(plane_HW, GREYS, any_layout), bits=4)
    found = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)
    assert (found == np.round(plane_HW / 17) * 17).all()
    assert data[24] == 4


def test_pages_of_many_colours_keep_eight_bits_when_four_are_asked_for() -> None:
    page = pages_of(TEXT, CONFIGS["inked"])[0]
    assert encode_png(page, bits=4) == encode_png(page)


def test_png_chunks_are_in_order_with_right_checksums(page: Page) -> None:
    chunks = list(png_chunks(encode_png(page)))
    names = [kind for kind, _ in chunks]
    assert names == [b"IHDR", *([] if page.is_gray else [b"PLTE"]), b"IDAT", b"IEND"]
    rows = zlib.decompress(dict(chunks)[b"IDAT"])
    assert len(rows) == page.height_px * (page.width_px + 1)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each chunk of a PNG, with its checksum proven."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position = 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        body = data[position + 4 : position + 8 + length]
        assert struct.unpack_from(">I", data, position + 8 + length) == (zlib.crc32(body),)
        yield body[:4], body[4:]
        position += 12 + length


# -- equal bytes -----------------------------------------------------------------------------


@pytest.mark.usefixtures("kernel_in_use")
@pytest.mark.parametrize("name", list(CONFIGS))
def test_both_kernels_give_the_same_file(name: str) -> None:
    first = [encode_png(page) for page in pages_of(TEXT, CONFIGS[name])]
    with kernel.using("numpy"):
        assert [encode_png(page) for page in pages_of(TEXT, CONFIGS[name])] == first


DIGEST_CODE = """
import hashlib, sys
from glyph.config import RenderConfig
from glyph.documents import Document, SourceMap
from glyph.encode import encode_page
from glyph.render import PageStream
text = sys.argv[1]
document = Document(text, "text", "prose", None, SourceMap.identity(len(text)), "str", ())
page = next(iter(PageStream(document, RenderConfig(newline_marker="↵"))))
print(hashlib.sha256(b"".join(encode_page(page, f) for f in ("png", "pdf", "webp"))).hexdigest())
"""


@pytest.mark.parametrize("environment", [{"PYTHONHASHSEED": "7"}, {"GLYPH_KERNEL": "numpy"}])
def test_another_process_gives_the_same_bytes(environment: dict[str, str]) -> None:
    page = pages_of(TEXT, RenderConfig(newline_marker="↵"))[0]
    files = (encode_page(page, "png"), encode_page(page, "pdf"), encode_page(page, "webp"))
    run = subprocess.run(
        [sys.executable, "-c", DIGEST_CODE, TEXT],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == hashlib.sha256(b"".join(files)).hexdigest()


# -- WebP ------------------------------------------------------------------------------------


def test_webp_is_lossless(page: Page) -> None:
    data = encode_webp(page)
    assert Image.open(io.BytesIO(data)).format == "WEBP"
    assert (decoded(data) == page.rgb()).all()


# -- PDF -------------------------------------------------------------------------------------


def pdf_images(data: bytes, dpi: float) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the pages of a PDF as pixels, rendered at a resolution."""
    pypdfium2 = pytest.importorskip("pypdfium2", reason="reads PDF files back")
    document: Any = pypdfium2.PdfDocument(data)
    for index in range(len(document)):
        bitmap = document[index].render(scale=dpi / 72)
        yield np.asarray(bitmap.to_pil().convert("RGB"))
    document.close()


@pytest.mark.parametrize("dpi", [72, 96, 144])
def test_pdf_pages_render_back_to_the_same_pixels(page: Page, dpi: int) -> None:
    file = io.BytesIO()
    assert write_pdf([page, page], file, dpi=dpi) == 2
    images = list(pdf_images(file.getvalue(), dpi))
    assert len(images) == 2
    for image in images:
        assert image.shape == (page.height_px, page.width_px, 3)
        assert (image == page.rgb()).all()


def test_a_pdf_page_has_the_size_of_the_config_in_points() -> None:
    pypdfium2 = pytest.importorskip("pypdfium2", reason="reads PDF files back")
    config = RenderConfig(dpi=144, page_width_pt=300, page_height_pt=200, crop_width=False,
                          crop_last_page=False)  # fmt: skip
    file = io.BytesIO()
    write_pdf(pages_of("a", config), file, dpi=config.dpi)
    document: Any = pypdfium2.PdfDocument(file.getvalue())
    assert document[0].get_size() == (300, 200)
    document.close()


def test_pdf_offsets_point_at_their_objects(page: Page) -> None:
    file = io.BytesIO()
    write_pdf([page], file, dpi=72)
    data = file.getvalue()
    start = int(data.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    table = data[start:].split(b"trailer")[0].split(b"\n")
    assert table[0] == b"xref"
    entries = table[3:-1]
    assert table[1] == b"0 %d" % (len(entries) + 1)
    for number, entry in enumerate(entries, start=1):
        assert len(entry) == 19  # and the line feed: 20 bytes, ISO 32000-1, 7.5.4
        assert data[int(entry[:10]) :].startswith(b"%d 0 obj\n" % number)


def test_pdf_pages_are_taken_one_at_a_time() -> None:
    pages = pages_of(TEXT * 20, RenderConfig(page_height_pt=120))
    assert len(pages) > 3
    file = io.BytesIO()
    sizes: list[int] = []

    def watched() -> Iterator[Page]:
        for page in pages:
            sizes.append(len(file.getvalue()))
            yield page

    assert write_pdf(watched(), file, dpi=72) == len(pages)
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("format", ["png", "webp", "pdf"])
def test_a_page_is_a_file_of_its_own_in_every_format(format: Any, page: Page) -> None:
    magic = {"png": b"\x89PNG", "webp": b"RIFF", "pdf": b"%PDF-1.5"}[format]
    assert encode_page(page, format).startswith(magic)


def test_png_files_are_about_as_small_as_other_writers_make_them(data_folder: Path) -> None:
    text = (data_folder / "books" / "jane_eyre.txt").read_text("utf-8")[:20_000]
    page = pages_of(text, RenderConfig())[0]
    buffer = io.BytesIO()
    Image.fromarray(page.gray()).save(buffer, "PNG")
    # Level 1 without filters is about as small as the default of other writers on text.
    assert len(encode_png(page)) < 1.2 * len(buffer.getvalue())
    assert len(encode_png(page, bits=4)) < len(encode_png(page))
