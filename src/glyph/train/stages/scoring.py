"""Rewards of samples: what TRL asks for, and what benchmarks report."""

from collections.abc import Sequence
from typing import Any

from glyph.train.config import RewardsConfig
from glyph.train.judge import Judge
from glyph.train.rewards import Score, score, take_apart
from glyph.train.samples.sample import Sample


class Scorer:
    """Tells what responses are worth.

    Args:
        weights: Of the parts of a reward; names the judge.
        judge: Asked where an answer cannot be checked; None where no sample needs one.
    """

    __name__ = "glyph"

    def __init__(self, weights: RewardsConfig, judge: Judge | None):
        self._weights = weights
        self._judge = judge

    def scores(self, samples: Sequence[Sample], said: Sequence[str]) -> list[Score]:
        """Return what each response is worth.

        Args:
            samples: What was asked.
            said: The responses, in the same order.
        """
        verdicts: list[str | None] = [None] * len(samples)
        judged = [k for k, sample in enumerate(samples) if sample.reward == "judge"]
        if judged and self._judge is not None:
            asked = [
                (samples[k].prompt, samples[k].answers, take_apart(said[k]).answer) for k in judged
            ]
            for k, verdict in zip(judged, self._judge.verdicts(asked), strict=True):
                verdicts[k] = verdict
        return [
            score(
                text,
                kind=sample.reward,
                answers=sample.answers,
                truth=sample.completion or "\n".join(sample.answers),
                weights=self._weights,
                verdict=verdict,
            )
            for sample, text, verdict in zip(samples, said, verdicts, strict=True)
        ]

    def __call__(
        self, prompts: Any, completions: Any, completion_ids: Any, **columns: Any
    ) -> list[float | None]:
        """Return rewards as TRL asks for them; None where one is unknown."""
        said = [completion[0]["content"] for completion in completions]
        scores = self.scores(columns["sample"], said)
        for part in ("match", "judge", "ocr", "format"):
            known = [value for one in scores if (value := getattr(one, part)) is not None]
            if known:
                columns["log_metric"](f"parts/{part}", sum(known) / len(known))
        return [one.total for one in scores]


def open_scorer(weights: RewardsConfig, samples: Sequence[Sample]) -> Scorer:
    """Return the scorer of samples; it has a judge if any of them needs one.

    Raises:
        ConfigError: A judge is needed and none is named.
    """
    needs = any(sample.reward == "judge" for sample in samples)
    return Scorer(weights, Judge(weights) if needs else None)
