"""From lines to places: which page, which column, how far down.

Where all lines are alike (no paragraph spacing, no borders) a line's place is arithmetic on its
number. Otherwise lines are walked one by one. Either way a line's place depends only on the lines
before it, so that appending text never moves anything.

Shape key: L lines of a block.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from glyph.config import RenderConfig


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where each line of a block goes.

    Attributes:
        page_L: Page number, from 0.
        column_L: Column on the page, from 0.
        top_L: Top of the line in pixels, fractional.
    """

    page_L: Int64[np.ndarray, " L"]
    column_L: Int64[np.ndarray, " L"]
    top_L: Float64[np.ndarray, " L"]


class Paginator:
    """Hands out places to lines, block after block."""

    def __init__(self, config: RenderConfig):
        self._columns = config.columns
        self._pitch_px = config.px(config.line_height_pt)
        self._frame_px = config.px(config.border_width_pt + config.border_padding_pt)
        self._before_px = config.px(config.space_before_pt)
        self._after_px = config.px(config.space_after_pt)
        self._top_px = config.px(config.margin_y_pt)
        label_px = self._pitch_px if config.page_label != "none" else 0.0
        self._bottom_px = config.page_size_px[1] - self._top_px - label_px
        # A hair of room, so that a page of exactly n lines is not lost to rounding.
        room = (self._bottom_px - self._top_px + 1e-6) / self._pitch_px
        self._rows = max(math.floor(room), 1)
        self._is_uniform = not (self._frame_px or self._before_px or self._after_px)
        self._line = 0
        self._page, self._column, self._y_px = 0, 0, self._top_px

    def places(
        self, starts_paragraph_L: Bool[np.ndarray, " L"], ends_paragraph_L: Bool[np.ndarray, " L"]
    ) -> Places:
        """Return the places of the next lines."""
        if self._is_uniform:
            return self._uniform(len(starts_paragraph_L))
        return self._walk(starts_paragraph_L.tolist(), ends_paragraph_L.tolist())

    def _uniform(self, num_lines: int) -> Places:
        line_L = np.arange(self._line, self._line + num_lines)
        self._line += num_lines
        page_L, rest_L = np.divmod(line_L, self._rows * self._columns)
        column_L, row_L = np.divmod(rest_L, self._rows)
        return Places(page_L, column_L, self._top_px + row_L * self._pitch_px)

    def _walk(self, starts: list[bool], ends: list[bool]) -> Places:
        pages: list[int] = []
        columns: list[int] = []
        tops: list[float] = []
        for is_start, is_end in zip(starts, ends, strict=True):
            if is_start:
                at_top = self._y_px <= self._top_px
                self._y_px += self._frame_px + (0.0 if at_top else self._before_px)
            # Any line may be the last before a page break, where the border is closed.
            below_px = self._pitch_px + self._frame_px
            if self._y_px + below_px > self._bottom_px + 1e-6 and self._y_px > self._top_px:
                self._next_column()
                self._y_px += self._frame_px
            pages.append(self._page)
            columns.append(self._column)
            tops.append(self._y_px)
            self._y_px += self._pitch_px
            if is_end:
                self._y_px += self._frame_px + self._after_px
        return Places(np.array(pages, np.int64), np.array(columns, np.int64), np.array(tops))

    def _next_column(self) -> None:
        self._y_px = self._top_px
        self._column += 1
        if self._column == self._columns:
            self._column = 0
            self._page += 1
