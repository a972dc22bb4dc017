"""Cells written out as operators: one LSTM or GRU again, or whatever else they compute."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from gatefold.gen.cut.parts import Host
from gatefold.gen.errors import UserError
from gatefold.gen.frontends.onnx.written_rnn import gathered_rnn
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import split as parts_of
from tests.support.onnx_graphs import graph, kinds, loaded, node, refusal

RNG = np.random.default_rng(5)
UNITS, FEATURES = 4, 3
W, R = (RNG.standard_normal((4 * UNITS, n)).astype(np.float32) for n in (FEATURES, UNITS))
CONSTANTS = {
    "W": W, "R": R, "Wt": W.T, "Rt": R.T, "WR": np.concatenate([W, R], 1).T,
    "b": RNG.standard_normal(4 * UNITS).astype(np.float32),
    "b2": RNG.standard_normal(4 * UNITS).astype(np.float32),
    "b row": RNG.standard_normal((1, 4 * UNITS)).astype(np.float32), "none": np.zeros_like(W),
    "zero": np.zeros((2, UNITS), np.float32), "quarter": np.array([UNITS] * 4),
    "one": np.array([1]), **{f"at{n}": np.array([n * UNITS]) for n in range(5)},
    **{f"t{n}": np.array(n) for n in range(3)}}


def gemms(x, h, to):
    return [node("Gemm", x, "W", "b", output=f"{to}x", transB=1),
            node("Gemm", h, "R", "b2", output=f"{to}h", transB=1),
            node("Add", f"{to}h", f"{to}x", output=to)]


def gemms_of_rows(x, h, to):
    """A bias may be a row, and may be left out by an empty name."""
    return [node("Gemm", x, "W", "b", output=f"{to}x", transB=1),
            node("Gemm", x, "none", "", output=f"{to}n", transB=1),
            node("Gemm", h, "R", "b row", output=f"{to}h", transB=1),
            node("Add", f"{to}n", f"{to}x", output=f"{to}nx"),
            node("Add", f"{to}h", f"{to}nx", output=to)]


def matmuls(x, h, to):
    return [node("MatMul", x, "Wt", output=f"{to}x"), node("MatMul", h, "Rt", output=f"{to}h"),
            node("Add", f"{to}x", f"{to}h", output=f"{to}s"), node("Add", "b", f"{to}s", output=to)]


def joined(x, h, to):
    return [node("Concat", x, h, output=f"{to}j", axis=1),
            node("Gemm", f"{to}j", "WR", "b", output=to)]


def split(z):
    return [node("Split", z, "quarter", output=[f"{z}{gate}" for gate in "ifgo"], axis=1)]


def slices(z):
    return [node("Slice", z, f"at{n}", f"at{n + 1}", "one", output=f"{z}{gate}")
            for n, gate in enumerate("ifgo")]


def cell(x, h, c, k, sums, parts):
    """The nodes of a step, which makes ``h{k}`` and ``c{k}``."""
    z = f"z{k}"
    return [*sums(x, h, z), *parts(z),
            *(node("Sigmoid", f"{z}{gate}", output=f"{gate}{k}", name=f"{gate}{k}")
              for gate in "ifo"),
            node("Tanh", f"{z}g", output=f"g{k}", name=f"g{k}"),
            node("Mul", f"f{k}", c, output=f"k{k}", name=f"k{k}"),
            node("Mul", f"i{k}", f"g{k}", output=f"n{k}", name=f"n{k}"),
            node("Add", f"k{k}", f"n{k}", output=f"c{k}", name=f"c{k}"),
            node("Tanh", f"c{k}", output=f"t{k}h", name=f"t{k}h"),
            node("Mul", f"o{k}", f"t{k}h", output=f"h{k}", name=f"h{k}")]


def steps(sums, parts, order=(0, 1, 2)):
    """Three steps from zeros, whose last h is the result."""
    nodes, h, c = [], "zero", "zero"
    for k in order:
        nodes += [node("Gather", "x", f"t{k}", output=f"x{k}", axis=1),
                  *cell(f"x{k}", h, c, k, sums, parts)]
        h, c = f"h{k}", f"c{k}"
    return [*nodes, node("Identity", h, output="y")]


def of(nodes):
    return graph(nodes, shape=(2, 3, FEATURES), constants=CONSTANTS)


def wanted(model, **given):
    return ReferenceEvaluator(model).run(None, given)


@pytest.mark.parametrize("sums, parts, order", [
    (gemms, split, (0, 1, 2)), (matmuls, slices, (0, 1, 2)), (joined, split, (0, 1, 2)),
    (gemms, slices, (2, 1, 0)), (gemms_of_rows, split, (0, 1, 2))],
    ids=["Gemm", "MatMul", "joined", "backwards", "a row as bias"])
def test_steps_that_follow_one_another_are_one_layer(tmp_path, sums, parts, order):
    model = of(steps(sums, parts, order))
    network = loaded(model, tmp_path)
    assert [kind for kind in kinds(network) if kind != "reverse"] == ["lstm/last"]
    x = RNG.standard_normal((2, 3, FEATURES)).astype(np.float32)
    np.testing.assert_allclose(forward(network, x), wanted(model, x=x)[0], rtol=1e-5, atol=1e-6)


def test_a_step_whose_state_goes_in_and_out_is_a_layer_with_a_state(tmp_path):
    model = graph([*cell("x", "h", "c", 0, gemms, split), node("Identity", "h0", output="y")],
                  shape=("batch", FEATURES), inputs={"h": ("batch", UNITS), "c": ("batch", UNITS)},
                  outputs=("y", "h0", "c0"), constants=CONSTANTS)
    network = loaded(model, tmp_path, states="auto")
    assert [layer.stateful for layer in network.layers if layer.kind == "lstm"] == [True]
    assert len(network.input_shapes) == len(network.output_shapes) == 1


def test_near_misses_are_never_taken_for_a_cell(tmp_path):
    others = {"Sigmoid": "Tanh", "Tanh": "Sigmoid", "Mul": "Add", "Add": "Mul"}
    names = [f"{one}1" for one in "ifogknch"] + ["t1h"]
    x = RNG.standard_normal((2, 3, FEATURES)).astype(np.float32)
    for name in names:
        model = of(steps(gemms, split))
        changed = next(one for one in model.graph.node if one.name == name)
        changed.op_type = others[changed.op_type]
        with contextlib.suppress(UserError):
            np.testing.assert_allclose(forward(loaded(model, tmp_path), x), wanted(model, x=x)[0],
                                       rtol=1e-5, atol=1e-6, err_msg=name)


def feeding_back(k, h):
    """x of a step: the network's own last result."""
    return node("Gather", "x", "t0", output="x0", axis=1) if k == 0 else \
        node("MatMul", h, "back", output=f"x{k}")


def behind_h(x, h, to):
    return [node("Concat", h, x, output=f"{to}j", axis=1),
            node("Gemm", f"{to}j", "RW", "b", output=to)]


@pytest.mark.parametrize("sums, fed", [(gemms, True), (behind_h, False)],
                         ids=["a decoder that reads its own results", "h joined before x"])
def test_what_is_no_layer_stays_operators(tmp_path, sums, fed):
    """One layer would need every x before it begins, and its widths must be known."""
    nodes, h, c = [], "zero", "zero"
    for k in range(3):
        x_k = feeding_back(k, h) if fed else node("Gather", "x", f"t{k}", output=f"x{k}", axis=1)
        nodes += [x_k, *cell(f"x{k}", h, c, k, sums, split)]
        h, c = f"h{k}", f"c{k}"
    model = graph([*nodes, node("Identity", h, output="y")], shape=(2, 3, FEATURES), constants={
        **CONSTANTS, "RW": np.concatenate([R, W], 1).T,
        "back": RNG.standard_normal((UNITS, FEATURES)).astype(np.float32)})
    x = RNG.standard_normal((2, 3, FEATURES)).astype(np.float32)
    np.testing.assert_allclose(forward(loaded(model, tmp_path), x), wanted(model, x=x)[0],
                               rtol=1e-5, atol=1e-6)


GRU = {"Wg": RNG.standard_normal((3 * UNITS, FEATURES)).astype(np.float32),
       "Rg": RNG.standard_normal((3 * UNITS, UNITS)).astype(np.float32),
       "bg": RNG.standard_normal(3 * UNITS).astype(np.float32),
       "bg2": RNG.standard_normal(3 * UNITS).astype(np.float32),
       "third": np.array([UNITS] * 3), "1": np.ones((), np.float32), "zero": CONSTANTS["zero"],
       **{f"t{n}": np.array(n) for n in range(3)}, "three": np.array(3), "two": np.array([2]),
       "axis1": np.array(1), "at0": np.array([0]), "axes1": np.array([1])}
GRU |= {"WRzr": np.concatenate([GRU["Wg"][:2 * UNITS], GRU["Rg"][:2 * UNITS]], 1).T,
        "bzr": GRU["bg"][:2 * UNITS], "half": np.array([UNITS] * 2),
        "WRn": np.concatenate([GRU["Wg"][2 * UNITS:], GRU["Rg"][2 * UNITS:]], 1).T,
        "bn": GRU["bg"][2 * UNITS:]}


def chunks(z):
    """Thirds whose bounds are computed from the shape, as torch's exporter writes a chunk."""
    nodes = [node("Shape", z, output=f"{z}s"), node("Gather", f"{z}s", "axis1", output=f"{z}w"),
             node("Add", f"{z}w", "t2", output=f"{z}a"),
             node("Div", f"{z}a", "three", output=f"{z}u")]
    nodes += [node("Mul", f"{z}u", name, output=f"{z}at{n}") for n, name in
              enumerate(("t1", "t2", "three"), 1)]
    nodes += [node("Unsqueeze", f"{z}at{n}", "at0", output=f"{z}b{n}") for n in (1, 2, 3)]
    bounds = ["at0", *(f"{z}b{n}" for n in (1, 2, 3))]
    return nodes + [node("Slice", z, bounds[n], bounds[n + 1], "axes1", output=f"{z}{gate}")
                    for n, gate in enumerate("rzn")]


def thirds(z):
    return [node("Split", z, "third", output=[f"{z}{gate}" for gate in "rzn"], axis=1)]


def mix(k, h, form):
    """h' of z and n, where ``form`` says what z stands for."""
    z, n = f"z{k}", f"n{k}"
    if form == "difference":
        return [node("Sub", h, n, output=f"d{k}"), node("Mul", f"d{k}", z, output=f"e{k}"),
                node("Add", f"e{k}", n, output=f"h{k}", name=f"h{k}")]
    keep, new = (z, f"m{k}") if form == "z keeps" else (f"m{k}", z)
    return [node("Sub", "1", z, output=f"m{k}"), node("Mul", keep, h, output=f"e{k}", name=f"e{k}"),
            node("Mul", new, n, output=f"f{k}", name=f"f{k}"),
            node("Add", f"f{k}", f"e{k}", output=f"h{k}", name=f"h{k}")]


def gru_cell(x, h, k, parts, form):
    """A step of nn.GRUCell, which resets the product with h."""
    a, b = f"a{k}", f"b{k}"
    return [node("Gemm", x, "Wg", "bg", output=a, transB=1),
            node("Gemm", h, "Rg", "bg2", output=b, transB=1), *parts(a), *parts(b),
            *(n for gate in "rz" for n in (
                node("Add", a + gate, b + gate, output=f"{gate}s{k}"),
                node("Sigmoid", f"{gate}s{k}", output=f"{gate}{k}", name=f"{gate}{k}"))),
            node("Mul", f"r{k}", f"{b}n", output=f"p{k}", name=f"p{k}"),
            node("Add", f"{a}n", f"p{k}", output=f"q{k}", name=f"q{k}"),
            node("Tanh", f"q{k}", output=f"n{k}", name=f"n{k}"), *mix(k, h, form)]


def early_gru(x, h, k, _parts, form):
    """A step of a cell of one's own on joined operands, which resets h."""
    return [node("Concat", x, h, output=f"j{k}", axis=1),
            node("Gemm", f"j{k}", "WRzr", "bzr", output=f"g{k}"),
            node("Split", f"g{k}", "half", output=[f"rs{k}", f"zs{k}"], axis=1),
            node("Sigmoid", f"rs{k}", output=f"r{k}"), node("Sigmoid", f"zs{k}", output=f"z{k}"),
            node("Mul", f"r{k}", h, output=f"p{k}"),
            node("Concat", x, f"p{k}", output=f"i{k}", axis=1),
            node("Gemm", f"i{k}", "WRn", "bn", output=f"q{k}"),
            node("Tanh", f"q{k}", output=f"n{k}"), *mix(k, h, form)]


def gru_steps(cell, parts, form):
    nodes, h = [], "zero"
    for k in range(3):
        nodes += [node("Gather", "x", f"t{k}", output=f"x{k}", axis=1),
                  *cell(f"x{k}", h, k, parts, form)]
        h = f"h{k}"
    return graph([*nodes, node("Identity", h, output="y")], shape=(2, 3, FEATURES), constants=GRU)


@pytest.mark.parametrize("cell, parts, form", [
    (gru_cell, thirds, "z keeps"), (gru_cell, chunks, "z keeps"), (gru_cell, thirds, "z renews"),
    (gru_cell, chunks, "difference"), (early_gru, None, "z keeps"), (early_gru, None, "z renews")])
def test_steps_of_a_gru_that_follow_one_another_are_one_layer(tmp_path, cell, parts, form):
    model = gru_steps(cell, parts, form)
    network = loaded(model, tmp_path)
    assert kinds(network) == ["gru/last"]
    x = RNG.standard_normal((2, 3, FEATURES)).astype(np.float32)
    np.testing.assert_allclose(forward(network, x), wanted(model, x=x)[0], rtol=1e-5, atol=1e-6)


def test_a_step_of_a_gru_whose_state_goes_in_and_out_is_a_layer_with_a_state(tmp_path):
    model = graph([*gru_cell("x", "h", 0, chunks, "z keeps"), node("Identity", "h0", output="y")],
                  shape=("batch", FEATURES), inputs={"h": ("batch", UNITS)}, outputs=("y", "h0"),
                  constants=GRU)
    network = loaded(model, tmp_path, states="auto")
    assert [layer.stateful for layer in network.layers if layer.kind == "gru"] == [True]


@pytest.mark.parametrize("name", ["r1", "z1", "n1", "p1", "q1", "e1", "f1", "h1"])
def test_near_misses_are_never_taken_for_a_gru(tmp_path, name):
    others = {"Sigmoid": "Tanh", "Tanh": "Sigmoid", "Mul": "Add", "Add": "Mul"}
    model = gru_steps(gru_cell, thirds, "z keeps")
    changed = next(one for one in model.graph.node if one.name == name)
    changed.op_type = others[changed.op_type]
    x = RNG.standard_normal((2, 3, FEATURES)).astype(np.float32)
    with contextlib.suppress(UserError):
        np.testing.assert_allclose(forward(loaded(model, tmp_path), x), wanted(model, x=x)[0],
                                   rtol=1e-5, atol=1e-6)


# ---- nn.RNN, whose steps torch.onnx's dynamo exporter writes out, behind what the host computes

STEPS = 4
RNN = {"in": RNG.standard_normal((FEATURES, UNITS)).astype(np.float32),
       "back": RNG.standard_normal((UNITS, UNITS)).astype(np.float32),
       "of h": RNG.standard_normal(UNITS).astype(np.float32),
       "b": RNG.standard_normal(UNITS).astype(np.float32), "axis": np.array([0]),
       "nought": np.array(0, np.float32), "units": np.array([UNITS]), "first": np.array(0),
       **{f"at{t}": np.array([t]) for t in range(STEPS + 1)}, **{
           f"t{t}": np.array(t) for t in range(STEPS)}}


def rnn(kind="Tanh", batch=2, backwards=False, gather=False):
    """An RNN of features that a host makes, from zeros."""
    nodes = [node("Sin", "x", output="e"), node("Transpose", "e", output="xt", perm=[1, 0, 2]),
             node("MatMul", "xt", "in", output="m"), node("Add", "m", "b", output="s", name="s")]
    if batch == "N":  # zeros of the size of the batch
        nodes += [node("Shape", "x", output="n3"),
                  node("Gather", "n3", "axis", output="n"),
                  node("Concat", "at1", "n", "units", output="of", axis=0),
                  node("Expand", "nought", "of", output="h")]
    h, order = "h", [*range(STEPS)][::-1 if backwards else 1]
    for t in order:
        nodes += ([node("Gather", "s", f"t{t}", output=f"s{t}", axis=0)] if gather else
                  [node("Slice", "s", f"at{t}", f"at{t + 1}", "axis", output=f"p{t}"),
                   node("Squeeze", f"p{t}", "axis", output=f"s{t}")])
        sums = "of h" if h == "h" and batch != "N" else f"r{t}"
        if sums != "of h":
            nodes += [node("MatMul", h, "back", output=f"k{t}"),
                      node("Add", f"k{t}", "of h", output=f"r{t}", name=f"r{t}")]
        nodes += [node("Add", sums, f"s{t}", output=f"z{t}", name=f"z{t}"),
                  node(kind, f"z{t}", output=f"h{t}", name=f"h{t}")]
        h = f"h{t}"
    if batch == "N":
        nodes += [node("Concat", *(f"h{t}" for t in range(STEPS)), output="y", axis=0)]
    else:
        nodes += [node("Unsqueeze", f"h{t}", "axis", output=f"u{t}") for t in range(STEPS)]
        nodes += [node("Concat", *(f"u{t}" for t in range(STEPS)), output="y", axis=0)]
    return graph(nodes, shape=(batch, STEPS, FEATURES), constants=RNN)


def of_host_and_core(network, x):
    """h of each step, (samples, steps, units)."""
    host = Host(network.around)
    frames, kept = host.before(host.inputs(x))
    (found,) = host.behind(parts_of(forward(network, frames), network.output_shapes), kept)
    return found.reshape(len(x), STEPS, UNITS)


@pytest.mark.parametrize("options", [
    {}, {"batch": "N"}, {"backwards": True}, {"gather": True}, {"kind": "Relu"},
    {"batch": "N", "backwards": True, "gather": True, "kind": "Relu"}],
    ids=["plain", "open batch", "backwards", "Gather", "Relu", "all"])
def test_steps_of_an_rnn_behind_the_host_are_one_layer(tmp_path, options):
    options = {"batch": 1} | options
    network = loaded(rnn(**options), tmp_path, cut="auto")
    assert [kind for kind in kinds(network) if kind.startswith("rnn")] in (["rnn"], ["rnn/last"])
    x = RNG.standard_normal((3, STEPS, FEATURES)).astype(np.float32)
    model = rnn(**options | {"batch": "N"})
    (expected,) = wanted(model, x=x)
    np.testing.assert_allclose(of_host_and_core(network, x), expected.swapaxes(0, 1), atol=1e-5)


@pytest.mark.parametrize("batch", [1, "N"])
def test_near_misses_of_a_step_are_never_taken_for_an_rnn(tmp_path, batch):
    others = {"Tanh": "Sigmoid", "Add": "Mul"}
    x = RNG.standard_normal((1, STEPS, FEATURES)).astype(np.float32)
    seen = 0
    for name in [f"{one}{t}" for one in "hrz" for t in range(STEPS)]:
        model = rnn(batch=batch)
        changed = [one for one in model.graph.node if one.name == name]
        for one in changed:
            one.op_type = others[one.op_type]
        with contextlib.suppress(UserError):
            network = loaded(model, tmp_path, cut="auto")
            expected = wanted(model, x=x)[0].swapaxes(0, 1)
            np.testing.assert_allclose(of_host_and_core(network, x), expected, atol=1e-5,
                                       err_msg=name)
            seen += bool(changed)
    assert seen


def projected(*between, source="s", steps=STEPS, first=0, at=1, batch=1, **constants):
    """An RNN from zeros of a sequence (batch, steps, features) that is projected; ``between``,
    nodes that make ``source`` of "m", its product with W."""
    nodes, sums = [node("Sin", "x", output="e")], "of h"
    if at == 0:
        nodes += [node("Transpose", "e", output="f", perm=[1, 0, 2])]
    nodes += [node("MatMul", "e" if at else "f", "in", output="m"), *between]
    for t in range(first, STEPS):
        if t > first:
            nodes += [node("MatMul", f"h{t - 1}", "back", output=f"k{t}"),
                      node("Add", f"k{t}", "of h", output=f"r{t}")]
            sums = f"r{t}"
        nodes += [node("Gather", source, f"t{t}", output=f"s{t}", axis=at),
                  node("Add", sums, f"s{t}", output=f"z{t}"),
                  node("Tanh", f"z{t}", output=f"h{t}")]
    nodes.append(node("Identity", f"h{STEPS - 1}", output="y"))
    return graph(nodes, shape=(batch, steps, FEATURES), constants=RNN | constants)


def bias(*shape):
    """An Add of constants of this shape, and a name for them."""
    return node("Add", "m", "c", output="s"), RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("batch", [1, "N"])
@pytest.mark.parametrize("shape", [(STEPS, 1, 1), (STEPS, 1, UNITS), (1, 1, UNITS), (UNITS,)])
def test_a_bias_of_each_step_is_none_of_each_unit(tmp_path, shape, batch):
    """The number of steps is that of units here."""
    assert STEPS == UNITS
    between, c = bias(*shape)
    model = projected(between, at=0, batch=batch, c=c)
    x = RNG.standard_normal((1, STEPS, FEATURES)).astype(np.float32)
    network = loaded(model, tmp_path, cut="auto")
    assert any(kind.startswith("rnn") for kind in kinds(network))
    np.testing.assert_allclose(around_core(network, x), wanted(model, x=x)[0], atol=1e-5)


@pytest.mark.parametrize("start", [0, 2, -STEPS])
def test_steps_of_a_projected_sequence_are_no_units(tmp_path, start):
    cut = node("Slice", "m", "start", "end", "along", output="s")
    model = projected(cut, steps=STEPS + 2, start=np.array([start]), along=np.array([1]),
                      end=np.array([start + STEPS or 1 << 40]))
    x = RNG.standard_normal((1, STEPS + 2, FEATURES)).astype(np.float32)
    network = loaded(model, tmp_path, cut="auto")
    np.testing.assert_allclose(around_core(network, x), wanted(model, x=x)[0], atol=1e-5)


def around_core(network, x):
    """The result of host and core."""
    host = Host(network.around)
    frames, kept = host.before(host.inputs(x))
    return host.behind(parts_of(forward(network, frames), network.output_shapes), kept)[0]


def in_parallel(axis, count=4):
    """RNNs of one sequence from zeros (1, N, units) of an open batch, their last h joined."""
    nodes = [node("Sin", "x", output="e"), node("Transpose", "e", output="xt", perm=[1, 0, 2]),
             node("MatMul", "xt", "in", output="s"), node("Shape", "x", output="n3"),
             node("Gather", "n3", "axis", output="n"),
             node("Concat", "at1", "n", "units", output="of", axis=0),
             node("Expand", "nought", "of", output="nil")]
    for k in range(count):
        h = f"nil{k}"
        nodes.append(node("Identity", "nil", output=h))
        for t in range(STEPS)[::1 if k % 2 else -1]:
            nodes += [node("Gather", "s", f"t{t}", output=f"s{k}{t}", axis=0),
                      node("MatMul", h, "back", output=f"k{k}{t}"),
                      node("Add", f"k{k}{t}", "of h", output=f"r{k}{t}"),
                      node("Add", f"r{k}{t}", f"s{k}{t}", output=f"z{k}{t}"),
                      node("Tanh", f"z{k}{t}", output=f"h{k}{t}")]
            h = f"h{k}{t}"
        nodes.append(node("Identity", h, output=f"last{k}"))
    nodes.append(node("Concat", *(f"last{k}" for k in range(count)), output="y", axis=axis))
    return graph(nodes, shape=("N", STEPS, FEATURES), constants=RNN)


def test_h_keeps_the_axes_of_the_state_from_which_it_starts(tmp_path):
    """Joined along the last of three axes, which two would not have."""
    model = in_parallel(axis=2)
    x = RNG.standard_normal((3, STEPS, FEATURES)).astype(np.float32)
    found = around_core(loaded(model, tmp_path, cut="auto"), x)
    np.testing.assert_allclose(found.reshape(3, -1), wanted(model, x=x)[0][0], atol=1e-5)


def test_layers_come_in_the_order_of_the_file(tmp_path):
    """Whatever Python's seed for the hashes of names is."""
    model = in_parallel(axis=2, count=8)
    gathered_rnn(model.graph, {t.name: numpy_helper.to_array(t) for t in model.graph.initializer})
    order = [one.output[0] for one in model.graph.node if one.op_type == "RNN"]
    assert order == [f"h{k}{STEPS - 1 if k % 2 else 0}/RNN/y" for k in range(8)]


def test_steps_that_make_one_tensor_twice_end(tmp_path):
    """As a chain they go round: h1, h2, h1."""
    model = projected(source="m")
    for one in model.graph.node:
        if one.output[0] == "h3":
            one.output[0] = "h1"
    assert "the tensor 'h1' is defined twice" in refusal(model, tmp_path, cut="auto")


def test_there_may_be_many_layers_but_not_any_number(tmp_path):
    words = refusal(in_parallel(axis=2, count=257), tmp_path, cut="auto")
    assert "257 recurrent layers step by step, and at most 256" in words
