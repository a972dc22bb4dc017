"""Quantise: a float network and calibration data become integers and formats.

This is the last place where a float decides anything. ``docs/numbers.md`` defines what the integers
do; :mod:`~gatefold.gen.numbers.choose` and :mod:`~gatefold.gen.numbers.formats` choose the formats.
"""

from __future__ import annotations

from dataclasses import fields, replace

from gatefold.gen.errors import UserError
from gatefold.gen.network.frames import input_names
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Dense, Gru, Lstm
from gatefold.gen.network.views import Flatten, Reshape
from gatefold.gen.numbers.accumulator import accumulator_width, layer_bits
from gatefold.gen.numbers.calibrate import Calibration, calibrate
from gatefold.gen.numbers.choose import Chooser, Mixed
from gatefold.gen.numbers.describe import difference
from gatefold.gen.numbers.fit import Moments, fitted
from gatefold.gen.numbers.formats import by_row, peak_of, rules
from gatefold.gen.numbers.int8 import from_int8
from gatefold.gen.numbers.integers import INT64, in_integers, scaled_weights, too_far_apart
from gatefold.gen.numbers.overrides import check_overrides
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.qlayer import SPLITS
from gatefold.gen.numbers.quantized import QLayer, QuantizedNetwork, Table
from gatefold.gen.numbers.settings import (
    DEFAULT,
    WIDTHS,
    Settings,
    checked_headroom,
    checked_width,
)
from gatefold.gen.numbers.tables import table_for

__all__ = ["BIAS_LIMIT", "FITTED", "SATURATED", "WIDTHS", "last_dense", "quantize",
           "requantize_into", "saturated_weights"]

#: Entry of a calibration record: by layer and tensor how many weights saturate.
SATURATED = "saturated_weights"
#: Entry of a calibration record: weights were rounded as :func:`~.fit.fitted` does.
FITTED = "fitted"
_ENDLESS = 1 << 16  # steps
BIAS_LIMIT = 8.0  #: Largest |bias| of a core whose weights come later (the gates saturate there).


# ---- a new quantised network -------------------------------------------------------------------


def quantize(network: Network, *, act_width: int = 16, weight_width: int = 16,
             cell_width: int = 18, table_bits: int | None = None,
             argument_bits: int | None = None, calibration=None, samples: int = 64, seed: int = 0,
             rule: str = "max", weight_rule: str = "max", percentile: float = 99.9,
             overrides: dict | None = None, headroom: int = 0, row_scales: bool = False,
             carry: str = "none", input_carries: bool = False, split: int = 1,
             moments: Moments | None = None,
             output_width: int | None = None,
             any_weights: bool = False,
             table: Table | None = None) -> QuantizedNetwork:
    """Choose formats per tensor and round the weights.

    Parameters: widths in bits, each of :data:`WIDTHS`; ``table_bits`` and ``argument_bits``,
    fractional bits of the tanh table's results and of its argument (by default what
    :func:`~.tables.table_for` gives for the widest activations), or a whole ``table``
    instead. ``calibration``, floats (samples, *input_shape), one sample (*input_shape,), or what
    :func:`calibrate` made of such, sets the formats; without it ``samples`` standard-normal inputs
    from ``seed``. ``rule`` and ``weight_rule``, of :data:`~.formats.RULES`, say how,
    for values and for weights; ``percentile`` is what the rule of that name keeps. ``overrides``,
    what differs in single layers, as :func:`~.overrides.read_overrides` reads it
    from a file. ``headroom``, integer bits (0..8) that are reserved in results, states and
    accumulators, for weights that come later.
    ``row_scales``: rows of matrices have scales. ``carry``, of :data:`~.settings.CARRIES`: the
    LSTMs whose h takes over the remainder of its last rounding. ``input_carries``: the conversion
    of an input from floats does so too. ``split``, of :data:`~.qlayer.SPLITS`: the operands that
    each element of the input becomes, where matrices alone meet it (``network.meet_input``).
    ``moments``, of operands: weights are rounded as :func:`~.fit.fitted` does. ``output_width``:
    bits of the result of a last Dense layer (:func:`last_dense`), at least those of activations;
    without it as many as these.
    ``any_weights``: fixed formats and accumulators for a core whose weights are replaced later
    (weights Q3, input and dense outputs Q4, cell state Q6, |bias| up to :data:`BIAS_LIMIT`); takes
    no calibration and no headroom.
    Raises :class:`UserError` for illegal widths and headroom, bad calibration data, and numbers so
    far apart that 62-bit sums cannot hold them.
    """
    if network.affine is not None:
        return from_int8(network)
    widths = {"activations": checked_width("act", act_width, 16),
              "weights": checked_width("weight", weight_width, 16),
              "cell": checked_width("cell", cell_width, 18)}
    sections = check_overrides(overrides or {}, network)
    elsewhere = any("percentile" in section.values() for section in sections.values())
    settings = Settings(widths, *rules(rule, weight_rule, percentile, elsewhere), sections,
                        checked_headroom(headroom), row_scales, carry)
    if table and (table_bits or argument_bits):
        raise ValueError("quantize takes a table, or its bits, not both")
    if split not in SPLITS or (split > 1 and network.meet_input is None):
        raise ValueError(f"quantize cannot split the input of this network in {split!r}")
    table = table or table_for(settings.widest("activations"), table_bits, argument_bits,
                               _steps(network))
    settings = replace(settings, widths={**widths, "table": table.out_frac + 1})
    last = last_dense(network)
    if output_width is not None and last and not {"y", "activations"} & settings.sections.get(
            last, {}).keys():
        bits = checked_width("output", output_width, 16)
        settings = settings.fixed(last, "y", max(bits, widths["activations"]))
    seen = None
    if any_weights:
        if settings.looks or settings.rule_of(DEFAULT, "w").looks:
            raise UserError("a rule for formats looks at data, and a core whose weights come later "
                            "has none: leave the rule out, or build from the trained model")
        if calibration is not None:
            raise UserError("calibration data set no format of a core whose weights come later: "
                            "leave the data out, or build from the trained model")
        if headroom:
            raise UserError("a core whose weights come later has formats and accumulators for any: "
                            "leave --headroom out, or build from the trained model")
        _check_biases(network)
    elif isinstance(calibration, Calibration):
        seen = calibration
        if settings.looks and not seen.looked:
            raise ValueError("quantize: this rule needs a calibration that looked at values")
    else:
        seen = calibrate(network, calibration, samples, seed, look=settings.looks)
    inputs, numbers = _choose(network, settings, table, seen, split)
    layers, beyond = [], {}
    rounded = fitted(network, numbers, moments) if moments else network
    for name, layer, chosen in zip(network.names, rounded.layers, numbers, strict=True):
        counts: dict[str, int] | None = None if seen is None else {}
        layers.append(in_integers(name, layer, chosen, counts))
        if counts:
            beyond[name] = counts
    if seen is None:
        record: dict = {"source": "none: formats for any weights", "samples": 0, "peaks": {},
                        "bias_limit": BIAS_LIMIT}
    else:
        record = seen.record | {"rule": rule, "weight_rule": weight_rule}
        record |= {"percentile": percentile} if "percentile" in (rule, weight_rule) else {}
        record |= {"headroom": headroom} if headroom else {}
        record |= {"row_scales": True} if row_scales else {}
        record |= {"carry": carry} if carry != "none" else {}
        record |= {"input_carries": True} if input_carries else {}
        record |= {"split": split} if split > 1 else {}
        record |= {FITTED: True} if moments else {}
        record |= {SATURATED: beyond} if beyond else {}
    used = _widths(network, inputs, layers)
    more = split.bit_length() - 1
    inputs = tuple(QFormat(form.width + more, form.frac + more) for form in inputs)
    qnet = QuantizedNetwork(
        input_shapes=network.input_shapes, layers=tuple(layers), outputs=network.outputs,
        act_width=used["act"], weight_width=used["weight"] or weight_width,
        cell_width=used["cell"] or cell_width, input_formats=inputs, table=table, acc_width=2,
        host=network.host, calibration=record, input_carries=input_carries)
    return replace(qnet, acc_width=_accumulator(qnet, any_weights, headroom))


def _choose(network: Network, settings: Settings, table: Table, seen: Calibration | None,
            split: int) -> tuple[tuple[QFormat, ...], list[dict]]:
    """Formats of the inputs and the numbers of every layer.

    Where an operand must have one format but is put together from values of several, these are
    given the coarsest of theirs, and all formats are chosen again.
    """
    names = network.names
    first = len(network.input_shapes)
    for _ in range(2 * len(names) + 2):
        chooser = Chooser(network, settings, table, seen, split)
        try:
            inputs = chooser.inputs()
            return inputs, [chooser.layer(n, name, layer) for n, (name, layer)
                            in enumerate(zip(names, network.layers, strict=True))]
        except Mixed as mixed:
            frac = min(int(chooser.fracs[value].flat[0]) for value in mixed.sources)
            before = settings
            for value in sorted(mixed.sources):
                if int(chooser.fracs[value].flat[0]) == frac:
                    continue
                form = QFormat(chooser.widths[value], frac)
                section, tensor = _result(network, value - first, value)
                if isinstance(settings.sections.get(section, {}).get(tensor), QFormat):
                    raise UserError(f"{mixed.where} is put together from values of several "
                                    f"formats, of which that of {section} is fixed: give them one "
                                    "format") from None
                settings = settings.fixed(section, tensor, form)
            assert settings is not before
    raise UserError(f"{names[0]}: the formats of joined values find no common ground: give them "
                    "one format each")


def _result(network: Network, layer: int, value: int) -> tuple[str, str]:
    """Section and tensor of a value's format."""
    if layer < 0:
        return input_names(network)[value], "x"
    return network.names[layer], network.layers[layer].result


def _steps(network: Network) -> int:
    """The most steps that a gated state is kept; of a stateful layer there is no end to them."""
    return max((_ENDLESS if layer.stateful else network.shapes[layer.inputs[0]][0]
                for layer in network.layers if isinstance(layer, Lstm | Gru)), default=1)


def last_dense(network: Network) -> str | None:
    """The name of the Dense layer whose result, perhaps reshaped, is the network's only output, and
    that no layer reads: its result may have a width of its own. None where there is none."""
    value = network.outputs[0]
    while len(network.outputs) == 1 and value >= len(network.input_shapes):
        n = value - len(network.input_shapes)
        layer = network.layers[n]
        if isinstance(layer, Dense):
            return None if network.readers[value] else network.names[n]
        if not isinstance(layer, Flatten | Reshape):
            break
        value = layer.inputs[0]
    return None


def _widths(network: Network, inputs: tuple[QFormat, ...],
            layers: list[QLayer]) -> dict[str, int]:
    """The widest format of each kind; 0 where there is none. Operands alone make activations wide:
    the result of :func:`last_dense` is none."""
    found = {"act": [form.width for form in inputs], "weight": [0], "cell": [0]}
    last = last_dense(network)
    for layer in layers:
        found["act"] += [layer.result.width] if layer.result and layer.name != last else []
        found["weight"] += [form.width for form in layer.weights.values()]
        found["cell"] += [getattr(layer, cell).width for cell in layer.cells]
    return {kind: max(widths) for kind, widths in found.items()}


def _check_biases(network: Network) -> None:
    for name, layer in zip(network.names, network.layers, strict=True):
        peak = max((peak_of(getattr(layer, bias)) for bias in layer.biases), default=0.0)
        if peak > BIAS_LIMIT:
            raise UserError(f"{name}: a core for any weights takes biases of "
                            f"-{BIAS_LIMIT}..{BIAS_LIMIT}, but the peak is {peak:.4g}: build it "
                            "from the trained model")


def _accumulator(qnet: QuantizedNetwork, any_weights: bool, headroom: int) -> int:
    """Accumulator bits, ``headroom`` of them reserved; raises :class:`UserError` where a sum leaves
    int64."""
    limits = {"any_weights": any_weights, "bias_limit": BIAS_LIMIT}
    for layer in qnet.layers:
        bits = layer_bits(layer, qnet.table, **limits)
        if layer.widest(qnet.table, bits) > INT64:
            raise UserError(too_far_apart(layer.name, "inputs, weights and biases are "))
        if layer.widest(qnet.table, bits + headroom) > INT64:
            raise _too_much(layer.name, headroom)
    width = accumulator_width(qnet, **limits)
    if width > INT64:
        raise UserError(too_far_apart(qnet.layers[0].name, "joined values are "))
    if width + headroom > INT64:
        raise _too_much(qnet.layers[0].name, headroom)
    return width + headroom


def _too_much(name: str, headroom: int) -> UserError:
    return UserError(f"{name}: with {headroom} bits of headroom a sum could need over {INT64} "
                     "bits: give a smaller --headroom")


def saturated_weights(qnet: QuantizedNetwork) -> dict:
    """The network's record of :data:`SATURATED`, how many weights saturate by layer and tensor; or
    an empty dict."""
    return {SATURATED: qnet.calibration[SATURATED]} if SATURATED in qnet.calibration else {}


# ---- another training of the same shape --------------------------------------------------------


def requantize_into(network: Network, qnet: QuantizedNetwork, *,
                    saturate: bool = False, moments: Moments | None = None) -> QuantizedNetwork:
    """``network``'s weights in the formats of ``qnet``: other weights for the same core.

    ``saturate``: weights beyond their format take its nearest value, and are counted. ``moments``
    as of :func:`quantize`.
    Raises :class:`UserError` where the shapes differ, weights saturate unasked or a row could
    overflow the accumulator; the remedy is always to rebuild the core with that model.
    """
    if network.affine is not None or qnet.affine is not None:
        raise UserError("the weights of a full-integer network come with scales, which are in the "
                        "core: rebuild the core with this model")
    if network.input_shapes != qnet.input_shapes:
        raise UserError(f"the model's input {network.input_shape} differs from the core's "
                        f"{qnet.input_shape}: rebuild the core with this model")
    differs = difference(network.layers, qnet.layers)
    if differs:
        raise UserError(f"{differs}: rebuild the core with this model")
    if network.outputs != qnet.outputs or network.host != qnet.host:
        raise UserError("the model's outputs are not the core's: rebuild the core with this model")
    chosen = []
    for layer, old in zip(network.layers, qnet.layers, strict=True):
        numbers = {field.name: getattr(old, field.name) for field in fields(old)
                   if isinstance(getattr(old, field.name), QFormat)
                   or field.name in ("x_align", "h_in", "c_in", "w_p_format", "w_hr_format",
                                     "hr", "scales", "carries", "split")}
        if numbers.get("scales") is not None:
            bits = numbers["split"].bit_length() - 1
            matrices = [scaled_weights(layer, getattr(layer, name)) for name in layer.weights]
            forms = [QFormat(form.width + (bits if n == 0 else 0), form.frac)
                     for n, form in enumerate(old.weights[name] for name in layer.weights)]
            numbers["scales"] = by_row(matrices, [[form] for form in forms],
                                       [saturate] * len(matrices))[1]
        chosen.append(numbers)

    def rounded(source: Network) -> tuple[list[QLayer], dict]:
        """The layers with the weights of ``source``, and of each how many saturate."""
        layers, beyond = [], {}
        for layer, old, numbers in zip(source.layers, qnet.layers, chosen, strict=True):
            counts: dict[str, int] | None = {} if saturate else None
            layers.append(in_integers(old.name, layer, numbers, counts))
            if counts:
                beyond[old.name] = counts
        return layers, beyond

    layers, beyond = rounded(network)  # refuses weights that no format of the core holds
    if moments:
        layers, beyond = rounded(fitted(network, chosen, moments))
    record = {name: value for name, value in qnet.calibration.items() if name != SATURATED}
    record |= {SATURATED: beyond} if beyond else {}
    again = replace(qnet, layers=tuple(layers), calibration=record)
    for layer in layers:
        bits = layer_bits(layer, qnet.table)
        if bits > qnet.acc_width:
            raise UserError(f"{layer.name}: these weights need an accumulator of {bits} bits, the "
                            f"core's has {qnet.acc_width}: rebuild the core with this model, or "
                            "reserve bits when you build it (--headroom)")
        if layer.widest(qnet.table, bits) > INT64:
            raise UserError(f"{layer.name}: with these weights a sum could need over {INT64} bits: "
                            "rebuild the core with this model")
    return again
