"""A language model as judge, behind any endpoint that speaks the Chat Completions API.

Failures are verdicts of None. An endpoint that fails again and again is left alone for a while,
so that a training goes on at its own speed while the judge is down.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI, OpenAIError

from glyph.errors import ConfigError
from glyph.train.config import RewardsConfig
from glyph.train.rewards import judge_prompt

PAUSE_AFTER = 3
PAUSE_S = 60.0
AT_ONCE = 16
MAX_VERDICT_TOKENS = 16


class Judge:
    """Asks for verdicts.

    Args:
        config: Names the endpoint and the model.
        clock: Seconds that pass.

    Raises:
        ConfigError: No endpoint or no model is named.
    """

    def __init__(self, config: RewardsConfig, clock: Callable[[], float] = time.monotonic):
        if not config.judge_url or not config.judge_model:
            raise ConfigError(
                "samples with reward 'judge' need a judge; set judge_url and judge_model in "
                "[rewards], or leave such samples out."
            )
        self._config = config
        self._clock = clock
        self._failures = 0
        self._silent_until = -1.0
        self._client = OpenAI(
            base_url=config.judge_url,
            api_key=_key(),
            timeout=config.judge_timeout_s,
            max_retries=config.judge_retries,
        )
        self.num_failed = 0
        """Verdicts that could not be had."""

    def verdicts(self, asked: Sequence[tuple[str, Sequence[str], str]]) -> list[str | None]:
        """Return the judge's words on answers, None where there are none.

        Args:
            asked: Question, expected answers and the answer given.
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self.verdict, *zip(*asked, strict=True))) if asked else []

    def verdict(self, question: str, answers: Sequence[str], answer: str) -> str | None:
        """Return the judge's words on an answer, or None."""
        if self._clock() < self._silent_until:
            self.num_failed += 1
            return None
        try:
            reply = self._client.chat.completions.create(
                model=self._config.judge_model,
                messages=[{"role": "user", "content": judge_prompt(question, answers, answer)}],
                temperature=0,
                max_tokens=MAX_VERDICT_TOKENS,
            )
        except OpenAIError:
            self._failed()
            return None
        self._failures = 0
        return reply.choices[0].message.content if reply.choices else None

    def _failed(self) -> None:
        self.num_failed += 1
        self._failures += 1
        if self._failures >= PAUSE_AFTER:
            self._silent_until = self._clock() + PAUSE_S


def _key() -> str:
    """Return the key of the judge's endpoint; local servers take any."""
    import os

    return os.environ.get("GLYPH_JUDGE_API_KEY", "none")
