"""Against reportlab -> PDF -> poppler -> PNG: `python benchmarks/poppler.py [--json]`.

The same text, font file, size, line height and margins through the usual pipeline and through
Glyph, both to PNG files in memory, in one process tree on one core; medians. Needs reportlab
(`pip install reportlab`) and pdftoppm (Debian: `apt-get install poppler-utils`).
"""

import argparse
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph, SimpleDocTemplate

import texts
from glyph import document_from_text
from glyph.fonts import find_font
from speed import CONFIG, pin_to_one_core, render_all


def register_font() -> None:
    """Give reportlab the font file that Glyph uses."""
    font = find_font(CONFIG.font_family)
    pdfmetrics.registerFont(TTFont("Page", str(font.path)))


def to_pdf(text: str) -> bytes:
    """Set the text with reportlab: 30 source lines a paragraph, as the public pipeline does."""
    style = ParagraphStyle(
        "page",
        fontName="Page",
        fontSize=CONFIG.font_size_pt,
        leading=CONFIG.line_height_pt,
    )
    lines = text.split("\n")
    story = [
        Paragraph("<br/>".join(map(escape, lines[i : i + 30])), style)
        for i in range(0, len(lines), 30)
    ]
    file = io.BytesIO()
    SimpleDocTemplate(
        file,
        pagesize=(CONFIG.page_width_pt, CONFIG.page_height_pt),
        leftMargin=CONFIG.margin_x_pt,
        rightMargin=CONFIG.margin_x_pt,
        topMargin=CONFIG.margin_y_pt,
        bottomMargin=CONFIG.margin_y_pt,
    ).build(story)
    return file.getvalue()


def poppler_pages(text: str) -> list[Image.Image]:
    """Return the pages of the usual pipeline as images."""
    with tempfile.TemporaryDirectory() as folder:
        pdf = Path(folder) / "text.pdf"
        pdf.write_bytes(to_pdf(text))
        command = ["pdftoppm", "-r", str(round(CONFIG.dpi)), str(pdf), str(Path(folder) / "page")]
        subprocess.run(command, check=True, capture_output=True)
        images = []
        for path in sorted(Path(folder).glob("page*.ppm")):
            with Image.open(path) as image:
                images.append(image.copy())
        return images


def poppler_png(text: str) -> int:
    num_bytes = 0
    for image in poppler_pages(text):
        file = io.BytesIO()
        image.save(file, "PNG")
        num_bytes += file.tell()
    return num_bytes


def compare(name: str, text: str, runs: int) -> dict:
    def render_glyph() -> None:
        render_all(document_from_text(text, unwrap=False), png=True)

    render_glyph()
    theirs, ours = [], []
    for _ in range(runs):  # interleaved, so that both meet the same machine
        start = time.perf_counter()
        poppler_png(text)
        theirs.append(time.perf_counter() - start)
        for _ in range(3):
            start = time.perf_counter()
            render_glyph()
            ours.append(time.perf_counter() - start)
    usual, glyph = statistics.median(theirs), statistics.median(ours)
    return {
        "text": name,
        "chars": len(text),
        "reportlab_poppler_s": round(usual, 3),
        "glyph_s": round(glyph, 4),
        "times_faster": round(usual / glyph, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chars", type=int, default=250_000, help="length of each text")
    parser.add_argument("--runs", type=int, default=3, help="runs of the slow pipeline")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if shutil.which("pdftoppm") is None:
        sys.exit("pdftoppm is not installed; on Debian: apt-get install poppler-utils")
    pin_to_one_core()
    register_font()
    prose, prose_name = texts.english(arguments.chars)
    flat, flat_name = texts.without_newlines(arguments.chars)
    rows = [
        compare(prose_name, prose, arguments.runs),
        compare(flat_name, flat, arguments.runs),
    ]
    if arguments.json:
        print(json.dumps({"rows": rows}))
        return
    for row in rows:
        print(
            f"{row['text']:<32} reportlab+poppler {row['reportlab_poppler_s']:7.2f} s   "
            f"glyph {row['glyph_s']:.4f} s   {row['times_faster']:.0f}x"
        )


if __name__ == "__main__":
    main()
