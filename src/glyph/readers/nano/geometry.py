"""Where the parts of a page stand: patches, positions, tables of the vision tower, in NumPy.

Training and the reader at run time share these, so that both see one page alike.

Shape key: B pages, H W page pixels, N patches of a page in merge order, P positions of a page,
D hidden size of the tower, G side of its position table, F rotary frequencies.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from glyph.readers.nano.spec import CELL_PX, PATCH_PX

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
MERGE = CELL_PX // PATCH_PX
ROTARY_BASE = 10_000.0
CUBIC = -0.75
"""Parameter of the bicubic kernel; that of torch."""


def merge_order(plane_BHW: UInt8[np.ndarray, "B H W"]) -> UInt8[np.ndarray, "B N 196"]:
    """Cut pages into patches; the four patches of a visual token follow each other."""
    pages, height, width = plane_BHW.shape
    rows, cols = height // CELL_PX, width // CELL_PX
    cut = plane_BHW.reshape(pages, rows, MERGE, PATCH_PX, cols, MERGE, PATCH_PX)
    return cut.transpose(0, 1, 4, 2, 5, 3, 6).reshape(pages, -1, PATCH_PX * PATCH_PX)


def page_positions(num_rows: int, num_cols: int) -> Int64[np.ndarray, "3 P"]:
    """Return M-RoPE positions of BOI, the visual tokens and EOI.

    Time stands still over the page; height and width count rows and columns; text goes on behind
    the longer side.

    Example:
        >>> page_positions(1, 2).tolist()
        [[0, 1, 1, 3], [0, 1, 1, 3], [0, 1, 2, 3]]
    """
    row = np.arange(num_rows).repeat(num_cols)
    col = np.tile(np.arange(num_cols), num_rows)
    visual = np.stack([np.zeros_like(row), row, col]) + 1
    first = np.zeros((3, 1), np.int64)
    last = np.full((3, 1), 1 + max(num_rows, num_cols))
    return np.concatenate([first, visual, last], 1)


def patch_positions(num_rows: int, num_cols: int) -> Int64[np.ndarray, "N 2"]:
    """Return row and column of each patch, in merge order.

    Args:
        num_rows: Rows of visual tokens.
        num_cols: Columns of visual tokens.
    """
    row, col = np.indices((num_rows * MERGE, num_cols * MERGE))
    cut = np.stack([row, col], -1).reshape(num_rows, MERGE, num_cols, MERGE, 2)
    return cut.transpose(0, 2, 1, 3, 4).reshape(-1, 2)


@lru_cache(maxsize=8)
def rotary_tables(
    num_rows: int, num_cols: int, head_dim: int
) -> tuple[Float32[np.ndarray, "N d"], Float32[np.ndarray, "N d"]]:
    """Return cosine and sine of the rotary embedding of each patch, in merge order.

    Half of the frequencies turn by the row, half by the column.
    """
    rate_F = ROTARY_BASE ** (-np.arange(0, head_dim // 2, 2, dtype=np.float32) / (head_dim // 2))
    position_N2 = patch_positions(num_rows, num_cols).astype(np.float32)
    angle_N = (position_N2[:, :, None] * rate_F.astype(np.float32)).reshape(len(position_N2), -1)
    angle = np.concatenate([angle_N, angle_N], 1)
    return np.cos(angle), np.sin(angle)


def place_embeddings(
    table_GGD: Float32[np.ndarray, "G G D"], num_rows: int, num_cols: int
) -> Float32[np.ndarray, "N D"]:
    """Resample the tower's position table to a page, patch by patch in merge order.

    The table is stretched over the page and read bicubically; beyond its border it goes on with
    its last value.
    """
    down = _cubic_weights(table_GGD.shape[0], num_rows * MERGE)
    across = _cubic_weights(table_GGD.shape[1], num_cols * MERGE)
    grid = np.einsum("hy,yxd,wx->hwd", down, table_GGD, across, optimize=True)
    row_N, col_N = patch_positions(num_rows, num_cols).T
    return np.ascontiguousarray(grid[row_N, col_N], np.float32)


def _cubic_weights(size: int, count: int) -> Float32[np.ndarray, "count size"]:
    """Return the weight of each of `size` table cells for `count` evenly spread samples."""
    centre = (np.arange(count) + 0.5) / count * size - 0.5
    first = np.floor(centre).astype(np.int64)
    weights = np.zeros((count, size))
    for step in range(-1, 3):
        distance = np.abs(centre - (first + step))
        near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
        far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
        cell = np.clip(first + step, 0, size - 1)
        np.add.at(weights, (np.arange(count), cell), np.where(distance <= 1, near, far))
    return weights.astype(np.float32)
