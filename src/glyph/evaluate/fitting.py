"""Contexts of a wanted length: texts built piece by piece, and how many pieces fit."""

import random
import re
from collections.abc import Callable, Iterable

from glyph.errors import ConfigError
from glyph.evaluate.task import Span

TOLERANCE = 0.005
"""Share of the length within which a fit is good enough."""

_SENTENCE = re.compile(r"[^.!?。！？\n]+(?:[.!?。！？]+[\"'”’)]*|\n|$)")


class TextBuilder:
    """A text put together from pieces, which remembers where the marked ones stand."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self.marks: list[Span] = []

    def add(self, text: str, *marked: str) -> None:
        """Append a piece; the first place of each of `marked` in it becomes a mark."""
        for part in marked:
            start = self._length + text.index(part)
            self.marks.append((start, start + len(part)))
        self._pieces.append(text)
        self._length += len(text)

    @property
    def text(self) -> str:
        """Everything so far."""
        return "".join(self._pieces)


def fit(
    build: Callable[[int], str],
    budget: int,
    count: Callable[[str], int],
    low: int,
    high: int | None = None,
) -> int:
    """Return about the largest number of pieces whose text is within a budget of tokens.

    Args:
        build: The text of a number of pieces; its tokens grow with the number.
        budget: Tokens it may have.
        count: Tokens of a text.
        low: Fewest pieces that make sense.
        high: Most pieces there are; None for no limit.

    Raises:
        ConfigError: Not even the fewest fit.
    """
    tokens = count(build(low))
    if tokens > budget:
        raise ConfigError(
            f"a length of {budget:,} tokens for the context is too short; this task needs at "
            f"least {tokens:,}. Give larger --lengths."
        )
    best, best_tokens, over = low, tokens, 0
    guess = max(low + 1, low * budget // max(tokens, 1), 32)
    while best != high and (not over or over - best > 1):
        guess = guess if high is None else min(guess, high)
        tokens = count(build(guess))
        if tokens <= budget:
            best, best_tokens = guess, tokens
            if budget - tokens <= budget * TOLERANCE:
                break
        else:
            over = guess
        step = (best * budget) // max(best_tokens, 1)
        if over:
            guess = min(max(step, best + 1), over - 1) if step < over else (best + over) // 2
            guess = max(guess, best + 1)
        else:
            guess = max(step, best + 1, best * 3 // 2)
    return best


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text, without blanks at their ends.

    Example:
        >>> sentences_of("It rained. Did it? Yes")
        ['It rained.', 'Did it?', 'Yes']
    """
    found = (" ".join(match.group().split()) for match in _SENTENCE.finditer(text))
    return [sentence for sentence in found if any(char.isalnum() for char in sentence)]


def depths(number: int, generator: random.Random) -> list[float]:
    """Return distinct depths from 0 to 1, sorted, on a grid of 40 as the published needle tests."""
    grid = [i / 39 for i in range(40)]
    return sorted(generator.sample(grid, number))


def cycle_to(pieces: list[str], number: int) -> list[str]:
    """Return so many pieces, from the start again when they run out."""
    whole, rest = divmod(number, len(pieces))
    return pieces * whole + pieces[:rest]


def insert_at(
    pieces: Iterable[str], inserts: list[tuple[float, str]], joint: str
) -> tuple[str, list[int]]:
    """Return pieces joined, with others inserted at depths, and where each of those starts.

    Args:
        pieces: In order.
        inserts: Depth from 0 to 1, and text; equal depths keep their order.
        joint: Between all pieces.
    """
    base = list(pieces)
    order = sorted(range(len(inserts)), key=lambda i: inserts[i][0])
    starts = [0] * len(inserts)
    parts: list[str] = []
    length = taken = 0
    for i in order:
        depth, text = inserts[i]
        upto = round(depth * len(base))
        for piece in base[taken:upto]:
            parts.append(piece)
            length += len(piece) + len(joint)
        taken = max(taken, upto)
        starts[i] = length
        parts.append(text)
        length += len(text) + len(joint)
    parts += base[taken:]
    return joint.join(parts), starts
