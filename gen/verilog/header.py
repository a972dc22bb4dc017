"""The comment at the head of the top module's file: what this core is, and how to use it."""

from __future__ import annotations

from amaranth.lib.wiring import In

from gatefold.gen.plan import Plan
from gatefold.hdl.core import Top

__all__ = ["core_header"]


def core_header(plan: Plan) -> str:
    """Network, array, numbers, streams, cycles, ports and an instance of the core. Nothing in it
    comes from a model's names."""
    return "\n".join([
        "A neural network as a core with AXI4-Stream ports.", "",
        *_facts(plan), "", *_ports(plan), "", *_instance(plan)])


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _facts(plan: Plan) -> list[str]:
    c, q = plan.config, plan.qnet
    inputs, outputs = ([f"{_shape(shape)} in {form}" for shape, form in zip(shapes, forms,
                                                                           strict=True)]
                       for shapes, forms in zip((q.input_shapes, q.output_shapes), q.ends,
                                                strict=True))
    width = max(len(layer.name) for layer in q.layers)
    layers = [f"{layer.name:<{width}}  " + " and ".join(map(_shape, q.shapes_into(n)))
              + f" -> {_shape(q.shapes[q.value(n)])}" for n, layer in enumerate(q.layers)]
    frame = "a frame" if c.contexts == 1 else f"a frame of {c.contexts} sequences"
    weights = ("loaded at run time, s_load" if c.loadable
               else "memory images in ../weights, or in the folder `GATEFOLD_WEIGHTS")
    facts = {
        "Input": inputs, "Layers": layers, "Output": outputs,
        "Array": [f"{c.pe} x {c.simd} = {c.pe * c.simd} multipliers"
                  + (", two in a DSP slice" if c.packed else "")
                  + (f", {c.lanes} lanes" if c.parts > 1 else "") + f", {c.pipeline} pipeline"
                  + (f", on {c.dies} dies" if c.dies > 1 else "")],
        "Bits": [f"activations {c.act_width}, weights {c.weight_width}, cell state "
                 f"{c.cell_width}, accumulators {c.acc_width}"
                 + (f", outputs {c.out_width}" if c.out_width > c.act_width else "")],
        "Stream": [f"{c.beat} elements a beat, each sign-extended to {c.container} bits, the first "
                   "lowest;", f"beats of {frame}: {c.x_beats} in, {c.out_beats} out"],
        "Latency": [f"{plan.cycles.latency} cycles, first input beat to last output beat"],
        "Interval": [f"{plan.cycles.interval} cycles between frames at full rate"],
        "Weights": [weights],
    }
    if c.stateful:
        facts["State"] = ["goes on from frame to frame, see s_axis_tuser"]
    return [f"{title if not n else '':<10}{line}" for title, lines in facts.items()
            for n, line in enumerate(lines)]


def _ports(plan: Plan) -> list[str]:
    rows = [("clk", "in", 1, "clock, rising edge"),
            ("rst", "in", 1, "reset, synchronous, active high")]
    rows += [(port.name, "in" if port.flow is In else "out", port.width, port.meaning)
             for port in Top.ports(plan.config)]
    return [f"{'Port':<14} {'':<3} {'Bits':>4}  Meaning",
            *(f"{name:<14} {flow:<3} {width:>4}  {meaning}" for name, flow, width, meaning in rows)]


def _instance(plan: Plan) -> list[str]:
    names = ["clk", "rst", *(port.name for port in Top.ports(plan.config))]
    return ["Instance:", "", "    gatefold core (",
            ",\n".join(f"        .{name}({name})" for name in names), "    );"]
