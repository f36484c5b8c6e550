"""The formats samples are written in, one file a block and split.

    parquet     columns of `Sample`, pages inside; what `read` and Hugging Face datasets take
    ms-swift    JSON lines of messages beside a folder of pages, named by content
    webdataset  tar files: one .json and the numbered .png of each sample
    verl        Parquet of messages, pages and ground truths

A writer takes samples one by one, holds few of them, and leaves nothing behind unless it is closed
in good order. The same samples give the same bytes.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from glyph.train.samples import columns
from glyph.train.samples.sample import IMAGE_MARK, Sample

FormatName = Literal["parquet", "ms-swift", "webdataset", "verl"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)
SUFFIXES: dict[FormatName, str] = {
    "parquet": ".parquet",
    "ms-swift": ".jsonl",
    "webdataset": ".tar",
    "verl": ".parquet",
}
IMAGE_FOLDER = "images"
MAX_HELD_BYTES = 64 << 20


class Writer(Protocol):
    """A file of samples that is being written."""

    def add(self, sample: Sample) -> None:
        """Take a sample."""
        ...

    def close(self) -> None:
        """Write what is held, and end the file."""
        ...


def open_writer(format: FormatName, path: Path, root: Path) -> Writer:
    """Return a writer.

    Args:
        format: One of `FORMATS`.
        path: File to write.
        root: Folder of the run, under which pages of their own files go.
    """
    if format == "ms-swift":
        return SwiftWriter(path, root)
    if format == "webdataset":
        return TarWriter(path)
    if format == "verl":
        return ParquetWriter(path, verl_table)
    return ParquetWriter(path, columns.table_of)


class ParquetWriter:
    """Row groups of bounded size."""

    def __init__(self, path: Path, table_of: Callable[[list[Sample]], Any]):
        self._path, self._table_of = path, table_of
        self._held: list[Sample] = []
        self._held_bytes = 0
        self._file: Any = None

    def add(self, sample: Sample) -> None:
        """Take a sample."""
        self._held.append(sample)
        self._held_bytes += sum(map(len, sample.images)) + len(sample.source)
        if self._held_bytes > MAX_HELD_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is held, and end the file."""
        self._flush()
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        if not self._held:
            return
        table = self._table_of(self._held)
        if self._file is None:
            # Pages are compressed already.
            columns_of_text = [n for n in table.column_names if n != columns.IMAGES]
            compression = dict.fromkeys(columns_of_text, "zstd")
            self._file = columns.arrow().parquet.ParquetWriter(
                self._path, table.schema, compression=compression
            )
        self._file.write_table(table)
        self._held, self._held_bytes = [], 0


class SwiftWriter:
    """JSON lines as ms-swift reads them: messages, and paths of pages below the run's folder."""

    def __init__(self, path: Path, root: Path):
        self._file = path.open("wb")
        self._root = root

    def add(self, sample: Sample) -> None:
        """Take a sample; its pages are written at once, each content once."""
        images = [self._page(png) for png in sample.images]
        line = json.dumps(swift_record(sample, images), ensure_ascii=False)
        self._file.write(f"{line}\n".encode("utf-8", "replace"))

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def _page(self, png: bytes) -> str:
        digest = hashlib.sha256(png).hexdigest()
        path = f"{IMAGE_FOLDER}/{digest[:2]}/{digest[2:34]}.png"
        target = self._root / path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
            try:
                partial.write_bytes(png)
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
        return path


def swift_record(sample: Sample, images: list[str]) -> dict[str, Any]:
    """Return a sample as ms-swift takes it; loss counts on the assistant's turn alone.

    Columns beside messages and images are handed to reward functions.
    """
    return {
        "id": sample.id,
        "messages": [
            {"role": "user", "content": marked_prompt(sample)},
            {"role": "assistant", "content": sample.completion},
        ],
        "images": images,
        "solution": sample.completion,
        "answers": list(sample.answers),
        "reward": sample.reward,
        "family": sample.family,
    }


def marked_prompt(sample: Sample) -> str:
    """Return the prompt with one mark a page, also where all pages come first."""
    if IMAGE_MARK in sample.prompt:
        return sample.prompt
    return IMAGE_MARK * len(sample.images) + sample.prompt


class TarWriter:
    """A plain tar file in the order of WebDataset: files of one sample share a name's stem."""

    def __init__(self, path: Path):
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def add(self, sample: Sample) -> None:
        """Take a sample."""
        for number, png in enumerate(sample.images):
            self._put(f"{sample.id}.{number:04d}.png", png)
        record = {
            entry: getattr(sample, entry)
            for entry in sample.__dataclass_fields__
            if entry != columns.IMAGES
        }
        line = json.dumps({**record, "num_images": len(sample.images)}, ensure_ascii=False)
        self._put(f"{sample.id}.json", line.encode("utf-8", "replace"))

    def close(self) -> None:
        """End the file."""
        self._tar.close()

    def _put(self, name: str, data: bytes) -> None:
        # Nothing of this machine or moment: no owner, no time.
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = len(data), 0o644, 0
        self._tar.addfile(entry, io.BytesIO(data))


def verl_table(samples: list[Sample]) -> Any:
    """Return samples as verl's RL dataset reads them."""
    pa = columns.arrow()
    rows = [
        {
            "data_source": f"glyph/{sample.reward}",
            "prompt": [{"role": "user", "content": marked_prompt(sample)}],
            "images": [{"bytes": png, "path": None} for png in sample.images],
            "ability": sample.family,
            "reward_model": {"style": "rule", "ground_truth": sample.completion},
            "extra_info": {
                "id": sample.id,
                "question": sample.prompt,
                "answers": list(sample.answers),
                "reward": sample.reward,
            },
        }
        for sample in samples
    ]
    return pa.Table.from_pylist(rows, schema=_verl_schema())


def _verl_schema() -> Any:
    pa = columns.arrow()
    text = pa.large_string()
    return pa.schema(
        [
            ("data_source", pa.string()),
            ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", text)]))),
            ("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))),
            ("ability", pa.string()),
            ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", text)])),
            (
                "extra_info",
                pa.struct(
                    [
                        ("id", pa.string()),
                        ("question", text),
                        ("answers", pa.list_(text)),
                        ("reward", pa.string()),
                    ]
                ),
            ),
        ]
    )
