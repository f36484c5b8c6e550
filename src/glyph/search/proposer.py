"""The language model as proposer: it reads population and results, and suggests with a reason.

Its proposals are treated like anybody's: repaired or refused by the space, checked against the
history, measured by reading, paid by the bandit. What was refused, and why, is told to it the next
time. When its endpoint fails it rests, longer each time; the search goes on without it.

Source:
    Glyph (arXiv 2510.17800), section 3.4, "LLM analysis and critique". The prompt is ours.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from glyph.errors import ConfigError, UpstreamError
from glyph.search.endpoint import Endpoint
from glyph.search.loop import front_of
from glyph.search.operators import Offspring
from glyph.search.prompting import BATCH, SYSTEM, prompt_for
from glyph.search.proposals import is_bent, offspring_of
from glyph.search.space import Space
from glyph.search.study import Record

LONGEST_REST = 32

Show = Callable[[Record], bytes]


class LlmProposer:
    """Proposes candidates through an endpoint.

    Attributes:
        name: Of the model.
    """

    def __init__(self, endpoint: Endpoint, space: Space, log: Path, show: Show | None = None):
        """Prepare; nothing is asked yet.

        Args:
            endpoint: The language model.
            space: What may change.
            log: JSONL file of what was proposed, refused and failed; processes append to it.
            show: Gives a PNG crop of a candidate's page, for models that see images.
        """
        self.name = endpoint.name
        self._endpoint = endpoint
        self._space = space
        self._log = log
        self._show = show
        self._queue: list[Offspring] = []
        self._rest = 0
        self._next_rest = 1

    def next(self, records: Sequence[Record], rng: np.random.Generator) -> Offspring | None:
        """Return the next proposal, asking the model when none is left.

        Args:
            records: What was measured.
            rng: Not used: the model draws by itself.
        """
        if not self._queue and self._rest > 0:
            self._rest -= 1
            return None
        if not self._queue:
            self._ask(records)
        return self._queue.pop(0) if self._queue else None

    def refuse(self, offspring: Offspring, reason: str) -> None:
        """Record why a proposal was not measured."""
        self._write("refused", reason=reason, proposal=offspring.reason)

    def notes(self) -> list[dict[str, Any]]:
        """Return the log, oldest first; a line cut short by the end of a process is left out."""
        if not self._log.exists():
            return []
        found: list[dict[str, Any]] = []
        for line in self._log.read_text("utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def _ask(self, records: Sequence[Record]) -> None:
        images = self._crops(records)
        try:
            refusals = [note["reason"] for note in self.notes() if note.get("event") == "refused"]
            prompt = prompt_for(
                self._space,
                records,
                refusals,
                with_images=bool(images),
                context_tokens=self._endpoint.context_tokens,
            )
            answer = self._endpoint.ask(SYSTEM, prompt.text, prompt.schema, images)
        except UpstreamError as error:
            self._fail(str(error))
            return
        proposals = answer.get("proposals")
        if not isinstance(proposals, list) or not proposals:
            self._fail(f"no list of proposals in {json.dumps(answer)[:200]}")
            return
        by_number = {record.number: record for record in records}
        for proposal in cast(list[Any], proposals)[: 2 * BATCH]:
            try:
                offspring = offspring_of(proposal, by_number, self._space)
                self._check_history(offspring, records)
            except ConfigError as error:
                self._write("refused", reason=str(error), proposal=str(proposal)[:400])
            else:
                self._write(
                    "proposed",
                    reason=offspring.reason,
                    parents=offspring.parents,
                    is_repaired=is_bent(proposal, offspring, self._space),
                    changes=self._changes(offspring, by_number),
                )
                self._queue.append(offspring)
        if self._queue:
            self._next_rest = 1
        else:
            self._fail("no proposal of the answer could be used")

    def _check_history(self, offspring: Offspring, records: Sequence[Record]) -> None:
        config = self._space.repair(offspring.values)
        for record in records:
            if record.config == config:
                raise ConfigError(f"duplicate of candidate {record.number}")

    def _changes(self, offspring: Offspring, by_number: dict[int, Record]) -> dict[str, Any]:
        before = self._space.genome(by_number[offspring.parents[0]].config)
        after = self._space.genome(self._space.repair(offspring.values))
        return {name: value for name, value in after.items() if value != before[name]}

    def _fail(self, reason: str) -> None:
        self._write("failed", reason=reason)
        self._rest = self._next_rest
        self._next_rest = min(2 * self._next_rest, LONGEST_REST)

    def _write(self, event: str, **values: Any) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")

    def _crops(self, records: Sequence[Record]) -> list[bytes]:
        # Images would fill a small context.
        if self._show is None or not records or self._endpoint.context_tokens is not None:
            return []
        front = front_of(records)
        best = front[0] if front else records[0]
        worst = min(records, key=lambda record: record.point[0])
        return [self._show(best), self._show(worst)]
