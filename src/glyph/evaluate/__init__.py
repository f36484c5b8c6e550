"""Evaluate: score any reader on long-context tasks, beside text baselines at equal tokens.

    task ── examples ──> condition ── pages or text ──> reader ── answer ──> metric ──> journal
                                                                                          │
                                                             table, report <── summary ───┘

An `Example` is a context, a question and what answers it. A condition says how the context is
given: as pages, or as text for comparison. Every answer is journalled the moment it arrives, so
that a run that is killed goes on where it stopped.
"""

from glyph.evaluate.runner import Run, RunSettings, evaluate
from glyph.evaluate.summary import Summary, paired_difference, scores_of, summarise
from glyph.evaluate.task import Example, LoadedTask, TaskOptions, load_task, task_names

__all__ = [
    "Example",
    "LoadedTask",
    "Run",
    "RunSettings",
    "Summary",
    "TaskOptions",
    "evaluate",
    "load_task",
    "paired_difference",
    "scores_of",
    "summarise",
    "task_names",
]
