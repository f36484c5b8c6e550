"""Needles in a haystack: sentences that give keys their values, hidden in other text."""

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glyph.evaluate.fitting import TextBuilder, cycle_to, depths, fit, insert_at
from glyph.evaluate.task import Example
from glyph.evaluate.words import pair_key

NOISE = (
    "The grass is green.",
    "The sky is blue.",
    "The sun is yellow.",
    "Here we go.",
    "There and back again.",
)


@dataclass(frozen=True, slots=True)
class NeedleTask:
    """What is hidden where.

    Attributes:
        haystack: `noise`, `essay`, or `needle`, which is made of needles only.
        key: Kind of the keys: `word` or `uuid`.
        value: Kind of the values: `number` or `uuid`.
        num_keys: Keys hidden; a haystack of needles has as many as fit.
        num_values: Values of the key that is asked for.
        num_queries: Keys that are asked for.
    """

    haystack: str
    key: str
    value: str
    num_keys: int = 1
    num_values: int = 1
    num_queries: int = 1


NEEDLE_TASKS = {
    "niah_single_1": NeedleTask("noise", "word", "number"),
    "niah_single_2": NeedleTask("essay", "word", "number"),
    "niah_single_3": NeedleTask("essay", "word", "uuid"),
    "niah_multikey_1": NeedleTask("essay", "word", "number", num_keys=4),
    "niah_multikey_2": NeedleTask("needle", "word", "number"),
    "niah_multikey_3": NeedleTask("needle", "uuid", "uuid"),
    "niah_multivalue": NeedleTask("essay", "word", "number", num_values=4),
    "niah_multiquery": NeedleTask("essay", "word", "number", num_keys=4, num_queries=4),
}


def hide_needles(
    task: NeedleTask,
    sentences: Sequence[str],
    length: int,
    count: Callable[[str], int],
    generator: random.Random,
    label: dict[str, str],
    depth: float | None = None,
) -> Example:
    """Return an example with needles hidden in a haystack of a length.

    Args:
        task: What is hidden where.
        sentences: Of the haystack, where it is of essays.
        length: Tokens of context and question together.
        count: Tokens of a text.
        generator: Draws keys, values and places.
        label: Fields of the example: `id`, `subset`, `category`.
        depth: Where the one needle stands, from 0 to 1; None draws it.
    """
    used: set[str] = set()
    keys = [_draw(task.key, generator, used) for _ in range(task.num_keys)]
    values = [[_draw(task.value, generator, used) for _ in range(task.num_values)] for _ in keys]
    asked = list(range(task.num_queries))
    question = _question(task, [keys[i] for i in asked])
    needles = [(key, value) for key, own in zip(keys, values, strict=True) for value in own]
    budget = length - count(question)
    if task.haystack == "needle":
        context, marks = _among_needles(task, needles[0], budget, count, generator, used)
    else:
        at = [depth] if depth is not None else depths(len(needles), generator)
        generator.shuffle(needles)
        context, marks = _in_text(
            task, sentences, list(zip(at, needles, strict=True)), budget, count
        )
    wanted = [value for i in asked for value in values[i]]
    return Example(
        id=label["id"],
        subset=label["subset"],
        category=label["category"],
        context=context,
        question=question,
        answers=tuple(wanted),
        metric="contains_all",
        evidence=tuple(marks[value] for value in wanted),
    )


def _draw(kind: str, generator: random.Random, used: set[str]) -> str:
    if kind == "word":
        return pair_key(generator, used)
    while True:
        drawn = (
            str(uuid.UUID(int=generator.getrandbits(128), version=4))
            if kind == "uuid"
            else str(generator.randint(1_000_000, 9_999_999))
        )
        if drawn not in used:
            used.add(drawn)
            return drawn


def needle(kind: str, key: str, value: str) -> str:
    """Return the sentence that gives a key its value."""
    return f"One of the special magic {kind}s for {key} is: {value}."


def _question(task: NeedleTask, keys: list[str]) -> str:
    if len(keys) == 1 and task.num_values == 1:
        return (
            f"What is the special magic {task.value} for {keys[0]} mentioned in the provided text?"
        )
    named = keys[0] if len(keys) == 1 else ", ".join(keys[:-1]) + f", and {keys[-1]}"
    return (
        f"What are all the special magic {task.value}s for {named} mentioned in the provided text?"
    )


def _in_text(
    task: NeedleTask,
    sentences: Sequence[str],
    placed: list[tuple[float, tuple[str, str]]],
    budget: int,
    count: Callable[[str], int],
) -> tuple[str, dict[str, tuple[int, int]]]:
    hay = list(sentences)
    inserts = [(at, needle(task.value, key, value)) for at, (key, value) in placed]

    def build(number: int) -> tuple[str, list[int]]:
        if task.haystack == "noise":
            # A line of noise is its five sentences, as published.
            return insert_at(cycle_to([" ".join(NOISE)], number), inserts, "\n")
        return insert_at(cycle_to(hay, number), inserts, " ")

    number = fit(lambda n: build(n)[0], budget, count, 1)
    context, starts = build(number)
    marks: dict[str, tuple[int, int]] = {}
    for start, (_, text), (_, (_, value)) in zip(starts, inserts, placed, strict=True):
        begin = start + text.rindex(value)
        marks[value] = (begin, begin + len(value))
    return context, marks


def _among_needles(
    task: NeedleTask,
    wanted: tuple[str, str],
    budget: int,
    count: Callable[[str], int],
    generator: random.Random,
    used: set[str],
) -> tuple[str, dict[str, tuple[int, int]]]:
    place = generator.random()
    others: list[str] = []

    def build(number: int) -> TextBuilder:
        while len(others) < number:
            key, value = _draw(task.key, generator, used), _draw(task.value, generator, used)
            others.append(needle(task.value, key, value))
        built = TextBuilder()
        at = int(place * number)
        for line in others[:at]:
            built.add(line + "\n")
        built.add(needle(task.value, *wanted) + "\n", wanted[1])
        for line in others[at:number]:
            built.add(line + "\n")
        return built

    built = build(fit(lambda n: build(n).text, budget, count, 1))
    return built.text.rstrip("\n"), {wanted[1]: built.marks[0]}
