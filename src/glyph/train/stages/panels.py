"""Pages beside what the model says of them, as one HTML file that needs nothing else."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from glyph.train.samples.sample import Sample
from glyph.train.stages.folder import write_bytes

MAX_PAGES = 4

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; color: #222; }
article { display: grid; grid-template-columns: minmax(12rem, 26rem) 1fr; gap: 1.5rem;
  border-top: 1px solid #ddd; padding: 1.2rem 0; }
img { width: 100%; image-rendering: pixelated; border: 1px solid #ccc; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 .7rem; background: #f6f6f4;
  padding: .5rem .7rem; }
h3 { font-size: .8rem; margin: 0 0 .2rem; color: #666; font-weight: 600; }
pre.right { border-left: 3px solid #2a7f4f; } pre.wrong { border-left: 3px solid #b3402a; }
"""


def write_panels(path: Path, samples: Sequence[Sample], said: Sequence[str]) -> None:
    """Write a panel of samples.

    Args:
        path: HTML file.
        samples: What was asked.
        said: What the model said, in the same order.
    """
    articles = "\n".join(map(_article, samples, said))
    page = (
        f"<!doctype html><meta charset=utf-8><title>{html.escape(path.stem)}</title>"
        f"<style>{_STYLE}</style><h1>{html.escape(path.stem)}</h1>\n{articles}\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, page.encode())


def _article(sample: Sample, said: str) -> str:
    images = "".join(
        f'<img alt="page {number}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for number, png in enumerate(sample.images[:MAX_PAGES], 1)
    )
    wanted = sample.completion or " | ".join(sample.answers)
    kind = "right" if said.strip() == wanted.strip() else "wrong"
    return (
        f"<article><div>{images}</div><div><h3>{html.escape(sample.family)}: asked</h3>"
        f"<pre>{html.escape(sample.prompt)}</pre><h3>said</h3>"
        f'<pre class="{kind}">{html.escape(said)}</pre>'
        f"<h3>wanted</h3><pre>{html.escape(wanted)}</pre></div></article>"
    )
