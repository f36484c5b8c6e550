"""Rows for the language model: one page, then its queries, each blind to the others.

A row is BOI, the visual tokens, EOI and the queries one after the other. The mask lets a query see
the page and itself, and positions start anew at each query, so that a packed query computes
exactly what it would alone; the page is paid for once.

Shape key: B rows, L positions in a row, T visual tokens, R C rows and columns of visual tokens,
K slots, N anything listed by (row, position).
"""

# torch declares its types in part only.
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64, UInt8
from torch import Tensor

from glyph.readers.nano.geometry import page_positions
from glyph.readers.nano.spec import load_spec
from glyph.train.nano.oracle import MonoGrid
from glyph.train.nano.tasks import Query, TaskPage

IGNORE = -100
MASKED = -1e9
KEY_CHARS = 6
"""Characters of the key that the answer start must know: those of one visual token."""


class Places(Protocol):
    """Which token, and which slot in it, holds a character of a page."""

    @property
    def lines_per_token(self) -> int:
        """Text lines in a token."""
        ...

    def token(self, line: int, column: int) -> int:
        """Return the index of the token that holds a character."""
        ...

    def slot(self, line: int, column: int) -> int:
        """Return the slot of a character within its token."""
        ...

    def key_token(self, line: int, column: int, size: int) -> int:
        """Return the token by which a key of some characters is found."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where one query stands in the batch."""

    row: int
    answer_at: int
    query: Query


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Packed rows with everything the losses need.

    Attributes:
        ids_BL: Vocabulary ids; IMAGE at visual tokens.
        labels_BL: Id to predict at each position, or -100.
        position_3BL: M-RoPE positions, as `Glm4vModel.get_rope_index` gives them per query.
        mask_B1LL: 0 where a position sees another, -1e9 where not.
        slot_BRCK: Slots of the pages.
        targets: The queries.
        read_N4: Row, position, visual token position and slot of each answer character.
        point_N3: Row, position of an answer id, position of its answer start.
        match_N4: Row, position of the answer start, position of the key's visual token, line in it.
        line_N3: Row, position of the answer start, line on the page it must know.
        index_N3: Row, position of a key character, its index in the key.
        key_N: Row and position of the answer start, then KEY_CHARS key ids or -100.
    """

    ids_BL: Int[Tensor, "B L"]
    labels_BL: Int[Tensor, "B L"]
    position_3BL: Int[Tensor, "3 B L"]
    mask_B1LL: Float[Tensor, "B 1 L L"]
    slot_BRCK: Int[Tensor, "B R C K"]
    targets: tuple[Target, ...]
    read_N4: Int[Tensor, "N 4"]
    point_N3: Int[Tensor, "N 3"]
    match_N4: Int[Tensor, "N 4"]
    line_N3: Int[Tensor, "N 3"]
    index_N3: Int[Tensor, "N 3"]
    key_N: Int[Tensor, "N 8"]

    @property
    def num_visual(self) -> int:
        """Visual tokens of a page."""
        return int(self.slot_BRCK.shape[1] * self.slot_BRCK.shape[2])


def pack(pages: Sequence[TaskPage], grid: MonoGrid) -> Batch:
    """Return the batch of pages of one geometry, one row each.

    Args:
        pages: Pages with at least one query each.
        grid: Their geometry.
    """
    special = load_spec().special
    prefix_P = [special("BOI"), *[special("IMAGE")] * grid.num_tokens, special("EOI")]
    prefix_BP = np.tile(prefix_P, (len(pages), 1))
    position_3P = page_positions(grid.num_rows, grid.num_cols)
    slots = np.stack([grid.slots(page.lines) for page in pages])
    return pack_rows(pages, prefix_BP, position_3P, slots, [grid] * len(pages))


def pack_rows(
    pages: Sequence[TaskPage],
    prefix_BP: Int64[np.ndarray, "B P"],
    position_3P: Int64[np.ndarray, "3 P"],
    slot_BRCK: UInt8[np.ndarray, "B R C K"],
    places: Sequence[Places],
) -> Batch:
    """Return the batch of pages that stand in front of their queries as the given ids.

    Args:
        pages: Pages with at least one query each.
        prefix_BP: BOI, what stands for the page, EOI; PAD is seen by nobody.
        position_3P: M-RoPE positions of the prefix.
        slot_BRCK: Slots of the pages, as many tokens as stand between BOI and EOI.
        places: For each page, which token holds which character.
    """
    num_page = prefix_BP.shape[1]
    sizes = [sum(len(q.prompt) + len(q.answer) for q in page.queries) for page in pages]
    shape = (len(pages), num_page + max(sizes))
    pad = load_spec().special("PAD")
    ids = np.full(shape, pad)
    labels = np.full(shape, IGNORE)
    segment = np.full(shape, -1)
    position = np.zeros(shape, np.int64)
    ids[:, :num_page] = prefix_BP
    segment[:, :num_page] = np.where(prefix_BP == pad, -1, 0)
    text_start = int(position_3P[0, -1]) + 1
    targets: list[Target] = []
    for row, page in enumerate(pages):
        at = num_page
        for number, query in enumerate(page.queries, 1):
            tokens = (*query.prompt, *query.answer)
            end, answer_at = at + len(tokens), at + len(query.prompt) - 1
            ids[row, at:end] = tokens
            labels[row, answer_at : end - 1] = query.answer
            segment[row, at:end] = number
            position[row, at:end] = text_start + np.arange(len(tokens))
            targets.append(Target(row, answer_at, query))
            at = end
    position_3BL = torch.from_numpy(position).expand(3, *shape).clone()
    position_3BL[:, :, :num_page] = torch.from_numpy(position_3P)[:, None]
    return Batch(
        ids_BL=torch.from_numpy(ids),
        labels_BL=torch.from_numpy(labels),
        position_3BL=position_3BL,
        mask_B1LL=group_mask(torch.from_numpy(segment)),
        slot_BRCK=torch.from_numpy(slot_BRCK).long(),
        targets=tuple(targets),
        **_guides(targets, places),
    )


def group_mask(segment_BL: Int[Tensor, "B L"]) -> Float[Tensor, "B 1 L L"]:
    """Return the additive mask: causal, to segment 0 (the page) and to the own segment.

    Args:
        segment_BL: 0 on the page, 1 and up for queries, -1 on padding.
    """
    order = torch.arange(segment_BL.shape[1])
    causal = order[:, None] >= order[None]
    on_page = segment_BL[:, None, :] == 0
    same = segment_BL[:, None, :] == segment_BL[:, :, None]
    itself: Bool[Tensor, "L L"] = torch.eye(len(order), dtype=torch.bool)
    seen = (causal & (on_page | same)) | itself
    return torch.where(seen, 0.0, MASKED)[:, None]


def _guides(targets: Sequence[Target], places: Sequence[Places]) -> dict[str, Tensor]:
    read: list[tuple[int, ...]] = []
    point: list[tuple[int, ...]] = []
    match: list[tuple[int, ...]] = []
    line: list[tuple[int, ...]] = []
    index: list[tuple[int, ...]] = []
    keys: list[tuple[int, ...]] = []
    for target in targets:
        query, row, answer_at = target.query, target.row, target.answer_at
        grid = places[row]
        for step, place in enumerate(query.places):
            if place is not None:
                slot = grid.slot(*place)
                read.append((row, answer_at + step, 1 + grid.token(*place), slot))
            if step:
                point.append((row, answer_at + step, answer_at))
        if query.key_place is not None and query.task != "present":
            line.append((row, answer_at, query.key_place[0]))
        if query.key_size:
            start = answer_at - len(query.prompt) + 1 + query.key_at
            index += [(row, start + k, k) for k in range(query.key_size)]
            key = query.prompt[query.key_at : query.key_at + query.key_size][:KEY_CHARS]
            keys.append((row, answer_at, *key, *[IGNORE] * (KEY_CHARS - len(key))))
            if query.key_place is not None:
                token = 1 + grid.key_token(*query.key_place, query.key_size)
                match.append((row, answer_at, token, query.key_place[0] % grid.lines_per_token))
    return {
        "read_N4": _table(read, 4),
        "point_N3": _table(point, 3),
        "match_N4": _table(match, 4),
        "line_N3": _table(line, 3),
        "index_N3": _table(index, 3),
        "key_N": _table(keys, KEY_CHARS + 2),
    }


def _table(rows: list[tuple[int, ...]], width: int) -> Tensor:
    return torch.tensor(rows, dtype=torch.long).view(-1, width)
