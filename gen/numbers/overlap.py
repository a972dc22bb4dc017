"""The integers of windows that overlap: those of whole windows, layer by layer."""

from __future__ import annotations

from dataclasses import replace

from gatefold.gen.network.graph import Network
from gatefold.gen.network.overlap import of_frames, wired
from gatefold.gen.numbers.quantize import SATURATED
from gatefold.gen.numbers.quantized import QuantizedNetwork, QView

__all__ = ["overlapping_integers"]


def overlapping_integers(qnet: QuantizedNetwork, network: Network, hop: int) -> QuantizedNetwork:
    """What :func:`~gatefold.gen.network.overlap.overlapping` makes of ``network``, of its integers
    ``qnet``: every layer has the numbers that it has there. Raises :class:`UserError` as that."""
    assert not qnet.input_carries, "each window would begin with other remainders"
    layers, outputs = wired(network, hop)
    frames = of_frames(network, hop, layers, outputs)
    made = tuple(
        replace(qnet.layers[layer.n], name=name, inputs=layer.inputs) if layer.view is None else
        QView(name=name, inputs=layer.inputs, view=layer.view)
        for name, layer in zip(frames.names, layers, strict=True))
    names = {qnet.layers[layer.n].name: name
             for name, layer in zip(frames.names, layers, strict=True) if layer.view is None}
    return replace(qnet, input_shapes=frames.input_shapes, layers=made, outputs=outputs,
                   window=frames.window, calibration={
                       key: {names.get(one, one): value for one, value in record.items()}
                       if key in ("peaks", SATURATED) else record
                       for key, record in qnet.calibration.items()})
