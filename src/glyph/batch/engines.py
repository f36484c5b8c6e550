"""Who renders the shards: processes of this machine, or the nodes of a Ray cluster.

An engine takes shards and yields their reports as they are done, in any order.
"""

import json
import logging
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from typing import Any, Literal

from glyph.batch.plan import Shard
from glyph.batch.work import Job, Report, render_shard
from glyph.errors import ConfigError, GlyphError, RenderError

EngineName = Literal["local", "ray"]


def run_locally(
    shards: Sequence[Shard], job: Job, num_shards: int, workers: int | None
) -> Iterator[Report]:
    """Render shards in processes of this machine.

    Args:
        shards: What is still to be done.
        job: What they have in common.
        num_shards: Of the whole run.
        workers: Processes; None is one a core.

    Raises:
        RenderError: A worker was killed, most likely for want of memory.
    """
    count = min(workers or os.cpu_count() or 1, len(shards))
    # Threads of the parent (progress bars) and fork do not go together.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        waiting = [pool.submit(render_shard, shard, job, num_shards) for shard in shards]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BrokenProcessPool:
            raise RenderError(
                "a worker was killed, most likely for want of memory. Finished shards are kept: "
                "run it again with fewer --workers or smaller --shard-mb."
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def run_on_ray(
    shards: Sequence[Shard], job: Job, num_shards: int, workers: int | None, address: str | None
) -> Iterator[Report]:
    """Render shards with Ray Data, on this machine or on a cluster that sees the same folders.

    Args:
        shards: What is still to be done.
        job: What they have in common.
        num_shards: Of the whole run.
        workers: Tasks at a time; None is what the cluster has cores for.
        address: Of a running cluster, such as `auto`; None starts one on this machine.

    Raises:
        ConfigError: Ray is not installed, or there is no such cluster.
        RenderError: A shard failed; the others are kept.
    """
    ray = _connect(address, workers)
    try:
        data = ray.data.from_items(
            [{"shard": shard.to_json()} for shard in shards], override_num_blocks=len(shards)
        )
        # A function runs as stateless tasks, which Ray starts again where a node is lost.
        done = data.map(
            _task,
            fn_kwargs={"job": asdict(job), "num_shards": num_shards},
            compute=ray.data.TaskPoolStrategy(workers),
        )
        for row in done.iter_rows():
            if row["error"]:
                raise RenderError(row["error"])
            yield Report(**json.loads(row["report"]))
    finally:
        if address is None:
            ray.shutdown()


def _task(row: dict[str, str], job: dict[str, Any], num_shards: int) -> dict[str, str]:
    """Render one shard; an error of ours travels as a sentence, without a remote traceback."""
    try:
        report = render_shard(Shard.from_json(row["shard"]), Job(**job), num_shards)
    except GlyphError as error:
        return {"report": "", "error": str(error)}
    return {"report": json.dumps(asdict(report)), "error": ""}


def _connect(address: str | None, workers: int | None) -> Any:
    if address is None:
        # By default Ray writes a token into the home folder, to be shared by a cluster's nodes.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    try:
        import ray
        import ray.data
    except ImportError:
        raise ConfigError(
            "the engine 'ray' needs Ray; install it with: pip install 'glyph-context[ray]'."
        ) from None
    try:
        ray.init(  # pyright: ignore[reportUnknownMemberType]
            address=address or "local",
            num_cpus=None if address else workers,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise ConfigError(
            f"cannot reach the Ray cluster at {address} ({why}); start one, or leave --address out."
        ) from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.verbose_stats_logs = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray
