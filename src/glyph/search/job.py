"""A search from start to end: texts and names in, front, preset and report out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glyph.api import model_behind
from glyph.errors import ConfigError
from glyph.readers import Reader
from glyph.readers.protocol import StyledReader
from glyph.search.choosing import BEST, Wish, choose_best, write_choice
from glyph.search.endpoint import Endpoint
from glyph.search.fitness import Fitness
from glyph.search.loop import Budget, Search, Tactics, front_of
from glyph.search.proposer import LlmProposer
from glyph.search.readings import Readings
from glyph.search.report import thumbnail, write_report
from glyph.search.space import Space
from glyph.search.study import Identity, Record, SearchStudy, open_storage
from glyph.search.validation import (
    LARGE,
    PAGES,
    SMALL,
    SetSize,
    ValidationSet,
    check_size,
    questions_from_jsonl,
    questions_from_texts,
)
from glyph.search.written import make_judge, written_questions
from glyph.tokens import resolve_model

READINGS = "readings.sqlite"
PROPOSALS = "proposals.jsonl"
WRITTEN = "llm"
LOCAL_READERS = ("ocr", "nano")


@dataclass(frozen=True)
class Settings:
    """What a search is asked to do.

    Attributes:
        out: Folder of the study, its cache, the preset and the report.
        model: Whose visual tokens are counted; by default the model behind the reader.
        budget: When to stop.
        wish: Which candidate of the front becomes the preset.
        seed: Of the validation set and of all random choices.
        fixed: Fields of the config that must not change.
        questions: A JSONL file of labelled questions, or `llm` to have them written; None makes
            them from the texts.
        size: How much is read for a candidate; by default by the kind of reader.
        storage_url: A database to keep the study in, instead of a journal in `out`.
        tactics: How the search goes about it.
    """

    out: Path
    model: str | None = None
    budget: Budget = field(default_factory=Budget)
    wish: Wish = field(default_factory=Wish)
    seed: int = 0
    fixed: dict[str, Any] = field(default_factory=dict[str, Any])
    questions: str | None = None
    size: SetSize | None = None
    storage_url: str | None = None
    tactics: Tactics = field(default_factory=Tactics)


@dataclass(frozen=True)
class Result:
    """What a search has found.

    Attributes:
        records: Every candidate measured, earlier runs included.
        front: Those that no other dominates, by falling ratio.
        best: The chosen one.
        proposer: Who proposed, in words.
        stopped_by: Why the run ended.
        preset: File of the chosen config.
        report: HTML file.
        num_asked: Questions the reader was asked in this run.
        num_cached: Questions answered from earlier readings.
    """

    records: list[Record]
    front: list[Record]
    best: Record
    proposer: str
    stopped_by: str
    preset: Path
    report: Path
    num_asked: int
    num_cached: int


OnRecord = Callable[[Record, int], None]


def search(
    texts: Sequence[str],
    reader: Reader,
    settings: Settings,
    *,
    endpoint: Endpoint | None = None,
    on_record: OnRecord | None = None,
) -> Result:
    """Search for the rendering that a reader reads best at each compression.

    What an earlier run in the same folder has measured is continued; two processes may work on one
    folder at the same time.

    Args:
        texts: The user's texts.
        reader: Who reads.
        settings: What to do.
        endpoint: A language model that proposes beside the classical operators.
        on_record: Called with each candidate and the number measured so far.

    Returns:
        The front and the chosen candidate; the preset and the report are written.

    Raises:
        DocumentError: The texts or questions cannot be used.
        ConfigError: A setting is not accepted, or the folder holds another study.
        ReaderError: The reader fails throughout.
    """
    _check(settings)
    model = _model(reader, settings.model)
    taught = reader.taught if isinstance(reader, StyledReader) else None
    space = Space.build(model.name, model.grid_px, fixed=settings.fixed, taught=taught)
    is_remote = has_own_eyes(reader.name)
    size = settings.size or usual_size(reader.name)
    validation = _validation(texts, settings, size, endpoint)
    identity = Identity(space.digest, validation.digest, reader.name, model.name)
    where = settings.storage_url or str(settings.out)
    study = SearchStudy(open_storage(settings.out, settings.storage_url), space, identity, where)
    readings = Readings(reader, settings.out / READINGS)
    judge = make_judge(endpoint) if settings.questions == WRITTEN and endpoint else None
    fitness = Fitness(
        validation, readings, model.name, sees_itself=is_remote, judge=judge, seed=settings.seed
    )
    proposer = None
    if endpoint is not None:
        proposer = LlmProposer(
            endpoint,
            space,
            settings.out / PROPOSALS,
            lambda record: thumbnail(record.config, validation.priced_text),
        )
    try:
        engine = Search(
            study, space, fitness, seed=settings.seed, proposer=proposer, tactics=settings.tactics
        )
        for record in engine.run(settings.budget):
            if on_record is not None:
                on_record(record, len(study.records()))
        records = study.records()
        best = choose_best(records, settings.wish)
        front = front_of(records)
        name = proposer.name if proposer is not None else "classical operators alone"
        story = {
            "study": where,
            "reader": reader.name,
            "model": model.name,
            "proposer": name,
            "evaluations": len(records),
            "generation": best.number // settings.tactics.population,
            "seed": settings.seed,
            "questions": validation.source,
            "texts_digest": validation.digest,
            "space_digest": space.digest,
            "stopped_by": engine.stopped_by,
        }
        write_choice(settings.out, best, front, story)
        notes = proposer.notes() if proposer is not None else []
        report = write_report(settings.out, records, best, story, fitness, space, notes)
        return Result(
            records, front, best, name, engine.stopped_by, settings.out / BEST, report,
            readings.num_asked, readings.num_cached,
        )  # fmt: skip
    finally:
        readings.close()


def has_own_eyes(reader: str) -> bool:
    """Whether a reader is a model behind an endpoint, which resamples pages by itself.

    Example:
        >>> has_own_eyes("openai:gpt-5.4"), has_own_eyes("nano:folder"), has_own_eyes("ocr")
        (True, False, False)
    """
    return ":" in reader and reader.partition(":")[0] not in LOCAL_READERS


def usual_size(reader: str) -> SetSize:
    """Return how much is read for a candidate, by how quickly a reader reads.

    Example:
        >>> usual_size("ocr").passage_chars, usual_size("nano").passage_chars
        (200, 1000)
    """
    if has_own_eyes(reader):
        return LARGE
    return PAGES if reader.partition(":")[0] == "nano" else SMALL


def _check(settings: Settings) -> None:
    budget = settings.budget
    for name in ("evaluations", "seconds", "tokens", "patience"):
        value = getattr(budget, name)
        if value is not None and value <= 0:
            raise ConfigError(
                f"the budget of {name} is {value:g}; more than 0 is needed to find anything."
            )
    if budget.evaluations is None and budget.seconds is None and budget.tokens is None:
        raise ConfigError("the search has no budget; give evaluations, seconds or tokens.")
    if settings.tactics.population < 4:
        raise ConfigError(f"population is {settings.tactics.population}; at least 4 are needed.")
    settings.wish.check()


def _model(reader: Reader, name: str | None) -> Any:
    chosen = name or model_behind(reader)
    if chosen is None:
        raise ConfigError(
            f"no token rule is known for reader '{reader.name}'; name the model whose tokens "
            "count with model, such as qwen3-vl."
        )
    return resolve_model(chosen)


def _validation(
    texts: Sequence[str], settings: Settings, size: SetSize, endpoint: Endpoint | None
) -> ValidationSet:
    check_size(size)
    if settings.questions is None:
        return questions_from_texts(texts, size=size, seed=settings.seed)
    if settings.questions == WRITTEN:
        if endpoint is None:
            raise ConfigError("questions 'llm' need a language model; name one with proposer.")
        kept = settings.out / "questions.json"
        return written_questions(texts, endpoint, kept, size=size, seed=settings.seed)
    path = Path(settings.questions)
    try:
        lines = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"cannot read questions {path}: {reason}.") from None
    return questions_from_jsonl(lines, texts, size=size, where=str(path))
