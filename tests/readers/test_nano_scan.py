"""Scanning pages: styles are told apart, blank cells are blank, and strange pages are refused."""

import numpy as np
import pytest

from glyph.errors import ReaderError
from glyph.pages import page_of_pixels
from glyph.readers.nano.glyphs import NUM_CLASSES, GlyphHead
from glyph.readers.nano.scan import Scanner, inked_cells
from glyph.readers.nano.spec import CELL_PX, NUM_SPECIALS, NanoStyle, load_spec

WIDTH = 256
SIZES = ((168, 112), (84, 56))


def words_of(style: NanoStyle, seed: int) -> np.ndarray:
    """Return a code with a block of the width for every slot."""
    rng = np.random.default_rng(seed)
    size = WIDTH // style.num_slots
    words = np.zeros((style.num_slots, NUM_CLASSES, WIDTH), np.float32)
    for slot in range(style.num_slots):
        block = slice(slot * size, (slot + 1) * size)
        words[slot, 1:, block] = rng.standard_normal((NUM_CLASSES - 1, size))
    return words


class SpokenPages:
    """A tower that speaks the code of one style perfectly: slot `k` of each cell holds a letter.

    Cells without ink get noise instead, as an untrained tower would give.
    """

    def __init__(self, style: NanoStyle, words: np.ndarray, text: str):
        self.style, self.words, self.text = style, words, text
        self.sizes: list[tuple[int, ...]] = []

    def encode(self, plane_BHW: np.ndarray) -> np.ndarray:
        self.sizes.append(plane_BHW.shape)
        rng = np.random.default_rng(0)
        pages = []
        for plane_HW in plane_BHW:
            inked = inked_cells(plane_HW).reshape(-1)
            token_TD = rng.standard_normal((len(inked), WIDTH)).astype(np.float32) * 3
            for cell in np.flatnonzero(inked):
                token_TD[cell] = sum(
                    self.words[slot, ord(letter) - NUM_SPECIALS + 1]
                    for slot, letter in enumerate(self.text)
                )
            pages.append(token_TD)
        return np.stack(pages)


def page_with_ink(width: int, height: int, *cells: tuple[int, int]):
    plane_HW = np.full((height, width), 255, np.uint8)
    for row, col in cells:
        plane_HW[row * CELL_PX + 9, col * CELL_PX + 9] = 0
    return page_of_pixels(plane_HW)


@pytest.fixture
def styles() -> dict[str, NanoStyle]:
    return {name: load_spec().style(name) for name in ("A", "N")}


def scanner_of(styles: dict[str, NanoStyle], spoken: str, text: str) -> Scanner:
    words = {name: words_of(style, seed) for seed, (name, style) in enumerate(styles.items())}
    heads = [GlyphHead(style, words[name]) for name, style in styles.items()]
    return Scanner(SpokenPages(styles[spoken], words[spoken], text), heads, SIZES)


@pytest.mark.parametrize("spoken", ["A", "N"])
def test_the_style_is_the_one_whose_code_is_spoken(styles: dict[str, NanoStyle], spoken: str):
    scanner = scanner_of(styles, spoken, "abcdefghijkl")
    ((scan,),) = scanner.scan([page_with_ink(84, 56, (0, 0), (1, 2))])
    assert scan.style.name == spoken
    bins = styles[spoken].bins_per_token
    assert [line.text.strip() for line in scan.transcript.lines][:1] == ["abcdefghijkl"[:bins]]


def test_cells_without_ink_hold_nothing_whatever_the_tower_says(styles: dict[str, NanoStyle]):
    scanner = scanner_of(styles, "A", "abcdefghijkl")
    ((scan,),) = scanner.scan([page_with_ink(84, 56, (1, 1))])
    assert [line.text for line in scan.transcript.lines] == ["abcdef", "ghijkl"]
    assert [line.box.top_px for line in scan.transcript.lines if line.box] == [28, 42]
    assert [scan.line(number).text for number in (1, 2, 3, 4)] == ["", "", "abcdef", "ghijkl"]
    ((empty,),) = scanner.scan([page_with_ink(84, 56)])
    assert empty.transcript.lines == ()


def test_pages_are_filled_up_to_the_smallest_trained_size(styles: dict[str, NanoStyle]):
    scanner = scanner_of(styles, "A", "abc")
    pages = [page_with_ink(w, h, (0, 0)) for w, h in ((56, 28), (112, 56), (196, 56))]
    scans = [scan for group in scanner.scan(pages) for scan in group]
    assert [scan.grid for scan in scans] == [(2, 3), (4, 6), (2, 7)]
    assert [scan.is_trained_size for scan in scans] == [True, True, False]
    assert all(scan.transcript.lines[0].text == "abc" for scan in scans)


def test_pages_of_one_size_are_encoded_together_and_come_in_order(styles: dict[str, NanoStyle]):
    scanner = scanner_of(styles, "A", "abc")
    pages = [page_with_ink(168, 112, (row % 4, 0)) for row in range(40)]
    groups = list(scanner.scan(pages))
    assert [len(group) for group in groups] == [32, 8]
    tops = [scan.transcript.lines[0].box for group in groups for scan in group]
    assert [box.top_px // CELL_PX for box in tops if box] == [row % 4 for row in range(40)]


def test_a_page_off_the_grid_is_refused(styles: dict[str, NanoStyle]):
    with pytest.raises(ReaderError, match="a page of 100x56 px is not on the grid of visual token"):
        list(scanner_of(styles, "A", "abc").scan([page_with_ink(100, 56)]))


def test_a_page_that_speaks_no_known_code_is_refused(styles: dict[str, NanoStyle]):
    scanner = scanner_of({"A": styles["A"]}, "A", "abc")
    words = words_of(styles["A"], 0)
    between = (words + np.roll(words, 1, axis=1)) / 2
    strange = SpokenPages(styles["A"], between, "abcdefghijkl")
    with pytest.raises(ReaderError, match=r"of a style the nano reader never learned .*A \(mono"):
        list(Scanner(strange, scanner.heads).scan([page_with_ink(84, 56, (0, 0))]))
