"""Open synthesis of a core: the resources of each component by Yosys. Estimates are elsewhere, in
:mod:`gatefold.gen.plan.resources`; no build needs this room."""

from gatefold.gen.synth.components import Measured, measure
from gatefold.gen.synth.netlist import need_yosys

__all__ = ["Measured", "measure", "need_yosys"]
