"""What the inputs of a Keras model declare, and whether their shapes are those that reach them."""

from __future__ import annotations

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.keras.classes import unsupported
from gatefold.gen.frontends.keras.settings import Settings, shown
from gatefold.gen.frontends.keras.stand_ins import UNKNOWN
from gatefold.gen.frontends.limits import check_dim
from gatefold.gen.frontends.sizes import Dim, Sizes
from gatefold.gen.network.graph import Shape

__all__ = ["check_inputs", "declared", "input_shapes"]


def input_shapes(inputs: list[tuple[Settings, tuple[Dim, ...]]], sizes: Sizes) -> list[Shape]:
    """The shape of each input of a model, without the batch: all fixed."""
    settled = sizes.substituted({f"{n}": dims for n, (_, dims) in enumerate(inputs)})
    shapes = []
    for (settings, _), dims in zip(inputs, settled.values(), strict=True):
        shape = sizes.fixed(settings.where, dims, None, time=max(0, len(dims) - 2))
        names = ["axis 1", "axis 2", "timesteps", "features"][-len(shape):]
        shapes.append(tuple(check_dim(settings.where, what, n)
                            for what, n in zip(names, shape, strict=True)))
    sizes.check_timesteps([*settled.values()])
    return shapes


def declared(settings: Settings, instead: object = None) -> tuple[Settings, tuple[Dim, ...]]:
    """The dimensions that an input declares: (timesteps, features), (features,) or more axes."""
    shape = settings.take("batch_shape", settings.take("batch_input_shape", instead))
    if not isinstance(shape, list) or not 2 <= len(shape) <= 5:
        raise UserError(f"{settings.where}: the model's input must be (timesteps, features) or "
                        f"(features,), not {shown(shape)}: build it with keras.Input before saving")
    return settings, tuple(f"{settings.origin}:{axis}" if n is None else n
                           for axis, n in enumerate(shape[1:], 1))


def check_inputs(builder: Builder, layers: list[Settings], values: list[int], lead: int) -> None:
    """Input layers add nothing, but must agree with the shapes that reach them."""
    if len(values) != len(layers):
        raise UserError(f"{layers[0].where}: {len(values)} values reach it")
    for settings, value in zip(layers, values, strict=True):
        problem = (settings.type_problem if builder.cut is None else "") or unsupported(settings)
        if builder.refusals is not None and problem:
            builder.refusals.add(settings.origin, settings.class_name, problem)
        if value == UNKNOWN:
            continue
        shape = settings.take("batch_shape", settings.take("batch_input_shape"))
        reaches = builder.shapes[value][lead:]
        fits = isinstance(shape, list) and len(shape) == len(reaches) + 1 and all(
            n in (None, m) for n, m in zip(shape[1:], reaches, strict=True))
        if not fits:
            raise UserError(f"{settings.where}: its shape {shown(shape)} contradicts what reaches "
                            f"it, {reaches}: save the model again")
        settings.only("sparse", False, "only dense tensors are read")
        settings.only("ragged", False, "every sequence must have the same number of timesteps")
        settings.done()
