"""What a set of weights can read and answer, and how pages of its style are told from others.

Shape key: H W page pixels.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from glyph.errors import ReaderError
from glyph.readers.nano.spec import CELL_PX, NanoSpec, NanoStyle

TASKS = ("lookup", "needle", "line", "read", "quote", "present")
"""What a checkpoint may be trained to answer; see `prompts`."""

NO_INK = 0.001
MAX_BETWEEN = 0.08
"""Share of ink between lines: 0.00 in prose, 0.05 in nothing but accents, 0.14 and up elsewhere."""

MIN_UNEVENNESS = 0.06
"""Distance of the ink by column from an even one: 0.2 in prose of the style, 0.02 elsewhere."""

MIN_INK_PX = 1_500

Ink = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class ReaderCard:
    """The file `reader.json` of a model folder.

    Attributes:
        style: Page style of `nano.toml`.
        preset: Preset that makes such pages.
        page_sizes_px: Width and height of the page sizes trained on.
        tasks: What may be asked, of TASKS.
        spec_digest: Of the specification the weights belong to.
        ink: Share of ink by row of a visual token, and by column of a character cell.
    """

    style: str
    preset: str
    page_sizes_px: tuple[tuple[int, int], ...]
    tasks: tuple[str, ...]
    spec_digest: str
    ink: Ink

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read_card(folder: Path, spec: NanoSpec) -> ReaderCard:
    """Return the card of a model folder.

    Raises:
        ReaderError: The folder holds no model, or one of another specification.
    """
    path = folder / "reader.json"
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
        card = ReaderCard(
            style=str(values["style"]),
            preset=str(values["preset"]),
            page_sizes_px=tuple((int(w), int(h)) for w, h in values["page_sizes_px"]),
            tasks=tuple(map(str, values["tasks"])),
            spec_digest=str(values["spec_digest"]),
            ink=(tuple(values["ink"][0]), tuple(values["ink"][1])),
        )
    except FileNotFoundError:
        raise ReaderError(
            f"{folder} holds no nano model (no reader.json); train one with "
            "python -m glyph.train.nano, or give the folder of another as nano:FOLDER."
        ) from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise ReaderError(f"{path} is damaged; write the model folder again.") from None
    if card.spec_digest != spec_digest(spec, card.style):
        raise ReaderError(
            f"the model in {folder} was made for another nano.toml; use the version of the package "
            "it came with, or train and export it again."
        )
    return card


def spec_digest(spec: NanoSpec, style: str) -> str:
    """Return the digest of everything that weights depend on; comments do not count."""
    values = {
        "specials": spec.specials,
        "text": dict(spec.text),
        "vision": dict(spec.vision),
        "style": {k: v for k, v in asdict(spec.style(style)).items() if k != "about"},
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def style_ink(gray_HW: UInt8[np.ndarray, "H W"], style: NanoStyle) -> Ink:
    """Return how a page's ink falls on the grid of visual tokens and of characters.

    Rows are counted within a visual token; columns within the advance of a monospaced style, or
    not at all in a proportional one.

    Args:
        gray_HW: Dark letters on white.
        style: Whose grid.
    """
    ink_HW = 255.0 - gray_HW
    total = max(float(ink_HW.sum()), 1.0)
    row_H, col_W = ink_HW.sum(1), ink_HW.sum(0)
    by_row = np.bincount(np.arange(len(row_H)) % CELL_PX, row_H, CELL_PX) / total
    advance = style.advance_px or 1
    by_col = np.bincount(np.arange(len(col_W)) % advance, col_W, advance) / total
    return tuple(np.round(by_row, 5).tolist()), tuple(np.round(by_col, 5).tolist())


def is_of_style(gray_HW: UInt8[np.ndarray, "H W"], style: NanoStyle, ink: Ink) -> bool:
    """Whether a page may be of a style, by where its ink falls; the text itself plays no part.

    Lines of another pitch put ink between the lines of this one; letters of another advance
    spread it evenly over the columns. Pages with hardly any ink pass.

    Args:
        gray_HW: The page.
        style: The style.
        ink: Of a page of that style, from `style_ink`.
    """
    row_ink, col_ink = map(np.array, style_ink(gray_HW, style))
    between = row_ink[np.array(ink[0]) < NO_INK].sum()
    is_dark = float(gray_HW.mean()) < 127.5
    amount = float((255 - gray_HW.astype(np.int64)).sum()) / 255
    evenness = np.abs(col_ink - 1 / len(col_ink)).sum() / 2
    is_even = style.advance_px > 0 and amount > MIN_INK_PX and evenness < MIN_UNEVENNESS
    return not is_dark and between <= MAX_BETWEEN and not is_even
