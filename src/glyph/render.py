"""Render: the one way from a document to pages; everything in the package goes through here.

    document ── layout ──> page layouts ── raster ──> pages

Pages come one at a time and hold nothing of each other, so that five million characters need no
more memory than five thousand.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from glyph.atlas import Typeface, shared_atlas
from glyph.config import RGB, RenderConfig, rgb
from glyph.documents import Document, document_from_text
from glyph.highlight import DARK_INKS, LIGHT_INKS, ink_roles
from glyph.layout import INK_FIRST_ROLE, Layout
from glyph.pages import Page, PageLayout
from glyph.raster import NUM_LEVELS, make_palette, needs_inks, raster


class PageStream:
    """The pages of a document, made while they are asked for; iterate once.

    Attributes:
        document: What is rendered.
        config: How.
    """

    def __init__(self, document: Document, config: RenderConfig):
        self.document = document
        self.config = config
        roles_N = ink_roles(document) if config.highlight else None
        has_inks = needs_inks(config, has_roles=roles_N is not None)
        self._atlas = shared_atlas(Typeface.of(config), NUM_LEVELS if has_inks else 256)
        self._palette_C3 = make_palette(config, _inks(config) if has_inks else None)
        ink_N = None
        if roles_N is not None:
            ink_N = np.where(roles_N > 0, roles_N + np.uint8(INK_FIRST_ROLE - 1), np.uint8(0))
        self._layout = Layout(document.text, config, self._atlas, ink_N)

    def __iter__(self) -> Iterator[Page]:
        """Yield the pages in order."""
        for layout in self._layout.pages():
            yield self.draw(layout)

    def draw(self, layout: PageLayout) -> Page:
        """Return one page of this stream as pixels, for who wants some pages and not all."""
        return raster(layout, self._atlas, self._palette_C3)

    def layouts(self) -> Iterator[PageLayout]:
        """Yield the pages as positions only, which is all that counting tokens needs."""
        return self._layout.pages()

    @property
    def missing(self) -> Counter[str]:
        """Characters that no font has, on the pages made so far."""
        return self._layout.missing


def render_pages(document: Document | str, config: RenderConfig) -> PageStream:
    """Return the pages of a document.

    Args:
        document: A document, or a text that is taken as prose.
        config: How the pages look.

    Returns:
        A stream; pages are made while it is iterated.

    Example:
        >>> page, = render_pages("Call me Ishmael.", RenderConfig())
        >>> page.width_px, page.height_px, page.start, page.end
        (96, 30, 0, 16)
    """
    if isinstance(document, str):
        document = document_from_text(document)
    return PageStream(document, config)


def _inks(config: RenderConfig) -> list[RGB]:
    roles = DARK_INKS if config.is_dark else LIGHT_INKS
    return [rgb(config.font_color), rgb(config.newline_marker_color), *roles[1:]]
