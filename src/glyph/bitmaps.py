"""The bitmaps of glyphs in the form the blit loops read: one flat buffer and two small tables.

A slot has one bitmap for each quarter of a pixel its pen may stand on. Bitmaps hold 255 minus
coverage, so that drawing a glyph keeps the lower byte. Rows are padded to whole lanes of 16 bytes.

Shape key: K bitmaps (four a slot), S slots.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int16, Int64, UInt8

from glyph.errors import FontError

PHASES = 4
LANE_BYTES = 16
BLANK = 255


@dataclass(frozen=True, slots=True, eq=False)
class Bitmap:
    """Coverage of one glyph.

    Attributes:
        coverage: One byte a pixel, 255 is full; shape (rows, width).
        left_px: From the pen position to the first column.
        top_px: From the baseline up to the first row's top edge.
    """

    coverage: UInt8[np.ndarray, "rows width"]
    left_px: int
    top_px: int


EMPTY = Bitmap(np.zeros((0, 0), np.uint8), 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class InkedPixels:
    """The pixels of all bitmaps that are not blank, as flat lists; the NumPy kernel reads them."""

    count_K: "np.ndarray[Any, Any]"
    start_K: "np.ndarray[Any, Any]"
    row: "np.ndarray[Any, Any]"
    column: "np.ndarray[Any, Any]"
    value: "np.ndarray[Any, Any]"


class BitmapStore:
    """All bitmaps of an atlas; they are only ever added.

    Attributes:
        bits: The bitmaps, one after another, as 255 minus coverage.
        offset_K: Where each bitmap begins in `bits`.
        shape_K5: Row stride, width, rows, left and top of each bitmap, in pixels.
        slack_bytes: Bytes a plane must have behind its last pixel, since lanes overrun.
    """

    def __init__(self, levels: int):
        """Start empty.

        Args:
            levels: Coverage levels kept: 256, or 16 for pages of several inks.
        """
        self._levels = levels
        self._num_slots = 0
        self._num_bytes = 0
        self._inked: tuple[int, InkedPixels] | None = None
        self.bits: UInt8[np.ndarray, " bytes"] = np.full(1 << 16, BLANK, np.uint8)
        self.offset_K: Int64[np.ndarray, " K"] = np.zeros(PHASES * 256, np.int64)
        self.shape_K5: Int16[np.ndarray, "K 5"] = np.zeros((PHASES * 256, 5), np.int16)
        self.slack_bytes = LANE_BYTES

    @property
    def num_slots(self) -> int:
        """Slots so far."""
        return self._num_slots

    def add(self, bitmaps: list[Bitmap]) -> int:
        """Store the bitmaps of a new slot and return its number.

        Args:
            bitmaps: One for each phase, or a single one that goes to the nearest whole pixel.
        """
        slot = self._num_slots
        if PHASES * (slot + 1) > len(self.offset_K):
            self.offset_K = np.resize(self.offset_K, 2 * len(self.offset_K))
            self.shape_K5 = np.resize(self.shape_K5, (len(self.offset_K), 5))
        for phase in range(PHASES):
            k = PHASES * slot + phase
            if phase < len(bitmaps):
                self._store(k, bitmaps[phase])
            else:
                self.offset_K[k] = self.offset_K[PHASES * slot]
                self.shape_K5[k] = self.shape_K5[PHASES * slot]
                self.shape_K5[k, 3] += phase >= PHASES // 2
        self._num_slots += 1
        return slot

    def inked_pixels(self) -> InkedPixels:
        """Return the pixels of all bitmaps that have ink."""
        if self._inked is None or self._inked[0] != self._num_slots:
            self._inked = (self._num_slots, self._list_pixels())
        return self._inked[1]

    def _store(self, k: int, bitmap: Bitmap) -> None:
        rows, width = bitmap.coverage.shape
        stride = -(-width // LANE_BYTES) * LANE_BYTES
        if max(stride, rows) > np.iinfo(np.int16).max:
            raise FontError(f"a glyph of {width}x{rows} px is too large; lower the font size.")
        end = self._num_bytes + stride * rows
        if end > len(self.bits):
            grown = np.full(max(end, 2 * len(self.bits)), BLANK, np.uint8)
            grown[: self._num_bytes] = self.bits[: self._num_bytes]
            self.bits = grown
        target = self.bits[self._num_bytes : end].reshape(rows, stride)
        target[:, :width] = self._quantised(bitmap.coverage)
        self.offset_K[k] = self._num_bytes
        self.shape_K5[k] = (stride, width, rows, bitmap.left_px, bitmap.top_px)
        self._num_bytes = end
        self.slack_bytes = max(self.slack_bytes, stride)

    def _quantised(self, coverage: UInt8[np.ndarray, "rows width"]) -> Any:
        if self._levels == 256:
            return BLANK - coverage
        # Nearest of 16 levels in the high four bits; the low four stay free for the ink.
        level = (coverage.astype(np.uint16) * 15 + 127) // 255
        return (BLANK - (level << 4)).astype(np.uint8)

    def _list_pixels(self) -> InkedPixels:
        parts: list[tuple[Any, Any, Any]] = []
        for k in range(PHASES * self._num_slots):
            stride, _, rows, _, _ = self.shape_K5[k].tolist()
            begin = int(self.offset_K[k])
            bits = self.bits[begin : begin + stride * rows].reshape(rows, stride)
            row, column = np.nonzero(bits != BLANK)
            parts.append((row, column, bits[row, column]))
        count_K = np.array([len(part[0]) for part in parts], np.int64)
        start_K = np.cumsum(count_K) - count_K
        row, column, value = (np.concatenate(column) for column in zip(*parts, strict=True))
        return InkedPixels(count_K, start_K, row, column, value)
