"""How fast text becomes pages: `python benchmarks/speed.py [--json]`.

One core, A4 at 72 dpi, DejaVu Sans 9 pt on 10 pt lines, warm atlas. Each figure is the median of
several runs; seconds are wall time of a process pinned to one core, from document to last page.
Taking the text in, with its search for hard line breaks, is timed apart.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import texts
from glyph import Document, RenderConfig, document_from_text, encode_png, kernel, render_pages

CONFIG = RenderConfig()
RUNS = 7


def pin_to_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def render_all(document: Document, *, png: bool) -> int:
    num_bytes = 0
    for page in render_pages(document, CONFIG):
        num_bytes += len(encode_png(page)) if png else page.plane_HW.size
    return num_bytes


def median_seconds(work: Callable[[], object], runs: int = RUNS) -> float:
    work()
    seconds: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def row(name: str, text: str, *, png: bool, kernel_name: str = "c", runs: int = RUNS) -> dict:
    document = document_from_text(text, unwrap=False)
    with kernel.using(kernel_name):
        seconds = median_seconds(lambda: render_all(document, png=png), runs)
        pages = sum(1 for _ in render_pages(document, CONFIG))
    return {
        "text": name,
        "kernel": kernel_name,
        "output": "PNG" if png else "array",
        "chars": len(text),
        "seconds": round(seconds, 4),
        "chars_per_s": round(len(text) / seconds),
        "pages_per_s": round(pages / seconds, 1),
    }


STREAM = """
import os, sys
sys.path.insert(0, {folder!r})
import texts
from glyph import RenderConfig, encode_png, render_pages

def resident_mb():
    # Sampled after every page. Not ru_maxrss on Linux, where a child inherits its parent's.
    if os.path.exists("/proc/self/statm"):
        return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

text, _ = texts.english(5_000_000)
pages, peak_mb = 0, resident_mb()
for page in render_pages(text, RenderConfig()):
    encode_png(page)
    pages, peak_mb = pages + 1, max(peak_mb, resident_mb())
print(pages, peak_mb)
"""


def streamed_memory() -> dict:
    """Peak memory of a process that streams five million characters to PNG."""
    code = STREAM.format(folder=str(Path(__file__).resolve().parent))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pages, megabytes = out.stdout.split()
    return {"chars": 5_000_000, "pages": int(pages), "peak_rss_mb": round(float(megabytes), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    pin_to_one_core()
    rows = []
    text, name = texts.english(1_000_000)
    flat, flat_name = texts.without_newlines(1_000_000)
    for label, sample in ((name, text), (flat_name, flat)):
        rows += [row(label, sample, png=False), row(label, sample, png=True)]
    rows.append(row(name, text, png=False, kernel_name="numpy", runs=3))
    for found in (texts.chinese(500_000), texts.arabic(500_000)):
        if found:
            rows += [row(found[1], found[0], png=png) for png in (False, True)]
    intake_s = median_seconds(lambda: document_from_text(text))
    memory = streamed_memory()
    if arguments.json:
        print(
            json.dumps(
                {
                    "machine": platform.processor(),
                    "rows": rows,
                    "intake_s": intake_s,
                    "streamed": memory,
                }
            )
        )
        return
    for r in rows:
        print(
            f"{r['text']:<32} {r['kernel']:<6} {r['output']:<6} {r['seconds']:8.3f} s "
            f"{r['chars_per_s'] / 1e6:7.2f} M chars/s {r['pages_per_s']:8.1f} pages/s"
        )
    print(f"taking in {len(text):,} characters: {intake_s * 1000:.0f} ms")
    print(
        f"streamed {memory['chars']:,} characters to {memory['pages']} PNG pages: "
        f"peak {memory['peak_rss_mb']} MB"
    )


if __name__ == "__main__":
    main()
