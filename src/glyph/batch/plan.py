"""Which texts there are, and how they are dealt into shards of about equal size.

Only names, sizes and offsets are read here, so a plan of a terabyte is made in one pass and fits
into memory. The same sources give the same plan on every machine.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glyph.batch.tables import Piece, open_table
from glyph.errors import ConfigError, DocumentError

ROWS_SUFFIXES = (".jsonl", ".parquet")
HIDDEN = "."


@dataclass(frozen=True, slots=True)
class Shard:
    """What one worker renders into one file.

    Attributes:
        number: From 0.
        pieces: In the order of the sources.
    """

    number: int
    pieces: tuple[Piece, ...]

    @property
    def num_bytes(self) -> int:
        """Size of its texts."""
        return sum(piece.num_bytes for piece in self.pieces)

    def to_json(self) -> str:
        """Return the shard as text, which every engine can send to its workers."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Shard":
        """Return the shard that `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        return cls(values["number"], tuple(Piece(**piece) for piece in values["pieces"]))


@dataclass(frozen=True, slots=True)
class Plan:
    """All shards of a run.

    Attributes:
        shards: They tile the sources.
        digest: Changes with the names, sizes and order of the texts and with the shard size; not
            with the folder they lie in.
    """

    shards: tuple[Shard, ...]
    digest: str

    @property
    def num_bytes(self) -> int:
        """Size of all texts."""
        return sum(shard.num_bytes for shard in self.shards)


def make_plan(sources: Sequence[str | Path], *, shard_bytes: int) -> Plan:
    """Return how sources are dealt into shards.

    Args:
        sources: Files and folders. A folder stands for all files below it whose names do not begin
            with a dot. `.jsonl` and `.parquet` hold a document a row; any other file is one.
        shard_bytes: Text of one shard; a single document may be larger.

    Raises:
        DocumentError: A source is missing or a folder holds no file.
        ConfigError: The size is not positive.
    """
    if shard_bytes < 1:
        raise ConfigError(f"shards of {shard_bytes} bytes were asked for; give at least 1.")
    shards: list[Shard] = []
    held: list[Piece] = []
    for piece in _pieces(sources, shard_bytes):
        if held and sum(p.num_bytes for p in held) + piece.num_bytes > shard_bytes:
            shards.append(Shard(len(shards), tuple(held)))
            held = []
        held.append(piece)
    if held:
        shards.append(Shard(len(shards), tuple(held)))
    return Plan(tuple(shards), _digest(shards))


def _digest(shards: Sequence[Shard]) -> str:
    pieces = [[asdict(replace(piece, path="")) for piece in shard.pieces] for shard in shards]
    text = json.dumps(pieces)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _pieces(sources: Iterable[str | Path], shard_bytes: int) -> Iterator[Piece]:
    for source in map(Path, sources):
        for path in _files(source):
            name = path.name if path == source else path.relative_to(source).as_posix()
            match path.suffix.lower():
                case ".jsonl":
                    yield from _line_pieces(path, name, shard_bytes)
                case ".parquet":
                    yield from _row_group_pieces(path, name)
                case _:
                    yield Piece(str(path), name, 0, 0, 1, path.stat().st_size)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise DocumentError(f"there is no file or folder {source}; check the path.")
    found = sorted(
        path
        for path in source.rglob("*")
        if path.is_file() and not any(p.startswith(HIDDEN) for p in path.relative_to(source).parts)
    )
    if not found:
        raise DocumentError(f"the folder {source} holds no file; give one with texts in it.")
    return found


def _line_pieces(path: Path, name: str, shard_bytes: int) -> Iterator[Piece]:
    """Yield runs of whole lines of about the size of a shard."""
    begin = end = 0
    first_row = row = 1
    with path.open("rb") as file:
        for line in file:
            if end > begin and end - begin + len(line) > shard_bytes:
                yield Piece(str(path), name, begin, end, first_row, end - begin)
                begin, first_row = end, row
            end += len(line)
            row += 1
    if end > begin:
        yield Piece(str(path), name, begin, end, first_row, end - begin)


def _row_group_pieces(path: Path, name: str) -> Iterator[Piece]:
    metadata = open_table(path).metadata
    row = 1
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        yield Piece(str(path), name, index, index + 1, row, group.total_byte_size)
        row += group.num_rows
