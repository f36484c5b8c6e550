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
from glyph.search.loop import LLM, front_of, survivors
from glyph.search.operators import Offspring
from glyph.search.space import Gene, Space, Values
from glyph.search.study import Record

BATCH = 6
SHOWN_CANDIDATES = 16
SHOWN_REFUSALS = 8
LONGEST_REST = 32
MAX_REASON_CHARS = 400

SYSTEM = (
    "You optimise how text is typeset into page images that a vision model reads. You are given "
    "measured candidates and propose new ones. Answer only with JSON of the given schema."
)

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
            answer = self._endpoint.ask(
                SYSTEM,
                self.prompt(records, with_images=bool(images)),
                schema_of(self._space),
                images,
            )
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
                self._write("proposed", reason=offspring.reason, parents=offspring.parents)
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

    def _fail(self, reason: str) -> None:
        self._write("failed", reason=reason)
        self._rest = self._next_rest
        self._next_rest = min(2 * self._next_rest, LONGEST_REST)

    def _write(self, event: str, **values: Any) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")

    def _crops(self, records: Sequence[Record]) -> list[bytes]:
        if self._show is None or not records:
            return []
        front = front_of(records)
        best = front[0] if front else records[0]
        worst = min(records, key=lambda record: record.point[0])
        return [self._show(best), self._show(worst)]

    # -- the prompt --------------------------------------------------------------------------

    def prompt(self, records: Sequence[Record], *, with_images: bool = False) -> str:
        """Return what the model is told: aim, genes with units, candidates, refusals."""
        shown = survivors(records, SHOWN_CANDIDATES)
        refused = [note for note in self.notes() if note.get("event") == "refused"]
        parts = [
            "Aim: high accuracy of the reader AND a high compression ratio (text tokens over "
            f"visual tokens of {self._space.model}, patch grid {self._space.grid_px} px). A "
            "candidate counts when no other beats it in both.",
            "Fields, with unit, range and meaning:\n"
            + "\n".join(map(_gene_line, self._space.genes)),
            "Candidates, best first (accuracy, ratio, how it came about, fields that differ from "
            "the default):\n" + "\n".join(map(_candidate_line, shown)),
        ]
        if with_images:
            parts.append("The images show a page of the densest candidate of the front, and of the "
                         "one that was read worst.")  # fmt: skip
        if refused:
            reasons = [f"- {note['reason']}" for note in refused[-SHOWN_REFUSALS:]]
            parts.append("Refused lately, do not repeat:\n" + "\n".join(reasons))
        parts.append(
            f"Say what limits the best candidates, then propose {BATCH} new ones. Each names a "
            "parent by number and changes one to four fields; to cross two candidates name the "
            "other parent and the fields to take from it. Give each a short reason."
        )
        return "\n\n".join(parts)


def schema_of(space: Space) -> dict[str, Any]:
    """Return the JSON schema of an answer."""
    names = [gene.name for gene in space.genes]
    change = {
        "type": "object",
        "properties": {
            "field": {"type": "string", "enum": names},
            "value": {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "string"}]},
        },
        "required": ["field", "value"],
        "additionalProperties": False,
    }
    proposal = {
        "type": "object",
        "properties": {
            "parent": {"type": "integer"},
            "changes": {"type": "array", "items": change},
            "other_parent": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "take": {"type": "array", "items": {"type": "string", "enum": names}},
            "reason": {"type": "string"},
        },
        "required": ["parent", "changes", "other_parent", "take", "reason"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "analysis": {"type": "string"},
            "proposals": {"type": "array", "items": proposal},
        },
        "required": ["analysis", "proposals"],
        "additionalProperties": False,
    }


def offspring_of(proposal: Any, by_number: dict[int, Record], space: Space) -> Offspring:
    """Return what a proposal means.

    Numbers written as text are taken as numbers, and numbers out of range go to its end.

    Args:
        proposal: As parsed from the answer; anything at all.
        by_number: Candidates that may be parents.
        space: What may change.

    Raises:
        ConfigError: It names no parent or field, changes nothing, or has a value of no sense.
    """
    if not isinstance(proposal, dict):
        raise ConfigError(f"a proposal is an object, not {str(proposal)[:80]!r}")
    given = cast(dict[str, Any], proposal)
    parent = by_number.get(_number(given.get("parent")))
    if parent is None:
        raise ConfigError(f"there is no candidate {given.get('parent')!r} to be a parent")
    before = space.genome(parent.config)
    values: Values = dict(before)
    parents = (parent.number,)
    other = by_number.get(_number(given.get("other_parent")))
    if other is not None and other is not parent:
        parents = (parent.number, other.number)
        taken = space.genome(other.config)
        values.update({name: taken[name] for name in _strings(given.get("take")) if name in taken})
    changes = given.get("changes")
    for change in cast(list[Any], changes) if isinstance(changes, list) else []:
        name, value = _change(change, space)
        values[name] = value
    if values == before:
        raise ConfigError(f"it changes nothing of candidate {parent.number}")
    space.repair(values)
    reason = " ".join(str(given.get("reason") or "no reason given").split())[:MAX_REASON_CHARS]
    return Offspring(values, LLM, parents, reason)


def _change(change: Any, space: Space) -> tuple[str, Any]:
    if not isinstance(change, dict):
        raise ConfigError(f"a change is an object, not {str(change)[:80]!r}")
    given = cast(dict[str, Any], change)
    gene = space.by_name.get(str(given.get("field")))
    if gene is None:
        raise ConfigError(f"there is no field {given.get('field')!r} that may change")
    return gene.name, gene.clipped(_typed(gene, given.get("value")))


def _typed(gene: Gene, value: Any) -> Any:
    """Return a value as the gene's type where there is one way to read it."""
    is_numeric = gene.kind in ("number", "whole") or gene.name == "grid_px"
    if is_numeric and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value
    if gene.name == "grid_px" and isinstance(value, float) and value.is_integer():
        return int(value)
    if gene.kind == "flag" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _number(value: Any) -> int:
    if isinstance(value, bool):
        return -1
    if isinstance(value, float) and value == value and abs(value) < 1e9:
        return int(value)
    return value if isinstance(value, int) else -1


def _strings(value: Any) -> list[str]:
    items = cast(list[Any], value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str)]


def _gene_line(gene: Gene) -> str:
    if gene.kind in ("flag", "choice"):
        accepted = " | ".join(json.dumps(choice, ensure_ascii=False) for choice in gene.choices)
    else:
        accepted = f"{gene.low:g} to {gene.high:g} {gene.unit}, step {gene.step:g}"
    return f"- {gene.name}: {accepted} ({gene.about})"


def _candidate_line(record: Record) -> str:
    defaults = type(record.config)().to_dict()
    changed = {k: v for k, v in record.config.to_dict().items() if v != defaults[k]}
    accuracy, ratio = record.point
    read = "" if record.measured.is_full else ", given up early"
    return (
        f"#{record.number}: accuracy {accuracy:.3f}{read}, ratio {ratio:.2f}; "
        f"{record.operator}: {record.reason[:120]}; {json.dumps(changed, ensure_ascii=False)}"
    )
