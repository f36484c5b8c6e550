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

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Evaluation</title><style>
body{{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}}
table{{border-collapse:collapse;margin:1em 0}}td,th{{padding:.3em .7em;border-bottom:1px solid #ddd;
text-align:right}}td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){{text-align:left}}
img{{max-width:100%}}p.note{{color:#666}}</style><body><h1>Evaluation</h1>{body}</body></html>
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
    for row in read_rows(folder):
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
    def line(row: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(each)}</{tag}>" for each in row) + "</tr>"

    return "<table>" + line(table[0], "th") + "".join(line(r, "td") for r in table[1:]) + "</table>"


# -- plots -----------------------------------------------------------------------------------


def _plots(task: str, rows: list[Row]) -> list[tuple[str, bytes]]:
    plots = [(f"{task}.ratio.png", _ratio_plot(task, rows))]
    if task == "needle":
        plots += [
            (f"needle.{i}.png", _heat_map(row)) for i, row in enumerate(rows) if row.summary.scores
        ]
    return plots


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _png(figure: Any) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _ratio_plot(task: str, rows: list[Row]) -> bytes:
    """Draw mean score against ratio; the resolutions of one reader are joined by a line."""
    figure, axes = _figure(6.4, 4.2)
    lines: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.summary.mean is not None and row.summary.ratio:
            lines[f"{row.summary.reader}, {row.summary.condition}"].append(row)
    for label, each in lines.items():
        each.sort(key=lambda row: row.summary.ratio or 0.0)
        x = [row.summary.ratio for row in each]
        y = [row.summary.mean for row in each]
        axes.plot(x, y, marker="o", label=label)
        for row in each:
            if row.summary.condition == "pages":
                at = (row.summary.ratio, row.summary.mean)
                axes.annotate(f"{row.dpi:g} dpi", at, xytext=(4, 4), textcoords="offset points")
    axes.set(xlabel="ratio: text tokens over tokens shown", ylabel="mean score, %", title=task)
    axes.set_ylim(-3, 103)
    if lines:
        axes.legend(fontsize=8)
    return _png(figure)


def _heat_map(row: Row) -> bytes:
    """Draw needle scores by length and depth."""
    from glyph.evaluate.needle import parse_subset

    found = {parse_subset(name): value for name, value in row.summary.scores.items()}
    lengths = sorted({length for length, _ in found})
    depths = sorted({depth for _, depth in found})
    values = [[found.get((length, depth), float("nan")) for length in lengths] for depth in depths]
    figure, axes = _figure(1.6 + 0.9 * len(lengths), 1.4 + 0.4 * len(depths))
    image = axes.imshow(values, vmin=0, vmax=100, cmap="RdYlGn", aspect="auto")
    axes.set_xticks(range(len(lengths)), [f"{length:,}" for length in lengths])
    axes.set_yticks(range(len(depths)), [f"{depth} %" for depth in depths])
    summary = row.summary
    title = f"{summary.reader}, {summary.condition}, {row.preset}"
    axes.set(xlabel="text tokens", ylabel="depth", title=title)
    figure.colorbar(image, label="score, %")
    return _png(figure)
