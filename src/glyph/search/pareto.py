"""Two objectives, both to be maximised: dominance, hypervolume, crowding and the knee.

A point is (accuracy, ratio). All functions are pure and take points in any order.
"""

from collections.abc import Sequence

Point = tuple[float, float]

REFERENCE: Point = (0.5, 1.0)
"""Where hypervolume begins: half of the answers right, and no compression. What lies below either
is of no use to anybody, and must not make a front look large."""


def dominates(one: Point, other: Point) -> bool:
    """Whether `one` is at least as good in both objectives and better in one."""
    return one[0] >= other[0] and one[1] >= other[1] and one != other


def front_indices(points: Sequence[Point]) -> list[int]:
    """Return the points that no other dominates, by falling ratio; of equal points the first.

    Example:
        >>> front_indices([(0.9, 2.0), (0.8, 3.0), (0.8, 2.5), (0.9, 2.0)])
        [1, 0]
    """
    order = sorted(range(len(points)), key=lambda i: (-points[i][1], -points[i][0], i))
    kept: list[int] = []
    best = float("-inf")
    for i in order:
        if points[i][0] > best:
            kept.append(i)
            best = points[i][0]
    return kept


def hypervolume(points: Sequence[Point], reference: Point = REFERENCE) -> float:
    """Return the area that the points dominate beyond the reference.

    Example:
        >>> hypervolume([(1.0, 3.0), (0.75, 5.0)])
        1.5
    """
    inside = [p for p in points if p[0] > reference[0] and p[1] > reference[1]]
    area, floor = 0.0, reference[0]
    for i in front_indices(inside):
        accuracy, ratio = inside[i]
        area += (accuracy - floor) * (ratio - reference[1])
        floor = accuracy
    return area


def gain(point: Point, front: Sequence[Point], reference: Point = REFERENCE) -> float:
    """Return the hypervolume that a point would add to a front."""
    return hypervolume([*front, point], reference) - hypervolume(front, reference)


def ranks(points: Sequence[Point]) -> list[int]:
    """Return the number of the front each point is on, 0 for the first (Deb et al. 2002)."""
    found = [-1] * len(points)
    left = list(range(len(points)))
    rank = 0
    while left:
        values = [points[i] for i in left]
        # Points with equal values share a rank, so that a tie does not make one of them worse.
        best = {values[i] for i in front_indices(values)}
        for i in left:
            if points[i] in best:
                found[i] = rank
        left = [i for i in left if found[i] < 0]
        rank += 1
    return found


def crowding(points: Sequence[Point]) -> list[float]:
    """Return how far the neighbours of each point are, ends infinitely (Deb et al. 2002)."""
    distances = [0.0] * len(points)
    for axis in (0, 1):
        order = sorted(range(len(points)), key=lambda i: points[i][axis])
        if not order:
            continue
        span = points[order[-1]][axis] - points[order[0]][axis]
        distances[order[0]] = distances[order[-1]] = float("inf")
        for before, i, after in zip(order, order[1:], order[2:], strict=False):
            if span > 0:
                distances[i] += (points[after][axis] - points[before][axis]) / span
    return distances


def knee_index(points: Sequence[Point], reference: Point = REFERENCE) -> int:
    """Return the point of a front furthest above the line between its ends, both axes scaled.

    Points below the reference accuracy do not count while others are there. On a front without a
    bend the product of the two scaled gains decides.
    """
    order = [i for i in front_indices(points) if points[i][0] > reference[0]]
    order = order or front_indices(points)
    if len(order) < 3:
        return max(order, key=lambda i: (points[i][0] - reference[0]) * (points[i][1] - 1))
    (low, long), (high, short) = points[order[0]], points[order[-1]]

    def above(i: int) -> float:
        accuracy, ratio = points[i]
        return (accuracy - low) / (high - low) + (ratio - short) / (long - short)

    return max(order, key=above)
