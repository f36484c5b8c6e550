"""Unwrapping: hard-wrapped prose is given back, and nothing else is touched."""

import itertools
import random
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph.documents import document_from_text, load_document
from glyph.unwrap import find_soft_breaks

WORDS = re.findall(
    r"\S+",
    """a I the of and was to in that had with his were out-door window-seat shrubbery possibility
    walking indeed leafless hour morning, dinner; company. penetrating exercise question? wind
    clouds sombre (early) Bessie nurse, humbled consciousness physical inferiority “Jane”""",
)
POEM = """\
The lamp is low, the street is long,
And every window holds a song
That no one sings, that no one hears,
And all the rain is made of years.

The river turns beneath the stone,
It carries what we called our own
Past every bridge and every light
And gives it slowly to the night.
"""
FREE_VERSE = """\
here is a line of the sea
and a line of the much longer shore that waits
for nothing
and the gulls that turn above it in the wind
turn
and are gone before the evening settles over the roofs
of the town
where somebody closes a door
and somebody else remembers the name of a street
"""
CODE = """\
import numpy as np
from pathlib import Path
LIMIT_OF_ALL_THE_THINGS_THAT_CAN_BE_COUNTED = 1_000_000_000
def total(values, weights, threshold, default_when_nothing_is_given):
    result = 0
    for value, weight in zip(values, weights):
        if value > threshold:
            result += value * weight
    return result or default_when_nothing_is_given
print(total([1, 2, 3], [4, 5, 6], threshold=1, default_when_nothing_is_given=0))
print(total([7, 8, 9], [1, 1, 1], threshold=2, default_when_nothing_is_given=1))
print(total([3, 3, 3], [2, 2, 2], threshold=3, default_when_nothing_is_given=2))
"""
CSV = "name,city,amount,comment\n" + "".join(
    f"{name} Smith,{city},{amount},{comment}\n"
    for name, city, amount, comment in [
        ("Ann", "Oslo on the fjord", 120, "paid in full on the first day"),
        ("Bob", "Lima by the sea", 87, "still open since the last meeting"),
        ("Cleo", "Rome upon seven hills", 4411, "paid after a second letter"),
        ("Dan", "Perth far in the west", 19, "asked for another invoice copy"),
        ("Eve", "Quito high in the hills", 350, "paid half and promised more"),
    ]
)
RECORDS_OF_WORDS = "".join(
    f"{'the old name of it,some words of it;a place we know,and what is said of it':.{width}}\n"
    for width in (72, 70, 71, 72, 69, 72, 71, 70, 72)
)
TABLE = """\
Item                      Where it is kept             Number of them
Large boxes of paper      the cellar under the house   seventeen left
Small boxes of pencils    the room beside the stairs   forty are left
Bottles of black ink      the cupboard in the office   none are there
Rolls of brown string     the drawer under the desk    two of the old
Sheets of thin card       the shelf above the window   a hundred more
"""
MARKDOWN_LIST = """\
# Things to do before the long journey to the far and quiet north begins

- pack the warm coats, the good boots and everything that keeps out the
- rain, then close the windows and carry the plants down to the neighbour
- who promised to water them twice in every week until we are back again
1. write the letters that must be written before anyone can leave here at
2. all, and take them to the post before the office closes for the weekend
> quoted lines are kept as they are even when they are as long as the lines
> of a paragraph that was wrapped at a width of about seventy-two columns
"""
RECORDS = "".join(
    f"{'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'[i:] + 'AAAA' * 9:.64}\n"
    for i in range(20)
)


def prose(seed: int, num_paragraphs: int = 60) -> str:
    """Return paragraphs of random words, a blank line between them."""
    rng = random.Random(seed)
    return "\n\n".join(
        " ".join(rng.choices(WORDS, k=rng.randint(1, 120))) for _ in range(num_paragraphs)
    )


def wrapped(text: str, width: int) -> str:
    """Wrap each line that is not indented, as a typewriter would: at single spaces only."""
    return "\n".join(line if line[:1] == " " else fill(line, width) for line in text.split("\n"))


def fill(line: str, width: int) -> str:
    first, *words = line.split(" ")
    lines = [first]
    for word in words:
        if len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return "\n".join(lines)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(48, 110))
def test_prose_wrapped_at_any_common_width_is_given_back_exactly(seed: int, width: int):
    text = prose(seed)
    document = document_from_text(wrapped(text, width))
    assert document.text == text


@pytest.mark.parametrize("width", [60, 72, 76, 80, 100])
@pytest.mark.parametrize(
    "book",
    [
        "jane_eyre",
        "pride_and_prejudice",
        "adventures_of_sherlock_holmes",
        "picture_of_dorian_gray",
    ],
)
def test_a_whole_novel_wrapped_again_is_given_back_exactly(
    book: str, width: int, data_folder: Path
):
    text = (data_folder / "books" / f"{book}.txt").read_bytes().decode()
    document = load_document(wrapped(text, width).encode())
    assert document.text == text
    assert document.notes == (
        f"unwrapped {wrapped(text, width).count(chr(10)) - text.count(chr(10))} lines",
    )


def test_text_that_is_already_unwrapped_is_left_alone():
    text = prose(1)
    assert document_from_text(text).text == text
    assert document_from_text(text).notes == ()


@pytest.mark.parametrize(
    "text",
    [
        POEM,
        FREE_VERSE,
        CODE,
        CSV,
        TABLE,
        MARKDOWN_LIST,
        RECORDS,
        RECORDS_OF_WORDS,
        POEM * 30,
        CODE * 30,
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.md"])
@pytest.mark.parametrize("unwrap", [None, True])
def test_lines_that_mean_something_are_never_joined(text: str, name: str, unwrap: bool | None):
    assert document_from_text(text, name=name, unwrap=unwrap).text == text


@pytest.mark.parametrize("block", [POEM, CSV, TABLE, MARKDOWN_LIST, RECORDS, RECORDS_OF_WORDS])
def test_such_lines_stay_even_within_wrapped_prose(block: str):
    before, after = prose(2, 30), prose(3, 30)
    mixed = f"{before}\n\n{block}\n\n{after}"
    source = f"{wrapped(before, 72)}\n\n{block}\n\n{wrapped(after, 72)}"
    assert document_from_text(source).text == mixed


def test_indented_blocks_within_wrapped_prose_are_kept():
    verse = '   "Where the Northern Ocean, in vast whirls,\n   Boils round the melancholy isles"'
    letter = "  " + "\n  ".join(fill(" ".join(WORDS * 3), 70).split("\n"))
    text = "\n\n".join([prose(4, 20), verse, letter, prose(5, 20)])
    assert document_from_text(wrapped(text, 72)).text == text


def test_paragraphs_without_blank_lines_keep_their_ends():
    text = "First of all, " + "\nThen there was more. ".join(" ".join(WORDS * 4) for _ in range(9))
    assert document_from_text(wrapped(text, 72)).text == text


def test_a_nearly_full_line_that_ends_a_sentence_ends_a_paragraph_only_among_short_ones():
    short = "of it.\nThe next began with some more words of the same kind as all the others"
    nearly = "in the old house there were six rooms and a hall with a clock.\nIt struck four times"
    body = wrapped(" ".join(WORDS * 6), 66)
    among_short = f"{body}\n{nearly} {short}\n{body}"
    assert "with a clock.\nIt struck" in document_from_text(among_short).text
    full_lines = body.rpartition("\n")[0]
    alone = f"{body}\n\n{full_lines}\n{nearly}"
    assert "with a clock. It struck" in document_from_text(alone).text


def test_a_word_longer_than_the_width_does_not_stop_the_joining():
    address = "https://example.org/" + "a-very-long-part/" * 6
    text = re.sub(r"(?m)^((?:\S+ ){30})", rf"\1{address} ", prose(11))
    assert text.count(address) > 30
    assert document_from_text(wrapped(text, 72)).text == text


def test_a_rule_right_above_or_below_a_paragraph_is_kept():
    paragraph = " ".join(WORDS * 6)
    text = f"{'=' * 72}\n{paragraph}\n{'-' * 72}\n{paragraph}\n{'*' * 72}"
    assert document_from_text(wrapped(text, 72)).text == text


def test_a_markdown_fence_and_a_hard_break_are_kept():
    fence = "```\n" + "\n".join(
        ["some words that fill the line up to the common width of lines"] * 9
    )
    hard = "a line of a poem or an address that ends with two spaces and is as  \nlong as a wrapped"
    text = f"{prose(6, 20)}\n\n{fence}\n```\n\n{hard}\n\n{prose(7, 20)}"
    source = "\n\n".join(
        [wrapped(prose(6, 20), 66), fence + "\n```", hard, wrapped(prose(7, 20), 66)]
    )
    assert document_from_text(source, name="a.md").text == text


def test_two_columns_of_widths_in_one_text_are_both_found():
    text = prose(8, 40), prose(9, 40)
    source = f"{wrapped(text[0], 50)}\n\n{wrapped(text[1], 90)}"
    joined = document_from_text(source).text
    long_paragraphs = [part for part in "\n\n".join(text).split("\n\n") if len(part) > 700]
    assert len(long_paragraphs) > 5
    assert all(part in joined for part in long_paragraphs)


def test_chinese_lines_are_joined_without_a_space():
    paragraph = "话说天下大势分久必合合久必分周末七国分争并入于秦及秦灭之后楚汉分争又并入于汉" * 9
    lines = "\n".join(paragraph[i : i + 36] for i in range(0, len(paragraph), 36))
    assert document_from_text(f"{lines}\n\n{lines}\n").text == f"{paragraph}\n\n{paragraph}\n"


def test_a_soft_hyphen_at_a_line_end_goes_and_a_plain_hyphen_stays():
    source = "He spoke of the in\u00ad\nvention and of a well-\nknown one."
    document = document_from_text(source, unwrap=True)
    assert document.text == "He spoke of the invention and of a well- known one."


def test_a_wrapper_that_breaks_at_hyphens_is_undone_too():
    text = prose(10, 120)
    source = "\n\n".join(textwrap.fill(part, 72) for part in text.split("\n\n"))
    assert "out-\ndoor" in source
    assert document_from_text(source).text == text


def test_weak_evidence_is_used_only_on_request():
    source = "It was a bright cold day in April, and the clocks\nwere striking thirteen."
    assert document_from_text(source).text == source
    assert document_from_text(source, unwrap=True).text == source.replace("\n", " ")
    assert document_from_text(wrapped(prose(1), 72), unwrap=False).notes == ()


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.sampled_from("ab .,-\n\u00ad\u3000漢。\t|#1)"), max_size=400),
    forced=st.booleans(),
    markdown=st.booleans(),
)
def test_unwrapping_takes_out_only_white_space_and_soft_hyphens(
    text: str, forced: bool, markdown: bool
):
    breaks = find_soft_breaks(text, forced=forced, markdown=markdown)
    spans = list(zip(breaks.starts.tolist(), breaks.ends.tolist(), strict=True))
    assert all(text[start:end].lstrip("\u00ad").strip(" \t\u3000\n") == "" for start, end in spans)
    assert all(text[end - 1] == "\n" and text[start:end].count("\n") == 1 for start, end in spans)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), width=st.integers(20, 130), newline=st.sampled_from(["\n", "\r\n"])
)
def test_every_character_of_an_unwrapped_text_leads_to_its_own_in_the_source(
    seed: int, width: int, newline: str
):
    source = wrapped(prose(seed, 20), width).replace("\n", newline)
    document = document_from_text(source)
    offsets = document.source.to_source(np.arange(len(document.text))).tolist()
    assert all(
        character == source[offset] or (character in " \n" and source[offset] == newline[0])
        for character, offset in zip(document.text, offsets, strict=True)
    )
    assert "".join(document.text.split()) == "".join(source.split())
