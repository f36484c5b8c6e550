"""Reading visual tokens by the nearest code word, without a trained network."""

import numpy as np
import pytest

from glyph.pages import Box
from glyph.readers.nano.glyphs import NUM_CLASSES, GlyphHead, SlotReading, transcript_of
from glyph.readers.nano.spec import OTHER_ID, NanoStyle, load_spec

ROWS, COLS, WIDTH = 2, 3, 256


def words_of(style: NanoStyle) -> np.ndarray:
    """Return a code with a block of the width for every slot."""
    rng = np.random.default_rng(0)
    size = WIDTH // style.num_slots
    word_KVD = np.zeros((style.num_slots, NUM_CLASSES, WIDTH), np.float32)
    for slot in range(style.num_slots):
        block = slice(slot * size, (slot + 1) * size)
        word_KVD[slot, 1:, block] = rng.standard_normal((NUM_CLASSES - 1, size))
    return word_KVD


def page_of(style: NanoStyle) -> tuple[np.ndarray, np.ndarray]:
    """Return random slots, a third of them empty, and the tokens that say them."""
    rng = np.random.default_rng(1)
    class_RCK = rng.integers(1, NUM_CLASSES, (ROWS, COLS, style.num_slots))
    class_RCK[rng.random(class_RCK.shape) < 1 / 3] = 0
    words = words_of(style)
    token_TD = sum(words[k, class_RCK[..., k]] for k in range(style.num_slots))
    id_RCK = np.where(class_RCK > 0, class_RCK + 31, 0)
    return id_RCK, np.asarray(token_TD, np.float32).reshape(-1, WIDTH)


@pytest.mark.parametrize("name", ["A", "D", "E", "N", "P"])
def test_every_slot_is_named_and_noise_lowers_confidence(name: str):
    style = load_spec().style(name)
    id_RCK, token_TD = page_of(style)
    head = GlyphHead(style, words_of(style))
    read = head.read(token_TD, ROWS, COLS)
    np.testing.assert_array_equal(read.id_RCK, id_RCK)
    noise = np.random.default_rng(2).standard_normal(token_TD.shape).astype(np.float32)
    blurred = head.read(token_TD + noise, ROWS, COLS)
    assert blurred.confidence < read.confidence <= 1


def reading(style: NanoStyle, lines: list[str], cols: int = 2) -> SlotReading:
    """Put one character into each bin of each line."""
    rows = -(-len(lines) // style.lines_per_token)
    table = np.zeros((rows * style.lines_per_token, cols * style.bins_per_token), np.uint8)
    for number, line in enumerate(lines):
        table[number, : len(line)] = [min(ord(c), OTHER_ID) for c in line]
    shaped = table.reshape(rows, style.lines_per_token, cols, style.bins_per_token)
    id_RCK = shaped.transpose(0, 2, 1, 3).reshape(rows, cols, -1)
    return SlotReading(id_RCK, np.full(id_RCK.shape, 0.9, np.float32))


def test_lines_come_with_the_place_of_every_character():
    style = load_spec().style("N")
    (first, second) = transcript_of(reading(style, ["  ab c  ", "xy"]), style).lines
    assert first.text == "  ab c"
    assert first.box == Box(7, 0, 21, 14)
    assert first.box_of(2, 4) == Box(7, 0, 14, 14)
    assert (second.text, second.box) == ("xy", Box(0, 14, 7, 28))
    assert first.confidence == pytest.approx(0.9)


def test_a_mark_ends_a_line_where_text_flows_and_is_a_character_elsewhere():
    flowing, breaking = load_spec().style("N"), load_spec().style("A")
    lines = transcript_of(reading(flowing, ["one\u00b6two\u00b6\u00b6three"]), flowing).lines
    assert [line.text for line in lines] == ["one", "two", "three"]
    assert lines[1].box == Box(14, 0, 25, 14)
    (line,) = transcript_of(reading(breaking, ["one\u00b6two"]), breaking).lines
    assert line.text == "one\ufffdtwo"


def test_empty_lines_are_left_out():
    style = load_spec().style("A")
    assert transcript_of(reading(style, ["", "   ", "a", ""]), style).text == "a"
