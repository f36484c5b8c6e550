"""Which parts of a page hold lines of text: rules are taken off, columns told apart.

Columns are cut at white gaps that run down the whole page.

Shape key: H W page pixels, N rows or columns.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool

MAX_COLUMNS = 12

Spans = list[tuple[int, int]]
"""Runs of rows or columns: first, and one past the last."""


def without_rules(marked_HW: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Return the page without paragraph borders and rulings: lines over half the page wide.

    A border's sides may be shorter than a letter is tall, so they are found by its top and
    bottom: between two rules the outermost columns of the rules are blanked.
    """
    width = marked_HW.shape[1]
    wide = max(width // 2, 24)
    rows = np.flatnonzero(marked_HW.sum(axis=1) >= wide)
    rules_HW = np.zeros_like(marked_HW)
    rules_HW[rows] = _long_runs(marked_HW[rows], wide)
    if not rules_HW.any():
        return marked_HW
    kept_HW = marked_HW & ~rules_HW
    rules = runs_of(any_along(rules_HW, axis=1))
    for (top, start), (end, _) in pairwise(rules):
        columns = np.flatnonzero(rules_HW[top])
        thick = min(start - top, width // 8)
        kept_HW[start:end, columns[0] : columns[0] + thick] = False
        kept_HW[start:end, columns[-1] + 1 - thick : columns[-1] + 1] = False
    return kept_HW


def _long_runs(marked_NW: Bool[np.ndarray, "N W"], length: int) -> Bool[np.ndarray, "N W"]:
    """Return the pixels that lie in a level run of at least `length` marked ones."""
    width = marked_NW.shape[1]
    before = np.zeros((len(marked_NW), width + 1), np.int32)
    marked_NW.cumsum(axis=1, out=before[:, 1:])
    is_start = before[:, length:] - before[:, :-length] == length
    steps = np.zeros((len(marked_NW), width + 1), np.int32)
    steps[:, : is_start.shape[1]] += is_start
    steps[:, length:] -= is_start
    return steps[:, :-1].cumsum(axis=1) > 0


def regions_of(
    marked_HW: Bool[np.ndarray, "H W"], pitch_px: float
) -> list[tuple[int, int, int, int]]:
    """Return the parts of a page to read one after another: top, bottom, left, right.

    Rows that cross the gaps between columns, such as a page label, are read by themselves.
    """
    height, width = marked_HW.shape
    columns = _columns(marked_HW, pitch_px)
    if len(columns) == 1:
        return [(0, height, 0, width)]
    is_gap_W = np.ones(width, np.bool_)
    for left, right in columns:
        is_gap_W[left:right] = False
    crosses_H = any_along(marked_HW[:, is_gap_W], axis=1)
    for start, end in runs_of(any_along(marked_HW, axis=1)):
        crosses_H[start:end] |= crosses_H[start:end].any()
    regions: list[tuple[int, int, int, int]] = []
    edges = [0, *(np.flatnonzero(np.diff(crosses_H)) + 1).tolist(), height]
    for top, bottom in pairwise(edges):
        spans = [(0, width)] if crosses_H[top] else columns
        regions += [(top, bottom, left, right) for left, right in spans]
    return regions


def _columns(marked_HW: Bool[np.ndarray, "H W"], pitch_px: float) -> Spans:
    """Return the columns of text, the whole width when the page is not in columns.

    White gaps alone do not make columns, since tables have them too. Columns of one page are
    equally wide: their left edges are equally far apart and none is wider than that distance. And
    all begin at the top.
    """
    whole = [(0, marked_HW.shape[1])]
    rows = runs_of(any_along(marked_HW, axis=1))
    if rows[-1][1] - rows[0][0] < 4 * pitch_px:
        return whole
    if len(rows) > 1 and rows[-1][1] - rows[-1][0] <= pitch_px:
        rows = rows[:-1]  # a page label may stand in a gap
    spans = runs_of(any_along(marked_HW[: rows[-1][1]], axis=0))
    merged = spans[:1]
    for left, right in spans[1:]:
        if left - merged[-1][1] < 0.6 * pitch_px:
            merged[-1] = (merged[-1][0], right)
        else:
            merged.append((left, right))
    if not 2 <= len(merged) <= MAX_COLUMNS:
        return whole
    lefts = np.array([left for left, _ in merged])
    widths = np.array([right - left for left, right in merged])
    distance = (lefts[-1] - lefts[0]) / (len(lefts) - 1)
    is_even = np.abs(np.diff(lefts) - distance).max() <= pitch_px
    fits = widths.max() <= distance and widths[:-1].min() >= max(0.6 * distance, 6 * pitch_px)
    first_row = rows[0][0] + 1.5 * pitch_px
    begins_on_top = all(marked_HW[: int(first_row) + 1, left:right].any() for left, right in merged)
    return _cut_in_gaps(merged, marked_HW.shape[1]) if is_even and fits and begins_on_top else whole


def _cut_in_gaps(spans: Spans, width: int) -> Spans:
    """Return the spans widened by a little of the gaps around them."""
    return [(max(left - 1, 0), min(right + 1, width)) for left, right in spans]


def any_along(marked_HW: Bool[np.ndarray, "H W"], *, axis: int) -> Bool[np.ndarray, " N"]:
    """Return whether there is ink along an axis: 0 for each column, 1 for each row."""
    return np.asarray(marked_HW.any(axis=axis))


def runs_of(is_on: Bool[np.ndarray, " N"]) -> Spans:
    """Return the runs of true values."""
    steps = np.flatnonzero(np.diff(np.concatenate(([False], is_on, [False]))))
    return [(int(start), int(end)) for start, end in zip(steps[::2], steps[1::2], strict=True)]
