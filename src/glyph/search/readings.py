"""Readings: a reader behind a cache on disk, keyed by what it saw and what it was asked.

Pages are named by their digests, so that two configs that draw the same pages share an answer, a
stopped search asks nothing twice, and several searches may share one file.
"""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glyph.errors import BudgetError, ConfigError, ReaderError, UpstreamError
from glyph.pages import Page
from glyph.readers import Reader, Request

WAIT_S = 60.0
ANSWER_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader said.

    Attributes:
        text: The answer, or the transcript.
        error: Why there is none; "" when there is.
        tokens: Tokens the reader spent, where it says.
        is_down: Whether the endpoint behind the reader failed, which says nothing about pages.
    """

    text: str
    error: str = ""
    tokens: int = 0
    is_down: bool = False


class Readings:
    """A reader that is asked once for each pages and question.

    Attributes:
        reader_name: Whose readings these are.
        num_asked: Questions that went to the reader in this process.
        num_cached: Questions answered from the file.
    """

    def __init__(self, reader: Reader, path: Path):
        """Open the cache.

        Args:
            reader: Who reads.
            path: A SQLite file; made when absent. Processes may share it.

        Raises:
            ConfigError: The file is no such cache.
        """
        self._reader = reader
        self.reader_name = reader.name
        self.num_asked = 0
        self.num_cached = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._cache = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
            self._cache.execute("PRAGMA journal_mode=WAL")
            # A process that is killed loses nothing; only a power cut may cost the latest readings.
            self._cache.execute("PRAGMA synchronous=NORMAL")
            self._cache.execute(
                "CREATE TABLE IF NOT EXISTS readings (key TEXT PRIMARY KEY, reading TEXT NOT NULL)"
            )
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{path} is no cache of readings ({error}). Remove it or choose another folder."
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._cache.close()

    def transcribe(self, pages: Sequence[Page]) -> Reading:
        """Return what the reader reads aloud from the pages, joined by line feeds."""
        return self._read(pages, None)

    def answer(self, pages: Sequence[Page], question: str) -> Reading:
        """Return what the reader answers from the pages."""
        return self._read(pages, question)

    def _read(self, pages: Sequence[Page], question: str | None) -> Reading:
        key = self._key(pages, question)
        row = self._cache.execute("SELECT reading FROM readings WHERE key = ?", (key,)).fetchone()
        if row is not None:
            self.num_cached += 1
            known: dict[str, Any] = json.loads(row[0])
            return Reading(known["text"])
        self.num_asked += 1
        try:
            reading = self._ask(pages, question)
        except (ReaderError, BudgetError) as error:
            # Not remembered: an endpoint that is down now may answer later.
            return Reading("", str(error), is_down=isinstance(error, UpstreamError))
        self._cache.execute(
            "INSERT OR REPLACE INTO readings VALUES (?, ?)",
            (key, json.dumps({"text": reading.text})),
        )
        return reading

    def _ask(self, pages: Sequence[Page], question: str | None) -> Reading:
        if question is None:
            texts = [self._reader.transcribe(page).text for page in pages]
            return Reading("\n".join(texts))
        request = Request(question=question, pages=tuple(pages), max_answer_tokens=ANSWER_TOKENS)
        answer = self._reader.answer(request)
        usage = answer.usage
        return Reading(answer.text, "", (usage.input_tokens or 0) + (usage.output_tokens or 0))

    def _key(self, pages: Sequence[Page], question: str | None) -> str:
        parts = [self.reader_name, question or "\0transcript", *(page.digest for page in pages)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()
