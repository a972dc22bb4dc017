"""The inputs of a model that is cut, and its graph run on samples of them.

Which axis of an input is the batch is found here: the one along which more samples are a larger
batch of the recurrent layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.limits import check_dim
from gatefold.gen.frontends.onnx.axes import batch_axes, batch_choices, no_batch
from gatefold.gen.frontends.onnx.batch import LARGE, BatchSizeError, Watch, reads_sizes
from gatefold.gen.frontends.onnx.evaluate import Flat, flat_of, is_recurrent, steps_axis
from gatefold.gen.frontends.onnx.proto import Model, as_text, dims_of
from gatefold.gen.frontends.onnx.scalars import names_in, open_number
from gatefold.gen.frontends.sizes import Dim, OpenError, Sizes, SizesError
from gatefold.gen.network.around import Port

__all__ = ["flat_on_samples"]

#: Choices of batch axes that are tried.
_CHOICES = 4
_TYPES: dict[int, str] = {
    onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.DOUBLE: "float64",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.INT64: "int64", onnx.TensorProto.INT32: "int32", onnx.TensorProto.BOOL: "bool"}
#: Elements that a sample takes up to which a graph is run with a large batch too.
_CHEAP = 1 << 21
#: Operators through which an index goes on its way to a table.
_PASSES = ("Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Flatten", "Slice")


def flat_on_samples(model: Model, constants: Mapping[str, np.ndarray],
                    sizes: Sizes) -> tuple[list[Port], Flat]:
    """The inputs, and the graph on seeded samples of them: with the batch axes that the recurrent
    layers agree with, else the likeliest that it runs with."""
    given = [value for value in model.graph.input if value.name not in constants]
    fixed, named = {}, dict(sizes.named)
    read = names_in(model.graph)
    declared: dict[str, tuple[Dim, ...]] = {}
    types = {}
    for value in given:
        name, dims = as_text(value.name), dims_of(value)
        types[name] = _TYPES.get(value.type.tensor_type.elem_type, "")
        if not types[name] or dims is None or len(dims) > 5:
            raise UserError(f"input {quoted(name)} of a model that is cut must be a tensor of "
                            f"{', '.join(_TYPES.values())} with at most 5 axes: export the model "
                            "again")
        if not dims or (dims == (1,) and name in named):
            if value.name not in read:  # any number does
                named.setdefault(name, 1)
            if name not in named:
                raise open_number(model.graph, constants, value.name)
            fixed[name] = np.full((1,) * len(dims), named.pop(name), types[name])
        else:
            declared[name] = dims
    if not declared:
        raise UserError("the model has no input (only constants): export a model with an input")
    left = Sizes(sizes.timesteps, named)
    every = left.substituted(declared)
    problem: UserError | None = None
    likely: tuple[list[Port], Flat] | None = None
    possible = {name: axes for name, dims in every.items() for axes in [_axes(dims, left)]
                if axes and axes != [None]}
    choices = batch_choices([every[name] for name in possible], [*possible.values()])
    for axes, _ in itertools.islice(choices, _CHOICES):
        chosen = dict(zip(possible, axes, strict=True))
        try:
            ports = [_port(name, dims, types[name], left, chosen.get(name))
                     for name, dims in every.items()]
            flat, agrees = _run(model, constants, every, ports, fixed)
            of_one = None if any(
                port.batch is not None and isinstance(every[port.name][port.batch], str)
                for port in ports) else _of_one(model, constants, ports, flat, fixed)
        except SizesError:
            raise
        except UserError as error:
            # That an axis is open is said rather than that another is no batch.
            if problem is None or type(error) is OpenError and type(problem) is not OpenError:
                problem = error
            continue
        if agrees is not False:  # else the axis may be the timesteps
            left.check_timesteps([[n for k, n in enumerate(dims) if k != port.batch]
                                  for dims, port in zip(every.values(), ports, strict=True)])
        found = of_one or ([_with_rows(flat, port) for port in ports], flat)
        if agrees or (agrees is None and not any(port.batch for port in ports)):
            return found
        likely = likely or found
    if likely is not None and not isinstance(problem, OpenError):
        return likely
    raise problem or no_batch([*every.values()])


def _of_one(model: Model, constants: Mapping[str, np.ndarray], ports: Sequence[Port], flat: Flat,
            fixed: Mapping[str, np.ndarray]) -> tuple[list[Port], Flat] | None:
    """A graph on one sample whose file fixes a batch of several: with a batch of one it gives each
    sample the same. None of another graph. ``flat``, the graph on the batch of the file."""
    whole = model
    counts = {x.shape[1 - axis] for x, axis in _sequences(flat)}
    # Many sequences of one step are rather one that lies along the wrong axis.
    one_step = any(x.shape[axis] == 1 for x, axis in _sequences(flat))
    if len(counts) != 1 or counts == {1} or one_step:
        return None
    count, name = counts.pop(), "batch"
    alone: list[Port] = []
    declared: dict[str, tuple[Dim, ...]] = {}
    for port in ports:
        axis = next((k for k, n in enumerate(port.dims[:2]) if n == count), None)
        dims = tuple(1 if k == axis else n for k, n in enumerate(port.dims))
        alone.append(Port(port.name, dims, axis, port.dtype))
        declared[port.name] = tuple(name if k == axis else n for k, n in enumerate(dims))
    model, shapes = _without_batch(model, flat, count)
    try:
        found, agrees = _run(model, {**constants, **shapes}, declared, alone, fixed)
        if not agrees:
            return None
        given, flats = _alone(alone, declared, found, min(count, LARGE), lambda samples, n: flat_of(
            model.graph, model.opset, {**constants, **shapes}, samples, fixed, first=n))
        given, flats = (([*some] * count)[:count] for some in (given, flats))
        batch = flat_of(whole.graph, whole.opset, constants, _joined(alone, declared, given), fixed)
        _check_samples(flats, batch, name)
    except UserError:
        return None
    if any(one.values[name] is None for one in (found, batch) for name in batch.outputs):
        return None  # nothing shows that samples stay apart
    return [_with_rows(found, port) for port in alone], found


def _without_batch(model: Model, flat: Flat, count: int) -> tuple[Model, dict[str, np.ndarray]]:
    """``model`` with the size of its batch, ``count``, taken out of the shapes to which it brings
    tensors and out of constants that it expands, and the new constants. Whether it was the batch,
    the comparison of samples shows."""
    graph = onnx.GraphProto(node=model.graph.node, input=model.graph.input,
                            output=model.graph.output)
    shapes: dict[str, np.ndarray] = {}
    for n, node in enumerate(graph.node):
        if node.op_type == "Expand" and node.input[0] in flat.constants:
            held = flat.constants[node.input[0]]
            same = [k for k, size in enumerate(held.shape)
                    if size == count and (held == held.take([0], k)).all()]
            if same:
                shapes[f"row {n}"] = held.take([0], same[0])
                node.input[0] = f"row {n}"
        made = flat.values.get(node.output[0]) if node.op_type == "Reshape" else None
        if made is None or node.input[1] not in flat.constants:
            continue
        shape = np.array(made.shape, np.int64)
        at = [*np.flatnonzero(shape == count), *np.flatnonzero(shape % count == 0)]
        if at:
            shape[at[0]] = -1
            shapes[f"shape {n}"] = shape
            node.input[1] = f"shape {n}"
    return replace(model, graph=graph), shapes


def _run(model: Model, constants: Mapping[str, np.ndarray],
         declared: Mapping[str, tuple[Dim, ...]], ports: Sequence[Port],
         fixed: Mapping[str, np.ndarray]) -> tuple[Flat, bool | None]:
    """The graph on one sample, and whether the recurrent layers agree on what the batch is: None
    where they do not say. A graph whose batch is open runs on several samples as well."""
    open_ = [(port, name) for port in ports if port.batch is not None
             for name in [declared[port.name][port.batch]] if isinstance(name, str)]
    watch = Watch(1, open_[0][1]) if open_ and reads_sizes(model.graph) else None

    def run(samples: Mapping[str, np.ndarray], watch: Watch | None, first: int = 0) -> Flat:
        return flat_of(model.graph, model.opset, constants, samples, fixed, watch, first)
    flat = run(_given(ports, declared, 0), watch)
    if not open_:
        return flat, True
    counts = (2, LARGE) if watch and flat.work < _CHEAP else (2,)
    try:
        given, flats = _alone(ports, declared, flat, counts[-1],
                              lambda samples, n: run(samples, None, n))
        watch = watch and Watch(1, watch.name)
        flat = flats[0] = run(given[0], watch)
    except UserError:
        return flat, None  # some samples go, others do not: nothing shows what the batch is
    agrees = None
    for count in counts:
        try:
            wide = run(_joined(ports, declared, given[:count]),
                       watch and Watch(count, watch.name, watch))
        except BatchSizeError:
            if _several(flat):
                return flat, False  # that its size decides values is no fault
            raise
        except UserError:
            break  # it goes with one sample alone, or takes too much with more
        agrees = _along_batch(flat, wide, count) if agrees is None else agrees
        if agrees is not False or _without_samples(flat, wide):
            _check_samples(flats[:count], wide, open_[0][1])
    return flat, agrees


def _alone(ports: Sequence[Port], declared: Mapping[str, tuple[Dim, ...]], flat: Flat, count: int,
           run: Callable[[Mapping[str, np.ndarray], int], Flat],
           ) -> tuple[list[dict[str, np.ndarray]], list[Flat]]:
    """``count`` samples, and the graph on each, which ``run`` gives of a sample and its number.
    ``flat``, the graph on any.

    Where all integers are 0, nothing shows that samples are mixed; but perhaps no others are legal.
    """
    high = {port.name: _with_rows(flat, port).high or 2 for port in ports}
    try:
        given = [_given(ports, declared, seed, high) for seed in range(count)]
        return given, [*map(run, given, range(count))]
    except UserError:
        given = [_given(ports, declared, seed) for seed in range(count)]
        return given, [*map(run, given, range(count))]


def _given(ports: Sequence[Port], declared: Mapping[str, tuple[Dim, ...]], seed: int,
           high: Mapping[str, int] | None = None) -> dict[str, np.ndarray]:
    """A sample of each input, another for each ``seed`` where the batch is open. Integers are below
    ``high``, else 0, which indexes any table."""
    return {port.name: _sample(port, seed if _open(port, declared) else 0,
                               (high or {}).get(port.name, 1)) for port in ports}


def _joined(ports: Sequence[Port], declared: Mapping[str, tuple[Dim, ...]],
            given: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Samples as one batch."""
    return {**given[0], **{port.name: np.concatenate([one[port.name] for one in given], port.batch)
                           for port in ports if _open(port, declared)}}


def _open(port: Port, declared: Mapping[str, tuple[Dim, ...]]) -> bool:
    """Whether the size of the input's batch is open."""
    return port.batch is not None and isinstance(declared[port.name][port.batch], str)


def _check_samples(flats: Sequence[Flat], wide: Flat, batch: str) -> None:
    """Raise :class:`BatchSizeError` unless each sample gives the graph's outputs, rows of its own,
    and the recurrent layers what it gives alone; ``flats``, the graph on each, ``wide``, on all of
    them, ``batch``, the name of that in the file.

    Where a scale is measured over the whole batch, or a sample is several sequences, it need not.
    """
    flat = flats[0]
    if _several(flat) or any(step.kind == "DynamicQuantizeLinear" for step in flat.steps):
        return
    read = [name for step in flat.steps if is_recurrent(step.node) for name in step.node.input]
    for name in dict.fromkeys([*read, *flat.outputs]):
        alone, together = [one.values.get(name) for one in flats], wide.values.get(name)
        if together is None or any(one is None for one in alone):
            continue
        rows = name not in flat.outputs or together.size == sum(one.size for one in alone
                                                                if one is not None)
        if not (rows and _of_each([one for one in alone if one is not None], together)):
            shown = quoted(batch)[1:-1]
            raise BatchSizeError(
                f"the tensor {quoted(name)} mixes the samples of a batch ({shown}), and a core "
                f"takes one sample at a time: check which axis is the batch, or fix it with "
                f"--set {shown}=1 (sizes={{{quoted(batch)}: 1}} in Python)", False, batch, [1])


def _of_each(alone: Sequence[np.ndarray], together: np.ndarray) -> bool:
    """Whether a tensor holds what each sample gives ``alone`` along one of its axes, or the same as
    with each."""
    first, count = alone[0], len(alone)
    if first.size == together.size:
        return all(_alike(one, together) for one in alone)
    return first.size * count == together.size and any(
        all(_alike(one.reshape(n, -1), together.reshape(n, count, -1)[:, k])
            for k, one in enumerate(alone))
        for n in dict.fromkeys(np.cumprod([1, *first.shape]).tolist()) if n)


def _without_samples(flat: Flat, wide: Flat) -> bool:
    """Whether more samples give no recurrent layer more timesteps, and some no more sequences:
    what comes before it made one of them all."""
    pairs = [(one, wide.values.get(step.node.input[0]), steps_axis(step.node))
             for step in flat.steps if is_recurrent(step.node)
             for one in [flat.values.get(step.node.input[0])] if one is not None]
    known = [(one.shape, more.shape, axis) for one, more, axis in pairs if more is not None]
    return all(one[axis] == more[axis] for one, more, axis in known) and any(
        one == more for one, more, _ in known)


def _several(flat: Flat) -> bool:
    """Whether one sample is several sequences to a recurrent layer: what was taken for the batch is
    none."""
    return any(x.shape[1 - axis] != 1 for x, axis in _sequences(flat))


def _sequences(flat: Flat) -> list[tuple[np.ndarray, int]]:
    """What recurrent layers read, where that is known, and which axis of it the timesteps are."""
    return [(x, steps_axis(step.node)) for step in flat.steps if is_recurrent(step.node)
            for x in [flat.values.get(step.node.input[0])] if x is not None and x.ndim == 3]


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether arrays differ by no more than the rounding of floats."""
    a, b = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
    largest = np.abs(a[np.isfinite(a)]).max(initial=0)
    return np.allclose(a, b, rtol=0, atol=1e-6 + 1e-3 * largest, equal_nan=True)


def _along_batch(flat: Flat, wide: Flat, count: int) -> bool | None:
    """Whether ``count`` times the samples are that many times the batch of the recurrent layers,
    and no more timesteps; None where no such layer says."""
    inputs = [(flat.values[name], wide.values.get(name), steps_axis(step.node))
              for step in flat.steps if is_recurrent(step.node) for name in step.node.input[:1]]
    found = [one.shape[axis] == more.shape[axis]
             and one.shape[1 - axis] * count == more.shape[1 - axis]
             for one, more, axis in inputs if one is not None and more is not None]
    return all(found) if found else None


def _axes(dims: tuple[Dim, ...], sizes: Sizes) -> list[int | None]:
    """The axes of an input that may be its batch: open ones and those of one sample."""
    return [axis for axis in batch_axes(dims, sizes.timesteps is not None)
            if axis is None or dims[axis] == 1 or isinstance(dims[axis], str)]


def _port(name: str, dims: tuple[Dim, ...], dtype: str, sizes: Sizes, axis: int | None) -> Port:
    shape = sizes.fixed(f"input {quoted(name)}", dims, axis)
    for n in (n for n in shape if isinstance(n, int)):
        check_dim(f"input {quoted(name)}", "an axis", n)
    return Port(name, tuple(1 if k == axis else int(n) for k, n in enumerate(shape)), axis, dtype)


def _sample(port: Port, seed: int, high: int) -> np.ndarray:
    """A sample whose integers are below ``high``."""
    rng = np.random.default_rng(seed)
    if port.dtype.startswith("float"):
        return rng.standard_normal(port.dims).astype(port.dtype)
    return rng.integers(0, high, port.dims).astype(port.dtype)


def _with_rows(flat: Flat, port: Port) -> Port:
    """The port with the rows of the table that its integers index."""
    if port.dtype not in ("int32", "int64"):
        return port
    names, rows = {port.name}, []
    for step in flat.steps:
        read = list(step.node.input)
        if step.kind == "Gather" and len(read) > 1 and read[1] in names:
            table = flat.constants.get(read[0])
            axis = next((a.i for a in step.node.attribute if a.name == "axis"), 0)
            if table is not None and table.ndim > axis >= -table.ndim:
                rows.append(table.shape[axis])
        elif step.kind in _PASSES and read and read[0] in names:
            names.add(step.node.output[0])
    return Port(port.name, port.dims, port.batch, port.dtype, min(rows, default=0))
