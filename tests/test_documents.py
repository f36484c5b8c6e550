"""Document intake: bytes to text, control characters, kinds, and the way back to the source."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph.documents import SourceMap, document_from_text, load_document
from glyph.errors import ConfigError, DocumentError

ROOT = Path(__file__).resolve().parents[1]
CODE = """\
def total(values, threshold):
    result = 0
    for value in values:
        if value > threshold:
            result += value
    return result
print(total([1, 2, 3], threshold=1))
print(total([7, 8, 9], threshold=2))
"""


def slow_map(kept: list[int], source_length: int) -> tuple[list[int], list[int]]:
    """Return both directions of a map by definition, ends included."""
    to_source = [*kept, source_length]
    to_text = [sum(offset < at for offset in kept) for at in range(source_length + 1)]
    return to_source, to_text


@st.composite
def removals(draw: st.DrawFn, max_length: int = 60) -> tuple[int, list[tuple[int, int]]]:
    length = draw(st.integers(0, max_length))
    cuts = sorted(draw(st.lists(st.integers(0, length), max_size=12)))
    return length, [(cuts[i], cuts[i + 1]) for i in range(0, len(cuts) - 1, 2)]


def make_map(length: int, spans: list[tuple[int, int]]) -> tuple[SourceMap, list[int]]:
    kept = [at for at in range(length) if not any(start <= at < end for start, end in spans)]
    return SourceMap.without(length, [s[0] for s in spans], [s[1] for s in spans]), kept


@given(removals())
def test_a_source_map_agrees_with_its_definition(case: tuple[int, list[tuple[int, int]]]):
    length, spans = case
    source_map, kept = make_map(length, spans)
    to_source, to_text = slow_map(kept, length)
    assert source_map.text_length == len(kept)
    assert source_map.to_source(np.arange(len(kept) + 1)).tolist() == to_source
    assert source_map.to_text(np.arange(length + 1)).tolist() == to_text


@given(removals(), st.data())
def test_joined_source_maps_agree_with_their_definition(
    case: tuple[int, list[tuple[int, int]]], data: st.DataObject
):
    length, spans = case
    onward, kept = make_map(length, spans)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(kept)), max_size=8)))
    inner_spans = [(cuts[i], cuts[i + 1]) for i in range(0, len(cuts) - 1, 2)]
    inner, inner_kept = make_map(len(kept), inner_spans)
    both = inner.then(onward)
    to_source, to_text = slow_map([kept[at] for at in inner_kept], length)
    assert both.to_source(np.arange(len(inner_kept) + 1)).tolist() == to_source
    assert both.to_text(np.arange(length + 1)).tolist() == to_text


def test_the_identity_map_changes_nothing():
    offsets = np.arange(8).reshape(2, 4)
    assert SourceMap.identity(7).to_source(offsets).tolist() == offsets.tolist()
    assert SourceMap.identity(7).to_text(offsets).tolist() == offsets.tolist()


def test_an_offset_outside_the_text_is_refused():
    with pytest.raises(
        DocumentError, match=r"offset 9 is outside the text of 7 characters; give 0 to 7\."
    ):
        SourceMap.identity(7).to_source([1, 9])
    with pytest.raises(DocumentError, match=r"offset -1 is outside the source of 7 characters"):
        SourceMap.identity(7).to_text(-1)


@settings(max_examples=200)
@given(st.text(st.characters(categories=["L", "N", "P", "Z", "Cc", "Cs", "Cf"]), min_size=1))
def test_no_text_keeps_a_control_character_and_every_offset_leads_back(text: str):
    try:
        document = document_from_text(text, unwrap=False)
    except DocumentError:
        assert not text.strip(" \t\n\r\f\v\x85\xa0\u2028\u2029\u3000\u200b\ufeff")
        return
    assert not any(character < " " and character not in "\t\n" for character in document.text)
    assert not any(character in "\x7f\x85\u2028\u2029" for character in document.text)
    assert not any("\ud800" <= character <= "\udfff" for character in document.text)
    offsets = document.source.to_source(np.arange(len(document.text))).tolist()
    assert offsets == sorted(set(offsets))
    assert document.source.to_text(offsets).tolist() == list(range(len(document.text)))
    for character, offset in zip(document.text, offsets, strict=True):
        assert (
            character == text[offset]
            or character in "\n\ufffd"
            or "\u2400" <= character <= "\u2421"
        )


def test_control_characters_become_visible_one_to_one():
    document = document_from_text("a\0b\x01\x1b[0m\x7f \ud83d\ufeff\tz")
    assert document.text == "a\u2400b\u2401\u241b[0m\u2421 \ufffd\ufeff\tz"
    assert document.notes == (
        "1 NUL character shown as U+2400",
        "3 control characters shown as a control picture (U+2401 to U+2421)",
        "1 lone surrogate shown as U+FFFD",
    )


def test_all_line_ends_become_line_feeds_and_lead_back():
    document = document_from_text("a\r\nb\rc\x0cd\u2028e\u2029f\x85g\x0bh\r\r\n")
    assert document.text == "a\nb\nc\nd\ne\nf\ng\nh\n\n"
    assert document.source.to_source([1, 2, 3, 4]).tolist() == [1, 3, 4, 5]
    assert document.source.to_text([2, 3]).tolist() == [2, 2]
    assert document.notes == (
        "4 CRLF or CR line ends read as a line feed",
        "5 other line separators read as a line feed",
    )


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_unicode_encodings_are_read_with_and_without_a_mark(encoding: str):
    text = "Grüße, naïve café\nsecond line\n"
    document = load_document(text.encode(encoding))
    assert document.text == text
    assert document.source.to_source(len(text)) == len(text)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Élève naïf: «ça coûte 12 €», dit-il à l\u2019été, près de la forêt.\n"),
        ("cp1251", "Все люди рождаются свободными и равными в своём достоинстве и правах.\n"),
        ("koi8_r", "Все люди рождаются свободными и равными в своем достоинстве и правах.\n"),
        ("gb18030", "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。\n" * 3),
        (
            "cp932",
            "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。\n",
        ),
        ("cp949", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.\n"),
    ],
)
def test_legacy_encodings_are_recognised_and_called_a_guess(encoding: str, text: str):
    document = load_document(text.encode(encoding))
    assert document.text == text
    assert document.notes == (f"read as {document.encoding}, a guess; save as UTF-8 to be sure",)


def test_a_legacy_character_far_into_ascii_text_is_found():
    data = b"plain words and nothing else\n" * 9000 + "à la forêt près d'ici, très tôt\n".encode(
        "cp1252"
    )
    assert load_document(data).text.endswith("à la forêt près d'ici, très tôt\n")


def test_damaged_utf8_is_read_with_marks_where_it_is_damaged():
    data = "où était l'été déjà passé à côté\n".encode() + b"\xff\n"
    document = load_document(data)
    assert document.text == "où était l'été déjà passé à côté\n\ufffd\n"
    assert document.notes == ("1 damaged byte sequence shown as U+FFFD",)
    assert load_document("déjà".encode()[:-1]).text == "déj\ufffd"
    assert load_document("caf\u00e9".encode("cp1252")).text == "café"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"%PDF-1.7\n%", "looks like a PDF"),
        (b"\x89PNG\r\n\x1a\n", "looks like an image"),
        (b"\xff\xd8\xff\xe0", "looks like an image"),
        (b"PK\x03\x04\x14\0", "looks like a ZIP archive (or a DOCX, XLSX, PPTX or EPUB file)"),
        (b"\x1f\x8b\x08\0", "looks like a compressed file"),
        (b"\x7fELF\x02", "looks like a program"),
        (b"SQLite format 3\0", "looks like a database or data file"),
        (bytes(range(256)) * 8, "is binary data (many control bytes)"),
        (b"\0" * 100 + b"text", "is binary data (many control bytes)"),
        (b"\x01\x02\x03\x04\xff" + b"a" * 300, "is binary data (control bytes, not UTF-8)"),
    ],
)
def test_binary_data_is_refused_with_what_it_looks_like(data: bytes, what: str):
    with pytest.raises(DocumentError) as error:
        load_document(data, name="thing.bin")
    assert str(error.value) == (
        f"thing.bin {what}; glyph takes plain text, Markdown or source code (UTF-8, UTF-16, UTF-32 "
        "or a legacy encoding). Convert it to text first."
    )


@pytest.mark.parametrize("data", [b"Rare words", b"BM is short", b"II *", b"MZ", b"GIF", b"PK\n"])
def test_text_that_begins_like_a_file_signature_is_still_text(data: bytes):
    assert load_document(data).text == data.decode()


def test_a_few_nul_bytes_do_not_make_a_text_binary():
    document = load_document(b"a\0b and more text\0 here\0\n")
    assert document.text == "a\u2400b and more text\u2400 here\u2400\n"
    assert document.notes == ("3 NUL characters shown as U+2400",)


@pytest.mark.parametrize(
    ("data", "what"),
    [(b"", "is empty"), (b" \n\t\r\n", "holds only white space"), (b"\xef\xbb\xbf", "is empty")],
)
def test_a_text_without_ink_is_refused(data: bytes, what: str):
    with pytest.raises(DocumentError) as error:
        load_document(data, name="notes.txt")
    assert str(error.value).startswith(f"notes.txt {what}, so there is nothing to show; give plain")


def test_a_broken_mark_and_an_unknown_encoding_are_said_clearly():
    with pytest.raises(DocumentError, match="begins with the byte order mark of utf-16 but is not"):
        load_document(b"\xff\xfea")


def test_a_file_gives_its_name_kind_and_language(tmp_path: Path):
    path = tmp_path / "tool.py"
    path.write_text("x = 1\n")
    for document in (load_document(path), load_document(str(path))):
        assert (document.name, document.kind, document.language) == ("tool.py", "code", "python")


@pytest.mark.parametrize(
    ("name", "kind", "language"),
    [
        ("a.txt", "prose", None),
        ("README", "prose", None),
        ("a.md", "markdown", None),
        ("A.MARKDOWN", "markdown", None),
        ("a.rs", "code", "rust"),
        ("Makefile", "code", "make"),
        ("a.json", "code", "json"),
        ("a.csv", "prose", None),
    ],
)
def test_the_suffix_decides_the_kind(name: str, kind: str, language: str | None):
    document = document_from_text("x", name=name)
    assert (document.kind, document.language) == (kind, language)


def test_a_given_kind_overrules_the_suffix():
    assert document_from_text("x", name="a.py", kind="prose").language is None
    assert document_from_text("x", kind="code").language is None
    assert document_from_text("x", name="a.py", kind="code").language == "python"


def test_an_unknown_kind_and_unwrapped_code_are_refused():
    with pytest.raises(ConfigError) as error:
        document_from_text("x", kind="mardown")  # pyright: ignore[reportArgumentType]
    assert str(error.value) == (
        "unknown kind 'mardown'; did you mean 'markdown'? "
        "The kinds are 'prose', 'code' and 'markdown'."
    )
    with pytest.raises(ConfigError) as error:
        document_from_text("x", name="a.py", unwrap=True)
    assert str(error.value) == (
        "unwrap=True was given for a.py, which is code; only prose and Markdown can be unwrapped. "
        "Leave unwrap out, or pass kind='prose'."
    )


def test_code_keeps_every_space_and_tab():
    code = "def f():\n\treturn  1   \n\n\n" + CODE * 20
    assert document_from_text(code, name="a.py").text == code


def test_streams_and_standard_input_are_read(monkeypatch: pytest.MonkeyPatch):
    assert load_document(io.BytesIO("é".encode())).encoding == "utf-8"
    assert load_document(io.StringIO("é\r\n")).text == "é\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe")))
    document = load_document("-")
    assert (document.text, document.name) == ("from a pipe", "stdin")


def test_files_that_cannot_be_read_say_why(tmp_path: Path):
    hint = "give the path of one file, or '-' for standard input."
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path, message in (
        (tmp_path / "none.txt", f"there is no file {tmp_path / 'none.txt'}; {hint}"),
        (tmp_path, f"cannot read {tmp_path} (it is a folder); {hint}"),
        (loop, f"cannot read {loop} (Too many levels of symbolic links); {hint}"),
        (
            "a text\nnot a path",
            "'a text\\nnot a path' is not a file name; if it is the text itself, "
            "pass it to document_from_text.",
        ),
    ):
        with pytest.raises(DocumentError) as error:
            load_document(path)
        assert str(error.value) == message
    with pytest.raises(DocumentError, match="File name too long"):
        load_document("x" * 5000)


def test_plain_text_is_loaded_without_the_heavy_modules():
    code = (
        "import sys, glyph.documents as d; d.document_from_text('plain', kind='prose');"
        "sys.exit(any(m in sys.modules for m in ('pygments', 'charset_normalizer', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# -- floods ----------------------------------------------------------------------------------


def test_lone_surrogates_in_bytes_are_read_as_such_not_as_another_encoding() -> None:
    data = "good \ud800 bad \udfff text".encode("utf-8", "surrogatepass")
    document = load_document(data)
    assert document.text == "good \ufffd bad \ufffd text"
    assert document.encoding == "utf-8"
    assert document.notes == ("2 lone surrogates shown as U+FFFD",)


def test_floods_of_characters_that_no_page_shows_are_told() -> None:
    hidden = document_from_text("a" + "\u200b" * 5_000 + "\U000e0041" * 20 + "b")
    assert hidden.notes == ("5,020 zero-width characters in long runs: no page shows them",)
    heaped = document_from_text("a" + "\u0301" * 300_000)
    assert heaped.notes == (
        "300,000 combining marks heaped on single letters: no page can be read there",
    )


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f flag of England",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \u2764\ufe0f a family",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u1ea1\u0302\u0301 o\u0308\u0301\u0304",
    ],
)
def test_joiners_selectors_and_stacked_marks_of_real_texts_are_no_flood(text: str) -> None:
    assert document_from_text(text).notes == ()
