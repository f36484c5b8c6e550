"""Scores of single answers in [0, 1], and intervals of their mean."""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

import numpy as np

Scoring = Literal["contains", "exact", "similar"]

RESAMPLES = 1_000
_BLANK = re.compile(r"\s+")
_LOOKALIKES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-"})


def normalised(text: str) -> str:
    """Return text as it is compared: NFKC, one kind of quotes and dashes, single blanks."""
    return _BLANK.sub(" ", unicodedata.normalize("NFKC", text).translate(_LOOKALIKES)).strip()


def score_answer(scoring: Scoring, given: str, expected: Sequence[str]) -> float:
    """Return how right an answer is.

    Args:
        scoring: `exact`: the string, letter for letter, stands in the answer; `contains`: the same
            without regard to case and punctuation; `similar`: share of characters in order.
        given: What the reader said.
        expected: Right answers; the best one counts.

    Example:
        >>> score_answer("contains", "It was Mr. Rochester.", ["mr rochester"])
        1.0
    """
    if scoring == "similar":
        return max(_similarity(normalised(given), normalised(right)) for right in expected)
    if scoring == "exact":
        said = normalised(given)
        return float(any(_stands_in(normalised(right), said) for right in expected))
    said = _letters(given)
    return float(any(f" {_letters(right)} " in f" {said} " for right in expected))


def _stands_in(right: str, said: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(right)}(?![\w-])", said) is not None


def _letters(text: str) -> str:
    words = re.sub(r"[^\w\s]", " ", normalised(text).casefold().replace("'", ""))
    return " ".join(words.split())


def _similarity(one: str, other: str) -> float:
    if not one or not other:
        return float(one == other)
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    matched = sum(block.size for block in matcher.get_matching_blocks())
    return matched / max(len(one), len(other))


def interval(
    scores: Sequence[float], groups: Sequence[int], *, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean score.

    Questions about one passage fail together, so that passages are drawn and not questions. With a
    single passage its questions are drawn: narrow, but better than nothing.

    Args:
        scores: One for each question.
        groups: Passage of each question.
        seed: Of the resampling.
    """
    values, passages = np.asarray(scores, float), np.asarray(groups)
    names = np.unique(passages)
    if len(names) > 1:
        sums = np.array([values[passages == name].sum() for name in names])
        counts = np.array([(passages == name).sum() for name in names])
    else:
        sums, counts = values, np.ones(len(values))
    drawn = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
