"""docs/numbers.md, formats.md and descriptions.md: their examples run, their tables are the code's.
"""

import json
import math
import re

import numpy as np
import pytest

from gatefold.gen.cli import main
from gatefold.gen.frontends import load
from gatefold.gen.frontends.described.layers import KINDS
from gatefold.gen.network.forward import forward
from gatefold.gen.numbers.accumulator import accumulator_bits, accumulator_bounds
from gatefold.gen.numbers.formats import RULES
from gatefold.gen.numbers.overrides import check_overrides, read_overrides
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QLstm, QuantizedNetwork
from gatefold.gen.numbers.tables import ARGUMENT_BITS, table_for
from gatefold.gen.options import LIMITS
from gatefold.sim.golden import golden, tanh_magnitude
from tests.support.cli_harness import FIXTURES
from tests.support.networks import network
from tests.support.places import ROOT

#: An example: its subject, language, text.
EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```(\w+)\n(.*?)```", re.DOTALL)
FORMATS = (ROOT / "docs/formats.md").read_text()


def words(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def table(text: str, head: str) -> list[list[str]]:
    """The cells of the table whose head begins with ``head``."""
    rows = text.split(f"\n| {head}", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


# ---- numbers.md --------------------------------------------------------------------------------

NUMBERS = (ROOT / "docs/numbers.md").read_text()


def example(mark: str) -> list[dict[str, int]]:
    """The rows of a table of the example, by the names of their columns; gates by ``row`` too."""
    head, _, *rows = NUMBERS.split(f"<!-- {mark} -->\n")[1].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *rows)]
    return [{name: int(cell) for name, cell in zip(cells[0], row, strict=True) if name != "row"}
            for row in cells[1:]]


def test_the_example_of_an_lstm_step_is_goldens():
    (before,), gates, (after,) = example("before"), example("gates"), example("after")
    column = {name: np.array([row[name] for row in gates]) for name in gates[0]}
    forms = dict(re.findall(r"\b(x|w_ih|w_hh|h|c) (Q\d\.\d)", NUMBERS.split("## Example")[1]))
    q = {name: QFormat(int(form[1]) + int(form[3]), int(form[3])) for name, form in forms.items()}
    layer = QLstm(
        name="l0_lstm", inputs=(0,), units=1, w_ih=column["w_ih"][:, None],
        w_hh=column["w_hh"][:, None], b=column["b"], x=q["x"], x_align=np.zeros(1, int),
        w_ih_format=q["w_ih"], w_hh_format=q["w_hh"], h=q["h"], c=q["c"], g=QFormat(9, 8),
        tc=QFormat(9, 8), h0=np.array([before["h"]]), c0=np.array([before["c"]]),
        return_sequences=True)
    tanh = table_for(8)
    qnet = QuantizedNetwork(
        input_shapes=((1, 1),), layers=(layer,), outputs=(1,), act_width=8, weight_width=8,
        cell_width=10, input_formats=(q["x"],), table=tanh, acc_width=17)
    assert (layer.acc_frac, layer.align_ih, layer.align_hh) == (14, 2, 0)
    trace: dict = {}
    golden(qnet, np.array([[[before["x"]]]]), trace=trace)
    found = {name: int(value.item()) for name, value in trace["l0_lstm"].items()}
    for gate, row in zip("ifgo", gates, strict=True):
        assert row["w_ih * x"] == row["w_ih"] * before["x"]
        assert row["w_hh * h"] == row["w_hh"] * before["h"]
        assert row["z"] == row["b"] + (row["w_ih * x"] << 2) + row["w_hh * h"]
        assert (row["u"], row["gate"]) == (found[f"u_{gate}"], found[gate])
        assert row["t"] == tanh_magnitude(tanh, abs(row["u"]))
    assert after["f * c"] == found["f"] * before["c"] and after["i * g"] == found["i"] * found["g"]
    assert after["sum"] == 2 * after["f * c"] + after["i * g"]
    assert (after["c"], after["h"]) == (found["c"], found["h"])
    assert after["u"] == 2 * after["c"] and after["t"] == tanh_magnitude(tanh, abs(after["u"]))
    assert after["tc"] == -after["t"] and after["o * tc"] == found["o"] * after["tc"]
    low, high = accumulator_bounds(layer, tanh)
    assert f"high = {high[2]}" in NUMBERS and f"low = {low[2]}" in NUMBERS
    assert f"an accumulator of {max(accumulator_bits((low, high)))} bits" in NUMBERS


def near(v: float) -> int:
    return math.floor(v + 0.5)


def mid(values: list[float]) -> int:
    return near((max(values) + min(values)) / 2)


def table_of_the_page(fu: int, bits: int) -> list[int]:
    """table(m) of every m, as the page defines it."""
    rows = NUMBERS.split("\n| fu |")[1].splitlines()
    splits = dict(zip(rows[0].split("|"), rows[2].split("|")[2:], strict=False))
    n0, n1, n2 = map(int, splits[f" {fu} "].split(","))
    top = 2**bits - 1

    def e(m: float) -> float:
        return 2**bits * math.tanh(m * 2.0**-fu)

    if fu == 8:
        return [min(near(e(m)), top) for m in range(2**(fu + 3))]
    half, found = 2**(n2 - 1), []
    for a in range(2**n0):
        cells = [(a * 2**n1 + b) * 2**n2 for b in range(2**n1)]
        centres = [m + (2**n2 - 1) / 2 for m in cells]
        t1 = [mid([(e(c + k + 0.5) - e(c - k - 0.5)) / 2 for c in centres]) for k in range(half)]
        odd = [-t for t in reversed(t1)] + t1
        for m in cells:
            t0 = min(max(mid([e(m + n) - odd[n] for n in range(2**n2)]), max(t1)), top - max(t1))
            found += [(t0 if m else t1[-1]) + one for one in odd]
    return found


@pytest.mark.parametrize("bits", [4, 9, 13, 18])
@pytest.mark.parametrize("fu", ARGUMENT_BITS)
def test_the_table_is_that_of_the_page(fu, bits):
    stored = table_for(8, bits, fu)
    np.testing.assert_array_equal(tanh_magnitude(stored, np.arange(2**(fu + 3))),
                                  table_of_the_page(fu, bits))


# ---- formats.md --------------------------------------------------------------------------------


def test_the_example_of_formats_runs(tmp_path):
    (model, _, text), = EXAMPLE.findall(FORMATS)
    (tmp_path / "f.toml").write_text(text)
    net = load(FIXTURES / model)
    qnet = quantize(net, overrides=read_overrides(tmp_path / "f.toml", net))
    lstm, dense = qnet.layers
    assert str(qnet.input_format) == "Q3.9"
    assert [lstm.w_ih_format.width, lstm.w_hh_format.width, lstm.c.width] == [10, 12, 16]
    assert [str(lstm.h), str(dense.w_format), dense.y.width] == ["Q1.11", "Q2.8", 14]


#: The page's name of a section: a network, and the section there.
SECTIONS = {
    "`default`": ("gru", "default"), "an input": ("gru", "input"),
    "LSTM": ("lstm-dense", "l0_lstm"), "GRU": ("gru", "l0_gru"), "SimpleRNN": ("rnn", "l0_rnn"),
    "Dense, Conv1D, Add, ...": ("residual", "l2_add"), "others": ("multiply", "l2_multiply"),
}


def test_the_keys_of_every_section_are_listed():
    rows = table(FORMATS.split("<!-- keys -->")[1], "section")
    assert [row[0] for row in rows] == list(SECTIONS)
    every = set().union(*(words(cell) for row in rows for cell in row[1:]))
    for title, *cells in rows:
        name, section = SECTIONS[title]
        legal = set().union(*map(words, cells))
        for key in every:
            if key in legal:
                check_overrides({section: {key: 9}}, network(name))
            else:
                with pytest.raises(Exception, match=f"has no '{key}'"):
                    check_overrides({section: {key: 9}}, network(name))


def test_options_and_their_limits_are_listed():
    known = {option: parameter for parameter in main.commands["build"].params
             for option in parameter.opts}
    for option, _, legal, default in table(FORMATS, "option"):
        (option,) = words(option)
        limit = LIMITS[option.removeprefix("--")]
        assert legal.startswith(f"{limit.lo}..{limit.hi}") and option in known
        assert default == str(known[option].default) or not default.isdigit()
    assert {next(iter(words(row[0]))) for row in table(FORMATS, "`--rule`")} == set(RULES)


@pytest.mark.parametrize("bits, argument", [(4, 8), (9, 8), (10, 12), (14, 12), (15, 14), (18, 14)])
def test_the_tables_argument_is_as_documented(bits, argument):
    assert ("8 bits after the point for results of up to 9 bits, 12 for results of up to 14, "
            "and 14 for larger ones") in FORMATS
    assert table_for(16, bits).frac == argument and argument in ARGUMENT_BITS


def test_a_core_for_any_weights_takes_widths_but_no_rule():
    qnet = quantize(network("gru"), any_weights=True, overrides={"l0_gru": {"weights": 9}})
    assert qnet.layers[0].w_ih_format.width == 9
    with pytest.raises(Exception, match="a rule for formats looks at data"):
        quantize(network("gru"), any_weights=True, rule="mse")


# ---- descriptions.md ---------------------------------------------------------------------------

DESCRIPTIONS = (ROOT / "docs/descriptions.md").read_text()
EXAMPLES = EXAMPLE.findall(DESCRIPTIONS)


@pytest.mark.parametrize("name, language, text", EXAMPLES, ids=[name for name, *_ in EXAMPLES])
def test_the_examples_of_descriptions_run(tmp_path, name, language, text):
    (tmp_path / f"net.{language}").write_text(text)
    weights = next(path for path in (FIXTURES / f"{name}.safetensors",
                                     FIXTURES / f"{name}.weights.npz") if path.exists())
    net = load(weights, network=tmp_path / f"net.{language}")
    with np.load(FIXTURES / f"{name}.npz") as stored:
        np.testing.assert_allclose(forward(net, stored["x"]), stored["y"], atol=1e-5)


def test_there_are_examples_in_both_languages():
    assert {language for _, language, _ in EXAMPLES} == {"toml", "json"}


def test_every_kind_is_listed_with_its_options_and_defaults():
    listed = {}
    for kinds, options in table(DESCRIPTIONS.split("<!-- kinds -->")[1], "kind"):
        known = dict(re.findall(r"`(\w+)`(?: = ([^,]+))?", options))
        known |= listed["lstm"] if "the same" in options else {}
        listed |= {kind: known for kind in words(kinds)}
    def shown(default) -> str:
        return "" if default is None else json.dumps(default)
    assert listed == {kind: {name: shown(option.default) for name, option in options.items()}
                    for kind, (options, _) in KINDS.items()}


def test_every_word_that_an_option_may_be_is_listed():
    listed = {next(iter(words(option))): cell for option, cell in
            table(DESCRIPTIONS.split("<!-- choices -->")[1], "option")}
    for options, _ in KINDS.values():
        for name, option in options.items():
            if "one of" in option.legal:
                legal = option.legal.removeprefix("one of ").split(", or ")[0].split(", ")
                assert set(legal) <= words(listed[name]), name
    assert all(any(name in options for options, _ in KINDS.values()) for name in listed)
