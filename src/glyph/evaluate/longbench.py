"""LongBench: 21 tasks of six categories, with the published prompts and metrics.

The data and the two tables of prompts and answer lengths are read from local files, as published.
A prompt is divided at its context: what stands before and after it stays text. The examples of
few-shot tasks are part of the context, as in the benchmark, and become pages.

Source:
    Bai et al. 2023 (arXiv:2308.14508); github.com/THUDM/LongBench.
"""

import ast
import json
from pathlib import Path
from typing import Any

from glyph.errors import DocumentError
from glyph.evaluate.data import files_of, read_rows
from glyph.evaluate.task import Example, LoadedTask, TaskOptions, chosen

SOURCE = "github.com/THUDM/LongBench"
FIELDS = ("input", "context", "answers")

TASKS = {
    "narrativeqa": ("single-document QA", "word_f1"),
    "qasper": ("single-document QA", "word_f1"),
    "multifieldqa_en": ("single-document QA", "word_f1"),
    "multifieldqa_zh": ("single-document QA", "chinese_f1"),
    "hotpotqa": ("multi-document QA", "word_f1"),
    "2wikimqa": ("multi-document QA", "word_f1"),
    "musique": ("multi-document QA", "word_f1"),
    "dureader": ("multi-document QA", "rouge_l_chinese"),
    "gov_report": ("summarisation", "rouge_l"),
    "qmsum": ("summarisation", "rouge_l"),
    "multi_news": ("summarisation", "rouge_l"),
    "vcsum": ("summarisation", "rouge_l_chinese"),
    "trec": ("few-shot", "first_line_classified"),
    "triviaqa": ("few-shot", "first_line_word_f1"),
    "samsum": ("few-shot", "first_line_rouge_l"),
    "lsht": ("few-shot", "first_line_classified"),
    "passage_count": ("synthetic", "counted"),
    "passage_retrieval_en": ("synthetic", "retrieved"),
    "passage_retrieval_zh": ("synthetic", "retrieved"),
    "lcc": ("code", "code_similarity"),
    "repobench-p": ("code", "code_similarity"),
}


def load(options: TaskOptions) -> LoadedTask:
    """Return the examples of every task whose file is there.

    Args:
        options: `data` names a folder with `NAME.jsonl` files (anything may stand between the
            name and the ending) and `dataset2prompt.json`, `dataset2maxlen.json`; or files of it.
    """
    wanted = chosen(options.subsets, tuple(TASKS), "LongBench task")
    files = files_of(options.data, (".jsonl",), "LongBench", SOURCE)
    by_task = {file.name.partition(".")[0].removesuffix("_e"): file for file in files}
    present = [name for name in wanted if name in by_task]
    absent = [name for name in wanted if name not in by_task]
    if (options.subsets and absent) or not present:
        raise DocumentError(
            f"LongBench task '{absent[0]}' has no file {absent[0]}.jsonl in "
            f"{' and '.join(map(str, options.data))}. Get it from {SOURCE}."
        )
    skipped = [f"LongBench tasks without a file: {', '.join(absent)} ({SOURCE})."] if absent else []
    examples: list[Example] = []
    for name in present:
        folder = by_task[name].parent
        prompt = _table(folder, "dataset2prompt.json")[name]
        max_tokens = int(_table(folder, "dataset2maxlen.json")[name])
        rows, bad = read_rows(by_task[name], FIELDS, options.strict)
        skipped += bad
        for i, row in enumerate(rows[: options.num_examples]):
            examples.append(_example(name, i, row, prompt, max_tokens))
    return LoadedTask("longbench", tuple(examples), f"{len(present)} of 21 tasks", tuple(skipped))


def _table(folder: Path, name: str) -> dict[str, Any]:
    for path in (folder / name, folder / "config" / name):
        if path.is_file():
            return json.loads(path.read_text("utf-8"))
    raise DocumentError(f"{folder} holds no {name}. Get it from {SOURCE}, folder LongBench/config.")


def _example(name: str, index: int, row: dict[str, Any], prompt: str, max_tokens: int) -> Example:
    before, _, after = prompt.partition("{context}")
    category, metric = TASKS[name]
    asked = row["input"]
    return Example(
        id=f"{name}-{row.get('_id', index)}",
        subset=name,
        category=category,
        context=row["context"],
        # A reader that ranks sentences is given the input; a model the benchmark's own words.
        question=asked or after.strip(),
        instruction=_around(before, after, asked),
        answers=tuple(_listed(row["answers"])),
        metric=metric,
        choices=tuple(_listed(row.get("all_classes") or [])),
        max_answer_tokens=max_tokens,
    )


def _around(before: str, after: str, asked: str) -> str:
    """Return the benchmark's words without the context and, where there is one, the input.

    The input follows as the question.
    """
    if not asked:
        return before.strip()
    return f"{before.strip()}\n\n{after.partition('{input}')[0].strip()}".strip()


def _listed(value: Any) -> list[str]:
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            value = [value]
    return [str(each) for each in value]
