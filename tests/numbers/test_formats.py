"""Rules for formats, and the values from calibration."""

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network, Window
from gatefold.gen.numbers.calibrate import at_a_time, calibrate
from gatefold.gen.numbers.formats import Rule, Seen, as_rule, rules
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.settings import DEFAULT, Settings
from tests.support.networks import NETWORKS, Make, network

VALUES = np.concatenate([np.linspace(-1, 1, 999), [7.0]])

# rule, headroom, most: the peak that the format of 8 bits holds
CHOICES = [
    (Rule(), 1.0, np.inf, 7.0), (Rule(), 2.0, np.inf, 14.0), (Rule(), 2.0, 10.0, 10.0),
    (Rule("percentile", 99.0), 1.0, np.inf, 0.99), (Rule("percentile", 100.0), 1.0, np.inf, 7.0),
]


@pytest.mark.parametrize(("rule", "headroom", "most", "peak"), CHOICES)
def test_rules_choose_by_their_definitions(rule, headroom, most, peak):
    form = rule.choose(8, Seen.of(VALUES), headroom=headroom, most=most)
    assert form == QFormat.covering(8, peak)


@pytest.mark.parametrize("width", [4, 6, 8, 12, 16])
@pytest.mark.parametrize("spread", ["normal", "uniform", "heavy"])
def test_least_squared_error_is_that_of_every_format(spread, width):
    rng = np.random.default_rng(0)
    values = {"normal": rng.normal(size=5000), "uniform": rng.uniform(-1, 1, 5000),
              "heavy": rng.standard_t(2, 5000)}[spread]
    chosen = Rule("mse").choose(width, Seen.of(values))
    errors = {frac: np.mean((QFormat(width, frac).to_float(
        QFormat(width, frac).quantize(values)) - values) ** 2) for frac in range(-8, 24)}
    assert errors[chosen.frac] == min(errors.values())


def test_a_rule_that_looks_needs_values():
    with pytest.raises(ValueError, match="needs values"):
        Rule("mse").choose(8, Seen(1.0, np.zeros(0)))


@pytest.mark.parametrize("rule", [Rule(), Rule("percentile", 99.0), Rule("mse")])
def test_zeros_alone_have_the_unit_interval(rule):
    assert rule.choose(8, Seen.of(np.zeros(9)), headroom=2.0) == QFormat(8, 7)


@pytest.mark.parametrize(("arguments", "text"), [
    (("average",), "must be one of max, percentile, mse, not 'average'"),
    (("max", 10), "the percentile must be in 50..100"), (("max", True), "not 'True'"),
    (("max", "99"), "in 50..100, not '99'")])
def test_other_rules_are_refused(arguments, text):
    with pytest.raises(UserError, match=text):
        as_rule(*arguments)


# ---- values from calibration -------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_peaks_are_those_of_the_forward_pass(name):
    net = network(name)
    x = np.random.default_rng(0).normal(size=(100, *net.input_shape))
    trace = {}
    forward(net, x, trace=trace)
    seen = calibrate(net, x, look=True)
    for layer, tensors in seen.layers.items():
        for tensor, one in tensors.items():
            values = trace[layer][tensor]
            assert one.peak == np.abs(values).max() == seen.record["peaks"][layer][tensor]
            assert np.isin(one.values, values).all() and one.values.size >= min(values.size, 4096)
    inputs = [one.peak for one in seen.inputs]
    names = ["input"] if len(inputs) == 1 else [f"input{n}" for n in range(len(inputs))]
    assert [seen.record["peaks"][one] for one in names] == inputs
    assert {t for tensors in seen.layers.values() for t in tensors} <= set("chygmn")


def test_values_are_kept_only_for_rules_that_look():
    seen = calibrate(network("gru"))
    assert not seen.looked and not any(
        one.values.size for tensors in seen.layers.values() for one in tensors.values())


def test_windows_limit_how_many_samples_are_computed_at_a_time():
    make = Make(np.random.default_rng(0))
    plain = network("lstm-dense")
    long = Network((4000, 4), (make.conv(4, 2, Window(1000)),))
    assert at_a_time(plain, 100) == 64 and at_a_time(plain, 10) == 64
    assert at_a_time(long, 100) == (1 << 25) // (3001 * 4000)
    assert at_a_time(network("stateful lstm"), 1000) == 1000  # they follow one another


# ---- settings ----------------------------------------------------------------------------------


def test_a_tensors_setting_precedes_its_kinds_and_a_layers_the_default():
    settings = Settings({"weights": 16, "activations": 16, "cell": 18, "table": 17}, sections={
        DEFAULT: {"weights": 8}, "a": {"weights": 6, "w_hh": 5}, "b": {"y": QFormat(7, 3)}})
    assert [settings.of("a", t) for t in ("w_ih", "w_hh", "h", "c", "g")] == [6, 5, 16, 18, 17]
    assert settings.of("b", "w") == 8 and settings.of("b", "y") == QFormat(7, 3)
    assert settings.widest("weights") == 16 and settings.widest("activations") == 16
    fixed = settings.fixed("a", "h", QFormat(9, 8))
    assert fixed.of("a", "h") == QFormat(9, 8) and fixed.of("a", "w_hh") == 5


def test_a_percentile_that_no_rule_asks_for_is_refused():
    with pytest.raises(UserError, match="--percentile 99 needs --rule percentile or --weight-rule"):
        rules("max", "mse", 99)
    assert [rule.percent for rule in rules("percentile", "max", 99)] == [99, 99]
    assert rules("max", "max", 99.9) and rules("max", "max", 99, elsewhere=True)
