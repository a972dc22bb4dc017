"""A quantised model against the runtime it was made for: ONNX Runtime, where it is installed.

Gatefold reads such a file as the float network that it stands for. How far the quantised runtime is
from that network is measured here, for the report.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence

import numpy as np

from gatefold.gen.measure.host import finish
from gatefold.gen.network.forward import forward
from gatefold.gen.network.frames import some_samples
from gatefold.gen.network.graph import Network, Shape, joined, split

__all__ = ["against_runtime", "note_runtime"]

_MACS = 100_000_000  # multiplications that the comparison may take
_MOST = 64  # samples


def note_runtime(network: Network, path: str | os.PathLike, x: np.ndarray | None) -> None:
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
        record |= against_runtime(network, path, x)
    except ImportError:
        record["runtime"] = ("not compared: ONNX Runtime is not installed (pip install "
                             "onnxruntime)")
    except Exception as error:  # whatever ONNX Runtime raises
        record["runtime"] = f"not compared: ONNX Runtime refuses the file ({type(error).__name__})"


def against_runtime(network: Network, path: str | os.PathLike, x: np.ndarray) -> dict:
    """How far ONNX Runtime's outputs for the samples ``x`` are from the float network's: ``rms``
    and ``max``, and ``relative``, rms over the rms of the runtime's outputs; ``samples``.

    Raises ImportError without ONNX Runtime, and whatever that raises for the file.
    """
    runtime = importlib.import_module("onnxruntime")
    x = some_samples(network, x, _MACS, least=1, most=_MOST)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(os.fspath(path), options,
                                       providers=["CPUExecutionProvider"])
    types = {"tensor(float)": np.float32, "tensor(double)": np.float64,
             "tensor(float16)": np.float16}
    given = session.get_inputs()
    found = []
    for parts in zip(*split(x, network.input_shapes), strict=True):
        feed = {one.name: part.reshape(_with_batch(one.shape, part.shape)).astype(types[one.type])
                for one, part in zip(given, parts, strict=True)}
        found.append(np.concatenate([y.ravel() for y in session.run(None, feed)]))
    wanted = np.array(found, np.float64)
    y = joined(finish(split(forward(network, x), network.output_shapes), network.host))
    apart = y.reshape(len(x), -1) - wanted
    rms = float(np.sqrt(np.mean(apart**2)))
    scale = float(np.sqrt(np.mean(wanted**2)))
    return {"runtime": f"ONNX Runtime {runtime.__version__}", "samples": len(x), "rms": rms,
            "max": float(np.abs(apart).max()), "relative": rms / scale if scale else None}


def _with_batch(declared: Sequence[int | str | None], shape: Shape) -> Shape:
    """The ``shape`` of one sample with the axes of one element that the file ``declared`` has."""
    found, left = [], list(shape)
    for n, size in enumerate(declared):
        fits = bool(left) and (size == left[0] or not isinstance(size, int))
        spare = len(declared) - n > len(left)
        found.append(left.pop(0) if fits and not (spare and not isinstance(size, int)) else 1)
    return tuple(found)
