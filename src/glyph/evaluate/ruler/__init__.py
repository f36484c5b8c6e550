"""RULER: 13 synthetic tasks that measure how much of a context is really used.

Generators of our own after the published descriptions; the sentences that make up needles,
chains and questions are the benchmark's, so that scores mean the same. Deviations: few-shot
examples are not shown, and the length is that of context and question together. Without `--data`
the haystack is Python's language reference, and the questions of `qa_1` and `qa_2` are about made
up people; with it they are the essays, SQuAD and HotpotQA files that are named.

Source:
    Hsieh et al. 2024 (arXiv:2404.06654), table 5 and appendix B; parameters as in the released
    `synthetic.yaml`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from glyph.evaluate.fitting import sentences_of
from glyph.evaluate.ruler.counting import common_words, frequent_words
from glyph.evaluate.ruler.niah import NEEDLE_TASKS, hide_needles
from glyph.evaluate.ruler.questions import Passages, load_passages, over_documents
from glyph.evaluate.ruler.tracing import trace_variables
from glyph.evaluate.task import Example, LoadedTask, TaskOptions, chosen
from glyph.evaluate.words import haystack_text

SUBSETS = (*NEEDLE_TASKS, "vt", "cwe", "fwe", "qa_1", "qa_2")
DEFAULT_LENGTHS = (4096,)
DEFAULT_EXAMPLES = 10
_CATEGORIES = {"vt": "tracing", "cwe": "aggregation", "fwe": "aggregation", "qa_1": "questions",
               "qa_2": "questions"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Draw:
    """Where and what is drawn: one example of one subset at one length."""

    subset: str
    length: int
    id: str
    generator: random.Random


def load(options: TaskOptions) -> LoadedTask:
    """Return the examples of the subsets asked for, at every length.

    Args:
        options: `data` may hold essays (`.txt`), SQuAD and HotpotQA files (`.json`).
    """
    subsets = chosen(options.subsets, SUBSETS, "RULER subset")
    lengths = options.lengths or DEFAULT_LENGTHS
    essays, essays_name = haystack_text(options.data)
    sentences = sentences_of(essays)
    passages = {name: load_passages(name, options) for name in subsets if name.startswith("qa_")}
    examples = [
        _make(
            _Draw(
                subset,
                length,
                f"{subset}-{length}-{i}",
                random.Random(f"{options.seed}:{subset}:{length}:{i}"),
            ),
            sentences,
            passages,
            options.count,
        )
        for subset in subsets
        for length in lengths
        for i in range(options.num_examples or DEFAULT_EXAMPLES)
    ]
    used = [essays_name, *(each.name for each in passages.values())]
    return LoadedTask("ruler", tuple(examples), ", ".join(dict.fromkeys(used)))


def _make(
    draw: _Draw,
    sentences: list[str],
    passages: dict[str, Passages],
    count: Callable[[str], int],
) -> Example:
    label = {
        "id": draw.id,
        "subset": draw.subset,
        "category": _CATEGORIES.get(draw.subset, "retrieval"),
    }
    if draw.subset in NEEDLE_TASKS:
        kind = NEEDLE_TASKS[draw.subset]
        return hide_needles(kind, sentences, draw.length, count, draw.generator, label)
    if draw.subset == "vt":
        return trace_variables(draw.length, count, draw.generator, label)
    if draw.subset == "cwe":
        return common_words(draw.length, count, draw.generator, label)
    if draw.subset == "fwe":
        return frequent_words(draw.length, count, draw.generator, label)
    return over_documents(passages[draw.subset], draw.length, count, draw.generator, label)
