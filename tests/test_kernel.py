"""The C loops and their NumPy twins, on arrays no text would give."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glyph import kernel
from glyph.bitmaps import EMPTY, Bitmap, BitmapStore
from glyph.kernel import ATTACHED, BREAK_AFTER, NEWLINE, SPACE, FilledLines
from glyph.pages import Glyphs
from glyph.unicode_data import LineBreak

WIDTH, HEIGHT = 40, 12
TALL, WIDE = 9, 37  # a bitmap of three lanes of 16 bytes

flags = st.one_of(
    st.sampled_from([0, 0, BREAK_AFTER, SPACE, SPACE | BREAK_AFTER, NEWLINE, ATTACHED]),
    st.integers(0, 15),
)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Draw advances and flags of one block of characters."""
    flags_N = np.array(draw(st.lists(flags, max_size=80)), np.uint8)
    advance = st.sampled_from([0, 1, 64, 300, 5000])
    return draw(arrays(np.int32, len(flags_N), elements=advance)), flags_N


def both(run: Callable[[], Any]) -> tuple[Any, Any]:
    """Run with each kind of loops."""
    if not kernel.has_native():
        pytest.skip("the C kernel was not built")
    with kernel.using("c"):
        one = run()
    with kernel.using("numpy"):
        return one, run()


def rejects(run: Callable[[], object]) -> bool:
    """Return whether a call ends in an ordinary error."""
    try:
        run()
    except (IndexError, ValueError):
        return True
    return False


# -- lines -----------------------------------------------------------------------------------


@given(
    block=blocks(),
    avail64=st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    at_start=st.booleans(),
    is_final=st.booleans(),
)
def test_both_fill_lines_alike(
    block: tuple[Any, Any], avail64: tuple[int, int], at_start: bool, is_final: bool
) -> None:
    one, other = both(
        lambda: kernel.fill_lines(*block, avail64, at_start=at_start, is_final=is_final)
    )
    assert one.consumed == other.consumed
    assert one.end_L.tolist() == other.end_L.tolist()
    assert one.ink_end_L.tolist() == other.ink_end_L.tolist()
    assert one.width64_L.tolist() == other.width64_L.tolist()


@pytest.mark.usefixtures("kernel_in_use")
@given(
    block=blocks(),
    avail64=st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    is_final=st.booleans(),
)
def test_filled_lines_tile_the_block_and_end_where_they_must(
    block: tuple[Any, Any], avail64: tuple[int, int], is_final: bool
) -> None:
    advance64_N, flags_N = block
    lines = kernel.fill_lines(*block, avail64, at_start=True, is_final=is_final)
    ends = lines.end_L.tolist()
    assert ends == sorted(set(ends))
    assert lines.consumed == (ends[-1] if ends else 0)
    assert lines.consumed == len(flags_N) or not is_final
    start, room64 = 0, avail64[0]
    for end, ink_end, width64 in zip(
        ends, lines.ink_end_L.tolist(), lines.width64_L.tolist(), strict=True
    ):
        assert start <= ink_end <= end
        assert all(flags_N[ink_end:end] & (SPACE | NEWLINE))
        assert width64 == advance64_N[start:ink_end].sum()
        clusters = [i for i in range(start, ink_end) if not flags_N[i] & ATTACHED]
        assert width64 <= room64 or len(clusters) <= 1 or flags_N[start] & ATTACHED
        newline = bool(flags_N[end - 1] & NEWLINE)
        start, room64 = end, avail64[0] if newline else avail64[1]


@pytest.mark.usefixtures("kernel_in_use")
def test_a_line_holds_no_more_than_its_limit_of_characters() -> None:
    flags_N = np.zeros(3 * kernel.MAX_LINE_CHARS + 5, np.uint8)
    lines = kernel.fill_lines(
        np.zeros(len(flags_N), np.int32), flags_N, (100, 100), at_start=True, is_final=True
    )
    assert np.diff(lines.end_L, prepend=0).max() == kernel.MAX_LINE_CHARS


# -- pen positions ---------------------------------------------------------------------------


@st.composite
def placings(draw: st.DrawFn) -> tuple[Any, ...]:
    """Draw a block, its lines, their left edges and their stretch."""
    advance64_N, flags_N = draw(blocks().filter(lambda block: len(block[1]) > 0))
    n = len(flags_N)
    ends = sorted(draw(st.sets(st.integers(1, n), max_size=8)) | {n})
    starts = [0, *ends[:-1]]
    ink_ends = [draw(st.integers(start, end)) for start, end in zip(starts, ends, strict=True)]
    lines = FilledLines(
        np.array(ends, np.int32), np.array(ink_ends, np.int32), np.zeros(len(ends), np.int32), n
    )
    of_line = arrays(np.int32, len(ends), elements=st.integers(0, 5000))
    gap_N = draw(arrays(np.uint8, n, elements=st.integers(0, 1)))
    return advance64_N, gap_N, lines, draw(of_line), draw(of_line)


@given(placing=placings())
def test_both_place_alike(placing: tuple[Any, ...]) -> None:
    one, other = both(lambda: kernel.place(*placing))
    assert one.tolist() == other.tolist()


@pytest.mark.usefixtures("kernel_in_use")
@given(placing=placings())
def test_stretch_is_shared_out_whole_over_the_gaps_of_a_line(placing: tuple[Any, ...]) -> None:
    advance64_N, gap_N, lines, left64_L, extra64_L = placing
    x64_N = kernel.place(*placing)
    start = 0
    for line, end in enumerate(lines.end_L.tolist()):
        assert x64_N[start] == left64_L[line]
        steps = np.diff(x64_N[start:end]) - advance64_N[start : end - 1]
        gaps = gap_N[start : end - 1] * (np.arange(start, end - 1) < lines.ink_end_L[line])
        assert not steps[gaps == 0].any()
        if gaps.any() and not gap_N[end - 1]:
            assert steps.sum() == extra64_L[line]
            assert steps[gaps == 1].max() - steps[gaps == 1].min() <= 1
        start = end


# -- look-ups --------------------------------------------------------------------------------


@given(
    table=st.sampled_from([np.arange(200, dtype=np.uint8), np.arange(-50, 150, dtype=np.int32)]),
    index=st.lists(st.one_of(st.integers(0, 199), st.integers(0, 2**31 - 1)), max_size=40),
)
@example(table=np.zeros(0, np.int32), index=[0])
@example(table=np.zeros(0, np.int32), index=[])
def test_look_up_gathers_items_and_refuses_what_is_outside(
    table: npt.NDArray[Any], index: list[int]
) -> None:
    index_N = np.array(index, np.uint32)
    if all(i < len(table) for i in index):
        one, other = both(lambda: kernel.look_up(table, index_N))
        assert one.tolist() == other.tolist() == [table.tolist()[i] for i in index]
        assert one.dtype == other.dtype == table.dtype
    else:
        one, other = both(lambda: rejects(lambda: kernel.look_up(table, index_N)))
        assert one and other


line_break_classes = st.sampled_from([int(member) for member in LineBreak])
higher_bits = st.sampled_from([0, 0x40, 0x80, 0xC0])


@given(classes=st.lists(st.builds(int.__or__, line_break_classes, higher_bits), max_size=80))
def test_both_find_the_same_breaks_and_ignore_higher_bits(classes: list[int]) -> None:
    classes_N = np.array(classes, np.uint8)
    one, other = both(lambda: kernel.line_breaks(classes_N))
    assert one.tolist() == other.tolist()
    with kernel.using("numpy"):
        assert kernel.line_breaks(classes_N & 0x3F).tolist() == other.tolist()


@pytest.mark.usefixtures("kernel_in_use")
@given(classes=st.binary(max_size=80))
def test_bytes_that_are_no_class_do_no_harm(classes: bytes) -> None:
    breaks_N = kernel.line_breaks(np.frombuffer(classes, np.uint8))
    assert len(breaks_N) == len(classes)
    assert set(breaks_N.tolist()) <= {0, 1, 2}


# -- blit ------------------------------------------------------------------------------------


def bitmap_store(levels: int) -> BitmapStore:
    """Return bitmaps of many shapes: four phases, one phase, wide, tall, and blank ones."""
    random = np.random.default_rng(7)
    store = BitmapStore(levels)
    for width, rows in [(3, 5), (16, 2), (17, 3), (WIDE, TALL), (1, 1)]:
        shape = (4, rows, width)
        coverage = random.integers(0, 256, shape) * random.integers(0, 2, shape)
        phases = list(coverage.astype(np.uint8))
        bitmaps = [Bitmap(part, left - 1, 4) for left, part in enumerate(phases)]
        store.add(bitmaps if width < WIDE else bitmaps[:1])
    store.add([EMPTY])
    return store


STORES = {levels: bitmap_store(levels) for levels in (256, 16)}
NUM_SLOTS = STORES[256].num_slots


@st.composite
def drawn_glyphs(draw: st.DrawFn, inks: bool = True) -> Glyphs:
    """Draw glyphs on, over and far beyond all edges of the plane."""
    places = st.tuples(
        st.integers(0, NUM_SLOTS - 1),
        st.integers(-60 * 64, (WIDTH + 20) * 64),
        st.integers(-20, HEIGHT + 20),
        st.integers(0, 15),
    )
    rows = np.array(draw(st.lists(places, max_size=12)), np.int32).reshape(-1, 4)
    slot_N, x64_N, baseline_N, ink_N = (np.ascontiguousarray(column) for column in rows.T)
    has_ink = inks and draw(st.booleans())
    return Glyphs(slot_N, x64_N, baseline_N, slot_N, ink_N.astype(np.uint8) if has_ink else None)


def blitted(store: BitmapStore, glyphs: Glyphs) -> npt.NDArray[np.uint8]:
    """Return the plane, with the slack behind it."""
    plane = np.full(WIDTH * HEIGHT + store.slack_bytes, 255, np.uint8)
    kernel.blit(plane, WIDTH, HEIGHT, store, glyphs)
    return plane


@given(glyphs=drawn_glyphs())
def test_both_blit_the_same_pixels_with_every_edge_cut(glyphs: Glyphs) -> None:
    store = STORES[16]
    one, other = both(lambda: blitted(store, glyphs))
    assert (one == other).all()
    assert (one[WIDTH * HEIGHT :] == 255).all()


@given(glyphs=drawn_glyphs(inks=False))
def test_blit_keeps_the_darkest_of_all_glyphs_at_each_pixel(glyphs: Glyphs) -> None:
    store = STORES[256]
    wanted_HW = np.full((HEIGHT, WIDTH), 255, np.uint8)
    for slot, x64, baseline in zip(glyphs.slot_N, glyphs.x64_N, glyphs.baseline_N, strict=True):
        # Pens stand on the nearest quarter of a pixel.
        quarter = int(np.floor((int(x64) + 8) / 16))
        k = 4 * int(slot) + quarter % 4
        stride, width, rows, left, top = store.shape_K5[k].tolist()
        begin = int(store.offset_K[k])
        bits = store.bits[begin : begin + stride * rows].reshape(rows, stride)[:, :width]
        for row, column in np.argwhere(bits < 255).tolist():
            y, x = int(baseline) - top + row, quarter // 4 + left + column
            if 0 <= y < HEIGHT and 0 <= x < WIDTH:
                wanted_HW[y, x] = min(wanted_HW[y, x], bits[row, column])
    for found in both(lambda: blitted(store, glyphs)):
        assert (found[: WIDTH * HEIGHT].reshape(HEIGHT, WIDTH) == wanted_HW).all()


@pytest.mark.parametrize("slot", [-1, -(2**30), -(2**31), 2**29, 2**30, 2**31 - 1])
@pytest.mark.usefixtures("kernel_in_use")
def test_blit_refuses_slots_that_do_not_exist(slot: int) -> None:
    one = np.zeros(1, np.int32)
    glyphs = Glyphs(np.array([slot], np.int32), one, one, one, None)
    assert rejects(lambda: blitted(STORES[256], glyphs))


@pytest.mark.parametrize("x64", [-(2**31), 2**31 - 64])
@pytest.mark.usefixtures("kernel_in_use")
def test_blit_draws_nothing_for_glyphs_at_the_ends_of_the_number_range(x64: int) -> None:
    zero = np.zeros(1, np.int32)
    for place in (-(2**31) + TALL, 2**31 - 64):
        slot, pen, baseline = (np.array([value], np.int32) for value in (3, x64, place))
        glyphs = Glyphs(slot, pen, baseline, zero, None)
        assert (blitted(STORES[256], glyphs) == 255).all()


def test_the_c_kernel_refuses_buffers_that_are_too_small() -> None:
    native = pytest.importorskip("glyph._kernel", reason="the C kernel was not built")
    two, bytes_2 = np.zeros(2, np.int32), np.zeros(2, np.uint8)
    small, bytes_1 = np.zeros(1, np.int32), np.zeros(1, np.uint8)
    store, zero = STORES[256], np.zeros(1, np.int32)
    tables = (store.bits, store.offset_K, store.shape_K5)
    calls: list[tuple[Any, ...]] = [
        ("line_breaks", bytes_2, np.zeros(8192, np.uint16), bytes_1),
        ("line_breaks", bytes_2, np.zeros(8, np.uint16), bytes_2),
        ("look_up", two, 4, two, small),
        ("look_up", two, 2, two, two),
        ("fill_lines", two, bytes_2, 9, 9, True, 9, True, small, two, two),
        ("fill_lines", small, bytes_2, 9, 9, True, 9, True, two, two, two),
        ("place", two, bytes_2, zero, np.array([3], np.int32), zero, zero, zero, two),
        ("place", two, bytes_2, zero, zero, zero, zero, np.zeros(0, np.int32), two),
        ("blit", bytes_2, 2, 2, *tables, zero, zero, zero, None),
        ("blit", np.zeros(99, np.uint8), 2, 2, *tables, two, two, two, bytes_1),
        ("blit", np.zeros(99, np.uint8), 2, 2, *tables, two, small, two, None),
    ]
    for name, *arguments in calls:
        with pytest.raises(ValueError, match=f"{name}: a buffer is too small"):
            getattr(native, name)(*arguments)


# -- which loops run -------------------------------------------------------------------------


def test_the_kernel_is_named_and_can_be_chosen() -> None:
    with kernel.using("numpy"):
        assert kernel.kernel_name() == "numpy"
    if kernel.has_native():
        with kernel.using("c"):
            assert kernel.kernel_name() == "c"


def test_the_environment_can_force_the_numpy_loops() -> None:
    code = "from glyph.kernel import kernel_name; print(kernel_name())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "GLYPH_KERNEL": "numpy"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "numpy\n"
