"""The report of a folder of runs: Markdown, HTML and PNG plots, made from the summaries."""

import html
from collections import defaultdict
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

from glyph.evaluate.answering import CONDITIONS
from glyph.evaluate.session import Row, read_rows, write_aside
from glyph.evaluate.summary import Difference, paired_difference

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Evaluation</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:15px/1.5 system-ui,sans-serif;max-width:1240px;margin:2em auto;padding:0 1em;color:#222}}
h2{{margin-top:2em}}div.wide{{overflow-x:auto}}
table{{border-collapse:collapse;margin:1em 0;font-variant-numeric:tabular-nums}}
td,th{{padding:.25em .55em;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}}
th{{vertical-align:bottom;white-space:normal}}tr:hover td{{background:#f5f5f5}}
td.name,th.name{{text-align:left}}
img{{max-width:100%}}p.note{{color:#666;max-width:50em}}
</style><body><h1>Evaluation</h1>{body}</body></html>
"""
NOTE = (
    "Scores in percent with 95 % intervals (Wilson; never too narrow for scores between 0 and 1). "
    "The ratio is text tokens of the contexts over tokens shown. Silent errors are answers that "
    "are wrong and neither a refusal nor marked as unsure. Differences to the reader's own pages "
    "are paired bootstraps over the same examples."
)
COLUMNS = (
    "reader", "shown as", "preset", "n", "failed", "mean over subsets", "mean over categories",
    "silent errors", "ratio", "tokens in", "USD", "seconds", "against pages",
)  # fmt: skip
"""Of the table of runs."""

NAMES = ("reader", "shown as", "preset", "subset", "run", "less the run")
"""Columns of words, set flush left."""

MARKERS = "o^vsDX"
"""One a condition: pages are a dot."""


def cells(row: Row) -> tuple[str, ...]:
    """Return the row of a run in the table of runs."""
    summary = row.summary
    mean = "-"
    if summary.mean is not None and summary.mean_interval is not None:
        low, high = summary.mean_interval
        mean = f"{summary.mean:.1f} [{low:.0f}, {high:.0f}]"
    return (
        summary.reader,
        summary.condition,
        row.preset,
        str(summary.examples),
        str(summary.failed),
        mean,
        _number(summary.mean_over_categories, ".1f"),
        "-" if summary.silent_error_rate is None else f"{summary.silent_error_rate:.1f} %",
        _number(summary.ratio, ".2f"),
        f"{summary.input_tokens:,}",
        _number(summary.usd, ".4f"),
        f"{summary.seconds:.1f}",
        _points(row.against_pages),
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def write_report(folder: Path) -> None:
    """Write `report.md`, `report.html` and plots from every summary of a folder.

    Raises:
        EvaluationError: A summary is damaged, or a file cannot be written.
    """
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(read_rows(folder), key=_place):
        by_task[row.task].append(row)
    markdown, body = [f"# Evaluation\n\n{NOTE}\n"], [f'<p class="note">{html.escape(NOTE)}</p>']
    for task, rows in by_task.items():
        tables = [_runs_table(rows), _subsets_table(rows), *_pairs_table(rows)]
        markdown.append(f"## {task}\n")
        body.append(f"<h2>{html.escape(task)}</h2>")
        for table in tables:
            markdown.append(_markdown(table))
            body.append(_html(table))
        for sentence in (*_failures(rows), *_missing(rows)):
            markdown.append(f"{sentence}\n")
            body.append(f"<p>{html.escape(sentence)}</p>")
        for name, image in _plots(task, rows):
            write_aside(folder / name, image)
            markdown.append(f"![{name}]({name})\n")
            body.append(f'<p><img src="{html.escape(name)}" alt="{html.escape(name)}"></p>')
    write_aside(folder / "report.md", "\n".join(markdown))
    write_aside(folder / "report.html", PAGE.format(body="\n".join(body)))


def _place(row: Row) -> tuple[str, str, str, float, int]:
    """Return what rows are ordered by: the pages stand before what they are compared with."""
    preset = row.preset.rpartition("-")[0]
    condition = CONDITIONS.index(row.summary.condition)
    return row.task, row.summary.reader, preset, row.dpi, condition


def _missing(rows: list[Row]) -> list[str]:
    has = {row.summary.condition for row in rows}
    lacks = [name for name in CONDITIONS if name not in has]
    return [f"Not run: {', '.join(lacks)}."] if lacks else []


def _failures(rows: list[Row]) -> list[str]:
    """Return a sentence for every run in which examples have no answer."""
    return [
        f"Failed: {row.summary.failed} of {row.summary.examples} for {_title(row)}, the first "
        f"because: {row.summary.failure}"
        for row in rows
        if row.summary.failed
    ]


def _title(row: Row) -> str:
    return f"{row.summary.reader}, {row.summary.condition}, {row.preset}"


def _pairs_table(rows: list[Row]) -> list[list[tuple[str, ...]]]:
    """Return paired differences between runs from pages over the same examples, if there are two.

    Presets, resolutions and readers are compared so; conditions stand in the table of runs.
    """
    of_pages = [row for row in rows if row.summary.condition == "pages"]
    table: list[tuple[str, ...]] = [("run", "less the run", "n", "points, 95 %")]
    for one, other in combinations(of_pages, 2):
        gap = None
        if one.examples_digest == other.examples_digest:
            gap = paired_difference(one.records, other.records)
        if gap is not None:
            table.append((_title(one), _title(other), str(gap.examples), _points(gap)))
    return [table] if len(table) > 1 else []


def _points(gap: Difference | None) -> str:
    return f"{gap.points:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]" if gap else "-"


def _runs_table(rows: list[Row]) -> list[tuple[str, ...]]:
    return [COLUMNS, *(cells(row) for row in rows)]


def _subsets_table(rows: list[Row]) -> list[tuple[str, ...]]:
    names = dict.fromkeys(name for row in rows for name in row.summary.scores)
    titles = [f"{row.summary.reader} {row.summary.condition} {row.preset}" for row in rows]
    table: list[tuple[str, ...]] = [("subset", *titles)]
    for name in names:
        values = [row.summary.scores.get(name) for row in rows]
        table.append((name, *(_number(value, ".1f") for value in values)))
    categories = dict.fromkeys(name for row in rows for name in row.summary.category_means)
    for name in categories:
        values = [row.summary.category_means.get(name) for row in rows]
        table.append((f"category: {name}", *(_number(value, ".1f") for value in values)))
    return table


def _markdown(table: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(each.replace("|", "\\|") for each in row) + " |" for row in table]
    lines.insert(1, "|" + "---|" * len(table[0]))
    return "\n".join(lines) + "\n"


def _html(table: list[tuple[str, ...]]) -> str:
    is_name = [title in NAMES for title in table[0]]

    def line(row: tuple[str, ...], tag: str) -> str:
        cells = (
            f"<{tag}{' class=name' if name else ''}>{html.escape(each)}</{tag}>"
            for each, name in zip(row, is_name, strict=True)
        )
        return "<tr>" + "".join(cells) + "</tr>"

    body = line(table[0], "th") + "".join(line(row, "td") for row in table[1:])
    return f'<div class="wide"><table>{body}</table></div>'


# -- plots -----------------------------------------------------------------------------------


def _plots(task: str, rows: list[Row]) -> list[tuple[str, bytes]]:
    plots = [(f"{task}.ratio.png", _ratio_plot(task, rows))]
    if task == "needle":
        plots.append(("needle.depths.png", _heat_maps([row for row in rows if row.summary.scores])))
    return plots


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _png(figure: Any) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _ratio_plot(task: str, rows: list[Row]) -> bytes:
    """Draw mean score against ratio; the resolutions of one reader are joined by a line."""
    figure, ((axes,),) = _figure(7.5, 4.2)
    lines: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.summary.mean is not None and row.summary.ratio:
            preset = row.preset.rpartition("-")[0]
            lines[row.summary.reader, row.summary.condition, preset].append(row)
    for (reader, condition, preset), each in lines.items():
        each.sort(key=lambda row: row.summary.ratio or 0.0)
        points = [(row.summary.ratio, row.summary.mean) for row in each]
        # Pages are drawn above what they are compared with, and the rest lets shine through.
        is_pages = condition == "pages"
        axes.plot(
            *zip(*points, strict=True), marker=MARKERS[CONDITIONS.index(condition)],
            label=f"{reader}, {condition}, {preset}", zorder=3 if is_pages else 2,
            alpha=1.0 if is_pages else 0.6, markersize=9 if is_pages else 6,
            linestyle="-" if is_pages else ":",
        )  # fmt: skip
        for row, at in zip(each, points, strict=True):
            if is_pages and len(each) > 1:
                axes.annotate(f"{row.dpi:g} dpi", at, xytext=(0, -16), ha="center",
                              textcoords="offset points", fontsize=8)  # fmt: skip
    axes.set(xlabel="ratio: text tokens over tokens shown", ylabel="mean score, %", title=task)
    axes.set_ylim(-4, 106)
    axes.grid(alpha=0.3)
    if lines:
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _png(figure)


def _heat_maps(rows: list[Row]) -> bytes:
    """Draw needle scores by length and depth, one map a run, three beside each other."""
    found = [_cells_of(row) for row in rows]
    lengths = sorted({length for each in found for length, _ in each})
    depths = sorted({depth for each in found for _, depth in each})
    columns = min(len(rows), 3)
    height = -(-len(rows) // columns)
    width_in = columns * (1.0 + 0.75 * len(lengths))
    figure, grid = _figure(width_in, height * (1.1 + 0.33 * len(depths)), height, columns)
    for axes in grid.flat[len(rows) :]:
        axes.set_visible(False)
    for axes, row, cells_of in zip(grid.flat, rows, found, strict=False):
        values = [[cells_of.get((x, y), float("nan")) for x in lengths] for y in depths]
        axes.imshow(values, vmin=0, vmax=100, cmap="viridis", aspect="auto")
        for (x, y), value in cells_of.items():
            axes.text(lengths.index(x), depths.index(y), f"{value:.0f}", ha="center", va="center",
                      fontsize=8, color="black" if value > 60 else "white")  # fmt: skip
        axes.set_xticks(range(len(lengths)), [f"{length:,}" for length in lengths], fontsize=8)
        axes.set_yticks(range(len(depths)), [f"{depth} %" for depth in depths], fontsize=8)
        title = f"{row.summary.reader}, {row.summary.condition}\n{row.preset}"
        axes.set_title(title, fontsize=9)
    figure.supxlabel("text tokens", fontsize=9)
    figure.supylabel("depth", fontsize=9)
    return _png(figure)


def _cells_of(row: Row) -> dict[tuple[int, int], float]:
    """Return the score of each length and depth."""
    from glyph.evaluate.needle import parse_subset

    return {parse_subset(name): value for name, value in row.summary.scores.items()}
