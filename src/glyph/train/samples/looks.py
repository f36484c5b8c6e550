"""How the pages of a sample look, and texts becoming pages of that look.

Pages come from the package's own renderer. Those of nano styles are what the nano reader sees: its
geometry, nothing cropped, characters it has codes for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from glyph.config import RenderConfig
from glyph.documents import Document, SourceMap
from glyph.encode import encode_png
from glyph.errors import ConfigError
from glyph.fonts import installed_families
from glyph.pages import PageLayout
from glyph.presets import load_preset
from glyph.readers.nano.spec import CELL_PX, NanoStyle, load_spec
from glyph.render import PageStream, render_pages
from glyph.themes import sample_config
from glyph.tokens import image_cost, resolve_model
from glyph.train.nano.corpus import plain_text
from glyph.train.samples.config import DataConfig

MAX_DRAWS = 50
CACHED_TEXTS = 32


@dataclass(frozen=True, slots=True)
class Look:
    """Theta, and what its pages cost.

    Attributes:
        config: Theta.
        model: Whose visual tokens are counted; "" counts cells of 28 px, as for nano.
        style: Style of the nano reader, or None.
    """

    config: RenderConfig
    model: str
    style: NanoStyle | None = None

    @property
    def digest(self) -> str:
        """Of theta."""
        return self.config.digest

    def tokens(self, width_px: int, height_px: int) -> int:
        """Return the visual tokens of a page."""
        if self.style is not None:
            return (width_px // CELL_PX) * (height_px // CELL_PX)
        return image_cost(width_px, height_px, self.model).visual_tokens

    def text(self, text: str) -> str:
        """Return a text in characters that pages of this look may hold."""
        return _plain(text) if self.style is not None else text

    def stream(self, text: str) -> PageStream:
        """Return the pages of a text that is taken as it is."""
        # Texts of sources were made fit to be shown when they were taken in.
        source = SourceMap.identity(len(text))
        document = Document(text, "sample", "prose", None, source, "str", ())
        return render_pages(document, self.config)


@dataclass(frozen=True, slots=True)
class Shown:
    """A text as pages.

    Attributes:
        look: How.
        text: What the pages show.
        images: The pages as PNG files.
        layouts: Where its characters stand.
        visual_tokens: What they cost.
    """

    look: Look
    text: str
    images: tuple[bytes, ...]
    layouts: tuple[PageLayout, ...]
    visual_tokens: int

    def page_of(self, offset: int) -> int:
        """Return the page, from 0, that a character of the text stands on."""
        return next(page.index for page in self.layouts if offset < page.end)

    def lines(self, page: int) -> tuple[str, ...]:
        """Return the lines of a page as printed, without blanks at their ends."""
        lines = self.layouts[page].lines
        ends = zip(lines.start_L.tolist(), lines.end_L.tolist(), strict=True)
        mark = self.look.config.newline_marker
        shown = (self.text[start:end].rstrip(" " if mark else None) for start, end in ends)
        return tuple(line.replace("\n", mark) for line in shown)

    def line_number(self, page: int, line: int) -> int:
        """Return which line of the page's grid a line stands on, from 0, blank ones counted."""
        top_px = int(self.layouts[page].lines.top_L[line])
        config = self.look.config
        return round((top_px - config.px(config.margin_y_pt)) / config.px(config.line_height_pt))

    def page_text(self, page: int) -> str:
        """Return the text of a page, line breaks of the text kept and no others."""
        layout = self.layouts[page]
        return self.text[layout.start : layout.end].strip("\n")


class Looks:
    """Draws looks as a config says; fonts that are not installed are never drawn.

    Args:
        data: Names themes, presets or nano styles.
    """

    def __init__(self, data: DataConfig):
        self._data = data
        self._presets = tuple(map(load_preset, data.presets))
        self._grid_px = 0 if data.styles else resolve_model(data.model).grid_px
        self._families = None if data.styles else installed_families()

    def draw(self, rng: np.random.Generator) -> Look:
        """Return a look.

        Raises:
            ConfigError: No page of the themes reaches the model as it is.
        """
        data = self._data
        if data.styles:
            style = load_spec().style(data.styles[int(rng.random() * len(data.styles))])
            sizes = data.page_sizes_px
            width_px, height_px = sizes[int(rng.random() * len(sizes))]
            return Look(style.config(width_px, height_px), "", style)
        is_preset = rng.random() < data.preset_share or not data.themes
        if self._presets and is_preset:
            return Look(self._presets[int(rng.random() * len(self._presets))], data.model)
        return self._draw_theme(rng)

    def _draw_theme(self, rng: np.random.Generator) -> Look:
        data = self._data
        for _ in range(MAX_DRAWS):
            theme = data.themes[int(rng.random() * len(data.themes))] if data.themes else None
            config = sample_config(rng, theme=theme, grid_px=self._grid_px, families=self._families)
            cost = image_cost(*config.page_size_px, data.model)
            # A page that is scaled shows other letters than were drawn, and one that alone is
            # over the budget fits no sample.
            if not cost.resampled and cost.visual_tokens <= data.max_visual_tokens:
                return Look(config, data.model)
        raise ConfigError(
            f"{MAX_DRAWS} draws of theta in a row gave pages over the pixel limits of "
            f"{data.model} or over max_visual_tokens {data.max_visual_tokens}; raise the latter."
        )


@lru_cache(maxsize=CACHED_TEXTS)
def _plain(text: str) -> str:
    return plain_text(text)


def show(text: str, look: Look) -> Shown:
    """Render a text."""
    stream = look.stream(text)
    pages = tuple(stream)
    tokens = sum(look.tokens(page.width_px, page.height_px) for page in pages)
    return Shown(
        look,
        stream.document.text,
        tuple(encode_png(page) for page in pages),
        tuple(page.layout for page in pages),
        tokens,
    )


def fitting(text: str, look: Look, max_tokens: int, max_pages: int) -> tuple[int, int]:
    """Return how many characters of a text fit a budget as whole pages, and their tokens.

    Args:
        text: As `Look.text` gives it.
        look: How it would be shown.
        max_tokens: Visual tokens.
        max_pages: Pages.

    Returns:
        Characters and tokens; 0 and 0 when not even the first page fits.
    """
    end = tokens = 0
    for layout in _layouts(text, look):
        cost = look.tokens(layout.width_px, layout.height_px)
        if layout.index >= max_pages or tokens + cost > max_tokens:
            break
        end, tokens = layout.end, tokens + cost
    return end, tokens


def _layouts(text: str, look: Look) -> Iterator[PageLayout]:
    return look.stream(text).layouts() if text.strip() else iter(())
