"""A region of the array: neighbouring rows with their memories, and the registers that drive them.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.arith import delay
from gatefold.hdl.config import EngineConfig, bits_for
from gatefold.hdl.guard import with_parity
from gatefold.hdl.interfaces import chunk_layout, region_controls, region_load
from gatefold.hdl.mac_pair import MacPair
from gatefold.hdl.mac_row import MacRow
from gatefold.hdl.relay import relayed
from gatefold.hdl.target import Rom, shared
from gatefold.hdl.weight_memory import WeightMemory

__all__ = ["Region"]


class Region(wiring.Component):
    """The rows ``config.regions[number]``.

    What all rows of the array read, each region takes into relays of its own, so that no register
    drives more rows than these. Everything takes a cycle for it. Where ``reach`` is 0 the weight
    address has none to spare, and the relays are copies of the register that it would come from.

    Members
    -------
    operands: In, ``simd`` elements. controls: In, what the rows do with them.
    weight: In, address in the weight memories, three cycles before the operands that its word
        meets.
    load: In, of a loadable core, write of the memories.
    acc: Out, the accumulators of the rows.
    fault: Out, of a core that watches itself: a word of weights or biases that was used has the
        wrong parity.
    """

    def __init__(self, config: EngineConfig, number: int, images: dict):
        self.config, self.number, self.images = config, number, images
        self.rows = config.regions[number]
        super().__init__({
            "operands": In(chunk_layout(config)),
            "controls": In(region_controls(config)),
            "weight": In(bits_for(config.weight_depth)),
            "acc": Out(signed(config.acc_width)).array(len(self.rows)),
            **({"load": In(region_load(config, len(self.rows)))} if config.loadable else {}),
            **({"fault": Out(1)} if config.protect else {}),
        })

    def elaborate(self, platform):
        c = self.config
        m = Module()
        operands = relayed(m, platform, "operands", self.operands)
        controls = relayed(m, platform, "controls", self.controls)
        weight = relayed(m, platform, "weight", self.weight)
        load = relayed(m, platform, "load", self.load) if c.loadable else None

        bias = self._memory(f"bias_{self.number:02d}", len(self.rows) * c.acc_width, c.bias_depth,
                            "distributed")
        m.submodules.bias = bias.placed(platform)
        m.d.comb += bias.addr.eq(controls.bias)
        if load is not None:
            m.d.comb += [bias.w_en.eq(load.bias), bias.w_addr.eq(load.addr),
                         bias.w_data.eq(self._stored(load.bias_word))]

        wrong = []  # weight words, a cycle behind
        words = []
        for n, row in enumerate(self.rows):
            memory = self._memory(f"weights_{row:03d}", c.simd * c.weight_width, c.weight_depth,
                                  c.weight_style(row))
            at = row % c.rows  # on its die
            m.submodules[f"weights_{at}"] = memory.placed(platform)
            # A word comes beside the operands. It waits for them in the output register of its
            # block; in front of LUTs its address waits, which has fewer bits. It does so in each
            # row, because it drives a LUT or more for every bit of the word.
            late = c.weight_style(row) == "distributed"
            address = relayed(m, platform, f"late_weight_{at}", weight) if late else weight
            word = delay(m, f"weight_word_{at}", memory.data, 0 if late else 1)[-1]
            words.append(word[:c.simd * c.weight_width])
            m.d.comb += memory.addr.eq(address)
            if load is not None:
                m.d.comb += [memory.w_en.eq(load.rows[n]), memory.w_addr.eq(load.addr),
                             memory.w_data.eq(self._stored(load.word))]
            if c.protect:
                wrong += delay(m, f"wrong_{at}", word.xor(), 1)[1:]
        row = MacPair if c.packed else MacRow
        for n in range(0, len(self.rows), row.rows):
            self._place(m, platform, row(c), n, words, operands, controls, bias.data)
        if c.protect:
            # Weights are used where the sums that they were multiplied for are accumulated, a bias
            # where a sum starts from it.
            late = delay(m, "wrong", Cat(wrong).any(), MacRow.latency(c) - 1)[-1]
            from_bias = ~controls.go_on
            if c.park_depth:
                from_bias &= ~delay(m, "from_parked", controls.init_parked, 1)[-1]
            wrong_bias = delay(m, "wrong_bias", bias.data.xor(), 1)[-1]
            m.d.sync += self.fault.eq(controls.valid & (late | (from_bias & wrong_bias)))
        return m

    def _place(self, m: Module, platform, mac: MacRow, first: int, words: list[Value], operands,
               controls, bias: Value):
        """Connect the row or the rows of ``mac``, the region's from ``first`` on."""
        c = self.config
        m.submodules[f"row_{self.rows[first] % c.rows}"] = shared(mac.module, mac, platform)
        for n, (weights, start, acc) in enumerate(mac.ends, first):
            m.d.comb += [
                weights.as_value().eq(words[n]),
                start.eq(bias[n * c.acc_width:(n + 1) * c.acc_width].as_signed()),
                self.acc[n].eq(acc),
            ]
        m.d.comb += [
            mac.operands.eq(operands),
            mac.valid.eq(controls.valid),
            mac.go_on.eq(controls.go_on),
            mac.align.eq(controls.align),
        ]
        if c.park_depth:
            m.d.comb += [mac.init_parked.eq(controls.init_parked), mac.init.eq(controls.init),
                         mac.parks.eq(controls.parks), mac.park.eq(controls.park)]

    def _stored(self, word: Value) -> Value:
        """A loaded word as its memory holds it."""
        return with_parity(word) if self.config.protect else word

    def _memory(self, name: str, width: int, depth: int, style: str) -> Rom | WeightMemory:
        """A memory of the region: written by the loader, or filled from a file."""
        width += self.config.protect
        if self.config.loadable:
            return WeightMemory(width=width, depth=depth, style=style)
        return Rom(width=width, depth=depth, file=f"{name}.hex", init=self.images.get(name),
                   in_luts=True if style == "distributed" and not name.startswith("bias") else None)
