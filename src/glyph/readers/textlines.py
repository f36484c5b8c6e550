"""Where the lines of text stand on a page, found from its pixels alone.

The page becomes ink (distance from its ground, whatever the colours). `textregions` finds the
columns; lines are cut in each of them at rows with little ink. Each line then gets a window of
one height, hung on its baseline: a recogniser must see how high a mark stands to tell a comma
from an apostrophe, so a window is never as tight as the line's own ink.

Shape key: H W page pixels, B runs (start, end) of rows or columns.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8

from glyph.pages import Box
from glyph.readers.textregions import Spans, any_along, regions_of, runs_of, without_rules

MIN_INK = 48
"""Ink from which a pixel counts as marked; less is the faint edge of an outline."""

UNEVEN_SHARE = 0.02
"""What a line one row off the pitch costs, as a share of an average row's ink."""

PART_SHARE, LEAST_PITCH_PX = 0.5, 5.0
"""Share of a pitch's variance that its half must explain to be the pitch, and the least pitch."""

NUM_STRIPS, MIN_STRIP_PX = 72, 8


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text on a page.

    Attributes:
        box: The line's ink.
        top_px: First row of the window a recogniser should see.
        bottom_px: One past the window's last row.
        touches_above: Whether the line was cut from the one above with no blank row between.
        touches_below: The same of the line below.
    """

    box: Box
    top_px: int
    bottom_px: int
    touches_above: bool
    touches_below: bool


def ink_of(gray_HW: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
    """Return how far each pixel is from the ground, 0 to 255, on light and dark pages alike.

    The ground is the most frequent grey and, where paragraphs have a colour of their own, the
    grey of the page's edge. The strongest ink of the page becomes 255.
    """
    edge = np.concatenate((gray_HW[0], gray_HW[-1], gray_HW[:, 0], gray_HW[:, -1]))
    page_gray, edge_gray = _most_frequent(gray_HW), _most_frequent(edge)
    signed_HW = gray_HW.astype(np.int16)
    ink_HW = np.abs(signed_HW - page_gray)
    if edge_gray != page_gray:
        is_ground_HW = (gray_HW == page_gray) | (gray_HW == edge_gray)
        column_HW = np.broadcast_to(np.arange(gray_HW.shape[1], dtype=np.int64), gray_HW.shape)
        last_HW = np.maximum.accumulate(np.where(is_ground_HW, column_HW, 0), axis=1)
        ground_HW = np.take_along_axis(signed_HW, last_HW, axis=1)
        ink_HW = np.where(is_ground_HW, 0, np.abs(signed_HW - ground_HW))
    strongest = max(int(ink_HW.max(initial=0)), 1)
    return (ink_HW.astype(np.int32) * 255 // strongest).astype(np.uint8)


def find_lines(ink_HW: UInt8[np.ndarray, "H W"]) -> list[TextLine]:
    """Return the lines of a page in reading order: down each column, columns from the left.

    Args:
        ink_HW: From `ink_of`.
    """
    marked_HW = ink_HW >= MIN_INK
    marked_HW = without_rules(marked_HW)
    if not marked_HW.any():
        return []
    pitch_px = _pitch(marked_HW)
    found: list[TextLine] = []
    for top, bottom, left, right in regions_of(marked_HW, pitch_px):
        region_HW = marked_HW[top:bottom, left:right]
        if not region_HW.any():
            continue
        bands = _line_bands(region_HW, pitch_px)
        windows = _windows(region_HW, bands, pitch_px)
        for i, ((first, last), (start, end)) in enumerate(zip(bands, windows, strict=True)):
            ink_left, ink_right = _extent(region_HW, bands, i)
            box = Box(left + ink_left, top + first, left + ink_right, top + last)
            above = i > 0 and bands[i - 1][1] == first
            below = i + 1 < len(bands) and bands[i + 1][0] == last
            found.append(TextLine(box, top + start, top + end, above, below))
    return found


def line_ink(
    ink_HW: UInt8[np.ndarray, "H W"], line: TextLine, left_px: int, right_px: int
) -> UInt8[np.ndarray, "T V"]:
    """Return a stretch of a line's window without the ink of its neighbours.

    Where lines touch, the tips of the neighbour's letters stand in the outermost rows. A tip is
    told by being joined outwards and to nothing further in.

    Args:
        ink_HW: The page.
        line: The line.
        left_px: First column.
        right_px: One past the last column.
    """
    rows = np.pad(ink_HW[:, max(left_px, 0) : right_px], ((1, 1), (0, 0)))
    framed_TV = rows[line.top_px : line.bottom_px + 2].copy()
    _drop_tips(framed_TV, line.box.top_px - line.top_px, touches=line.touches_above)
    _drop_tips(framed_TV[::-1], line.bottom_px - line.box.bottom_px, touches=line.touches_below)
    return framed_TV[1:-1]


def _drop_tips(framed_TV: UInt8[np.ndarray, "T V"], num_outside: int, *, touches: bool) -> None:
    """Blank the neighbour's ink in the first rows of a window, in place.

    Args:
        framed_TV: The window with one row more on either side.
        num_outside: Rows of the window before the line's own first row of ink.
        touches: Whether the neighbour's ink ends in the row before that one.
    """
    if touches:
        own, inner = framed_TV[num_outside + 1], framed_TV[num_outside + 2]
        is_tip_V = _reaches(framed_TV[num_outside]) & ~_reaches(inner)
        own[is_tip_V] = 0
    for row in range(num_outside, 0, -1):
        framed_TV[row][~_reaches(framed_TV[row + 1])] = 0


def _reaches(row_V: UInt8[np.ndarray, " V"]) -> Bool[np.ndarray, " V"]:
    """Return the columns that are joined to a row, straight or aslant."""
    marked_V = np.pad(row_V >= MIN_INK, 1)
    return marked_V[:-2] | marked_V[1:-1] | marked_V[2:]


def _extent(region_HW: Bool[np.ndarray, "H W"], bands: Spans, i: int) -> tuple[int, int]:
    """Return first and last column of a line's ink.

    Where two lines touch, the row at the cut may hold the other's descenders: it does not count.
    """
    first, last = bands[i]
    inner_first = first + (i > 0 and bands[i - 1][1] == first)
    inner_last = last - (i + 1 < len(bands) and bands[i + 1][0] == last)
    columns = np.flatnonzero(region_HW[inner_first:inner_last].any(axis=0))
    if not len(columns):
        columns = np.flatnonzero(region_HW[first:last].any(axis=0))
    return int(columns[0]), int(columns[-1]) + 1


def _most_frequent(gray: UInt8[np.ndarray, "..."]) -> int:
    return int(np.bincount(gray.ravel(), minlength=256).argmax())


# -- pitch -----------------------------------------------------------------------------------


def _pitch(marked_HW: Bool[np.ndarray, "H W"]) -> float:
    """Return the distance in pixels from line to line where lines follow closely.

    The page is cut into strips about a letter wide, where neighbouring lines rarely touch. The
    distances from the foot of one mark to the foot of the next crowd around the pitch, and around
    larger values where paragraphs are set apart: the smallest crowded distance is the pitch. Where
    blank rows part the lines, it is not more than a third above a line's height; the rest is gap.
    """
    heights = [end - start for start, end in runs_of(any_along(marked_HW, axis=1))]
    full = [height for height in heights if 2 * height > max(heights)]
    most_px = 1.3 * float(np.percentile(full, 80))
    width = marked_HW.shape[1]
    strip_px = max(width // NUM_STRIPS, MIN_STRIP_PX)
    edges = list(range(0, width, strip_px))
    strips_SH = np.logical_or.reduceat(marked_HW, edges, axis=1).T
    bounded_SH = np.pad(strips_SH, ((0, 0), (1, 1)))
    strip_M, start_M = np.nonzero(bounded_SH[:, 1:] & ~bounded_SH[:, :-1])
    _, end_M = np.nonzero(bounded_SH[:, :-1] & ~bounded_SH[:, 1:])
    letter_px = float(np.percentile(end_M - start_M, 75))
    distances = np.diff(end_M)[np.diff(strip_M) == 0]
    distances = distances[(distances >= letter_px) & (distances <= 8 * letter_px)]
    if not len(distances):
        return most_px
    count = np.bincount(distances, minlength=4).astype(np.float64)
    crowd = np.convolve(count, np.ones(3), "same")
    pitch = int(np.flatnonzero(crowd >= 0.35 * crowd.max())[0])
    while pitch + 1 < len(crowd) and crowd[pitch + 1] > crowd[pitch]:
        pitch += 1
    near = distances[np.abs(distances - pitch) <= max(1, round(0.06 * pitch))]
    found_px = min(float(near.mean()), most_px)
    return _undoubled(marked_HW.sum(axis=1).astype(np.float64), found_px)


def _undoubled(profile_H: Float64[np.ndarray, " H"], pitch_px: float) -> float:
    """Return the pitch, or its half or third where rows of ink repeat after that already.

    Where ideographs touch those below, marks run through two lines and more, and most distances
    are of two lines or three. A pitch explains a share of how much the ink of rows varies; the half
    of a true pitch leads from letters into gaps and explains less than 0.36 of that share (prose,
    digits, code and Chinese at 60 to 110 dpi), and the half of a double one explains 0.6 and more.
    """
    whole = _explained(profile_H, pitch_px)
    for parts in (3, 2):
        is_pitch = _explained(profile_H, pitch_px / parts) > PART_SHARE * whole
        if is_pitch and pitch_px / parts >= LEAST_PITCH_PX:
            return pitch_px / parts
    return pitch_px


def _explained(profile_H: Float64[np.ndarray, " H"], period_px: float) -> float:
    """Return the variance of the means of rows at like places of a period."""
    places = max(int(period_px), 3)
    place_H = ((np.arange(len(profile_H)) + 0.5) / period_px % 1 * places).astype(np.int64)
    rows = np.bincount(place_H, minlength=places)
    means = np.bincount(place_H, profile_H, places) / np.maximum(rows, 1)
    return float((rows * (means - profile_H.mean()) ** 2).sum() / len(profile_H))


# -- lines -----------------------------------------------------------------------------------


def _line_bands(marked_HW: Bool[np.ndarray, "H W"], pitch_px: float) -> Spans:
    """Return first and last row of each line's ink.

    Dynamic programme over the rows, from cut to cut. A stretch between cuts is within a third of
    the pitch, or blank and of any length. A cut costs the columns in which it parts ink from ink,
    and an uneven stretch a little: so cuts fall between the descenders of one line and the
    ascenders of the next even where no row is blank, and a lone underscore or a row of dots stays
    with the line whose grid it stands on.
    """
    low, high = max(int(pitch_px * 0.67), 1), int(pitch_px * 1.34) + 1
    # The last stretch may end below the region, as the first may begin above it.
    marked_HW = np.pad(marked_HW, ((0, high), (0, 0)))
    height = len(marked_HW)
    is_blank = (~any_along(marked_HW, axis=1)).tolist()
    parted_H = np.zeros(height + 1)
    parted_H[1:-1] = (marked_HW[1:] & marked_HW[:-1]).sum(axis=1)
    lengths = np.arange(low, high + 1)
    uneven = UNEVEN_SHARE * marked_HW.sum() / max(height - sum(is_blank), 1)
    # A stretch costs a little in itself, so that accents are not parted from their line.
    penalty = uneven * ((lengths - pitch_px) ** 2 + 1)
    cost_H = np.full(height + 1 + high, np.inf)
    cost_H[: high + 1] = 0.0
    came_from_H = np.zeros(height + 1, np.int64)
    for row in range(1, height + 1):
        options = cost_H[row + high - lengths] + penalty
        best = int(options.argmin())
        cost, came_from = float(options[best]), max(row - int(lengths[best]), 0)
        if is_blank[row - 1] and cost_H[row + high - 1] <= cost:
            cost, came_from = float(cost_H[row + high - 1]), row - 1
        cost_H[row + high], came_from_H[row] = cost + parted_H[row], came_from
    bands = _trimmed(_cuts(came_from_H, cost_H[high:], is_blank), is_blank)
    return _without_slivers(marked_HW, bands)


def _cuts(
    came_from_H: Int[np.ndarray, " H"], cost_H: "np.ndarray[Any, Any]", is_blank: list[bool]
) -> list[int]:
    """Return the cuts of the cheapest way to below the last ink."""
    last_ink = max(row for row in range(len(is_blank)) if not is_blank[row])
    row = last_ink + 1 + int(cost_H[last_ink + 1 :].argmin())
    cuts = [row]
    while row > 0:
        row = int(came_from_H[row])
        cuts.append(row)
    return cuts[::-1]


def _trimmed(cuts: list[int], is_blank: list[bool]) -> Spans:
    """Return the inked rows of each stretch, without blank stretches."""
    bands: Spans = []
    for start, end in pairwise(cuts):
        inked = [row for row in range(start, end) if not is_blank[row]]
        if inked:
            bands.append((inked[0], inked[-1] + 1))
    return bands


def _without_slivers(marked_HW: Bool[np.ndarray, "H W"], bands: Spans) -> Spans:
    """Return the bands with the tips that a cut parted from their line put back.

    A thin band is such a tip if most of it hangs on the ink across the cut; a row of quotes that
    happens to touch the line above is not.
    """
    thin = 0.35 * float(np.percentile([end - start for start, end in bands], 80))
    whole: Spans = []
    for start, end in bands:
        if whole and whole[-1][1] == start:
            first = whole[-1][0]
            joined = int((marked_HW[start - 1] & marked_HW[start]).sum())
            hangs_above = end - start < thin and 2 * joined >= marked_HW[start].sum()
            hangs_below = start - first < thin and 2 * joined >= marked_HW[start - 1].sum()
            if hangs_above or hangs_below:
                whole[-1] = (first, end)
                continue
        whole.append((start, end))
    return whole


# -- windows ---------------------------------------------------------------------------------


def _windows(marked_HW: Bool[np.ndarray, "H W"], bands: Spans, pitch_px: float) -> Spans:
    """Return the rows a recogniser should see of each line: one height, hung on the baseline."""
    profile_H = marked_HW.sum(axis=1)
    heights = np.array([end - start for start, end in bands])
    usual = float(np.percentile(heights, 80))
    is_full = heights >= 0.6 * usual
    baselines = [_baseline(profile_H[start:end]) + start for start, end in bands]
    full = np.flatnonzero(is_full)
    ascent = int(np.percentile([baselines[i] - bands[i][0] for i in full], 80))
    descent = int(np.percentile([bands[i][1] - baselines[i] for i in full], 80))
    windows: Spans = []
    for i, (start, end) in enumerate(bands):
        baseline = baselines[i]
        if not is_full[i]:
            nearest = int(full[np.abs(full - i).argmin()])
            baseline = _hung(baselines[nearest], (start, end), (ascent, descent), pitch_px)
        top, bottom = min(baseline - ascent, start), max(baseline + descent, end)
        windows.append((max(top, 0), min(bottom, len(profile_H))))
    return windows


def _baseline(profile: Int[np.ndarray, " H"]) -> int:
    """Return the row below the last one that holds a good part of the line's ink."""
    return int(np.flatnonzero(profile >= 0.35 * profile.max())[-1]) + 1


def _hung(baseline: int, band: tuple[int, int], reach: tuple[int, int], pitch_px: float) -> int:
    """Return the baseline of a line of small marks, on the grid of a full line's baseline."""
    start, end = band
    ascent, descent = reach
    middle = (start + end - descent + ascent) / 2
    steps = round((middle - baseline) / pitch_px)
    for on_grid in (steps, steps - 1, steps + 1):
        candidate = round(baseline + on_grid * pitch_px)
        if candidate - ascent <= start + 1 and end - 1 <= candidate + descent:
            return candidate
    return round(middle)
