"""Which engine writes which job."""

from glyph.train.emit.job import Job, Order, check_order
from glyph.train.emit.swift import swift_job
from glyph.train.emit.trl import trl_job
from glyph.train.emit.verl import verl_job

_JOBS = {"ms-swift": swift_job, "verl": verl_job, "trl": trl_job}


def make_job(order: Order) -> Job:
    """Return the job of an order.

    Raises:
        ConfigError: The engine cannot do it, or not with these settings.
    """
    check_order(order)
    return _JOBS[order.engine](order)
