"""Every table of docs/EVALUATION.md: both offline readers on every task, beside text baselines.

    python benchmarks/evaluation.py --data DIR             all of it: about an hour of one core
    python benchmarks/evaluation.py --data DIR --quick     one example of everything, minutes
    python benchmarks/evaluation.py --only ocr-dpi,nano-needle
    python benchmarks/evaluation.py --tables               print the tables of what was measured

Answers are journalled in --work, so that a run that was stopped goes on. Each study leaves one
small JSON file in benchmarks/results/evaluation, and all of them together `tables.md` beside it.
`DIR` holds the texts: `needle/PaulGrahamEssays`, `multihop/hotpotqa_train100.json`,
`multilingual/xquad.en.first12.json`, `qa/*.jsonl` and `books/`.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from glyph.evaluate import TaskOptions, load_task
from glyph.evaluate.answering import CONDITIONS, Answerer
from glyph.evaluate.session import Plan, Row, open_answerer, run_session, write_aside
from glyph.evaluate.summary import wilson_interval
from glyph.text_tokens import count_text_tokens
from glyph.tokens import resolve_model

RESULTS = Path(__file__).parent / "results" / "evaluation"
MODEL = "glm-4.1v"
LATIN = ("words", "strings", "digits", "uuids", "code")
OF_PAGES = ("pages", "blank")
SEED = 8
RULER_DATA = (
    "needle/PaulGrahamEssays", "multihop/hotpotqa_train100.json",
    "multilingual/xquad.en.first12.json",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """One reader on one task: a table, or a part of one.

    Attributes:
        name: Of its file of results.
        reader: `nano` or `ocr`.
        task: Of `glyph eval`.
        num_examples: Of each subset and length.
        lengths: In text tokens; empty for the task's own.
        data: Files and folders below the folder of texts.
        preset: How pages look; None for the reader's own.
        dpis: Resolutions; empty for the preset's own.
        conditions: How contexts are shown.
        subsets: Of the task; empty for all.
        seed: Of everything that is drawn.
    """

    name: str
    reader: str
    task: str
    num_examples: int
    lengths: tuple[int, ...] = ()
    data: tuple[str, ...] = ()
    preset: str | None = None
    dpis: tuple[float, ...] = ()
    conditions: tuple[str, ...] = CONDITIONS
    subsets: tuple[str, ...] = ()
    seed: int = SEED


def studies() -> Iterator[Study]:
    """Yield the studies, the cheap ones first."""
    yield Study("nano-ocr-dense", "nano", "ocr", 20, preset="nano-dense", conditions=OF_PAGES)
    yield Study("nano-ocr-lines", "nano", "ocr", 20, preset="nano", conditions=OF_PAGES)
    # Pages of long contexts are read once: read again in another order, they would take an hour.
    once = tuple(name for name in CONDITIONS if name != "shuffled")
    for length, number, conditions in ((1024, 20, CONDITIONS), (4096, 20, once), (16384, 4, once)):
        yield Study(f"nano-ruler-{length}", "nano", "ruler", number, (length,), RULER_DATA,
                    conditions=conditions)  # fmt: skip
    for length in (4096, 16384):
        yield Study(f"nano-mrcr-{length}", "nano", "mrcr", 6, (length,))
    for book in ("jane_eyre", "sanguo_yanyi"):
        for length, conditions in ((1024, CONDITIONS), (4096, CONDITIONS), (16384, once)):
            yield Study(f"nano-books-{book}-{length}", "nano", "books", 10, (length,),
                        (f"qa/{book}.jsonl",), conditions=conditions)  # fmt: skip
    yield Study("nano-needle", "nano", "needle", 4, (1024, 4096, 16384), RULER_DATA[:1])
    yield Study("nano-needle-64k", "nano", "needle", 1, (65536,), RULER_DATA[:1], conditions=once)
    yield Study("nano-needle-128k", "nano", "needle", 1, (131072,), RULER_DATA[:1], conditions=once)
    yield Study("nano-books-whole", "nano", "books", 4, data=("qa/jane_eyre.jsonl",),
                conditions=once)  # fmt: skip
    # Chinese has a seed of its own: the reader was mended after it was seen with the first.
    for kind, subsets, seed in (("", LATIN, SEED), ("-chinese", ("chinese",), SEED + 1)):
        yield Study(f"ocr-dpi{kind}", "ocr", "ocr", 4, (), (), "aligned-28",
                    (60, 72, 84, 96, 120), OF_PAGES, subsets, seed)  # fmt: skip
        for preset in ("aligned-28-flow", "aligned-28-dense", "glyph-en-72", "nano-dense"):
            yield Study(f"ocr-{preset}{kind}", "ocr", "ocr", 4, (), (), preset, (), OF_PAGES,
                        subsets, seed)  # fmt: skip
    yield Study("ocr-ruler-768", "ocr", "ruler", 2, (768,), RULER_DATA)
    yield Study("ocr-books-jane_eyre-1024", "ocr", "books", 5, (1024,), ("qa/jane_eyre.jsonl",))
    yield Study("ocr-books-sanguo_yanyi-1024", "ocr", "books", 5, (1024,),
                ("qa/sanguo_yanyi.jsonl",))  # fmt: skip
    yield Study("ocr-needle", "ocr", "needle", 1, (512,), RULER_DATA[:1], conditions=once)
    yield Study("ocr-mrcr-2048", "ocr", "mrcr", 1, (2048,))


def made_short(study: Study) -> Study:
    """Return the same with one example of the shortest lengths."""
    return replace(study, num_examples=1, lengths=study.lengths[:2], dpis=study.dpis[1:3])


@cache
def answerer_of(reader: str, threads: int) -> Answerer:
    return open_answerer(reader, SEED, threads=threads)


def run(study: Study, data: Path, work: Path, threads: int) -> dict[str, Any]:
    """Run a study, or go on with it, and return its rows."""
    tokenizer = resolve_model(MODEL).tokenizer
    options = TaskOptions(
        subsets=study.subsets,
        lengths=study.lengths,
        num_examples=study.num_examples,
        data=tuple(data / each for each in study.data),
        seed=study.seed,
        count=lambda text: count_text_tokens(text, tokenizer),
    )
    task = load_task(study.task, options)
    plan = Plan(work / study.name, study.conditions, study.preset, (), study.dpis, MODEL,
                seed=study.seed)  # fmt: skip
    rows = run_session(task, answerer_of(study.reader, threads), plan)
    return {
        "study": asdict(study),
        "skipped": list(task.skipped),
        "rows": [row_values(row) for row in rows],
    }


def row_values(row: Row) -> dict[str, Any]:
    """Return a row without the scores of its examples, with figures rounded."""
    values = asdict(row)
    del values["records"]
    return json.loads(json.dumps(values), parse_float=lambda text: round(float(text), 4))


# -- tables ----------------------------------------------------------------------------------


def tables(results: dict[str, dict[str, Any]]) -> str:
    """Return the tables of all studies there are, as Markdown."""
    parts = ["# Measured by benchmarks/evaluation.py\n"]
    parts += [_ocr_table(results)]
    for reader in ("nano", "ocr"):
        parts += [_needle_tables(results, reader), _ruler_tables(results, reader)]
    parts += [_mean_table(results, "mrcr"), _mean_table(results, "books"), _failures(results)]
    return "\n".join(part for part in parts if part)


def _of(
    results: dict[str, dict[str, Any]], task: str, reader: str | None = None
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return study and row of all runs of a task."""
    return [
        (each["study"], row)
        for each in results.values()
        if each["study"]["task"] == task and reader in (None, each["study"]["reader"])
        for row in each["rows"]
    ]


def markdown(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = ["| " + " | ".join(each) + " |" for each in (head, *rows)]
    lines.insert(1, "|---" + "|--:" * (len(head) - 1) + "|")
    return f"## {title}\n\n" + "\n".join(lines) + "\n"


def score_of(summary: dict[str, Any] | None, subset: str) -> str:
    """Return a score and its interval."""
    if summary is None:
        return "not run"
    if subset not in summary["scores"]:
        return "failed" if summary["failed"] else "-"
    low, high = summary["intervals"][subset]
    return f"{summary['scores'][subset]:.1f} [{low:.0f}, {high:.0f}]"


def mean_of(row: dict[str, Any]) -> str:
    summary = row["summary"]
    if summary["mean"] is None:
        return "failed"
    low, high = summary["mean_interval"]
    return f"{summary['mean']:.1f} [{low:.0f}, {high:.0f}]"


def number(value: float | None, form: str, missing: str = "-") -> str:
    return missing if value is None else format(value, form)


def _ocr_table(results: dict[str, dict[str, Any]]) -> str:
    """Return a row for each reader and preset; Chinese has a ratio of its own."""
    kinds = (*LATIN, "chinese")
    lines: dict[tuple[str, str, str], dict[str, str]] = {}
    for study, row in _of(results, "ocr"):
        summary = row["summary"]
        if summary["condition"] != "pages":
            continue
        line = lines.setdefault((study["reader"], row["preset"], str(study["num_examples"])), {})
        for kind in study["subsets"] or kinds:
            line[kind] = number(summary["scores"].get(kind), ".1f", "failed")
        is_chinese = study["subsets"] == ["chinese"]
        line["ratio, Chinese" if is_chinese else "ratio"] = number(summary["ratio"], ".2f")
    titles = (*kinds, "ratio", "ratio, Chinese")
    rows = [(*key, *(line.get(title, "-") for title in titles)) for key, line in lines.items()]
    head = ("reader", "preset", "n a kind", *titles)
    return markdown("Characters right, %", head, rows)


def _needle_tables(results: dict[str, dict[str, Any]], reader: str) -> str:
    return "\n".join(
        _needle_table(each["study"], [row["summary"] for row in each["rows"]])
        for each in results.values()
        if (each["study"]["task"], each["study"]["reader"]) == ("needle", reader)
    )


def _needle_table(study: dict[str, Any], summaries: list[dict[str, Any]]) -> str:
    """Return the heat-map of the pages, and the mean of each length for every condition."""
    cell = "length {}, depth {}".format
    lengths, depths = study["lengths"], (0, 25, 50, 75, 100)
    rows: list[tuple[str, ...]] = []
    for depth in depths:
        scores = (summaries[0]["scores"].get(cell(length, depth)) for length in lengths)
        rows.append((f"depth {depth} %", *(number(each, ".0f") for each in scores)))
    for summary in summaries:
        name = f"all depths, {summary['condition']}, {number(summary['ratio'], '.2f')}x"
        rows.append((name, *(_mean_of_cells(summary, length, cell, depths) for length in lengths)))
    n = study["num_examples"]
    title = f"Needle, {study['reader']}, score by text tokens, n = {n} a cell"
    return markdown(title, ("", *(f"{length:,}" for length in lengths)), rows)


def _mean_of_cells(
    summary: dict[str, Any], length: int, cell: Callable[[int, int], str], depths: Sequence[int]
) -> str:
    scores = [summary["scores"].get(cell(length, depth)) for depth in depths]
    known = [each for each in scores if each is not None]
    return number(sum(known) / len(known) if known else None, ".0f")


def _ruler_tables(results: dict[str, dict[str, Any]], reader: str) -> str:
    return "\n".join(
        _ruler_table(each["study"], [row["summary"] for row in each["rows"]])
        for each in results.values()
        if (each["study"]["task"], each["study"]["reader"]) == ("ruler", reader)
    )


def _ruler_table(study: dict[str, Any], summaries: list[dict[str, Any]]) -> str:
    """Return a row a subset and a column a condition; the eight needle tasks are one row."""
    subsets = list(summaries[0]["scores"])
    needles = [name for name in subsets if name.startswith("niah")]
    n = study["num_examples"]
    rows: list[tuple[str, ...]] = [
        (f"{len(needles)} needle tasks", *(_pooled(each, needles, n) for each in summaries)),
        *((name, *(_pooled(each, [name], n) for each in summaries)) for name in subsets
          if name not in needles),
        ("**mean over 13 subsets**", *(mean_of({"summary": each}) for each in summaries)),
        ("mean over 4 categories",
         *(number(each["mean_over_categories"], ".1f") for each in summaries)),
        ("silent errors, %", *(number(each["silent_error_rate"], ".1f") for each in summaries)),
        ("failed", *(str(each["failed"]) for each in summaries)),
        ("ratio", *(number(each["ratio"], ".2f") for each in summaries)),
    ]  # fmt: skip
    title = f"RULER, {study['reader']}, {study['lengths'][0]:,} text tokens, n = {n} a subset"
    return markdown(title, ("", *(each["condition"] for each in summaries)), rows)


def _pooled(summary: dict[str, Any], names: Sequence[str], num_examples: int) -> str:
    """Return the mean of subsets of equal size and its interval."""
    scores = [summary["scores"][name] for name in names if name in summary["scores"]]
    if not scores:
        return "failed"
    mean, total = sum(scores) / len(scores), len(scores) * num_examples
    low, high = wilson_interval(mean / 100 * total, total)
    return f"{mean:.1f} [{low:.0f}, {high:.0f}]"


def _mean_table(results: dict[str, dict[str, Any]], task: str) -> str:
    """Return a row for each length and subset, and a column a condition."""
    rows: list[tuple[str, ...]] = []
    for each in results.values():
        study, summaries = each["study"], [row["summary"] for row in each["rows"]]
        if study["task"] != task:
            continue
        by_name = {summary["condition"]: summary for summary in summaries}
        subsets = dict.fromkeys(name for summary in summaries for name in summary["scores"])
        length = f"{study['lengths'][0]:,}" if study["lengths"] else "whole"
        for subset in subsets:
            cells = (score_of(by_name.get(name), subset) for name in CONDITIONS)
            n = summaries[0]["examples"] // len(subsets)
            rows.append((study["reader"], length, subset, str(n), *cells,
                         number(by_name["pages"]["ratio"], ".2f")))  # fmt: skip
    head = ("reader", "text tokens", "subset", "n", *CONDITIONS, "ratio")
    return markdown(task, head, rows)


def _failures(results: dict[str, dict[str, Any]]) -> str:
    rows = [
        (name, row["summary"]["condition"], str(row["summary"]["failed"]),
         row["summary"]["failure"])
        for name, each in results.items()
        for row in each["rows"]
        if row["summary"]["failed"]
    ]  # fmt: skip
    return markdown("What failed, and why", ("study", "shown as", "failed", "the first"), rows)


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the results there are, in the order of the studies."""
    found = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    names = [study.name for study in studies()]
    return {name: found[name] for name in names if name in found}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--data", type=Path, default=Path(os.environ.get("GLYPH_DATA", "data")))
    options.add_argument("--work", type=Path, default=Path("runs/evaluation"))
    options.add_argument("--only", default="", help="studies, such as ocr-dpi,nano-needle")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--tables", action="store_true", help="run nothing")
    asked = options.parse_args()
    by_name = {study.name: study for study in studies()}
    only = asked.only.split(",") if asked.only else list(by_name)
    work = asked.work / "quick" if asked.quick else asked.work
    results = work / "results" if asked.quick else RESULTS
    results.mkdir(parents=True, exist_ok=True)
    for name in () if asked.tables else only:
        chosen = made_short(by_name[name]) if asked.quick else by_name[name]
        began = time.process_time()
        values = run(chosen, asked.data, work, asked.threads)
        write_aside(results / f"{name}.json", json.dumps(values, indent=1) + "\n")
        print(f"{name}: {time.process_time() - began:.1f} core-seconds", flush=True)
    text = tables(read_results(results))
    write_aside(results / "tables.md", text)
    print(text)


if __name__ == "__main__":
    main()
