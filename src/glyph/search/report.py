"""The report: one HTML file that tells how the search went, and its plots as PNG files.

It holds everything it shows and asks the network for nothing.
"""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from glyph.config import RenderConfig
from glyph.encode import encode_png
from glyph.output import write_atomically
from glyph.pages import Page
from glyph.render import render_pages
from glyph.search.comparing import RATIOS, Comparison
from glyph.search.fitness import Fitness
from glyph.search.loop import LLM, front_of, outcomes, volumes
from glyph.search.pareto import REFERENCE, Point
from glyph.search.plots import front_plot, importance_plot, operator_plot, volume_plot
from glyph.search.space import Space
from glyph.search.study import Record

REPORT = "report.html"
THUMB_PX = (420, 200)
THUMB_CHARS = 6_000
MAX_LINEAGE = 12
MAX_NOTES = 20

_STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--dim:#59636e;--line:#d0d7de;--ground:#fff;
--soft:#f6f8fa;--us:#ddf4ff}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9198a1;--line:#3d444d;
--ground:#0d1117;--soft:#151b23;--us:#121d2f}}
body{font:15px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--ground);
max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.4rem}
h2{font-size:1.15rem;margin-top:2.4rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}
th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid var(--line);
white-space:nowrap}
th{font-weight:600;color:var(--dim)}th:first-child,td:first-child{text-align:left}
td.t{text-align:left;white-space:normal}th.t{text-align:left}
tr.us td{background:var(--us);font-weight:600}.wide{overflow-x:auto}
.plot{max-width:100%;height:auto;display:block}
.step{display:flex;gap:1.2rem;margin:1rem 0;align-items:flex-start}
.step img{border:1px solid var(--line);border-radius:4px;flex:none;max-width:26rem}
.tag{display:inline-block;padding:0 .5rem;border:1px solid var(--line);border-radius:1rem;
font-size:.82rem;color:var(--dim);margin-left:.4rem}
.dim{color:var(--dim)}code{background:var(--soft);padding:.15rem .4rem;border-radius:4px}
.big{font-size:1.15rem;margin:.2rem 0}
@media(max-width:45rem){.step{flex-direction:column}.step img{max-width:100%}}
"""


def write_report(
    folder: Path,
    records: Sequence[Record],
    best: Record,
    story: dict[str, Any],
    fitness: Fitness,
    space: Space,
    *,
    notes: Sequence[dict[str, Any]] = (),
    comparison: Comparison | None = None,
    population: int = 20,
) -> Path:
    """Write `report.html` and its plots into a folder.

    Args:
        folder: Of the search.
        records: All candidates, in order.
        best: The chosen one.
        story: Provenance of the study.
        fitness: Holds the text that is shown on thumbnails.
        space: The genes.
        notes: Log of the language model's proposals; empty without one.
        comparison: What was read beside the search, where it was asked for.
        population: Candidates of a generation.

    Returns:
        The HTML file.
    """
    plots = {
        "front": front_plot(records, best, population),
        "hypervolume": volume_plot(records, population),
        "importance": importance_plot(records, space),
        "operators": operator_plot(records, population),
    }
    for name, png in plots.items():
        write_atomically(folder / f"{name}.png", png)
    parts = [
        _summary(records, best, story),
        _section("Pareto front over generations", _image(plots["front"])),
        _section("Hypervolume", _image(plots["hypervolume"]) + _volume_words(records)),
        _section("At equal compression", _comparison(records, comparison)),
        _section("How the chosen candidate came about", _lineage(records, best, fitness)),
        _section(
            "Who proposed", _image(plots["operators"]) + _proposer_words(records, story, notes)
        ),
        _section("Which genes mattered", _image(plots["importance"]) + _IMPORTANCE_WORDS),
        _section("The front", _front_table(front_of(records))),
        _section("How accuracy was measured", _questions_table(best, story)),
    ]
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Glyph search</title>'
        '<meta name="viewport" content="width=device-width">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )
    path = folder / REPORT
    write_atomically(path, html.encode())
    return path


def thumbnail(config: RenderConfig, text: str) -> bytes:
    """Return the top left corner of the first page of a text, pixel for pixel, as PNG."""
    page = next(iter(render_pages(text[:THUMB_CHARS], config)))
    width, height = THUMB_PX
    cut_HW = np.ascontiguousarray(page.plane_HW[:height, :width])
    return encode_png(Page(cut_HW, page.palette_C3, page.layout))


def _summary(records: Sequence[Record], best: Record, story: dict[str, Any]) -> str:
    measured = best.measured
    return (
        f"<h1>Search for {escape(str(story['reader']))}</h1>"
        f'<p class="big"><b>{measured.accuracy:.1%}</b> of the questions right '
        f"[{measured.accuracy_low:.1%}, {measured.accuracy_high:.1%}] at "
        f"<b>{measured.price.ratio:.2f}</b> text tokens for each visual token of "
        f"{escape(str(story['model']))}.</p>"
        f"<p>{len(records)} candidates were measured, {sum(r.measured.is_full for r in records)} "
        f"of them to the end; {sum(r.measured.seconds for r in records):.0f} s of "
        f"reading. Stopped by {escape(str(story['stopped_by']))}. "
        f"Questions: {escape(str(story['questions']))}. "
        f"Proposed by {escape(str(story['proposer']))}.</p>"
        f'<p class="dim">Use it: <code>glyph render FILE --preset best.toml</code></p>'
    )


def _volume_words(records: Sequence[Record]) -> str:
    return (
        f"<p>The area that the front dominates beyond accuracy {REFERENCE[0]:g} and ratio "
        f"{REFERENCE[1]:g}: {volumes(records)[-1]:.3f} at the end.</p>"
    )


def _comparison(records: Sequence[Record], comparison: Comparison | None) -> str:
    full = [record for record in records if record.measured.is_full]
    groups: dict[str, Sequence[Point]] = {}
    if comparison is not None:
        groups[f"{comparison.num_random} random draws"] = comparison.random
        groups["the paper's preset, dpi lowered"] = comparison.manual
    groups["presets of the package"] = [r.point for r in full if r.operator == "seed"]
    groups["searched"] = [record.point for record in full]
    reached = max((ratio for points in groups.values() for _, ratio in points), default=0.0)
    ratios = [ratio for ratio in RATIOS if ratio <= reached]
    rows: list[str] = []
    for name, points in groups.items():
        if not points:
            continue
        tops = [max((p[0] for p in points if p[1] >= ratio), default=None) for ratio in ratios]
        cells = "".join("<td>-</td>" if top is None else f"<td>{top:.1%}</td>" for top in tops)
        style = ' class="us"' if name == "searched" else ""
        rows.append(f"<tr{style}><td>{name}</td>{cells}</tr>")
    head = "".join(f"<th>{ratio:g}x</th>" for ratio in ratios)
    hint = "" if comparison else " Random draws and the paper's preset are read with --compare."
    return (
        "<p>Best accuracy of what compresses at least so much, all on the same questions."
        f'{hint}</p><div class="wide"><table><tr><th>ratio at least</th>{head}</tr>'
        f"{''.join(rows)}</table></div>"
    )


def lineage_of(records: Sequence[Record], best: Record) -> list[Record]:
    """Return a candidate with its ancestors by first parent, oldest first."""
    by_number = {record.number: record for record in records}
    chain = [best]
    while chain[-1].parents and chain[-1].parents[0] in by_number:
        chain.append(by_number[chain[-1].parents[0]])
    return chain[::-1]


def _lineage(records: Sequence[Record], best: Record, fitness: Fitness) -> str:
    chain = lineage_of(records, best)
    cut = len(chain) - MAX_LINEAGE
    note = ""
    if cut > 0:
        chain = [chain[0], *chain[cut + 1 :]]
        note = f"<p>{cut} steps after the first are left out.</p>"
    text = fitness.validation.priced_text
    steps: list[str] = []
    for record in chain:
        parents = ", ".join(map(str, record.parents))
        steps.append(
            f'<div class="step">{_image(thumbnail(record.config, text), "")}<div>'
            f"<b>Candidate {record.number}</b>"
            f'<span class="tag">{escape(record.operator)}'
            f"{f' from {parents}' if parents else ''}</span><br>"
            f"<b>{record.point[0]:.1%}</b> at <b>{record.point[1]:.2f}x</b><br>"
            f'<span class="dim">{escape(record.reason)}</span></div></div>'
        )
    return note + "".join(steps)


def _proposer_words(
    records: Sequence[Record], story: dict[str, Any], notes: Sequence[dict[str, Any]]
) -> str:
    if not notes:
        name = str(story["proposer"])
        if name == "classical operators alone":
            return "<p>No language model was given; the classical operators ran alone.</p>"
        return f"<p>{escape(name)} was not asked in this study.</p>"
    num = {
        event: sum(note.get("event") == event for note in notes)
        for event in ("proposed", "refused", "failed")
    }
    num_repaired = sum(bool(note.get("is_repaired")) for note in notes)
    measured = [outcome for outcome in outcomes(records) if outcome.operator == LLM]
    rows = "".join(
        f'<tr><td>{escape(str(note.get("event")))}</td><td class="t">'
        f"{escape(str(note.get('reason')))}</td></tr>"
        for note in notes[-MAX_NOTES:]
    )
    return (
        f"<p>The language model made {num['proposed']} usable proposals, {num_repaired} of them "
        f"after repair; {num['refused']} were refused and {num['failed']} requests failed. "
        f"{len(measured)} were measured, {sum(o.gain > 0 for o in measured)} enlarged the front. "
        f"The latest:</p><table>{rows}</table>"
    )


_IMPORTANCE_WORDS = (
    "<p>Correlation ratio over the candidates of this study. It says what went together, not what "
    "causes what: a gene that never varied has no bar.</p>"
)


def _front_table(front: Sequence[Record]) -> str:
    rows = "".join(
        f"<tr><td>{record.number}</td><td>{record.point[0]:.1%}</td><td>"
        f"[{record.measured.accuracy_low:.1%}, {record.measured.accuracy_high:.1%}]</td><td>"
        f'{record.point[1]:.2f}</td><td class="t">{escape(record.operator)}: '
        f"{escape(record.reason)}</td></tr>"
        for record in front
    )
    return (
        '<div class="wide"><table><tr><th>candidate</th><th>accuracy</th><th>95 % interval</th>'
        f'<th>ratio</th><th class="t">why</th></tr>{rows}</table></div>'
    )


def _questions_table(best: Record, story: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(kind)}</td><td>{score:.1%}</td></tr>"
        for kind, score in best.measured.by_kind
    )
    return (
        f"<p>{len(best.measured.scores)} questions, {escape(str(story['questions']))}; every "
        "answer was read from rendered pages. Of the chosen candidate, by kind of question:</p>"
        f"<table>{rows}</table>"
    )


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>{body}"


def _image(png: bytes, kind: str = "plot") -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="" class="{kind}" src="data:image/png;base64,{data}">'
