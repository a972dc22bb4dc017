"""One array for one width: planned, estimated, and compared with the device."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import Any

from gatefold.gen.errors import UserError
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.options import MEMORIES
from gatefold.gen.plan import Array, Budget, Plan, make_plan
from gatefold.gen.plan.drafts import made_to_fit
from gatefold.gen.plan.placing import fit
from gatefold.gen.plan.ranking import Ranking
from gatefold.gen.plan.resources import estimate
from gatefold.gen.plan.sizing import MAX_TILES
from gatefold.gen.plan.stream import with_streams
from gatefold.hdl.config import EngineConfig

__all__ = ["ENERGY", "Job", "Point", "energy_proxy", "measure"]

#: The formula of :func:`energy_proxy`, for the pages.
ENERGY = ("tiles x multipliers x act_width x weight_width / 50 + bits read from the weight and "
          "operand memories (tiles x simd x (pe x weight_width + act_width)), over a frame's "
          "sequences; the unit is one "
          "memory bit read. 50: a 32-bit integer product costs 3.1 pJ, that is 0.003 pJ a bit x "
          "bit; a bit read from a small SRAM 0.16 pJ (45 nm, Horowitz, ISSCC 2014). A proxy to "
          "rank cores of one network by, no prediction: lanes, clock tree, leakage and wires are "
          "left out")
_PRODUCT = 50  # a memory bit read costs as much as so many bit x bit of a product


@dataclass(frozen=True, order=True)
class Job:
    """What a worker plans in one go: an array for ``width`` bits; with ``synth`` it synthesises
    what fits as well."""

    width: int
    array: Array
    synth: bool = False


@dataclass(frozen=True, kw_only=True)
class Point:
    """A core that could be built, or the reason why not. Its numbers are integers and halves, so
    every machine finds the same.

    Attributes: ``width`` of weights and activations; ``pe``, ``simd``; ``contexts``, sequences in a
    frame; ``stream_bits``; ``memory`` of the weights, ``bram``, ``uram``, ``lut`` or several of
    them joined by ``+``, ``placing``, how they were placed (``--memory``), and ``lut_rows`` and
    ``uram_rows``, the rows whose weights are in LUTs and UltraRAM (which is loaded at run time);
    ``fits``, or the ``reason`` why not; cycles as :class:`~gatefold.gen.plan.Cycles`, and
    ``multiplications`` that must be done, of a frame; estimated resources; ``energy`` of a
    sequence, see :data:`ENERGY`; ``synthesised``, the same resources as Yosys finds them, where it
    was asked.
    A point that was not planned has 0 cycles and resources.
    """

    width: int
    pe: int
    simd: int
    contexts: int
    memory: str
    fits: bool
    reason: str | None
    placing: str = "auto"
    lut_rows: int = 0
    uram_rows: int = 0
    stream_bits: int = 128
    latency: int = 0
    interval: int = 0
    tiles: int = 0
    bound: int = 0
    no_overlap: int = 0
    multiplications: int = 0
    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram36: float = 0
    uram: int = 0
    energy: int = 0
    synthesised: dict[str, float] | None = None

    @property
    def multipliers(self) -> int:
        """Multipliers of the array."""
        return self.pe * self.simd

    @property
    def planned(self) -> bool:
        """Whether its cycles and resources are known."""
        return self.latency > 0

    @property
    def place(self) -> tuple:
        """Its identity, which also orders points that are equal otherwise."""
        return self.width, self.pe, self.simd, self.contexts, self.memory, self.placing

    def as_dict(self) -> dict:
        """For JSON."""
        return asdict(self)


def measure(qnet: QuantizedNetwork, job: Job, limits: Budget) -> list[Point]:
    """Plan ``job`` and place its weights in every way that differs: one point each.

    The ways are those of ``--memory``. If all weights in block RAM do not fit, that is a point too,
    with the reason.
    """
    array, limits = job.array, limits.on(job.array.dies)
    place: dict[str, Any] = {"width": job.width, "pe": array.pe, "simd": array.simd,
                             "contexts": array.contexts}
    tiles = Ranking(qnet, array.contexts).on(array.dies).tiles(array.pe, array.simd)
    if tiles > MAX_TILES:
        return [Point(**place, memory="bram", fits=False,
                      reason=f"about {tiles} tiles are more than the longest schedule, "
                             f"{MAX_TILES}")]
    # They differ in the words that blocks of convolutions may take, and in the streams.
    planned = cache(partial(make_plan, qnet))

    def with_bits(bits: int) -> Plan:
        plan = planned(made_to_fit(qnet, replace(array, stream_bits=bits), budget))
        if bits != array.stream_bits and fit(plan, budget) is None:
            raise UserError(f"it does not fit beside streams of {bits} bits")
        return plan

    first: Plan | None = None
    found: dict[tuple[int, int], Point] = {}
    for memory in MEMORIES:
        budget = replace(limits, memory=memory)
        try:
            plan, _ = with_streams(with_bits, array.stream_bits)
        except UserError as error:
            return [Point(**place, memory="bram", fits=False, reason=str(error))]
        first = first or plan
        placed = fit(plan, budget)
        if placed:
            where = placed.config.lut_rows, placed.config.uram_rows
            if where not in found:
                found[where] = _point(place, placed, limits, placing=memory, synth=job.synth)
    if (0, 0) not in found:
        assert first is not None
        found = {(0, 0): _point(place, first, limits, placing=None)} | found
    return list(found.values())


def energy_proxy(plan: Plan) -> int:
    """:data:`ENERGY` of a sequence, rounded down to a whole memory bit."""
    config, tiles = plan.config, plan.cycles.tiles
    products = tiles * config.pe * config.simd * config.act_width * config.weight_width
    bits = tiles * config.simd * (config.pe * config.weight_width + config.act_width)
    return (products + _PRODUCT * bits) // (_PRODUCT * config.contexts)


def _memory(config: EngineConfig) -> str:
    """The memories that hold weights."""
    styles = {config.weight_style(row) for row in range(config.pe)}
    return "+".join(name for name, style in (
        ("bram", "block"), ("uram", "ultra"), ("lut", "distributed")) if style in styles)


def _point(place: dict, plan: Plan, limits: Budget, *, placing: str | None,
           synth: bool = False) -> Point:
    config, cycles = plan.config, plan.cycles
    needs = estimate(config)
    synthesised = None
    if synth:
        from gatefold.gen.synth import measure as synthesise

        synthesised = asdict(synthesise(plan).total)
    return Point(
        **place, memory=_memory(config), placing=placing or "bram", fits=placing is not None,
        lut_rows=config.lut_rows, uram_rows=config.uram_rows, stream_bits=plan.array.stream_bits,
        reason=None if placing else _lack(needs, limits),
        latency=cycles.latency, interval=cycles.interval, tiles=cycles.tiles, bound=cycles.bound,
        no_overlap=cycles.no_overlap, multiplications=plan.bounds.multiplications,
        **asdict(needs), energy=energy_proxy(plan), synthesised=synthesised)


def _lack(needs, limits: Budget) -> str:
    """Why an array does not fit."""
    lacking = [f"{getattr(needs, key):g} of {getattr(limits, key):g} {name}"
               for key, name in (("dsp", "DSPs"), ("bram36", "block RAMs"))
               if getattr(needs, key) > getattr(limits, key)]
    if not lacking:
        lacking = [f"{needs.lut} of {limits.lut} LUTs, which leaves routing no air"]
    return "takes " + " and ".join(lacking)
