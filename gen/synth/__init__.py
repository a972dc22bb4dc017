"""Open synthesis of a core: what Yosys finds that each component takes. Estimates are elsewhere, in
:mod:`gatefold.gen.plan.resources`; nothing here is needed to build a core."""

from gatefold.gen.synth.components import Measured, measure
from gatefold.gen.synth.netlist import need_yosys

__all__ = ["Measured", "measure", "need_yosys"]
