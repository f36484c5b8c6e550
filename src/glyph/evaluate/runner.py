"""The runner: many examples at once, every answer journalled, nothing asked for twice.

A fixed number of workers take examples one by one, so that memory holds no more contexts than
workers. An answer is written before the next example is taken. An endpoint's passing failures are
tried again; what still fails is recorded, left out of the scores, counted beside them, and asked
again by the next run.
"""

import asyncio
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glyph.errors import BudgetError, ConfigError, EvaluationError, ReaderError, UpstreamError
from glyph.evaluate.answering import CONDITIONS, Answerer, Shown, apply_condition
from glyph.evaluate.document_answers import is_refusal
from glyph.evaluate.journal import Journal, Record, encoded
from glyph.evaluate.judge import Judge
from glyph.evaluate.metrics import score
from glyph.evaluate.showing import Showing, digest_of
from glyph.evaluate.task import Example
from glyph.readers import Answer
from glyph.readers.extract import NOT_FOUND
from glyph.readers.protocol import UNSURE_BELOW

KEPT_ANSWER_CHARS = 100_000
"""Longer answers are cut here before they are scored and kept; their length is kept too."""

FIRST_WAIT_S, MAX_WAIT_S = 0.5, 20.0
WRONG_BELOW = 0.5
NOT_JUDGED = "the answer was not judged yet"
FATAL_STATUSES = (401, 403, 404)
"""The key, the model or the address is wrong: no example would fare better."""

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How examples are run.

    Attributes:
        condition: How contexts are shown, one of `CONDITIONS`.
        concurrency: Examples answered at the same time, 1 or more.
        retries: Times an example is asked again after a passing failure, 0 or more.
        seed: Of shuffled pages and guesses.
        judge: Cuts short answers out of responses, for questions about documents; None cuts
            them by rule.
    """

    condition: str = "pages"
    concurrency: int = 1
    retries: int = 3
    seed: int = 0
    judge: Judge | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        reader: Name of the answerer.
        condition: How contexts were shown.
        examples: What was asked.
        records: One for each example, in the same order.
        path: Of the journal.
    """

    reader: str
    condition: str
    examples: tuple[Example, ...]
    records: tuple[Record, ...]
    path: Path


def evaluate(
    examples: Sequence[Example],
    answerer: Answerer,
    showing: Showing,
    path: Path,
    settings: RunSettings,
    on_progress: Progress | None = None,
) -> Run:
    """Answer examples and return their records; those answered before are not asked again.

    Args:
        examples: What to ask.
        answerer: Who answers.
        showing: How contexts become pages.
        path: Of the journal; it may hold answers of earlier runs.
        settings: Condition, concurrency, retries, seed.
        on_progress: Called with the number of examples done, failed, and of all.

    Raises:
        ConfigError: A setting is not accepted.
        UpstreamError: The endpoint refuses everybody: wrong key, model or address.
        EvaluationError: The journal cannot be written, or no example could be answered.
    """
    if settings.condition not in CONDITIONS:
        raise ConfigError(
            f"unknown condition '{settings.condition}'; accepted: {', '.join(CONDITIONS)}."
        )
    if settings.concurrency < 1 or settings.retries < 0:
        raise ConfigError(
            f"concurrency is {settings.concurrency} and retries {settings.retries}; at least 1 "
            "and 0 are accepted."
        )
    keys = [_key(example, answerer.name, showing, settings) for example in examples]
    with Journal(path) as journal:
        known = journal.records()
        done = {key: known[key] for key in keys if key in known and known[key].status == "ok"}
        todo = [(key, each) for key, each in zip(keys, examples, strict=True) if key not in done]
        worker = _Worker(answerer, showing, journal, settings, done, len(examples), on_progress)
        worker.take_unjudged(known)
        asyncio.run(worker.run(todo))
    records = tuple(done[key] for key in keys)
    return Run(answerer.name, settings.condition, tuple(examples), records, path)


def _key(example: Example, reader: str, showing: Showing, settings: RunSettings) -> str:
    """Return the digest of everything an answer depends on."""
    sha = hashlib.sha256()
    seed = settings.seed if settings.condition == "shuffled" or reader == "blank" else 0
    parts = (
        *(example.id, example.instruction, example.question, example.context, example.metric),
        *(repr(example.answers), str(example.pdf), reader, settings.condition, str(seed)),
        *(showing.config.digest, showing.model, showing.tokenizer),
        str(example.max_answer_tokens),
        settings.judge.name if settings.judge else "",
    )
    for part in parts:
        sha.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return sha.hexdigest()[:32]


class _Worker:
    """The state that the workers of a run share."""

    def __init__(
        self,
        answerer: Answerer,
        showing: Showing,
        journal: Journal,
        settings: RunSettings,
        done: dict[str, Record],
        total: int,
        on_progress: Progress | None,
    ):
        self._answerer = answerer
        self._showing = showing
        self._journal = journal
        self._settings = settings
        self._done = done
        self._total = total
        self._failed = 0
        self._on_progress = on_progress
        self._stopped: Exception | None = None
        self._unwritten: list[Record] = []
        self._unjudged: dict[str, Record] = {}
        self._lock = threading.Lock()

    def take_unjudged(self, known: dict[str, Record]) -> None:
        """Take answers that an earlier run got and could not have judged."""
        self._unjudged = {key: each for key, each in known.items() if each.is_unjudged}

    async def run(self, todo: Sequence[tuple[str, Example]]) -> None:
        """Work through the examples; after a fatal error those under way are still recorded."""
        self._report()
        queue = iter(todo)
        number = min(self._settings.concurrency, len(todo))
        await asyncio.gather(*(self._work(queue) for _ in range(number)))
        if self._stopped is not None:
            self._rescue()
            raise self._stopped

    async def _work(self, queue: Iterator[tuple[str, Example]]) -> None:
        for key, example in queue:
            if self._stopped is not None:
                return
            try:
                await self._answer(key, example)
            except UpstreamError as error:
                self._stopped = self._stopped or error
                return

    def _keep(self, record: Record) -> None:
        """Record an answer; called in the thread it arrived in, so that no cancelling loses it."""
        self._write(record)
        with self._lock:
            self._done[record.key] = record
            self._failed += record.status == "failed"
            self._report()

    def _write(self, record: Record) -> None:
        with self._lock:
            try:
                self._journal.append(record)
            except EvaluationError as error:
                self._stopped = self._stopped or error
                self._unwritten.append(record)

    def _rescue(self) -> None:
        """Write what was answered but not written; what still has no room goes to stderr."""
        for record in self._unwritten:
            try:
                self._journal.append(record)
            except EvaluationError:
                sys.stderr.write(encoded(record).decode("utf-8"))

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(len(self._done), self._failed, self._total)

    # -- one example -------------------------------------------------------------------------

    async def _answer(self, key: str, example: Example) -> None:
        attempt = 0
        while True:
            try:
                return await asyncio.to_thread(self._ask, key, example)
            except UpstreamError as error:
                if error.status in FATAL_STATUSES:
                    raise
                if attempt >= self._settings.retries or not _is_passing(error):
                    return self._keep(self._failure(key, example, str(error)))
            except (BudgetError, ReaderError) as error:
                return self._keep(self._failure(key, example, str(error)))
            await asyncio.sleep(min(FIRST_WAIT_S * 2**attempt, MAX_WAIT_S))
            attempt += 1

    def _ask(self, key: str, example: Example) -> None:
        answered = self._unjudged.get(key) or self._answered(key, example)
        judge = self._settings.judge
        if judge is None or example.metric != "document_answer":
            return self._keep(answered)
        if key not in self._unjudged:
            # The judge may fail, or the process end; the answer is paid for and kept before.
            self._unjudged[key] = replace(answered, status="failed", error=NOT_JUDGED)
            self._write(self._unjudged[key])
        extracted = judge.short_answer(example, answered.answer)
        return self._keep(_judged(example, answered, extracted))

    def _answered(self, key: str, example: Example) -> Record:
        shown = self._showing.pages_of(example)
        settings = self._settings
        shown = apply_condition(
            settings.condition, example, shown, settings.seed, self._showing.count
        )
        return _record(key, example, shown, self._answerer.answer(example, shown))

    def _failure(self, key: str, example: Example, error: str) -> Record:
        """Return the record of a failure; an answer that was not judged stays in it."""
        unjudged = self._unjudged.get(key)
        if unjudged is not None:
            return replace(unjudged, error=error)
        return Record(
            *(key, example.id, example.subset, "failed", "", 0, 0.0, False, None),
            *(_prompt_digest(example), "", 0, 0, 0, None, None, 0.0, 0.0, error),
        )


def _is_passing(error: UpstreamError) -> bool:
    """Whether asking again may help: no answer came, or the server was busy or broken."""
    return error.status is None or error.status in (408, 409, 425, 429) or error.status >= 500


def _record(key: str, example: Example, shown: Shown, answer: Answer) -> Record:
    kept = answer.text[:KEPT_ANSWER_CHARS]
    value = score(example, kept)
    return Record(
        key=key,
        id=example.id,
        subset=example.subset,
        status="ok",
        answer=kept,
        answer_chars=len(answer.text),
        score=value,
        is_silent_error=value < WRONG_BELOW and _sounds_sure(kept, answer.confidence),
        confidence=answer.confidence,
        prompt_digest=_prompt_digest(example),
        pages_digest=digest_of(shown),
        text_tokens=shown.text_tokens,
        visual_tokens=shown.visual_tokens,
        given_tokens=shown.given_tokens,
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
        render_s=round(shown.render_s, 6),
        seconds=round(answer.seconds, 6),
    )


def _judged(example: Example, answered: Record, extracted: str) -> Record:
    """Return the record with the score of what a judge cut out of the answer."""
    value = score(example, extracted)
    is_silent = value < WRONG_BELOW and _sounds_sure(answered.answer, answered.confidence)
    return replace(answered, status="ok", error="", score=value, is_silent_error=is_silent,
                   extracted=extracted)  # fmt: skip


def _sounds_sure(answer: str, confidence: float | None) -> bool:
    """Whether an answer is given as one: neither a refusal nor marked as unsure."""
    if answer == NOT_FOUND or is_refusal(answer):
        return False
    return confidence is None or confidence >= UNSURE_BELOW


def _prompt_digest(example: Example) -> str:
    asked = f"{example.instruction}\n{example.question}"
    return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()
