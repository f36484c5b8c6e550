"""Who proposes next: a bandit that shifts share to the operators that have paid.

An operator pays when its candidate joins the front. Thompson sampling draws a rate of pay for each
from what is known, recent candidates counting more, and the best draw proposes. Nobody is ever
silenced: a share is kept for all, since what does not pay now may pay later.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MEMORY = 60
"""Candidates after which an outcome counts half."""

KEPT_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one candidate: who proposed it, and whether it joined the front."""

    operator: str
    has_paid: bool


def rates(operators: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, tuple[float, float]]:
    """Return for each operator how often it paid and did not, recent outcomes counting more."""
    found = dict.fromkeys(operators, (1.0, 1.0))
    for age, outcome in enumerate(reversed(outcomes)):
        if outcome.operator in found:
            weight = 0.5 ** (age / MEMORY)
            paid, failed = found[outcome.operator]
            won = weight * outcome.has_paid
            found[outcome.operator] = (paid + won, failed + weight - won)
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
