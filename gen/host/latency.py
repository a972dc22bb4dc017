"""What an answer takes from a program's call to its results, term by term, each with its source.

Three paths: a frame through the windows in the registers; a descriptor whose end the program polls;
a descriptor whose end the program waits for. docs/latency.md explains the terms.
"""

from __future__ import annotations

from gatefold.gen.host.cycles import HostCycles

__all__ = ["MEMORY_CYCLES", "latency_budget"]

#: Cycles after which memory answers, as the simulated device assumes it.
MEMORY_CYCLES = 30

_ACCESS_NS = 150  # of a register through M_AXI_HPM0_FPD
_UIO_US = 20.0  # of an interrupt that UIO hands to a program
#: Register accesses of the driver for a descriptor; through the windows the addresses are not
#: written, but a word of each frame is an access. And those that an interrupt adds.
_DESCRIPTOR, _WINDOW, _INTERRUPT = 10, 6, 3
_WORD = 4


def latency_budget(cycles: HostCycles, clock_mhz: float) -> dict[str, list[dict]]:
    """By path: terms with ``what``, ``us``, and ``known``, how it is known. One frame."""
    core, sizes = cycles.plan.cycles.latency, cycles.host.constants
    words = (sizes["IN_BYTES"] + sizes["OUT_BYTES"]) // _WORD
    at_core = _term("core", core / clock_mhz, "planned: the constant")
    memory = _term("memory", 2 * MEMORY_CYCLES / clock_mhz, f"planned: a read and a write, each "
                   f"answered after {MEMORY_CYCLES} cycles")

    def around(total: int) -> dict:
        return _term("registers and master", (total - core) / clock_mhz,
                     "planned: memory answers at once")

    def accesses(count: int) -> dict:
        return _term("register accesses", count * _ACCESS_NS / 1000,
                     f"counted: {count}; {_ACCESS_NS} ns each are assumed")

    paths = {
        "descriptor, polled": [at_core, around(cycles.frames(1)), memory, accesses(_DESCRIPTOR)],
        "descriptor, interrupt": [
            at_core, around(cycles.frames(1)), memory, accesses(_DESCRIPTOR + _INTERRUPT),
            _term("interrupt through UIO", _UIO_US, "quoted: harmoninstruments.com, Zynq-7000")],
    }
    if cycles.host.window:
        paths = {"register window": [at_core, around(cycles.window),
                                     accesses(_WINDOW + words)]} | paths
    return paths


def _term(what: str, us: float, known: str) -> dict:
    return {"what": what, "us": round(us, 3), "known": known}
