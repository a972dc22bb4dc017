"""Every ONNX operator that is read: its network against ONNX' own reference evaluator."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from tests.support.onnx_graphs import check, loaded
from tests.support.onnx_operators import CASES, case


def reference(model: onnx.ModelProto, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of the onnx package's reference evaluator."""
    return ReferenceEvaluator(model).run(None, given)  # type: ignore[return-value]


@pytest.mark.parametrize("name", CASES)
def test_an_operator_computes_what_onnx_says(name, tmp_path):
    model = case(name)
    check(model, loaded(model, tmp_path), reference, scale=3 if "clip" in name else 1)
