"""A font of square glyphs whose pages can be drawn by hand.

Every glyph fills quarters of its em square, so at sizes of whole pixels each pixel is either full
or blank. A page is then written down as text, one sign for a cell of half an em:

    a ##   b ##   c __   d #_   e _#   i #   W ####
      ##     __     ##     #_     _#     #     ####
"""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# fontTools carries types for some of its functions only.

from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import numpy.typing as npt
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from glyph.config import RenderConfig
from glyph.documents import Document, SourceMap
from glyph.pages import Page, PageLayout
from glyph.render import PageStream

UNITS_PER_EM = 16
HALF_EM = UNITS_PER_EM // 2
SIZE_PX = 4
CELL_PX = SIZE_PX // 2

SHAPES = {
    "a": "##/##",
    "b": "##/__",
    "c": "__/##",
    "d": "#_/#_",
    "e": "_#/_#",
    "i": "#/#",
    "j": "#/_",
    "W": "####/####",
    "א": "#_/##",
    "ב": "_#/##",
    "ג": "##/_#",
    "1": "_#/_#",
    "2": "##/#_",
    "↵": "#_/_#",
    "\u0301": "",
    " ": "__/__",
}
"""Cells of each glyph, upper row before lower row; a mark has no cells and no width."""

SIGN_OF_VALUE = {255: "_", 0: "#", 254: ".", 253: "+"}
"""Ground, ink, paragraph ground and border in a drawing; the newline marker is '*'."""


def build_square_font(path: Path) -> Path:
    """Write the font to a file and return its path."""
    names = {char: f"u{ord(char):04X}" for char in SHAPES}
    order = [".notdef", *names.values()]
    builder = FontBuilder(UNITS_PER_EM, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap({ord(char): name for char, name in names.items()})
    shapes = {".notdef": "##/##", **{names[char]: shape for char, shape in SHAPES.items()}}
    builder.setupGlyf({name: _outline(shape) for name, shape in shapes.items()})
    builder.setupHorizontalMetrics({name: _metrics(shape) for name, shape in shapes.items()})
    builder.setupHorizontalHeader(ascent=UNITS_PER_EM, descent=0)
    builder.setupNameTable({"familyName": "Square", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=UNITS_PER_EM, sTypoDescender=0, sTypoLineGap=0)
    builder.setupPost()
    builder.save(path)
    return path


def _metrics(shape: str) -> tuple[int, int]:
    """Return advance and left side bearing of a glyph."""
    rows = shape.split("/")
    blank = min(len(row) - len(row.lstrip("_")) for row in rows)
    return HALF_EM * len(rows[0]), HALF_EM * blank


def _outline(shape: str) -> Any:
    pen = TTGlyphPen(None)
    for row, cells in enumerate(shape.split("/")):
        top = UNITS_PER_EM - HALF_EM * row
        for column, cell in enumerate(cells):
            if cell == "#":
                left = HALF_EM * column
                corners = [(left, top), (left + HALF_EM, top)]
                corners += [(left + HALF_EM, top - HALF_EM), (left, top - HALF_EM)]
                pen.moveTo(corners[0])
                for corner in corners[1:]:
                    pen.lineTo(corner)
                pen.closePath()
    return pen.glyph()


def square_config(
    font: Path, *, line_em: float, page_em: float = 25, **changes: Any
) -> RenderConfig:
    """Return a config of square glyphs of 4 px and lines of 4 px, without margins.

    Args:
        font: Path of the font.
        line_em: Page width, in ems.
        page_em: Page height, in ems.
        changes: Other fields.
    """
    plain: dict[str, Any] = {
        "page_width_pt": SIZE_PX * line_em,
        "page_height_pt": SIZE_PX * page_em,
        "margin_x_pt": 0,
        "margin_y_pt": 0,
        "font_family": str(font),
        "font_size_pt": SIZE_PX,
        "line_height_pt": SIZE_PX,
        "crop_width": False,
    }
    return RenderConfig(**(plain | changes))


def plain_document(text: str) -> Document:
    """Return a document of exactly this text; nothing is normalised or unwrapped."""
    return Document(text, "text", "prose", None, SourceMap.identity(len(text)), "str", ())


def pages_of(text: str, config: RenderConfig) -> list[Page]:
    """Return the pages of exactly this text."""
    return list(PageStream(plain_document(text), config))


def layouts_of(text: str, config: RenderConfig) -> list[PageLayout]:
    """Return the pages of exactly this text as positions."""
    return list(PageStream(plain_document(text), config).layouts())


def drawing_of(page: Page) -> str:
    """Return a page as text, one sign a cell; '?' where a cell is not of one value."""
    plane_HW = page.plane_HW
    rows: list[str] = []
    for top in range(0, page.height_px, CELL_PX):
        cells = [
            plane_HW[top : top + CELL_PX, left : left + CELL_PX]
            for left in range(0, page.width_px, CELL_PX)
        ]
        rows.append("".join(_sign(cell) for cell in cells))
    return "\n".join(rows)


def _sign(cell: npt.NDArray[np.uint8]) -> str:
    values = np.unique(cell)
    if len(values) != 1:
        return "?"
    value = int(values[0])
    # On a page of several inks full coverage of ink k is 15 - k (see glyph.raster).
    return {15: "#", 14: "*"}.get(value) or SIGN_OF_VALUE.get(value, "?")


def assert_page(page: Page, drawing: str) -> None:
    """Check a page against its drawing; both are printed when they differ."""
    wanted, found = dedent(drawing).strip("\n"), drawing_of(page)
    assert found == wanted, f"wanted\n{wanted}\n\nfound\n{found}\n"
