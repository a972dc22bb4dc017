"""A quantised model against the runtime it was made for: ONNX Runtime, where it is installed.

Gatefold reads such a file as the float network that it stands for. How far the quantised runtime is
from that network is measured here, for the report.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence

import numpy as np

from gatefold.gen.cut.parts import Host
from gatefold.gen.measure.host import finish
from gatefold.gen.network.forward import forward
from gatefold.gen.network.frames import as_frames, some_samples
from gatefold.gen.network.graph import Network, Shape, joined, split

__all__ = ["against_runtime", "note_runtime"]

_MACS = 1_000_000_000  # multiplications that the comparison may take
_MOST = 64  # samples
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
          "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}


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
        record |= against_runtime(network, path, x, numbers or {})
    except ImportError:
        record["runtime"] = ("not compared: ONNX Runtime is not installed (pip install "
                             "onnxruntime)")
    except Exception as error:  # whatever ONNX Runtime raises
        record["runtime"] = f"not compared: ONNX Runtime refuses the file ({type(error).__name__})"


def against_runtime(network: Network, path: str | os.PathLike, x,
                    numbers: Mapping[str, int]) -> dict:
    """How far ONNX Runtime's outputs for the samples ``x`` are from the float network's: ``rms``
    and ``max``, and ``relative``, rms over the rms of the runtime's outputs; ``samples``.

    ``x``: frames, or of a model that was cut its own inputs; ``numbers``, inputs that ``--set``
    fixed. Raises ImportError without ONNX Runtime, and whatever that raises for the file.
    """
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(os.fspath(path), options,
                                       providers=["CPUExecutionProvider"])
    given = [one for one in session.get_inputs() if one.name not in numbers]
    fixed = {one.name: np.array(numbers[one.name], _TYPES[one.type]).reshape([1] * len(one.shape))
             for one in session.get_inputs() if one.name in numbers}
    samples, y = _of_core(network, x) if network.around is None else _of_host(network, x)
    found = []
    for parts in samples:
        feed = {one.name: part.reshape(_with_batch(one.shape, part.shape)).astype(_TYPES[one.type])
                for one, part in zip(given, parts, strict=True)}
        found.append(np.concatenate([part.ravel() for part in session.run(None, feed | fixed)]))
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


def _with_batch(declared: Sequence[int | str | None], shape: Shape) -> Shape:
    """The ``shape`` of one sample with the axes of one element that the file ``declared`` has."""
    found, left = [], list(shape)
    for n, size in enumerate(declared):
        fits = bool(left) and (size == left[0] or not isinstance(size, int))
        spare = len(declared) - n > len(left)
        found.append(left.pop(0) if fits and not (spare and not isinstance(size, int)) else 1)
    return tuple(found)
