"""Reading visual tokens aloud: which character each slot of each token says.

The vision tower speaks a code: a visual token is about the sum of one code word for each slot that
is filled. Naming the nearest word in every slot reads a page at the speed of the tower, without
the language model, and says how sure it is of every character.

Shape key: T visual tokens of a page, R C its rows and columns, D hidden width, K slots of a token,
V classes (0 is an empty slot, printable ASCII from 1, the last any other character).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from glyph.pages import Box
from glyph.readers.nano.spec import CELL_PX, NUM_SPECIALS, OTHER_ID, NanoStyle
from glyph.readers.protocol import ReadLine, Transcript

NUM_CLASSES = 128 - NUM_SPECIALS + 1
SHARPNESS = 2.0
"""Logits for each unit of squared distance between code words; that of the tower's training."""
OTHER_CHAR = "\ufffd"


@dataclass(frozen=True, slots=True, eq=False)
class SlotReading:
    """The slots of a page as read.

    Attributes:
        id_RCK: Vocabulary ids; 0 where a slot is empty.
        sure_RCK: Probability of each.
    """

    id_RCK: UInt8[np.ndarray, "R C K"]
    sure_RCK: Float32[np.ndarray, "R C K"]

    @property
    def confidence(self) -> float:
        """Mean probability over all slots: near 1 on pages of the style, lower on others."""
        return float(self.sure_RCK.mean())


class GlyphHead:
    """Names the character in every slot of visual tokens of one style.

    Args:
        style: Decides the slots.
        word_KVD: Code word of each character in each slot; zero for empty slots.
    """

    def __init__(self, style: NanoStyle, word_KVD: Float32[np.ndarray, "K V D"]):
        assert word_KVD.shape[:2] == (style.num_slots, NUM_CLASSES)
        self.style = style
        words = word_KVD.astype(np.float32)
        self._word_DX = np.ascontiguousarray(words.reshape(-1, words.shape[2]).T)
        self._half_norm_X = np.square(words).sum(-1).reshape(-1) / 2

    def read(
        self, token_TD: Float32[np.ndarray, "T D"], num_rows: int, num_cols: int
    ) -> SlotReading:
        """Return the slots of a page.

        Args:
            token_TD: Visual tokens, row by row.
            num_rows: Rows of visual tokens.
            num_cols: Columns of visual tokens.
        """
        likeness_TX = token_TD @ self._word_DX - self._half_norm_X
        logits = SHARPNESS * likeness_TX.reshape(len(token_TD), self.style.num_slots, -1)
        logits -= logits.max(-1, keepdims=True)
        best = logits.argmax(-1)
        sure = 1 / np.exp(logits).sum(-1)
        ids = np.where(best > 0, best + NUM_SPECIALS - 1, 0).astype(np.uint8)
        shape = (num_rows, num_cols, -1)
        return SlotReading(ids.reshape(shape), sure.astype(np.float32).reshape(shape))


def transcript_of(reading: SlotReading, style: NanoStyle) -> Transcript:
    """Return the lines of a page, with the place of every character.

    Where the style shows line ends as marks, a mark ends a line.

    Args:
        reading: Of a page.
        style: Decides the order of slots.
    """
    lines: list[ReadLine] = []
    for number, (id_X, sure_X) in enumerate(
        zip(_by_line(reading.id_RCK, style), _by_line(reading.sure_RCK, style), strict=True)
    ):
        place_X = np.flatnonzero(id_X)
        if style.newline_marker:
            ends = np.flatnonzero(id_X[place_X] == OTHER_ID)
            parts = np.split(place_X, ends + 1)
            parts = [part[id_X[part] != OTHER_ID] for part in parts]
        else:
            parts = [place_X]
        for part in parts:
            line = _line(part, id_X, sure_X, number, style)
            lines += [line] if line else []
    return Transcript(tuple(lines))


def _by_line(table_RCK: np.ndarray, style: NanoStyle) -> np.ndarray:
    rows, cols = table_RCK.shape[:2]
    shaped = table_RCK.reshape(rows, cols, style.lines_per_token, style.bins_per_token)
    return shaped.transpose(0, 2, 1, 3).reshape(rows * style.lines_per_token, -1)


def _line(
    place_P: np.ndarray, id_X: np.ndarray, sure_X: np.ndarray, number: int, style: NanoStyle
) -> ReadLine | None:
    inked = np.flatnonzero(id_X[place_P] != ord(" "))
    if not len(inked):
        return None
    place_P = place_P[: inked[-1] + 1]
    text = "".join(map(chr, id_X[place_P].tolist())).replace(chr(OTHER_ID), OTHER_CHAR)
    bin_px = CELL_PX / style.bins_per_token
    x_P = (place_P + 0.5) * bin_px
    pitch_px = CELL_PX / style.lines_per_token
    first = int(inked[0])
    box = Box(
        int(x_P[first] - bin_px / 2),
        int(number * pitch_px),
        int(x_P[-1] + bin_px / 2 + 0.999),
        int((number + 1) * pitch_px + 0.999),
    )
    return ReadLine(text, box, float(sure_X[place_P].mean()), tuple(x_P.tolist()))
