"""Fronts, hypervolume and knees against slow definitions."""

from hypothesis import given
from hypothesis import strategies as st

from glyph.search.pareto import (
    Point,
    crowding,
    dominates,
    front_indices,
    gain,
    hypervolume,
    knee_index,
    ranks,
)

points = st.lists(
    st.tuples(
        st.integers(0, 10).map(lambda n: n / 10), st.integers(0, 40).map(lambda n: n / 4)
    ),
    max_size=25,
)  # fmt: skip


@given(points)
def test_the_front_is_what_nothing_dominates(found: list[Point]) -> None:
    front = {found[i] for i in front_indices(found)}
    slow = {p for p in found if not any(dominates(q, p) for q in found)}
    assert front == slow


@given(points)
def test_hypervolume_is_the_area_counted_in_small_squares(found: list[Point]) -> None:
    # Coordinates are multiples of 0.1 and 0.25, so that squares of that size are filled or not.
    squares = sum(
        any(p[0] >= (i + 1) / 10 - 1e-9 and p[1] >= (j + 1) / 4 for p in found)
        for i in range(5, 10)
        for j in range(4, 40)
    )
    assert abs(hypervolume(found) - squares * 0.1 * 0.25) < 1e-9


@given(points, st.tuples(st.floats(0, 1), st.floats(0, 10)))
def test_a_point_gains_exactly_when_the_front_does_not_cover_it(
    found: list[Point], point: Point
) -> None:
    added = gain(point, found)
    assert added >= -1e-9
    if any(dominates(p, point) or p == point for p in found):
        assert abs(added) < 1e-9


@given(points)
def test_every_point_of_a_rank_is_dominated_by_one_of_the_rank_before(found: list[Point]) -> None:
    rank = ranks(found)
    for i, level in enumerate(rank):
        above = [found[j] for j in range(len(found)) if rank[j] == level - 1]
        assert level == 0 or any(dominates(p, found[i]) for p in above)
        same = [found[j] for j in range(len(found)) if rank[j] == level]
        assert not any(dominates(p, found[i]) for p in same)


def test_crowding_keeps_the_ends_and_prefers_the_lonely() -> None:
    spread = crowding([(1.0, 1.0), (0.9, 2.0), (0.89, 2.1), (0.5, 5.0)])
    assert spread[0] == spread[3] == float("inf")
    assert spread[1] < spread[2]


def test_the_knee_is_where_the_front_bends() -> None:
    front = [(1.0, 2.0), (0.98, 5.0), (0.7, 6.0), (0.6, 7.0)]
    assert knee_index(front) == 1


def test_the_knee_is_never_a_candidate_nobody_could_use() -> None:
    assert knee_index([(0.95, 3.0), (0.2, 30.0), (0.1, 40.0)]) == 0
