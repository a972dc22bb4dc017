"""The host's parts of a model, run: in NumPy where it knows every operator, else by ONNX Runtime.

Nothing here runs when a core is built, but for calibration: then NumPy alone does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.arrays import read_arrays
from gatefold.gen.frontends.onnx.compute import COMPUTE
from gatefold.gen.frontends.onnx.evaluate import evaluate
from gatefold.gen.frontends.onnx.proto import names_read, read_tensor
from gatefold.gen.network.around import Around, Port
from gatefold.gen.network.frames import as_frames, read_frames
from gatefold.gen.network.graph import Graph, Network, joined, split

__all__ = ["Host", "arrays_read", "frames_given", "frames_read", "random_frames"]

_Tensors = dict[str, np.ndarray]
_RANDOM = 64  # random inputs of a model that was cut, to choose formats from
#: Multiplications of the host that random calibration inputs may take.
_CALIBRATION_MACS = 1 << 32


def frames_given(graph: Graph, around: Around | None, given, what: str) -> np.ndarray:
    """A user's arrays as frames of the core (:func:`as_frames`); of a model that was cut they are
    the model's own inputs, and pass the host's part first."""
    if around is None:
        return as_frames(graph, given, what)
    host = Host(around)
    return host.before(host.inputs(given, what))[0]


def frames_read(graph: Graph, around: Around | None, path: str | os.PathLike,
                what: str) -> np.ndarray:
    """The same of a file (:func:`read_frames`)."""
    if around is None:
        return read_frames(graph, path, what)
    host = Host(around)
    return host.before(host.read(path, what))[0]


def random_frames(around: Around, seed: int) -> np.ndarray:
    """Frames of the core that the host's part makes of seeded random inputs, to choose formats
    from."""
    host = Host(around, runtime=False)
    return host.before(host.random(_RANDOM, seed), random=True)[0]


def arrays_read(network: Network, path: str | os.PathLike, what: str):
    """The arrays in a file, as :func:`frames_given` takes them: frames of the core, or the inputs
    of a model that was cut."""
    if network.around is None:
        return read_frames(network, path, what)
    return Host(network.around).read(path, what)


class _Ports(Graph):
    """The model's own inputs, as :func:`as_frames` wants them."""

    def __init__(self, ports: Sequence[Port]):
        self.input_shapes = tuple(port.shape for port in ports)


class Host:
    """Runs what is around a core.

    Parameters: ``around``; ``runtime``, whether ONNX Runtime may run what NumPy does not know.
    """

    def __init__(self, around: Around, *, runtime: bool = True):
        self.around = around
        self._before = _runner(around.before, runtime)
        self._behind = _runner(around.behind, runtime)

    def read(self, path: str | os.PathLike, what: str = "the input") -> list[np.ndarray]:
        """The model's own inputs in a file: an ``.npy``, or an ``.npz`` with an array for each, by
        the inputs' names or in their order."""
        return self.inputs(read_arrays(path, what),
                           f"{what} {quoted(os.path.basename(os.fspath(path)))}")

    def inputs(self, given, what: str = "the input") -> list[np.ndarray]:
        """A user's arrays as the model's own inputs: an array (samples, *dims) for each.

        Raises :class:`UserError` for other shapes, and for integers outside a table.
        """
        ports = self.around.inputs
        if isinstance(given, Mapping) and set(given) == {port.name for port in ports}:
            given = [given[port.name] for port in ports]
        elif isinstance(given, Mapping) and set(given) > {port.name for port in ports}:
            more = ", ".join(quoted(name) for name in given
                             if name not in {port.name for port in ports})
            raise UserError(f"{what} holds {more} beside the inputs of this core "
                            f"({', '.join(quoted(port.name) for port in ports)}): leave out what "
                            "--set has fixed, and states, which the core keeps (--state-in begins "
                            "with others)")
        if isinstance(given, Mapping | list | tuple) and len(ports) == len(given) == 1:
            given = next(iter(given.values() if isinstance(given, Mapping) else given))
        if len(ports) == 1:
            given = _one_by_one(ports[0], given)
        elif isinstance(given, list | tuple) and len(given) == len(ports):
            given = [_one_by_one(port, one) for port, one in zip(ports, given, strict=True)]
        frames = as_frames(_Ports(ports), given, what)
        found = []
        for port, part in zip(ports, split(frames, _Ports(ports).input_shapes), strict=True):
            if (port.high or not port.dtype.startswith("float")) and (part != np.floor(part)).any():
                raise UserError(f"{what}: input {quoted(port.name)} takes integers, not fractions")
            if port.high and (part.min() < -port.high or part.max() >= port.high):
                raise UserError(f"{what}: input {quoted(port.name)} takes integers in 0.."
                                f"{port.high - 1}, the rows of its table, not "
                                f"{int(part.min())}..{int(part.max())}")
            steps = part == port.mask if port.high else np.all(part == port.mask, axis=-1)
            if port.mask is not None and steps.any():
                raise UserError(f"{what}: {int(steps.sum())} timesteps hold the value "
                                f"{port.mask:g}, which the model masks, and the core takes every "
                                "timestep: give whole sequences, of as many steps as --timesteps")
            found.append(part.reshape(len(part), *port.dims).astype(port.dtype))
        return found

    def random(self, samples: int, seed: int) -> list[np.ndarray]:
        """Seeded inputs: standard normal floats, and integers anywhere in the table that they
        index."""
        rng = np.random.default_rng(seed)
        count = min(samples, max(4, _CALIBRATION_MACS // max(1, self.around.macs[0])))
        found = []
        for port in self.around.inputs:
            shape = (count, *port.dims)
            whole = port.high or not port.dtype.startswith("float")
            drawn = (rng.integers(int(port.mask == 0), port.high or 2, shape) if whole else
                     rng.standard_normal(shape))
            found.append(drawn.astype(port.dtype))
        return found

    def before(self, inputs: Sequence[np.ndarray], *,
               random: bool = False) -> tuple[np.ndarray, list[_Tensors]]:
        """The core's inputs (samples, *its shape) as floats, and for each sample the tensors that
        the part behind the core may need.

        Raises :class:`UserError` for timesteps that the model skips, unless ``inputs`` are
        ``random``.
        """
        kept = []
        for parts in zip(*inputs, strict=True):
            own = dict(zip((port.name for port in self.around.inputs), parts, strict=True))
            kept.append(own | self._before(own))
            for name, number in () if random else self.around.whole:
                if (kept[-1][name] != number).any():
                    raise UserError(
                        f"sample {len(kept) - 1}: the model skips timesteps ({quoted(name)} is not "
                        f"{number} everywhere), and the core takes every one: give whole sequences,"
                        " of as many steps as --timesteps")
        frames = [np.stack([sample[port.name] for sample in kept]).reshape(
            len(kept), *port.shape) for port in self.around.into]
        return joined(frames), kept

    def behind(self, outputs: Sequence[np.ndarray], kept: Sequence[_Tensors]) -> list[np.ndarray]:
        """The model's own outputs, (samples, *shape) each, from the core's."""
        found: list[list[np.ndarray]] = []
        for n, sample in enumerate(kept):
            tensors = sample | {
                port.name: (one[n].reshape(port.dims) if port.dims else one[n][None]).astype(
                    port.dtype)
                for port, one in zip(self.around.out_of, outputs, strict=True)}
            tensors |= self._behind(tensors)
            found.append([tensors[port.name].reshape(port.shape) if port.dims
                          else _without_batch(tensors[port.name]) for port in self.around.outputs])
        return [np.stack(one) for one in zip(*found, strict=True)]


def _without_batch(value: np.ndarray) -> np.ndarray:
    return value[0] if value.ndim else value


def _one_by_one(port: Port, given):
    """Samples in which the model's own batch axis, of one, was kept, without it; a number a sample
    as an array of one; a mask of True and False as numbers."""
    try:
        shape = np.shape(given)
    except ValueError:  # rows of different lengths, which are refused where all inputs are
        return given
    if port.dtype == "bool" and np.asarray(given).dtype == bool:
        given = np.asarray(given, np.uint8)
    of_numbers = port.dims == (1,) and port.batch == 0 and len(shape) == 1
    if of_numbers or len(shape) == len(port.dims) + 1 and shape[1:] == port.dims:
        return np.reshape(given, (len(given), *port.shape))
    return given


def _runner(part: bytes, runtime: bool) -> Callable[[_Tensors], _Tensors]:
    """A function from the tensors that a part reads, among others, to those that it gives."""
    if not part:
        return lambda tensors: {}
    model = onnx.load_model_from_string(part)
    unknown = sorted({node.op_type for node in model.graph.node
                      if node.op_type not in COMPUTE or node.domain not in ("", "ai.onnx")})
    if unknown and runtime:
        return _in_runtime(part, unknown)
    return _in_numpy(model.graph, model.opset_import[0].version)


def _in_numpy(graph: onnx.GraphProto, opset: int) -> Callable[[_Tensors], _Tensors]:
    constants = {tensor.name: read_tensor(tensor) for tensor in graph.initializer}
    outputs = [value.name for value in graph.output]
    last = {name: n for n, node in enumerate(graph.node) for name in names_read(node)}

    def run(tensors: _Tensors) -> _Tensors:
        values = tensors | constants
        for n, node in enumerate(graph.node):
            try:
                with np.errstate(all="ignore"):
                    results = evaluate(node, [values[name] if name else None
                                              for name in node.input], opset)
            except (UserError, ValueError, IndexError, TypeError, KeyError) as error:
                raise UserError(f"the host's node {quoted(node.name)} ({quoted(node.op_type)}): "
                                f"{error}") from None
            values |= {name: value for name, value in zip(node.output, results, strict=False)
                       if name}
            for name in node.input:
                if last.get(name) == n and name not in outputs and name not in constants:
                    values.pop(name, None)
        return {name: values[name] for name in outputs}
    return run


def _in_runtime(part: bytes, unknown: Sequence[str]) -> Callable[[_Tensors], _Tensors]:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"the host's part of this model has operators that only ONNX Runtime "
                        f"computes ({', '.join(quoted(one)[1:-1] for one in unknown[:6])}): "
                        'pip install "gatefold[host]"') from None
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(part, settings, ["CPUExecutionProvider"])
        inputs = [one.name for one in session.get_inputs()]
        outputs = [one.name for one in session.get_outputs()]
    except Exception as error:  # ONNX Runtime raises many kinds
        raise UserError(f"ONNX Runtime cannot read the host's part of this model ({quoted(error)})"
                        ": cut elsewhere with --from and --to") from None

    def run(tensors: _Tensors) -> _Tensors:
        try:
            given = {name: tensors[name] for name in inputs}
            return {name: np.asarray(value) for name, value in
                    zip(outputs, session.run(outputs, given), strict=True)}
        except Exception as error:
            raise UserError(f"ONNX Runtime cannot run the host's part of this model "
                            f"({quoted(error)})") from None
    return run
