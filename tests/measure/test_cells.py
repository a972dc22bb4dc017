"""A cell state that adds up for hundreds of steps does not take the bits of the others."""

import numpy as np

from gatefold.gen.measure.rules import quantize_measured
from gatefold.gen.measure.search import error_of, outputs_of
from gatefold.gen.network.graph import Dense, Lstm, Network

STEPS, UNITS = 250, 6
RNG = np.random.default_rng(3)
X = RNG.standard_normal((12, STEPS, 2))


def network(counts: float) -> Network:
    """An LSTM whose first unit adds tanh(``counts``) at each step, and keeps the sum."""
    w_ih, w_hh = (RNG.normal(0, 0.4, (4 * UNITS, n)) for n in (2, UNITS))
    b = np.zeros(4 * UNITS)
    b[UNITS:2 * UNITS] = 4.0  # f: the others keep long, too
    for gate, bias in enumerate((12, 12, counts, 0)):  # i, f, g, o
        w_ih[gate * UNITS] = w_hh[gate * UNITS] = 0
        b[gate * UNITS] = bias
    return Network((STEPS, 2), (
        Lstm(units=UNITS, w_ih=w_ih, w_hh=w_hh, b=b, return_sequences=False),
        Dense(w=RNG.normal(0, 1, (1, UNITS)), b=np.zeros(1))))


def integer_bits(net: Network, **options) -> tuple[int, float]:
    """Of the cell state, and the error."""
    qnet = quantize_measured(net, act_width=16, weight_width=16, calibration=X, **options)
    c = qnet.layers[0].c
    return c.width - c.frac, error_of(net, qnet, X, outputs_of(net, X))


def test_bits_go_to_small_sums_where_that_makes_the_error_smaller():
    net = network(12.0)
    (measured, error), (peak, before) = integer_bits(net), integer_bits(net, rule="max")
    assert peak >= 9 and 6 <= measured <= 7 and error < before / 2


def test_a_users_format_and_small_states_are_left_alone():
    net = network(12.0)
    assert integer_bits(net, overrides={"l0_lstm": {"c": "Q10.8"}})[0] == 10
    small = network(0.0)
    assert integer_bits(small)[0] == integer_bits(small, rule="max")[0]
