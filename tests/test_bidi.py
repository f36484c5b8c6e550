import os
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph.bidi import block_levels, embedding_levels, mirror, reset_line_levels, visual_order
from glyph.errors import ConfigError
from glyph.unicode_data import Bidi, bidi_class, bracket_type

UNICODE_DATA = Path(os.environ.get("GLYPH_UNICODE_DATA", "/usr/share/unicode"))
PARAGRAPH_SEPARATOR = 0x2029
NO_LEVEL = 255  # where the conformance files write x
SAMPLE = {
    "L": 0x61,
    "R": 0x5D0,
    "AL": 0x627,
    "EN": 0x31,
    "ES": 0x2B,
    "ET": 0x23,
    "AN": 0x660,
    "CS": 0x2C,
    "NSM": 0x300,
    "BN": 0xAD,
    "B": PARAGRAPH_SEPARATOR,
    "S": 0x09,
    "WS": 0x20,
    "ON": 0x21,
    "LRE": 0x202A,
    "RLE": 0x202B,
    "PDF": 0x202C,
    "LRO": 0x202D,
    "RLO": 0x202E,
    "LRI": 0x2066,
    "RLI": 0x2067,
    "FSI": 0x2068,
    "PDI": 0x2069,
}
special = [chr(code) for code in SAMPLE.values()] + list("()[]«»\n\r")
any_text = st.text(st.one_of(st.sampled_from(special), st.characters()), max_size=60)
Levels = list[int]
Case = tuple[list[int], int | None, Levels, int | None, list[int]]


def unicode_file(name: str) -> Path:
    path = UNICODE_DATA / name
    if not path.exists():
        pytest.skip(f"{name} is absent: install unicode-data or set GLYPH_UNICODE_DATA")
    return path


def code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def parse_levels(field: str) -> Levels:
    return [NO_LEVEL if level == "x" else int(level) for level in field.split()]


def character_cases() -> Iterator[Case]:
    for line in unicode_file("BidiCharacterTest.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            codes, base, paragraph, levels, order = line.split(";")
            yield (
                [int(code, 16) for code in codes.split()],
                {"0": 0, "1": 1, "2": None}[base],
                parse_levels(levels),
                int(paragraph),
                [int(index) for index in order.split()],
            )


def class_cases(share: float) -> Iterator[Case]:
    rng = random.Random(15)
    levels: Levels = []
    order: list[int] = []
    for line in unicode_file("BidiTest.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("@Levels:"):
            levels = parse_levels(line.removeprefix("@Levels:"))
        elif line.startswith("@Reorder:"):
            order = [int(index) for index in line.removeprefix("@Reorder:").split()]
        elif line and line[0] not in "#@" and rng.random() < share:
            types, bits = line.split(";")
            codes = [SAMPLE[name] for name in types.split()]
            for bit, base in ((1, None), (2, 0), (4, 1)):
                if int(bits, 16) & bit:
                    yield codes, base, levels, None, order


@cache
def order_of_kept(levels: tuple[int, ...], kept: tuple[bool, ...]) -> list[int]:
    order = visual_order(np.array(levels, np.uint8)).tolist()
    return [index for index in order if kept[index]]


def assert_conformance(cases: list[Case], base: int | None) -> None:
    """Resolve all cases as paragraphs of one block and compare each with its line of the file."""
    codes: list[int] = []
    starts: list[int] = []
    for case_codes, *_ in cases:
        starts.append(len(codes))
        codes += case_codes
        if codes[-1] != PARAGRAPH_SEPARATOR:
            codes.append(PARAGRAPH_SEPARATOR)
    codepoints_N = np.array(codes, np.uint32)
    levels_N, base_N = block_levels(codepoints_N, base)
    line_levels = reset_line_levels(levels_N, codepoints_N, base_N).tolist()
    bases = base_N.tolist()
    for start, (case_codes, _, expected, paragraph, order) in zip(starts, cases, strict=True):
        found = line_levels[start : start + len(case_codes)]
        kept = tuple(level != NO_LEVEL for level in expected)
        shown = [level if keep else NO_LEVEL for level, keep in zip(found, kept, strict=True)]
        assert shown == expected, case_codes
        assert paragraph in (None, bases[start]), case_codes
        assert order_of_kept(tuple(found), kept) == order, case_codes


@pytest.mark.parametrize("base", [0, 1, None])
def test_every_line_of_the_character_file_is_resolved_as_it_says(base: int | None) -> None:
    cases = [case for case in character_cases() if case[1] == base]
    assert len(cases) > 20
    assert_conformance(cases, base)


@pytest.mark.parametrize("base", [0, 1, None])
def test_a_seeded_tenth_of_the_class_file_is_resolved_as_it_says(base: int | None) -> None:
    cases = [case for case in class_cases(share=0.1) if case[1] == base]
    assert len(cases) > 10000
    assert_conformance(cases, base)


def test_one_paragraph_alone_gets_the_levels_that_it_gets_in_a_block() -> None:
    for codes, base, expected, paragraph, _ in list(character_cases())[::20]:
        codepoints_N = np.array(codes, np.uint32)
        levels_N, level = embedding_levels(codepoints_N, base)
        found = reset_line_levels(levels_N, codepoints_N, level)
        kept = np.array(expected) != NO_LEVEL
        assert found[kept].tolist() == np.array(expected)[kept].tolist(), codes
        assert level == paragraph


@settings(deadline=None)
@given(any_text, st.sampled_from([0, 1, None]))
def test_a_block_is_resolved_paragraph_by_paragraph(text: str, base: int | None) -> None:
    codepoints_N = code_points(text)
    levels_N, base_N = block_levels(codepoints_N, base)
    separators = {ord(char) for char in "\n\r\x1c\x1d\x1e\x85\u2029"}
    start = 0
    for i, code in enumerate(codepoints_N.tolist()):
        is_cr_lf = code == 0x0D and codepoints_N[i + 1 : i + 2].tolist() == [0x0A]
        if i + 1 == len(text) or (code in separators and not is_cr_lf):
            levels, level = embedding_levels(codepoints_N[start : i + 1], base)
            assert levels.tolist() == levels_N[start : i + 1].tolist()
            assert base_N[start : i + 1].tolist() == [level] * (i + 1 - start)
            start = i + 1


@settings(deadline=None)
@given(any_text, st.sampled_from([0, 1, None]))
def test_levels_stay_in_range_and_never_fall_below_the_paragraph(
    text: str, base: int | None
) -> None:
    levels_N, base_N = block_levels(code_points(text), base)
    assert np.all(levels_N >= base_N)
    assert np.all(levels_N <= 126)
    assert base is None or np.all(base_N == base)


@settings(deadline=None)
@given(st.text(st.sampled_from("abc, .12%()[]"), max_size=40))
def test_text_without_right_to_left_characters_is_left_as_it_is(text: str) -> None:
    levels_N, base = embedding_levels(code_points(text))
    assert base == 0
    assert not levels_N.any()


@settings(deadline=None)
@given(st.lists(st.integers(0, 126), max_size=80))
def test_visual_order_is_a_permutation_and_equals_the_rule_written_plainly(
    levels: list[int],
) -> None:
    order = list(range(len(levels)))
    for level in range(max(levels, default=0), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[start:end] = reversed(order[start:end])
            start = end + 1
    assert visual_order(np.array(levels, np.uint8)).tolist() == order
    assert sorted(order) == list(range(len(levels)))


def shown(text: str, base: int | None = None) -> str:
    """Return one line of text as it is seen, mirrored characters included."""
    codepoints_N = code_points(text)
    levels_N, level = embedding_levels(codepoints_N, base)
    levels_N = reset_line_levels(levels_N, codepoints_N, level)
    return "".join(
        chr(mirror(ord(text[i]))) if levels_N[i] & 1 else text[i] for i in visual_order(levels_N)
    )


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("אבג 123 דה", "הד 123 גבא"),
        ("he said (אבג) yes", "he said (גבא) yes"),
        ("see (سلام 12) end", "see (12 مالس) end"),
        ("אב (cd) ה", "ה (cd) בא"),
        ("אב 1,234.56%", "1,234.56% בא"),
        ("سعر 1,234%", "%1,234 رعس"),
        ("a\u2067אב c\u2069d", "a\u2067c בא\u2069d"),
        ("abc.", "abc."),
    ],
)
def test_typical_lines_are_shown_in_reading_order(text: str, seen: str) -> None:
    assert shown(text) == seen


def test_a_paragraph_takes_its_level_from_the_first_strong_character() -> None:
    assert embedding_levels(code_points("12 (אב) c"))[1] == 1
    assert embedding_levels(code_points("12 c אב"))[1] == 0
    assert embedding_levels(code_points("\u2067אב\u2069 c"))[1] == 0
    assert embedding_levels(code_points("... 12"))[1] == 0
    assert embedding_levels(code_points(""), 1)[1] == 1


def test_white_space_at_the_end_of_a_line_goes_back_to_the_paragraph_level() -> None:
    codepoints_N = code_points("אב \tab \u2069 ")
    levels_N, base = embedding_levels(codepoints_N)
    assert reset_line_levels(levels_N, codepoints_N, base).tolist() == [1, 1, 1, 1, 2, 2, 1, 1, 1]


def test_removed_characters_take_the_level_of_the_character_before_them() -> None:
    # An embedding, a Hebrew letter in it, its end, a Latin letter, a soft hyphen.
    levels_N, base = embedding_levels(code_points("\u202aא\u202cb\u00ad"))
    assert (levels_N.tolist(), base) == ([1, 3, 3, 2, 2], 1)
    levels_N, _ = block_levels(code_points("א\n\u202aa"))
    assert levels_N.tolist() == [1, 1, 0, 2]


def test_the_first_paragraph_of_a_block_can_continue_an_earlier_one() -> None:
    _, base_N = block_levels(code_points("abc\nabc\nאב"), first_base=1)
    assert base_N.tolist() == [1] * 4 + [0] * 4 + [1] * 2


def test_canonically_equivalent_brackets_pair() -> None:
    pairs = bracket_type()
    assert pairs[0x2329] == pairs[0x3008]
    assert pairs[0x232A] == pairs[0x3009]
    assert embedding_levels(code_points("א\u2329b\u3009"), 1)[0].tolist() == [1, 1, 2, 1]


def test_brackets_pair_over_any_distance() -> None:
    text = "א(" + "b " * 20000 + ")"
    levels_N, _ = embedding_levels(code_points(text))
    assert levels_N[[1, -1]].tolist() == [1, 1]


def test_deep_nesting_and_floods_are_resolved() -> None:
    for flood in ("\u2067" * 3000 + "א" + "\u2069" * 3000, "א" + "\u202b" * 3000, "(" * 3000 + "א"):
        levels_N, _ = embedding_levels(code_points(flood + "a"))
        assert levels_N.size == len(flood) + 1
        assert levels_N.max() <= 126


def test_levels_stop_at_the_depth_that_the_standard_sets() -> None:
    left_to_right, right_to_left, end = "\u202a", "\u202b", "\u202c"
    assert embedding_levels(code_points(left_to_right * 70 + "a"))[0][-1] == 124
    deepest = left_to_right * 62 + right_to_left * 3
    assert embedding_levels(code_points(deepest + "א"))[0][-1] == 125
    assert embedding_levels(code_points(deepest + "a"))[0][-1] == 126
    # Three ends undo the two embeddings that were too deep and the one at 125.
    assert embedding_levels(code_points(deepest + end * 3 + "a"))[0][-1] == 124


def test_the_end_of_an_isolate_forgets_the_overflow_inside_it() -> None:
    text = "a\u202b\u2067" + "\u202b" * 70 + "\u2069\u202ca"
    assert embedding_levels(code_points(text))[0][-1] == 0


def test_unassigned_code_points_have_the_direction_of_their_block() -> None:
    assert [Bidi(bidi_class()[code]).name for code in (0x05FF, 0x1ECFF, 0x0378, 0xFFFE)] == [
        "R",
        "R",
        "L",
        "BN",
    ]
    assert Bidi(bidi_class()[0x1EEFF]) is Bidi.AL


@pytest.mark.parametrize("function", [embedding_levels, block_levels])
def test_another_base_level_is_refused(function: object) -> None:
    assert callable(function)
    with pytest.raises(ConfigError) as error:
        function(code_points("a"), 2)
    assert str(error.value) == (
        "The level of a paragraph cannot be 2: pass 0 for left to right, 1 for right to left, "
        "or None to take it from the first strong character."
    )
