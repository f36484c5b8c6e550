"""Raster: a page layout becomes pixels, one byte each.

On a page of one ink a byte is 255 minus coverage, and the palette blends from the page's colour
to the font's. On a page of several inks it is 255 - (level << 4) - ink, with 16 levels of coverage
and 16 inks: drawing keeps the lower byte, so the most covered pixel wins and colour costs nothing.
Bytes without coverage name flat colours: 255 the page, 254 paragraph ground, 253 border.
"""

import numpy as np
from jaxtyping import UInt8

from glyph import kernel
from glyph.atlas import Atlas
from glyph.config import RGB, RenderConfig, rgb
from glyph.pagebuild import FILL_BORDER, FILL_PARAGRAPH
from glyph.pages import PALETTE_SIZE, Page, PageLayout

NUM_INKS, NUM_LEVELS = 16, 16


def needs_inks(config: RenderConfig, *, has_roles: bool) -> bool:
    """Whether pages of this config need more than one ink or flat colour."""
    return (
        has_roles
        or config.has_colored_marker
        or config.border_width_pt > 0
        or config.paragraph_color.upper() != config.page_color.upper()
    )


def make_palette(config: RenderConfig, inks: list[RGB] | None) -> UInt8[np.ndarray, "C 3"]:
    """Return the colour of every byte of a plane.

    Args:
        config: Page, paragraph, font and border colours.
        inks: Colour of each ink, or None for a page of one ink.
    """
    if inks is None:
        coverage = 255 - np.arange(PALETTE_SIZE)
        return _blend(rgb(config.page_color), rgb(config.font_color), coverage, 255)
    palette_C3 = np.empty((PALETTE_SIZE, 3), np.uint8)
    levels = np.arange(NUM_LEVELS)
    for ink in range(NUM_INKS):
        color = inks[ink] if ink < len(inks) else inks[0]
        ramp = _blend(rgb(config.paragraph_color), color, levels, NUM_LEVELS - 1)
        palette_C3[255 - (levels << 4) - ink] = ramp
        palette_C3[255 - ink] = rgb(config.page_color)
    palette_C3[FILL_PARAGRAPH] = rgb(config.paragraph_color)
    palette_C3[FILL_BORDER] = rgb(config.border_color)
    return palette_C3


def _blend(
    ground: RGB, ink: RGB, amount: "np.ndarray[tuple[int], np.dtype[np.int_]]", full: int
) -> UInt8[np.ndarray, "C 3"]:
    weight = amount[:, None]
    mixed = np.array(ground) * (full - weight) + np.array(ink) * weight
    return ((mixed + full // 2) // full).astype(np.uint8)


def raster(layout: PageLayout, atlas: Atlas, palette_C3: UInt8[np.ndarray, "C 3"]) -> Page:
    """Draw a page.

    Args:
        layout: What stands where; its slots belong to `atlas`.
        atlas: Bitmaps of 256 levels, or of 16 where the page has several inks.
        palette_C3: From `make_palette`.
    """
    width, height = layout.width_px, layout.height_px
    plane = np.full(width * height + atlas.bitmaps.slack_bytes, 255, np.uint8)
    plane_HW = plane[: width * height].reshape(height, width)
    for fill in layout.fills:
        box = fill.box
        top, left = max(box.top_px, 0), max(box.left_px, 0)
        plane_HW[top : max(box.bottom_px, 0), left : max(box.right_px, 0)] = fill.code
    kernel.blit(plane, width, height, atlas.bitmaps, layout.glyphs)
    if layout.label is not None:
        kernel.blit(plane, width, height, atlas.bitmaps, layout.label)
    return Page(plane_HW, palette_C3, layout)
