"""Limits that a model file is held to before anything it declares is allocated.

They are far above what fits an FPGA's on-chip memory, and low enough that a hostile file of a few
kilobytes cannot ask for gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gatefold.gen.errors import UserError

__all__ = ["FILE_BYTES", "MAX_DIM", "MAX_ELEMENTS", "MAX_NODES", "MAX_ROWS", "READ",
           "check_dim", "check_elements"]

#: The formats that are read, for messages about other files.
READ = ("Gatefold reads Keras .keras and .h5, ONNX .onnx, TensorFlow Lite .tflite, and weights as "
        ".safetensors and .npz")

#: Largest model file, and largest total of a zip's members, in bytes.
FILE_BYTES = 512 << 20
#: Most units, features or timesteps.
MAX_DIM = 1 << 16
#: Most rows of a table of vectors, which stays on the host.
MAX_ROWS = 1 << 22
#: Most nodes of a graph.
MAX_NODES = 20_000
#: Most elements of one tensor.
MAX_ELEMENTS = 1 << 26


def check_dim(where: str, what: str, value: object, most: int = MAX_DIM) -> int:
    """``value`` as an int in 1..most; :class:`UserError` names ``where`` and ``what``."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        shown = value if isinstance(value, int | float) and abs(value) < 1e30 else ascii(value)[:30]
        raise UserError(f"{where}: {what} must be an integer in 1..{most}, not {shown}")
    return value


def check_elements(where: str, shape: Sequence[int], most: int = MAX_ELEMENTS) -> int:
    """Number of elements of ``shape``; raises :class:`UserError` if negative or too large."""
    if any(n < 0 for n in shape) or math.prod(shape) > most:
        raise UserError(f"{where}: a tensor may hold at most {most} elements, but the file "
                        f"declares one of shape {str(tuple(shape))[:60]}: the file is damaged")
    return math.prod(shape)
