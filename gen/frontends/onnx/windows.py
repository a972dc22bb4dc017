"""ONNX operators on windows of a sequence: convolution, pooling, reduction.

ONNX has the channels second, (batch, channels, timesteps); here they come last. Axes of one element
beside the timesteps (a Conv1D that was exported as a Conv2D) are left out.
"""

from __future__ import annotations

import numpy as np

from gatefold.gen.frontends.elements.compute import reduced
from gatefold.gen.frontends.elements.trace import Net
from gatefold.gen.frontends.onnx.proto import NodeError
from gatefold.gen.frontends.onnx.site import Site, Value
from gatefold.gen.network.layers import Window

__all__ = ["WINDOWS", "convolved"]


def _window(site: Site, spatial: tuple[int, ...],
            kernel: tuple[int, ...]) -> tuple[Window, int, int]:
    """The window along the only axis of ``spatial`` that it moves on, that axis, and how many steps
    of its right padding ceil_mode added."""
    attributes, count = site.attributes, len(spatial)
    ones = (1,) * count
    strides, dilations = (attributes.ints(name) or ones for name in ("strides", "dilations"))
    pads = attributes.ints("pads") or (0,) * (2 * count)
    auto = str(attributes.take("auto_pad", "NOTSET"))
    ceil = bool(attributes.int("ceil_mode", 0))
    if not len(kernel) == len(strides) == len(dilations) == count or len(pads) != 2 * count:
        raise NodeError("kernel_shape, strides, dilations and pads contradict the input's axes: "
                        "export the model again")
    if min(kernel + strides + dilations) < 1 or min(pads) < 0:
        raise NodeError("kernel_shape, strides and dilations must be positive, pads 0 or more: "
                        "export the model again")
    moving = [k for k in range(count) if spatial[k] > 1 or kernel[k] > 1]
    if len(moving) > 1:
        raise NodeError(f"it runs over {len(moving)} axes {spatial}: only one axis, the timesteps, "
                        "may be longer than 1")
    axis = moving[0] if moving else count - 1
    if any(pads[k] or pads[k + count] for k in range(count) if k != axis):
        raise NodeError("it pads an axis of one element: only the timesteps may be padded")
    steps, stride = spatial[axis], strides[axis]
    reach = (kernel[axis] - 1) * dilations[axis] + 1
    left, right = pads[axis], pads[axis + count]
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        more = max(0, (-(-steps // stride) - 1) * stride + reach - steps)
        left, right = more // 2, more - more // 2
        if auto == "SAME_LOWER":
            left, right = right, left
    elif auto == "VALID":
        left = right = 0
    elif auto != "NOTSET":
        raise NodeError("auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID, not "
                        f"{ascii(auto)[:30]}")
    added = 0
    if ceil:
        windows = -(-(steps + left + right - reach) // stride) + 1
        windows -= (windows - 1) * stride >= steps + left  # none begins in the right padding
        added = max(0, (windows - 1) * stride + reach - (steps + left + right))
    return Window(kernel[axis], stride, dilations[axis], left, right + added), axis, added


def _steps_last(site: Site, ids: np.ndarray, axis: int) -> np.ndarray:
    """(batch, channels, *spatial) as (batch, timesteps, channels)."""
    moved = site.trace.batch_at(ids, 0)
    return np.moveaxis(moved, (axis + 2, 1), (-2, -1)).reshape(
        len(ids), ids.shape[axis + 2], ids.shape[1])


def _back(new: np.ndarray, count: int, axis: int) -> Net:
    """(batch, timesteps, channels) as (batch, channels, *spatial)."""
    spatial = [1] * count
    spatial[axis] = new.shape[1]
    return Net(new.swapaxes(1, 2).reshape(len(new), new.shape[2], *spatial))


def _spatial(ids: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    if ids.ndim < 3:
        raise NodeError(f"its input must be (batch, channels, timesteps), not {ids.shape}: export "
                        "the model with a batch")
    return ids, ids.shape[2:]


def _conv(site: Site) -> list[Value]:
    b = None if site.input(2) is None else site.constant(2, "B")
    return [convolved(site, site.net(0), site.constant(1, "W"), b)]


def convolved(site: Site, ids: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> Net:
    """The convolution of ``ids`` (batch, channels, *spatial) with ``w`` (outputs, channels of a
    group, *kernel) and ``b`` (outputs,); its attributes are those of the node."""
    ids, spatial = _spatial(ids)
    groups = site.attributes.int("group", 1)
    kernel = site.attributes.ints("kernel_shape") or w.shape[2:]
    if groups < 1 or w.ndim != ids.ndim or w.shape[1] * groups != ids.shape[1] or (
            len(w) % groups or kernel != w.shape[2:]):
        raise NodeError(f"W of the shape {w.shape}, kernel_shape {kernel} and group {groups} do "
                        f"not fit an input of {ids.shape[1]} channels: export the model again")
    b = np.zeros(len(w)) if b is None else b
    window, axis, _ = _window(site, spatial, kernel)
    x = site.trace.read(_steps_last(site, ids, axis), site.origin)
    taps = w.reshape(*w.shape[:2], -1).swapaxes(1, 2)  # (outputs, taps, channels)
    value = site.builder.conv1d(x, w=taps, b=b, window=window, groups=groups, origin=site.origin)
    return _back(site.trace.layer(value), len(spatial), axis)


def _pool(site: Site, average: bool) -> list[Value]:
    ids, spatial = _spatial(site.net(0))
    kernel = site.attributes.ints("kernel_shape")
    if kernel is None:
        raise NodeError("kernel_shape is missing: export the model again")
    counted = average and bool(site.attributes.int("count_include_pad", 0))
    if not average:
        site.attributes.take("storage_order")  # of the indices, which are refused
        if site.uses(1):
            raise NodeError("the Indices of a MaxPool are used: only its values are built")
    window, axis, added = _window(site, spatial, kernel)
    if counted and added:
        raise NodeError("ceil_mode with count_include_pad divides the last window by another "
                        "number: use ceil_mode=False")
    x = site.trace.read(_steps_last(site, ids, axis), site.origin)
    if average:
        value = site.builder.average_pool(x, window, count_padding=counted, origin=site.origin)
    else:
        value = site.builder.max_pool(x, window, origin=site.origin)
    return [_back(site.trace.layer(value), len(spatial), axis)]


def _global(site: Site, average: bool) -> list[Value]:
    ids, spatial = _spatial(site.net(0))
    return [Net(reduced(site.trace, ids, tuple(range(2, ids.ndim)), average, site.origin))]


def _reduce(site: Site, average: bool) -> list[Value]:
    ids = site.net(0)
    axes = site.attributes.ints("axes")
    given = site.input(1)
    if isinstance(given, Net):
        raise NodeError("its axes must be constant: export the model again")
    if axes is None and given is not None:
        axes = tuple(given.reshape(-1).tolist())
    keep = bool(site.attributes.int("keepdims", 1))
    if site.attributes.int("noop_with_empty_axes", 0) and not axes:
        return [Net(ids)]
    axes = axes or tuple(range(ids.ndim))
    found = tuple(sorted({axis % ids.ndim for axis in axes if -ids.ndim <= axis < ids.ndim}))
    if len(found) != len(axes):
        raise NodeError(f"axes {axes} do not fit an input of {ids.ndim} axes")
    new = reduced(site.trace, ids, found, average, site.origin)
    return [Net(new if keep else np.squeeze(new, found))]


def _averages(reader, average: bool):
    return lambda site: reader(site, average)


#: Operators, and how many inputs are looked at.
WINDOWS = {
    "Conv": (_conv, 3),
    "MaxPool": (_averages(_pool, False), 1), "AveragePool": (_averages(_pool, True), 1),
    "GlobalMaxPool": (_averages(_global, False), 1),
    "GlobalAveragePool": (_averages(_global, True), 1),
    "ReduceMax": (_averages(_reduce, False), 2), "ReduceMean": (_averages(_reduce, True), 2),
}
