"""Fonts: names lead to files, files to faces, faces to measures and bitmaps."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# fontTools carries types for some of its functions only.

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fontTools.pens.areaPen import AreaPen
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont

from glyph.config import RenderConfig
from glyph.errors import FontError
from glyph.fonts import (
    CJK_FACES,
    FALLBACK,
    FAMILIES,
    MIN_BAR_PX,
    Face,
    Family,
    FontFile,
    fallback_chain,
    find_font,
    installed_families,
)
from square_font import pages_of

CORE = [name for name, family in FAMILIES.items() if not family.package.startswith("fontpkg")]
"""Families of packages that the default install brings; others come with the `fonts` extra."""


def face_of(family: str, size_px: float = 9, scale: float = 1.0, **style: bool) -> Face:
    return Face(find_font(family, **style), size_px, scale)


def opened(file: FontFile) -> Any:
    return TTFont(file.path, fontNumber=file.face_index, lazy=True)


# -- names and files -------------------------------------------------------------------------


def test_the_default_install_brings_every_family_but_the_extra_ones() -> None:
    assert set(CORE) <= set(installed_families())
    assert set(FALLBACK) <= set(CORE)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_is_the_font_it_says(name: str) -> None:
    if name not in installed_families():
        pytest.skip(f"{name} comes with the fonts extra")
    font = opened(find_font(name))
    names = {font["name"].getDebugName(1), font["name"].getDebugName(16)}
    assert name in names
    assert ("fvar" in font) == FAMILIES[name].has_weight_axis


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize(("bold", "italic"), [(True, False), (False, True), (True, True)])
def test_every_style_of_every_family_draws_otherwise(name: str, bold: bool, italic: bool) -> None:
    if name not in installed_families():
        pytest.skip(f"{name} comes with the fonts extra")
    plain, styled = face_of(name, 40), face_of(name, 40, bold=bold, italic=italic)
    cmap = opened(plain.file)["cmap"].getBestCmap()
    codepoint = next(c for c in cmap if unicodedata.category(chr(c))[0] in "LS")
    one, other = (
        face.bitmap([(face.glyph_of(codepoint), 0.0)], 0.0).coverage for face in (plain, styled)
    )
    assert one.shape != other.shape or (one != other).any()


@pytest.mark.parametrize(
    ("family", "style", "file", "added"),
    [
        ("DejaVu Sans", {}, "DejaVuSans.ttf", FontFile(Path())),
        ("DejaVu Sans", {"bold": True}, "DejaVuSans-Bold.ttf", FontFile(Path())),
        ("DejaVu Sans", {"italic": True}, "DejaVuSans-Oblique.ttf", FontFile(Path())),
        ("DejaVu Serif", {"italic": True}, "DejaVuSerif-Italic.ttf", FontFile(Path())),
        (
            "DejaVu Sans Mono",
            {"bold": True, "italic": True},
            "DejaVuSansMono-BoldOblique.ttf",
            FontFile(Path()),
        ),
        ("STIXGeneral", {"bold": True}, "STIXGeneralBol.ttf", FontFile(Path())),
        (
            "Noto Sans",
            {"bold": True, "italic": True},
            "NotoSans-Italic[wght].ttf",
            FontFile(Path(), variations=(("wght", 700.0),)),
        ),
        (
            "Noto Sans Arabic",
            {"bold": True, "italic": True},
            "NotoSansArabic[wght].ttf",
            FontFile(Path(), variations=(("wght", 700.0),), slant=0.2),
        ),
        (
            "Noto Sans CJK KR",
            {"bold": True, "italic": True},
            "NotoSansCJK-Regular.ttc",
            FontFile(Path(), face_index=1, slant=0.2, embolden=0.03),
        ),
    ],
)
def test_styles_take_a_file_of_their_own_or_are_made(
    family: str, style: dict[str, bool], file: str, added: FontFile
) -> None:
    found = find_font(family, **style)
    assert found.path.name == file
    assert (
        FontFile(Path(), found.face_index, found.variations, found.slant, found.embolden) == added
    )


def test_each_cjk_family_is_its_own_face_of_the_collection() -> None:
    assert [find_font(f"Noto Sans CJK {region}").face_index for region in CJK_FACES] == list(
        range(5)
    )


def test_a_path_is_taken_as_it_is(square: Path) -> None:
    assert find_font(str(square)) == FontFile(square)
    assert find_font(str(square), bold=True, italic=True) == FontFile(
        square, slant=0.2, embolden=0.03
    )


def test_case_makes_no_difference_and_never_leads_to_a_font_of_the_machine() -> None:
    assert find_font("dejavu SANS") == find_font("DejaVu Sans")
    assert find_font("noto sans cjk kr", bold=True) == find_font("Noto Sans CJK KR", bold=True)


def test_the_fallback_chain_begins_with_the_family_and_names_nothing_twice() -> None:
    for family in ("DejaVu Sans", "Noto Sans Thai", "/some/path.ttf"):
        chain = fallback_chain(family)
        assert chain[0] == family
        assert len(chain) == len(set(chain))
        assert set(chain) - {family} == set(FALLBACK) - {family}


# -- messages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("DejaVu Sanz", "no font family 'DejaVu Sanz' is installed; did you mean 'DejaVu Sans'"),
        ("Zapfino", "no font family 'Zapfino' is installed; known: DejaVu Sans, DejaVu Sans Mono"),
        ("/nowhere/a.ttf", "font file /nowhere/a.ttf does not exist. Check the path."),
        ("nowhere/b.OTF", "font file nowhere/b.OTF does not exist. Check the path."),
    ],
)
def test_a_font_that_is_not_there_is_told(family: str, message: str) -> None:
    with pytest.raises(FontError) as raised:
        find_font(family)
    assert str(raised.value).startswith(message)


def test_a_family_whose_package_is_absent_names_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FAMILIES, "Ghost", Family("no_such_fonts", "files", "Ghost.ttf"))
    with pytest.raises(FontError) as raised:
        find_font("Ghost")
    assert str(raised.value) == (
        "font family 'Ghost' needs no-such-fonts; pip install no-such-fonts."
    )
    assert "Ghost" not in installed_families()


BROKEN = " is not a font that can be parsed; TTF, OTF and TTC files are accepted."


@pytest.mark.parametrize("content", [b"", b"\0", b"not a font", b"\0\1\0\0" + b"\xff" * 500])
def test_a_file_that_is_no_font_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.ttf"
    path.write_bytes(content)
    with pytest.raises(FontError) as raised:
        pages_of("a", RenderConfig(font_family=str(path)))
    assert str(raised.value) == f"{path}{BROKEN}"


def test_a_font_cut_short_never_draws_blank_pages(square: Path, tmp_path: Path) -> None:
    reader: Any = TTFont(square).reader
    path = tmp_path / "short.ttf"
    path.write_bytes(square.read_bytes()[: reader.tables["glyf"].offset + 4])
    with pytest.raises(FontError) as raised:
        pages_of("ab", RenderConfig(font_family=str(path)))
    assert str(raised.value) == f"{path}{BROKEN}"


def test_a_folder_named_like_a_font_is_told(tmp_path: Path) -> None:
    path = tmp_path / "folder.ttf"
    path.mkdir()
    with pytest.raises(FontError, match=r"folder\.ttf does not exist. Check the path\."):
        find_font(str(path))


# -- faces -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size_px", [9, 10.5, 24])
@pytest.mark.parametrize("scale", [1.0, 0.8])
def test_advances_are_linear_and_rounded_once(size_px: float, scale: float) -> None:
    face = face_of("DejaVu Sans", size_px, scale)
    font = opened(face.file)
    units_per_em = font["head"].unitsPerEm
    for char in "aWi .字"[:4]:
        units, _ = font["hmtx"][font.getBestCmap()[ord(char)]]
        wanted64 = units * round(size_px * 64 * scale) / units_per_em
        assert abs(face.advance64(face.glyph_of(ord(char))) - wanted64) <= 0.5


def test_a_character_the_font_lacks_is_glyph_zero() -> None:
    assert face_of("DejaVu Sans").glyph_of(ord("字")) == 0
    assert face_of("DejaVu Sans").glyph_of(0x10FFFD) == 0


def test_ascent_and_descent_come_from_the_font(square: Path) -> None:
    face = Face(FontFile(square), 8, 1.0)
    assert (face.ascent64, face.descent64, face.em64) == (512, 0, 512)
    face = face_of("DejaVu Sans", 100)
    table = opened(face.file)["hhea"]
    assert face.ascent64 == pytest.approx(table.ascent * 6400 / 2048, abs=1)
    assert face.descent64 == pytest.approx(-table.descent * 6400 / 2048, abs=1)


@pytest.mark.parametrize("char", list("oAg%W8жΩ"))
@pytest.mark.parametrize("shift_px", [0.0, 0.25, 0.75])
def test_a_bitmap_covers_the_area_of_the_outline_where_it_stands(
    char: str, shift_px: float
) -> None:
    # fontTools computes area and bounds from the curves themselves.
    size_px = 20
    face = face_of("DejaVu Serif", size_px)
    font = opened(face.file)
    glyphs = font.getGlyphSet()
    name, unit = font.getBestCmap()[ord(char)], size_px / font["head"].unitsPerEm
    area, bounds = AreaPen(glyphs), BoundsPen(glyphs)
    glyphs[name].draw(area)
    glyphs[name].draw(bounds)
    left, bottom, right, top = (edge * unit for edge in bounds.bounds)
    bitmap = face.bitmap([(face.glyph_of(ord(char)), 0.0)], shift_px)
    rows, width = bitmap.coverage.shape
    assert bitmap.coverage.sum() / 255 == pytest.approx(abs(area.value) * unit**2, rel=0.02)
    assert bitmap.left_px == pytest.approx(np.floor(left + shift_px), abs=1)
    assert bitmap.left_px + width == pytest.approx(np.ceil(right + shift_px), abs=1)
    assert bitmap.top_px == pytest.approx(np.ceil(top), abs=1)
    assert bitmap.top_px - rows == pytest.approx(np.floor(bottom), abs=1)


def test_a_blank_has_an_empty_bitmap() -> None:
    face = face_of("DejaVu Sans")
    assert face.bitmap([(face.glyph_of(ord(" ")), 0.0)], 0.0).coverage.size == 0


@pytest.mark.parametrize("char", list("_—–"))
@pytest.mark.parametrize("size_px", [6, 7, 9, 10.5, 12])
def test_thin_bars_stand_on_one_row_and_are_dark(char: str, size_px: float) -> None:
    face = face_of("DejaVu Sans", size_px)
    bitmap = face.bitmap([(face.glyph_of(ord(char)), 0.0)], 0.0)
    columns = bitmap.coverage[:, bitmap.coverage.shape[1] // 2]
    assert columns.max() >= round(MIN_BAR_PX * 255) - 2


def test_an_underscore_never_touches_the_line_below() -> None:
    for size_px in np.arange(5, 14, 0.25).tolist():
        face = face_of("DejaVu Sans", size_px)
        bitmap = face.bitmap([(face.glyph_of(ord("_")), 0.0)], 0.0)
        depth_px = bitmap.coverage.shape[0] - bitmap.top_px
        assert depth_px <= np.ceil(face.descent64 / 64)


def test_shaping_counts_characters_and_keeps_the_order_seen() -> None:
    face = face_of("Noto Sans Devanagari", 12)
    shaped = face.shape("कि𑀓", right_to_left=False, script="Deva")
    assert shaped.cluster == [0, 0, 2]
    face = face_of("DejaVu Sans", 12)
    shaped = face.shape("שלום", right_to_left=True, script="Hebr")
    assert shaped.cluster == [3, 2, 1, 0]
    assert shaped.glyph == [face.glyph_of(ord(char)) for char in reversed("שלום")]


def test_latin_is_neither_kerned_nor_joined_into_ligatures() -> None:
    face = face_of("DejaVu Sans", 40)
    shaped = face.shape("AVAfi", right_to_left=False, script="Latn")
    assert shaped.glyph == [face.glyph_of(ord(char)) for char in "AVAfi"]
    assert shaped.advance64 == [face.advance64(glyph) for glyph in shaped.glyph]
