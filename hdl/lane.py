"""The base classes of the finishing lanes: kinds and stages, and the state memory of some."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.activation import activation_latency
from gatefold.hdl.arith import by_parameter, delay, floor_shift, is_one_of, saturate, unscaled
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.interfaces import scale_layout
from gatefold.hdl.kinds import ASIDE, Kind, LoadKind

__all__ = ["Lane", "StateLane"]


class Lane(wiring.Component):
    """Accumulators in, an element out, :meth:`latency` cycles later; one a cycle (II = 1).

    Members
    -------
    kind: In, index into ``config.kinds``. scales: In, where ``scaled`` in a core with row scales,
    those of the element's rows. y: Out, ``result_width`` bits in cycle
    :meth:`latency`; all but a Dense lane use ``act_width`` of them.
    """

    scaled = False  #: Whether it finishes rows that may have scales.

    def __init__(self, config: EngineConfig, images: dict | None = None):
        self.config = self.key = config
        self.images = images
        super().__init__({"kind": In(bits_for(len(config.kinds))),
                          "y": Out(signed(config.result_width)),
                          **({"scales": In(scale_layout(config).elem_shape)}
                             if self.scaled and config.scale_depth else {}),
                          **self.members(config)})

    @staticmethod
    def members(config: EngineConfig) -> dict:
        """Its ports beside ``kind`` and ``y``."""
        raise NotImplementedError

    def total(self, z: Value, row: int = 0) -> Value:
        """``z``, the sum of the element's ``row``, rounded by its scale."""
        return unscaled(z, self.scales[row]) if self.config.scale_depth else z

    @staticmethod
    def takes(kind: Kind) -> bool:
        """Whether this lane finishes such a kind."""
        raise NotImplementedError

    @staticmethod
    def updates(kind: Kind) -> bool:
        """Whether such a kind writes a memory of this lane: its state, or what it sets aside."""
        return False

    @staticmethod
    def stages(config: EngineConfig) -> tuple[tuple[str, int], ...]:
        """The stages in their order, each with its number of cycles."""
        raise NotImplementedError

    @classmethod
    def latency(cls, config: EngineConfig) -> int:
        """Cycles from the accumulators to the element."""
        return sum(cycles for _, cycles in cls.stages(config))

    @classmethod
    def ends(cls, config: EngineConfig) -> dict[str, int]:
        """The cycle in which each stage's result is a register."""
        at, ends = 0, {}
        for name, cycles in cls.stages(config):
            ends[name] = at = at + cycles
        return ends

    @classmethod
    def kinds(cls, config: EngineConfig) -> dict[int, Kind]:
        """The kinds that this lane finishes, by their index."""
        return {n: kind for n, kind in enumerate(config.kinds) if cls.takes(kind)}


class StateLane(Lane):
    """A lane that keeps a state (c of an LSTM, s of a GRU) for each unit that it finishes.

    Members
    -------
    z: In, accumulators of the four rows.
    writes: In, the unit in the lane gets a new state, or something of it is set aside.
    cell_addr: In, its word of the memories.
    fresh: In, the old state counts as zero.
    c: Out, the new state, in the cycle of ``y``.
    """

    SUM: str  #: The stage that ends with the new state's sum; it is written a cycle later.

    @staticmethod
    def members(config):
        return {
            "z": In(signed(config.acc_width)).array(4),
            "writes": In(1),
            "cell_addr": In(bits_for(config.cell_depth)),
            "fresh": In(1),
            "c": Out(signed(config.cell_width)),
        }

    @classmethod
    def state_latency(cls, config: EngineConfig) -> int:
        """From a beat that writes a state to the first that may read it, in cycles."""
        return cls.written(config) - cls.read(config) + 1

    @classmethod
    def read(cls, config: EngineConfig) -> int:
        """Cycle in which the old state is read, to be a register beside the gates."""
        return activation_latency(config) - 1

    @classmethod
    def written(cls, config: EngineConfig) -> int:
        """Cycle in which the new state is a register, and is written."""
        return cls.ends(config)[cls.SUM] + 1

    def state(self, m: Module, new: Value) -> Value:
        """The old state in cycle :meth:`read`; writes ``new`` in cycle :meth:`written`."""
        c = self.config
        read_at, new_at = self.read(c), self.written(c)
        m.submodules.states = states = Memory(shape=signed(c.cell_width),
                                              depth=max(2, c.cell_depth), init=[])
        read = states.read_port(domain="comb")
        write = states.write_port()
        addr = delay(m, "cell_addr", self.cell_addr, new_at)
        m.d.comb += [
            read.addr.eq(addr[read_at]),
            write.addr.eq(addr[new_at]),
            write.data.eq(new),
            write.en.eq(delay(m, "writes", self.writes & ~is_one_of(self.kind, (
                n for n, kind in self.kinds(c).items() if isinstance(kind, ASIDE))), new_at)[-1]),
        ]
        fresh = delay(m, "fresh", self.fresh, read_at)[-1]
        return Mux(fresh, 0, read.data).as_signed()

    def put(self, m: Module, new: Signal, kind: Value, total: Value,
            ways: dict[int, tuple[int, int]]):
        """Compute ``new`` from its sum ``total``, which comes a cycle before it. ``ways``: for each
        kind, how far the sum is shifted right and to how many bits it saturates. A kind that loads
        the state takes it from row 0 instead."""
        width = self.config.cell_width
        loads = {n: (k.shift, k.cell_width) for n, k in self.kinds(self.config).items()
                 if isinstance(k, LoadKind)}

        def fitted(value: Value):
            return lambda way: saturate(floor_shift(value, way[0]), way[1])

        m.d.sync += new.eq(by_parameter(m, "new_now", kind, ways, fitted(total), signed(width)))
        if loads:
            load = Signal(signed(width), reset_less=True)
            m.d.sync += load.eq(by_parameter(m, "load_now", self.kind, loads, fitted(self.z[0]),
                                             signed(width)))
            load_late = delay(m, "load", load, self.written(self.config) - 2)[-1]
            with m.Switch(kind), m.Case(*loads):
                m.d.sync += new.eq(load_late)
