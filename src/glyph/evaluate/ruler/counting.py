"""Aggregation: the most common words of a list, and the most frequent words of a coded text."""

import random
import string
from collections.abc import Callable

from glyph.evaluate.fitting import TextBuilder, fit
from glyph.evaluate.task import Example
from glyph.evaluate.words import distinct_words

NUM_COMMON = 10
SHORT_LENGTH = 4096
"""Below this many tokens words are repeated less, so that a list still fits."""

REPEATS, REPEATS_RARE = 30, 3
REPEATS_SHORT, REPEATS_RARE_SHORT = 6, 1

ZIPF_EXPONENT = 2.0
NUM_FREQUENT = 3
CODE_LETTERS = 6
DOTS = "..."


def common_words(
    length: int, count: Callable[[str], int], generator: random.Random, label: dict[str, str]
) -> Example:
    """Return a numbered list of words in which ten words are much more common than the rest."""
    is_short = length < SHORT_LENGTH
    often = REPEATS_SHORT if is_short else REPEATS
    rare = REPEATS_RARE_SHORT if is_short else REPEATS_RARE
    question = "What are the 10 most common words in the above list?"
    seed = generator.random()
    vocabulary: list[str] = []

    def build(number: int) -> TextBuilder:
        nonlocal vocabulary
        if len(vocabulary) < number + NUM_COMMON:
            vocabulary = distinct_words(2 * (number + NUM_COMMON), random.Random(seed))
        words = (
            vocabulary[:NUM_COMMON] * often + vocabulary[NUM_COMMON : NUM_COMMON + number] * rare
        )
        random.Random(seed).shuffle(words)
        built = TextBuilder()
        seen: set[str] = set()
        common = set(vocabulary[:NUM_COMMON])
        for i, word in enumerate(words):
            is_first = word in common and word not in seen
            seen.add(word)
            piece = f"{i + 1}. {word} "
            built.add(piece, *((word,) if is_first else ()))
        return built

    # The vocabulary must not depend on how the length was searched.
    vocabulary = distinct_words(max(length, 64), random.Random(seed))
    number = fit(lambda n: build(n).text.rstrip(), length - count(question), count, 1)
    return _example(build(number), question, label)


def frequent_words(
    length: int, count: Callable[[str], int], generator: random.Random, label: dict[str, str]
) -> Example:
    """Return a text of coded words whose frequencies fall off as a power of their rank.

    The word of rank 1 is three dots, which are noise; those of ranks 2 to 4 are asked for.
    """
    question = (
        "Do not provide any explanation. Please ignore the dots '....'. What are the three most "
        "frequently appeared words in the above coded text?"
    )
    seed = generator.random()
    words = _coded_words(max(length, 64), random.Random(seed))

    def build(number: int) -> TextBuilder:
        drawn = [DOTS] * _frequency(1, number)
        for rank, word in enumerate(words, 2):
            times = _frequency(rank, number)
            # The three that are asked for must be ahead of all others, also in a short text.
            floor = max(5 - rank, 0) + 1
            if times < 1 and floor == 1:
                break
            drawn += [word] * max(times, floor)
        random.Random(seed).shuffle(drawn)
        wanted = set(words[:NUM_FREQUENT])
        built = TextBuilder()
        for word in drawn:
            built.add(f"{word} ", *((word,) if word in wanted else ()))
            wanted.discard(word)
        return built

    number = fit(lambda n: build(n).text.rstrip(), length - count(question), count, 8)
    return _example(build(number), question, label)


def _example(built: TextBuilder, question: str, label: dict[str, str]) -> Example:
    """Return the example whose answers are the marked words of a text."""
    text = built.text.rstrip()
    return Example(
        id=label["id"],
        subset=label["subset"],
        category=label["category"],
        context=text,
        question=question,
        answers=tuple(text[start:end] for start, end in built.marks),
        metric="contains_all",
        evidence=tuple(built.marks),
    )


def _frequency(rank: int, number: int) -> int:
    zeta = 1.6449340668482264  # sum of 1 / k^2
    return int(number * rank**-ZIPF_EXPONENT / zeta)


def _coded_words(number: int, generator: random.Random) -> list[str]:
    words: dict[str, None] = {}
    while len(words) < number:
        words["".join(generator.choices(string.ascii_lowercase, k=CODE_LETTERS))] = None
    return list(words)
