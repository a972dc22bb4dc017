"""Windows that overlap, in floats and in integers: those of whole windows, and what is refused."""

import re
from itertools import pairwise

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.measure.accuracy import error_report
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network, Slice, Window
from gatefold.gen.network.overlap import frames_of, overlapping, windows_of
from gatefold.gen.network.views import History, View
from gatefold.gen.numbers.overlap import overlapping_integers
from gatefold.gen.numbers.quantize import SATURATED, quantize
from gatefold.sim.golden import golden
from tests.support.networks import Make, inputs
from tests.support.windows import NETWORKS, windowed

# network, samples between windows: few and many, strides, histories that span many frames and one
CASES = [("stack", 1), ("stack", 3), ("stack", 5), ("stack", 8), ("pooled", 2), ("pooled", 6),
         ("pooled", 16), ("branches", 1), ("branches", 4), ("gated", 3), ("gated", 7),
         ("columns", 2), ("columns", 5), ("int8", 2), ("int8", 6)]


@pytest.mark.parametrize(("name", "hop"), CASES)
def test_every_window_has_the_integers_of_a_whole_one(name, hop):
    whole, frames, _ = windowed(name, hop)
    (samples, features), = whole.input_shapes
    recordings = inputs(whole, 6).reshape(2, 3 * samples, features)
    x, begins, complete = frames_of(frames, recordings)
    want = [golden(whole, windows_of(recording, samples, hop)) for recording in recordings]
    np.testing.assert_array_equal(golden(frames, x, fresh=begins)[complete], np.concatenate(want))


@pytest.mark.parametrize("name", NETWORKS)
def test_in_front_of_a_recording_every_value_is_zero(name):
    _, frames, _ = windowed(name, 2)
    x, states = inputs(frames, 5), {}
    for n, layer in enumerate(frames.layers):
        if layer.of is View and layer.stateful:
            (rows, features), = frames.shapes_into(n)
            states[layer.name] = {"rows": np.zeros((1, layer.view.kept(rows), features), np.int64)}
    assert states
    np.testing.assert_array_equal(golden(frames, x), golden(frames, x, states=states))


def test_a_recording_goes_on_with_its_states():
    _, frames, _ = windowed("stack", 2)
    x, states = inputs(frames, 9), {}
    parts = [golden(frames, x[begin:end], states=states) for begin, end in pairwise((0, 4, 5, 9))]
    np.testing.assert_array_equal(np.concatenate(parts), golden(frames, x))


@pytest.mark.parametrize(("name", "hop"), [("stack", 3), ("pooled", 4), ("branches", 2),
                                           ("gated", 3)])
def test_floats_are_those_of_whole_windows(name, hop):
    network = NETWORKS[name](Make(np.random.default_rng(1)))
    frames = overlapping(network, hop)
    (samples, features), = network.input_shapes
    recording = np.random.default_rng(0).normal(size=(1, 3 * samples, features))
    x, _, complete = frames_of(frames, recording)
    np.testing.assert_allclose(forward(frames, x)[complete],
                               forward(network, windows_of(recording[0], samples, hop)))


def test_a_layer_computes_its_new_columns_alone():
    _, frames, _ = windowed("pooled", 4)
    shapes = {layer.name: frames.shapes[frames.value(n)] for n, layer in enumerate(frames.layers)
              if layer.computes}
    assert list(shapes.values()) == [(4, 3), (4, 4), (2, 4), (2, 3), (2,)]
    histories = [layer.view for layer in frames.layers if hasattr(layer, "view")]
    # The pool takes the first 20 of 21 columns, and the last convolution the newest 2 + 2.
    assert histories == [History(timesteps=6), History(timesteps=4, behind=1),
                         History(timesteps=4), History(timesteps=8)]


@pytest.mark.parametrize("before", [None, [[1], [2], [3]]])
def test_a_history_slides(before):
    view = History(timesteps=3, behind=2)
    frames = np.arange(10, 16).reshape(3, 2, 1)
    found, kept = view.slide(frames, None if before is None else np.array(before))
    first = [0, 0, 0] if before is None else [1, 2, 3]
    rows = [*first, *range(10, 16)]
    assert found[..., 0].tolist() == [rows[n:n + 3] for n in (0, 2, 4)]
    assert kept[:, 0].tolist() == [13, 14, 15]


def _lstm_first(m):
    return Network((6, 2), (m.lstm(2, 3),))


def _same(m):
    return Network((6, 2), (m.conv(2, 3, Window(3, left=1, right=1)), m.lstm(3, 2)))


def _strided(m):
    return Network((40, 2), (m.conv(2, 3, Window(4, stride=2)), m.conv(3, 2, Window(3, stride=3)),
                             m.lstm(2, 2)))


def _two(m):
    return Network(((6, 2), (6, 2)), (m.conv(2, 3, Window(3), inputs=(0,)),
                                      m.lstm(3, 2), m.lstm(2, 2, inputs=(1,))))


def _keeping(m):
    return Network((6, 2), (m.conv(2, 3, Window(3)), m.lstm(3, 2, stateful=True)))


def _long(m):
    return Network((200, 1), (m.conv(1, 2, Window(100)), m.lstm(2, 2)))


def _reversed(m):
    return Network((6, 2), (Slice(start=5, stop=None, step=-1), m.conv(2, 3, Window(3)),
                            m.lstm(3, 2)))


@pytest.mark.parametrize(("make", "hop", "message"), [
    (_lstm_first, 2, "nothing to reuse: l0_lstm depends on where its window begins; the network "
                     "must begin with convolutions that pad nothing (VALID)"),
    (_same, 2, "nothing to reuse: l0_conv1d pads its input, so its columns at the borders differ"),
    (_reversed, 2, "nothing to reuse: l1_conv1d depends on where its window begins"),
    (_strided, 4, "--hop must be a multiple of 6 from 6 to 36 for this network, not 4"),
    (_strided, 42, "--hop must be a multiple of 6 from 6 to 36 for this network, not 42"),
    (_long, 1, "--hop must be from 2 to 100 for this network, not 1: below, a layer reads columns "
               "of more than 64 frames, and from 101 on"),
    (_two, 2, "needs a network with one input (timesteps, features), not (6, 2) and (6, 2)"),
    (_keeping, 2, "does not go with a network that keeps its state from window to window"),
])
def test_what_cannot_be_is_refused_in_one_line(make, hop, message):
    network = make(Make(np.random.default_rng(0)))
    with pytest.raises(UserError, match=re.escape(message)) as refusal:
        overlapping(network, hop)
    assert "\n" not in str(refusal.value)


def test_what_saturates_is_counted_for_the_layer_that_it_is_of():
    """Layers of frames have other numbers, and so other names, than those of windows."""
    network = NETWORKS["stack"](Make(np.random.default_rng(1)))
    qnet = quantize(network, act_width=8, weight_width=4, cell_width=10, weight_rule="mse")
    assert qnet.calibration[SATURATED] == {"l1_conv1d": {"w": 2}, "l2_lstm": {"w_hh": 2}}
    counted = error_report(overlapping(network, 2), overlapping_integers(qnet, network, 2),
                           np.zeros((8, 2, 2)))["saturations"]
    assert counted["l3_conv1d"]["w"]["count"] == counted["l5_lstm"]["w_hh"]["count"] == 2
    assert "w" not in counted["l1_conv1d"]
