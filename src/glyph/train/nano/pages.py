"""Text becomes pages with labels: which character stands in which slot of which visual token.

The pages are those of the package's own renderer. Labels come from the layout, never from pixels,
and cost no more than the pages themselves.

Shape key: P pages, H W page pixels, R C rows and columns of visual tokens, K slots of a token,
N characters of a page.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8

from glyph.atlas import Atlas, Typeface, shared_atlas
from glyph.errors import ConfigError
from glyph.layout import Layout
from glyph.pages import SUBPIXELS, PageLayout
from glyph.raster import make_palette, raster
from glyph.readers.nano.spec import CELL_PX, OTHER_ID, NanoStyle, char_ids, load_spec

LEVELS = 256


@dataclass(frozen=True, slots=True, eq=False)
class PageChars:
    """Where the characters of a page stand, in reading order; blanks included, line ends not.

    Attributes:
        row_N: Row of the visual token.
        col_N: Column of the visual token.
        line_N: Line within the token, from the top.
        bin_N: Place within that line, from the left.
        id_N: Vocabulary id.
        char_N: Offset into the document's text.
    """

    row_N: Int[np.ndarray, " N"]
    col_N: Int[np.ndarray, " N"]
    line_N: Int[np.ndarray, " N"]
    bin_N: Int[np.ndarray, " N"]
    id_N: UInt8[np.ndarray, " N"]
    char_N: Int[np.ndarray, " N"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPages:
    """Pages of one size and style.

    Attributes:
        style: How the text stands.
        plane_PHW: Grey pixels.
        slot_PRCK: Vocabulary id of the character in each slot; 0 where there is none.
    """

    style: NanoStyle
    plane_PHW: UInt8[np.ndarray, "P H W"]
    slot_PRCK: UInt8[np.ndarray, "P R C K"]


def page_chars(
    layout: PageLayout, id_N: UInt8[np.ndarray, " N"], atlas: Atlas, style: NanoStyle
) -> PageChars:
    """Return where the characters of a page stand.

    Args:
        layout: A page of a text in left-to-right script.
        id_N: Vocabulary ids of the whole text, from `char_ids`.
        atlas: The atlas the layout was made with.
        style: Decides the slots.

    Returns:
        The characters that have width and whose centre is on the page.
    """
    glyphs, lines = layout.glyphs, layout.lines
    advance64_N = atlas.advance64[glyphs.slot_N]
    center64_N = glyphs.x64_N.astype(np.int64) + advance64_N // 2
    num_glyphs_L = np.diff(np.append(lines.glyph_L, len(glyphs.slot_N)))
    middle2_N = np.repeat(lines.top_L + lines.bottom_L, num_glyphs_L)
    keep_N = (advance64_N > 0) & (center64_N < layout.width_px * SUBPIXELS)
    char_N = glyphs.char_N[keep_N].astype(np.int64) + layout.start
    # A line end that has width is shown as a mark, which is no printable ASCII character.
    shown_N = id_N[char_N]
    shown_N[shown_N == load_spec().special("NL")] = OTHER_ID
    cell64 = CELL_PX * SUBPIXELS
    col_N, x64_N = np.divmod(center64_N[keep_N], cell64)
    row_N, y2_N = np.divmod(middle2_N[keep_N].astype(np.int64), 2 * CELL_PX)
    return PageChars(
        row_N=row_N,
        col_N=col_N,
        line_N=y2_N * style.lines_per_token // (2 * CELL_PX),
        bin_N=x64_N * style.bins_per_token // cell64,
        id_N=shown_N,
        char_N=char_N,
    )


def slot_labels(
    chars: PageChars, width_px: int, height_px: int, style: NanoStyle
) -> UInt8[np.ndarray, "R C K"]:
    """Return the characters of a page as a table of slots; 0 marks an empty slot."""
    slot_RCK = np.zeros((height_px // CELL_PX, width_px // CELL_PX, style.num_slots), np.uint8)
    slot_N = chars.line_N * style.bins_per_token + chars.bin_N
    slot_RCK[chars.row_N, chars.col_N, slot_N] = chars.id_N
    return slot_RCK


def labelled_page_stream(
    text: str, style: NanoStyle, width_px: int, height_px: int
) -> Iterator[tuple[UInt8[np.ndarray, "H W"], PageChars]]:
    """Yield each page of a text with its characters.

    Args:
        text: What to show; line feeds end lines.
        style: How.
        width_px: Page width, a multiple of 28.
        height_px: Page height, a multiple of 28.
    """
    config = style.config(width_px, height_px)
    atlas = shared_atlas(Typeface.of(config), LEVELS)
    palette_C3 = make_palette(config, None)
    id_N = char_ids(text)
    for layout in Layout(text, config, atlas).pages():
        page = raster(layout, atlas, palette_C3)
        yield page.gray(), page_chars(layout, id_N, atlas, style)


def render_labelled(
    text: str, style: NanoStyle, width_px: int, height_px: int, *, num_pages: int
) -> LabelledPages:
    """Render the first pages of a text with their labels.

    Args:
        text: What to show; it must fill `num_pages` pages or more.
        style: How.
        width_px: Page width, a multiple of 28.
        height_px: Page height, a multiple of 28.
        num_pages: Pages wanted, at least 1.

    Raises:
        ConfigError: The text is too short.
    """
    rows, cols = height_px // CELL_PX, width_px // CELL_PX
    plane_PHW = np.empty((num_pages, height_px, width_px), np.uint8)
    slot_PRCK = np.empty((num_pages, rows, cols, style.num_slots), np.uint8)
    index = -1
    stream = labelled_page_stream(text, style, width_px, height_px)
    for index, (plane_HW, chars) in zip(range(num_pages), stream, strict=False):
        plane_PHW[index] = plane_HW
        slot_PRCK[index] = slot_labels(chars, width_px, height_px, style)
    if index + 1 < num_pages:
        raise ConfigError(
            f"the text fills {index + 1} pages of {width_px}x{height_px} px and {num_pages} are "
            "wanted; give a longer text."
        )
    return LabelledPages(style, plane_PHW, slot_PRCK)


def chars_per_page(style: NanoStyle, width_px: int, height_px: int) -> int:
    """Return how many characters fit on a page, for sizing texts; an upper bound for prose."""
    advance_px = style.advance_px or 3
    per_line = int(width_px // advance_px)
    return per_line * round(height_px / style.line_height_pt)


def read_slots(slot_RCK: UInt8[np.ndarray, "R C K"], style: NanoStyle) -> list[str]:
    """Return the lines that a table of slots says; blanks at line ends are dropped.

    Args:
        slot_RCK: Vocabulary ids, 0 where a slot is empty.
        style: Decides the order of slots.
    """
    rows, cols = slot_RCK.shape[:2]
    shaped = slot_RCK.reshape(rows, cols, style.lines_per_token, style.bins_per_token)
    lines_YX = shaped.transpose(0, 2, 1, 3).reshape(rows * style.lines_per_token, -1)
    return [
        "".join(map(chr, ids_X[ids_X > 0].tolist())).replace("\x7f", "\ufffd").rstrip()
        for ids_X in lines_YX
    ]
