"""Scanning: pages of every style the tower knows, read aloud at its speed.

The style of a page is not told; it is the one whose code the tower speaks most clearly. Where it
speaks none clearly the page is of a style that nobody taught it, and is refused: small networks
read strange pages wrongly and do not notice.

Shape key: B pages, H W page pixels, T visual tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from glyph.errors import ReaderError
from glyph.pages import Page
from glyph.readers.nano.glyphs import GlyphHead, SlotReading, transcript_of
from glyph.readers.nano.spec import CELL_PX, NanoSpec, NanoStyle
from glyph.readers.protocol import Transcript

CODES = "glyphs.safetensors"
TOKENS_AT_ONCE = 4 * 192
"""Visual tokens that are encoded at once; what bounds memory."""

LEAST_CONFIDENCE = 0.94
"""Mean probability over the slots of a page: 0.96 and up in styles that were trained, 0.91 and
below in all others (measured on prose, random strings and pages of one line)."""


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
    """

    style: NanoStyle
    transcript: Transcript
    reading: SlotReading

    @property
    def num_tokens(self) -> int:
        """Visual tokens of the page."""
        return int(self.reading.id_RCK.shape[0] * self.reading.id_RCK.shape[1])


def load_heads(folder: Path, spec: NanoSpec) -> list[GlyphHead]:
    """Return the glyph heads of a model folder.

    Raises:
        ReaderError: The folder has no codes.
    """
    from safetensors.numpy import load_file

    path = folder / CODES
    if not path.is_file():
        raise ReaderError(
            f"{folder} is not a whole nano model ({CODES} is missing); write it again with "
            "python -m glyph.train.nano.export."
        )
    words = load_file(path)
    return [GlyphHead(spec.style(name), words[name]) for name in sorted(words)]


class Scanner:
    """Reads pages aloud.

    Args:
        encoder: The vision tower.
        heads: Of the styles it knows.
    """

    def __init__(self, encoder: Encoder, heads: Sequence[GlyphHead]):
        self._encoder = encoder
        self.heads = tuple(heads)

    def scan(self, pages: Sequence[Page]) -> Iterator[Scan]:
        """Yield pages as read, in order.

        Raises:
            ReaderError: A page is off the grid, or of a style that was never taught.
        """
        for group in _groups(pages):
            plane_BHW = np.stack([page.gray() for page in group])
            rows, cols = plane_BHW.shape[1] // CELL_PX, plane_BHW.shape[2] // CELL_PX
            for page, token_TD in zip(group, self._encoder.encode(plane_BHW), strict=True):
                yield self._read(page, token_TD, rows, cols)

    def _read(self, page: Page, token_TD: Float32[np.ndarray, "T D"], rows: int, cols: int) -> Scan:
        readings = [head.read(token_TD, rows, cols) for head in self.heads]
        best = max(range(len(readings)), key=lambda k: readings[k].confidence)
        reading, style = readings[best], self.heads[best].style
        if reading.confidence < LEAST_CONFIDENCE:
            known = ", ".join(f"{head.style.name} ({head.style.about})" for head in self.heads)
            raise ReaderError(
                f"page {page.index + 1} is of a style the nano reader never learned (it is "
                f"{reading.confidence:.0%} sure of its letters); it reads styles {known}. Render "
                "with --preset nano or nano-dense, or use --reader ocr."
            )
        return Scan(style, transcript_of(reading, style), reading)


def _groups(pages: Sequence[Page]) -> Iterator[list[Page]]:
    """Yield pages of one size, as many as may be encoded at once."""
    for (height_px, width_px), alike in groupby(pages, key=lambda page: page.plane_HW.shape):
        if height_px % CELL_PX or width_px % CELL_PX:
            raise ReaderError(
                f"a page of {width_px}x{height_px} px is not on the grid of visual tokens; the "
                f"nano reader takes sides that are multiples of {CELL_PX} px. Render with "
                "--preset nano or nano-dense, or use --reader ocr."
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
