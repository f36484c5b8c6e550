"""A page as the network takes it: grey pixels on the grid, of a size it was trained on.

Shape key: H W page pixels, L text lines.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from glyph.errors import ReaderError
from glyph.pages import Box, Page
from glyph.readers.nano.card import ReaderCard, is_of_style
from glyph.readers.nano.spec import CELL_PX, NanoStyle

WHITE = 255
INK_BELOW = 200


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """The pixels of a page; nothing else of the page is kept.

    Attributes:
        plane_HW: Grey, filled up with white to a trained size.
        width_px: Width of the page itself.
        height_px: Height of the page itself.
        style: How text stands on it.
    """

    plane_HW: UInt8[np.ndarray, "H W"]
    width_px: int
    height_px: int
    style: NanoStyle

    @property
    def num_cols(self) -> int:
        """Columns of visual tokens, filling included."""
        return self.plane_HW.shape[1] // CELL_PX

    @property
    def num_tokens(self) -> int:
        """Visual tokens, filling included."""
        return self.num_cols * (self.plane_HW.shape[0] // CELL_PX)

    @property
    def num_lines(self) -> int:
        """Places for text lines on the page itself."""
        return self.height_px * self.style.lines_per_token // CELL_PX

    @property
    def max_chars(self) -> int:
        """Characters of a full line; an upper bound in a proportional style."""
        return self.width_px // (self.style.advance_px or 2)

    def rows_of(self, line: int) -> tuple[int, int]:
        """Return the first pixel row of a line and the row behind its last."""
        lines = self.style.lines_per_token
        return line * CELL_PX // lines, -(-(line + 1) * CELL_PX // lines)

    def has_ink(self, line: int) -> bool:
        """Whether anything is drawn in a line's rows."""
        top, bottom = self.rows_of(line)
        return bool((self.plane_HW[top:bottom] < INK_BELOW).any())

    def box_of(self, line: int, start: int, end: int) -> Box:
        """Return the box of characters [start, end) of a line; the whole line if proportional."""
        top, bottom = self.rows_of(line)
        advance = self.style.advance_px
        if not advance:
            return Box(0, top, self.width_px, min(bottom, self.height_px))
        right = min(end * advance, self.width_px)
        return Box(min(start * advance, right), top, right, min(bottom, self.height_px))

    def box_of_tokens(self, tokens: list[int]) -> Box:
        """Return the box around the visual tokens of the row that most of them are in."""
        rows = [token // self.num_cols for token in tokens]
        row = max(set(rows), key=lambda each: (rows.count(each), -each))
        cols = [token % self.num_cols for token, at in zip(tokens, rows, strict=True) if at == row]
        return Box(
            min(cols) * CELL_PX,
            row * CELL_PX,
            min((max(cols) + 1) * CELL_PX, self.width_px),
            min((row + 1) * CELL_PX, self.height_px),
        )


def sheet_of(page: Page, card: ReaderCard, style: NanoStyle) -> Sheet:
    """Return a page's pixels, ready for the network.

    A page is filled up with white to the smallest trained size that holds it.

    Args:
        page: Any page; only its pixels are looked at.
        card: What the model was trained on.
        style: The card's style.

    Raises:
        ReaderError: The model was not trained on pages like this one.
    """
    width, height = page.width_px, page.height_px
    largest = max(card.page_sizes_px, key=lambda size: size[0] * size[1])
    fitting = [size for size in card.page_sizes_px if size[0] >= width and size[1] >= height]
    advice = (
        f"Render with --preset {card.preset}, or use --reader ocr or --reader openai:MODEL, which "
        "read any preset."
    )
    if width % CELL_PX or height % CELL_PX or not fitting:
        raise ReaderError(
            f"page {page.index + 1} is {width}x{height} px; reader 'nano' reads pages of up to "
            f"{largest[0]}x{largest[1]} px in steps of {CELL_PX} px. {advice}"
        )
    gray_HW = page.gray()
    if not is_of_style(gray_HW, style, card.ink):
        raise ReaderError(
            f"page {page.index + 1} is not in the style reader 'nano' was trained on "
            f"({style.about}). {advice}"
        )
    full = min(fitting, key=lambda size: size[0] * size[1])
    plane_HW = np.full((full[1], full[0]), WHITE, np.uint8)
    plane_HW[:height, :width] = gray_HW
    return Sheet(plane_HW, width, height, style)
