"""Reading data files: bad lines are named and counted, and end the run only when asked to."""

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from glyph.errors import DocumentError, ReaderError

Row = dict[str, Any]


def read_rows(path: Path, required: Sequence[str], strict: bool) -> tuple[list[Row], list[str]]:
    """Return the records of a JSONL or Parquet file, and a sentence for each one left out.

    Args:
        path: Ends in `.jsonl` or `.parquet`.
        required: Fields that every record has.
        strict: Whether a bad record is an error.

    Raises:
        DocumentError: The file cannot be read, or with `strict` holds a bad record.
        ReaderError: Parquet is read with pyarrow, which is not installed.
    """
    rows: list[Row] = []
    skipped: list[str] = []
    source = _parquet(path) if path.suffix == ".parquet" else _lines(path)
    for number, read in source:
        problem = read if isinstance(read, str) else _lacking(read, required)
        if not problem:
            rows.append(cast("Row", read))
            continue
        sentence = f"{path}, line {number}: {problem}; left out."
        if strict:
            raise DocumentError(
                f"{sentence.removesuffix('; left out.')}. Mend it, or leave out --strict."
            )
        skipped.append(sentence)
    return rows, skipped


def _lacking(row: Any, required: Sequence[str]) -> str:
    if not isinstance(row, dict):
        return "not a JSON object"
    missing = [name for name in required if name not in row]
    return f"no field '{missing[0]}'" if missing else ""


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    yield number, f"no JSON ({error})"
    except OSError as error:
        raise DocumentError(f"{path} cannot be read ({error.strerror}); check --data.") from None


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise ReaderError(
            f"{path} is read with pyarrow; install it with: pip install 'glyph-context[evaluate]'"
        ) from None
    try:
        table: Any = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise DocumentError(f"{path} is no Parquet file ({error}); check --data.") from None
    number = 0
    for batch in table.iter_batches(batch_size=16):
        for row in batch.to_pylist():
            number += 1
            yield number, row


def files_of(data: Sequence[Path], suffixes: Sequence[str], what: str, source: str) -> list[Path]:
    """Return the files named, and those of the folders named, with one of the suffixes.

    Args:
        data: Files and folders.
        suffixes: Such as `.jsonl`.
        what: What is looked for, for the error.
        source: Where it is published, for the error.

    Raises:
        DocumentError: A path does not exist, or nothing was found.
    """
    found: list[Path] = []
    for path in data:
        if path.is_dir():
            found += sorted(each for each in path.iterdir() if each.suffix in suffixes)
        elif path.is_file():
            found.append(path)
        else:
            raise DocumentError(f"{path} does not exist. Get {what} from {source}.")
    if not found:
        where = " and ".join(str(path) for path in data) or "no --data was given"
        raise DocumentError(
            f"no {what} found ({where}). Get it from {source}, and name the file or folder with "
            "--data."
        )
    return found
