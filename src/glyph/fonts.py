"""Fonts: from a family name to a scaled face that measures and rasters glyphs.

Fonts come from installed packages (DejaVu inside matplotlib, Noto CJK and the fontpkg families)
so that one version of the package draws the same pixels on every machine. A path to a font file
is accepted everywhere a family is; fonts of the operating system are used only when asked for by
a name that no package carries.

HarfBuzz does measuring, shaping and rasterising, without hinting: at 9 px, outlines snapped to
whole pixels read ten times worse than unhinted ones on quarter pixels.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportAttributeAccessIssue=false, reportMissingTypeStubs=false
# uharfbuzz is compiled and carries no types.

import importlib.util
import math
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import uharfbuzz as hb

from glyph.bitmaps import EMPTY, Bitmap
from glyph.errors import FontError, nearest
from glyph.pages import SUBPIXELS

DEJAVU = ("matplotlib", "mpl-data/fonts/ttf")
CJK = ("noto_cjk_sans_otc", "")
CJK_FACES = ("JP", "KR", "SC", "TC", "HK")
"""Order of the faces inside the Noto Sans CJK collection."""


SCRIPTS = (
    "Arabic", "Armenian", "Bengali", "Devanagari", "Ethiopic", "Georgian", "Gujarati", "Gurmukhi",
    "Hebrew", "Kannada", "Khmer", "Lao", "Malayalam", "Myanmar", "Oriya", "Sinhala", "Symbols",
    "Tamil", "Telugu", "Thai",
)  # fmt: skip
"""Noto Sans families of scripts that Latin faces lack."""


MIN_BAR_PX = 0.9
"""Thickness that underscores and dashes get at least, in pixels."""


@dataclass(frozen=True, slots=True)
class FontFile:
    """One face on disk, with what must be added to make the style asked for."""

    path: Path
    face_index: int = 0
    variations: tuple[tuple[str, float], ...] = ()
    slant: float = 0.0
    embolden: float = 0.0


@dataclass(frozen=True, slots=True)
class Family:
    """Where a family's files lie: a package folder and one file name per style.

    An empty file name means the style is synthesised, or set by a variation axis.
    """

    package: str
    folder: str
    regular: str
    bold: str = ""
    italic: str = ""
    bold_italic: str = ""
    face_index: int = 0
    has_weight_axis: bool = False


def _dejavu(stem: str, slant: str) -> Family:
    bold, italic, both = (f"{stem}-{style}.ttf" for style in ("Bold", slant, f"Bold{slant}"))
    return Family(*DEJAVU, f"{stem}.ttf", bold, italic, both)


def _fontpkg(stem: str, axes: str) -> Family:
    package = "fontpkg_" + stem
    name = "".join(part.capitalize() for part in stem.split("_"))
    name = name.replace("Jetbrains", "JetBrains")
    upright, italic = f"{name}[{axes}].ttf", f"{name}-Italic[{axes}].ttf"
    return Family(package, "files", upright, italic=italic, has_weight_axis=True)


def _noto(stem: str, italic: str = "") -> Family:
    return Family("manimgx_fonts", "", f"{stem}[wght].ttf", italic=italic, has_weight_axis=True)


FAMILIES: dict[str, Family] = (
    {
        "DejaVu Sans": _dejavu("DejaVuSans", "Oblique"),
        "DejaVu Sans Mono": _dejavu("DejaVuSansMono", "Oblique"),
        "DejaVu Serif": _dejavu("DejaVuSerif", "Italic"),
        "STIXGeneral": Family(
            *DEJAVU,
            "STIXGeneral.ttf",
            "STIXGeneralBol.ttf",
            "STIXGeneralItalic.ttf",
            "STIXGeneralBolIta.ttf",
        ),
        "Noto Sans": _noto("NotoSans", italic="NotoSans-Italic[wght].ttf"),
        "Noto Emoji": _noto("NotoEmoji"),
        "Noto Serif": _fontpkg("noto_serif", "wdth,wght"),
        "Roboto": _fontpkg("roboto", "wdth,wght"),
        "JetBrains Mono": _fontpkg("jetbrains_mono", "wght"),
        "Press Start 2P": Family("fontpkg_press_start_2p", "files", "PressStart2P-Regular.ttf"),
    }
    | {f"Noto Sans {script}": _noto(f"NotoSans{script}") for script in SCRIPTS}
    | {
        f"Noto Sans CJK {region}": Family(*CJK, "NotoSansCJK-Regular.ttc", face_index=index)
        for index, region in enumerate(CJK_FACES)
    }
)
"""Families that packages carry. Those of the `[fonts]` extra may be absent."""

FALLBACK = (
    "DejaVu Sans",
    "Noto Sans",
    "Noto Sans CJK SC",
    *(f"Noto Sans {script}" for script in SCRIPTS),
    "Noto Emoji",
)
"""Where a character is looked for when the font of the config does not have it."""


def fallback_chain(family: str) -> list[str]:
    """Return a family and the installed families that help it out, in order."""
    installed = set(installed_families())
    return [family, *(name for name in FALLBACK if name != family and name in installed)]


def installed_families() -> list[str]:
    """Return the families of `FAMILIES` whose files are on this machine."""
    return [name for name, family in FAMILIES.items() if _package_path(family, family.regular)]


def find_font(family: str, *, bold: bool = False, italic: bool = False) -> FontFile:
    """Return the file for a family and style; styles without a file are synthesised.

    Args:
        family: Name of a family, or path of a TTF, OTF or TTC file.
        bold: Whether the bold style is wanted.
        italic: Whether the italic or oblique style is wanted.

    Raises:
        FontError: Nothing by that name is installed.
    """
    if Path(family).suffix.lower() in {".ttf", ".otf", ".ttc"}:
        path = Path(family)
        if not path.is_file():
            raise FontError(f"font file {path} does not exist. Check the path.")
        return FontFile(path, slant=_slant(italic), embolden=_embolden(bold))
    known = FAMILIES.get(_known_names().get(family.casefold(), ""))
    if known is None:
        path = _system_fonts().get(family.casefold())
        if path is None:
            hint = nearest(family, FAMILIES)
            raise FontError(
                f"no font family '{family}' is installed; "
                + (f"did you mean {hint}?" if hint else f"known: {', '.join(FAMILIES)}.")
            )
        return FontFile(path, slant=_slant(italic), embolden=_embolden(bold))
    return _styled(family, known, bold, italic)


def _styled(name: str, family: Family, bold: bool, italic: bool) -> FontFile:
    regular = _package_path(family, family.regular)
    if regular is None:
        package = family.package.replace("_", "-")
        raise FontError(f"font family '{name}' needs {package}; pip install {package}.")
    if bold and italic and family.bold_italic:
        path = _package_path(family, family.bold_italic)
        return FontFile(path or regular)
    if bold and family.bold and not italic:
        return FontFile(_package_path(family, family.bold) or regular)
    upright = not (italic and family.italic)
    path = regular if upright else _package_path(family, family.italic) or regular
    return FontFile(
        path,
        family.face_index,
        variations=(("wght", 700.0),) if bold and family.has_weight_axis else (),
        slant=_slant(italic and upright),
        embolden=_embolden(bold and not family.has_weight_axis),
    )


def _slant(wanted: bool) -> float:
    return 0.2 if wanted else 0.0


def _embolden(wanted: bool) -> float:
    return 0.03 if wanted else 0.0


def _known_names() -> dict[str, str]:
    return {name.casefold(): name for name in FAMILIES}


@cache
def _package_folder(package: str) -> Path | None:
    # Located, never imported: these packages are only carriers of font files.
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _package_path(family: Family, name: str) -> Path | None:
    folder = _package_folder(family.package)
    path = folder / family.folder / name if folder and name else None
    return path if path and path.is_file() else None


@cache
def _system_fonts() -> dict[str, Path]:
    """Family and full names of the fonts of this machine, folded; the first file wins."""
    found: dict[str, Path] = {}
    for path in _system_font_files():
        try:
            face = hb.Face(hb.Blob.from_file_path(str(path)))
        except hb.HarfBuzzError:
            continue
        for name_id in (hb.OTNameIdPredefined.FONT_FAMILY, hb.OTNameIdPredefined.FULL_NAME):
            name = face.get_name(name_id)
            if name:
                found.setdefault(name.casefold(), path)
    return found


def _system_font_files() -> Iterator[Path]:
    home = Path.home()
    folders = {
        "darwin": [Path("/Library/Fonts"), Path("/System/Library/Fonts"), home / "Library/Fonts"],
        "win32": [Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"],
    }.get(sys.platform, [home / ".local/share/fonts", home / ".fonts", Path("/usr/share/fonts")])
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in {".ttf", ".otf", ".ttc"}:
                yield path


@dataclass(frozen=True, slots=True)
class Shaped:
    """One run after shaping, in visual order from left to right.

    Attributes:
        glyph: Glyph ids.
        cluster: Index of the first character of each glyph's cluster, within the run.
        advance64: Advance of each glyph in 1/64 px.
        x64: Horizontal offset of each glyph from its pen position.
        y64: Vertical offset, upwards.
    """

    glyph: list[int]
    cluster: list[int]
    advance64: list[int]
    x64: list[int]
    y64: list[int]


class Face:
    """One font at one size: nominal glyphs, advances, shaping and bitmaps.

    All lengths are integers of 1/64 px, so that every machine computes the same layout.
    """

    def __init__(self, file: FontFile, size_px: float, horizontal_scale: float):
        self.file = file
        self._font = _load(file)
        self._font.scale = (
            round(size_px * SUBPIXELS * horizontal_scale),
            round(size_px * SUBPIXELS),
        )
        self.em64 = round(size_px * SUBPIXELS)
        self._draw = hb.RasterDraw()

    @property
    def ascent64(self) -> int:
        """Height of the font's ascender above the baseline."""
        return self._font.get_font_extents("ltr").ascender

    @property
    def descent64(self) -> int:
        """Depth of the font's descender below the baseline, as a positive number."""
        return -self._font.get_font_extents("ltr").descender

    def glyph_of(self, codepoint: int) -> int:
        """Return the glyph of a code point, or 0 when the font has none."""
        return self._font.get_nominal_glyph(codepoint) or 0

    def advance64(self, glyph: int) -> int:
        """Return a glyph's linear advance."""
        return self._font.get_glyph_h_advance(glyph)

    def shape(self, text: str, *, right_to_left: bool, script: str) -> Shaped:
        """Shape one run of one script and direction."""
        buffer = hb.Buffer()
        # Code points, not UTF-8, so that clusters count characters.
        buffer.add_codepoints([ord(c) for c in text])
        buffer.direction = "rtl" if right_to_left else "ltr"
        buffer.script = script
        buffer.cluster_level = hb.BufferClusterLevel.MONOTONE_GRAPHEMES
        hb.shape(self._font, buffer, {"kern": False, "liga": False})
        infos, positions = buffer.glyph_infos, buffer.glyph_positions
        assert positions is not None
        return Shaped(
            glyph=[info.codepoint for info in infos],
            cluster=[info.cluster for info in infos],
            advance64=[p.x_advance for p in positions],
            x64=[p.x_offset for p in positions],
            y64=[p.y_offset for p in positions],
        )

    def bitmap(
        self, glyphs: list[tuple[int, float]], shift_px: float, scale: float = 1.0
    ) -> Bitmap:
        """Raster glyphs into one bitmap.

        Args:
            glyphs: Glyph ids with their x in pixels.
            shift_px: Added to every x; the quarter-pixel phase.
            scale: Size relative to the face's own.

        Returns:
            Coverage with its place relative to pen and baseline; empty for blanks.
        """
        unit = scale / SUBPIXELS
        for glyph, x_px in glyphs:
            stretch, lift_px = self._thin_bar(glyph, unit)
            self._draw.transform = (unit, 0, 0, unit * stretch, x_px + shift_px, lift_px)
            self._draw.draw_glyph(self._font, glyph)
        image = self._draw.render()
        if image is None:
            raise FontError(f"{self.file.path.name} cannot be rastered: out of memory.")
        extents = image.extents
        if not extents.width or not extents.height:
            return EMPTY
        rows = np.frombuffer(image.buffer, np.uint8).reshape(extents.height, extents.stride)
        # HarfBuzz counts rows upwards; pages count them downwards.
        coverage = rows[::-1, : extents.width]
        return Bitmap(coverage, extents.x_origin, extents.y_origin + extents.height)

    def _thin_bar(self, glyph: int, unit: float) -> tuple[float, float]:
        """Return vertical stretch and lift that keep a thin bar visible, else 1 and 0.

        Underscores and dashes thinner than a pixel fall between two rows and turn so pale that
        `a_b` reads as `a b`. They are moved onto one row and made `MIN_BAR_PX` thick.
        """
        extents = self._font.get_glyph_extents(glyph)
        if extents is None:
            return 1.0, 0.0
        top_px, thick_px = extents.y_bearing * unit, -extents.height * unit
        is_bar = 0 < thick_px < MIN_BAR_PX and extents.width * unit > 3 * thick_px
        if not is_bar:
            return 1.0, 0.0
        stretch = MIN_BAR_PX / thick_px
        # Below the baseline it goes up, away from the next line, whose overline it would seem.
        row_px = math.ceil(top_px) if top_px < 0 else round(top_px)
        return stretch, row_px - top_px * stretch


def _load(file: FontFile) -> hb.Font:
    try:
        face = hb.Face(_blob(file.path), file.face_index)
    except (hb.HarfBuzzError, OSError) as error:
        raise FontError(f"font file {file.path} cannot be read: {error}.") from None
    if face.glyph_count == 0 or face.upem == 0 or not _is_whole(file):
        raise FontError(
            f"{file.path} is not a font that can be parsed; TTF, OTF and TTC files are accepted."
        )
    font = hb.Font(face)
    if file.variations:
        font.set_variations(dict(file.variations))
    if file.slant:
        font.synthetic_slant = file.slant
    if file.embolden:
        font.synthetic_bold = (file.embolden, file.embolden, False)
    return font


def _is_whole(file: FontFile) -> bool:
    """Whether every table the font declares lies inside the file; one cut short draws blanks.

    Source: OpenType 1.9, "Organization of an OpenType Font": table directory and collections.
    """
    data = file.path.read_bytes()
    start = 0
    if data[:4] == b"ttcf":
        start = struct.unpack_from(">I", data, 12 + 4 * file.face_index)[0]
    (num_tables,) = struct.unpack_from(">H", data, start + 4)
    records = (struct.unpack_from(">II", data, start + 20 + 16 * i) for i in range(num_tables))
    return all(offset + length <= len(data) for offset, length in records)


@cache
def _blob(path: Path) -> hb.Blob:
    return hb.Blob.from_file_path(str(path))
