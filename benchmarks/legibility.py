"""How well pages are read: `python benchmarks/legibility.py [--fonts] [--json]`.

An independent reader (PP-OCR by rapidocr, extra `[ocr]`) reads the same text rendered by Glyph and
by reportlab + poppler, A4 at 72 dpi, 9 pt on 10 pt lines, several seeds; character error rate in
per cent with a 95 % bootstrap interval over samples. --fonts compares faces instead.
"""

import argparse
import json
import random
import shutil
import sys

import numpy as np
from PIL import Image

import texts
from glyph import Page, PageLayout, RenderConfig, open_reader, render_pages
from glyph.fonts import installed_families
from glyph.pages import Glyphs, Lines
from glyph.probe import alignment

FACES = ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono", "Noto Sans", "Noto Serif", "Roboto",
         "JetBrains Mono", "STIXGeneral")  # fmt: skip


def sample(seed: int) -> str:
    """Return prose with random strings and look-alikes: what language models cannot guess."""
    rng = random.Random(seed)
    prose, _ = texts.english(400_000)
    start = rng.randrange(300_000)
    start = prose.index(" ", start) + 1
    words = " ".join(prose[start : start + 900].split())
    keys = [f"{rng.getrandbits(64):016x}" for _ in range(8)]
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    keys += ["".join(rng.choices(letters, k=12)) for _ in range(8)]
    keys += [f"{rng.randrange(10**9):,}" for _ in range(6)]
    return f"{words}\n{' '.join(keys)}\nnaming_rule a_b = c-d; rn m cl d vv w 5S 2Z 8B 0O"


def page_of_image(image: Image.Image) -> Page:
    """Wrap a foreign image as a page; readers look at its pixels only."""
    plane = np.asarray(image.convert("L"))
    gray = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    none = np.zeros(0, np.int32)
    glyphs = Glyphs(none, none, none, none, None)
    lines = Lines(none, none, none, none, none, none, none)
    height, width = plane.shape
    return Page(plane, gray, PageLayout(0, width, height, 0, 0, False, glyphs, lines))


def read(reader, page: Page) -> str:
    return reader.transcribe(page).text


def error_rate(reader, pages: list[list[Page]], sources: list[str]) -> dict:
    """Return the error rate over samples, each a list of pages."""
    counts = []
    for sample_pages, source in zip(pages, sources, strict=True):
        # Where lines break is layout, not reading: all white space counts as one blank.
        text = " ".join(" ".join(read(reader, page) for page in sample_pages).split())
        expected = " ".join(source.split())
        counts.append((len(alignment(expected, text)), len(expected)))
    errors, chars = np.array(counts).T
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(errors), (2000, len(errors)))
    rates = 100 * errors[picks].sum(1) / chars[picks].sum(1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return {
        "cer_percent": round(100 * errors.sum() / chars.sum(), 2),
        "interval": [round(float(low), 2), round(float(high), 2)],
        "chars": int(chars.sum()),
    }


def against_poppler(reader, seeds: int) -> list[dict]:
    from poppler import poppler_pages, register_font

    register_font()
    sources = [sample(seed) for seed in range(seeds)]
    ours = [list(render_pages(source, RenderConfig())) for source in sources]
    theirs = [[page_of_image(i) for i in poppler_pages(source)] for source in sources]
    aligned = [
        list(render_pages(source, RenderConfig(page_width_pt=588, page_height_pt=840, grid_px=28)))
        for source in sources
    ]
    return [
        {"pages": "reportlab + poppler", **error_rate(reader, theirs, sources)},
        {"pages": "Glyph, the same page", **error_rate(reader, ours, sources)},
        {"pages": "Glyph, 588x840 on the 28 px grid", **error_rate(reader, aligned, sources)},
    ]


def over_fonts(reader, seeds: int) -> list[dict]:
    rows = []
    sources = [sample(seed) for seed in range(seeds)]
    for family in FACES:
        if family in installed_families():
            config = RenderConfig(font_family=family)
            pages = [list(render_pages(source, config)) for source in sources]
            area = sum(line_area(page) for sample_pages in pages for page in sample_pages)
            chars = sum(map(len, sources))
            rows.append(
                {
                    "pages": family,
                    "px_per_char": round(area / chars, 1),
                    **error_rate(reader, pages, sources),
                }
            )
    return rows


def line_area(page: Page) -> float:
    """Return the pixels that the lines of a page cover."""
    lines = page.layout.lines
    return float(((lines.right64_L - lines.left64_L) / 64 * (lines.bottom_L - lines.top_L)).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fonts", action="store_true", help="compare faces")
    parser.add_argument("--seeds", type=int, default=10, help="samples of 1,300 characters")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if not arguments.fonts and shutil.which("pdftoppm") is None:
        sys.exit("pdftoppm is not installed; on Debian: apt-get install poppler-utils")
    reader = open_reader("ocr")
    rows = (over_fonts if arguments.fonts else against_poppler)(reader, arguments.seeds)
    if arguments.json:
        print(json.dumps({"rows": rows}))
        return
    for row in rows:
        low, high = row["interval"]
        area = f"{row['px_per_char']:6.1f} px/char" if "px_per_char" in row else ""
        print(f"{row['pages']:<34} CER {row['cer_percent']:5.2f} % [{low:.2f}, {high:.2f}] {area}")


if __name__ == "__main__":
    main()
