"""Every measurement in a process of its own, which ends when its time is up.

So the memory of one is not counted for the next, a long one can be given up, and one that the
system ends for lack of memory takes no other with it. The processes are forked from one that has
loaded torch and computed nothing, which makes them cheap.
"""

import multiprocessing
import signal
from multiprocessing.connection import Connection
from typing import Any

from glyph.errors import GlyphError
from glyph.evaluate.efficiency.sides import Job, Side, run_job

_START_S = 300.0
PRELOADED = ["torch", "transformers.models.glm4v.modeling_glm4v", "glyph.evaluate.efficiency.sides"]


def measure_side(job: Job, max_s: float) -> Side | str:
    """Return what was measured, or one sentence that says why it was not.

    Args:
        job: What to measure.
        max_s: Seconds on the wall it may take.

    Raises:
        GlyphError: What the measurement itself raised, such as a missing package.
    """
    return _in_child(job, max_s)


def start() -> None:
    """Start the process that others are forked from, so that no measurement waits for it."""
    _in_child(None, _START_S)


def _in_child(job: Job | None, max_s: float) -> Side | str:
    has_forks = "forkserver" in multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if has_forks else "spawn")
    context.set_forkserver_preload(PRELOADED)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, job), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(max_s):
            return f"it took more than {max_s:,.0f} s (--max-seconds)"
        found: Side | Exception = ours.recv()
    except EOFError:
        process.join()
        return f"its process ended {_ending(process.exitcode or 0)}"
    finally:
        process.kill()
        process.join()
        ours.close()
    if isinstance(found, GlyphError):
        raise found
    return f"it failed ({found})" if isinstance(found, Exception) else found


def _child(theirs: Connection, job: Job | None) -> None:
    try:
        theirs.send(run_job(job) if job is not None else "it has nothing to measure")
    except (GlyphError, RuntimeError, MemoryError) as error:
        theirs.send(error)


def _ending(code: int) -> str:
    if code == -signal.SIGKILL.value:
        return "by a kill: most likely memory ran out"
    return f"with exit code {code}"
