"""One array for one width: planned, estimated, and held against the device."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from ...hdl.target import SHALLOW
from ..errors import UserError
from ..flow import MAX_TILES, Budget
from ..plan import Plan, make_plan
from ..plan.resources import estimate
from ..plan.sizing import fit, lut_rows
from ..quantized import QuantizedNetwork

__all__ = ["ENERGY", "Job", "Point", "energy_proxy", "measure"]

#: What :func:`energy_proxy` computes, for the pages.
ENERGY = ("tiles x multipliers x act_width x weight_width / 50 + bits read from the weight and "
          "operand memories (tiles x simd x (pe x weight_width + act_width)); the unit is one "
          "memory bit read. 50: a 32-bit integer product costs 3.1 pJ, that is 0.003 pJ a bit x "
          "bit; a bit read from a small SRAM 0.16 pJ (45 nm, Horowitz, ISSCC 2014). A proxy to "
          "rank cores of one network by, no prediction: lanes, clock tree, leakage and wires are "
          "left out")
_PRODUCT = 50  # bit x bit of a product that cost as much as a memory bit read


@dataclass(frozen=True, order=True)
class Job:
    """What a worker plans in one go: an array of ``pe`` x ``simd`` for ``width`` bits."""

    width: int
    pe: int
    simd: int

    @property
    def multipliers(self) -> int:
        """Multipliers of the array."""
        return self.pe * self.simd


@dataclass(frozen=True, kw_only=True)
class Point:
    """A core that could be built, or why it could not: integers and halves only, no float error.

    Attributes: ``width`` of weights and activations; ``pe``, ``simd``; ``memory`` of the weights,
    ``bram``, ``bram+lut`` or ``lut``, and ``lut_rows``, the rows whose weights are in LUTs;
    ``fits``, or the ``reason`` why not; cycles as :class:`~gatefold.gen.plan.Cycles`;
    ``multiplications`` that must be done; estimated resources; ``energy``, see :data:`ENERGY`.
    What was never planned has 0 cycles and resources.
    """

    width: int
    pe: int
    simd: int
    memory: str
    fits: bool
    reason: str | None
    lut_rows: int = 0
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
        """What tells it from the others, and orders them where nothing else does."""
        return self.width, self.pe, self.simd, self.memory

    def as_dict(self) -> dict:
        """For JSON."""
        return asdict(self)


def measure(qnet: QuantizedNetwork, job: Job, limits: Budget) -> list[Point]:
    """Plan ``job`` and place its weights in every way that differs: one point each.

    All in block RAM first; where that is too little, as many rows in LUTs as it takes. A point that
    does not fit says why. Integers only: every machine finds the same.
    """
    array = {"width": job.width, "pe": job.pe, "simd": job.simd}
    tiles = qnet_macs(qnet) // job.multipliers
    if tiles > MAX_TILES:
        return [Point(**array, memory="bram", fits=False,
                      reason=f"{tiles} tiles are more than the longest schedule, {MAX_TILES}")]
    try:
        plan = make_plan(qnet, pe=job.pe, simd=job.simd, stream_bits=limits.stream_bits)
    except UserError as error:
        return [Point(**array, memory="bram", fits=False, reason=str(error))]
    placed = fit(plan, bram36=limits.bram36, dsp=limits.dsp, lut=limits.lut)
    if plan.config.weight_depth <= SHALLOW:
        return [_point(array, "lut", plan, 0, limits, placed is not None)]
    rows = lut_rows(plan, bram36=limits.bram36)
    points = [_point(array, "bram", plan, 0, limits, rows == 0 and placed is not None)]
    if rows:
        points.append(_point(array, "bram+lut", plan, rows, limits, placed is not None))
    return points


def qnet_macs(qnet: QuantizedNetwork) -> int:
    """Multiplications of one inference, nothing skipped."""
    total = 0
    for layer, shape in zip(qnet.layers, qnet.shapes, strict=False):
        steps = shape[0] if len(shape) == 2 else 1
        total += steps * sum(getattr(layer, name).size for name in ("w_ih", "w_hh", "w")
                             if hasattr(layer, name))
    return total


def energy_proxy(plan: Plan) -> int:
    """:data:`ENERGY` of an inference, rounded to a whole memory bit."""
    config, tiles = plan.config, plan.cycles.tiles
    products = tiles * config.pe * config.simd * config.act_width * config.weight_width
    bits = tiles * config.simd * (config.pe * config.weight_width + config.act_width)
    return (products + _PRODUCT * bits + _PRODUCT // 2) // _PRODUCT


def _point(array: dict, memory: str, plan: Plan, rows: int, limits: Budget, fits: bool) -> Point:
    needs, cycles = estimate(replace(plan.config, lut_rows=rows)), plan.cycles
    return Point(
        **array, memory=memory, fits=fits, lut_rows=rows,
        reason=None if fits else _lack(needs, limits),
        latency=cycles.latency, interval=cycles.interval, tiles=cycles.tiles, bound=cycles.bound,
        no_overlap=cycles.no_overlap, multiplications=plan.bounds.multiplications,
        lut=needs.lut, ff=needs.ff, dsp=needs.dsp, bram36=needs.bram36, uram=needs.uram,
        energy=energy_proxy(plan))


def _lack(needs, limits: Budget) -> str:
    """Why an array does not fit."""
    lacking = [f"{getattr(needs, key):g} of {getattr(limits, key):g} {name}"
               for key, name in (("dsp", "DSPs"), ("bram36", "block RAMs"))
               if getattr(needs, key) > getattr(limits, key)]
    if not lacking:
        lacking = [f"{needs.lut} of {limits.lut} LUTs, which leaves routing no air"]
    return "takes " + " and ".join(lacking)
