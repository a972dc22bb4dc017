"""Networks whose windows may overlap: leading stacks of every kind, with seeded weights."""

from dataclasses import replace

import numpy as np

from gatefold.gen.frontends import load
from gatefold.gen.network.graph import Concat, Flatten, MaxPool, Multiply, Network, Slice, Window
from gatefold.gen.network.overlap import overlapping
from gatefold.gen.numbers.overlap import overlapping_integers
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QuantizedNetwork
from tests.support.networks import Make, average
from tests.support.tflite_files import path


def _stack(m: Make) -> Network:
    return Network((12, 2), (m.conv(2, 3, Window(4), "relu"), m.conv(3, 5, Window(3), "tanh"),
                             m.lstm(5, 3), m.dense(3, 2)))


def _pooled(m: Make) -> Network:
    """Strides of 2, a step that no window reaches, and a dense layer over time."""
    return Network((23, 2), (
        m.conv(2, 3, Window(3), "relu"), m.dense(3, 4, "tanh"), MaxPool(window=Window(2, stride=2)),
        m.conv(4, 3, Window(2, dilation=2)), m.gru(3, 2)))


def _branches(m: Make) -> Network:
    """Two convolutions of one input, side by side, of which one loses its first steps."""
    return Network((14, 3), (
        m.conv(3, 3, Window(3), "relu", inputs=(0,)), m.conv(3, 2, Window(5), inputs=(0,)),
        Slice(start=2, inputs=(1,)), Concat(axis=1, inputs=(3, 2)),
        m.conv(5, 3, Window(3), "relu"), Flatten(), m.dense(24, 2)))


def _gated(m: Make) -> Network:
    """A product, an average, and a last layer that reads the input, too."""
    return Network((10, 2), (
        m.conv(2, 3, Window(3), "sigmoid", inputs=(0,)), m.conv(2, 3, Window(3), inputs=(0,)),
        Multiply(inputs=(1, 2)), average(3, Window(2)), m.lstm(3, 2), m.rnn(2, 2, inputs=(0,)),
        Concat(axis=0, inputs=(5, 6)), m.dense(4, 2)))


def _columns(m: Make) -> Network:
    """The columns of a convolution are the output."""
    return Network((8, 2), (m.conv(2, 3, Window(3), "relu"), m.conv(3, 2, Window(2), "tanh")))


def _short(m: Make) -> Network:
    """A frame is shorter than a tail, and its newest columns are not read."""
    return Network((7, 2), (m.conv(2, 1, Window(1)), Slice(start=0, stop=1), Flatten(),
                            m.dense(1, 2)))


def _int8(_m: Make) -> Network:
    """A file of LiteRT's numbers, without its padding."""
    network = load(path("padded"))
    first = network.layers[0]
    valid = replace(first, window=replace(first.window, left=0, right=0))
    return replace(network, layers=(valid, *network.layers[1:]))


NETWORKS = {"stack": _stack, "pooled": _pooled, "branches": _branches, "gated": _gated,
            "columns": _columns, "short": _short, "int8": _int8}


def made(name: str) -> Network:
    """A network of that name, in floats, on whole windows."""
    return NETWORKS[name](Make(np.random.default_rng(1)))


def windowed(name: str, hop: int, widths: tuple[int, int, int] = (8, 8, 10)
             ) -> tuple[QuantizedNetwork, QuantizedNetwork, Network]:
    """A network in integers, on whole windows and on frames of ``hop`` samples, and the float
    network of frames."""
    act, weight, cell = widths
    network = made(name)
    qnet = quantize(network) if network.affine else quantize(
        network, act_width=act, weight_width=weight, cell_width=cell)
    return qnet, overlapping_integers(qnet, network, hop), overlapping(network, hop)
