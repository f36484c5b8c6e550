"""What is seen of a run: metrics, progress, panels."""

# transformers declares its types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from glyph.errors import TrainingError
from glyph.train.samples.sample import Sample
from glyph.train.stages.folder import METRICS
from glyph.train.stages.panels import write_panels
from glyph.train.stages.policy import Policy

OnStep = Callable[[int, int, float], None]
"""Called with step, steps and loss."""


class Metrics(TrainerCallback):
    """Writes a line of JSON for every logged step, whatever else is tracked.

    Args:
        out: Output folder.
        on_step: Told of every logged step.
    """

    def __init__(self, out: Path, on_step: OnStep | None):
        self._path = out / METRICS
        self._on_step = on_step
        self._begin = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Append what was logged."""
        if not state.is_world_process_zero or not logs:
            return
        line = {
            "step": state.global_step,
            **logs,
            "seconds": round(time.perf_counter() - self._begin, 3),
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, default=float) + "\n")
        except OSError as error:
            raise TrainingError(
                f"{self._path} cannot be written: {error}. Make room, then go on with --resume."
            ) from error
        if self._on_step is not None and "loss" in logs:
            self._on_step(state.global_step, state.max_steps, float(logs["loss"]))


class Panels(TrainerCallback):
    """Shows held-out pages beside what the model says, at every checkpoint.

    Args:
        out: Output folder.
        policy: The network in training.
        samples: What is shown.
        max_tokens: Longest response.
    """

    def __init__(self, out: Path, policy: Policy, samples: Sequence[Sample], max_tokens: int):
        self._folder = out / "panels"
        self._policy = policy
        self._samples = samples
        self._max_tokens = max_tokens

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the panel of a step."""
        if not self._samples or not state.is_world_process_zero:
            return
        said = self._policy.respond(self._samples, max_tokens=self._max_tokens)
        write_panels(self._folder / f"step-{state.global_step:06d}.html", self._samples, said)
