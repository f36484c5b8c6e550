"""Syntax colours: one role a character, and palettes that can be read."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments.lexer import RegexLexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Keyword

from glyph.documents import Document, document_from_text
from glyph.errors import ConfigError
from glyph.highlight import DARK_INKS, INK_ROLES, LIGHT_INKS, Rgb, ink_roles

ROOT = Path(__file__).resolve().parents[1]
PYTHON = '''\
@cache
def area(r: int = 2) -> float:  # of a disc
    """Return it."""
    return 3.14 * r ** 2 if r else print("n\\t")
'''
LETTERS = dict(zip(INK_ROLES, "_KTDBASENCOM", strict=True))


def drawn(document: Document) -> list[str]:
    """Return the lines of a document with each character replaced by the letter of its role."""
    roles = ink_roles(document)
    assert roles is not None and roles.dtype == np.uint8
    letters = "".join(LETTERS[INK_ROLES[role]] for role in roles.tolist())
    assert len(letters) == len(document.text)
    ends = [at for at, character in enumerate(document.text) if character == "\n"]
    return [letters[a:b] for a, b in zip([0, *(at + 1 for at in ends)], ends, strict=False)]


def with_language(text: str, language: str) -> Document:
    return dataclasses.replace(document_from_text(text, kind="code"), language=language)


def test_python_is_drawn_in_these_roles():
    assert drawn(document_from_text(PYTHON, name="disc.py")) == [
        "MMMMMM",
        "KKK_DDDD____BBB_O_N__OO_BBBBB___CCCCCCCCCCC",
        "____CCCCCCCCCCCCCCCC",
        "____KKKKKK_NNNN_O___OO_N_KK___KKKK_BBBBB_SSEES_",
    ]


def test_a_diff_shows_what_came_and_what_went():
    assert drawn(with_language("@@ -1 +1 @@\n-old\n+new\n same\n", "diff")) == [
        "DDDDDDDDDDD",
        "KKKK",
        "SSSS",
        "_____",
    ]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "README"])
def test_prose_and_markdown_have_no_roles(name: str):
    assert ink_roles(document_from_text("# words", name=name)) is None


@pytest.mark.parametrize("language", ["python", "c", "json", "html", "bash", "rust", "yaml"])
@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1, max_size=80).filter(str.strip))
def test_roles_cover_any_text_whatever_the_language(language: str, text: str):
    document = with_language(text + "\ufeffx", language)
    roles = ink_roles(document)
    assert roles is not None
    assert len(roles) == len(document.text)
    assert roles.max() < len(INK_ROLES)


def test_roles_agree_with_the_tokens_pygments_gives_away():
    text = Path(__file__).read_text(encoding="utf-8")
    roles = ink_roles(with_language(text, "python"))
    assert roles is not None
    strings = np.zeros(len(text), bool)
    at = 0
    for token_type, value in get_lexer_by_name("python", stripnl=False).get_tokens(text):
        strings[at : at + len(value)] = str(token_type) == "Token.Literal.String.Double"
        at += len(value)
    assert at == len(text) and strings.any()
    assert ((roles == INK_ROLES.index("string")) >= strings).all()


def test_a_lexer_that_loses_its_place_leaves_the_text_plain_and_says_so():
    document = with_language("prose\n>>> print(1)\nwithout an end", "nodejsrepl")
    with pytest.warns(
        UserWarning, match="the nodejsrepl lexer loses its place at character"
    ) as told:
        roles = ink_roles(document)
    assert roles is not None and not roles.any()
    assert str(told[0].message).endswith("of text; the text is shown without colours.")


def test_a_lexer_that_changes_characters_leaves_the_text_plain(monkeypatch: pytest.MonkeyPatch):
    class Shouting(RegexLexer):
        tokens: ClassVar = {"root": [(r".", Keyword)]}

        def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, object, str]]:
            return super().get_tokens_unprocessed(text.upper())

    monkeypatch.setattr("pygments.lexers.find_lexer_class_by_name", lambda name: Shouting)
    with pytest.warns(UserWarning, match="loses its place at character 1 of text"):
        roles = ink_roles(with_language("Abc", "shouting"))
    assert roles is not None and roles.tolist() == [0, 0, 0]


def test_an_unknown_language_names_its_neighbours():
    with pytest.raises(
        ConfigError, match="pygments knows no language 'pyhton'; did you mean 'python'"
    ):
        ink_roles(with_language("x", "pyhton"))
    with pytest.raises(ConfigError, match="no language '%%%'; leave it out to show plain text"):
        ink_roles(with_language("x", "%%%"))


def contrast(first: Rgb, second: Rgb) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: Rgb) -> float:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (channel / 255 for channel in colour)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_the_contrast_formula_gives_the_published_values():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize(
    ("inks", "page"), [(LIGHT_INKS, (255, 255, 255)), (DARK_INKS, (0x35, 0x30, 0x31))]
)
def test_every_ink_stands_out_from_its_page_and_from_the_others(inks: tuple[Rgb, ...], page: Rgb):
    assert len(inks) == len(INK_ROLES) == len(set(inks)) == 12
    assert min(contrast(ink, page) for ink in inks) >= 4.5
    assert INK_ROLES[0] == "plain"
    assert contrast(inks[0], page) == max(contrast(ink, page) for ink in inks)


def test_pygments_is_loaded_only_when_there_is_code():
    code = "import sys, glyph.highlight; sys.exit('pygments' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
