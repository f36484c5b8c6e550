"""What a proposal of a language model means: offspring, or the reason why there is none."""

from typing import Any, cast

from glyph.errors import ConfigError
from glyph.search.loop import LLM
from glyph.search.operators import Offspring
from glyph.search.space import Gene, Space, Values
from glyph.search.study import Record

MAX_REASON_CHARS = 400


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


def is_bent(proposal: Any, offspring: Offspring, space: Space) -> bool:
    """Whether what becomes of a usable proposal is not quite what it asked for.

    Args:
        proposal: As parsed from the answer.
        offspring: What `offspring_of` made of it.
        space: Which repairs.
    """
    became = space.genome(space.repair(offspring.values))
    asked: dict[str, Any] = {}
    for change in proposal.get("changes") or ():
        gene = space.by_name[change["field"]]
        asked[gene.name] = _typed(gene, change["value"])
    return any(became[name] != value for name, value in asked.items())


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
