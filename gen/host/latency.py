"""What an answer takes from a program's call to its results, term by term, each with its source.

Three paths: a frame through the windows in the registers; a descriptor whose end the program polls;
a descriptor whose end the program waits for. docs/latency.md explains the terms; report.json, the
page and that document have them from here.
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
#: Instructions of the driver on aarch64 for a call, and for each float in and out: what
#: tools/host/latency.py counts, to 11 %. And nanoseconds of each.
_CALL, _IN, _OUT, _INSTRUCTION_NS = 580, 16, 6, 1.0


def latency_budget(cycles: HostCycles, clock_mhz: float) -> dict[str, list[dict]]:
    """By path, the terms of one frame: ``what``; ``us``; ``label``, planned, counted or quoted;
    ``known``, how it is known, and what is assumed."""
    core, sizes = cycles.plan.cycles.latency, cycles.host.constants
    words = (sizes["IN_BYTES"] + sizes["OUT_BYTES"]) // _WORD
    instructions = _CALL + _IN * sizes["IN_ELEMENTS"] + _OUT * sizes["OUT_ELEMENTS"]
    at_core = _term("core", core / clock_mhz, "planned", f"{core:,} cycles, constant")
    memory = _term("memory", 2 * MEMORY_CYCLES / clock_mhz, "planned",
                   f"a read and a write; {MEMORY_CYCLES} cycles each are assumed")
    driver = _term("driver", instructions * _INSTRUCTION_NS / 1000, "counted",
                   f"about {instructions:,} instructions; {_INSTRUCTION_NS:g} ns each is assumed")

    def around(total: int) -> dict:
        return _term("registers and master", (total - core) / clock_mhz, "planned",
                     f"{total - core} cycles where memory answers at once")

    def accesses(count: int) -> dict:
        return _term("register accesses", count * _ACCESS_NS / 1000, "counted",
                     f"{count}; {_ACCESS_NS} ns each are assumed")

    interrupt = _term("interrupt through UIO", _UIO_US, "quoted",
                      "harmoninstruments.com, posts/uio, Zynq-7000")
    memory_path = [at_core, around(cycles.frames(1)), memory]
    paths = {
        "descriptor, polled": [*memory_path, accesses(_DESCRIPTOR), driver],
        "descriptor, interrupt": [*memory_path, accesses(_DESCRIPTOR + _INTERRUPT), interrupt,
                                  driver],
    }
    if cycles.host.window:
        paths = {"register window": [at_core, around(cycles.window), accesses(_WINDOW + words),
                                     driver]} | paths
    return paths


def _term(what: str, us: float, label: str, known: str) -> dict:
    return {"what": what, "us": round(us, 3), "label": label, "known": known}
