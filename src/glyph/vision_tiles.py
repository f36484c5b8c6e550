"""Rules of the encoders that cut a page into tiles, or squeeze it into one square.

A tile has a fixed size and a fixed price, so the price of a page is a step function of its size,
and pages whose sides are whole tiles waste nothing. See `glyph.vision` for the other rules.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from glyph.vision import ImageCost, cells, cost_when_seen


@lru_cache(maxsize=64)
def tile_grids(min_tiles: int, max_tiles: int) -> tuple[tuple[int, int], ...]:
    """Return every (columns, rows) of `min_tiles` to `max_tiles` tiles, smallest area first."""
    grids = [
        (columns, rows)
        for columns in range(1, max_tiles + 1)
        for rows in range(1, max_tiles + 1)
        if min_tiles <= columns * rows <= max_tiles
    ]
    return tuple(sorted(grids, key=lambda grid: grid[0] * grid[1]))


def closest_grid(
    width_px: int, height_px: int, tile_px: int, min_tiles: int, max_tiles: int
) -> tuple[int, int]:
    """Return the grid of tiles whose aspect ratio is nearest to the page's.

    Of two equally near grids the larger one wins, unless its area is more than twice the page's.

    Source:
        InternVL 1.5 (arXiv:2404.16821), dynamic resolution; `get_optimal_tiled_canvas` of the
        got_ocr2 image processor in transformers. Deviations: none.
    """
    aspect, area = width_px / height_px, width_px * height_px
    best, best_difference = (1, 1), math.inf
    for columns, rows in tile_grids(min_tiles, max_tiles):
        difference = abs(aspect - columns / rows)
        is_tie = difference == best_difference and area > 0.5 * tile_px**2 * columns * rows
        if difference < best_difference or is_tie:
            best, best_difference = (columns, rows), difference
    return best


@dataclass(frozen=True, slots=True)
class Square:
    """Every page is stretched to one square.

    Source:
        Gemma 3 (arXiv:2503.19786): 896 px, 256 tokens, pan and scan off; DeepSeek-OCR
        (arXiv:2510.18234), modes without padding. Deviations: none.
    """

    side_px: int
    tokens: int
    overhead_tokens: int = 0

    @property
    def grid_px(self) -> int:
        """Side of the square; the page must be one."""
        return self.side_px

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        return ImageCost(
            visual_tokens=self.tokens,
            seen_width_px=self.side_px,
            seen_height_px=self.side_px,
            resampled=(width_px, height_px) != (self.side_px, self.side_px),
            overhead_tokens=self.overhead_tokens,
        )


@dataclass(frozen=True, slots=True)
class PaddedSquare:
    """The page is scaled, up or down, until its long side fills one square, then padded.

    Source:
        DeepSeek-OCR (arXiv:2510.18234), modes Base and Large. The tokens include one line break
        a row and the view separator. Deviations: none.
    """

    side_px: int
    tokens: int

    @property
    def grid_px(self) -> int:
        """Side of a cell; the long side must also fill the square."""
        return 64

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        longest = max(width_px, height_px)
        return ImageCost(
            visual_tokens=self.tokens,
            seen_width_px=max(1, round(width_px * self.side_px / longest)),
            seen_height_px=max(1, round(height_px * self.side_px / longest)),
            resampled=longest != self.side_px,
        )


@dataclass(frozen=True, slots=True)
class TilesAndThumbnail:
    """The page is stretched to the nearest grid of tiles; several tiles add one overview.

    Source:
        InternVL3 (arXiv:2504.10479); processor internvl with image processor got_ocr2 in
        transformers. Deviations: none.
    """

    tile_px: int
    tokens_per_tile: int
    max_tiles: int
    overhead_tokens: int = 2

    @property
    def grid_px(self) -> int:
        """Side of a tile."""
        return self.tile_px

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        columns, rows = closest_grid(width_px, height_px, self.tile_px, 1, self.max_tiles)
        tiles = columns * rows
        seen = (columns * self.tile_px, rows * self.tile_px)
        return cost_when_seen(
            self.tokens_per_tile * (tiles + (tiles > 1)),
            seen,
            (width_px, height_px),
            self.overhead_tokens,
        )


@dataclass(frozen=True, slots=True)
class OverviewAndTiles:
    """One padded overview always, and tiles as soon as the page is larger than a tile.

    Source:
        DeepSeek-OCR (arXiv:2510.18234), mode Gundam, and its serving code: `row_breaks` adds a
        line break to every row of the overview and of the tiles together. DeepSeek-OCR 2
        (arXiv:2601.20552): processor deepseek_ocr2 in transformers, no line breaks.
        Deviations: none.
    """

    overview_px: int
    tile_px: int
    max_tiles: int
    row_breaks: bool
    cell_px: int = 64
    min_tiles: int = 2

    @property
    def grid_px(self) -> int:
        """Side of a tile."""
        return self.tile_px

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        per_row = math.ceil(self.overview_px / self.cell_px)
        tokens = per_row * (per_row + self.row_breaks) + 1
        longest = max(width_px, height_px)
        if longest <= self.tile_px:
            scale = self.overview_px / longest
            seen = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
        else:
            columns, rows = closest_grid(
                width_px, height_px, self.tile_px, self.min_tiles, self.max_tiles
            )
            per_tile = math.ceil(self.tile_px / self.cell_px)
            tokens += rows * per_tile * (columns * per_tile + self.row_breaks)
            seen = (columns * self.tile_px, rows * self.tile_px)
        return cost_when_seen(tokens, seen, (width_px, height_px))


@dataclass(frozen=True, slots=True)
class CanvasTiles:
    """The page is placed on the canvas of tiles that needs the least scaling, then padded.

    A page is enlarged only if it is smaller than one tile. Several tiles add one overview and
    their separators.

    Source:
        Llama 4; `get_best_fit` of its image processor and `_prompt_split_image` of its processor
        in transformers. Deviations: none.
    """

    tile_px: int
    tokens_per_tile: int
    max_tiles: int
    overhead_tokens: int = 3

    @property
    def grid_px(self) -> int:
        """Side of a tile."""
        return self.tile_px

    def _canvas(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Return (columns, rows): smallest enlargement, else least shrinking, then least area."""

        def preference(grid: tuple[int, int]) -> tuple[bool, float, int]:
            scale = min(grid[0] * self.tile_px / width_px, grid[1] * self.tile_px / height_px)
            return (scale < 1, scale if scale >= 1 else -scale, grid[0] * grid[1])

        return min(tile_grids(1, self.max_tiles), key=preference)

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        columns, rows = self._canvas(width_px, height_px)
        room_width = min(max(width_px, self.tile_px), columns * self.tile_px)
        room_height = min(max(height_px, self.tile_px), rows * self.tile_px)
        scale_width, scale_height = room_width / width_px, room_height / height_px
        if scale_width < scale_height:
            seen = (room_width, min(math.floor(height_px * scale_width), room_height))
        else:
            seen = (min(math.floor(width_px * scale_height), room_width), room_height)
        tiles = columns * rows
        # One separator after each tile: within a row, or at its end.
        tokens = self.tokens_per_tile * (tiles + 1) + tiles if tiles > 1 else self.tokens_per_tile
        return ImageCost(
            visual_tokens=tokens,
            seen_width_px=max(seen[0], 1),
            seen_height_px=max(seen[1], 1),
            resampled=seen != (width_px, height_px),
            overhead_tokens=self.overhead_tokens,
        )


@dataclass(frozen=True, slots=True)
class Slices:
    """One overview, and slices of about the tile's area once the page is larger than a tile.

    Source:
        MiniCPM-V (arXiv:2408.01800), adaptive visual encoding; image processor of MiniCPM-V 2.6.
        Deviations: the tag with the picture's number is counted as three tokens, which holds
        for the first ten pictures of a request.
    """

    tile_px: int
    patch_px: int
    tokens_per_slice: int
    max_slices: int

    @property
    def grid_px(self) -> int:
        """Side of a tile."""
        return self.tile_px

    def _grid(self, width_px: int, height_px: int) -> tuple[int, int] | None:
        """Return (columns, rows), or None for a page that is not cut."""
        wanted = min(math.ceil(width_px * height_px / self.tile_px**2), self.max_slices)
        if wanted <= 1:
            return None
        log_aspect = math.log(width_px / height_px)
        grids = [
            (columns, slices // columns)
            for slices in (wanted - 1, wanted, wanted + 1)
            if 1 < slices <= self.max_slices
            for columns in range(1, slices + 1)
            if slices % columns == 0
        ]
        return min(grids, key=lambda grid: abs(log_aspect - math.log(grid[0] / grid[1])))

    def _whole(self, length: float, step: int) -> int:
        return max(round(length / step) * step, step)

    def _tile_size(self, width: float, height: float) -> tuple[int, int]:
        """Return the size with about the tile's area and the slice's aspect ratio."""
        aspect = width / height
        tall = int(self.tile_px / math.sqrt(aspect))
        return self._whole(int(tall * aspect), self.patch_px), self._whole(tall, self.patch_px)

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        grid = self._grid(width_px, height_px)
        overhead = 5  # <image_id>, its digit, </image_id>, <image>, </image>
        columns, rows = grid or (1, 1)
        width, height = self._tile_size(
            self._whole(width_px, columns) / columns, self._whole(height_px, rows) / rows
        )
        if grid:
            overhead += 2 * columns * rows + rows - 1  # <slice>, </slice>, a line break a row
        seen = (width * columns, height * rows)
        return cost_when_seen(
            self.tokens_per_slice * (1 + (columns * rows if grid else 0)),
            seen,
            (width_px, height_px),
            overhead,
        )


@dataclass(frozen=True, slots=True)
class ShortSideTiles:
    """The page shrinks into a square, its short side under a limit; then tiles are counted.

    Source:
        OpenAI documentation, "Images and vision", tile-based image tokenization (copy of
        2026-09), detail high. Deviations: none.
    """

    base_tokens: int
    tokens_per_tile: int
    longest_px: int = 2048
    shortest_px: int = 768
    tile_px: int = 512

    @property
    def grid_px(self) -> int:
        """Half a tile, of which the short side may have three."""
        return self.tile_px // 2

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        width, height = width_px, height_px
        if (longest := max(width, height)) > self.longest_px:
            width = max(1, width * self.longest_px // longest)
            height = max(1, height * self.longest_px // longest)
        if (shortest := min(width, height)) > self.shortest_px:
            width = width * self.shortest_px // shortest
            height = height * self.shortest_px // shortest
        return cost_when_seen(
            self.base_tokens + self.tokens_per_tile * cells(width, height, self.tile_px),
            (width, height),
            (width_px, height_px),
        )


@dataclass(frozen=True, slots=True)
class LowDetail:
    """A fixed price for a page shrunk into one small square.

    Source:
        OpenAI documentation, "Images and vision", detail low of the tile-based models.
    """

    tokens: int
    side_px: int = 512

    @property
    def grid_px(self) -> int:
        """Side of the square."""
        return self.side_px

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        scale = min(1.0, self.side_px / max(width_px, height_px))
        return ImageCost(
            visual_tokens=self.tokens,
            seen_width_px=max(1, int(width_px * scale)),
            seen_height_px=max(1, int(height_px * scale)),
            resampled=scale < 1,
        )


@dataclass(frozen=True, slots=True)
class CropTiles:
    """A page is cropped into tiles whose size follows its short side; each is scaled to one size.

    Source:
        Google documentation, "Image understanding", for Gemini 2. Two versions of it are in
        circulation: one clamps the crop to 256-768 px, the other calls the rule rough and has no
        clamp. They agree for short sides of 384-1152 px; the clamped one is used, as it never
        promises a lower bill. Users have also reported 258 tokens for pages of any size.
    """

    tile_px: int = 768
    tokens_per_tile: int = 258
    small_px: int = 384
    min_crop_px: int = 256
    longest_px: int = 3072

    @property
    def grid_px(self) -> int:
        """Side of a tile."""
        return self.tile_px

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        width, height = width_px, height_px
        if (longest := max(width, height)) > self.longest_px:
            width = max(1, width * self.longest_px // longest)
            height = max(1, height * self.longest_px // longest)
        if max(width, height) <= self.small_px:
            crop = max(width, height)
        else:
            crop = math.floor(min(width, height) / 1.5)
            crop = min(max(crop, self.min_crop_px), self.tile_px)
        scale = self.tile_px / crop
        seen = (round(width * scale), round(height * scale))
        return cost_when_seen(
            self.tokens_per_tile * cells(width, height, crop), seen, (width_px, height_px)
        )
