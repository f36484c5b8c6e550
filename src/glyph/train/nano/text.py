"""The same tasks on text tokens: the baseline for what pages cost and what they lose.

One backbone, one trainer, the same pages, questions and steps; only that a page stands in front of
its questions as characters and line feeds, one token each, instead of as visual tokens.

    python -m glyph.train.nano.text RUN_FOLDER --novels FOLDER --settings text.toml

Shape key: B rows, P positions of a page with BOI and EOI.
"""

# torch declares its types in part only.
# pyright: reportUnknownMemberType=false

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glyph.readers.nano.spec import NanoStyle, char_ids, load_spec
from glyph.train.nano.corpus import training_mixture
from glyph.train.nano.language import LanguageTrainer
from glyph.train.nano.oracle import MonoGrid
from glyph.train.nano.packing import Batch, pack_rows
from glyph.train.nano.settings import LanguageSettings, read_settings
from glyph.train.nano.structure import plain_init
from glyph.train.nano.tasks import TaskPage


@dataclass(frozen=True, slots=True)
class TextPlaces:
    """Where each character of a page stands among its text tokens.

    Attributes:
        starts: Index of the first token of each line.
    """

    starts: tuple[int, ...]

    @property
    def lines_per_token(self) -> int:
        """A token belongs to one line."""
        return 1

    def token(self, line: int, column: int) -> int:
        """Return the index of a character; behind the last of a line stands its line feed."""
        return self.starts[line] + column

    def slot(self, line: int, column: int) -> int:
        """A text token is one character."""
        return 0

    def key_token(self, line: int, column: int, size: int) -> int:
        """Return the last character of a key, the first that has seen the whole of it."""
        return self.token(line, column + size - 1)


def text_places(lines: Sequence[str]) -> TextPlaces:
    """Return the places of lines joined by line feeds.

    Example:
        >>> text_places(["ab", "c"]).token(1, 0)
        3
    """
    ends = np.cumsum([len(line) + 1 for line in lines])
    return TextPlaces((0, *ends[:-1].tolist()))


def pack_text(pages: Sequence[TaskPage]) -> Batch:
    """Return the batch of pages as text, one row each.

    Args:
        pages: Pages with at least one query each.
    """
    special = load_spec().special
    texts = [char_ids("".join(line + "\n" for line in page.lines)) for page in pages]
    longest = max(map(len, texts))
    token_BT = np.full((len(pages), longest), special("PAD"))
    for row, ids in enumerate(texts):
        token_BT[row, : len(ids)] = ids
    edge_B1 = np.ones((len(pages), 1), np.int64)
    prefix_BP = np.concatenate([edge_B1 * special("BOI"), token_BT, edge_B1 * special("EOI")], 1)
    position_3P = np.tile(np.arange(longest + 2), (3, 1))
    slot_BRCK = token_BT.astype(np.uint8)[:, None, :, None]
    places = [text_places(page.lines) for page in pages]
    return pack_rows(pages, prefix_BP, position_3P, slot_BRCK, places)


class TextTrainer(LanguageTrainer):
    """Trains the language model on text tokens; saves and continues as its base does."""

    def token_style(self, style: NanoStyle) -> NanoStyle:
        """Return a style of one character a token."""
        return dataclasses.replace(style, lines_per_token=1, bins_per_token=1)

    def _first_weights(self) -> None:
        plain_init(self.net, load_spec())

    def pack(self, pages: Sequence[TaskPage], grid: MonoGrid) -> Batch:
        """Return the rows of a step."""
        return pack_text(pages)

    def losses(
        self, _pages: Sequence[TaskPage], _grid: MonoGrid, batch: Batch
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the parts of the loss, and where the next id was predicted right."""
        return self.net.losses(batch, text_embeddings(self, batch))


def text_embeddings(trainer: TextTrainer, batch: Batch) -> Tensor:
    """Return the embeddings of the text tokens of each page."""
    page_ids = batch.ids_BL[:, 1 : 1 + batch.num_visual]
    embedded: Tensor = trainer.net.language.embed_tokens(page_ids)
    return embedded


def main() -> None:
    """Run or continue a training on text tokens from the command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--novels", type=Path)
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    settings = read_settings(given.settings, LanguageSettings)
    TextTrainer(settings, training_mixture(given.novels), given.folder).run(hours=given.hours)


if __name__ == "__main__":
    main()
