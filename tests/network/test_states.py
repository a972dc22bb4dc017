"""States that a model's caller hands back: found by their use, and kept by the network itself."""

from __future__ import annotations

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network, joined, split
from gatefold.gen.network.layers import CellState, Dense, Gru, Lstm, Recurrent, Rnn
from gatefold.gen.network.states import PORTS, carry
from gatefold.gen.network.views import Concat, Reshape, Slice

FEATURES, UNITS = 3, 4
KINDS = {"lstm": (Lstm, 4), "gru": (Gru, 3), "rnn": (Rnn, 1)}


def layer(kind: str, inputs: tuple[int, ...], features: int = FEATURES, *,
          sequences: bool = True) -> Recurrent:
    """A recurrent layer with seeded weights."""
    cls, gates = KINDS[kind]
    random = np.random.default_rng(features)
    more = {"reset_after": True} if kind == "gru" else {}
    return cls(units=UNITS, w_ih=random.normal(size=(gates * UNITS, features)), inputs=inputs,
               w_hh=random.normal(size=(gates * UNITS, UNITS)), return_sequences=sequences,
               b=random.normal(size=gates * UNITS), **more)


def dense(inputs: tuple[int, ...], features: int = UNITS) -> Dense:
    """A Dense layer with seeded weights."""
    return Dense(w=np.random.default_rng(9).normal(size=(2, features)), b=np.ones(2), inputs=inputs)


def streaming(kind: str, steps: int) -> Network:
    """x and the states; Dense of every h, the last states."""
    cell = kind == "lstm"
    shapes = ((steps, FEATURES),) + ((UNITS,),) * (1 + cell)
    h = len(shapes)
    layers = [layer(kind, tuple(range(h))), dense((h,)),
              Slice(inputs=(h,), axis=0, start=-1, drop=True)]
    layers += [CellState(inputs=(h,), units=UNITS)] * cell
    return Network(shapes, tuple(layers), outputs=(h + 1, h + 2, h + 3)[:2 + cell])


def stacked() -> Network:
    """Two LSTMs whose four states are one input (2, 2, units), and one output behind the result."""
    picked = [Reshape(inputs=(1,), shape=(4, UNITS))]
    picked += [Slice(inputs=(2,), axis=0, start=n, drop=True) for n in range(4)]
    h = 2 + len(picked)
    layers = [*picked, layer("lstm", (0, 3, 4)), layer("lstm", (h, 5, 6), UNITS),
              Slice(inputs=(h,), axis=0, start=-1, drop=True), CellState(inputs=(h,), units=UNITS),
              Slice(inputs=(h + 1,), axis=0, start=-1, drop=True),
              CellState(inputs=(h + 1,), units=UNITS), Concat(
                   inputs=tuple(range(h + 2, h + 6)), axis=0)]
    return Network(((5, FEATURES), (2, 2, UNITS)), tuple(layers), outputs=(h + 1, h + 6))


def handed_back(network: Network, x: np.ndarray) -> np.ndarray:
    """The first output (samples, ...) where a caller hands the others back as inputs."""
    states = [np.zeros((1, *shape)) for shape in network.input_shapes[1:]]
    found = []
    for one in x:
        y, *states = split(forward(network, joined([one[None], *states])), network.output_shapes)
        states = [state.reshape(1, *shape) for state, shape in zip(
            states, network.input_shapes[1:], strict=True)]
        found.append(y)
    return np.concatenate(found)


@pytest.mark.parametrize("network", [
    *(streaming(kind, steps) for kind in KINDS for steps in (1, 5)), stacked()],
    ids=[*(f"{kind}, {steps} steps" for kind in KINDS for steps in (1, 5)), "stacked"])
def test_the_network_keeps_what_its_caller_handed_back(network):
    carried = carry(network)
    assert len(carried.input_shapes) == len(carried.outputs) == 1 and carried.stateful
    x = np.random.default_rng(0).normal(size=(4, *network.input_shapes[0]))
    np.testing.assert_allclose(forward(carried, x), handed_back(network, x), atol=1e-12)
    assert all(set(pair) == {"output", "input"} for pair in carried.source["states"])


def test_a_cell_returns_its_states_alone():
    """Then h is the result, and stays an output."""
    network = Network(((1, FEATURES), (UNITS,), (UNITS,)), (
        layer("lstm", (0, 1, 2), sequences=False), CellState(inputs=(3,), units=UNITS)),
        outputs=(3, 4))
    carried = carry(network)
    assert carried.stateful and carried.output_shapes == ((UNITS,),)


def reordered() -> Network:
    """h comes out in another order than it goes in."""
    last = layer("gru", (0, 1), sequences=False)
    turned = Slice(inputs=(2,), axis=0, start=-1, stop=None, step=-1)
    return Network(((5, FEATURES), (UNITS,)), (last, turned, dense((2,))), outputs=(4, 3))


def read_elsewhere() -> Network:
    """A Dense layer reads the initial state too."""
    return Network(((5, FEATURES), (UNITS,)), (layer("gru", (0, 1), sequences=False), dense((1,))),
                   outputs=(3, 2))


def only_h() -> Network:
    """h goes back, but the caller gives c anew."""
    return Network(((5, FEATURES), (UNITS,), (UNITS,)), (
        layer("lstm", (0, 1, 2), sequences=False), dense((3,))), outputs=(4, 3))


def result_alone() -> Network:
    """The last h is the only output: it may be the result of a network that is started anew."""
    return Network(((5, FEATURES), (UNITS,)), (layer("gru", (0, 1), sequences=False),))


def softmax_of_h() -> Network:
    """The host gives the softmax of the last h: that is no h to begin with."""
    network = Network(((5, FEATURES), (UNITS,)), (
        layer("gru", (0, 1), sequences=False), dense((2,))), outputs=(2, 3), host=("softmax", ""))
    network.source[PORTS] = {"inputs": ["x", "h0"], "outputs": ["z", "y"]}
    return network


@pytest.mark.parametrize("made", [reordered, read_elsewhere, only_h, result_alone, softmax_of_h])
def test_other_ports_stay(made):
    network = made()
    carried = carry(network)
    assert carried.input_shapes == network.input_shapes and not carried.stateful
    assert "states" not in carried.source and PORTS not in carried.source


def test_an_output_that_may_be_the_result_is_a_state_by_its_name():
    assert carry(result_alone(), "output0:input1").stateful
    assert carry(result_alone(), {"output0": "input1"}).stateful


def named(network: Network) -> Network:
    """With names of the ports, as a file has them."""
    network.source[PORTS] = {"inputs": ["x", "h0", "c0"], "outputs": ["y", "hn", "cn"]}
    return network


def test_none_leaves_the_ports():
    assert not carry(named(streaming("lstm", 5)), "none").stateful
    assert carry(named(streaming("lstm", 5)), "hn:h0,cn:c0").source["states"] == [
        {"output": "hn", "input": "h0"}, {"output": "cn", "input": "c0"}]


@pytest.mark.parametrize(("text", "words"), [
    ("hn", "--state must be auto, none, or pairs OUTPUT:INPUT"),
    ("hn:h0,hn:c0", "--state names a port twice"),
    ("hm:h0,cn:c0", "'hm' is none of the model's outputs: they are y, hn, cn"),
    ("hn:h1,cn:c0", "'h1' is none of the model's inputs: they are x, h0, c0"),
    ("hn:x,cn:c0", "the input 'x' is not the initial state of recurrent layers alone"),
    ("hn:c0,cn:h0", "the output 'hn' is not the last state of the layers that begin with 'c0'"),
    ("hn:h0", "has the states h and c, but only a part of them is in the pairs: name all"),
])
def test_pairs_that_are_no_states_are_refused(text, words):
    with pytest.raises(UserError, match="^--state") as caught:
        carry(named(streaming("lstm", 5)), text)
    assert words in str(caught.value)


def test_a_softmax_of_a_state_is_no_state():
    with pytest.raises(UserError, match="the output 'z' is not the last state of the layers"):
        carry(softmax_of_h(), "z:h0")
