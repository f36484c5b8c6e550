"""LongBench v2: hard multiple-choice questions about long documents.

Source:
    Bai et al. 2024 (arXiv:2412.15204); github.com/THUDM/LongBench. An answer is the letter after
    "The correct answer is", or an answer that begins with a letter alone.
"""

from pathlib import Path
from typing import Any

from glyph.evaluate.data import files_of, read_rows
from glyph.evaluate.task import Example, LoadedTask, TaskOptions, chosen

SOURCE = "huggingface.co/datasets/THUDM/LongBench-v2"
LETTERS = ("A", "B", "C", "D")
FIELDS = ("question", "context", "answer", *(f"choice_{letter}" for letter in LETTERS))
INSTRUCTION = (
    "Choose the one answer that is right. Reply with one line of the form: "
    "The correct answer is (LETTER)"
)


def load(options: TaskOptions) -> LoadedTask:
    """Return the questions; the subset is the domain, the category the difficulty."""
    files = files_of(options.data, (".jsonl", ".parquet"), "LongBench v2", SOURCE)
    skipped: list[str] = []
    found: list[tuple[Path, int, dict[str, Any]]] = []
    for file in files:
        rows, bad = read_rows(file, FIELDS, options.strict)
        skipped += bad
        found += [(file, i, row) for i, row in enumerate(rows)]
    domains = tuple(dict.fromkeys(str(row.get("domain", "all")) for _, _, row in found))
    wanted = chosen(options.subsets, domains, "LongBench v2 domain")
    counts: dict[str, int] = {}
    examples: list[Example] = []
    for file, i, row in found:
        domain = str(row.get("domain", "all"))
        if domain not in wanted or counts.get(domain, 0) >= (options.num_examples or len(found)):
            continue
        counts[domain] = counts.get(domain, 0) + 1
        choices = "\n".join(f"({letter}) {row[f'choice_{letter}']}" for letter in LETTERS)
        examples.append(
            Example(
                id=f"{file.stem}-{row.get('_id', i)}",
                subset=domain,
                category=str(row.get("difficulty", "")),
                context=row["context"],
                question=f"{row['question']}\n\nChoices:\n{choices}",
                instruction=INSTRUCTION,
                answers=(row["answer"],),
                metric="chosen_letter",
                choices=LETTERS,
            )
        )
    return LoadedTask("longbench-v2", tuple(examples), f"{len(files)} file(s)", tuple(skipped))
