"""Make src/glyph/unicode_data.npz from a folder of the Unicode Character Database.

    PYTHONPATH=src python tools/make_unicode_tables.py /usr/share/unicode src/glyph/unicode_data.npz

The folder is laid out as the `unicode-data` package of Debian lays it out: the files of the
database with its `auxiliary`, `emoji` and `extracted` sub-folders. The output depends on the
files alone, so two runs write the same bytes.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glyph.unicode_data import BRACKET_CLOSES, NUM_CODEPOINTS, Bidi, LineBreak

Range = tuple[int, int, str]

# Scripts whose letters join, reorder, stack or change shape, or run from right to left.
# A test compares this list with ArabicShaping.txt and IndicSyllabicCategory.txt.
COMPLEX_SCRIPTS = """
Adlm Arab Armi Avst Chrs Cprt Elym Hatr Hebr Hung Khar Lydi Mand Mani Mend Merc Mero Narb Nbat
Nkoo Orkh Ougr Palm Phli Phlp Phnx Prti Rohg Samr Sarb Sogd Sogo Syrc Thaa Yezi
Ahom Bali Batk Beng Bhks Brah Bugi Buhd Cakm Cham Deva Diak Dogr Gong Gonm Gran Gujr Guru Hano
Java Kali Kawi Khmr Khoj Knda Kthi Lana Laoo Lepc Limb Mahj Maka Marc Mlym Modi Mong Mtei Mult
Mymr Nand Newa Orya Phag Rjng Saur Shrd Sidd Sind Sinh Soyo Sund Sylo Tagb Takr Tale Talu Taml
Tavt Telu Tfng Tglg Thai Tibt Tirh Zanb Dupl Egyp
"""
BIDI_CONTROLS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
ZWNJ, ZWJ = 0x200C, 0x200D
JAMO = ((0x1100, 0x11FF), (0xA960, 0xA97F), (0xD7B0, 0xD7FF))


def read_ranges(path: Path, field: int = 1, missing: bool = False) -> Iterator[Range]:
    """Yield (first, last, value) of a property file; its @missing defaults come first if asked."""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line
        if missing and line.startswith("# @missing:"):
            text = line.removeprefix("# @missing:")
        fields = [part.strip() for part in text.split("#")[0].split(";")]
        if len(fields) <= field:
            continue
        first, _, last = fields[0].partition("..")
        yield int(first, 16), int(last or first, 16), fields[field]


def read_aliases(path: Path, property_name: str) -> dict[str, str]:
    """Return short value name by long value name of one property of PropertyValueAliases.txt."""
    rows = (line.split("#")[0].split(";") for line in path.read_text("utf-8").splitlines())
    fields = ([part.strip() for part in row] for row in rows)
    return {row[2]: row[1] for row in fields if len(row) > 2 and row[0] == property_name}


def members(ranges: Iterable[Range], *values: str) -> npt.NDArray[np.bool_]:
    """Return the mask of the code points that have one of `values`."""
    mask = np.zeros(NUM_CODEPOINTS, np.bool_)
    for first, last, value in ranges:
        if value in values:
            mask[first : last + 1] = True
    return mask


def line_break_classes(folder: Path) -> npt.NDArray[np.uint8]:
    """Apply LB1 to LineBreak.txt and split the classes that LB30 and LB30b split."""
    resolved = {"AI": "AL", "SG": "AL", "XX": "AL", "SA": "AL", "CJ": "NS"}
    ranges = list(read_ranges(folder / "LineBreak.txt"))
    categories = list(read_ranges(folder / "extracted/DerivedGeneralCategory.txt"))
    wide = members(read_ranges(folder / "EastAsianWidth.txt"), "F", "W", "H")
    pictographs = members(read_ranges(folder / "emoji/emoji-data.txt"), "Extended_Pictographic")
    classes = np.full(NUM_CODEPOINTS, LineBreak.AL, np.uint8)
    for first, last, name in ranges:
        classes[first : last + 1] = LineBreak[resolved.get(name, name)]
    classes[members(ranges, "SA") & members(categories, "Mn", "Mc")] = LineBreak.CM
    classes[(classes == LineBreak.OP) & wide] = LineBreak.OP_WIDE
    if np.any((classes == LineBreak.CP) & wide):
        raise SystemExit("Some closing bracket of class CP is wide: split CP as OP is split.")
    reserved = pictographs & members(categories, "Cn")
    if set(classes[reserved].tolist()) - {int(LineBreak.ID)}:
        raise SystemExit("Some unassigned pictograph is not of class ID: split that class too.")
    classes[reserved] = LineBreak.ID_PICTOGRAPH
    return classes


def bidi_classes(folder: Path) -> npt.NDArray[np.uint8]:
    """Return the bidi types; later @missing lines of the file refine earlier ones."""
    short = read_aliases(folder / "PropertyValueAliases.txt", "bc")
    path = folder / "extracted/DerivedBidiClass.txt"
    classes = np.zeros(NUM_CODEPOINTS, np.uint8)
    ranges = list(read_ranges(path, missing=True))
    defaults = [entry for entry in ranges if entry[2] in short]
    listed = [entry for entry in ranges if entry[2] not in short]
    for first, last, name in defaults + listed:
        classes[first : last + 1] = Bidi[short.get(name, name)]
    return classes


def bracket_types(folder: Path) -> npt.NDArray[np.uint8]:
    """Number the bracket pairs; canonically equivalent brackets get the number of their twin."""
    rows = (
        line.split(";") for line in (folder / "UnicodeData.txt").read_text("utf-8").splitlines()
    )
    singleton = {
        int(row[0], 16): int(row[5], 16) for row in rows if re.fullmatch("[0-9A-F]+", row[5])
    }
    partner = {code: to for code, _, to in read_ranges(folder / "BidiBrackets.txt")}
    kind = {code: value for code, _, value in read_ranges(folder / "BidiBrackets.txt", field=2)}
    types = np.zeros(NUM_CODEPOINTS, np.uint8)
    opening = sorted(code for code in kind if kind[code] == "o")
    canonical = [code for code in opening if code not in singleton]
    for code in opening:
        number = canonical.index(singleton.get(code, code)) + 1
        types[code] = number
        types[int(partner[code], 16)] = number | BRACKET_CLOSES
    return types


def mirror_pairs(folder: Path) -> npt.NDArray[np.uint32]:
    """Return the columns of BidiMirroring.txt, shape (2, pairs)."""
    rows = [(first, int(to, 16)) for first, _, to in read_ranges(folder / "BidiMirroring.txt")]
    return np.array(rows, np.uint32).T


def scripts(folder: Path) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """Return the script of every code point and the tags that its values index."""
    short = read_aliases(folder / "PropertyValueAliases.txt", "sc")
    ranges = list(read_ranges(folder / "Scripts.txt"))
    tags = ["Zzzz", *sorted({short[name] for _, _, name in ranges})]
    script = np.zeros(NUM_CODEPOINTS, np.uint8)
    for first, last, name in ranges:
        script[first : last + 1] = tags.index(short[name])
    return script, tags


def cluster_extend(folder: Path) -> npt.NDArray[np.bool_]:
    """Return what never begins a grapheme cluster in running text."""
    categories = list(read_ranges(folder / "extracted/DerivedGeneralCategory.txt"))
    clusters = list(read_ranges(folder / "auxiliary/GraphemeBreakProperty.txt"))
    extend = members(clusters, "Extend", "SpacingMark", "ZWJ", "V", "T")
    return extend | members(categories, "Mn", "Mc", "Me")


def shaping(
    folder: Path, script: npt.NDArray[np.uint8], tags: list[str], bidi: npt.NDArray[np.uint8]
) -> npt.NDArray[np.bool_]:
    """Return what needs HarfBuzz or the bidi algorithm; see `needs_shaping`."""
    complex_tags = COMPLEX_SCRIPTS.split()
    unknown = set(complex_tags) - set(tags)
    if unknown:
        raise SystemExit(f"These script tags are not in Scripts.txt: {', '.join(sorted(unknown))}.")
    categories = list(read_ranges(folder / "extracted/DerivedGeneralCategory.txt"))
    emoji = list(read_ranges(folder / "emoji/emoji-data.txt"))
    need = np.isin(script, [tags.index(tag) for tag in complex_tags])
    need |= np.isin(bidi, [Bidi.R, Bidi.AL, Bidi.AN])
    need |= members(categories, "Mn", "Mc", "Me")
    need |= members(emoji, "Emoji_Modifier")
    need |= members(read_ranges(folder / "PropList.txt"), "Variation_Selector")
    need |= members(read_ranges(folder / "PropList.txt"), "Regional_Indicator")
    need[[*BIDI_CONTROLS, ZWNJ, ZWJ]] = True
    need[0xE0000:0xE0080] = True  # tags
    for first, last in JAMO:
        need[first : last + 1] = True
    return need


def run_lengths(
    table: npt.NDArray[np.generic],
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """Return (lengths, values) of the runs of equal entries."""
    values = table.view(np.uint8)
    starts = np.flatnonzero(np.diff(values.astype(np.int16), prepend=-1))
    lengths = np.diff(starts, append=values.size)
    return lengths.astype(np.uint32), values[starts]


def build(folder: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Return every array of the file by name."""
    bidi = bidi_classes(folder)
    script, tags = scripts(folder)
    tables: dict[str, npt.NDArray[np.generic]] = {
        "line_break": line_break_classes(folder),
        "bidi": bidi,
        "bracket": bracket_types(folder),
        "script": script,
        "needs_shaping": shaping(folder, script, tags, bidi),
        "cluster_extend": cluster_extend(folder),
    }
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "mirror_pairs": mirror_pairs(folder),
        "script_tags": np.array(tags, "S4"),
    }
    for name, table in tables.items():
        arrays[f"{name}_lengths"], arrays[f"{name}_values"] = run_lengths(table)
    return arrays


def main(arguments: list[str]) -> None:
    """Read the folder, write the file, say how large it became."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the Unicode Character Database, version 15.0")
    parser.add_argument("out", type=Path, help="the .npz file to write")
    options = parser.parse_args(arguments)
    arrays = build(options.folder)
    with options.out.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    print(f"{options.out}: {len(arrays)} arrays, {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
