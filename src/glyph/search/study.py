"""The study: every candidate ever tried, in an Optuna storage that processes share.

A candidate is claimed before it is measured. Claims need no lock: a process adds its trial, then
looks; of trials with equal pages the one with the lowest number holds the claim, and the others
withdraw. Storages number trials in one order for all, so all see the same winner. A claim whose
process has died is given up by whoever comes next; nothing else is lost, as answers of the reader
are remembered apart.

`optuna-dashboard` opens the journal as it is.
"""

import json
import os
import socket
import sys
import uuid
import warnings
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from glyph.config import RenderConfig
from glyph.errors import ConfigError
from glyph.search.fitness import Measured, Price, Rival
from glyph.search.operators import Offspring
from glyph.search.pareto import Point
from glyph.search.space import Space

STUDY_NAME = "glyph-search"
JOURNAL = "study.journal"
IDENTITY = "glyph"
STALE_AFTER = timedelta(minutes=30)
"""After this a claim of a process on another machine counts as given up."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a study is about; only searches with the same one may continue it."""

    space: str
    validation: str
    reader: str
    model: str


@dataclass(frozen=True)
class Record:
    """A candidate that was measured.

    Attributes:
        number: Of its trial.
        config: How its pages look.
        operator: Who proposed it.
        parents: Trial numbers.
        reason: Why it was proposed.
        measured: What was found.
    """

    number: int
    config: RenderConfig
    operator: str
    parents: tuple[int, ...]
    reason: str
    measured: Measured

    @cached_property
    def point(self) -> Point:
        """Accuracy and ratio."""
        return self.measured.accuracy, self.measured.price.ratio

    @property
    def rival(self) -> Rival:
        """The record as racing sees it."""
        return Rival(self.measured.price.ratio, self.measured.scores)


@dataclass(frozen=True, slots=True)
class Claim:
    """A candidate that this process alone measures."""

    trial: FrozenTrial
    offspring: Offspring
    config: RenderConfig


class SearchStudy:
    """The trials of one search."""

    def __init__(self, storage: BaseStorage, space: Space, identity: Identity, where: str):
        """Open or begin the study.

        Args:
            storage: Where trials are kept.
            space: The genes.
            identity: What the study is about.
            where: The storage, for messages.

        Raises:
            ConfigError: The study there is about something else, or the storage is no study.
        """
        self._space = space
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._records: dict[int, Record] = {}
        self._distributions = distributions_of(space)
        # Looked at before anything is written, so that a study of others stays as it is.
        if STUDY_NAME in optuna.get_all_study_names(storage):
            self._study = optuna.load_study(
                study_name=STUDY_NAME, storage=storage, sampler=RandomSampler()
            )
        else:
            self._study = optuna.create_study(
                study_name=STUDY_NAME,
                storage=storage,
                sampler=RandomSampler(),
                directions=["maximize", "maximize"],
                load_if_exists=True,
            )
        known = self._study.user_attrs.get(IDENTITY)
        if known is None:
            if self._study.get_trials(deepcopy=False):
                raise ConfigError(f"{where} holds a study that is none of ours; choose another.")
            self._study.set_user_attr(IDENTITY, asdict(identity))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._study.set_metric_names(["accuracy", "ratio"])
        elif known != asdict(identity):
            raise ConfigError(_difference(known, asdict(identity), where))
        self.give_up_stale()

    # -- what is known -----------------------------------------------------------------------

    def records(self) -> list[Record]:
        """Return the candidates that were measured, in the order of their numbers."""
        for trial in self._trials():
            if trial.state == TrialState.COMPLETE and trial.number not in self._records:
                self._records[trial.number] = self._record(trial)
        return [self._records[number] for number in sorted(self._records)]

    def taken(self) -> set[str]:
        """Return the page keys of all candidates measured or being measured."""
        return {trial.user_attrs["page_key"] for trial in self._trials() if _is_active(trial)}

    @property
    def num_trials(self) -> int:
        """Trials of any state; never falls."""
        return len(self._trials())

    @property
    def num_running(self) -> int:
        """Candidates being measured."""
        return sum(trial.state == TrialState.RUNNING for trial in self._trials())

    def failures(self) -> list[str]:
        """Return why candidates could not be measured, newest last."""
        reasons = [trial.user_attrs.get("failure") for trial in self._trials()]
        return [reason for reason in reasons if reason]

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    # -- claims ------------------------------------------------------------------------------

    def claim(
        self, offspring: Offspring, config: RenderConfig, page_key: str, budget: int | None
    ) -> Claim | None:
        """Claim a candidate, so that no other process measures it.

        Args:
            offspring: Who proposed it and why.
            config: How its pages look.
            page_key: Names its pages.
            budget: Candidates the study may hold.

        Returns:
            The claim, or None when another trial has these pages or the budget is spent.
        """
        token = uuid.uuid4().hex
        attrs: dict[str, Any] = {
            "claim": token,
            "page_key": page_key,
            "worker": self._worker,
            "operator": offspring.operator,
            "parents": list(offspring.parents),
            "reason": offspring.reason,
            "config": config.to_dict(),
        }
        self._study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=self._space.genome(config),
                distributions=self._distributions,
                user_attrs=attrs,
            )
        )
        trials = self._trials()
        mine = next(trial for trial in reversed(trials) if trial.user_attrs.get("claim") == token)
        before = [trial for trial in trials if trial.number < mine.number and _is_active(trial)]
        if any(trial.user_attrs["page_key"] == page_key for trial in before):
            self._end(mine, withdrawn="another candidate has the same pages")
            return None
        if budget is not None and len(before) >= budget:
            self._end(mine, withdrawn="the budget was spent")
            return None
        return Claim(mine, offspring, config)

    def finish(self, claim: Claim, measured: Measured) -> Record:
        """Record what was measured."""
        trial = optuna.trial.Trial(self._study, claim.trial._trial_id)  # pyright: ignore[reportPrivateUsage]
        trial.set_user_attr("measured", asdict(measured))
        self._study.tell(trial, [measured.accuracy, measured.price.ratio])
        offspring = claim.offspring
        record = Record(
            claim.trial.number,
            claim.config,
            offspring.operator,
            offspring.parents,
            offspring.reason,
            measured,
        )
        self._records[record.number] = record
        return record

    def fail(self, claim: Claim, reason: str) -> None:
        """Record that a candidate could not be measured; it may be tried again."""
        self._end(claim.trial, failure=reason)

    def give_up_stale(self) -> int:
        """Give up claims whose process has died; return how many."""
        stale = [
            trial
            for trial in self._trials()
            if trial.state == TrialState.RUNNING and not self._is_alive(trial)
        ]
        for trial in stale:
            self._end(trial, withdrawn="its process ended")
        return len(stale)

    def _is_alive(self, trial: FrozenTrial) -> bool:
        host, _, pid = trial.user_attrs.get("worker", "").rpartition(":")
        if host == socket.gethostname() and sys.platform != "win32":
            return int(pid) == os.getpid() or _is_running(int(pid))
        begun = trial.datetime_start
        return begun is not None and datetime.now() - begun < STALE_AFTER

    def _end(self, trial: FrozenTrial, **attrs: str) -> None:
        handle = optuna.trial.Trial(self._study, trial._trial_id)  # pyright: ignore[reportPrivateUsage]
        for name, value in attrs.items():
            handle.set_user_attr(name, value)
        self._study.tell(handle, state=TrialState.FAIL, skip_if_finished=True)

    def _record(self, trial: FrozenTrial) -> Record:
        attrs = trial.user_attrs
        return Record(
            trial.number,
            RenderConfig(**attrs["config"]),
            attrs["operator"],
            tuple(attrs["parents"]),
            attrs["reason"],
            _measured(attrs["measured"]),
        )


def open_storage(folder: Path, url: str | None = None) -> BaseStorage:
    """Open the storage of a study.

    Args:
        folder: Holds the journal, unless a URL is given.
        url: Of a database that SQLAlchemy knows, such as `sqlite:///study.db`, which workers on
            several machines may share.

    Raises:
        ConfigError: It cannot be opened.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if url is not None:
                return RDBStorage(url, heartbeat_interval=None)
            folder.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    except ImportError as error:
        raise ConfigError(f"storage {_safe(url)} needs a package: {error}.") from None
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{folder / JOURNAL} is no journal of a study ({type(error).__name__}). Choose another "
            "folder, or move the file away."
        ) from None
    except Exception as error:
        # Drivers of databases raise trees of their own, which only they import.
        what = _safe(url) if url else str(folder / JOURNAL)
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"cannot open the storage {what}: {first}.") from None


def _safe(url: str | None) -> str:
    """Return a URL without the password in it."""
    if url is None or "@" not in url:
        return str(url)
    scheme, _, rest = url.partition("://")
    return f"{scheme}://***@{rest.rpartition('@')[2]}"


def _difference(known: dict[str, Any], asked: dict[str, Any], where: str) -> str:
    meanings = {
        "space": "another search space (version, fixed fields, fonts or model)",
        "validation": "other texts or questions",
        "reader": f"reader {known.get('reader')}",
        "model": f"tokens of {known.get('model')}",
    }
    found = [meanings[key] for key in meanings if known.get(key) != asked[key]]
    return (
        f"the study in {where} was made with {' and '.join(found)}; its results cannot be "
        "compared. Nothing was changed. Give the same inputs to continue it, or another --out."
    )


def _is_active(trial: FrozenTrial) -> bool:
    return trial.state in (TrialState.RUNNING, TrialState.COMPLETE)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def distributions_of(space: Space) -> dict[str, BaseDistribution]:
    """Return the genes as Optuna's distributions."""
    found: dict[str, BaseDistribution] = {}
    for gene in space.genes:
        if gene.kind == "number":
            found[gene.name] = FloatDistribution(gene.low, gene.high)
        elif gene.kind == "whole":
            found[gene.name] = IntDistribution(int(gene.low), int(gene.high))
        else:
            found[gene.name] = CategoricalDistribution(gene.choices)
    return found


def _measured(values: dict[str, Any]) -> Measured:
    price = values["price"]
    known = Price(price["text_tokens"], price["visual_tokens"], tuple(price["seen_scale"]))
    changed: dict[str, Any] = {
        "price": known,
        "scores": tuple(values["scores"]),
        "by_kind": tuple((kind, score) for kind, score in values["by_kind"]),
        "failures": tuple(values["failures"]),
    }
    return Measured(**{**values, **changed})
