"""Variable tracing: which variables end up with a value, through a chain of assignments."""

import random
import string
from collections.abc import Callable
from itertools import pairwise

from glyph.evaluate.fitting import cycle_to, depths, fit, insert_at
from glyph.evaluate.ruler.niah import NOISE
from glyph.evaluate.task import Example

NUM_HOPS = 4
NAME_LETTERS = 5


def trace_variables(
    length: int, count: Callable[[str], int], generator: random.Random, label: dict[str, str]
) -> Example:
    """Return an example with one chain of assignments in noise, in the order of the chain."""
    names = _names(NUM_HOPS + 1, generator)
    value = str(generator.randint(10_000, 99_999))
    lines = [f"VAR {names[0]} = {value}"]
    lines += [f"VAR {new} = VAR {old}" for old, new in pairwise(names)]
    at = depths(len(lines), generator)
    inserts = list(zip(at, lines, strict=True))
    question = f"Find all variables that are assigned the value {value} in the provided text."
    noise = " ".join(NOISE)

    def build(number: int) -> tuple[str, list[int]]:
        return insert_at(cycle_to([noise], number), inserts, "\n")

    number = fit(lambda n: build(n)[0], length - count(question), count, 1)
    context, starts = build(number)
    skip = len("VAR ")
    return Example(
        id=label["id"],
        subset=label["subset"],
        category=label["category"],
        context=context,
        question=question,
        answers=tuple(names),
        metric="contains_all",
        evidence=tuple((start + skip, start + skip + NAME_LETTERS) for start in starts),
    )


def _names(number: int, generator: random.Random) -> list[str]:
    names: list[str] = []
    while len(names) < number:
        name = "".join(generator.choices(string.ascii_uppercase, k=NAME_LETTERS))
        if name not in names:
            names.append(name)
    return names
