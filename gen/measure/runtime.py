"""A quantised model against the runtime it was made for: ONNX Runtime, where it is installed.

Gatefold reads such a file as the float network that it stands for. How far the quantised runtime is
from that network is measured here, for the report.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping

import numpy as np

from gatefold.gen.cut.parts import Host
from gatefold.gen.measure.host import finish
from gatefold.gen.network.forward import forward
from gatefold.gen.network.frames import as_frames, some_samples
from gatefold.gen.network.graph import Network, joined, split

__all__ = ["against_runtime", "note_runtime"]

_MACS = 1_000_000_000  # multiplications that the comparison may take
_MOST = 64  # samples
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
          "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_,
          "tensor(int8)": np.int8, "tensor(uint8)": np.uint8}


class _NotComparedError(Exception):
    """Why there is no comparison."""


def note_runtime(network: Network, path: str | os.PathLike, x,
                 numbers: Mapping[str, int] | None = None) -> None:
    """Add to ``source["quantised"]`` of a network from the quantised file at ``path`` what
    :func:`against_runtime` finds on the calibration data ``x``, or why there is nothing."""
    record = network.source.get("quantised")
    if record is None:
        return
    if x is None:
        record["runtime"] = "not compared: there are no calibration data"
        return
    if network.stateful:
        record["runtime"] = "not compared: the core keeps the state, the file does not"
        return
    try:
        record |= against_runtime(network, path, x, record["shapes"], numbers or {})
    except ImportError:
        record["runtime"] = ("not compared: ONNX Runtime is not installed (pip install "
                             "onnxruntime)")
    except _NotComparedError as error:
        record["runtime"] = f"not compared: {error}"


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    """Whatever ONNX Runtime raises is why there is no comparison."""
    try:
        yield
    except Exception as error:
        raise _NotComparedError(f"ONNX Runtime refuses the file ({type(error).__name__})"
                                ) from error


def against_runtime(network: Network, path: str | os.PathLike, x,
                    shapes: Mapping[str, list[int]], numbers: Mapping[str, int]) -> dict:
    """How far ONNX Runtime's outputs for the samples ``x`` are from the float network's: ``rms``
    and ``max``, and ``relative``, rms over the rms of the runtime's outputs; ``samples``.

    ``x``: frames, or of a model that was cut its own inputs; ``shapes``, of one sample of the
    inputs that the network takes, as the file has them; ``numbers``, inputs that ``--set`` fixed.
    Raises ImportError without ONNX Runtime, and :class:`_NotComparedError`.
    """
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    with _asking():
        session = runtime.InferenceSession(os.fspath(path), options,
                                           providers=["CPUExecutionProvider"])
    types = {one.name: _TYPES.get(one.type) for one in session.get_inputs()}
    if None in types.values():
        raise _NotComparedError("NumPy has no numbers of the type of an input")
    # An input that no node reads need not be given: any number does.
    fixed = {one.name: np.full([1] * len(one.shape), numbers.get(one.name, 1), types[one.name])
             for one in session.get_inputs() if one.name not in shapes}
    samples, y = _of_core(network, x) if network.around is None else _of_host(network, x)
    found = []
    for parts in samples:
        feed = {name: part.reshape(shape).astype(types[name])
                for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        with _asking():
            made = session.run(None, feed | fixed)
        found.append(np.concatenate([part.ravel() for part in made]))
    wanted = np.array(found, np.float64)
    apart = y.reshape(len(wanted), -1) - wanted
    rms = float(np.sqrt(np.mean(apart**2)))
    scale = float(np.sqrt(np.mean(wanted**2)))
    return {"runtime": f"ONNX Runtime {runtime.__version__}", "samples": len(wanted), "rms": rms,
            "max": float(np.abs(apart).max()), "relative": rms / scale if scale else None}


def _of_core(network: Network, x) -> tuple[list, np.ndarray]:
    """The parts of some samples, and what the float network gives of them."""
    x = some_samples(network, as_frames(network, x), _MACS, least=1, most=_MOST)
    y = finish(split(forward(network, x), network.output_shapes), network.host)
    return [*zip(*split(x, network.input_shapes), strict=True)], joined(y)


def _of_host(network: Network, x) -> tuple[list, np.ndarray]:
    """The same of a model that was cut: its own inputs, and its own outputs."""
    assert network.around is not None
    host = Host(network.around)
    inputs = host.inputs(x, "the calibration data")
    count = min(len(inputs[0]), int(np.clip(_MACS // max(1, network.macs), 1, _MOST)))
    inputs = [one[:count] for one in inputs]
    frames, kept = host.before(inputs)
    made = finish(split(forward(network, frames), network.output_shapes), network.host)
    return [*zip(*inputs, strict=True)], joined(host.behind(made, kept))
