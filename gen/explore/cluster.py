"""Points on a Dask cluster that the user has: its workers need Gatefold and nothing else."""

from __future__ import annotations

import importlib
import logging
import pickle
import re
import socket
import time
import zlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.explore.identity import code_digest
from gatefold.gen.explore.point import Job, Point, measure
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan import Budget

__all__ = ["TIMEOUT", "check_address", "on_cluster"]

#: Seconds to wait for the scheduler, and for the first worker.
TIMEOUT = 15
#: Seconds that a sweep waits for a new worker when the last one has gone.
PATIENCE = 60

_ADDRESS = re.compile(r"(tcp|tls)://[A-Za-z0-9_.\-\[\]:]+:[0-9]{1,5}")


class OtherCode(Exception):
    """The worker's Gatefold is not the client's."""


def check_address(address: str) -> str:
    """``address`` of a scheduler; raises :class:`UserError` for another form, or without Dask."""
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise UserError(f"--dask must be a scheduler's address like tcp://host:8786, "
                        f"not {quoted(address)}")
    _dask()
    host, _, port = address.split("//")[1].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"--dask: no Dask scheduler answers at {address} "
                        f"({getattr(error, 'strerror', None) or error}): start a scheduler with "
                        "`dask scheduler`, or leave --dask out") from None
    return address


def on_cluster(jobs: Sequence[Job], qnets: Mapping[int, QuantizedNetwork], limits: Budget,
               address: str) -> Generator[tuple[Job, list[Point]], None, None]:
    """Each job's points as they are ready. A job whose worker dies is done by another.

    Raises :class:`UserError` where the scheduler or its workers cannot be reached, or where a
    worker has another version of Gatefold.
    """
    dask = _dask()
    client = _connected(dask, check_address(address))
    try:
        # A task and not scattered data: Dask computes it again where a worker dies.
        loaded = {width: client.submit(_unpacked, _packed(qnet), pure=False)
                  for width, qnet in qnets.items()}
        waiting = {client.submit(_measure, code_digest(), loaded[job.width], job, limits,
                                 pure=False): job for job in jobs}
        while waiting:
            done = _some(dask, client, waiting)
            for future in done:
                yield waiting.pop(future), _result(dask, future)
    finally:
        client.close()


# ---- on a worker -------------------------------------------------------------------------------


def _packed(qnet: QuantizedNetwork) -> bytes:
    return zlib.compress(pickle.dumps(qnet), 1)


def _unpacked(data: bytes) -> QuantizedNetwork:
    return pickle.loads(zlib.decompress(data))


def _measure(code: str, qnet: QuantizedNetwork, job: Job, limits: Budget) -> list[Point]:
    if code_digest() != code:
        raise OtherCode
    return measure(qnet, job, limits)


# ---- here --------------------------------------------------------------------------------------


def _dask() -> Any:
    """dask.distributed: an optional dependency."""
    try:
        dask = importlib.import_module("distributed")
    except ImportError:
        raise UserError("--dask needs dask.distributed, which is not installed: "
                        'pip install "gatefold[dask]"') from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # we report it in one line
    return dask


def _connected(dask: Any, address: str) -> Any:
    try:
        client = dask.Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError, RuntimeError) as error:  # asyncio's timeout is an OSError
        reason = type(error).__name__
        raise UserError(f"no Dask scheduler answers at {address} ({reason}): start one with "
                        "`dask scheduler`, or leave --dask out") from None
    try:
        client.wait_for_workers(1, timeout=TIMEOUT)
    except OSError:
        client.close()
        raise UserError(f"the Dask scheduler at {address} has no worker: start some with "
                        f"`dask worker {address}`, or leave --dask out") from None
    return client


def _some(dask: Any, client: Any, waiting: Mapping) -> set:
    """At least one finished future; raises :class:`UserError` where no worker is left for long."""
    last_seen = time.monotonic()
    while True:
        try:
            with client.as_current():
                return dask.wait(list(waiting), timeout=5, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            pass
        except dask.client.FuturesCancelledError:
            raise UserError(_GONE) from None
        if client.status == "running" and client.scheduler_info(n_workers=-1)["workers"]:
            last_seen = time.monotonic()
        elif client.status != "running" or time.monotonic() - last_seen > PATIENCE:
            raise UserError(_GONE)


_GONE = ("the Dask cluster has gone: run the same again when it is back, finished points are kept")


def _result(dask: Any, future: Any) -> list[Point]:
    try:
        return future.result()
    except OtherCode:
        raise UserError("a Dask worker has another version of Gatefold than this machine: install "
                        "the same on all") from None
    except ImportError as error:
        raise UserError(f"a Dask worker cannot load Gatefold ({quoted(error)}): install it there"
                        ) from None
    except (dask.CancelledError, dask.comm.CommClosedError):
        raise UserError(_GONE) from None
    except dask.scheduler.KilledWorker:
        raise UserError("the Dask workers die while they plan a point, perhaps for lack of memory: "
                        "give them more, or run with fewer threads a worker") from None
