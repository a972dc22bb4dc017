"""ONNX models: not yet."""

from __future__ import annotations

from ..errors import UserError
from ..network import Network

__all__ = ["parse"]


def parse(data: bytes, name: str) -> Network:
    """Refuse: ONNX is not read yet."""
    raise UserError(f"{name} is not a .keras file, and ONNX is not read yet")
