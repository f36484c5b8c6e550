"""The columns of a Parquet file of samples, as Hugging Face `datasets` reads them with images."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from glyph.errors import TrainingError
from glyph.train.samples.sample import Sample

IMAGES = "images"
ROWS_A_BATCH = 8

_TYPES = {
    "seed": "int64", "visual_tokens": "int64", "text_tokens": "int64",
    "answers": "list<string>", IMAGES: "images",
}  # fmt: skip


def arrow() -> Any:
    """Return pyarrow.

    Raises:
        TrainingError: It is not installed.
    """
    try:
        pyarrow = import_module("pyarrow")
        import_module("pyarrow.parquet")
    except ImportError:
        raise TrainingError(
            "samples are kept in Parquet files, for which pyarrow is missing. Install it with: "
            "pip install 'glyph-context[train]'"
        ) from None
    return pyarrow


def schema() -> Any:
    """Return the columns, with a note that tells `datasets` which of them holds images."""
    pa = arrow()
    kinds = {
        "int64": pa.int64(),
        "string": pa.large_string(),
        "list<string>": pa.list_(pa.string()),
        "images": pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    }
    columns = [
        pa.field(entry.name, kinds[_TYPES.get(entry.name, "string")]) for entry in fields(Sample)
    ]
    note = json.dumps({"info": {"features": {c.name: _feature(c.name) for c in columns}}})
    return pa.schema(columns, metadata={b"huggingface": note.encode()})


def _feature(name: str) -> dict[str, Any]:
    kind = _TYPES.get(name, "string")
    if kind == "images":
        return {"feature": {"_type": "Image"}, "_type": "List"}
    if kind == "list<string>":
        return {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
    return {"dtype": "large_string" if kind == "string" else kind, "_type": "Value"}


def table_of(samples: Sequence[Sample]) -> Any:
    """Return samples as a table."""
    rows = {entry.name: [getattr(s, entry.name) for s in samples] for entry in fields(Sample)}
    rows[IMAGES] = [
        [{"bytes": png, "path": f"{sample.id}-{n}.png"} for n, png in enumerate(sample.images)]
        for sample in samples
    ]
    rows["answers"] = [list(sample.answers) for sample in samples]
    return arrow().Table.from_pydict(rows, schema=schema())


def read_file(path: Path) -> Iterator[Sample]:
    """Yield the samples of a Parquet file.

    Raises:
        TrainingError: It cannot be read, or a column is missing.
    """
    pa = arrow()
    try:
        file = pa.parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} is no Parquet file of samples ({error}).") from None
    wanted = [entry.name for entry in fields(Sample)]
    missing = [name for name in wanted if name not in file.schema_arrow.names]
    if missing:
        raise TrainingError(
            f"{path} has no column '{missing[0]}', so it holds no samples; its columns are "
            f"{', '.join(file.schema_arrow.names)}. Make samples with 'glyph train data'."
        )
    if not pa.types.is_nested(file.schema_arrow.field(IMAGES).type):
        raise TrainingError(
            f"the column '{IMAGES}' of {path} holds {file.schema_arrow.field(IMAGES).type}; lists "
            "of images as {bytes, path} are read. Make samples with 'glyph train data'."
        )
    for batch in file.iter_batches(batch_size=ROWS_A_BATCH, columns=wanted):
        yield from map(_sample, cast("list[dict[str, Any]]", batch.to_pylist()))


def _sample(row: dict[str, Any]) -> Sample:
    row[IMAGES] = tuple(image["bytes"] for image in row[IMAGES])
    row["answers"] = tuple(row["answers"])
    return Sample(**row)
