"""The frozen specification: vocabulary, network and page styles, read from `nano.toml`.

Pages, oracle codes, vision tower and language model all take their numbers from here, so that
they agree. A visual token covers a cell of 28x28 px. A style divides it into slots, line by line
and from left to right within a line; a character belongs to the slot that holds the centre of its
box.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from jaxtyping import UInt8

from glyph.config import RenderConfig
from glyph.errors import ConfigError, nearest

PATCH_PX = 14
CELL_PX = 28
"""Side of a visual token: two patches."""

NUM_SPECIALS = 32
OTHER_ID = 127
"""Any character outside printable ASCII."""


@dataclass(frozen=True, slots=True)
class NanoStyle:
    """How text stands on a page, and how a visual token is divided into slots.

    Attributes:
        name: Key in `nano.toml`.
        about: One line for people.
        font_family: Family name.
        font_size_pt: Em size; pages have 72 dpi, so points are pixels.
        horizontal_scale: Makes the advance exactly `advance_px` in a mono style.
        line_height_pt: Line pitch; a whole number of lines fills a cell.
        advance_px: Width of every character, or 0 in a proportional style.
        lines_per_token: Lines in a cell.
        bins_per_token: Places for characters in one line of a cell.
        newline_marker: Shown for a line end, text flowing on behind it; "" breaks the line.
    """

    name: str
    about: str
    font_family: str
    font_size_pt: float
    horizontal_scale: float
    line_height_pt: float
    advance_px: float
    lines_per_token: int
    bins_per_token: int
    newline_marker: str = ""

    @property
    def num_slots(self) -> int:
        """Slots of a visual token."""
        return self.lines_per_token * self.bins_per_token

    def config(self, width_px: int, height_px: int) -> RenderConfig:
        """Return the render config of pages of this size; nothing is cropped.

        Args:
            width_px: Page width, a multiple of 28.
            height_px: Page height, a multiple of 28.
        """
        if width_px % CELL_PX or height_px % CELL_PX or min(width_px, height_px) < CELL_PX:
            raise ConfigError(
                f"page of {width_px}x{height_px} px is not on the grid of visual tokens; "
                f"give sides that are multiples of {CELL_PX}."
            )
        return RenderConfig(
            dpi=72,
            page_width_pt=width_px,
            page_height_pt=height_px,
            margin_x_pt=0,
            margin_y_pt=0,
            font_family=self.font_family,
            font_size_pt=self.font_size_pt,
            horizontal_scale=self.horizontal_scale,
            line_height_pt=self.line_height_pt,
            newline_marker=self.newline_marker,
            newline_marker_color="#000000",
            crop_width=False,
            crop_last_page=False,
            grid_px=CELL_PX,
        )


@dataclass(frozen=True, slots=True)
class NanoSpec:
    """Everything two people must agree on to build parts of one reader.

    Attributes:
        specials: Names of ids 0..31.
        text: Keyword arguments of the text config.
        vision: Keyword arguments of the vision config.
        styles: Page styles by name.
        page_sizes_px: Width and height of the page sizes in the training mixture.
    """

    specials: tuple[str, ...]
    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    styles: Mapping[str, NanoStyle]
    page_sizes_px: tuple[tuple[int, int], ...]

    def special(self, name: str) -> int:
        """Return the id of a special token.

        Example:
            >>> load_spec().special("EOS")
            2
        """
        if name not in self.specials:
            raise ConfigError(
                f"unknown special token '{name}'; did you mean "
                f"{nearest(name, self.specials) or 'one of ' + ', '.join(self.specials)}?"
            )
        return self.specials.index(name)

    def style(self, name: str) -> NanoStyle:
        """Return the style of a name."""
        if name not in self.styles:
            raise ConfigError(
                f"unknown nano style '{name}'; styles: {', '.join(sorted(self.styles))}."
            )
        return self.styles[name]


@cache
def load_spec() -> NanoSpec:
    """Return the specification that comes with the package.

    Example:
        >>> load_spec().style("A").num_slots
        12
    """
    source = resources.files("glyph.readers.nano") / "nano.toml"
    tables = tomllib.loads(source.read_text("utf-8"))
    specials = tuple(tables["vocabulary"]["specials"])
    assert len(specials) == len(set(specials)) == NUM_SPECIALS
    styles = {name: NanoStyle(name=name, **table) for name, table in tables["styles"].items()}
    sizes = tuple((int(width), int(height)) for width, height in tables["page_sizes_px"])
    return NanoSpec(specials, tables["text"], tables["vision"], styles, sizes)


READ_AS = {
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u2032": "'",
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2033": '"', "\u00ab": '"', "\u00bb": '"',
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
    "\u2026": ".", "\u2022": "*", "\u00d7": "x", "\u00a0": " ", "\u2009": " ",
}  # fmt: skip
"""Typographic signs, which are read as their nearest printable ASCII."""

_FROM, _TO = np.array([[ord(sign), ord(char)] for sign, char in sorted(READ_AS.items())]).T


def char_ids(text: str) -> UInt8[np.ndarray, " N"]:
    """Return the vocabulary id of each character; a line feed becomes NL.

    Typographic quotes, dashes and blanks have the id of their ASCII form.

    Example:
        >>> char_ids("a~\\né").tolist()
        [97, 126, 9, 127]
    """
    codepoints_N = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    is_signs_N = codepoints_N > OTHER_ID
    if is_signs_N.any():
        codepoints_N = codepoints_N.copy()
        odd_S = codepoints_N[is_signs_N]
        at_S = np.clip(np.searchsorted(_FROM, odd_S), 0, len(_FROM) - 1)
        codepoints_N[is_signs_N] = np.where(_FROM[at_S] == odd_S, _TO[at_S], odd_S)
    is_plain_N = (codepoints_N >= NUM_SPECIALS) & (codepoints_N < OTHER_ID)
    ids_N = np.where(is_plain_N, codepoints_N, OTHER_ID).astype(np.uint8)
    ids_N[codepoints_N == ord("\n")] = load_spec().special("NL")
    return ids_N


def chars_of(ids: "list[int] | UInt8[np.ndarray, ' N']", other: str = "\ufffd") -> str:
    """Return the text of vocabulary ids; specials other than NL are left out.

    Args:
        ids: Vocabulary ids.
        other: What stands for id 127.
    """
    newline = load_spec().special("NL")
    parts: list[str] = []
    for token in map(int, ids):
        if token == newline:
            parts.append("\n")
        elif token == OTHER_ID:
            parts.append(other)
        elif token >= NUM_SPECIALS:
            parts.append(chr(token))
    return "".join(parts)
