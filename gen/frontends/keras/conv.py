"""Keras layers that slide a window over the timesteps: convolution and pooling."""

from __future__ import annotations

import numpy as np

from gatefold.gen.frontends.keras.basic import OUTPUT, activated
from gatefold.gen.frontends.keras.call import Call
from gatefold.gen.frontends.limits import check_elements
from gatefold.gen.network.graph import Window

__all__ = ["READERS"]


def _window(call: Call, size: int, stride: int, dilation: int = 1,
            paddings: tuple[str, ...] = ("valid", "same", "causal")) -> Window:
    """The window of a layer; refuses data_format other than channels_last."""
    steps, _ = call.sequence()
    settings = call.settings
    settings.only("data_format", "channels_last", "put the features last")
    padding = settings.one_of("padding", "valid", paddings, "use one of these")
    reach = (size - 1) * dilation + 1
    left = right = 0
    if padding == "causal":
        left = reach - 1
    elif padding == "same":
        short = max(0, (-(-steps // stride) - 1) * stride + reach - steps)
        left, right = short // 2, short - short // 2
    window = Window(size, stride, dilation, left, right)
    window.check(call.where, (steps, 1))
    return window


def _conv_window(call: Call, paddings: tuple[str, ...] = ("valid", "same", "causal")) -> Window:
    size, stride, dilation = (call.settings.dim(key, default) for key, default in
                              (("kernel_size", None), ("strides", 1), ("dilation_rate", 1)))
    if stride > 1 and dilation > 1:
        raise call.refuse("strides and dilation_rate can not both be above 1: Keras does not "
                          "compute that either")
    return _window(call, size, stride, dilation, paddings)


def _convolved(call: Call, x: int, w: np.ndarray, b: np.ndarray, window: Window | None,
               groups: int = 1) -> int:
    """The layer's convolution, (outputs, taps, features / groups), and its activation."""
    activation, builder = call.settings.activation("activation", "linear", OUTPUT), call.builder
    y = builder.dense(x, w=w[:, 0], b=b, origin=call.origin) if window is None else (
        builder.conv1d(x, w=w, b=b, window=window, groups=groups, origin=call.origin))
    return activated(call, y, activation)


def _conv(call: Call) -> int:
    settings, (_, features) = call.settings, call.sequence()
    filters, groups = settings.dim("filters"), settings.dim("groups", 1)
    use_bias, window = settings.flag("use_bias", True), _conv_window(call)
    if features % groups or filters % groups:
        raise call.refuse(f"groups must divide the {features} features and the {filters} filters, "
                          f"not {groups}")
    shape = (window.size, features // groups, filters)
    check_elements(call.where, shape)
    kernel, bias = call.arrays({"kernel": shape}, use_bias, filters)
    return _convolved(call, call.x, kernel.transpose(2, 0, 1), bias, window, groups)


def _depthwise(kernel: np.ndarray) -> np.ndarray:
    """(taps, features, multiplier) as (features * multiplier, taps, 1)."""
    return kernel.transpose(1, 2, 0).reshape(-1, len(kernel), 1)


def _depthwise_conv(call: Call) -> int:
    settings, (_, features) = call.settings, call.sequence()
    multiplier, use_bias = settings.dim("depth_multiplier", 1), settings.flag("use_bias", True)
    window = _conv_window(call, ("valid", "same"))
    settings.drop("filters", "groups")  # Keras 2 writes them, and does not read them
    name = "depthwise_kernel" if settings.keras == 2 else "kernel"
    shape = (window.size, features, multiplier)
    check_elements(call.where, shape)
    kernel, bias = call.arrays({name: shape}, use_bias, features * multiplier)
    return _convolved(call, call.x, _depthwise(kernel), bias, window, features)


def _separable_conv(call: Call) -> int:
    settings, (_, features) = call.settings, call.sequence()
    multiplier, use_bias = settings.dim("depth_multiplier", 1), settings.flag("use_bias", True)
    filters, window = settings.dim("filters"), _conv_window(call)
    settings.drop("groups")
    deep = features * multiplier
    shapes = {"depthwise_kernel": (window.size, features, multiplier),
              "pointwise_kernel": (1, deep, filters)}
    for shape in shapes.values():
        check_elements(call.where, shape)
    depthwise, pointwise, bias = call.arrays(shapes, use_bias, filters)
    each = call.builder.conv1d(call.x, w=_depthwise(depthwise), b=np.zeros(deep), window=window,
                               groups=features, origin=call.origin)
    return _convolved(call, each, pointwise.transpose(2, 0, 1), bias, None)


def _pool_window(call: Call) -> Window:
    size = call.settings.dim("pool_size", 2)
    stride = call.settings.dim("strides", size, none=size)
    return _window(call, size, stride, paddings=("valid", "same"))


def _max_pool(call: Call) -> int:
    return call.builder.max_pool(call.x, _pool_window(call), origin=call.origin)


def _average_pool(call: Call) -> int:
    return call.builder.average_pool(call.x, _pool_window(call), origin=call.origin)


def _global(call: Call, pool) -> int:
    steps, features = call.sequence()
    keepdims = call.settings.flag("keepdims", False)
    call.settings.only("data_format", "channels_last", "put the features last")
    y = pool(call.x, Window(steps), origin=call.origin)
    lead = call.builder.shapes[call.x][:call.lead]
    return y if keepdims else call.builder.reshape(y, (*lead, features), origin=call.origin)


def _global_max(call: Call) -> int:
    return _global(call, call.builder.max_pool)


def _global_average(call: Call) -> int:
    return _global(call, call.builder.average_pool)


#: The reader of each class, which returns the call's value.
READERS = {
    "Conv1D": _conv, "DepthwiseConv1D": _depthwise_conv, "SeparableConv1D": _separable_conv,
    "MaxPooling1D": _max_pool, "AveragePooling1D": _average_pool,
    "GlobalMaxPooling1D": _global_max, "GlobalAveragePooling1D": _global_average,
}
