"""The choice of rules by what they cost: a narrow network is quantised by each, and measured.

With few bits no rule is the best of all networks: ``max`` spends a bit on one large weight, ``mse``
may clip what matters, and scales of rows gain nothing where all rows are alike. So the data decide.
Weights are rounded together (:mod:`~gatefold.gen.numbers.fit`) where there are data to learn from:
one half of the samples gives the moments, and the other measures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from gatefold.gen.measure.cells import with_cells
from gatefold.gen.measure.search import error_of, outputs_of
from gatefold.gen.network.frames import input_names, some_samples
from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.calibrate import Calibration, calibrate
from gatefold.gen.numbers.fit import Moments, moments_of
from gatefold.gen.numbers.integers import keeps_weights
from gatefold.gen.numbers.overrides import check_overrides
from gatefold.gen.numbers.qformat import QFormat, container_bits
from gatefold.gen.numbers.qlayer import SPLITS
from gatefold.gen.numbers.quantize import last_dense, quantize
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.numbers.settings import CARRIES, DEFAULT

__all__ = ["AUTO", "EXTRAS", "NARROW", "PLACES", "fixed_rules", "output_bits", "quantize_measured",
           "splits"]

AUTO = "auto"  #: The rule that means: the one with the least error.
#: Bits of weights and activations from which on all rules are equally good: with 12 the two trained
#: models lose less than a thousandth of their range by any.
NARROW = 12
PLACES = 16  #: Elements of a chunk, where the array is not known.
#: What takes LUTs of the core for a smaller error, as calibration records name it.
EXTRAS = ("row_scales", "carry", "split")
_RULES = ("max", "mse")
_BETTER = 0.95  # of the error, or the way that costs less is kept
_MOST = 64  # samples of an attempt, and the
_MACS = 400_000_000  # multiplications that it may take
_LEARNT = 4_000_000_000  # those of the samples that moments come from, in floats
_OUTPUT = 16  # bits of a last result, where they cost nothing
_BEATS = 16  # of a step's input: fewer cycles than any step of a recurrent layer takes


def quantize_measured(network: Network, *, calibration, act_width: int, weight_width: int,
                      rule: str = AUTO, weight_rule: str = AUTO, any_weights: bool = False,
                      carry_inputs: bool = True, places: int = PLACES, seed: int = 0,
                      without: Collection[str] = (), **options: Any) -> QuantizedNetwork:
    """:func:`~.quantize.quantize` with the rules, row scales, rounding of weights, operands of an
    input's element and remainders that have the least error.

    Parameters: ``calibration``, floats (samples, *input_shape) to calibrate and to measure with
    (weights are rounded together where there are at least two), None for seeded ones, or what
    :func:`~.calibrate.calibrate` made, which leaves nothing to measure with: then :data:`AUTO` is
    ``max``; ``rule`` and ``weight_rule`` may be :data:`AUTO`; ``carry_inputs``, whether
    the remainders of inputs may be carried, which the host has to do; ``places``, elements of a
    chunk, which a split input may fill; ``without``, which of :data:`EXTRAS` are not tried, as far
    as weights on a grid do not need them; the others as of :func:`~.quantize.quantize`. Where
    neither weights nor activations have fewer than :data:`NARROW` bits, :data:`AUTO` is ``max``, no
    row has a scale, no input is split, and each weight is rounded by itself.
    """
    moments: Moments | None = None

    def made(seen, one: str, other: str, row_scales: bool, fits: bool = False, parts: int = 1,
             inputs: bool = False, carry: str = "none") -> QuantizedNetwork:
        return quantize(network, act_width=act_width, weight_width=weight_width,
                        rule=one, weight_rule=other, row_scales=row_scales,
                        moments=moments if fits else None, split=parts,
                        carry=carry, input_carries=inputs, calibration=seen, seed=seed,
                        any_weights=any_weights, **options)

    wide, fixed = min(act_width, weight_width) >= NARROW, fixed_rules(rule, weight_rule)
    if wide or any_weights or isinstance(calibration, Calibration):
        qnet = made(calibration, fixed["rule"], fixed["weight_rule"],
                    any_weights and weight_width < NARROW)
        if rule != AUTO or any_weights or options.get("headroom") or isinstance(
                calibration, Calibration):
            return qnet
        overrides = check_overrides(options.pop("overrides", None) or {}, network)
        return with_cells(network, qnet, calibration, overrides, seed, lambda others: quantize(
            network, act_width=act_width, weight_width=weight_width, rule=fixed["rule"],
            weight_rule=fixed["weight_rule"], calibration=calibration, seed=seed,
            overrides=others, **options))
    seen = calibrate(network, calibration, seed=seed, look=True)
    options["overrides"] = check_overrides(options.get("overrides") or {}, network)
    made(seen, fixed["rule"], fixed["weight_rule"], False)  # refuses what no format holds
    if rule == AUTO:
        options["overrides"] = _whole_inputs(network, options["overrides"])
    data = calibration
    if data is None:
        data = np.random.default_rng(seed).standard_normal((_MOST, *network.input_shape))
    elif len(data) > 1:
        learnt, data = _halves(network, data)
        moments = moments_of(network, some_samples(network, learnt, _LEARNT, least=4,
                                                   most=len(learnt)))
    x = some_samples(network, data, _MACS, least=4, most=_MOST)
    floats = outputs_of(network, x)
    of_values, of_weights = (_RULES if one == AUTO else (one,) for one in (rule, weight_rule))

    @cache
    def error(*choice) -> float:
        return error_of(network, made(seen, *choice), x, floats)

    def least(choices: Iterable[tuple]) -> tuple:
        return min(choices, key=lambda choice: error(*choice))

    def unless(simple: tuple, other: tuple) -> tuple:
        return other if error(*other) < _BETTER * error(*simple) else simple

    fits = moments is not None
    ways = [1, *splits(network, places, act_width, options.get("output_width"),
                       options["overrides"])]
    scaled = (False,) if "row_scales" in without else (False, True)

    def keeps(row_scales: bool, parts: int) -> bool:
        return keeps_weights(network, made(seen, of_values[0], of_weights[0], row_scales, False,
                                           parts))

    if keeps(True, ways[-1]):  # trained on a grid: the first that keeps it
        row_scales, parts = next(grid for grid in product((False, True), ways)
                                 if keeps(*grid))
        best = least(product(of_values, of_weights, (row_scales,), (False,), (parts,)))
    else:
        plain, best = (least(product(of_values, of_weights, (row_scales,), (fits,)))
                       for row_scales in (scaled[0], scaled[-1]))
        best = unless(plain, best)
        best = least([best, (*best[:3], False)])
        best = unless((*best, 1), least((*best, parts) for parts in ways
                                        if parts == 1 or "split" not in without))
    best = unless((*best, False), (*best, True)) if carry_inputs else (*best, False)
    none, last, every = ((*best, carry) for carry in CARRIES)
    # What remainders leave of the error changes from step to step: a little more of it is no harm.
    if "carry" in without:
        best = none
    else:
        best = every if error(*every) * _BETTER <= error(*none) else unless(none, last)
    return made(seen, *least((*rules, *best[2:]) for rules in product(of_values, of_weights)))


def splits(network: Network, places: int, act_width: int, output_width: int | None,
           overrides: dict) -> list[int]:
    """The numbers of operands, beyond one, that an element of the input may become, so that a
    vector of it takes no more chunks of ``places`` elements, and an element no more bits of a
    stream. ``overrides``: as :func:`~.overrides.check_overrides` gives them."""
    if network.meet_input is None or any(isinstance(one, QFormat) for section in overrides.values()
                                         for one in section.values()):
        return []
    features = network.input_shape[-1]
    container = container_bits(max(act_width, output_width or 0))
    return [parts for parts in SPLITS[1:]
            if -(-features * parts // places) == -(-features // places)
            and act_width + parts.bit_length() - 1 <= container]


def _whole_inputs(network: Network, overrides: dict) -> dict:
    """``overrides`` with the rule max for inputs, unless they name another one: what lies beyond an
    input's format is lost, and in an anomaly more does than calibration saw."""
    if "rule" in overrides.get(DEFAULT, {}):
        return overrides
    return overrides | {name: {"rule": "max"} | overrides.get(name, {})
                        for name in input_names(network)}


def _halves(network: Network, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half of the samples to learn from, and the other half: every second one, or the later ones if
    the network keeps state."""
    return (x[len(x) // 2:], x[:len(x) // 2]) if network.stateful else (x[1::2], x[::2])


def fixed_rules(rule: str, weight_rule: str) -> dict[str, str]:
    """The rules where nothing is measured: :data:`AUTO` is ``max``."""
    return {name: "max" if one == AUTO else one
            for name, one in (("rule", rule), ("weight_rule", weight_rule))}


def output_bits(network: Network, act_width: int, stream_bits: int) -> int | None:
    """Bits that the result of the last Dense layer gets by default: 16, or as many as an element
    of the stream has anyway where wider ones could make a step wait for its input. None where
    there is no such layer."""
    if last_dense(network) is None:
        return None
    container = container_bits(act_width)
    features = max(shape[-1] for shape in network.input_shapes)
    free = features * _OUTPUT <= _BEATS * stream_bits
    return max(act_width, _OUTPUT if free else min(_OUTPUT, container))
