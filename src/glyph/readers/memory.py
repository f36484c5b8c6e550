"""Remember pages that were read: the last ones in memory, and all in a file if one is named.

A page is known by its digest and its reader, so that an entry is never stale: other pixels or other
weights have another name. Asking a second question about a book then costs no reading.
"""

import json
import sqlite3
import threading
import time
import warnings
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyph.errors import ConfigError
from glyph.pages import Box
from glyph.readers.protocol import ReadLine, Transcript

FILE = "transcripts.sqlite"
PAGES_IN_MEMORY = 1024
MAX_BYTES = 1 << 29
"""Size of the file above which the entries used longest ago are dropped; some 50,000 pages."""

WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Remembered:
    """A page as it was read.

    Attributes:
        transcript: Its lines.
        style: Style of its letters, for readers that tell several apart.
        visual_tokens: What reading it cost, for readers that count.
    """

    transcript: Transcript
    style: str = ""
    visual_tokens: int = 0


class Memory:
    """Pages as read, by digest.

    Args:
        reader: Changes with everything that changes what is read, such as weights.
        folder: Where the file is; made when absent, for its owner only. None keeps none.

    Raises:
        ConfigError: The folder cannot be used.
    """

    def __init__(self, reader: str, folder: Path | None = None):
        self._reader = reader
        self._recent: OrderedDict[str, Remembered] = OrderedDict()
        self._lock = threading.Lock()
        self._file = _open(folder) if folder is not None else None

    def get(self, digest: str) -> Remembered | None:
        """Return a page that was read before."""
        with self._lock:
            found = self._recent.get(digest)
            if found is None and self._file is not None:
                found = self._read(digest)
            if found is not None:
                self._keep(digest, found)
            return found

    def put(self, digest: str, page: Remembered) -> None:
        """Remember a page; a file that fails is told once and no longer written."""
        with self._lock:
            self._keep(digest, page)
            if self._file is not None:
                self._write(digest, page)

    def _keep(self, digest: str, page: Remembered) -> None:
        self._recent[digest] = page
        self._recent.move_to_end(digest)
        if len(self._recent) > PAGES_IN_MEMORY:
            self._recent.popitem(last=False)

    def _read(self, digest: str) -> Remembered | None:
        assert self._file is not None
        query = "SELECT value FROM pages WHERE reader = ? AND digest = ?"
        try:
            row = self._file.execute(query, (self._reader, digest)).fetchone()
            return _from_bytes(row[0]) if row else None
        except (sqlite3.Error, zlib.error, ValueError, TypeError, KeyError) as error:
            self._give_up(error)
            return None

    def _write(self, digest: str, page: Remembered) -> None:
        assert self._file is not None
        values = (self._reader, digest, _to_bytes(page), time.time())
        try:
            with self._file:
                self._file.execute("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?)", values)
                _shrink(self._file)
        except sqlite3.Error as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        assert self._file is not None
        warnings.warn(f"pages read are not remembered any more: {error}", stacklevel=4)
        self._file.close()
        self._file = None


def _open(folder: Path) -> sqlite3.Connection:
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = sqlite3.connect(path, timeout=WAIT_S, check_same_thread=False)
        path.chmod(0o600)
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=NORMAL")
        file.execute(
            "CREATE TABLE IF NOT EXISTS pages "
            "(reader TEXT, digest TEXT, value BLOB, made REAL, PRIMARY KEY (reader, digest))"
        )
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"the folder {folder} cannot keep pages that were read ({error}); name another one, or "
            f"delete its {FILE}."
        ) from None
    return file


def _shrink(file: sqlite3.Connection) -> None:
    """Drop the oldest tenth where the file has grown too large."""
    used, free, size = (
        int(file.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    if (used - free) * size > MAX_BYTES:
        file.execute(
            "DELETE FROM pages WHERE rowid IN (SELECT rowid FROM pages ORDER BY made "
            "LIMIT (SELECT COUNT(*) / 10 + 1 FROM pages))"
        )


def _to_bytes(page: Remembered) -> bytes:
    lines = [
        [
            line.text,
            None if line.box is None else [line.box.left_px, line.box.top_px, line.box.right_px,
                                           line.box.bottom_px],
            line.confidence,
            line.x_px,
        ]
        for line in page.transcript.lines
    ]  # fmt: skip
    return zlib.compress(json.dumps([page.style, page.visual_tokens, lines]).encode(), 6)


def _from_bytes(data: bytes) -> Remembered:
    style, visual_tokens, lines = json.loads(zlib.decompress(data))
    return Remembered(Transcript(tuple(_line(*line) for line in lines)), style, visual_tokens)


def _line(text: str, box: list[int] | None, confidence: float | None, x_px: Any) -> ReadLine:
    return ReadLine(text, None if box is None else Box(*box), confidence, tuple(x_px))
