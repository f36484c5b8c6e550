"""The sidecar: what is found, what is kept, and that no text makes it slow."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph.sidecar import ExactString, Sidecar, build_sidecar, exact_strings

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
UUID = "123e4567-e89b-12d3-a456-426614174000"
KEY = "sk-proj-aB3dE5gH7jK9mN1pQ3sT"
INVOICE = (
    f"Invoice no.: INV-2023-00045\nTotal = 1,204.50 USD\nThe file {SHA256} was sent.\n"
    f"Write to billing@example.org or see https://example.org/pay?id=77.\nTrace {UUID}.\n"
    "The old total of 1,204.50 USD and the year 1999 are in max_retries_left.\n"
)


def count_words(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]|\n", text))


@pytest.mark.parametrize(
    ("string", "kind"),
    [
        (UUID, "uuid"),
        (UUID.upper(), "uuid"),
        (SHA256, "hash"),
        (SHA256[:40].upper(), "hash"),
        (KEY, "hash"),
        ("3f2a9bc", "hex"),
        ("Glm4vForConditionalGeneration", "identifier"),
        ("9.36/7.62/7.64", "number"),
        ("0xDEADBEEF", "hex"),
        ("#ff00aa", "hex"),
        ("aa:bb:cc:dd:ee:ff", "hex"),
        ("INV-2023-00045", "code"),
        ("48213-A", "code"),
        ("DE89 3704 0044 0532 0130 00", "code"),
        ("192.168.0.1:8080", "code"),
        ("10.0.0.0/8", "code"),
        ("1,204.50 USD", "number"),
        ("$1.2 million", "number"),
        ("EUR 99.90", "number"),
        ("12%", "number"),
        ("-5.2 °C", "number"),
        ("1e-6", "number"),
        ("3.14159", "number"),
        ("1234567890", "number"),
        ("7 kg", "number"),
        ("+49 30 1234567", "number"),
        ("555-123-4567", "number"),
        ("4111 1111 1111 1111", "number"),
        ("1.5万元", "number"),
        ("https://a.example/b_(c)?d=1&e=2#f", "url"),
        ("postgres://user@host:5432/db", "url"),
        ("www.example.com/x", "url"),
        ("john.doe+news@mail.example.co.uk", "email"),
        ("max_retries", "identifier"),
        ("maxRetries", "identifier"),
        ("HTTPServer", "identifier"),
        ("os.path.is_dir", "identifier"),
        ("std::vec_of", "identifier"),
        ("__init__", "identifier"),
        ("layer2.weight_norm", "identifier"),
        ("/usr/lib/libz.so.1", "path"),
        ("~/notes/a.txt", "path"),
        ("../src/main.c", "path"),
        ("src/glyph/unwrap.py", "path"),
        ("C:\\Users\\me\\x.txt", "path"),
        ("2024-01-31", "date"),
        ("2024-01-31T10:20:30.5Z", "date"),
        ("31.01.2024", "date"),
        ("1/31/24", "date"),
        ("5 January 2020", "date"),
        ("Sept. 3rd, 1999", "date"),
        ("2024年1月31日", "date"),
        ("10:45 pm", "date"),
        ("v1.2.3", "version"),
        ("1.2.3-rc1", "version"),
        ("2.14.0", "version"),
    ],
)
@pytest.mark.parametrize(
    "around", ["{}", "see {} here", "({}), and", "“{}”.", "on {}.", "值为{}，", "x:\n{}\ny"]
)
def test_each_kind_is_found_whole_in_any_surrounding(string: str, kind: str, around: str):
    text = around.format(string)
    start = text.index(string)
    assert exact_strings(text) == (ExactString(string, kind, start, start + len(string)),)


@pytest.mark.parametrize(
    "string",
    [
        *(UUID, SHA256, KEY, "0xDEADBEEF", "INV-2023-00045", "192.168.0.1", "1,204.50", "12%"),
        *("a.b@example.org", "max_retries", "/usr/lib/libz.so", "2024-01-31", "31.01.2024"),
        *("10:45", "1.2.3-rc1"),
    ],
)
def test_a_string_within_chinese_text_needs_no_spaces(string: str):
    (found,) = exact_strings(f"于{string}起")
    assert (found.text, found.start) == (string, 1)


@pytest.mark.parametrize(
    "text",
    [
        "Plain words, and more of them: nothing here.",
        "He said it _was_ so; _not at all_, she said.",
        "the 1st and the 22nd of 12 men, page 7, a 7-year-old in the 11th-hour",
        "PDFs and VCs, _ignis-fatuus_-like",
        "and/or he/she, either/or, 1/2",
        "well-known, out-of-the-way, U.S. and e.g. this",
        "Chapter IV. THE END of it -- so there...",
        "第三章 话说天下大势",
        "¿Qué? Ça va très bien, Übermäßig",
        "// ---- :// @ # _ __ . .. ... $ % & ~ \\",
    ],
)
def test_prose_has_no_exact_strings(text: str):
    assert exact_strings(text) == ()


def test_repeated_strings_are_dropped_on_demand():
    text = f"{UUID} 512 MB {UUID} 512 MB"
    assert [found.text for found in exact_strings(text)] == [UUID, "512 MB"] * 2
    assert [found.start for found in exact_strings(text, unique=True)] == [0, 37]


@settings(max_examples=300)
@given(st.text(st.sampled_from("aZf09 _.-:/@#+$%,'\\()[]\n万é") | st.characters(), max_size=120))
def test_strings_stand_where_they_say_in_order_without_overlap(text: str):
    end = 0
    for found in exact_strings(text):
        assert text[found.start : found.end] == found.text
        assert end <= found.start
        assert "\n" not in found.text
        end = found.end


FLOODS = re.findall(
    r"\S+",
    r"""a. a/ a@ 1. 1, a- aB 0x 1: _ A / +1 - #a v1. x:// aa: a_ 1- $ é www. 1' ab: a1- a:: Ab. ff:
    12:34: . ~ ./ ../ \\ C:\\ a\\ 1e1 ABCa f -f AB 1a a@a. 一 1一 = ( ) a=1 " ` 9f a+ a@a a%""",
)


@pytest.mark.parametrize("unit", ["a", "1", "a.", "://"])
def test_a_megabyte_of_one_thing_is_searched_to_its_end(unit: str):
    # A pattern that is not linear would keep the whole test run from ending here.
    assert exact_strings(unit * (1_000_000 // len(unit)) + f" {UUID}")[-1].text == UUID


@pytest.mark.parametrize(
    "unit",
    [*FLOODS, " ", "\n", "1 ", "a ", "a@a.a ", "May 1", "1 May ", "1111 ", "a: 1 ", "DE89 AAAA "],
)
def test_a_flood_of_anything_is_searched_to_its_end(unit: str):
    found = exact_strings(unit * (100_000 // len(unit)) + f" \n{UUID}")
    assert found[-1].text == UUID
    assert all(len(string.text) <= 256 for string in found)


def test_strings_too_long_to_quote_are_left_out():
    assert exact_strings("0x" + "f" * 1000 + " " + "1" * 1000 + " www." + "a." * 1000) == ()


def pages_of(text: str, length: int) -> list[tuple[int, int]]:
    return [(at, min(at + length, len(text))) for at in range(0, len(text), length)]


def test_a_sidecar_reads_like_this():
    middle = INVOICE.index("Write to")
    sidecar = build_sidecar(INVOICE, [(0, middle), (middle, len(INVOICE))], 1000, count_words)
    assert sidecar.render() == (
        f"p1: {SHA256}, Invoice no: INV-2023-00045\n"
        "p1-2: Total: 1,204.50 USD\n"
        f"p2: {UUID}, billing@example.org, https://example.org/pay?id=77, max_retries_left, 1999"
    )
    assert sidecar.num_left_out == 0
    assert sidecar.num_tokens == count_words(sidecar.render())


def test_what_is_hardest_to_read_comes_first():
    text = (
        "EV-D68 on 2024-05-06 v1.2.3 in max_retries see a@b.org www.b.org 12.5 kg id 1234567890 "
        f"INV-2023 {SHA256}"
    )
    sidecar = build_sidecar(text, [(0, len(text))], 1000, count_words)
    assert [entry.kind for entry in sidecar.entries] == [
        *("hash", "number", "code", "number", "email", "url", "identifier", "date", "version"),
        "code",
    ]


def test_a_small_budget_keeps_the_hardest_then_what_still_fits_and_counts_the_rest():
    sidecar = build_sidecar(INVOICE, [(0, len(INVOICE))], 20, count_words)
    assert [entry.text for entry in sidecar.entries] == [SHA256, UUID, "max_retries_left", "1999"]
    assert sidecar.num_tokens == 17
    assert sidecar.num_left_out == 4
    assert build_sidecar(INVOICE, [(0, len(INVOICE))], 0, count_words) == Sidecar((), 0, 8)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [UUID, SHA256, KEY, "Total: 12.5 kg", "a_b = 17,000", "www.x.org/9", "1999"]
        ),
        max_size=30,
    ),
    st.integers(0, 60),
    st.integers(1, 80),
    st.sampled_from([count_words, lambda text: len(text) // 8]),
)
def test_a_sidecar_keeps_its_budget_and_is_the_same_each_time(
    strings: list[str], max_tokens: int, page_length: int, count_tokens: Callable[[str], int]
):
    text = " and then ".join(strings)
    spans = pages_of(text, page_length)
    sidecar = build_sidecar(text, spans, max_tokens, count_tokens)
    assert sidecar == build_sidecar(text, spans, max_tokens, count_tokens)
    assert sidecar.num_tokens == count_tokens(sidecar.render()) <= max_tokens
    for entry in sidecar.entries:
        touched = {
            page
            for page, (start, end) in enumerate(spans, 1)
            for at in (found.start() for found in re.finditer(re.escape(entry.text), text))
            if at < end and start < at + len(entry.text)
        }
        assert set(entry.pages) <= touched


def test_a_string_on_several_pages_is_listed_once_with_all_of_them():
    text = f"{UUID} " * 6
    spans = [(at * 37, at * 37 + 37) for at in (0, 1, 2, 4)]
    (entry,) = build_sidecar(text, spans, 100, count_words).entries
    assert entry.pages == (1, 2, 3, 4)
    text = f"{UUID} {'x' * 36} {UUID}"
    assert build_sidecar(text, pages_of(text, 37), 100, count_words).render() == f"p1,3: {UUID}"


def test_strings_outside_all_pages_are_ignored():
    assert build_sidecar(f"{UUID} shown {SHA256}", [(37, 42)], 100, count_words).entries == ()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Order number: 48213-A", "Order number"),
        ("total = 48213-A", "total"),
        ('{"order_ref": "48213-A"}', "order_ref"),
        ("**Order:** `48213-A`", "Order"),
        ("- Bestellnummer： 48213-A", "Bestellnummer"),
        ("| Ref: | 48213-A", ""),
        ("He told us that the last order number was: 48213-A", ""),
        ("Fig. 3: 48213-A", ""),
        ("see\nOrder: 48213-A", "Order"),
        ("Order:\n48213-A", ""),
        ("we sent 48213-A", ""),
    ],
)
def test_a_short_label_stays_bound_to_its_string(text: str, label: str):
    (entry,) = (
        entry
        for entry in build_sidecar(text, [(0, len(text))], 100, count_words).entries
        if entry.text == "48213-A"
    )
    assert entry.label == label


def test_one_string_under_two_labels_keeps_both_and_takes_in_the_bare_ones():
    text = "Net: 12.5 kg\nGross: 12.5 kg\nabout 12.5 kg in all"
    sidecar = build_sidecar(text, [(0, 13), (13, 28), (28, len(text))], 100, count_words)
    assert sidecar.render() == "p1,3: Net: 12.5 kg\np2: Gross: 12.5 kg"
