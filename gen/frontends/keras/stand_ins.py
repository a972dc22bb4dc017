"""What takes the place of the value of a layer that was refused, so that the layers that read it
can be examined all the same."""

from __future__ import annotations

from collections.abc import Sequence

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.keras.call import Tensor
from gatefold.gen.frontends.keras.settings import Settings
from gatefold.gen.frontends.limits import check_dim
from gatefold.gen.frontends.refusals import StandIn
from gatefold.gen.network.graph import Shape

__all__ = ["UNKNOWN", "stand_in"]

#: The number of a value that was not made: its shape is not known.
UNKNOWN = -1

#: Classes whose value has the shape of their first input.
_KEEPS = {"Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax",
          "LayerNormalization", "UnitNormalization", "GroupNormalization", "Normalization",
          "BatchNormalization", "Rescaling", "Masking", "MultiHeadAttention", "Dropout",
          "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "Add", "Subtract", "Multiply",
          "Average", "Maximum", "Minimum", "ActivityRegularization"}


def stand_in(builder: Builder, settings: Settings, args: Sequence[Tensor], lead: int) -> list[int]:
    """The value of a refused layer that is called with ``args``, or :data:`UNKNOWN`."""
    try:
        shape = builder.shapes[args[0].value]
        inner = _shape(settings, shape[lead:])
        if inner is None:
            return [UNKNOWN]
        return [builder.add(StandIn(inputs=(args[0].value,), origin=settings.origin,
                                    shape=(*shape[:lead], *inner)))]
    except (UserError, IndexError):
        return [UNKNOWN]


def _shape(settings: Settings, shape: Shape) -> Shape | None:
    """The shape of the layer's value where it is certain; UserError for sizes out of range."""
    kind = settings.class_name
    if settings.custom:
        return None
    if kind in _KEEPS:
        return shape
    if kind == "Embedding":
        return (*shape, settings.dim("output_dim"))
    if kind == "Dense":
        return (*shape[:-1], settings.dim("units"))
    if kind in ("LSTM", "GRU", "SimpleRNN") and len(shape) == 2 and (
            settings.take("return_state", False) is False):
        units = check_dim(settings.where, "units", settings.take("units"))
        every = settings.take("return_sequences", False)
        return (shape[0], units) if every is True else (units,)
    return None
