"""Texts out of JSONL and Parquet, page rows into Parquet."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glyph.errors import ConfigError, DocumentError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

HUGGING_FACE = b"huggingface"
REPORT_KEY = "glyph"
"""Keys of the metadata in a shard's footer: column types for `datasets`, and the shard's report."""

Row = tuple[str, str | DocumentError]
"""Name of a document and its text, or why there is none."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Documents that stand together in one file.

    Attributes:
        path: The file.
        name: Its path within the source that was named.
        begin: First byte of JSONL, first row group of Parquet; 0 for a file that is one text.
        end: One past the last.
        first_row: Number of the first document in the file, from 1, for people.
        num_bytes: How much there is to read, for dealing and for progress.
    """

    path: str
    name: str
    begin: int
    end: int
    first_row: int
    num_bytes: int


def need_arrow() -> None:
    """Raise the one sentence that helps when pyarrow is not installed."""
    try:
        import pyarrow  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise ConfigError(
            "Parquet needs pyarrow; install it with: pip install 'glyph-context[batch]'."
        ) from None


def open_table(path: Path) -> "ParquetFile":
    """Open a Parquet file.

    Raises:
        DocumentError: It is none.
    """
    need_arrow()
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        why = str(error).splitlines()[0]
        raise DocumentError(f"cannot read {path} as Parquet ({why}); give a whole file.") from None


def texts_of_lines(piece: Piece, field: str) -> Iterator[Row]:
    """Yield the texts of some lines of a JSONL file; empty lines are passed over."""
    with Path(piece.path).open("rb") as file:
        file.seek(piece.begin)
        row = piece.first_row
        while file.tell() < piece.end:
            line = file.readline()
            if line.strip():
                name = f"{piece.name}:{row}"
                yield name, _text_of_line(line, name, field)
            row += 1


def _text_of_line(line: bytes, name: str, field: str) -> str | DocumentError:
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        return DocumentError(f"{name} is no JSON ({error}).")
    return _text_of(value.get(field) if isinstance(value, dict) else None, name, field)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def texts_of_rows(piece: Piece, field: str) -> Iterator[Row]:
    """Yield the texts of some row groups of a Parquet file.

    Raises:
        DocumentError: The file has no such column.
    """
    table = open_table(Path(piece.path))
    if field not in table.schema_arrow.names:
        have = ", ".join(table.schema_arrow.names)
        raise DocumentError(
            f"{piece.path} has no column '{field}' but: {have}. Name the column of the texts "
            "with --text-field."
        )
    groups, row = list(range(piece.begin, piece.end)), piece.first_row
    batches: Any = table.iter_batches(  # pyright: ignore[reportUnknownMemberType]
        batch_size=64, row_groups=groups, columns=[field]
    )
    for batch in batches:
        for value in batch.column(field).to_pylist():
            name = f"{piece.name}:{row}"
            yield name, _text_of(value, name, field)
            row += 1


def _text_of(value: object, name: str, field: str) -> str | DocumentError:
    if isinstance(value, str):
        return value
    return DocumentError(f"{name} has no text under '{field}'.")


def page_schema() -> "pa.Schema":
    """Return the columns of a shard.

    `image` has the type that `datasets.load_dataset("parquet", ...)` decodes by itself.
    """
    need_arrow()
    import pyarrow as pa

    columns: dict[str, Any] = {
        "document": pa.string(),
        "page": pa.int32(),
        "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        "text": pa.string(),
        "start": pa.int64(),
        "end": pa.int64(),
        "source_start": pa.int64(),
        "source_end": pa.int64(),
        "width_px": pa.int32(),
        "height_px": pa.int32(),
        "visual_tokens": pa.int32(),
        "digest": pa.string(),
    }
    features = {
        name: {"_type": "Image"} if name == "image" else {"dtype": str(kind), "_type": "Value"}
        for name, kind in columns.items()
    }
    hint = json.dumps({"info": {"features": features}})
    return pa.schema(list(columns.items()), metadata={HUGGING_FACE: hint.encode()})
