"""Points in parallel on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from gatefold.gen.errors import UserError
from gatefold.gen.explore.point import Job, Point, measure
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan import Budget

__all__ = ["here", "processes"]

Results = Generator[tuple[Job, list[Point]], None, None]

#: The arguments that a worker process was started with.
_given: dict = {}


def here(jobs: Sequence[Job], qnets: Mapping[int, QuantizedNetwork], limits: Budget) -> Results:
    """Each job's points, one after the other in this process."""
    for job in jobs:
        yield job, measure(qnets[job.width], job, limits)


def processes(jobs: Sequence[Job], qnets: Mapping[int, QuantizedNetwork], limits: Budget,
              count: int) -> Results:
    """Each job's points as they are ready, from ``count`` processes.

    The processes are spawned, so a script must call this below ``if __name__ == "__main__":``.
    Raises :class:`UserError` where one of them dies.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(count, len(jobs)),
                               mp_context=multiprocessing.get_context("spawn"),
                               initializer=_start, initargs=(dict(qnets), limits))
    try:
        futures = {pool.submit(_measure, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise UserError("a worker process died (killed, or out of memory): run the same again to "
                        "go on where this ended, perhaps with fewer --jobs") from None
    except BaseException:  # an interrupt too: nobody waits for what the workers are doing
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start(qnets: Mapping[int, QuantizedNetwork], limits: Budget) -> None:
    _given.update(qnets=qnets, limits=limits)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a worker without a traceback
    parent = multiprocessing.parent_process()
    if parent is not None:  # else a killed parent would leave its workers waiting for ever
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _measure(job: Job) -> list[Point]:
    return measure(_given["qnets"][job.width], job, _given["limits"])
