"""Self-distillation: answer from the text, learn to answer so from its pages.

A network that reads pages well may still think worse about them than about text. Its own answers
from the text, kept where they are right, are what it is then trained to say when it sees pages.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from openai import OpenAI, OpenAIError

from glyph.errors import ConfigError, TrainingError
from glyph.train.config import RewardsConfig, SftConfig
from glyph.train.samples.sample import Sample
from glyph.train.stages.policy import Policy
from glyph.train.stages.scoring import Scorer

AT_ONCE = 32
MAX_TOKENS = 512
RIGHT = 0.999
TIMEOUT_S = 120.0
KINDS = "self, openai:MODEL"


def taught(
    samples: Iterable[Sample], settings: SftConfig, policy: Policy, weights: RewardsConfig
) -> Iterator[Sample]:
    """Yield samples whose response is the teacher's where the teacher is right.

    Where it is wrong the sample keeps its own response; one without any is left out.

    Args:
        samples: Samples with the text of their pages.
        settings: Names the teacher.
        policy: The student; its own teacher if that is `self`.
        weights: What a right answer is worth.
    """
    teacher = _teacher(settings, policy)
    scorer = Scorer(weights, None)
    waiting = iter(samples)
    while batch := list(islice(waiting, AT_ONCE)):
        said = teacher(batch)
        for sample, text, score in zip(batch, said, scorer.scores(batch, said), strict=True):
            worth = score.match if sample.reward == "match" else score.ocr
            if worth is not None and worth >= RIGHT:
                yield dataclasses.replace(sample, completion=text)
            elif sample.completion:
                yield sample


def _teacher(settings: SftConfig, policy: Policy) -> Callable[[Sequence[Sample]], list[str]]:
    kind, _, model = settings.teacher.partition(":")
    if settings.teacher == "self":
        config = dataclasses.replace(policy.config, context="text")
        reading = dataclasses.replace(policy, config=config)
        return lambda batch: reading.respond(batch, max_tokens=MAX_TOKENS)
    if kind != "openai" or not model:
        raise ConfigError(f"unknown teacher '{settings.teacher}'; teachers: {KINDS}.")
    client = OpenAI(
        base_url=settings.teacher_url or None,
        api_key=os.environ.get("GLYPH_TEACHER_API_KEY", "none"),
        timeout=TIMEOUT_S,
    )
    return lambda batch: [_ask(client, model, sample) for sample in batch]


def _ask(client: OpenAI, model: str, sample: Sample) -> str:
    try:
        reply = client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": sample.text_prompt()}],
            max_tokens=MAX_TOKENS,
        )
    except OpenAIError as error:
        raise TrainingError(
            f"the teacher '{model}' does not answer: {error}. Start its endpoint, then go on with "
            "--resume."
        ) from error
    return reply.choices[0].message.content or ""
