"""The loop: propose, claim, measure, record, until budget or convergence.

It is a steady state: each candidate is bred from all that is known when its turn comes, so that
workers need not wait for each other, and rounds and generations are only ways of counting. Random
choices depend on the seed and the trial's number alone; a search that was stopped and continued
proposes what one in a single run would have.

    seeds and draws ─► bandit picks an operator ─► offspring, priced ─► best by expected gain
          ▲                                                                     │
          └── front, history ◄── record ◄── reading with racing ◄── claim ◄─────┘
"""

import os
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from glyph.config import RenderConfig
from glyph.errors import ConfigError, ReaderError
from glyph.search.bandit import Outcome, choose
from glyph.search.fitness import Fitness, Measured, Price
from glyph.search.operators import OPERATORS, Breed, Offspring, Parent, immigrant
from glyph.search.pareto import Point, crowding, front_indices, hypervolume, ranks
from glyph.search.space import Space
from glyph.search.study import Claim, Record, SearchStudy
from glyph.search.surrogate import Surrogate, features

LLM = "llm"
MAX_DOWN = 3
"""Candidates in a row for which the reader's endpoint was down, before the search gives up."""

MAX_UNREAD = 20
"""Candidates in a row on which the reader gave no answer at all, before the search gives up.
A reader may refuse styles it does not know, so that single ones just score nothing."""

MAX_ATTEMPTS = 200
HOPEFUL_ATTEMPTS = 8
"""Attempts to find a candidate that could enlarge the front; then one that only cannot be ruled out
as a duplicate will do, so that a budget is used up as asked."""

CONVERGED_GAIN = 0.005
"""Relative gain in hypervolume below which a round counts as one without gain."""

NUM_ROUNDS, ROUND_SIZE = 5, 200
"""The paper runs its search "for 5 times with 200 steps in each round" (appendix B)."""


class Proposer(Protocol):
    """A language model that proposes, or anything else that reads the history and suggests."""

    def next(self, records: Sequence[Record], rng: np.random.Generator) -> Offspring | None:
        """Return a proposal, or None when there is none to be had now."""
        ...

    def refuse(self, offspring: Offspring, reason: str) -> None:
        """Hear why a proposal was not measured."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop; whatever comes first.

    Attributes:
        evaluations: Candidates of the whole study, earlier runs included.
        seconds: Wall time of this run.
        tokens: Tokens the reader spends in the whole study, where it says.
        patience: Rounds without gain in hypervolume; None never stops so.
        round_size: Candidates of a round, after which convergence is looked at.
    """

    evaluations: int | None = NUM_ROUNDS * ROUND_SIZE
    seconds: float | None = None
    tokens: int | None = None
    patience: int | None = 1
    round_size: int = ROUND_SIZE


@dataclass(frozen=True, slots=True)
class Tactics:
    """How the search goes about it; the parts can be switched off to see what each is worth.

    Attributes:
        population: Parents, and candidates of a generation.
        operators: Classical operators by name.
        with_seeds: Begin with the presets.
        pool: Offspring among which the most promising is read; 1 reads the first.
    """

    population: int = 20
    operators: dict[str, Breed] = field(default_factory=lambda: dict(OPERATORS))
    with_seeds: bool = True
    pool: int = 6


@dataclass(frozen=True, slots=True)
class _Priced:
    offspring: Offspring
    config: RenderConfig
    price: Price


class Search:
    """One process at work on a study.

    Attributes:
        stopped_by: Why the last run ended.
    """

    def __init__(
        self,
        study: SearchStudy,
        space: Space,
        fitness: Fitness,
        *,
        seed: int = 0,
        proposer: Proposer | None = None,
        tactics: Tactics | None = None,
    ):
        """Prepare.

        Args:
            study: Where candidates are kept.
            space: What may be searched.
            fitness: Measures candidates.
            seed: Of all random choices.
            proposer: A language model beside the classical operators.
            tactics: How to go about it.
        """
        self._study = study
        self._space = space
        self._fitness = fitness
        self._seed = seed
        self._proposer = proposer
        self._tactics = tactics or Tactics()
        self._seeds = space.seeds() if self._tactics.with_seeds else []
        self._seen_seeds: set[str] = set()
        self.stopped_by = ""

    def run(self, budget: Budget) -> Iterator[Record]:
        """Yield candidates as they are measured, until the budget is spent.

        Raises:
            ReaderError: The reader fails throughout.
        """
        end = None if budget.seconds is None else time.monotonic() + budget.seconds
        num_down = num_unread = 0
        while True:
            records = self._study.records()
            self.stopped_by = self._reason_to_stop(records, budget, end)
            if self.stopped_by:
                return
            claim, price = self._claim(records, budget.evaluations)
            if claim is None or price is None:
                self.stopped_by = self._reason_to_stop(records, budget, end) or (
                    "no new candidate was found"
                )
                return
            measured = self._measure(claim, price, records)
            num_down = num_down + 1 if measured.is_down else 0
            num_unread = num_unread + 1 if measured.is_unread else 0
            if measured.is_down:
                self._study.fail(claim, measured.failures[0])
            else:
                yield self._study.finish(claim, measured)
            if num_down >= MAX_DOWN or num_unread >= MAX_UNREAD:
                raise ReaderError(
                    f"the reader failed on {max(num_down, num_unread)} candidates in a row; the "
                    f"last time: {measured.failures[-1]} What was measured is kept; run again to "
                    "continue."
                )

    def _measure(self, claim: Claim, price: Price, records: Sequence[Record]) -> Measured:
        rivals = [record.rival for record in records if record.measured.is_full]
        try:
            return self._fitness.measure(claim.config, price, rivals)
        except BaseException:
            # Ctrl-C leaves no claim behind.
            self._study.fail(claim, "interrupted")
            raise

    def _reason_to_stop(self, records: Sequence[Record], budget: Budget, end: float | None) -> str:
        if budget.evaluations is not None and len(records) >= budget.evaluations:
            return f"budget of {budget.evaluations} evaluations"
        if end is not None and time.monotonic() >= end:
            return f"budget of {budget.seconds:g} seconds"
        spent = sum(record.measured.tokens for record in records)
        if budget.tokens is not None and spent >= budget.tokens:
            return f"budget of {budget.tokens} tokens"
        if budget.patience is not None and is_converged(
            records, budget.round_size, budget.patience
        ):
            rounds = "a round" if budget.patience == 1 else f"{budget.patience} rounds"
            return f"convergence: {rounds} of {budget.round_size} without gain"
        return ""

    # -- proposals ---------------------------------------------------------------------------

    def _claim(
        self, records: Sequence[Record], budget: int | None
    ) -> tuple[Claim | None, Price | None]:
        taken = self._study.taken()
        if budget is not None and len(taken) >= budget:
            return None, None
        # Processes that look at the same moment must not propose the same.
        salt = self._study.num_running * os.getpid()
        for attempt, found in self._proposals(records, salt):
            if found is None:
                continue
            key = self._fitness.page_key(found.config, found.price)
            refusal = "duplicate: its pages were read before" if key in taken else ""
            if not refusal and attempt < HOPEFUL_ATTEMPTS:
                refusal = self._hopeless(found, records)
            if refusal:
                self._refuse(found.offspring, refusal)
                continue
            claim = self._study.claim(found.offspring, found.config, key, budget)
            if claim is not None:
                return claim, found.price
            taken = self._study.taken()
            if budget is not None and len(taken) >= budget:
                break
        return None, None

    def _hopeless(self, found: _Priced, records: Sequence[Record]) -> str:
        """Return why a proposal cannot enlarge the front whatever is read, or ""."""
        ratio = found.price.ratio
        perfect = max(
            (r.point[1] for r in records if r.measured.is_full and r.point[0] >= 1.0), default=0.0
        )
        if ratio <= perfect and found.offspring.operator != "seed":
            return f"hopeless: ratio {ratio:.2f}, and {perfect:.2f} was read without an error"
        return ""

    def _proposals(
        self, records: Sequence[Record], salt: int
    ) -> Iterator[tuple[int, _Priced | None]]:
        """Yield attempts at what might be read next: presets first, then what the operators make.

        Presets that were read before take no part in counting attempts, so that a continued search
        draws what an unbroken one would have.
        """
        known = {record.config for record in records}
        while (seed := self._next_seed()) is not None:
            yield 0, self._priced(seed, known)
        for attempt in range(MAX_ATTEMPTS):
            draw = [self._seed, self._study.num_trials, attempt, salt]
            yield attempt, self._propose(np.random.default_rng(draw), records, known)

    def _propose(
        self, rng: np.random.Generator, records: Sequence[Record], known: Set[RenderConfig]
    ) -> _Priced | None:
        if len(records) < self._tactics.population // 2 or len(records) < 2:
            return self._priced(immigrant(rng, self._space, []), known)
        history, names = outcomes(records), list(self._tactics.operators)
        name = choose(rng, [*names, *([LLM] if self._proposer else [])], history)
        if name == LLM and self._proposer is not None:
            offspring = self._proposer.next(records, rng)
            if offspring is not None:
                return self._priced(offspring, known)
            name = choose(rng, names, history)
        breed, parents = self._tactics.operators[name], self._parents(rng, records)
        bred = [breed(rng, self._space, parents) for _ in range(self._tactics.pool)]
        pool = [self._priced(offspring, known) for offspring in bred]
        return self._most_promising([found for found in pool if found is not None], records)

    def _next_seed(self) -> Offspring | None:
        for name, config in self._seeds:
            if name not in self._seen_seeds:
                self._seen_seeds.add(name)
                values = self._space.genome(config)
                return Offspring(values, "seed", (), f"the preset {name}")
        return None

    def _priced(self, offspring: Offspring, known: Set[RenderConfig]) -> _Priced | None:
        """Return what a proposal costs; None where it is invalid or was measured before."""
        try:
            config = self._space.repair(offspring.values)
            if config in known:
                self._refuse(offspring, "duplicate: it was measured before")
                return None
            return _Priced(offspring, config, self._fitness.price(config))
        except ConfigError as error:
            self._refuse(offspring, f"invalid: {error}")
            return None

    def _refuse(self, offspring: Offspring, reason: str) -> None:
        if self._proposer is not None and offspring.operator == LLM:
            self._proposer.refuse(offspring, reason)

    def _parents(self, rng: np.random.Generator, records: Sequence[Record]) -> list[Parent]:
        """Return the population by rank and crowding, in an order that favours the first."""
        best = survivors(records, self._tactics.population)
        parents = [Parent(r.number, r.config, *r.point) for r in best]
        # Binary tournaments: the better of two draws, by place in the order of survival.
        size = len(parents)
        chosen = [
            parents[min(int(rng.random() * size), int(rng.random() * size))] for _ in range(size)
        ]
        return list({parent.number: parent for parent in chosen}.values())

    def _most_promising(self, pool: Sequence[_Priced], records: Sequence[Record]) -> _Priced | None:
        if len(pool) <= 1:
            return pool[0] if pool else None
        surrogate = Surrogate([
            (features(r.config, r.measured.price), r.point[0], len(r.measured.scores))
            for r in records
        ])  # fmt: skip
        front = [r.point for r in front_of(records)]
        return max(
            pool,
            key=lambda found: surrogate.expected_gain(
                features(found.config, found.price), found.price.ratio, front
            ),
        )


# -- what the history says -----------------------------------------------------------------


def front_of(records: Sequence[Record]) -> list[Record]:
    """Return the candidates read to the end that no other dominates, by falling ratio."""
    full = [record for record in records if record.measured.is_full]
    return [full[i] for i in front_indices([record.point for record in full])]


def survivors(records: Sequence[Record], count: int) -> list[Record]:
    """Return the best candidates by rank, then by crowding (Deb et al. 2002)."""
    points: list[Point] = [record.point for record in records]
    rank = ranks(points)
    spread: list[float] = [0.0] * len(points)
    for level in set(rank):
        members = [i for i in range(len(points)) if rank[i] == level]
        for i, distance in zip(members, crowding([points[i] for i in members]), strict=True):
            spread[i] = distance
    order = sorted(range(len(points)), key=lambda i: (rank[i], -spread[i], i))
    return [records[i] for i in order[:count]]


def outcomes(records: Sequence[Record]) -> list[Outcome]:
    """Return for each candidate the hypervolume that it added to the front."""
    after = volumes(records)
    before = [0.0, *after]
    return [
        Outcome(record.operator, new - old)
        for record, new, old in zip(records, after, before, strict=False)
    ]


def volumes(records: Sequence[Record]) -> list[float]:
    """Return the hypervolume of the front after each candidate."""
    found: list[float] = []
    points: list[Point] = []
    for record in records:
        if record.measured.is_full:
            points = [*points, record.point]
            points = [points[i] for i in front_indices(points)]
        found.append(hypervolume(points))
    return found


def is_converged(records: Sequence[Record], round_size: int, patience: int) -> bool:
    """Whether the last rounds gained nothing that counts."""
    after = volumes(records)[round_size - 1 :: round_size]
    if len(after) <= patience or after[-1] <= 0:
        return False
    before = after[-1 - patience]
    return after[-1] - before <= CONVERGED_GAIN * max(before, 1e-9)
