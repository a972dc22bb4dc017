"""Keras layers that act on each step alone, join values or move them."""

from __future__ import annotations

import math

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.curves import Values, composed
from gatefold.gen.frontends.keras.call import Call
from gatefold.gen.frontends.keras.settings import Activation, shown
from gatefold.gen.frontends.limits import check_dim, check_elements
from gatefold.gen.network.graph import ACTIVATIONS, Concat, Pad, Permute, Slice, Window

__all__ = ["OUTPUT", "READERS", "activated", "add", "factors", "multiply", "subtract"]

#: Keras' names of activations that are put together of others, and what they are here.
_COMPOSED: dict[str, tuple[str, dict]] = {
    "leaky_relu": ("leaky_relu", {"alpha": 0.2}), "swish": ("silu", {}),
    "hard_swish": ("hard_silu", {}),
    **{name: (name, {}) for name in ("relu6", "elu", "selu", "celu", "silu", "hard_silu", "gelu",
                                     "softplus", "softsign", "mish", "log_sigmoid")}}
#: Activations of layers other than recurrent ones; a softmax only of the model's outputs.
OUTPUT = (*ACTIVATIONS, *_COMPOSED, "softmax")


# ---- on each step alone --------------------------------------------------------------------------


def _dense(call: Call) -> int:
    settings, builder, x = call.settings, call.builder, call.x
    units, use_bias = settings.dim("units"), settings.flag("use_bias", True)
    activation = settings.activation("activation", "linear", OUTPUT)
    settings.only("quantization_config", None, "give the float model: Gatefold quantises it")
    features = builder.shapes[x][-1]
    check_elements(call.where, (features, units))
    kernel, bias = call.arrays({"kernel": (features, units)}, use_bias, units)
    y = builder.dense(x, w=kernel.T, b=bias, origin=call.origin)
    return activated(call, y, activation)


def activated(call: Call, x: int, activation: Activation) -> int:
    """A value after an activation, or marked for the host's softmax over its last axis."""
    if activation.name == "softmax":
        return call.builder.softmax(x)
    if activation.name in _COMPOSED:
        kind, options = _COMPOSED[activation.name]
        return composed(Values(call.builder, call.origin), x, kind, **options)
    return call.builder.activation(x, activation.name, alpha=activation.alpha, origin=call.origin)


def _activation(call: Call) -> int:
    return activated(call, call.x, call.settings.activation("activation", "linear", OUTPUT))


def _relu(call: Call) -> int:
    """x from ``threshold`` to ``max_value``, negative_slope (x - threshold) below."""
    settings, of = call.settings, Values(call.builder, call.origin)
    slope, threshold = (settings.number(key, 0.0) for key in ("negative_slope", "threshold"))
    most = settings.take("max_value")
    if threshold or (most is not None and (slope or isinstance(most, bool)
                                           or not isinstance(most, int | float) or most <= 0)):
        raise call.refuse(f"threshold must be 0, and max_value a positive number without a "
                          f"negative_slope, not {threshold:g} and {shown(most)}: compute it with "
                          "the layers that are built")
    if most is not None:
        return composed(of, call.x, "clip", low=0.0, high=float(most))
    return composed(of, call.x, "leaky_relu", alpha=slope) if slope else composed(
        of, call.x, "relu")


def _leaky_relu(call: Call) -> int:
    settings = call.settings
    slope = settings.number("negative_slope", settings.number("alpha", 0.3))
    return composed(Values(call.builder, call.origin), call.x, "leaky_relu", alpha=slope)


def _prelu(call: Call) -> int:
    """A slope each feature; over other axes Keras must share it."""
    shared = call.settings.take("shared_axes")
    axes = shared if isinstance(shared, list) else [] if shared is None else [shared]
    rank = len(call.shape)
    if not all(type(axis) is int and 1 <= axis <= rank for axis in axes):
        raise call.refuse(f"shared_axes must be among 1..{rank}, not {shown(shared)}")
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(call.shape, 1))
    check_elements(call.where, shape)
    slope, = call.weights.arrays(call.where, {"alpha": shape})
    rows = np.asarray(slope, np.float64).reshape(-1, shape[-1])
    if (rows != rows[0]).any():
        raise call.refuse("its slope differs between the timesteps: share it with "
                          f"shared_axes={[*range(1, rank)]}")
    return composed(Values(call.builder, call.origin), call.x, "leaky_relu", alpha=rows[0])


def _elu(call: Call) -> int:
    alpha = call.settings.number("alpha", 1.0)
    return composed(Values(call.builder, call.origin), call.x, "elu", alpha=alpha)


def _softmax(call: Call) -> int:
    call.last_axis("axis")
    return activated(call, call.x, Activation("softmax"))


def _identity(call: Call) -> int:
    return call.x


def _batch_norm(call: Call) -> int:
    settings, builder, x = call.settings, call.builder, call.x
    call.last_axis("axis")
    epsilon = settings.number("epsilon", 1e-3)
    used = {"gamma": settings.flag("scale", True), "beta": settings.flag("center", True),
            "moving_mean": True, "moving_variance": True}
    settings.only("renorm", False, "fold it into a plain BatchNormalization")
    settings.drop("renorm_clipping", "renorm_momentum", "virtual_batch_size")
    features = builder.shapes[x][-1]
    names = [name for name in used if used[name]]
    arrays = call.weights.arrays(call.where, {name: (features,) for name in names})
    held = dict(zip(names, (array.astype(np.float64) for array in arrays), strict=True))
    variance = held["moving_variance"] + epsilon
    if not (variance > 0).all():
        raise call.refuse("moving_variance must be positive: the file is damaged")
    gain = held.get("gamma", np.ones(features)) / np.sqrt(variance)
    return builder.scale(x, gain, held.get("beta", 0) - held["moving_mean"] * gain,
                         origin=call.origin)


def _rescaling(call: Call) -> int:
    features = call.shape[-1]
    gain, offset = (factors(call, key, call.settings.take(key, default), features)
                    for key, default in (("scale", 1.0), ("offset", 0.0)))
    return call.builder.scale(call.x, gain, offset, origin=call.origin)


def factors(call: Call, what: str, value: object, features: int) -> np.ndarray:
    """A number, or one number per feature, from a file as (features,)."""
    try:
        array = np.asarray(value, np.float64)
        if array.ndim and array.size == array.shape[-1]:
            array = array.reshape(-1)
        return np.broadcast_to(array, (features,))
    except (TypeError, ValueError):
        raise call.refuse(f"{what} must be a number or one for each of the {features} features, "
                          f"not {shown(value)}") from None


# ---- values moved --------------------------------------------------------------------------------


def _flatten(call: Call) -> int:
    call.settings.one_of("data_format", "channels_last", ("channels_last", None),
                         "only row-major order is built")
    if not call.lead:
        return call.builder.flatten(call.x, origin=call.origin)
    return _reshaped(call, (math.prod(call.shape),))


def _reshape(call: Call) -> int:
    shape = call.settings.take("target_shape")
    if not isinstance(shape, list) or not all(type(n) is int for n in shape) or (
            shape.count(-1) > 1):
        raise call.refuse(f"target_shape must be a list of integers, not {shown(shape)}")
    if -1 in shape:
        rest = -math.prod(shape)
        shape = [math.prod(call.shape) // max(rest, 1) if n == -1 else n for n in shape]
    for n in shape:
        check_dim(call.where, "target_shape", n)
    return _reshaped(call, tuple(shape))


def _reshaped(call: Call, shape: tuple[int, ...]) -> int:
    lead = call.builder.shapes[call.x][:call.lead]
    return call.builder.reshape(call.x, (*lead, *shape), origin=call.origin)


def _permute(call: Call) -> int:
    dims = call.settings.take("dims")
    if not isinstance(dims, list) or not all(type(n) is int for n in dims) or (
            sorted(dims) != list(range(1, len(call.shape) + 1))):
        raise call.refuse(f"dims must be an order of 1..{len(call.shape)}, not {shown(dims)}")
    axes = (*range(call.lead), *(call.lead + n - 1 for n in dims))
    return call.builder.view(call.x, Permute, axes=axes, origin=call.origin)


def _repeat(call: Call) -> int:
    call.whole("its output would have an axis more")
    return call.builder.repeat(call.x, call.settings.dim("n"), origin=call.origin)


def _zero_padding(call: Call) -> int:
    call.sequence()
    call.whole("put it outside")
    call.settings.only("data_format", "channels_last", "put the features last")
    left, right = call.settings.pair("padding", 1)
    return call.builder.view(call.x, Pad, left=left, right=right, origin=call.origin)


def _cropping(call: Call) -> int:
    steps, _ = call.sequence()
    left, right = call.settings.pair("cropping", 1)
    if left + right >= steps:
        raise call.refuse(f"cropping must leave some of the {steps} timesteps, not {left} and "
                          f"{right}")
    return call.builder.view(call.x, Slice, axis=call.lead, start=left, stop=steps - right,
                             origin=call.origin)


def _up_sampling(call: Call) -> int:
    builder, (steps, features) = call.builder, call.sequence()
    size, lead = call.settings.dim("size", 2), builder.shapes[call.x][:call.lead]
    check_elements(call.where, (*lead, steps, size, features))
    if size > 256:
        raise call.refuse(f"size must be in 1..256, not {size}")
    each = builder.reshape(call.x, (*lead, steps, 1, features), origin=call.origin)
    copies = builder.view((each,) * size, Concat, axis=len(lead) + 1, origin=call.origin)
    return builder.reshape(copies, (*lead, steps * size, features), origin=call.origin)


# ---- values joined -------------------------------------------------------------------------------


def _joined(call: Call) -> list[int]:
    values = call.values
    if len(values) < 2:
        raise call.refuse(f"it must have two inputs or more, not {len(values)}")
    shapes = [call.builder.shapes[value] for value in values]
    if len(set(shapes)) > 1:
        raise call.refuse(f"its inputs must have one shape, not {', '.join(map(str, shapes))}: "
                          "repeat the smaller ones")
    return values


def add(call: Call) -> int:
    """The sum of the values that a layer is called with."""
    return call.builder.add_values(_joined(call), origin=call.origin)


def subtract(call: Call) -> int:
    """The first value less the second."""
    values = _joined(call)
    if len(values) != 2:
        raise call.refuse(f"it must have two inputs, not {len(values)}")
    return call.builder.add_values(values, (1.0, -1.0), origin=call.origin)


def _average(call: Call) -> int:
    values = _joined(call)
    return call.builder.add_values(values, (1 / len(values),) * len(values), origin=call.origin)


def multiply(call: Call) -> int:
    """The product of the values that a layer is called with."""
    product, *rest = _joined(call)
    for value in rest:
        product = call.builder.multiply(product, value, origin=call.origin)
    return product


def _maximum(call: Call) -> int:
    builder, values = call.builder, _joined(call)
    shape = builder.shapes[values[0]]
    rows = [builder.reshape(value, (*shape[:-1], 1, shape[-1]), origin=call.origin)
            for value in values]
    stacked = builder.view(rows, Concat, axis=len(shape) - 1, origin=call.origin)
    largest = builder.max_pool(stacked, Window(len(values)), origin=call.origin)
    return builder.reshape(largest, shape, origin=call.origin)


def _concatenate(call: Call) -> int:
    values = call.values
    if len(values) < 2:
        raise call.refuse(f"it must have two inputs or more, not {len(values)}")
    return call.builder.view(values, Concat, axis=call.axis("axis", -1), origin=call.origin)


def _input(call: Call) -> int:
    raise UserError(f"{call.where}: an input cannot be inside another layer: make it an input of "
                    "the model")


#: The reader of each class, which returns the call's value or values.
READERS = {
    "Dense": _dense, "Activation": _activation, "ReLU": _relu, "Softmax": _softmax,
    "LeakyReLU": _leaky_relu, "PReLU": _prelu, "ELU": _elu,
    "BatchNormalization": _batch_norm, "Rescaling": _rescaling,
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout",
                     "AlphaDropout", "ActivityRegularization", "Identity"), _identity),
    "Flatten": _flatten, "Reshape": _reshape, "Permute": _permute, "RepeatVector": _repeat,
    "ZeroPadding1D": _zero_padding, "Cropping1D": _cropping, "UpSampling1D": _up_sampling,
    "Add": add, "Subtract": subtract, "Average": _average, "Multiply": multiply,
    "Maximum": _maximum, "Concatenate": _concatenate,
}
