"""Asking pages: many pages at once, several questions to each, decoded side by side.

A page and its questions share one row, as in training: a question sees the page and itself, and
its positions go on behind the page as if it were alone. The page is computed once, however many
questions it gets; a question that is answered leaves the row.

Shape key: B pages, T visual tokens, S new positions, L all positions, D hidden
size, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from glyph.readers.nano.geometry import page_positions
from glyph.readers.nano.network import Network, Step
from glyph.readers.nano.prompts import Prompt
from glyph.readers.nano.spec import load_spec

MASKED = -1e9
PADDING = -1


@dataclass(slots=True)
class Said:
    """An answer as it comes: greedy, with what the network thought of it.

    Attributes:
        ids: Vocabulary ids without EOS.
        log_probs: Of each id, then of EOS.
        tokens: Visual token, row by row, that each id was read from.
        focus: Share of the attention on that token and its eight neighbours.
        is_ended: EOS came before the limit.
    """

    ids: list[int] = field(default_factory=list[int])
    log_probs: list[float] = field(default_factory=list[float])
    tokens: list[int] = field(default_factory=list[int])
    focus: list[float] = field(default_factory=list[float])
    is_ended: bool = False

    @property
    def mean_log_prob(self) -> float:
        """Mean log-probability of an id, the end included."""
        return sum(self.log_probs) / max(len(self.log_probs), 1)


OnId = Callable[[int, int, int], None]
"""Called with page, question and id, as each id is decided."""


class _Row:
    """The questions of a batch: what each says next, and where."""

    def __init__(self, prompts: Sequence[Sequence[Prompt]], text_start: int):
        self.said = [[Said() for _ in page] for page in prompts]
        self.pending = [[list(prompt.ids) for prompt in page] for page in prompts]
        self.next_at = [[text_start for _ in page] for page in prompts]

    def take(self) -> tuple[Int64[np.ndarray, "B S"], ...]:
        """Return ids, segments and positions of everything that waits, padded."""
        ids: list[list[int]] = []
        segments: list[list[int]] = []
        positions: list[list[int]] = []
        for waiting, at in zip(self.pending, self.next_at, strict=True):
            ids.append([token for tokens in waiting for token in tokens])
            segments.append([n + 1 for n, tokens in enumerate(waiting) for _ in tokens])
            positions.append(
                [at[n] + k for n, toks in enumerate(waiting) for k in range(len(toks))]
            )
            for n, tokens in enumerate(waiting):
                at[n] += len(tokens)
                waiting[n] = []
        return _padded(ids, 0), _padded(segments, PADDING), _padded(positions, 0)


def ask_pages(
    network: Network,
    token_BTD: Float32[np.ndarray, "B T D"],
    grid: tuple[int, int],
    prompts: Sequence[Sequence[Prompt]],
    max_ids: int,
    on_id: OnId | None = None,
) -> list[list[Said]]:
    """Return what the network says to each question of each page.

    Args:
        network: The network.
        token_BTD: Visual tokens of the pages, from `Network.encode`.
        grid: Rows and columns of visual tokens.
        prompts: Questions of each page.
        max_ids: Longest answer.
        on_id: Told of each id.
    """
    page_3P = page_positions(*grid)
    row = _Row(prompts, int(page_3P[0, -1]) + 1)
    ids_BS, segment_BS, text_BS = row.take()
    pages = len(token_BTD)
    embeds = [_page_embeds(network, token_BTD), network.embedding_VD[ids_BS]]
    segment_BL = np.concatenate([np.zeros((pages, page_3P.shape[1]), np.int64), segment_BS], 1)
    page_3BP = np.broadcast_to(page_3P[:, None], (3, pages, page_3P.shape[1]))
    text_3BS = np.broadcast_to(text_BS, (3, *text_BS.shape))
    step = network.step(
        np.concatenate(embeds, 1),
        np.concatenate([page_3BP, text_3BS], 2),
        group_mask(segment_BL, segment_BL.shape[1]),
    )
    while _decide(row, step, segment_BS, grid, max_ids, on_id):
        ids_BS, segment_BS, text_BS = row.take()
        segment_BL = np.concatenate([segment_BL, segment_BS], 1)
        step = network.step(
            network.embedding_VD[ids_BS],
            np.broadcast_to(text_BS, (3, *text_BS.shape)),
            group_mask(segment_BL, segment_BS.shape[1]),
            step.held,
        )
    return row.said


def group_mask(segment_BL: Int64[np.ndarray, "B L"], new: int) -> Float32[np.ndarray, "B 1 S L"]:
    """Return the additive mask of the last `new` positions: causal, to the page and to themselves.

    Args:
        segment_BL: 0 on the page, 1 and up for questions, -1 on padding.
        new: Positions asked for.
    """
    size = int(segment_BL.shape[1])
    order: NDArray[np.int64] = np.arange(size)
    own_BS1 = segment_BL[:, size - new :, None]
    shown = (segment_BL[:, None] == 0) | (segment_BL[:, None] == own_BS1)
    before = order[size - new :, None] >= order
    # Padding sees itself only, so that no row of the softmax is empty.
    alone = (own_BS1 != PADDING) | (order[size - new :, None] == order)
    mask = np.where(shown & before & alone, np.float32(0), np.float32(MASKED))
    return mask[:, None]


def _page_embeds(
    network: Network, token_BTD: Float32[np.ndarray, "B T D"]
) -> Float32[np.ndarray, "B P D"]:
    special = load_spec().special
    shape = (len(token_BTD), 1, token_BTD.shape[2])
    first, last = (network.embedding_VD[special(name)] for name in ("BOI", "EOI"))
    ends = [np.broadcast_to(one, shape) for one in (first, last)]
    return np.concatenate([ends[0], token_BTD, ends[1]], 1)


def _decide(
    row: _Row,
    step: Step,
    segment_BS: Int64[np.ndarray, "B S"],
    grid: tuple[int, int],
    max_ids: int,
    on_id: OnId | None,
) -> bool:
    """Choose the next id of every question that just spoke; return whether any goes on."""
    end = load_spec().special("EOS")
    new = segment_BS.shape[1]
    logits_BSV = step.logits_BSV[:, -new:]
    focus_BST = step.focus_BSL[:, -new:, 1 : 1 + grid[0] * grid[1]]
    goes_on = False
    for b, said in enumerate(row.said):
        for number, one in enumerate(said):
            spoke = np.flatnonzero(segment_BS[b] == number + 1)
            if not len(spoke):
                continue
            at = int(spoke[-1])
            logits_V = logits_BSV[b, at]
            token = int(logits_V.argmax())
            one.log_probs.append(float(logits_V[token] - _log_sum(logits_V)))
            if token == end:
                one.is_ended = True
                continue
            place, share = _looked_at(focus_BST[b, at], grid)
            one.ids.append(token)
            one.tokens.append(place)
            one.focus.append(share)
            if on_id is not None:
                on_id(b, number, token)
            if len(one.ids) < max_ids:
                row.pending[b][number] = [token]
                goes_on = True
    return goes_on


def _log_sum(logits_V: Float32[np.ndarray, " V"]) -> float:
    top = float(logits_V.max())
    return top + float(np.log(np.exp(logits_V - top).sum()))


def _looked_at(focus_T: Float32[np.ndarray, " T"], grid: tuple[int, int]) -> tuple[int, float]:
    """Return the visual token looked at most, and the share of attention around it."""
    place = int(focus_T.argmax())
    row, col = divmod(place, grid[1])
    focus_RC = focus_T.reshape(grid)
    near = focus_RC[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2]
    return place, float(near.sum())


def _padded(rows: Sequence[Sequence[int]], filler: int) -> Int64[np.ndarray, "B S"]:
    table = np.full((len(rows), max(map(len, rows))), filler, np.int64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table
