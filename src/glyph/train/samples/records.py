"""Files of records: Parquet, JSON lines, and JSON in the form of SQuAD or HotpotQA.

A record is read twice: once while looking through the sources, and again, alone, when a sample is
made of it. In between only its place is kept.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from glyph.documents import document_from_text
from glyph.errors import DocumentError, TrainingError

Fields = dict[str, Any]

SUFFIXES = (".parquet", ".jsonl", ".json")
TEXT_COLUMNS = ("text", "content", "body", "document", "article", "raw_content")
ALIASES = {
    "instruction": ("instruction", "prompt", "question"),
    "response": ("response", "output", "completion", "answer"),
    "context": ("context", "document", "input", "text"),
}
"""What the parts of an instruction triple are called."""

_MARKS = re.compile(r"<(\|?)(?=(?:image|video|audio|think|/think)>|[\w/]+\|>)")


@dataclass(frozen=True, slots=True)
class Row:
    """A record of a file.

    Attributes:
        number: From 0.
        at: Byte it begins at, or row group it is in.
        column: Column of a Parquet file that holds the text.
        fields: Its content; empty when it cannot be read.
        problem: Why not.
    """

    number: int
    at: int
    column: str
    fields: Fields
    problem: str = ""


def plain(text: str) -> str:
    """Return a text whose marks for pages, thoughts and special tokens are words, not marks.

    Example:
        >>> plain("an <image> and <|endoftext|>, x<y>")
        'an < image> and < |endoftext|>, x<y>'
    """
    return _MARKS.sub(r"< \1", text)


def shown(text: str) -> str:
    """Return a text as it may stand on pages: line breaks and control characters made plain.

    Raises:
        DocumentError: It is empty.
    """
    return plain(document_from_text(text, kind="prose", unwrap=False).text)


def field(fields: Fields, part: str) -> str:
    """Return a part of an instruction triple; "" when it has none."""
    found = (fields[name] for name in ALIASES[part] if isinstance(fields.get(name), str))
    return next(found, "")


def is_triple(fields: Fields) -> bool:
    """Return whether a record holds an instruction and a response."""
    return bool(field(fields, "instruction") and field(fields, "response"))


def rows(path: Path) -> Iterator[Row]:
    """Yield the records of a file.

    Raises:
        DocumentError: The file cannot be read, or is of no form that is known.
    """
    if path.suffix.lower() == ".parquet":
        return _parquet_rows(path)
    return _json_rows(path) if path.suffix.lower() == ".json" else _jsonl_rows(path)


def read(path: str, number: int, at: int, column: str) -> Fields:
    """Return one record.

    Raises:
        DocumentError: The file cannot be read.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        first, values = _row_group(path, at, column)
        return {"text": values[number - first]}
    if suffix == ".json":
        return _articles(path)[number]
    try:
        with Path(path).open("rb") as file:
            file.seek(at)
            return cast("Fields", json.loads(file.readline()))
    except (OSError, ValueError) as error:
        raise DocumentError(f"record {number} of {path} cannot be read ({error}).") from None


def _jsonl_rows(path: Path) -> Iterator[Row]:
    at = number = 0
    try:
        with path.open("rb") as lines:
            for line in lines:
                begin, at = at, at + len(line)
                if not line.strip():
                    continue
                try:
                    value: Any = json.loads(line)
                except ValueError as error:
                    yield Row(number, begin, "", {}, f"no JSON ({error})")
                else:
                    known = isinstance(value, dict)
                    fields = cast("Fields", value) if known else {}
                    yield Row(number, begin, "", fields, "" if known else "no JSON object")
                number += 1
    except OSError as error:
        raise DocumentError(f"cannot read {path} ({error.strerror}).") from None
    if not number:
        raise DocumentError(f"{path} is empty.")


# -- JSON in the form of SQuAD or HotpotQA ------------------------------------------------------


def _json_rows(path: Path) -> Iterator[Row]:
    for number, article in enumerate(_articles(str(path))):
        yield Row(number, 0, "", article)


@lru_cache(maxsize=4)
def _articles(path: str) -> list[Fields]:
    """Return the documents of a file, each with its passages and their questions."""
    try:
        tree: Any = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise DocumentError(f"cannot read {path} ({error.strerror}).") from None
    except ValueError as error:
        raise DocumentError(f"{path} is no JSON ({error}).") from None
    try:
        if isinstance(tree, dict):
            articles = [_squad_article(entry) for entry in cast("Fields", tree)["data"]]
        else:
            articles = [_hotpot_article(entry) for entry in cast("list[Any]", tree)]
    except (KeyError, TypeError, ValueError, IndexError):
        raise DocumentError(
            f"{path} is JSON, but neither in the form of SQuAD (data, paragraphs, context, qas) "
            "nor of HotpotQA (question, answer, context)."
        ) from None
    return articles


def _squad_article(entry: Any) -> Fields:
    passages: list[Fields] = []
    for paragraph in entry["paragraphs"]:
        context, asked = shown(paragraph["context"]), list[Fields]()
        for question in paragraph["qas"]:
            answers = [str(answer["text"]) for answer in question["answers"]]
            is_open = bool(question.get("is_impossible")) or not answers
            # The shortest of several is what they have in common.
            answer = "" if is_open else min(answers, key=len)
            asked.append({"question": question["question"], "answer": answer})
        passages.append({"context": context, "questions": asked})
    return {"passages": passages}


def _hotpot_article(entry: Any) -> Fields:
    context = "\n\n".join(f"{title}\n{''.join(said)}" for title, said in entry["context"])
    asked = {"question": str(entry["question"]), "answer": str(entry["answer"])}
    return {"passages": [{"context": shown(context), "questions": [asked]}]}


# -- Parquet -----------------------------------------------------------------------------------


def _parquet_rows(path: Path) -> Iterator[Row]:
    table = _parquet(str(path))
    schema: Any = table.schema_arrow
    texts = [name for name in schema.names if str(schema.field(name).type) in _STRINGS]
    column = next((name for name in TEXT_COLUMNS if name in texts), None)
    if column is None:
        raise DocumentError(
            f"{path} has no column of texts named {', '.join(TEXT_COLUMNS)}; its columns are "
            f"{', '.join(schema.names)}."
        )
    for group in range(table.num_row_groups):
        first, values = _row_group(str(path), group, column)
        for offset, value in enumerate(values):
            fields = {"text": value} if value else {}
            yield Row(first + offset, group, column, fields)


_STRINGS = ("string", "large_string", "string_view")


@lru_cache(maxsize=2)
def _row_group(path: str, group: int, column: str) -> tuple[int, list[str | None]]:
    """Return the number of the first row of a row group, and its texts."""
    table = _parquet(path)
    first = sum(table.metadata.row_group(k).num_rows for k in range(group))
    return first, table.read_row_group(group, columns=[column]).column(0).to_pylist()


@lru_cache(maxsize=4)
def _parquet(path: str) -> Any:
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise TrainingError(
            f"{path} is read with pyarrow; install it with: pip install 'glyph-context[train]'"
        ) from None
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise DocumentError(f"{path} is no Parquet file ({error}).") from None
