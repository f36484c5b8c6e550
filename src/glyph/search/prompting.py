"""What a language model is told, and the form its answer must have.

Two forms: the full one, and a compact one for models whose context does not hold it. The compact
form names the fields that matter most, shows as many candidates as fit, asks for two proposals, and
has a schema with a type for each field: small models keep to a grammar and to nothing else.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glyph.search.loop import survivors
from glyph.search.space import STYLE, Gene, Space
from glyph.search.study import Record

BATCH = 6
SMALL_BATCH = 2
SHOWN_CANDIDATES = 16
SHOWN_REFUSALS = 8
CHARS_PER_TOKEN = 2.2
"""Of prompts full of numbers and names of fields; prose has about four."""

SYSTEM = (
    "You optimise how text is typeset into page images that a vision model reads. You are given "
    "measured candidates and propose new ones. Answer only with JSON of the given schema."
)

CORE_FIELDS = (
    *(STYLE, "dpi", "page_width_pt", "page_height_pt", "font_family", "font_size_pt"),
    *("line_height_pt", "horizontal_scale", "margin_x_pt", "margin_y_pt", "newline_marker"),
    *("crop_width", "crop_last_page"),
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt and the JSON schema of its answer."""

    text: str
    schema: dict[str, Any]


def prompt_for(
    space: Space,
    records: Sequence[Record],
    refusals: Sequence[str],
    *,
    with_images: bool = False,
    context_tokens: int | None = None,
) -> Prompt:
    """Return what a model is told: aim, genes with units, candidates, refusals.

    Args:
        space: What may change.
        records: What was measured.
        refusals: Why proposals were refused, oldest first.
        with_images: Pages of the best and the worst candidate are shown with it.
        context_tokens: What the model's context holds, answer included; None for plenty.
    """
    full = Prompt(_full_text(space, records, refusals, with_images), schema_of(space))
    # A quarter of the context is the answer's.
    room = None if context_tokens is None else int(0.75 * context_tokens * CHARS_PER_TOKEN)
    if room is None or len(full.text) <= room:
        return full
    genes = [gene for gene in space.genes if gene.name in CORE_FIELDS]
    shown = survivors(records, SHOWN_CANDIDATES)
    while len(shown) > 1 and len(_compact_text(space, genes, shown)) > room:
        shown.pop()
    schema = _compact_schema(genes, [record.number for record in shown])
    return Prompt(_compact_text(space, genes, shown), schema)


def _aim(space: Space) -> str:
    return (
        "Aim: high accuracy of the reader AND a high compression ratio (text tokens over "
        f"visual tokens of {space.model}, patch grid {space.grid_px} px). A "
        "candidate counts when no other beats it in both."
    )


def _full_text(
    space: Space, records: Sequence[Record], refusals: Sequence[str], with_images: bool
) -> str:
    shown = survivors(records, SHOWN_CANDIDATES)
    candidates = "\n".join(_candidate_line(space, record) for record in shown)
    parts = [
        _aim(space),
        "Fields, with unit, range and meaning:\n" + "\n".join(map(_gene_line, space.genes)),
        "Candidates, best first (accuracy, ratio, how it came about, fields that differ from "
        f"the default):\n{candidates}",
    ]
    if with_images:
        parts.append("The images show a page of the densest candidate of the front, and of the "
                     "one that was read worst.")  # fmt: skip
    if refusals:
        reasons = [f"- {reason}" for reason in refusals[-SHOWN_REFUSALS:]]
        parts.append("Refused lately, do not repeat:\n" + "\n".join(reasons))
    parts.append(
        f"Say what limits the best candidates, then propose {BATCH} new ones. Each names a "
        "parent by number and changes one to four fields; to cross two candidates name the "
        "other parent and the fields to take from it. Give each a short reason."
    )
    return "\n\n".join(parts)


def _compact_text(space: Space, genes: Sequence[Gene], shown: Sequence[Record]) -> str:
    fields = "\n".join(f"- {gene.name}: {_accepted(gene)}" for gene in genes)
    candidates: list[str] = []
    for record in shown:
        accuracy, ratio = record.point
        values = [f"{g.name} {_short(space.value(record.config, g.name))}" for g in genes]
        candidates.append(
            f"#{record.number}: accuracy {accuracy:.2f}, ratio {ratio:.2f}; {', '.join(values)}"
        )
    return "\n\n".join([
        _aim(space),
        f"Fields:\n{fields}",
        "Candidates, best first:\n" + "\n".join(candidates),
        f"Propose {SMALL_BATCH} new candidates: a parent by number, one or two fields to change "
        "with their new values, and the reason in a few words.",
    ])  # fmt: skip


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


def _compact_schema(genes: Sequence[Gene], numbers: Sequence[int]) -> dict[str, Any]:
    """Return a schema that leaves as little as possible to get wrong."""
    changes: list[dict[str, Any]] = []
    for gene in genes:
        choices = {"enum": list(gene.choices)} if gene.choices else {"type": "number"}
        changes.append(_object({"field": {"const": gene.name}, "value": choices}))
    proposal = _object(
        {
            "parent": {"enum": list(numbers)},
            "changes": {"type": "array", "items": {"anyOf": changes}, "minItems": 1, "maxItems": 2},
            "reason": {"type": "string", "maxLength": 120},
        }
    )
    proposals = {
        "type": "array", "items": proposal, "minItems": 1, "maxItems": SMALL_BATCH,
    }  # fmt: skip
    return _object({"proposals": proposals})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _gene_line(gene: Gene) -> str:
    return f"- {gene.name}: {_accepted(gene)} ({gene.about})"


def _accepted(gene: Gene) -> str:
    if gene.choices:
        return " | ".join(json.dumps(choice, ensure_ascii=False) for choice in gene.choices)
    return f"{gene.low:g} to {gene.high:g} {gene.unit}, step {gene.step:g}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _candidate_line(space: Space, record: Record) -> str:
    defaults = type(record.config)().to_dict()
    genome = space.genome(record.config)
    changed = {name: value for name, value in genome.items() if value != defaults.get(name)}
    accuracy, ratio = record.point
    read = "" if record.measured.is_full else ", given up early"
    return (
        f"#{record.number}: accuracy {accuracy:.3f}{read}, ratio {ratio:.2f}; "
        f"{record.operator}: {record.reason[:120]}; {json.dumps(changed, ensure_ascii=False)}"
    )
