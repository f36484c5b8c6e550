"""From records to numbers: means with intervals, silent errors, cost, and paired differences."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from glyph.evaluate.document_answers import generalised_f1, short_answer
from glyph.evaluate.runner import Run

Z95 = 1.959964
RESAMPLES = 4_000

Interval = tuple[float, float]
Scores = Mapping[str, tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, in and out."""

    input_usd: float
    output_usd: float


@dataclass(frozen=True, slots=True)
class Summary:
    """One row of a table. Scores are in percent.

    Attributes:
        reader: Who answered.
        condition: How contexts were shown.
        scores: Mean score of each subset.
        intervals: 95 % interval of each.
        mean: Mean over subsets; each counts the same, whatever its number of examples.
        mean_interval: Its 95 % interval.
        category_means: Mean of each category over the subsets it is in; empty without categories.
        mean_over_categories: Mean of those, or None.
        examples: Examples asked.
        failed: Examples without an answer; they are in no mean.
        ratio: Text tokens of the contexts over tokens shown.
        silent_error_rate: Share of answered examples that are wrong and not marked as unsure.
        input_tokens: As the reader counted, or else those shown.
        output_tokens: As the reader counted, or None.
        usd: Cost, or None without a price or a count.
        render_s: Seconds spent making pages.
        seconds: Seconds spent answering, over all examples.
        f1: F1 of MMLongBench-Doc, for that task only.
        failure: Why the first of the failed examples failed; "" when none did.
    """

    reader: str
    condition: str
    scores: dict[str, float]
    intervals: dict[str, Interval]
    mean: float | None
    mean_interval: Interval | None
    category_means: dict[str, float]
    mean_over_categories: float | None
    examples: int
    failed: int
    ratio: float | None
    silent_error_rate: float | None
    input_tokens: int
    output_tokens: int | None
    usd: float | None
    render_s: float
    seconds: float
    f1: float | None = None
    failure: str = ""


def summarise(run: Run, price: Price | None = None) -> Summary:
    """Return the row of a run; examples without an answer are counted, and in no mean."""
    by_subset: dict[str, list[float]] = defaultdict(list)
    by_cell: dict[tuple[str, str], list[float]] = defaultdict(list)
    answered = [record for record in run.records if record.status == "ok"]
    for example, record in zip(run.examples, run.records, strict=True):
        if record.status == "ok":
            by_subset[example.subset].append(record.score)
            by_cell[example.category, example.subset].append(record.score)
    scores = {name: 100 * sum(each) / len(each) for name, each in by_subset.items()}
    intervals = {name: wilson_interval(sum(each), len(each)) for name, each in by_subset.items()}
    mean = sum(scores.values()) / len(scores) if scores else None
    category_means = _category_means(by_cell)
    given = sum(record.given_tokens for record in answered)
    text = sum(record.text_tokens for record in answered)
    counts = [record.output_tokens for record in answered]
    output = sum(each or 0 for each in counts) if counts and None not in counts else None
    inputs = sum(
        record.given_tokens if record.input_tokens is None else record.input_tokens
        for record in answered
    )
    silent = sum(record.is_silent_error for record in answered)
    return Summary(
        reader=run.reader,
        condition=run.condition,
        scores=scores,
        intervals=intervals,
        mean=mean,
        mean_interval=_mean_interval(mean, [len(each) for each in by_subset.values()]),
        category_means=category_means,
        mean_over_categories=_mean(list(category_means.values())),
        examples=len(run.records),
        failed=len(run.records) - len(answered),
        ratio=text / given if given else None,
        silent_error_rate=100 * silent / len(answered) if answered else None,
        input_tokens=inputs,
        output_tokens=output,
        usd=_usd(price, inputs, output),
        render_s=sum(record.render_s for record in answered),
        seconds=sum(record.seconds for record in answered),
        f1=_document_f1(run),
        failure=next((record.error for record in run.records if record.status == "failed"), ""),
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _category_means(by_cell: dict[tuple[str, str], list[float]]) -> dict[str, float]:
    """Return the mean of each category over the means of its part of every subset."""
    grouped: dict[str, list[float]] = defaultdict(list)
    for (category, _), scores in by_cell.items():
        if category:
            grouped[category].append(100 * sum(scores) / len(scores))
    return {name: sum(each) / len(each) for name, each in grouped.items()}


def _usd(price: Price | None, inputs: int, output: int | None) -> float | None:
    if price is None or output is None:
        return None
    return (inputs * price.input_usd + output * price.output_usd) / 1e6


def _document_f1(run: Run) -> float | None:
    pairs = [
        (example, record)
        for example, record in zip(run.examples, run.records, strict=True)
        if example.metric == "document_answer" and record.status == "ok"
    ]
    if not pairs:
        return None
    return 100 * generalised_f1(
        [example.answers[0] for example, _ in pairs],
        [
            record.extracted or short_answer(record.answer, example.category)
            for example, record in pairs
        ],
        [record.score for _, record in pairs],
    )


# -- intervals -------------------------------------------------------------------------------


def wilson_interval(total: float, number: float) -> Interval:
    """Return the 95 % interval, in percent, of a mean of scores between 0 and 1.

    The interval is that of a coin with the same mean. A score between 0 and 1 varies no more than
    such a coin, so the interval is never too narrow; and it does not shrink to a point when all
    scores are 1.

    Source:
        Wilson 1927, equation for the score interval.

    Example:
        >>> low, high = wilson_interval(10, 10)
        >>> round(low), round(high)
        (72, 100)
    """
    share = total / number
    centre = (share + Z95**2 / (2 * number)) / (1 + Z95**2 / number)
    half = (
        Z95
        * math.sqrt(share * (1 - share) / number + Z95**2 / (4 * number**2))
        / (1 + Z95**2 / number)
    )
    return 100 * max(centre - half, 0.0), 100 * min(centre + half, 1.0)


def _mean_interval(mean: float | None, numbers: list[int]) -> Interval | None:
    """Return the interval of a mean over subsets, each of which counts the same."""
    if mean is None:
        return None
    effective = len(numbers) ** 2 / sum(1 / number for number in numbers)
    return wilson_interval(mean / 100 * effective, effective)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one run is than another on the same examples, in points of 100.

    Attributes:
        points: Mean over subsets of the difference.
        low: Lower end of the 95 % interval.
        high: Upper end.
        examples: Examples that both runs answered.
    """

    points: float
    low: float
    high: float
    examples: int


def scores_of(run: Run) -> Scores:
    """Return subset and score of each answered example, by its id."""
    return {each.id: (each.subset, each.score) for each in run.records if each.status == "ok"}


def paired_difference(one: Scores, other: Scores, seed: int = 0) -> Difference | None:
    """Return how much better `one` is than `other`; None when they share no answered example.

    Examples are drawn again with replacement, within each subset, together with both answers, so
    that what makes an example hard for both does not widen the interval.

    Args:
        one: Subset and score of each answered example, by its id.
        other: Those of the run it is compared with.
        seed: Of what is drawn.

    Source:
        Efron and Tibshirani 1993, section 8; paired as in Koehn 2004.
    """
    gains: dict[str, list[float]] = defaultdict(list)
    for name, (subset, value) in one.items():
        if name in other:
            gains[subset].append(100 * (value - other[name][1]))
    if not gains:
        return None
    generator = np.random.default_rng(seed)
    means_R = np.zeros(RESAMPLES)
    for each in gains.values():
        drawn_RN = generator.choice(np.array(each), (RESAMPLES, len(each)))
        means_R += drawn_RN.mean(axis=1) / len(gains)
    low, high = np.quantile(means_R, [0.025, 0.975])
    points = sum(sum(each) / len(each) for each in gains.values()) / len(gains)
    return Difference(points, float(low), float(high), sum(map(len, gains.values())))
