"""How well a vision tower reads: pages of held-out text, what the token head says of them.

Lines are compared with lines in the same place, so that a wrong character costs one edit and
never shifts what follows.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from transformers.models.glm4v.modeling_glm4v import Glm4vVisionModel

from glyph.readers.nano.spec import CELL_PX, NanoStyle, load_spec
from glyph.train.nano.corpus import TextMixture, book_mixture, random_mixture
from glyph.train.nano.pages import LabelledPages, chars_per_page, read_slots, render_labelled
from glyph.train.nano.vision import CharHeads, encode_pages, slot_of

EVAL_SEED = 977
WHITE = 255
SHORT_SHARE = 0.3
"""Share of pages that end early, as last pages do; on full pages alone a tower learns to lean on
what stands around a line."""


def sample_pages(
    mixture: TextMixture,
    rng: np.random.Generator,
    style: NanoStyle,
    size_px: tuple[int, int],
    num_pages: int,
) -> LabelledPages:
    """Render pages of fresh text.

    Where line ends are shown as marks, marks are made as frequent as other characters: prose has
    few, and a mark that is read as a letter spoils two words.
    """
    width_px, height_px = size_px
    text = mixture.sample(rng, num_pages * chars_per_page(style, width_px, height_px))
    if style.newline_marker:
        text = with_line_ends(rng, text)
    pages = render_labelled(text, style, width_px, height_px, num_pages=num_pages)
    for page in np.flatnonzero(rng.random(num_pages) < SHORT_SHARE):
        row = int(rng.integers(1, height_px // CELL_PX + 1))
        pages.plane_PHW[page, row * CELL_PX :] = WHITE
        pages.slot_PRCK[page, row:] = 0
    return pages


def with_line_ends(rng: np.random.Generator, text: str) -> str:
    """Return a text in which some blanks are line ends, now and then two in a row."""
    pieces = text.split(" ")
    kinds = rng.choice(3, len(pieces), p=(0.9, 0.06, 0.04))
    ends = np.array([" ", "\n", "\n\n"])[kinds].tolist()
    return "".join(piece + end for piece, end in zip(pieces, ends, strict=True))


def edit_distance(one: str, other: str) -> int:
    """Return the Levenshtein distance of two strings.

    Example:
        >>> edit_distance("kitten", "sitting")
        3
    """
    other_N = np.array([ord(c) for c in other])
    steps_N = np.arange(len(other) + 1)
    row_N = steps_N.copy()
    for index, char in enumerate(one):
        swapped_N = np.minimum(row_N[1:] + 1, row_N[:-1] + (other_N != ord(char)))
        best_N = np.concatenate(([index + 1], swapped_N))
        # An insertion costs one a step, so the best start is a running minimum.
        row_N = np.minimum.accumulate(best_N - steps_N) + steps_N
    return int(row_N[-1])


@dataclass(frozen=True, slots=True)
class CharacterErrors:
    """Edit distance of read lines to true lines, summed.

    Attributes:
        edits: Insertions, deletions and replacements.
        chars: Characters of the true lines.
        pages: Pages read.
    """

    edits: int
    chars: int
    pages: int

    @property
    def rate(self) -> float:
        """Edits for each true character."""
        return self.edits / max(self.chars, 1)


@torch.no_grad()
def read_pages(
    tower: Glm4vVisionModel,
    heads: CharHeads,
    plane_BHW: UInt8[np.ndarray, "B H W"],
) -> list[list[str]]:
    """Return the lines of each page as the token head reads them."""
    rows, cols = plane_BHW.shape[1] // CELL_PX, plane_BHW.shape[2] // CELL_PX
    classes = heads.token_logits(encode_pages(tower, plane_BHW)).argmax(-1)
    slot_BRCK = slot_of(classes).reshape(len(plane_BHW), rows, cols, -1)
    return [read_slots(slot_RCK, heads.style) for slot_RCK in slot_BRCK]


def character_errors(
    tower: Glm4vVisionModel, heads: CharHeads, pages: LabelledPages, batch_tokens: int = 192
) -> CharacterErrors:
    """Return how well the token head reads pages, line by line."""
    height_px, width_px = pages.plane_PHW.shape[1:]
    batch = max(batch_tokens * CELL_PX**2 // (width_px * height_px), 1)
    edits = chars = 0
    for start in range(0, len(pages.plane_PHW), batch):
        part = slice(start, start + batch)
        read = read_pages(tower, heads, pages.plane_PHW[part])
        for lines, slot_RCK in zip(read, pages.slot_PRCK[part], strict=True):
            for line, truth in zip(lines, read_slots(slot_RCK, pages.style), strict=True):
                edits += 0 if line == truth else edit_distance(line, truth)
                chars += len(truth)
    return CharacterErrors(edits, chars, len(pages.plane_PHW))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Pages of text that training never sees.

    Attributes:
        name: Style, text and page size.
        pages: The pages.
    """

    name: str
    pages: LabelledPages


def held_out_pages(
    books: Path, styles: tuple[str, ...], size_px: tuple[int, int], num_pages: int, seed: int
) -> list[HeldOut]:
    """Return pages of prose from held-out books and of random strings, for each style."""
    spec = load_spec()
    texts = {"prose": book_mixture(books), "random": random_mixture()}
    found: list[HeldOut] = []
    for name in styles:
        for kind, mixture in texts.items():
            rng = np.random.default_rng([EVAL_SEED, seed])
            pages = sample_pages(mixture, rng, spec.style(name), size_px, num_pages)
            found.append(HeldOut(f"{name}-{kind}-{size_px[0]}x{size_px[1]}", pages))
    return found
