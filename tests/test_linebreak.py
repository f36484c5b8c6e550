import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph import kernel
from glyph.linebreak import Break, break_table, numpy_breaks
from glyph.unicode_data import (
    LineBreak,
    is_cluster_extend,
    line_break_class,
    needs_shaping,
    script_of,
    script_tags,
)

UNICODE_DATA = Path(os.environ.get("GLYPH_UNICODE_DATA", "/usr/share/unicode"))
REPOSITORY = Path(__file__).parent.parent
Breaks = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]


def unicode_file(name: str) -> Path:
    path = UNICODE_DATA / name
    if not path.exists():
        pytest.skip(f"{name} is absent: install unicode-data or set GLYPH_UNICODE_DATA")
    return path


def data_lines(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = [field.strip() for field in line.split("#")[0].split(";")]
        if fields != [""]:
            yield fields


def code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def classes_of(text: str) -> npt.NDArray[np.uint8]:
    return line_break_class().take(code_points(text))


@pytest.fixture(params=["numpy", "c"])
def breaks(request: pytest.FixtureRequest) -> Iterator[Breaks]:
    if request.param == "c" and not kernel.has_native():
        pytest.skip("the C kernel was not built")
    with kernel.using(request.param):
        yield kernel.line_breaks


def pieces(text: str, breaks: Breaks = numpy_breaks) -> list[str]:
    cuts = np.flatnonzero(breaks(classes_of(text))[:-1]) + 1
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def test_every_line_of_the_conformance_file_breaks_as_it_says(breaks: Breaks) -> None:
    wrong: list[str] = []
    total = 0
    for (line,) in data_lines(unicode_file("auxiliary/LineBreakTest.txt")):
        marks, codes = line.split()[0::2], line.split()[1::2]
        found = breaks(line_break_class().take(np.array([int(code, 16) for code in codes])))
        # The file marks the end of the text as a break; here it is one only when mandatory.
        if ["÷" if value else "×" for value in found[:-1]] != marks[1:-1]:
            wrong.append(line)
        total += 1
    assert total > 7000
    assert wrong == []


def test_the_conformance_file_in_one_text_breaks_the_same(breaks: Breaks) -> None:
    codes: list[int] = []
    expected: list[bool] = []
    for (line,) in data_lines(unicode_file("auxiliary/LineBreakTest.txt")):
        codes += [*(int(code, 16) for code in line.split()[1::2]), 0x2029]
        # A paragraph separator joins what is before it and ends the line.
        expected += [*(mark == "÷" for mark in line.split()[2:-1:2]), False, True]
    found = breaks(line_break_class().take(np.array(codes)))
    hard = np.isin(line_break_class().take(np.array(codes)), [0, 1, 2, 3])
    differs = (found > 0) != np.array(expected)
    # Where a line of the file ends in BK, CR, LF or NL, there is a break before our separator.
    assert not np.any(differs & ~hard)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(LineBreak) - 1), max_size=60))
def test_numpy_and_c_agree_on_random_classes(classes: list[int]) -> None:
    if not kernel.has_native():
        pytest.skip("the C kernel was not built")
    classes_N = np.array(classes, np.uint8)
    with kernel.using("c"):
        native = kernel.line_breaks(classes_N)
    assert native.tolist() == numpy_breaks(classes_N).tolist()


@settings(deadline=None)
@given(st.data())
def test_numpy_and_c_agree_on_long_runs_of_few_classes(data: st.DataObject) -> None:
    if not kernel.has_native():
        pytest.skip("the C kernel was not built")
    pool = data.draw(st.lists(st.sampled_from(list(LineBreak)), min_size=1, max_size=4))
    classes_N = np.array(data.draw(st.lists(st.sampled_from(pool), max_size=200)), np.uint8)
    with kernel.using("c"):
        native = kernel.line_breaks(classes_N)
    assert native.tolist() == numpy_breaks(classes_N).tolist()


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_a_hard_break_separates_what_precedes_from_what_follows(first: str, second: str) -> None:
    joined = numpy_breaks(classes_of(first + "\n" + second))
    alone = numpy_breaks(classes_of(second))
    assert joined[len(first)] == Break.MANDATORY
    assert joined[len(first) + 1 :].tolist() == alone.tolist()


@settings(deadline=None)
@given(st.text(max_size=100))
def test_no_line_begins_with_a_space_or_a_mark_after_a_letter(text: str) -> None:
    classes = classes_of(text)
    found = numpy_breaks(classes)
    hard = np.isin(classes[:-1], [LineBreak.BK, LineBreak.CR, LineBreak.LF, LineBreak.NL])
    assert not np.any((found[:-1] > 0) & ~hard & (classes[1:] == LineBreak.SP))
    is_letter = classes[:-1] == LineBreak.AL
    assert not np.any((found[:-1] > 0) & is_letter & (classes[1:] == LineBreak.CM))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat, 1,234.56 dogs.", "The |cat, |1,234.56 |dogs."),
        ("Pay $1,234.56 or 20% (EUR 5).", "Pay |$1,234.56 |or |20% |(EUR |5)."),
        ("a $(12) b −(5)% c", "a |$(12) |b |−(5)% |c"),
        ("$(12)字 (1.,)% 字", "$(12)|字 |(1.,)% |字"),
        ("字字$\u200d(1", "字|字|$\u200d(1"),
        ("well-known e-mail -5 -x", "well-|known |e-|mail |-5 |-|x"),
        ("10\u00a0km and 7\u202f%", "10\u00a0km |and |7\u202f%"),
        ("un\u200bbreak\u2060able", "un\u200b|break\u2060able"),
        ("https://example.org/a/b?q=1", "https://|example.org/|a/|b?|q=1"),
        ("dit «\u00a0oui\u202f» puis (« non »)", "dit |«\u00a0oui\u202f» |puis |(« |non |»)"),
        ("彼は「はい。」と言った", "彼|は|「は|い。」|と|言っ|た"),
        ("（東京）、ラーメン", "（東|京）、|ラー|メ|ン"),
        ("一二three四", "一|二|three|四"),
        ("한국어 문장", "한|국|어 |문|장"),
        ("A\U0001f469\u200d\U0001f4bb!", "A|\U0001f469\u200d\U0001f4bb!"),
        ("\U0001f44d\U0001f3fdB", "\U0001f44d\U0001f3fd|B"),
        ("\U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7|\U0001f1e9\U0001f1ea"),
        ("שלום-עולם x", "שלום-עולם |x"),
        ("x — y—z", "x |— |y|—|z"),
        ("e\u0301a \u0301b", "e\u0301a |\u0301b"),
    ],
)
def test_typical_text_breaks_where_a_typesetter_would(
    text: str, expected: str, breaks: Breaks
) -> None:
    assert "|".join(pieces(text, breaks)) == expected


def test_hard_breaks_are_mandatory_and_cr_lf_stays_whole(breaks: Breaks) -> None:
    text = "a\r\nb\rc\nd\x0be\x85f\u2028g\u2029"
    found = breaks(classes_of(text))
    assert [text[i] for i in np.flatnonzero(found == Break.MANDATORY)] == list(
        "\n\r\n\x0b\x85\u2028\u2029"
    )
    assert breaks(classes_of("\n\n")).tolist() == [2, 2]


def test_the_last_character_has_no_break_unless_it_is_mandatory(breaks: Breaks) -> None:
    assert breaks(classes_of("word ")).tolist() == [0, 0, 0, 0, 0]
    assert breaks(classes_of("word\r")).tolist()[-1] == Break.MANDATORY
    assert breaks(classes_of("")).tolist() == []


def test_floods_of_one_class_are_resolved_alike(breaks: Breaks) -> None:
    flags = "🇦" * 30001
    for flood in ("e" + "\u0301" * 30000, flags, '"' + " " * 30000 + "(", "1,/" * 10000):
        assert breaks(classes_of(flood)).tolist() == numpy_breaks(classes_of(flood)).tolist()
    assert breaks(classes_of(flags))[:4].tolist() == [0, 1, 0, 1]


def test_unknown_high_bits_of_a_class_are_ignored_by_the_kernel(breaks: Breaks) -> None:
    classes = classes_of("one two (3)")
    assert breaks(classes | 0x80).tolist() == breaks(classes).tolist()


def test_every_entry_of_the_table_leads_to_a_state_that_exists() -> None:
    table = break_table().reshape(128, 64)
    reachable = {0}
    frontier = [0]
    while frontier:
        state = frontier.pop()
        for after in (int(entry) >> 6 & 127 for entry in table[state, : len(LineBreak)]):
            if after not in reachable:
                reachable.add(after)
                frontier.append(after)
    assert all(table[state, : len(LineBreak)].any() for state in reachable)
    assert max(reachable) < 128


def test_lone_surrogates_and_unassigned_code_points_count_as_letters() -> None:
    assert [LineBreak(line_break_class()[code]).name for code in (0xD800, 0x0378, 0x10FFFF)] == [
        "AL",
        "AL",
        "AL",
    ]
    assert LineBreak(line_break_class()[0x2FFF0]) is LineBreak.ID
    assert LineBreak(line_break_class()[0x1FAFF]) is LineBreak.ID_PICTOGRAPH


def test_the_committed_tables_are_what_the_tool_makes(tmp_path: Path) -> None:
    version = unicode_file("ReadMe.txt").read_text(encoding="utf-8")
    if "15.0.0" not in version:
        pytest.skip("the Unicode Character Database found is not version 15.0")
    out = tmp_path / "unicode_data.npz"
    subprocess.run(
        [sys.executable, REPOSITORY / "tools/make_unicode_tables.py", UNICODE_DATA, out],
        check=True,
        capture_output=True,
    )
    with np.load(out) as made, np.load(REPOSITORY / "src/glyph/unicode_data.npz") as committed:
        assert made.files == committed.files
        assert all(np.array_equal(made[name], committed[name]) for name in made.files)


def test_line_break_classes_equal_the_derived_file_after_lb1() -> None:
    long_names = {"Unknown": "AL", "Prefix_Numeric": "PR", "Ideographic": "ID"}
    resolved = {"AI": "AL", "SG": "AL", "XX": "AL", "CJ": "NS"} | long_names
    derived = np.full(0x110000, LineBreak.AL, np.uint8)
    south_east_asian = np.zeros(0x110000, np.bool_)
    text = unicode_file("extracted/DerivedLineBreak.txt").read_text(encoding="utf-8")
    for line in text.replace("# @missing: ", "").splitlines():
        match = re.match(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))? *; *(\w+)", line)
        if match:
            first, last, name = match.groups()
            span = slice(int(first, 16), int(last or first, 16) + 1)
            south_east_asian[span] = name == "SA"
            derived[span] = LineBreak.AL if name == "SA" else LineBreak[resolved.get(name, name)]
    ours = line_break_class().copy()
    ours[ours == LineBreak.OP_WIDE] = LineBreak.OP
    ours[ours == LineBreak.ID_PICTOGRAPH] = LineBreak.ID
    assert np.array_equal(ours[~south_east_asian], derived[~south_east_asian])
    assert set(ours[south_east_asian].tolist()) == {LineBreak.AL, LineBreak.CM}


def test_every_joining_or_indic_script_needs_shaping() -> None:
    tag_of = dict(zip(range(len(script_tags())), script_tags(), strict=True))
    simple = {"Zyyy", "Zinh", "Latn", "Grek", "Cyrl", "Hang", "Hani", "Zzzz"}
    wanted: set[str] = set()
    for codes, *fields in data_lines(unicode_file("ArabicShaping.txt")):
        if fields[1] in "DRLC":
            wanted.add(tag_of[script_of()[int(codes, 16)]])
    for codes, kind in data_lines(unicode_file("IndicSyllabicCategory.txt")):
        if kind in ("Consonant", "Vowel_Dependent", "Virama", "Consonant_Medial"):
            wanted.add(tag_of[script_of()[int(codes.partition("..")[0], 16)]])
    letters = {
        tag: np.flatnonzero(script_of() == index) for index, tag in tag_of.items() if tag in wanted
    }
    lacking = [tag for tag, codes in letters.items() if not needs_shaping()[codes].all()]
    assert len(wanted) > 60
    assert set(lacking) <= simple


@pytest.mark.parametrize(
    "char", list("אبनไ\u0301\u200d\u200c\ufe0f\u1100\u2067\U0001f1e6\U0001f3fb")
)
def test_characters_that_depend_on_their_neighbours_need_shaping(char: str) -> None:
    assert needs_shaping()[ord(char)]


@pytest.mark.parametrize("char", list("aé1 .,字あ한\U0001f600\u00a0€"))
def test_characters_that_stand_alone_need_no_shaping(char: str) -> None:
    assert not needs_shaping()[ord(char)]


def test_code_points_that_extend_a_cluster_never_begin_one() -> None:
    for (line,) in data_lines(unicode_file("auxiliary/GraphemeBreakTest.txt")):
        marks, codes = line.split()[0::2], [int(code, 16) for code in line.split()[1::2]]
        for mark, before, code in zip(marks[1:], codes, codes[1:], strict=False):
            is_control = before in (0x0A, 0x0D, 0x01)  # clusters never extend these
            is_jamo = code in (0x1160, 0x11A8)  # stand alone in the file, never in Korean text
            if is_cluster_extend()[code] and not is_control and not is_jamo:
                assert mark == "×", line
