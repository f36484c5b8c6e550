"""What is asked: examples, and the tasks that make or load them.

A task is a function from `TaskOptions` to a `LoadedTask`. Nothing is fetched: data that a task
does not make itself is read from files the user names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal

from glyph.errors import ConfigError, nearest
from glyph.text_tokens import count_text_tokens

Span = tuple[int, int]

_MODULES = {
    "ruler": "glyph.evaluate.ruler",
    "needle": "glyph.evaluate.needle",
    "mrcr": "glyph.evaluate.mrcr",
    "ocr": "glyph.evaluate.ocr",
    "books": "glyph.evaluate.books",
    "longbench": "glyph.evaluate.longbench",
    "longbench-v2": "glyph.evaluate.longbench_v2",
    "mmlongbench": "glyph.evaluate.mmlongbench",
}


@dataclass(frozen=True, slots=True)
class Example:
    """One question about one context.

    Attributes:
        id: Unique within the task.
        subset: The row of the table it belongs to.
        context: The long text; it becomes pages.
        question: Stays text.
        answers: What is accepted; what a metric makes of several is its own business.
        metric: Name of a metric of `glyph.evaluate.metrics`.
        instruction: Words of the benchmark around the question, for readers that follow
            instructions; readers that look up keys and sentences are given the question alone.
        evidence: Spans of the context that hold the answer; empty where the data does not say.
        category: Group of subsets, for the mean over categories; "" for none.
        choices: Labels of a multiple choice, such as A to D; empty otherwise.
        prefix: What an answer must begin with; "" for nothing.
        max_answer_tokens: Upper limit of the answer.
        action: `ask` the question, or `transcribe` the pages.
        pdf: A PDF whose pages are shown instead of rendered text; None to render the context.
    """

    id: str
    subset: str
    context: str
    question: str
    answers: tuple[str, ...]
    metric: str
    instruction: str = ""
    evidence: tuple[Span, ...] = ()
    category: str = ""
    choices: tuple[str, ...] = ()
    prefix: str = ""
    max_answer_tokens: int = 128
    action: Literal["ask", "transcribe"] = "ask"
    pdf: Path | None = None


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """What a task is told.

    Attributes:
        subsets: Subsets to make; empty for all.
        lengths: Lengths in text tokens; empty for the task's own.
        num_examples: Examples of each subset and length; None for all there are, or the task's
            own number.
        data: Files and folders the user named.
        seed: Of everything that is drawn.
        strict: Whether a bad record of a data file ends the run.
        count: Number of text tokens of a text.
    """

    subsets: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    num_examples: int | None = None
    data: tuple[Path, ...] = ()
    seed: int = 0
    strict: bool = False
    count: Callable[[str], int] = count_text_tokens


@dataclass(frozen=True, slots=True)
class LoadedTask:
    """The examples of a task, and what should be said about them.

    Attributes:
        name: Of the task.
        examples: In the order of the table.
        source: What the contexts are made of, in a few words.
        skipped: One sentence for each record left out.
    """

    name: str
    examples: tuple[Example, ...]
    source: str
    skipped: tuple[str, ...] = field(default=())


def task_names() -> tuple[str, ...]:
    """Return the names of all tasks."""
    return tuple(_MODULES)


def load_task(name: str, options: TaskOptions) -> LoadedTask:
    """Return the examples of a task.

    Args:
        name: One of `task_names()`.
        options: Subsets, lengths, data and seed.

    Raises:
        ConfigError: The task, a subset, a length or a number is not accepted.
        DocumentError: A data file is missing or unreadable, with its public source.
    """
    if name not in _MODULES:
        hint = nearest(name, _MODULES)
        raise ConfigError(
            f"unknown task '{name}'; "
            + (f"did you mean {hint}? " if hint else "")
            + f"tasks: {', '.join(_MODULES)}."
        )
    if options.num_examples is not None and options.num_examples < 1:
        raise ConfigError(f"num_examples is {options.num_examples}; at least 1 is accepted.")
    for length in options.lengths:
        if length < 1:
            raise ConfigError(f"length {length} is no number of tokens; 1 or more is accepted.")
    loaded: LoadedTask = import_module(_MODULES[name]).load(options)
    if not loaded.examples:
        raise ConfigError(
            f"task '{name}' has no examples with these options"
            + (f": {loaded.skipped[0]}" if loaded.skipped else ".")
        )
    ids = [example.id for example in loaded.examples]
    assert len(set(ids)) == len(ids), "ids of examples are unique"
    return loaded


def chosen(asked: Sequence[str], known: Sequence[str], what: str) -> tuple[str, ...]:
    """Return the subsets asked for, in the order known; all when none is asked for.

    Raises:
        ConfigError: One is not known.

    Example:
        >>> chosen(["b"], ["a", "b"], "subset")
        ('b',)
    """
    for name in asked:
        if name not in known:
            hint = nearest(name, known)
            raise ConfigError(
                f"unknown {what} '{name}'; "
                + (f"did you mean {hint}? " if hint else "")
                + f"accepted: {', '.join(known)}."
            )
    return tuple(name for name in known if not asked or name in asked)
