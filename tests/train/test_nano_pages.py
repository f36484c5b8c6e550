"""Pages of the nano reader: labels say what the pixels show, and texts are what they claim."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph.errors import ConfigError, DocumentError
from glyph.readers.nano.spec import CELL_PX, OTHER_ID, char_ids, chars_of, load_spec
from glyph.train.nano.corpus import (
    TextMixture,
    book_mixture,
    plain_text,
    random_mixture,
    training_mixture,
    unwrap_lines,
)
from glyph.train.nano.pages import (
    chars_per_page,
    labelled_page_stream,
    read_slots,
    render_labelled,
    slot_labels,
)

DATA = Path(os.environ.get("GLYPH_DATA", Path(__file__).parents[3] / "shared" / "data"))
MONO = ["A", "D", "E"]
PRINTABLE = "".join(map(chr, range(33, 127)))
WIDTH_PX, HEIGHT_PX = 168, 112


@pytest.mark.parametrize("name", MONO)
def test_every_character_of_a_mono_style_advances_by_whole_pixels(name: str):
    style = load_spec().style(name)
    text = PRINTABLE + " é"
    plane_HW, chars = next(labelled_page_stream(text, style, 588, HEIGHT_PX))
    columns_N = 588 // style.advance_px
    center_N = (np.arange(columns_N) + 0.5) * style.advance_px
    first = chars.row_N * style.lines_per_token + chars.line_N == 0
    assert plane_HW.shape == (HEIGHT_PX, 588)
    expected = center_N[: int(first.sum())]
    assert (chars.col_N[first] == expected // CELL_PX).all()
    assert (chars.bin_N[first] == expected % CELL_PX * style.bins_per_token // CELL_PX).all()


@pytest.mark.parametrize("name", [*MONO, "P"])
def test_a_character_alone_puts_its_ink_into_the_labelled_slot(name: str):
    style = load_spec().style(name)
    slot_width_px = CELL_PX / style.bins_per_token
    slot_height_px = CELL_PX / style.lines_per_token
    for line in range(0, HEIGHT_PX // int(style.line_height_pt), 2):
        for indent in (0, 1, 7, 18):
            text = "\n" * line + "\u2007" * indent + "8"
            plane_HW, chars = next(labelled_page_stream(text, style, WIDTH_PX, HEIGHT_PX))
            dark_px = np.argwhere(plane_HW < 255)
            weight = 255.0 - plane_HW[plane_HW < 255]
            center_y, center_x = (dark_px * weight[:, None]).sum(0) / weight.sum()
            top = chars.row_N[-1] * CELL_PX + chars.line_N[-1] * slot_height_px
            left = chars.col_N[-1] * CELL_PX + chars.bin_N[-1] * slot_width_px
            assert top <= center_y < top + slot_height_px
            # The digit is symmetric but its side bearings are not quite.
            assert left - 0.6 <= center_x < left + slot_width_px + 0.6
            assert chars.id_N[-1] == ord("8")


@pytest.mark.parametrize("name", [*MONO, "P"])
def test_erasing_a_character_changes_pixels_only_around_its_slot(name: str):
    style = load_spec().style(name)
    text = "The quick brown fox jumps over the lazy dog, 0123456789 times."
    for at in (0, 4, 20, 33, 50):
        plane_HW, chars = next(labelled_page_stream(text, style, 588, 28))
        other = text[:at] + ("x" if style.advance_px else text[at]) + text[at + 1 :]
        changed_HW, _ = next(labelled_page_stream(other, style, 588, 28))
        moved = np.flatnonzero((plane_HW != changed_HW).any(0))
        if not len(moved):
            continue
        left = chars.col_N[at] * CELL_PX + chars.bin_N[at] * CELL_PX / style.bins_per_token
        assert left - style.advance_px <= moved.min()
        assert moved.max() <= left + 2 * style.advance_px + 1


@pytest.mark.parametrize("name", MONO)
def test_no_two_characters_of_a_mono_style_share_a_slot(name: str):
    style = load_spec().style(name)
    text = PRINTABLE * 20
    _, chars = next(labelled_page_stream(text, style, 336, 448))
    slot_RCK = slot_labels(chars, 336, 448, style)
    assert int((slot_RCK > 0).sum()) == len(chars.id_N)


@settings(max_examples=40, deadline=None)
@given(
    st.text(alphabet=PRINTABLE + " \n", min_size=1, max_size=300),
    st.sampled_from(MONO),
)
def test_reading_the_labels_gives_the_text_back(text: str, name: str):
    style = load_spec().style(name)
    found: list[str] = []
    for plane_HW, chars in labelled_page_stream(text, style, 168, 56):
        height_px, width_px = plane_HW.shape
        found += read_slots(slot_labels(chars, width_px, height_px, style), style)
    squeezed = "".join("".join(found).split())
    assert squeezed == "".join(text.split())


def test_a_text_too_short_for_the_pages_wanted_is_refused():
    with pytest.raises(ConfigError, match="the text fills 1 pages of 84x56 px and 3 are wanted"):
        render_labelled("short", load_spec().style("A"), 84, 56, num_pages=3)


def test_a_page_off_the_grid_is_refused():
    with pytest.raises(ConfigError, match="not on the grid of visual tokens"):
        load_spec().style("A").config(100, 56)


def test_an_unknown_style_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match="unknown nano style 'Q'; styles: A, D, E, M, N, P"):
        load_spec().style("Q")


def test_vocabulary_ids_are_characters_and_back():
    text = PRINTABLE + " \n"
    assert chars_of(char_ids(text)) == text
    assert char_ids("é\u4e2d").tolist() == [OTHER_ID, OTHER_ID]


def test_dense_styles_hold_the_characters_that_the_compression_claims_rest_on():
    for name, least in (("A", 11), ("D", 16), ("E", 21)):
        style = load_spec().style(name)
        tokens = (WIDTH_PX // CELL_PX) * (HEIGHT_PX // CELL_PX)
        assert chars_per_page(style, WIDTH_PX, HEIGHT_PX) >= least * tokens


def test_typographic_signs_become_ascii_and_the_rest_one_sign():
    text = "\u201cWait\u201d\u2014he said\u2026 \u4e2d"
    assert plain_text(text) == '"Wait"--he said... \u00a4'
    assert unwrap_lines("a\nb\n\n\nc") == "a b\nc"


def test_random_sections_are_a_third_of_the_training_text():
    mixture = TextMixture(("~" * 10_000,), (1.0,), 0.35)
    text = mixture.sample(np.random.default_rng(0), 200_000)
    share = 1 - text.count("~") / len(text)
    assert 0.28 < share < 0.42


def test_one_seed_gives_one_text():
    one = random_mixture().sample(np.random.default_rng(3), 5000)
    assert one == random_mixture().sample(np.random.default_rng(3), 5000)
    assert one != random_mixture().sample(np.random.default_rng(4), 5000)


def test_random_text_uses_every_printable_character():
    text = random_mixture().sample(np.random.default_rng(0), 100_000)
    assert set(PRINTABLE) <= set(text)


def test_a_folder_without_texts_is_refused(tmp_path: Path):
    with pytest.raises(DocumentError, match=r"no \.txt file under"):
        training_mixture(tmp_path)
    with pytest.raises(DocumentError, match=r"no English \.txt file in"):
        book_mixture(tmp_path)


def test_held_out_books_are_english_ones():
    books = DATA / "books"
    if not books.is_dir():
        pytest.skip(f"no books under {DATA}; set GLYPH_DATA")
    mixture = book_mixture(books)
    assert len(mixture.sources) == 4
    sample = mixture.sample(np.random.default_rng(0), 20_000)
    assert np.mean(char_ids(sample) == OTHER_ID) < 0.005


def test_typographic_signs_are_labelled_with_their_ascii_form():
    style = load_spec().style("A")
    text = "\u201cYes\u201d \u2014 it\u2019s\u2026\n" * 12
    pages = render_labelled(text, style, 112, 84, num_pages=1)
    assert read_slots(pages.slot_PRCK[0], style)[0] == '"Yes" - it\'s.'
