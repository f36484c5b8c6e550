"""Who proposes next: a bandit that shifts share to the operators that have paid.

An operator is paid for the hypervolume its candidates add to the front: half where it is what a
gain usually was of late, nearly nothing for a step too small to matter. Thompson sampling draws a
rate of pay for each from what is known, recent candidates counting more, and the best draw
proposes. Nobody is ever silenced: a share is kept for all, since what does not pay now may pay
later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

MEMORY = 60
"""Candidates after which an outcome counts half."""

KEPT_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one candidate: who proposed it, and the hypervolume it added to the front."""

    operator: str
    gain: float


def pays(outcomes: Sequence[Outcome]) -> list[float]:
    """Return what each candidate is paid, from 0 to 1: its gain against the usual one of late.

    Gains shrink as a front grows, so that only those near in time are compared.

    Example:
        >>> pays([Outcome("a", 2.0), Outcome("b", 0.0), Outcome("a", 2.0), Outcome("b", 0.02)])
        [0.5, 0.0, 0.5, 0.009900990099009901]
    """
    found: list[float] = []
    for place, outcome in enumerate(outcomes):
        recent = [each.gain for each in outcomes[max(place - MEMORY, 0) : place + 1] if each.gain]
        usual = median(recent) if recent else 1.0
        found.append(outcome.gain / (outcome.gain + usual))
    return found


def rates(operators: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, tuple[float, float]]:
    """Return for each operator what it was paid and what it missed, recent ones counting more."""
    found = dict.fromkeys(operators, (1.0, 1.0))
    for age, (outcome, pay) in enumerate(zip(outcomes[::-1], pays(outcomes)[::-1], strict=True)):
        if outcome.operator in found:
            weight = 0.5 ** (age / MEMORY)
            paid, missed = found[outcome.operator]
            found[outcome.operator] = (paid + weight * pay, missed + weight * (1 - pay))
    return found


def choose(rng: np.random.Generator, operators: Sequence[str], outcomes: Sequence[Outcome]) -> str:
    """Return the operator that proposes next.

    Args:
        rng: Source of randomness.
        operators: Who may propose; at least one.
        outcomes: In the order in which candidates were measured.
    """
    if rng.random() < KEPT_SHARE:
        return operators[int(rng.random() * len(operators))]
    draws = {name: rng.beta(*known) for name, known in rates(operators, outcomes).items()}
    return max(draws, key=lambda name: draws[name])
