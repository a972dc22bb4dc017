"""Keras layers that only a host computes, as ONNX nodes: where a model is cut around its core."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.hosting import HostLayer, Writer
from gatefold.gen.frontends.keras.call import Call
from gatefold.gen.frontends.keras.settings import Settings, shown
from gatefold.gen.frontends.limits import MAX_ROWS, check_elements
from gatefold.gen.network.graph import Shape

__all__ = ["READERS"]


def _layer(call: Call, shape: Shape, write: Callable[[Writer, str], str], **more) -> int:
    """A layer of one input; ``shape``, of its result without the axes that are a batch to it."""
    lead = call.builder.shapes[call.x][:call.lead]
    return call.builder.add(HostLayer(
        inputs=(call.x,), origin=call.origin, label=call.settings.class_name, shape=(*lead, *shape),
        write=lambda writer, names: write(writer, names[0]), **more))


def _embedding(call: Call) -> int:
    settings = call.settings
    rows, units = settings.dim("input_dim", most=MAX_ROWS), settings.dim("output_dim")
    masked = settings.flag("mask_zero", False)
    settings.only("lora_rank", None, "merge the weights of LoRA")
    settings.drop("input_length", "embeddings_initializer", "embeddings_regularizer",
                  "embeddings_constraint", "sparse", "quantization_config")
    check_elements(call.where, (rows, units))
    if masked:
        _reads_input(call, "mask_zero=True")
    (table,) = call.weights.arrays(call.where, {"embeddings": (rows, units)})
    return _layer(call, (*call.shape, units), lambda writer, x: writer.node(
        "Gather", table.astype(np.float32), writer.node("Cast", x, to=7), axis=0),
        count=table.size, high=rows, mask=0.0 if masked else None)


def _masking(call: Call) -> int:
    value = call.settings.number("mask_value", 0.0)
    _reads_input(call, "a mask")
    return _layer(call, call.shape, lambda writer, x: writer.node("Identity", x), mask=value)


def _reads_input(call: Call, what: str) -> None:
    """Refuse a layer that masks timesteps of anything but the model's input: the core takes every
    timestep, and the host refuses inputs with timesteps that are masked."""
    if call.x >= len(call.builder.input_shapes):
        raise call.refuse(f"with {what} it must read the model's input itself, where masked "
                          "timesteps can be refused: put it first, or save the model without the "
                          "mask and give it whole sequences")


def _normalised(writer: Writer, x: str, axes: list[int], epsilon: float) -> str:
    mean = writer.node("ReduceMean", x, axes=axes)
    apart = writer.node("Sub", x, mean)
    variance = writer.node("ReduceMean", writer.node("Mul", apart, apart), axes=axes)
    return writer.node("Div", apart, writer.node(
        "Sqrt", writer.node("Add", variance, np.float32(epsilon))))


def _layer_norm(call: Call) -> int:
    settings, features = call.settings, call.shape[-1]
    call.last_axis("axis")
    epsilon = settings.number("epsilon", 1e-3)
    settings.only("rms_scaling", False, "use a plain LayerNormalization")
    used = {"gamma": settings.flag("scale", True), "beta": settings.flag("center", True)}
    names = [name for name in used if used[name]]
    held = dict(zip(names, call.weights.arrays(
        call.where, {name: (features,) for name in names}), strict=True))

    def write(writer: Writer, x: str) -> str:
        y = _normalised(writer, x, [-1], epsilon)
        if "gamma" in held:
            y = writer.node("Mul", y, held["gamma"].astype(np.float32))
        return writer.node("Add", y, held["beta"].astype(np.float32)) if "beta" in held else y
    return _layer(call, call.shape, write, count=sum(one.size for one in held.values()))


def _unit_norm(call: Call) -> int:
    call.last_axis("axis")
    return _layer(call, call.shape, lambda writer, x: writer.node(
        "LpNormalization", x, axis=-1, p=2))


def _normalization(call: Call) -> int:
    settings, features = call.settings, call.shape[-1]
    call.last_axis("axis")
    settings.only("invert", False, "use Rescaling")
    given = [settings.take("mean"), settings.take("variance")]
    if None in given:
        held = call.weights.arrays(call.where, {"mean": (features,), "variance": (features,)})
    else:
        try:
            held = [np.broadcast_to(np.asarray(one, np.float32).reshape(-1), (features,))
                    for one in given]
        except (TypeError, ValueError):
            raise call.refuse("mean and variance must be numbers, one a feature") from None
    mean, deviation = held[0], np.maximum(np.sqrt(held[1]), 1e-7)
    return _layer(call, call.shape, lambda writer, x: writer.node(
        "Div", writer.node("Sub", x, mean.astype(np.float32)), deviation.astype(np.float32)))


def _elementwise(kind: str, **attributes: tuple[str, float]) -> Callable[[Call], int]:
    """A function of every element; ``attributes``: the ONNX attribute's key in Keras and default.
    """
    def read(call: Call) -> int:
        values = {name: call.settings.number(key, default)
                  for name, (key, default) in attributes.items()}
        return _layer(call, call.shape, lambda writer, x: writer.node(kind, x, **values))
    return read


def _leaky(call: Call) -> int:
    settings = call.settings
    old = settings.number("alpha", 0.3)
    slope = settings.number("negative_slope", old)
    return _layer(call, call.shape, lambda writer, x: writer.node("LeakyRelu", x, alpha=slope))


def _softmax(call: Call) -> int:
    call.last_axis("axis")
    return _layer(call, call.shape, lambda writer, x: writer.node("Softmax", x, axis=-1))


#: ONNX operators of activations that hardware does not compute, by their names in Keras.
_ACTIVATIONS = {"softmax": ("Softmax", {"axis": -1}), "elu": ("Elu", {}), "selu": ("Selu", {}),
                "softplus": ("Softplus", {}), "softsign": ("Softsign", {}), "exponential":
                ("Exp", {}), "log_softmax": ("LogSoftmax", {"axis": -1}),
                "leaky_relu": ("LeakyRelu", {"alpha": 0.2}), "mish": ("Mish", {})}


def _function(call: Call) -> Callable[[Writer, str], str]:
    """The function of the setting ``activation``."""
    value = call.settings.take("activation", "linear")
    if value in ("swish", "silu"):
        return lambda writer, x: writer.node("Mul", x, writer.node("Sigmoid", x))
    if value in ("relu6",):
        return lambda writer, x: writer.node("Clip", x, np.float32(0), np.float32(6))
    if value in ("relu", "sigmoid", "tanh"):
        return lambda writer, x: writer.node(str(value).capitalize(), x)
    if value in ("linear", None):
        return lambda writer, x: x
    if not isinstance(value, str) or value not in _ACTIVATIONS:
        raise call.refuse(f"the activation {shown(value)} is computed neither in hardware nor on "
                          "the host")
    kind, attributes = _ACTIVATIONS[value]
    return lambda writer, x: writer.node(kind, x, **attributes)


def _activation(call: Call) -> int:
    function = _function(call)
    return _layer(call, call.shape, function)


def _dense(call: Call) -> int:
    settings = call.settings
    units, features = settings.dim("units"), call.shape[-1]
    function = _function(call)
    bias = settings.flag("use_bias", True)
    settings.only("lora_rank", None, "merge the weights of LoRA")
    settings.drop("quantization_config")
    w, b = call.arrays({"kernel": (features, units)}, bias, units)
    shape = (*call.shape[:-1], units)
    return _layer(call, shape, lambda writer, x: function(writer, writer.node(
        "Add", writer.node("MatMul", x, w.astype(np.float32)), b.astype(np.float32))),
        count=w.size + b.size * bias, products=int(np.prod(call.shape)) * units)


# ---- images: (height, width, channels)


def _two(settings: Settings, key: str, default: int | None) -> list[int]:
    """Two positive integers, or none where that is the default and the value."""
    value = settings.take(key, default)
    if value is None and default is None:
        return []
    value = [value, value] if type(value) is int else value
    if not isinstance(value, list) or len(value) != 2 or not all(
            type(n) is int and 1 <= n <= 1 << 12 for n in value):
        raise UserError(f"{settings.where}: {key} must be two positive integers, not "
                        f"{shown(value)}")
    return value


def _image(call: Call) -> tuple[int, int, int]:
    call.settings.only("data_format", "channels_last", "put the channels last")
    if len(call.shape) != 3:
        raise call.refuse(f"it takes (height, width, channels), but its input has the shape "
                          f"{call.shape}")
    return call.shape  # type: ignore[return-value]


def _images(call: Call, shape: Shape, write: Callable[[Writer, str], str], **more) -> int:
    """A layer whose ``write`` takes (batch, channels, height, width); ``shape``, of its result with
    the channels last, as the layer has them."""
    lead, before = call.builder.shapes[call.x][:call.lead], call.shape
    if min(shape) < 1:
        raise call.refuse(f"its window does not fit an input of the shape {before}")

    def written(writer: Writer, x: str) -> str:
        if lead:
            x = writer.shaped(x, -1, *before)
        y = write(writer, writer.node("Transpose", x, perm=[0, 3, 1, 2]))
        y = writer.node("Transpose", y, perm=[0, 2, 3, 1])
        return writer.shaped(y, 1, *lead, *shape) if lead else y
    return _layer(call, shape, written, **more)


def _steps(sizes: Sequence[int], taps: Sequence[int], strides: Sequence[int],
           dilations: Sequence[int], same: bool) -> list[int]:
    return [-(-size // stride) if same else (size - (tap - 1) * dilation - 1) // stride + 1
            for size, tap, stride, dilation in zip(sizes, taps, strides, dilations, strict=True)]


def _conv2d(call: Call) -> int:
    settings, (height, width, channels) = call.settings, _image(call)
    filters, taps = settings.dim("filters"), _two(settings, "kernel_size", 0)
    strides, dilations = (_two(settings, key, 1) for key in ("strides", "dilation_rate"))
    same = settings.one_of("padding", "valid", ("valid", "same"), "pad before it") == "same"
    groups, bias = settings.dim("groups", 1), settings.flag("use_bias", True)
    function = _function(call)
    if channels % groups:
        raise call.refuse(f"groups must divide the {channels} channels, not {groups}")
    check_elements(call.where, (*taps, channels // groups, filters))
    w, b = call.arrays({"kernel": (*taps, channels // groups, filters)}, bias, filters)
    steps = _steps((height, width), taps, strides, dilations, same)
    return _images(call, (*steps, filters), lambda writer, x: function(writer, writer.node(
        "Conv", x, w.transpose(3, 2, 0, 1).astype(np.float32), b.astype(np.float32),
        strides=strides, dilations=dilations, group=groups,
        auto_pad="SAME_UPPER" if same else "VALID")),
        count=w.size + b.size * bias, products=int(np.prod(steps)) * w.size)


def _pool2d(kind: str) -> Callable[[Call], int]:
    def read(call: Call) -> int:
        settings, (height, width, channels) = call.settings, _image(call)
        taps = _two(settings, "pool_size", 2)
        strides = _two(settings, "strides", None) or taps
        same = settings.one_of("padding", "valid", ("valid", "same"), "pad before it") == "same"
        steps = _steps((height, width), taps, strides, (1, 1), same)
        return _images(call, (*steps, channels), lambda writer, x: writer.node(
            kind, x, kernel_shape=taps, strides=strides,
            auto_pad="SAME_UPPER" if same else "VALID"))
    return read


# ---- products of data by data: attention behind the recurrent layers


def _joint(call: Call, values: Sequence[int], shape: Shape,
           write: Callable[[Writer, Sequence[str]], str], **more) -> int:
    """A layer of several inputs."""
    call.whole("it multiplies whole sequences")
    return call.builder.add(HostLayer(
        inputs=tuple(values), origin=call.origin, label=call.settings.class_name, shape=shape,
        write=write, **more))


def _dot(call: Call) -> int:
    settings, values = call.settings, call.values
    shapes = [call.builder.shapes[value] for value in values]
    settings.only("normalize", False, "use UnitNormalization before it")
    axes = settings.take("axes")
    axes = [axes, axes] if type(axes) is int else axes
    if len(values) != 2 or not isinstance(axes, list) or len(axes) != 2 or not all(
            type(axis) is int and (1 <= axis <= len(shape) or -len(shape) <= axis < 0)
            for axis, shape in zip(axes, shapes, strict=True)):
        raise call.refuse(f"axes must be an axis of each of two inputs, none the batch, not "
                          f"{shown(axes)}")
    at = [axis if axis > 0 else len(shape) + 1 + axis
          for axis, shape in zip(axes, shapes, strict=True)]
    met = [shape[axis - 1] for axis, shape in zip(at, shapes, strict=True)]
    if met[0] != met[1]:
        raise call.refuse(f"its inputs have {met[0]} and {met[1]} elements along axes")
    rest = [shape[:axis - 1] + shape[axis:] for axis, shape in zip(at, shapes, strict=True)]
    shape = (*rest[0], *rest[1]) or (1,)

    def write(writer: Writer, names: Sequence[str]) -> str:
        rows, columns = (
            writer.shaped(writer.node("Transpose", name, perm=[
                0, *(k for k in range(1, len(one) + 1) if k != axis), axis]), -1, met[0])
            for name, one, axis in zip(names, shapes, at, strict=True))
        product = writer.node("MatMul", rows, writer.node("Transpose", columns, perm=[1, 0]))
        return writer.shaped(product, 1, *shape)
    return _joint(call, values, shape, write, products=int(np.prod(shape)) * met[0])


def _attention(call: Call) -> int:
    """Keras' Attention (Luong et al. 2015) and AdditiveAttention (Bahdanau et al. 2015)."""
    settings, values = call.settings, call.values
    additive = settings.class_name == "AdditiveAttention"
    shapes = [call.builder.shapes[value] for value in values]
    if len(values) not in (2, 3) or any(len(shape) != 2 for shape in shapes) or (
            shapes[0][1] != shapes[-1][1] or shapes[1][0] != shapes[-1][0]):
        raise call.refuse("it must be called with a query, a value and perhaps a key, each "
                          f"(timesteps, features), not with the shapes {shapes}")
    settings.only("score_mode", "dot", "use AdditiveAttention")
    settings.only("causal", False, "leave the mask out")
    settings.drop("dropout", "seed")
    queries, steps, width = shapes[0][0], shapes[1][0], shapes[0][1]
    scale = np.ones(width if additive else (), np.float32)
    if settings.flag("use_scale", additive):
        (scale,) = call.weights.arrays(call.where, {"scale": scale.shape})

    def write(writer: Writer, names: Sequence[str]) -> str:
        query, value, key = names[0], names[1], names[-1]
        if additive:
            apart = writer.node("Tanh", writer.node(
                "Add", writer.shaped(query, 1, queries, 1, width),
                writer.shaped(key, 1, 1, steps, width)))
            scores = writer.shaped(writer.node(
                "MatMul", apart, scale.astype(np.float32)[:, None]), 1, queries, steps)
        else:
            scores = writer.node("Mul", writer.node(
                "MatMul", query, writer.node("Transpose", key, perm=[0, 2, 1])),
                scale.astype(np.float32))
        return writer.node("MatMul", writer.node("Softmax", scores, axis=-1), value)
    return _joint(call, values, (queries, shapes[1][1]), write, count=scale.size,
                  products=queries * steps * (width + shapes[1][1]))


#: The reader of each class, which returns the call's value.
READERS: dict[str, Callable[[Call], int]] = {
    "Embedding": _embedding, "Masking": _masking, "LayerNormalization": _layer_norm,
    "UnitNormalization": _unit_norm, "Normalization": _normalization, "Softmax": _softmax,
    "LeakyReLU": _leaky, "ELU": _elementwise("Elu", alpha=("alpha", 1.0)),
    "Activation": _activation, "Dense": _dense, "Conv2D": _conv2d,
    "MaxPooling2D": _pool2d("MaxPool"), "AveragePooling2D": _pool2d("AveragePool"),
    "Dot": _dot, "Attention": _attention, "AdditiveAttention": _attention,
}
