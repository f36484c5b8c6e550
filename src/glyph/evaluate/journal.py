"""The journal of a run: one JSON line an answer, written the moment it is there.

A line is appended with one write, so that a process that is killed leaves whole lines and at most
one torn one, which is cut off when the journal is opened again. Lines are found by a key that
stands for everything an answer depends on; lines of other settings stay and are ignored.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glyph.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class Record:
    """One answer, or the reason why there is none.

    Attributes:
        key: Digest of everything the answer depends on.
        id: Of the example.
        subset: Of the example.
        status: `ok` or `failed`.
        answer: As the reader gave it, cut at a limit.
        answer_chars: Its whole length.
        score: From 0 to 1; 0 when failed.
        is_silent_error: A wrong answer that was not marked as unsure.
        confidence: The reader's own, or None.
        prompt_digest: SHA-256 of the question as asked.
        pages_digest: SHA-256 of what was shown.
        text_tokens: Tokens of the context as text.
        visual_tokens: Tokens of its pages.
        given_tokens: Tokens of what was shown.
        input_tokens: As the reader counted, else None.
        output_tokens: As the reader counted, else None.
        render_s: Seconds to make the pages.
        seconds: Seconds to answer.
        error: Why there is no answer; "" when there is.
        extracted: The short answer that a judge cut out of it, where there is a judge.
    """

    key: str
    id: str
    subset: str
    status: str
    answer: str
    answer_chars: int
    score: float
    is_silent_error: bool
    confidence: float | None
    prompt_digest: str
    pages_digest: str
    text_tokens: int
    visual_tokens: int
    given_tokens: int
    input_tokens: int | None
    output_tokens: int | None
    render_s: float
    seconds: float
    error: str = ""
    extracted: str = ""

    @property
    def is_unjudged(self) -> bool:
        """Whether there is an answer and no verdict on it."""
        return self.status == "failed" and bool(self.pages_digest)


class Journal:
    """Append-only file of records; use it as a context manager."""

    def __init__(self, path: Path):
        """Open a journal, cutting off a torn last line.

        Raises:
            EvaluationError: The file cannot be opened or written.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._size = _cut_torn_line(self._file)
        except OSError as error:
            raise EvaluationError(
                f"{path} cannot be written ({error.strerror}); give another --out."
            ) from None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def records(self) -> dict[str, Record]:
        """Return the last good record of each key; answers win over failures."""
        found: dict[str, Record] = {}
        with self.path.open(encoding="utf-8") as lines:
            for line in lines:
                record = read_record(line)
                if record is None:
                    continue
                known = found.get(record.key)
                if record.status == "ok" or known is None or known.status == "failed":
                    found[record.key] = record
        return found

    def append(self, record: Record) -> None:
        """Write a record whole, or leave the journal as it was.

        Raises:
            EvaluationError: The disk is full, or the file cannot be written.
        """
        line = encoded(record)
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise EvaluationError(
                f"{self.path} cannot be written ({error.strerror}). Free some space and run the "
                "same command again; it goes on after the answers it has."
            ) from None
        self._size += len(line)


def encoded(record: Record) -> bytes:
    """Return a record as one line."""
    return (json.dumps(asdict(record), ensure_ascii=False) + "\n").encode("utf-8", "replace")


def read_record(line: str) -> Record | None:
    """Return the record of a line, or None when it is none."""
    try:
        values: Any = json.loads(line)
        return Record(**values)
    except (ValueError, TypeError):
        return None


def _cut_torn_line(file: int) -> int:
    """Cut off what follows the last line end, and return the size."""
    size = os.fstat(file).st_size
    end, step = size, 65_536
    while end > 0:
        start = max(end - step, 0)
        os.lseek(file, start, os.SEEK_SET)
        at = os.read(file, end - start).rfind(b"\n")
        if at >= 0:
            end = start + at + 1
            break
        end = start
    if end != size:
        os.ftruncate(file, end)
    return end
