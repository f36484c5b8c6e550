"""A search from start to end: texts and names in, front, preset and report out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glyph.asking import model_behind
from glyph.errors import ConfigError
from glyph.readers import Reader
from glyph.readers.protocol import StyledReader
from glyph.search.choosing import BEST, Wish, choose_best, write_choice
from glyph.search.comparing import compare, read_comparison, write_comparison
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
        with_comparison: Also read as many random draws, and the paper's preset at equal
            compression, for the report.
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
    with_comparison: bool = False


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
OnCompared = Callable[[int], None]


def search(
    texts: Sequence[str],
    reader: Reader,
    settings: Settings,
    *,
    endpoint: Endpoint | None = None,
    on_record: OnRecord | None = None,
    on_compared: OnCompared | None = None,
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
        on_compared: Called with the number of random draws measured for the comparison.

    Returns:
        The front and the chosen candidate; the preset and the report are written.

    Raises:
        DocumentError: The texts or questions cannot be used.
        ConfigError: A setting is not accepted, or the folder holds another study.
        ReaderError: The reader fails throughout.
    """
    _check(settings)
    begun = _begin(texts, reader, settings, endpoint)
    try:
        engine = Search(
            begun.study,
            begun.space,
            begun.fitness,
            seed=settings.seed,
            proposer=begun.proposer,
            tactics=settings.tactics,
        )
        for record in engine.run(settings.budget):
            if on_record is not None:
                on_record(record, len(begun.study.records()))
        if settings.with_comparison:
            _compare(begun, settings, on_compared)
        return _told(begun, settings, engine.stopped_by)
    finally:
        begun.fitness.readings.close()


@dataclass(frozen=True)
class _Begun:
    """The parts of a search at work."""

    study: SearchStudy
    space: Space
    fitness: Fitness
    proposer: LlmProposer | None
    where: str

    @property
    def proposed_by(self) -> str:
        return self.proposer.name if self.proposer is not None else "classical operators alone"


def _begin(
    texts: Sequence[str], reader: Reader, settings: Settings, endpoint: Endpoint | None
) -> _Begun:
    model = _model(reader, settings.model)
    taught = reader.taught if isinstance(reader, StyledReader) else None
    space = Space.build(model.name, model.grid_px, fixed=settings.fixed, taught=taught)
    is_remote = has_own_eyes(reader.name)
    validation = _validation(texts, settings, settings.size or usual_size(reader.name), endpoint)
    identity = Identity(space.digest, validation.digest, reader.name, model.name)
    where = settings.storage_url or str(settings.out)
    study = SearchStudy(open_storage(settings.out, settings.storage_url), space, identity, where)
    fitness = Fitness(
        validation,
        Readings(reader, settings.out / READINGS),
        model.name,
        sees_itself=is_remote,
        judge=make_judge(endpoint) if settings.questions == WRITTEN and endpoint else None,
        seed=settings.seed,
    )
    proposer = None
    if endpoint is not None:
        proposer = LlmProposer(
            endpoint,
            space,
            settings.out / PROPOSALS,
            lambda record: thumbnail(record.config, validation.priced_text),
        )
    return _Begun(study, space, fitness, proposer, where)


def _compare(begun: _Begun, settings: Settings, on_compared: OnCompared | None) -> None:
    count = len(begun.study.records())
    known = read_comparison(settings.out)
    if known is None or known.num_random < count:
        found = compare(begun.space, begun.fitness, count, seed=settings.seed, on_draw=on_compared)
        write_comparison(settings.out, found)


def _told(begun: _Begun, settings: Settings, stopped_by: str) -> Result:
    """Write preset, front and report, and return what was found."""
    records = begun.study.records()
    best, front = choose_best(records, settings.wish), front_of(records)
    story = {
        "study": begun.where,
        "reader": begun.fitness.readings.reader_name,
        "model": begun.space.model,
        "proposer": begun.proposed_by,
        "evaluations": len(records),
        "generation": best.number // settings.tactics.population,
        "round": best.number // settings.budget.round_size + 1,
        "seed": settings.seed,
        "questions": begun.fitness.validation.source,
        "texts_digest": begun.fitness.validation.digest,
        "space_digest": begun.space.digest,
        "stopped_by": stopped_by,
    }
    write_choice(settings.out, best, front, story)
    report = write_report(
        settings.out,
        records,
        best,
        story,
        begun.fitness,
        begun.space,
        notes=begun.proposer.notes() if begun.proposer is not None else [],
        comparison=read_comparison(settings.out),
        population=settings.tactics.population,
    )
    readings = begun.fitness.readings
    return Result(
        records, front, best, begun.proposed_by, stopped_by, settings.out / BEST, report,
        readings.num_asked, readings.num_cached,
    )  # fmt: skip


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
    for name in ("evaluations", "seconds", "tokens", "patience", "round_size"):
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
