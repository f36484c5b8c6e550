"""Oracle code: what a perfect vision tower would say about each cell of a page.

The embedding of a visual token is the sum of one code per filled slot, a row code, a column code
and a constant flag. Every slot owns its own block of the hidden width and rows, columns and flags
own the rest, so that reading a slot is a projection. A language model learns on these codes
without any pixels; the vision tower is then taught to say the same.

Shape key: B pages, R C rows and columns of visual tokens, K slots of a token, D hidden width,
V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from glyph.errors import ConfigError
from glyph.readers.nano.spec import CELL_PX, NanoStyle, char_ids

VOCABULARY = 128
POSITION_DIMS = 40
ROW_DIMS = 16
COL_DIMS = 14
MAX_ROWS = 32
MAX_COLS = 32
CODE_STD = 1.0
POSITION_STD = 1.0


@dataclass(frozen=True, slots=True)
class MonoGrid:
    """Where character `column` of text line `line` stands on a page of a monospaced style.

    Attributes:
        style: A style with `advance_px` above 0.
        width_px: Page width, a multiple of 28.
        height_px: Page height, a multiple of 28.
    """

    style: NanoStyle
    width_px: int
    height_px: int

    def __post_init__(self):
        if self.style.advance_px == 0:
            raise ConfigError(
                f"style '{self.style.name}' is proportional and its characters have no fixed "
                "places; give a monospaced style (A, D, E) or take labels from rendered pages."
            )

    @property
    def num_rows(self) -> int:
        """Rows of visual tokens."""
        return self.height_px // CELL_PX

    @property
    def num_cols(self) -> int:
        """Columns of visual tokens."""
        return self.width_px // CELL_PX

    @property
    def lines_per_token(self) -> int:
        """Text lines in a visual token."""
        return self.style.lines_per_token

    @property
    def num_tokens(self) -> int:
        """Visual tokens of a page."""
        return self.num_rows * self.num_cols

    @property
    def num_lines(self) -> int:
        """Text lines of a page."""
        return self.num_rows * self.style.lines_per_token

    @property
    def num_columns(self) -> int:
        """Characters of a full line."""
        return int(self.width_px // self.style.advance_px)

    def token(self, line: int, column: int) -> int:
        """Return the index of the visual token, row-major, that holds a character."""
        col = int((2 * column + 1) * self.style.advance_px // (2 * CELL_PX))
        return line // self.style.lines_per_token * self.num_cols + col

    def slot(self, line: int, column: int) -> int:
        """Return the slot of a character within its visual token."""
        style = self.style
        x2_px = (2 * column + 1) * style.advance_px % (2 * CELL_PX)
        return line % style.lines_per_token * style.bins_per_token + (
            int(x2_px * style.bins_per_token // (2 * CELL_PX))
        )

    def key_token(self, line: int, column: int, size: int) -> int:
        """Return the visual token that holds most characters of a key; the first of equals."""
        tokens = [self.token(line, column + k) for k in range(size)]
        return max(tokens, key=lambda token: (tokens.count(token), -token))

    def slots(self, lines: Sequence[str]) -> UInt8[np.ndarray, "R C K"]:
        """Return the table of slots of a page; 0 where a slot is empty.

        Equal to the labels of the rendered page, without rendering it.

        Args:
            lines: Text lines from the top, at most `num_lines` of at most `num_columns`
                characters; blanks at line ends are dropped.
        """
        table_NK = np.zeros((self.num_tokens, self.style.num_slots), np.uint8)
        columns = np.arange(self.num_columns)
        x2_px = (2 * columns + 1) * self.style.advance_px
        col_X = (x2_px // (2 * CELL_PX)).astype(np.int64)
        bin_px = x2_px % (2 * CELL_PX)
        bin_X = (bin_px * self.style.bins_per_token // (2 * CELL_PX)).astype(np.int64)
        for number, line in enumerate(lines):
            ids = char_ids(line.rstrip())
            row, line_in_token = divmod(number, self.style.lines_per_token)
            token_X = row * self.num_cols + col_X[: len(ids)]
            table_NK[token_X, line_in_token * self.style.bins_per_token + bin_X[: len(ids)]] = ids
        return table_NK.reshape(self.num_rows, self.num_cols, -1)


@dataclass(frozen=True, slots=True)
class CodeLayout:
    """Which dimensions of the hidden width mean what.

    Slots come first, `slot_dims` each; then row code, column code and flags.

    Attributes:
        hidden: Hidden width of the language model.
        num_slots: Slots of a visual token.
    """

    hidden: int
    num_slots: int

    @property
    def slot_dims(self) -> int:
        """Dimensions of the character code in one slot."""
        return (self.hidden - POSITION_DIMS) // self.num_slots

    @property
    def char_dims(self) -> int:
        """Dimensions of all slots together."""
        return self.slot_dims * self.num_slots

    @property
    def rows(self) -> slice:
        """Dimensions of the row code."""
        return slice(self.char_dims, self.char_dims + ROW_DIMS)

    @property
    def cols(self) -> slice:
        """Dimensions of the column code."""
        return slice(self.char_dims + ROW_DIMS, self.char_dims + ROW_DIMS + COL_DIMS)

    @property
    def flags(self) -> int:
        """First flag dimension: visual token, tag, answer start, character, page start, lines."""
        return self.char_dims + ROW_DIMS + COL_DIMS


FLAG_VISUAL, FLAG_TAG, FLAG_ANSWER, FLAG_CHAR, FLAG_PAGE, FLAG_LINE = range(6)


@dataclass(frozen=True, slots=True)
class CodeNoise:
    """How far the codes of a real vision tower may be from perfect.

    Attributes:
        max_gaussian: Upper end of the standard deviation added to every dimension; each page
            draws its own between 0 and this.
        max_confused: Upper end of the share of filled slots that show another character.
        max_dropped: Upper end of the share of filled slots that look empty.
        max_blend: Upper end of the weight of a wrong character blended into each slot.
        clean_share: Share of pages without noise.
    """

    max_gaussian: float = 0.3
    max_confused: float = 0.01
    max_dropped: float = 0.005
    max_blend: float = 0.35
    clean_share: float = 0.3


class OracleCode(nn.Module):
    """Learned code tables of one style.

    Args:
        layout: Meaning of the dimensions.
    """

    def __init__(self, layout: CodeLayout):
        super().__init__()
        self.layout = layout
        char_VD = torch.randn(VOCABULARY, layout.slot_dims) * CODE_STD
        char_VD[0] = 0
        table = torch.zeros(layout.num_slots, VOCABULARY, layout.hidden)
        for slot in range(layout.num_slots):
            start = slot * layout.slot_dims
            table[slot, :, start : start + layout.slot_dims] = char_VD
        self.char_VD: Tensor
        self.register_buffer("char_VD", char_VD)
        self.slot_codes = nn.Parameter(table.view(-1, layout.hidden))
        row_codes = torch.zeros(MAX_ROWS, layout.hidden)
        row_codes[:, layout.rows] = _spread(MAX_ROWS, ROW_DIMS)
        row_codes[:, layout.flags + FLAG_VISUAL] = POSITION_STD
        col_codes = torch.zeros(MAX_COLS, layout.hidden)
        col_codes[:, layout.cols] = _spread(MAX_COLS, COL_DIMS)
        self.row_codes = nn.Parameter(row_codes)
        self.col_codes = nn.Parameter(col_codes)

    def forward(self, slot_BRCK: Int[Tensor, "B R C K"]) -> Float[Tensor, "B T D"]:
        """Return the code of every visual token, row-major.

        Args:
            slot_BRCK: Vocabulary ids, 0 where a slot is empty.
        """
        batch, rows, cols, num_slots = slot_BRCK.shape
        offsets_K = torch.arange(num_slots) * VOCABULARY
        bags = (slot_BRCK + offsets_K).view(-1, num_slots)
        weights = (slot_BRCK > 0).view(-1, num_slots).to(self.slot_codes.dtype)
        chars = nn.functional.embedding_bag(
            bags, self.slot_codes, mode="sum", per_sample_weights=weights
        ).view(batch, rows, cols, -1)
        place = self.row_codes[:rows, None] + self.col_codes[None, :cols]
        return (chars + place).view(batch, rows * cols, -1)

    def noisy(
        self, slot_BRCK: Int[Tensor, "B R C K"], noise: CodeNoise | None
    ) -> Float[Tensor, "B T D"]:
        """Return codes as an imperfect vision tower may give them; noise differs by page.

        Args:
            slot_BRCK: Vocabulary ids, 0 where a slot is empty.
            noise: What is done to the codes; None leaves them clean.
        """
        if noise is None:
            return self(slot_BRCK)
        batch = slot_BRCK.shape[0]
        level_B = torch.rand(batch) * (torch.rand(batch) >= noise.clean_share)
        level = level_B.view(-1, 1, 1, 1)
        filled = slot_BRCK > 0
        chance = torch.rand(slot_BRCK.shape)
        wrong = torch.randint(32, VOCABULARY - 1, slot_BRCK.shape)
        seen = torch.where(filled & (chance < level * noise.max_confused), wrong, slot_BRCK)
        dropped = filled & (1 - chance < level * noise.max_dropped)
        seen = torch.where(dropped, 0, seen)
        clean = self(seen)
        other = self(torch.where(filled, wrong, 0))
        blend = (level_B * noise.max_blend * torch.rand(batch)).view(-1, 1, 1)
        sigma = (level_B * noise.max_gaussian).view(-1, 1, 1)
        return clean + blend * (other - clean).detach() + sigma * torch.randn_like(clean)


def _spread(count: int, dims: int) -> Tensor:
    """Return `count` codes of equal norm that point as far from each other as chance allows."""
    best = torch.randn(count, dims)
    for _ in range(200):
        unit = nn.functional.normalize(best, dim=1)
        cosine = unit @ unit.T - 2 * torch.eye(count)
        push = torch.softmax(8 * cosine, dim=1)
        best = unit - 0.1 * (push @ unit)
    return nn.functional.normalize(best, dim=1) * POSITION_STD * dims**0.5
