"""Questions about whole books, in the manner of NarrativeQA.

A record is one JSON line: `question`, `answers`, `book` (a file name), and `evidence`, the spans
of the book that hold the answer. With `--lengths` the context is a window of the book around the
evidence, at a drawn place; without, the whole book.
"""

import random
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from glyph.errors import DocumentError
from glyph.evaluate.data import files_of, read_rows
from glyph.evaluate.task import Example, LoadedTask, Span, TaskOptions, chosen

SOURCE = "a file of your own: one JSON object with question, answers, book and evidence a line"
CHUNK_CHARS = 400
MAX_ANSWER_TOKENS = 64
INSTRUCTION = "Answer as concisely as you can, using a single phrase if possible."


def load(options: TaskOptions) -> LoadedTask:
    """Return questions; the subset is the book.

    Args:
        options: `data` names `.jsonl` files; books are looked for beside them, in a folder
            `books` beside them or beside their folder, and in folders of `data`.
    """
    files = files_of(options.data, (".jsonl",), "questions about books", SOURCE)
    skipped: list[str] = []
    found: list[tuple[Path, dict[str, Any]]] = []
    for file in files:
        rows, bad = read_rows(file, ("question", "answers", "book"), options.strict)
        skipped += bad
        found += [(file, row) for row in rows]
    books = tuple(dict.fromkeys(Path(row["book"]).stem for _, row in found))
    subsets = chosen(options.subsets, books, "book")
    texts: dict[str, str] = {}
    examples: list[Example] = []
    counts: dict[str, int] = {}
    unplaced: dict[Path, int] = {}
    for i, (file, row) in enumerate(found):
        book = Path(row["book"]).stem
        if book not in subsets or counts.get(book, 0) >= (options.num_examples or len(found)):
            continue
        if options.lengths and not row.get("evidence"):
            unplaced[file] = unplaced.get(file, 0) + 1
            continue
        if book not in texts:
            texts[book] = _book(book, file, options.data)
        counts[book] = counts.get(book, 0) + 1
        examples += _examples(row, f"{book}-{i}", texts[book], options)
    skipped += [
        f"{file}: {number} questions without evidence have no place for a window; left out. Leave "
        "out --lengths to ask them about the whole book."
        for file, number in unplaced.items()
    ]
    return LoadedTask("books", tuple(examples), ", ".join(subsets), tuple(skipped))


def _book(name: str, file: Path, data: tuple[Path, ...]) -> str:
    folders = [file.parent, file.parent / "books", file.parent.parent / "books"]
    for folder in (*folders, *(path for path in data if path.is_dir())):
        path = folder / f"{name}.txt"
        if path.is_file():
            return path.read_text("utf-8")
    looked = ", ".join(str(folder) for folder in folders)
    raise DocumentError(
        f"book '{name}.txt' of {file} was not found in {looked}. Put it there, or name its folder "
        "with --data; Project Gutenberg (gutenberg.org) has books in the public domain."
    )


def _examples(row: dict[str, Any], id: str, book: str, options: TaskOptions) -> list[Example]:
    spans: tuple[Span, ...] = tuple(
        (int(each["start"]), int(each["end"])) for each in row.get("evidence", [])
    )
    made: list[Example] = []
    for length in options.lengths or (0,):
        generator = random.Random(f"{options.seed}:{id}:{length}")
        start, end = 0, len(book)
        kept = spans
        if length:
            # Evidence in several places: the window holds the last, where the answer is whole.
            start, end = window(book, spans[-1], length, options.count, generator)
            kept = tuple(each for each in spans if start <= each[0] and each[1] <= end)
        is_chinese = sum("\u4e00" <= char <= "\u9fff" for char in row["question"]) > 2
        made.append(
            Example(
                id=f"{id}-{length}" if length else id,
                subset=Path(row["book"]).stem,
                category=f"{length} tokens" if length else "whole book",
                context=book[start:end],
                question=row["question"],
                answers=tuple(row["answers"]),
                metric="chinese_f1" if is_chinese else "word_f1",
                instruction=INSTRUCTION,
                evidence=tuple((a - start, b - start) for a, b in kept),
                max_answer_tokens=MAX_ANSWER_TOKENS,
            )
        )
    return made


def window(
    text: str,
    span: Span,
    length: int,
    count: Callable[[str], int],
    generator: random.Random,
) -> Span:
    """Return a part of a text of about `length` tokens that holds a span at a drawn place."""
    around = max(len(text[span[0] : span[1]]), 1) + 8 * length
    low, high = max(span[0] - around, 0), min(span[1] + around, len(text))
    # Cuts are made between chunks, whose tokens add up but for a few at their edges.
    cuts = [low]
    while cuts[-1] < high:
        at = text.find(" ", cuts[-1] + CHUNK_CHARS)
        by_length = cuts[-1] + CHUNK_CHARS
        cuts.append(min(at + 1 if 0 < at < by_length + 80 else by_length, high))
    tokens = [count(text[a:b]) for a, b in pairwise(cuts)]
    sums = [0, *accumulate(tokens)]
    first = bisect_right(cuts, span[0]) - 1
    last = next(i for i, cut in enumerate(cuts) if cut >= span[1])
    spare = max(length - (sums[last] - sums[first]), 0)
    before = generator.random() * spare
    while first > 0 and sums[last] - sums[first] + tokens[first - 1] <= length and before > 0:
        first -= 1
        before -= tokens[first]
    while last < len(tokens) and sums[last + 1] - sums[first] <= length:
        last += 1
    while first > 0 and sums[last] - sums[first - 1] <= length:
        first -= 1
    return cuts[first], cuts[last]
