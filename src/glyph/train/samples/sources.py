"""What samples are made of: texts, passages with questions, and instruction triples.

Sources are looked through once: what cannot be used is named and left out, what can is kept as a
place in its file, so that memory does not grow with the corpus. A text belongs to one split by the
digest of its content, whatever its file is called.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from glyph.documents import load_document
from glyph.errors import DocumentError, TrainingError
from glyph.train.samples import records

Split = Literal["train", "eval"]
SPLITS: tuple[Split, ...] = ("train", "eval")

Kind = Literal["text", "passage", "triple"]
CACHED_TEXTS = 32
MIN_ASCII_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Place:
    """Where something that samples are made of stands.

    Attributes:
        document: Its name, unique among the sources.
        path: File it is in.
        row: Which record of the file, from 0; -1 for the whole file.
        at: Byte the record begins at in a JSONL file, or row group in a Parquet file.
        column: Column of a Parquet file that holds the text.
        num_chars: Length of its text.
        num_ascii: Its characters in ASCII.
        digest: Of its text: equal texts are in one split.
    """

    document: str
    path: str
    row: int
    at: int
    column: str
    num_chars: int
    num_ascii: int
    digest: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything samples are made of.

    Attributes:
        texts: Documents.
        passages: Passages with questions, one place for each document of a SQuAD-like file.
        triples: Instruction, context and response.
        refused: A sentence for everything that was left out.
    """

    texts: tuple[Place, ...]
    passages: tuple[Place, ...]
    triples: tuple[Place, ...]
    refused: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Sixteen hex digits that name the content of all sources."""
        sha = hashlib.sha256()
        for places in (self.texts, self.passages, self.triples):
            for place in places:
                sha.update(
                    f"{place.document}\0{place.digest}\n".encode("utf-8", "backslashreplace")
                )
            sha.update(b"\n")
        return sha.hexdigest()[:16]

    def of_split(
        self, kind: Kind, split: Split, eval_share: float, *, is_ascii: bool = False
    ) -> tuple[Place, ...]:
        """Return the places of a kind that are in a split.

        Args:
            kind: Which of the three.
            split: `train` or `eval`.
            eval_share: Share of documents that is held out; where it is above 0 and there are
                two documents or more, one is held out at least, and one is not.
            is_ascii: Only documents that are nearly all ASCII.
        """
        places = {"text": self.texts, "passage": self.passages, "triple": self.triples}[kind]
        if is_ascii:
            places = tuple(p for p in places if p.num_ascii >= MIN_ASCII_SHARE * p.num_chars)
        held_out = _held_out([place.digest for place in places], eval_share)
        return tuple(p for p in places if (p.digest in held_out) == (split == "eval"))


def find_sources(paths: Sequence[str | Path]) -> Sources:
    """Look through files and folders and return what samples can be made of.

    A folder is searched through with its subfolders; hidden files are left alone. What a file is
    for is told by its suffix and its fields: `.parquet` with a column of texts, `.jsonl` with
    texts or with instruction triples, `.json` in the form of SQuAD or HotpotQA; all else is text.

    Args:
        paths: Files and folders.

    Raises:
        TrainingError: A path is missing, or nothing in them can be used.

    Example:
        >>> import pydoc_data.topics
        >>> find_sources([pydoc_data.topics.__file__]).texts[0].document
        'topics.py'
    """
    found: dict[Kind, list[Place]] = {"text": [], "passage": [], "triple": []}
    refused: list[str] = []
    names: set[str] = set()
    seen: dict[tuple[Kind, str], str] = {}
    for path, name in _files(paths):
        unique = _unique(name, names)
        try:
            places = list(_look_into(path, unique, refused))
        except DocumentError as error:
            refused.append(f"{path}: {error}")
            continue
        for kind, place in places:
            earlier = seen.setdefault((kind, place.digest), place.document)
            if earlier != place.document and kind == "text":
                refused.append(f"{place.document}: the same text as {earlier}.")
            else:
                found[kind].append(place)
    if not any(found.values()):
        raise TrainingError(_nothing(paths, refused))
    return Sources(
        tuple(found["text"]), tuple(found["passage"]), tuple(found["triple"]), tuple(refused)
    )


def text_of(place: Place) -> str:
    """Return the text of a document, with plain line breaks and no mark of ours in it.

    Raises:
        TrainingError: The file is gone or has changed.
    """
    return _text_of(place)


@lru_cache(maxsize=CACHED_TEXTS)
def _text_of(place: Place) -> str:
    try:
        if place.row < 0:
            text = records.plain(load_document(Path(place.path)).text)
        else:
            text = _record_text(records.read(place.path, place.row, place.at, place.column))
    except DocumentError as error:
        raise TrainingError(f"{error} It could be read when the run began.") from None
    if _digest(text) != place.digest:
        raise TrainingError(
            f"{place.path} has changed since the run began. Leave sources as they are while "
            "samples are made, and give a new --out for changed ones."
        )
    return text


def record_of(place: Place) -> dict[str, Any]:
    """Return the record of a passage or a triple."""
    return records.read(place.path, place.row, place.at, place.column)


def _files(paths: Sequence[str | Path]) -> Iterator[tuple[Path, str]]:
    """Yield every file with the name of its document."""
    for path in map(Path, paths):
        if path.is_dir():
            inner = (p for p in path.rglob("*") if p.is_file())
            for file in sorted(inner, key=lambda p: p.relative_to(path).parts):
                relative = file.relative_to(path)
                if not any(part.startswith(".") for part in relative.parts):
                    yield file, relative.as_posix()
        elif path.exists():
            yield path, path.name
        else:
            raise TrainingError(f"there is no file or folder {path}; check the path.")


def _look_into(path: Path, name: str, refused: list[str]) -> Iterator[tuple[Kind, Place]]:
    """Yield what a file holds; records that cannot be used go to `refused`."""
    suffix = path.suffix.lower()
    if suffix not in records.SUFFIXES:
        text = records.plain(load_document(path).text)
        yield "text", _place(name, path, -1, 0, "", text)
        return
    num_refused, first = 0, ""
    for row in records.rows(path):
        document = f"{name}#{row.number}"
        kind, text = _kind_of(row.fields)
        if kind is None or not text.strip():
            num_refused += 1
            first = first or f"record {row.number}: {text or row.problem or 'its text is empty'}"
            continue
        yield kind, _place(document, path, row.number, row.at, row.column, text)
    if num_refused:
        refused.append(f"{path}: {num_refused} records left out; the first is {first}.")


def _place(document: str, path: Path, row: int, at: int, column: str, text: str) -> Place:
    num_ascii = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return Place(document, str(path), row, at, column, len(text), num_ascii, _digest(text))


def _kind_of(fields: dict[str, Any]) -> tuple[Kind | None, str]:
    """Return what a record is and its text; None and the reason when it is nothing we know."""
    if "passages" in fields:
        return "passage", _record_text(fields)
    is_triple = records.is_triple(fields)
    if is_triple and not records.field(fields, "context"):
        return None, "an instruction without a context has nothing to show on pages"
    if not is_triple and not isinstance(fields.get("text"), str):
        return None, "" if not fields else f"its fields are {', '.join(sorted(fields))}"
    try:
        return ("triple" if is_triple else "text"), _record_text(fields)
    except DocumentError as error:
        return None, str(error).rstrip(".")


def _record_text(fields: dict[str, Any]) -> str:
    """Return the text of a record, as it is shown on pages."""
    if "passages" in fields:
        passages = cast("list[dict[str, Any]]", fields["passages"])
        return "\n\n".join(passage["context"] for passage in passages)
    text = records.field(fields, "context") if records.is_triple(fields) else fields["text"]
    return records.shown(cast("str", text))


def _held_out(digests: Iterable[str], eval_share: float) -> set[str]:
    keys = sorted(set(digests))
    held_out = {key for key in keys if int(key[:8], 16) < eval_share * 2**32}
    if 0 < eval_share < 1 and len(keys) > 1:
        held_out = (held_out or {keys[0]}) - ({keys[-1]} if len(held_out) == len(keys) else set())
    return held_out


def _unique(name: str, names: set[str]) -> str:
    unique, number = name, 1
    while unique in names:
        number += 1
        unique = f"{name}~{number}"
    names.add(unique)
    return unique


def _nothing(paths: Sequence[str | Path], refused: list[str]) -> str:
    given = ", ".join(map(str, paths)) or "no path"
    if not refused:
        return f"{given} holds no files; give folders or files of text."
    return (
        f"none of the {len(refused)} files of {given} can be used; the first: "
        f"{refused[0].rstrip('.')}. Give text, Parquet with a column of texts, SQuAD-like JSON, or "
        "JSONL of texts or instruction triples."
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def as_json(sources: Sources) -> dict[str, Any]:
    """Return what a manifest says of sources."""
    return {
        "digest": sources.digest,
        "texts": len(sources.texts),
        "passages": len(sources.passages),
        "triples": len(sources.triples),
        "chars": sum(place.num_chars for place in sources.texts),
        "refused": list(sources.refused),
    }
