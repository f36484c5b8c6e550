"""The atlas: every glyph a document needs, rastered once and drawn many times.

A slot is one glyph of one face. It has an advance and four bitmaps, one for each quarter of a
pixel its pen may stand on; wide East Asian glyphs have one, since their advance is whole at most
sizes and their strokes are dense. `Atlas.slots_of` maps code points to slots through a flat
table, so that a million characters cost a few milliseconds. One atlas may serve many documents and
threads: slots are only ever added, under a lock.

A character no font has becomes a visible box with its code point, and is remembered in `missing`.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Self, TypeVar

import numpy as np
from jaxtyping import Int32, UInt32

from glyph.bitmaps import EMPTY, PHASES, Bitmap, BitmapStore
from glyph.config import RenderConfig
from glyph.fonts import Face, fallback_chain, find_font
from glyph.kernel import look_up
from glyph.pages import SUBPIXELS

T = TypeVar("T")

MAX_PHASED_EM_PX = 48
"""Above this size a quarter of a pixel cannot be seen, and one phase saves memory."""

BLANK_ADVANCES_EM = {
    0x2000: 0.5, 0x2001: 1.0, 0x2002: 0.5, 0x2003: 1.0, 0x2004: 1 / 3, 0x2005: 0.25,
    0x2006: 1 / 6, 0x2007: 0.55, 0x2008: 0.25, 0x2009: 0.2, 0x200A: 0.1, 0x202F: 0.2,
    0x205F: 0.22, 0x3000: 1.0,
}  # fmt: skip
"""Widths of blanks that fonts may lack (Unicode 15, chapter 6.2)."""


@dataclass(frozen=True, slots=True)
class Typeface:
    """All that decides what a glyph looks like; configs that agree on it share an atlas."""

    family: str
    bold: bool
    italic: bool
    size_px: float
    horizontal_scale: float

    @classmethod
    def of(cls, config: RenderConfig) -> Self:
        """Return the typeface of a config."""
        size_px, scale = config.font_size_px, config.horizontal_scale
        return cls(config.font_family, config.bold, config.italic, size_px, scale)


class Atlas:
    """Slots of one typeface and its fallback fonts.

    Attributes:
        bitmaps: What the slots look like.
        missing: Code points asked for so far that no font has.
    """

    def __init__(self, typeface: Typeface, *, levels: int):
        """Load the font; those of the fallback chain are opened when first needed.

        Args:
            typeface: Family, style and size.
            levels: Coverage levels kept: 256, or 16 for pages of several inks.
        """
        self._typeface = typeface
        self._families = fallback_chain(typeface.family)
        self._faces: list[Face | None] = [None] * len(self._families)
        self._slot_of_glyph: dict[tuple[int, int], int] = {}
        self._slot_of_text: dict[str, int] = {}
        self._slot_of_cp = np.full(0x110000, -1, np.int32)
        self._face_of_slot: list[int] = []
        self._advances = np.zeros(256, np.int32)
        self._lock = threading.RLock()
        self._local = threading.local()
        self.bitmaps = BitmapStore(levels)
        self.missing: set[int] = set()
        self.is_missing = np.zeros(0x110000, np.bool_)
        self.blank_slot = self._new_slot(0, 0, None)

    # -- what layout asks --------------------------------------------------------------------

    @property
    def primary(self) -> Face:
        """The face of the config's own font."""
        return self.face(0)

    def face(self, index: int) -> Face:
        """Return a face of the fallback chain, opening it when first needed."""
        face = self._faces[index]
        if face is None:
            family = self._families[index]
            face = self._faces[index] = _open(self._typeface, family, is_fallback=index > 0)
        return face

    @property
    def advance64(self) -> Int32[np.ndarray, " S"]:
        """Advance of each slot, in 1/64 px, without letter spacing."""
        return self._advances[: self.bitmaps.num_slots]

    def slots_of(self, codepoints_N: UInt32[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
        """Return the slot of each code point, making those that are new."""
        slots_N = look_up(self._slot_of_cp, codepoints_N)
        if len(slots_N) and slots_N.min() < 0:
            with self._lock:
                for codepoint in np.unique(codepoints_N[slots_N < 0]).tolist():
                    if self._slot_of_cp[codepoint] < 0:
                        self._slot_of_cp[codepoint] = self._make(codepoint)
            slots_N = look_up(self._slot_of_cp, codepoints_N)
        return slots_N

    def faces_of(self, codepoints_N: UInt32[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
        """Return the index of the face that draws each code point; the slots must exist."""
        return np.array(self._face_of_slot, np.int32)[self._slot_of_cp[codepoints_N]]

    def draws(self, face_index: int, codepoint: int) -> bool:
        """Whether a face has a code point, or need not have it since it is invisible."""
        return _is_invisible(codepoint) or self.face(face_index).glyph_of(codepoint) != 0

    def run_store(self, make: Callable[[], T]) -> T:
        """Return what shaping remembers of this typeface, one for each thread."""
        store = getattr(self._local, "runs", None)
        if store is None:
            store = self._local.runs = make()
        return store

    def slot_of(self, char: str) -> int:
        """Return the slot of one character."""
        return int(self.slots_of(np.array([ord(char)], np.uint32))[0])

    def slot_of_glyph(self, face_index: int, glyph: int) -> int:
        """Return the slot of a glyph that shaping chose."""
        slot = self._slot_of_glyph.get((face_index, glyph))
        if slot is None:
            with self._lock:
                advance64 = self.face(face_index).advance64(glyph)
                slot = self._new_slot(advance64, face_index, [(glyph, 0.0)])
                self._slot_of_glyph[face_index, glyph] = slot
        return slot

    def slot_of_text(self, text: str) -> int:
        """Return one slot that shows a short text, such as a newline marker."""
        if text not in self._slot_of_text:
            indices = range(len(self._families))
            has_all = (i for i in indices if all(self.draws(i, ord(char)) for char in text))
            face_index = next(has_all, 0)
            face = self.face(face_index)
            glyphs: list[tuple[int, float]] = []
            x64 = 0
            for char in text:
                glyph = face.glyph_of(ord(char))
                glyphs.append((glyph, x64 / SUBPIXELS))
                x64 += face.advance64(glyph)
            with self._lock:
                self._slot_of_text[text] = self._new_slot(x64, face_index, glyphs)
        return self._slot_of_text[text]

    # -- making slots ------------------------------------------------------------------------

    def _make(self, codepoint: int) -> int:
        if _is_invisible(codepoint):
            return self.blank_slot
        found = self._find(codepoint)
        if found:
            return self.slot_of_glyph(*found)
        if codepoint in BLANK_ADVANCES_EM:
            advance64 = round(BLANK_ADVANCES_EM[codepoint] * self.primary.em64)
            return self._new_slot(advance64, 0, None)
        if codepoint == 0xA0:
            return self.slot_of(" ")
        self.missing.add(codepoint)
        self.is_missing[codepoint] = True
        return self._missing_slot(codepoint)

    def _find(self, codepoint: int) -> tuple[int, int] | None:
        for index in range(len(self._families)):
            glyph = self.face(index).glyph_of(codepoint)
            if glyph:
                return index, glyph
        return None

    def _missing_slot(self, codepoint: int) -> int:
        """Make a box that shows the code point in hexadecimal digits."""
        scale = 0.62
        x64 = round(0.12 * self.primary.em64)
        glyphs: list[tuple[int, float]] = []
        for digit in f"{codepoint:04X}":
            glyph = self.primary.glyph_of(ord(digit))
            glyphs.append((glyph, x64 / SUBPIXELS))
            x64 += round(self.primary.advance64(glyph) * scale)
        advance64 = x64 + round(0.2 * self.primary.em64)
        digits = self.primary.bitmap(glyphs, 0.0, scale) if glyphs else None
        return self._add(advance64, 0, [_boxed(digits, advance64, self.primary.em64)])

    def _new_slot(
        self, advance64: int, face_index: int, glyphs: list[tuple[int, float]] | None
    ) -> int:
        if glyphs is None:
            return self._add(advance64, face_index, [EMPTY])
        face = self.face(face_index)
        one_phase = face.em64 > MAX_PHASED_EM_PX * SUBPIXELS or (
            len(glyphs) == 1 and 20 * advance64 >= 19 * face.em64 and face_index > 0
        )
        shifts = [0.0] if one_phase else [phase / PHASES for phase in range(PHASES)]
        return self._add(advance64, face_index, [face.bitmap(glyphs, s) for s in shifts])

    def _add(self, advance64: int, face_index: int, bitmaps: list[Bitmap]) -> int:
        slot = self.bitmaps.num_slots
        if slot == len(self._advances):
            self._advances = np.resize(self._advances, 2 * slot)
        self._advances[slot] = advance64
        self._face_of_slot.append(face_index)
        return self.bitmaps.add(bitmaps)


@lru_cache(maxsize=8)
def shared_atlas(typeface: Typeface, levels: int) -> Atlas:
    """Return the atlas of a typeface, kept warm between documents."""
    return Atlas(typeface, levels=levels)


def _open(typeface: Typeface, family: str, *, is_fallback: bool) -> Face:
    # Scripts of the fallback fonts have no italics; slanting them only costs legibility.
    italic = typeface.italic and not is_fallback
    file = find_font(family, bold=typeface.bold, italic=italic)
    return Face(file, typeface.size_px, typeface.horizontal_scale)


def _is_invisible(codepoint: int) -> bool:
    """Whether a character has no shape of its own: line breaks, joiners, marks of direction."""
    return (
        codepoint in _INVISIBLE
        or 0xFE00 <= codepoint <= 0xFE0F
        or 0xE0000 <= codepoint <= 0xE0FFF
        or 0x2060 <= codepoint <= 0x206F
    )


_INVISIBLE = frozenset(
    [0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0xAD, 0x34F, 0x61C, 0x180E, 0xFEFF, 0x2028, 0x2029]
) | frozenset([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x180B, 0x1810)])


def _boxed(digits: Bitmap | None, advance64: int, em64: int) -> Bitmap:
    rows = max(round(0.78 * em64 / SUBPIXELS), 5)
    width = max(advance64 // SUBPIXELS - 1, 4)
    box = np.zeros((rows, width), np.uint8)
    box[[0, -1], :] = 255
    box[:, [0, -1]] = 255
    if digits is not None and digits.coverage.size:
        ink = digits.coverage
        height = min(ink.shape[0], rows)
        top = (rows - height) // 2
        columns = min(ink.shape[1], width - max(digits.left_px, 0))
        left = max(digits.left_px, 0)
        area = box[top : top + height, left : left + columns]
        np.maximum(area, ink[:height, :columns], out=area)
    return Bitmap(box, 0, rows)


def codepoints_of(text: str) -> UInt32[np.ndarray, " N"]:
    """Return a text's code points; lone surrogates pass through.

    Example:
        >>> codepoints_of("aß").tolist()
        [97, 223]
    """
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
