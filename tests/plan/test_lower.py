"""Layers become ops in one place: later modules do not depend on the kind of a layer."""

import ast

import numpy as np
import pytest

from gatefold.gen.plan.lower import lower
from gatefold.gen.plan.lowered import picking
from tests.support.networks import NETWORKS, quantized
from tests.support.places import ROOT

#: Modules of the plan that look at the kind of a layer.
LOOK = {"lower", "lower_dense", "lower_merge", "lower_recurrent", "lowered", "kinds", "demand"}
MODULES = sorted((ROOT / "gen" / "plan").glob("*.py"))


def layer_names(path):
    """Names of layer classes that a module imports."""
    return {alias.name for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gatefold.gen")
            for alias in node.names if alias.name[0] == "Q" and alias.name[1].isupper()
            and not alias.name.isupper() and alias.name != "QFormat"}


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in MODULES])
def test_only_lowering_looks_at_the_kind_of_a_layer(path):
    assert bool(layer_names(path)) == (path.stem in LOOK)


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_of_an_op(name):
    qnet = quantized(name)
    for op in lower(qnet, 8, 3).ops:
        steps = len(op.sizes)
        assert op.bias.shape == (op.size, op.rows) and 0 < max(op.sizes) <= op.size
        for part in op.parts:
            assert part.matrix.shape[:2] == (op.size, op.rows) and len(part.steps) == steps
            assert all(vector is None or vector.shape == part.matrix.shape[2:]
                       for vector in part.steps)
            assert part.pattern is None or not part.matrix[~part.pattern].any()
        assert op.written is None or op.written.shape == (steps, op.size)
        assert op.traced is None or op.traced.shape == (steps, op.size)


# pe, simd, the ops of a GRU of 12 units with 3 features: rows of an element
#   8 x 3: one op has 6 groups, and each of four has 2, which meet 3/4 of the chunks
#   12 x 3: 4 groups; 1
GRUS = [(8, 3, [4]), (12, 3, [1, 1, 1, 1]), (16, 2, [4]), (48, 3, [4]), (4, 1, [1, 1, 1, 1])]


@pytest.mark.parametrize(("pe", "simd", "rows"), GRUS)
def test_a_gru_takes_four_ops_where_these_have_fewer_tiles(pe, simd, rows):
    qnet = quantized(((4, 3), ("G12",)))
    ops = lower(qnet, pe, simd).ops
    assert [op.rows for op in ops] == rows
    assert [op.asides for op in ops] == [()] * (len(ops) - 1) + [(0, 1, 2) if len(ops) == 4 else ()]


def test_a_gru_whose_input_repeats_meets_it_once():
    assert [op.rows for op in lower(quantized(((3,), ("R4", "G12"))), 8, 3).ops] == [4]


def test_rows_pick_elements_of_vectors_side_by_side():
    part = picking(3, 2, np.arange(12).reshape(2, 6))
    vector = np.array([10, 20, 30, 1, 2, 3])
    assert (part.matrix @ vector).tolist() == [[10, 1], [20, 2], [30, 3]]
    assert [step.tolist() for step in part.steps] == [[*range(6)], [*range(6, 12)]]
