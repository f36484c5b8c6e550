"""Questions written by a language model, and answers judged by it, where there are no labels.

Source:
    Glyph (arXiv 2510.17800), section 3.4: fitness is the reader's own inference on a validation
    set. That a language model may write and mark the set is the proposal of the article on it.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from glyph.errors import DocumentError, UpstreamError
from glyph.output import write_atomically
from glyph.search.endpoint import Endpoint
from glyph.search.fitness import Judge
from glyph.search.scoring import score_answer
from glyph.search.validation import (
    Passage,
    Question,
    SetSize,
    ValidationSet,
    check_texts,
    cut_of,
    priced_part,
)

NUM_PER_PASSAGE = 4
WRITER = "You write exam questions about a text. Answer only with JSON of the given schema."
JUDGE = "You mark answers to exam questions. Answer only with JSON of the given schema."

_ITEM = {
    "type": "object",
    "properties": {"question": {"type": "string"}, "answer": {"type": "string"}},
    "required": ["question", "answer"],
    "additionalProperties": False,
}
QUESTIONS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"questions": {"type": "array", "items": _ITEM}},
    "required": ["questions"],
    "additionalProperties": False,
}
VERDICT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"correct": {"type": "boolean"}},
    "required": ["correct"],
    "additionalProperties": False,
}


def written_questions(
    texts: Sequence[str], endpoint: Endpoint, kept: Path, *, size: SetSize, seed: int
) -> ValidationSet:
    """Have questions written about passages of the texts; once, since a study needs one set.

    Args:
        texts: The user's texts.
        endpoint: Who writes.
        kept: File the questions are kept in, and taken from the next time.
        size: Number and length of passages.
        seed: Of the cuts.

    Raises:
        DocumentError: The texts are too short, or no passage got a usable question.
    """
    check_texts(texts)
    draw = random.Random(f"glyph-written-{seed}")
    cuts = [cut_of(draw, texts, size.passage_chars) for _ in range(size.num_passages)]
    if kept.exists():
        written: list[list[list[str]]] = json.loads(kept.read_text("utf-8"))
    else:
        written = [_write(endpoint, cut) for cut in cuts]
        write_atomically(kept, json.dumps(written, ensure_ascii=False).encode())
    passages = [
        Passage(cut, tuple(Question("written", q, (a,), "contains") for q, a in pairs))
        for cut, pairs in zip(cuts, written, strict=True)
        if pairs
    ]
    if not passages:
        kept.unlink(missing_ok=True)
        raise DocumentError(
            f"{endpoint.name} wrote no question whose answer stands in its passage; take another "
            "model, or leave out questions to have them made from the texts."
        )
    return ValidationSet(tuple(passages), priced_part(texts), f"written by {endpoint.name}")


def make_judge(endpoint: Endpoint) -> Judge:
    """Return a judge of answers; where the endpoint fails, the words of the answer decide."""
    known: dict[tuple[str, str], float] = {}

    def judge(question: Question, given: str) -> float:
        key = (question.text, given)
        if key not in known:
            known[key] = _verdict(endpoint, question, given)
        return known[key]

    return judge


def _write(endpoint: Endpoint, cut: str) -> list[list[str]]:
    prompt = (
        f"Write {NUM_PER_PASSAGE} questions about this text. Each has one short answer that stands "
        f"in the text word for word, and cannot be known without it.\n\n{cut}"
    )
    answer = endpoint.ask(WRITER, prompt, QUESTIONS_SCHEMA)
    items = answer.get("questions")
    found: list[list[str]] = []
    for item in cast(list[Any], items) if isinstance(items, list) else []:
        values = cast(dict[str, Any], item) if isinstance(item, dict) else {}
        question, right = values.get("question"), values.get("answer")
        if not (isinstance(question, str) and isinstance(right, str) and right.strip()):
            continue
        # An answer that does not stand in the passage cannot be read from its pages.
        if score_answer("contains", cut, [right]):
            found.append([question, right])
    return found[:NUM_PER_PASSAGE]


def _verdict(endpoint: Endpoint, question: Question, given: str) -> float:
    if not given.strip():
        return 0.0
    prompt = (
        f"Question: {question.text}\nRight answer: {question.expected[0]}\n"
        f"Answer to mark: {given[:600]}\nDoes it give the right answer?"
    )
    try:
        verdict = endpoint.ask(JUDGE, prompt, VERDICT_SCHEMA).get("correct")
    except UpstreamError:
        verdict = None
    if isinstance(verdict, bool):
        return float(verdict)
    return score_answer(question.scoring, given, question.expected)
