"""Scanning: pages of every style the tower knows, read aloud at its speed.

The style of a page is not told; it is the one whose code the tower speaks most clearly. Where it
speaks none clearly the page is of a style that nobody taught it, and is refused: small networks
read strange pages wrongly and do not notice.

Shape key: B pages, H W page pixels, T visual tokens.
"""

import importlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from glyph.errors import ReaderError
from glyph.pages import Page
from glyph.readers.nano.glyphs import GlyphHead, SlotReading, transcript_of
from glyph.readers.nano.spec import CELL_PX, NanoSpec, NanoStyle
from glyph.readers.protocol import ReadLine, Transcript

CODES = "glyphs.safetensors"
TOKENS_AT_ONCE = 4 * 192
"""Visual tokens that are encoded at once; what bounds memory."""

WHITE = 255
ADVICE = "Render with --preset nano or nano-dense, or use --reader ocr."

MAX_KEPT_TOKENS = 40_000
"""Visual tokens of pages that are remembered, 40 MB of them: some 200 pages."""

LEAST_CONFIDENCE = 0.94
"""Mean probability over the slots of a page: 0.96 and up in styles that were trained, 0.91 and
below in all others (measured on prose, random strings and pages of one line)."""

LEAST_OF_BELIEVED = 0.85
"""For later pages of a document whose first pages were of the style: a last page of a few letters
says little."""


class Encoder(Protocol):
    """Anything that turns pages into visual tokens."""

    def encode(self, plane_BHW: UInt8[np.ndarray, "B H W"]) -> Float32[np.ndarray, "B T D"]:
        """Return the visual tokens of grey pages of one size, row by row."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A page as read.

    Attributes:
        style: Whose code the page speaks.
        transcript: Its lines.
        reading: Its slots.
        token_TD: Its visual tokens, row by row.
        is_trained_size: The language model knows pages of this size.
    """

    style: NanoStyle
    transcript: Transcript
    reading: SlotReading
    token_TD: Float32[np.ndarray, "T D"]
    is_trained_size: bool

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of visual tokens."""
        return int(self.reading.id_RCK.shape[0]), int(self.reading.id_RCK.shape[1])

    @property
    def num_lines(self) -> int:
        """Places for text lines."""
        return self.grid[0] * self.style.lines_per_token

    def line(self, number: int) -> ReadLine:
        """Return text line `number`, from 1 and blank ones counted; "" where it is blank."""
        pitch_px = CELL_PX / self.style.lines_per_token
        for line in self.transcript.lines:
            if line.box is not None and round(line.box.top_px / pitch_px) == number - 1:
                return line
        return ReadLine("", None, None)


def load_heads(folder: Path, spec: NanoSpec) -> list[GlyphHead]:
    """Return the glyph heads of a model folder.

    Raises:
        ReaderError: The folder has no codes.
    """
    safetensors: Any = importlib.import_module("safetensors.numpy")
    path = folder / CODES
    if not path.is_file():
        raise ReaderError(
            f"{folder} is not a whole nano model ({CODES} is missing); write it again with "
            "python -m glyph.train.nano.export."
        )
    words: dict[str, Any] = safetensors.load_file(path)
    return [GlyphHead(spec.style(name), words[name]) for name in sorted(words)]


class Scanner:
    """Reads pages aloud.

    Args:
        encoder: The vision tower.
        heads: Of the styles it knows.
        page_sizes_px: Width and height of the pages it was trained on. A page is filled up with
            white to the smallest that holds it, since rows are told by the height of the page.
    """

    def __init__(
        self,
        encoder: Encoder,
        heads: Sequence[GlyphHead],
        page_sizes_px: Sequence[tuple[int, int]] = (),
    ):
        self._encoder = encoder
        self.heads = tuple(heads)
        self._kept: OrderedDict[str, Scan] = OrderedDict()
        self._num_kept = 0
        self._sizes_px = sorted(page_sizes_px, key=lambda size: size[0] * size[1])

    def scan(self, pages: Sequence[Page]) -> Iterator[list[Scan]]:
        """Yield pages as read, in order, in groups that were encoded at once.

        Raises:
            ReaderError: A page is off the grid, or of a style that was never taught.
        """
        seen: set[str] = set()
        for group in _groups(pages):
            kept = [self._kept.get(page.digest) for page in group]
            known = [scan for scan in kept if scan is not None]
            if len(known) < len(group):
                known = self._encode(group, seen)
                self._keep(group, known)
            seen |= {scan.style.name for scan in known}
            yield known

    def _encode(self, group: Sequence[Page], seen: set[str]) -> list[Scan]:
        """Return pages as read; styles seen before in a document are believed more easily."""
        planes = [self._filled(page) for page in group]
        plane_BHW = np.stack([plane_HW for plane_HW, _ in planes])
        scans: list[Scan] = []
        for page, token_TD, (plane_HW, fits) in zip(
            group, self._encoder.encode(plane_BHW), planes, strict=True
        ):
            believed = seen | {scan.style.name for scan in scans}
            scans.append(self._read(page, token_TD, inked_cells(plane_HW), fits, believed))
        return scans

    def _keep(self, group: Sequence[Page], scans: Sequence[Scan]) -> None:
        """Remember pages for the next question; the oldest give way."""
        for page, scan in zip(group, scans, strict=True):
            self._num_kept += 0 if page.digest in self._kept else len(scan.token_TD)
            self._kept[page.digest] = scan
        while self._num_kept > MAX_KEPT_TOKENS:
            _, oldest = self._kept.popitem(last=False)
            self._num_kept -= len(oldest.token_TD)

    def _filled(self, page: Page) -> tuple[UInt8[np.ndarray, "H W"], bool]:
        """Return a page's pixels on the smallest trained size, and whether there is one."""
        width, height = page.width_px, page.height_px
        fitting = (size for size in self._sizes_px if size[0] >= width and size[1] >= height)
        size = next(fitting, None)
        gray_HW = page.gray()
        if size is None:
            return gray_HW, False
        plane_HW = np.full((size[1], size[0]), WHITE, np.uint8)
        plane_HW[:height, :width] = gray_HW
        return plane_HW, True

    def _read(
        self,
        page: Page,
        token_TD: Float32[np.ndarray, "T D"],
        is_inked_RC: Bool[np.ndarray, "R C"],
        is_trained_size: bool,
        believed: set[str],
    ) -> Scan:
        readings = [
            _on_ink(head.read(token_TD, *is_inked_RC.shape), is_inked_RC) for head in self.heads
        ]
        sure, best = max((confidence_on(r, is_inked_RC), -k) for k, r in enumerate(readings))
        reading, style = readings[-best], self.heads[-best].style
        least = LEAST_OF_BELIEVED if style.name in believed else LEAST_CONFIDENCE
        if sure < least:
            known = ", ".join(f"{head.style.name} ({head.style.about})" for head in self.heads)
            raise ReaderError(
                f"page {page.index + 1} is of a style the nano reader never learned (it is "
                f"{sure:.0%} sure of its letters); it reads styles {known}. "
                f"{ADVICE}"
            )
        transcript = transcript_of(reading, style)
        return Scan(style, transcript, reading, token_TD, is_trained_size)


def inked_cells(plane_HW: UInt8[np.ndarray, "H W"]) -> Bool[np.ndarray, "R C"]:
    """Return which cells of a page hold anything that differs from its paper."""
    rows, cols = plane_HW.shape[0] // CELL_PX, plane_HW.shape[1] // CELL_PX
    cells = plane_HW.reshape(rows, CELL_PX, cols, CELL_PX)
    return cells.max((1, 3)) > cells.min((1, 3))


def _on_ink(reading: SlotReading, is_inked_RC: Bool[np.ndarray, "R C"]) -> SlotReading:
    """Return a reading in which cells of nothing but paper hold no character, for sure."""
    mask_RC1 = is_inked_RC[:, :, None]
    return SlotReading(
        np.where(mask_RC1, reading.id_RCK, 0).astype(np.uint8),
        np.where(mask_RC1, reading.sure_RCK, 1).astype(np.float32),
    )


def confidence_on(reading: SlotReading, is_inked_RC: Bool[np.ndarray, "R C"]) -> float:
    """Return the mean probability over the slots of cells with ink; 1 on an empty page."""
    return float(reading.sure_RCK[is_inked_RC].mean()) if is_inked_RC.any() else 1.0


def _groups(pages: Sequence[Page]) -> Iterator[list[Page]]:
    """Yield pages of one size, as many as may be encoded at once."""
    for (height_px, width_px), alike in groupby(pages, key=lambda page: page.plane_HW.shape):
        if height_px % CELL_PX or width_px % CELL_PX:
            raise ReaderError(
                f"a page of {width_px}x{height_px} px is not on the grid of visual tokens; the "
                f"nano reader takes sides that are multiples of {CELL_PX} px. {ADVICE}"
            )
        most = max(TOKENS_AT_ONCE * CELL_PX**2 // (height_px * width_px), 1)
        group: list[Page] = []
        for page in alike:
            group.append(page)
            if len(group) == most:
                yield group
                group = []
        if group:
            yield group
