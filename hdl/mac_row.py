"""One row of the array: ``simd`` multipliers, an adder tree, the accumulator, parked sums."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import by_kind, delay, tree_levels, tree_sum
from gatefold.hdl.config import EngineConfig, bits_for

__all__ = ["MacRow", "first_sums"]


def first_sums(config: EngineConfig) -> list[int]:
    """How many products each sum of the tree's first level adds: two, but three where the row would
    otherwise take a cycle more, unless ``config.cascade``. One, where no level is needed."""
    simd = config.simd
    sums = -(-simd // 2)
    if config.pair == 2 and not config.cascade:
        levels = tree_levels(simd)
        sums = min(sums, 2 * 3 ** (levels - 1)) if levels else simd
    return [(simd + n) // sums for n in range(sums)]


class MacRow(wiring.Component):
    """acc = start + ((sum over k of operands[k] * weights[k]) << align).

    ::

        operands, weights -> A/B reg -> M reg -> P reg -> tree (a register a level) -> acc
             0                 1          2        3         3 + levels = latency      + 1

    The tree adds by threes, and stops at two terms: the accumulator's own addition takes them. Its
    first level adds by twos where it can (:func:`first_sums`), since two DSP slices in cascade add
    their products without logic. The second slice waits for the first in a second A/B register::

        operands, weights -> A/B reg ------------> M reg -> P reg
                                                              |
        operands, weights -> A/B reg -> A/B reg -> M reg ---- + -> P reg: a sum of two products

    A short pipeline has no M register, and no register between the two slices. Its tree has a
    register every second level, the accumulator's addition counting as one more.

    One tile a cycle. Cycles are counted from the operands. The controls come beside their data:
    ``init_parked`` and ``init`` one cycle before the tree's sums, ``valid``, ``go_on`` and
    ``align`` with them, ``park`` and ``parks`` with the accumulator.

    Members
    -------
    operands, weights: In, ``simd`` signed elements.
    bias: In, the bias word of this row, with ``init``.
    init_parked, init: In, start from the parked sum at ``init`` instead of the bias.
    valid, go_on, align: In, accumulate; onto itself; shifted left by ``config.aligns[align]``.
    parks, park: In, keep the accumulator at ``park``.
    acc: Out, ``acc_width`` signed bits.
    """

    #: The module in Verilog, and how many rows of the array it holds.
    module, rows = "gatefold_row", 1

    def __init__(self, config: EngineConfig):
        self.config = self.key = config
        c = config

        def of_rows(member):
            """What each row has: several are an array."""
            return member if self.rows == 1 else member.array(self.rows)

        super().__init__({
            "operands": In(data.ArrayLayout(signed(c.act_width), c.simd)),
            "weights": of_rows(In(data.ArrayLayout(signed(c.weight_width), c.simd))),
            "bias": of_rows(In(signed(c.acc_width))),
            "init_parked": In(1),
            "init": In(bits_for(c.park_depth)),
            "valid": In(1),
            "go_on": In(1),
            "align": In(bits_for(len(c.aligns))),
            "parks": In(1),
            "park": In(bits_for(c.park_depth)),
            "acc": of_rows(Out(signed(c.acc_width))),
        })

    @staticmethod
    def stages(config: EngineConfig) -> tuple[tuple[str, int], ...]:
        """The stages in their order, each with its number of cycles."""
        sums = first_sums(config)
        levels = tree_levels(len(sums))
        tree = levels + (len(sums) < config.simd) if config.pair == 2 else levels // 2
        return ("multipliers", 1 + config.pair), ("adder tree", tree)

    @classmethod
    def latency(cls, config: EngineConfig) -> int:
        """Cycles from operands to the tree's sums."""
        return sum(cycles for _, cycles in cls.stages(config))

    @property
    def ends(self) -> list[tuple]:
        """The weights, the bias and the accumulator of each of its rows."""
        return [(self.weights, self.bias, self.acc)]

    def elaborate(self, platform):
        c = self.config
        m = Module()
        columns = iter(range(c.simd))
        groups = [[next(columns) for _ in range(size)] for size in first_sums(c)]
        late = c.pair == 2 and len(groups) < c.simd
        # For each of the first sums, what it is of each row.
        parts = [self._first_sum(m, group, late) for group in groups]
        for n, (_, bias, acc) in enumerate(self.ends):
            name = f"_{n}" if self.rows > 1 else ""
            sums = tree_sum(m, f"sum{name}", [part[n] for part in parts],
                            leaves=[len(group) for group in groups], step=2 // c.pair)
            m.d.comb += acc.eq(self._accumulated(m, name, sums, bias))
        return m

    def _accumulated(self, m: Module, name: str, sums: list[Value], bias: Value) -> Signal:
        """The accumulator of a row; ``sums``: the terms that its tree leaves."""
        c = self.config
        # The start value, fetched while the tree finishes.
        start = Signal(signed(c.acc_width), name=f"start{name}", reset_less=True)
        acc = Signal(signed(c.acc_width), name=f"acc{name}", reset_less=True)
        m.d.sync += start.eq(bias)
        if c.park_depth:
            m.submodules[f"parked{name}"] = parked = Memory(
                shape=signed(c.acc_width), depth=max(2, c.park_depth), init=[])
            read = parked.read_port(domain="comb")
            write = parked.write_port()
            m.d.comb += [read.addr.eq(self.init), write.addr.eq(self.park),
                         write.en.eq(self.parks), write.data.eq(acc)]
            with m.If(self.init_parked):
                m.d.sync += start.eq(read.data)

        total = Mux(self.go_on, acc, start)
        for k, part in enumerate(sums):
            total = total + by_kind(m, f"aligned{name}_{k}", self.align,
                                    {n: part << shift for n, shift in enumerate(c.aligns)},
                                    signed(c.acc_width))
        with m.If(self.valid):
            m.d.sync += acc.eq(total)
        return acc

    def _first_sum(self, m: Module, columns: list[int], late: bool) -> list[Value]:
        """The products of one to three columns, added, of each row. ``late``: the array has sums of
        several products, for which a single product waits."""
        if len(columns) < 3:
            # In a short pipeline the first of two slices has no P register.
            others = [self._slice(m, k, p=self.config.between) for k in columns[:-1]]
            return self._split(self._slice(m, columns[-1], *others, late=late), len(columns))
        found = []
        products = [self._split(self._slice(m, k), 1) for k in columns]
        for n, (first, second, third) in enumerate(zip(*products, strict=True)):
            name = f"sum_{n}_0_{columns[0]}" if self.rows > 1 else f"sum_0_{columns[0]}"
            total = Signal(signed(len(first) + 2), name=name, reset_less=True)
            m.d.sync += total.eq(first + second + third)
            found.append(total)
        return found

    def _slice(self, m: Module, k: int, *others: Value, late: bool = False,
               p: str = "sync") -> Signal:
        """A DSP slice with its registers A/B (``late``: two of each), M and P: the product of
        column ``k`` and the P of another slice, if there is one."""
        c = self.config
        a = delay(m, f"a_{k}", self.operands[k], 1 + late)[-1]
        b = delay(m, f"b_{k}", self._factor(k), 1 + late)[-1]
        product = Signal(signed(len(a) + len(b)), name=f"m_{k}", reset_less=True)
        total = Signal(signed(len(product) + len(others)), name=f"p_{k}", reset_less=True)
        m.d[c.between] += product.eq(a * b)
        m.d[p] += total.eq(sum(others or self._offset, product))
        return total

    #: What the first of the slices of a sum adds to its product.
    _offset: tuple[int, ...] = ()

    def _factor(self, k: int) -> Value:
        """What a slice multiplies the operand of column ``k`` by."""
        return self.weights[k]

    def _split(self, total: Value, products: int) -> list[Value]:
        """What the sum of so many slices is of each row."""
        return [total]
