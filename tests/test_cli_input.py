"""Bad input at the command line: one clear sentence, and nothing half-written."""

import json
import random
from pathlib import Path

import pytest

from command_line import SENTENCE, contents, refusal, run, values


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    path = tmp_path / "letters.txt"
    path.write_text(SENTENCE * 300, "utf-8")
    return path


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty, so there is nothing to show"),
        (b" \n\t\n", "holds only white space, so there is nothing to show"),
        (random.Random(1).randbytes(4_000), "is binary data"),
        (b"%PDF-1.7 and so on", "is damaged"),
        (b"\x89PNG\r\n\x1a\n....", "looks like an image"),
    ],
)
@pytest.mark.parametrize("verb", ["render", "measure", "ask"])
def test_what_is_no_text_is_refused(tmp_path: Path, verb: str, data: bytes, sentence: str) -> None:
    path, out = tmp_path / "input", tmp_path / "run"
    path.write_bytes(data)
    more = {"render": ["-o", out], "measure": [], "ask": ["why?"]}[verb]
    assert sentence in refusal(verb, path, *more)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--set", "font_size=9"],
            "'font_size=9' is not a setting; write field=value, did you mean",
        ),
        (["--set", "dpi"], "'dpi' is not a setting; write field=value, such as dpi=96."),
        (["--set", "dpi=high"], "dpi='high' is not a number."),
        (["--set", "dpi=5000"], "dpi is 5000 dpi; accepted: 20 to 1200."),
        (["--set", "margin_x_pt=400"], "cannot hold one line of 2 em"),
        (["--set", "page_height_pt=9999", "--set", "dpi=1200"], "is over the cap of 100,000,000"),
        (["--set", "font_family=Vernada"], "no font family 'Vernada' is installed"),
        (["--set", "font_family=missing.ttf"], "font file missing.ttf does not exist"),
        (["--preset", "aligned-27"], "unknown preset 'aligned-27'; did you mean"),
        (["--preset", "missing.toml"], "cannot read preset missing.toml: No such file"),
        (["--model", "glm-9"], "no visual-token rule is known for model 'glm-9'; did you mean"),
        (["--tokenizer", "gpt2"], "unknown tokenizer 'gpt2'"),
    ],
)
@pytest.mark.parametrize("verb", ["render", "measure"])
def test_what_no_page_can_be_made_with_is_refused(
    letters: Path, tmp_path: Path, verb: str, options: list[str], sentence: str
) -> None:
    out = tmp_path / "run"
    more = ["-o", out] if verb == "render" else []
    assert sentence in refusal(verb, letters, *more, *options)
    assert not out.exists()


def test_a_font_that_cannot_be_parsed_is_refused(letters: Path, tmp_path: Path) -> None:
    font = tmp_path / "bad.ttf"
    font.write_bytes(b"\0\1\0\0 not a font at all")
    setting = f"font_family={font}"
    told = refusal("render", letters, "-o", tmp_path / "run", "--set", setting)
    assert "is not a font that can be parsed" in told or "cannot be read" in told


def test_a_preset_file_with_an_unknown_key_names_the_nearest(letters: Path, tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text("[render]\nfontsize_pt = 9\n")
    told = refusal("render", letters, "-o", tmp_path / "run", "--preset", preset)
    assert told == f"unknown field 'fontsize_pt' in {preset}; did you mean 'font_size_pt'?"


def test_nul_characters_and_surrogates_are_shown_and_told(tmp_path: Path) -> None:
    path = tmp_path / "odd.txt"
    path.write_bytes(b"a\0b" + b"\n" + "\ufeff".encode() * 0)
    told = values("render", path, "-o", tmp_path / "run")
    assert told["notes"] == ["1 NUL character shown as U+2400"]
    path.write_bytes("x \ud800 y".encode("utf-16", "surrogatepass"))
    told = values("render", path, "-o", tmp_path / "run")
    assert told["notes"] == ["1 lone surrogate shown as U+FFFD"]


@pytest.mark.parametrize(
    "text",
    ["x" * 10_000_000, "a" + "\u0301" * 300_000, "\u200b" * 300_000 + "a", "\n" * 30_000 + "a"],
)
def test_texts_of_one_kind_of_character_are_priced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "flood.txt"
    path.write_text(text, "utf-8")
    told = values("measure", path, "-m", "glm-4.5v", "--tokenizer", "o200k_base")
    assert told["characters"] == len(text)
    assert told["costs"][0]["pages"] >= 1


def test_a_folder_with_foreign_files_is_refused(letters: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.docx").write_bytes(b"years of work")
    told = refusal("render", letters, "-o", out)
    assert told.startswith(
        f"{out} holds files that are not pages of an earlier run, such as thesis"
    )
    assert contents(out) == {"thesis.docx": b"years of work"}
    assert (
        refusal("render", letters, "-o", letters)
        == f"{letters} is a file; name a folder for the pages."
    )


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    told = refusal("render", tmp_path / "no\nsuch file", "-o", tmp_path / "run")
    assert "is not a file name" in told
    assert refusal("measure", tmp_path / "none.txt") == (
        f"there is no file {tmp_path / 'none.txt'}; give the path of one file, or '-' for "
        "standard input."
    )


def test_an_address_is_never_fetched_and_told_whole() -> None:
    assert refusal("measure", "https://example.org/a/book.txt") == (
        "https://example.org/a/book.txt is an address, and nothing is ever fetched; download it, "
        "and give the path of the file."
    )


def test_an_error_names_its_kind_for_programs(letters: Path, tmp_path: Path) -> None:
    kinds = {
        "ConfigError": ("render", letters, "-o", tmp_path / "x", "--set", "dpi=1"),
        "UnknownModelError": ("measure", letters, "-m", "nothing-known"),
        "DocumentError": ("measure", tmp_path / "none.txt"),
        "RenderError": ("render", letters, "-o", letters),
        "FontError": ("render", letters, "-o", tmp_path / "x", "--set", "font_family=Nix"),
    }
    for kind, arguments in kinds.items():
        result = run(*arguments, "--json")
        assert json.loads(result.stdout)["kind"] == kind
