"""docs/formats.md and docs/descriptions.md: their examples run, their tables are the code's."""

import json
import re

import numpy as np
import pytest

from gatefold.gen.cli import main
from gatefold.gen.frontends import load
from gatefold.gen.frontends.described.layers import KINDS
from gatefold.gen.network.forward import forward
from gatefold.gen.numbers.formats import RULES
from gatefold.gen.numbers.overrides import check_overrides, read_overrides
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.tables import ARGUMENT_BITS, table_for
from gatefold.gen.options import LIMITS
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
    assert "8 bits behind the point for results of up to 9 bits, 12 up to 14, else 14" in FORMATS
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
