"""The queue of a node as a table for people. It contains nothing that names a patient."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from bundle.tat.node.clock import Clock
from bundle.tat.node.files import QUEUE, RECEIVED
from bundle.tat.node.job_queue import FINAL, STATES, Job, JobQueue

_COLUMNS: Final = ("job", "state", "since", "from", "objects", "MB", "results", "sent", "note")


def describe_queue(folder: Path) -> str:
    """Describe the queue of a node, which may be running.

    Args:
        folder: of the node.

    Returns:
        A table, a line for each job, and how many there are in each state.

    Raises:
        RefusedInputError: there is none.
    """
    reader = JobQueue(folder / QUEUE, Clock(), read_only=True)
    try:
        jobs, counts = reader.jobs(), reader.counts()
    finally:
        reader.close()
    rows = [_COLUMNS, *map(_row, jobs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    totals = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) or "the queue is empty"
    received = folder / RECEIVED
    wanted = [f"job {job.id}: {received / str(job.series)}" for job in jobs if _needs_a_look(job)]
    return "\n".join([*(lines if jobs else []), totals, *wanted])


def _needs_a_look(job: Job) -> bool:
    return job.state in FINAL and job.state != "done"


def _row(job: Job) -> tuple[str, ...]:
    since = datetime.fromtimestamp(job.changed).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    size = f"{job.n_bytes / 1e6:.1f}"
    numbers = (str(job.n_instances), size, str(job.n_results), str(job.n_sent))
    note = "; ".join(filter(None, (job.remark, job.reason)))
    return (str(job.id), job.state, since, job.calling_ae, *numbers, note)
