"""MMLongBench-Doc: questions about PDF documents, whose own pages are shown.

Nothing is rendered here but the PDF: layout, tables and charts are what is asked about. The text
baselines are given the text inside the PDF. Answers are scored by the published rules; see
`glyph.evaluate.document_answers`.

Source:
    Ma et al. 2024 (arXiv:2407.01523); github.com/mayubo2333/MMLongBench-Doc.
"""

import json
from pathlib import Path
from typing import Any

from glyph.errors import DocumentError
from glyph.evaluate.pdf import pdf_text
from glyph.evaluate.task import Example, LoadedTask, TaskOptions, chosen

SOURCE = "github.com/mayubo2333/MMLongBench-Doc"
SUBSETS = ("single-page", "cross-page", "unanswerable")
INSTRUCTION = (
    "Give the short answer only: a number, a few words, or a list such as ['a', 'b']. If the "
    "document does not hold the answer, reply: Not answerable"
)


def load(options: TaskOptions) -> LoadedTask:
    """Return the questions of every document that is there, single-page, cross-page, unanswerable.

    Args:
        options: `data` names the folder with `samples.json` and `documents/`.
    """
    folder = options.data[0] if options.data else Path()
    samples = folder / "samples.json" if folder.is_dir() else folder
    if not options.data or not samples.is_file():
        raise DocumentError(
            f"no MMLongBench-Doc found ({samples}). Get data/samples.json and data/documents from "
            f"{SOURCE}, and name their folder with --data."
        )
    wanted = chosen(options.subsets, SUBSETS, "MMLongBench-Doc subset")
    try:
        rows: list[dict[str, Any]] = json.loads(samples.read_text("utf-8"))
    except ValueError as error:
        raise DocumentError(f"{samples} is no JSON ({error}); get it from {SOURCE}.") from None
    texts: dict[Path, str] = {}
    skipped: list[str] = []
    counts: dict[str, int] = {}
    examples: list[Example] = []
    for i, row in enumerate(rows):
        subset = _subset(row)
        if subset not in wanted or counts.get(subset, 0) >= (options.num_examples or len(rows)):
            continue
        path = samples.parent / "documents" / row["doc_id"]
        if not path.is_file():
            skipped.append(f"{path} is missing; its question {i + 1} is left out ({SOURCE}).")
            continue
        counts[subset] = counts.get(subset, 0) + 1
        if path not in texts:
            texts[path] = pdf_text(path)
        examples.append(_example(row, i, subset, path, texts[path]))
    if options.strict and skipped:
        raise DocumentError(skipped[0])
    return LoadedTask("mmlongbench", tuple(examples), f"{len(texts)} PDF(s)", tuple(skipped))


def _subset(row: dict[str, Any]) -> str:
    if row["answer"] == "Not answerable":
        return "unanswerable"
    pages: list[int] = json.loads(str(row["evidence_pages"])) if row["evidence_pages"] else []
    return "single-page" if len(pages) < 2 else "cross-page"


def _example(row: dict[str, Any], index: int, subset: str, path: Path, text: str) -> Example:
    return Example(
        id=f"mmlongbench-{index}",
        subset=subset,
        # The form decides how the answer is compared.
        category=row["answer_format"],
        context=text,
        question=row["question"].strip(),
        instruction=INSTRUCTION,
        answers=(str(row["answer"]),),
        metric="document_answer",
        pdf=path,
    )
