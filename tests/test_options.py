"""The declared options: their legal values and explanations, which nothing else repeats."""

import inspect

import pytest

import gatefold as gf
from gatefold.boards import BOARDS
from gatefold.gen.cli import main
from gatefold.gen.errors import UserError
from gatefold.gen.legal import Limit
from gatefold.gen.limits import CLOCKS
from gatefold.gen.measure.rules import AUTO
from gatefold.gen.network.initialise import LIMITS as SIZES
from gatefold.gen.numbers.formats import RULES
from gatefold.gen.numbers.quantize import WIDTHS
from gatefold.gen.options import (
    LIMITS,
    BuildOptions,
    ExploreOptions,
    ShapeOptions,
    VerifyOptions,
    WeightsOptions,
)
from gatefold.hdl.config import PIPELINES
from gatefold.sim.verify import SIMULATORS

COMMANDS = {"build": (BuildOptions, ShapeOptions), "explore": (ExploreOptions,),
            "verify": (VerifyOptions,), "weights": (WeightsOptions,)}
DECLARED = [pytest.param(command, one, id=f"{command} {one.name}")
            for command, classes in COMMANDS.items() for of in classes for one in of.declared()]


def option(of, name):
    return next(one for one in of.declared() if one.field == name)


@pytest.mark.parametrize("command, one", DECLARED)
def test_the_command_line_has_every_option_and_states_its_legal_values(command, one):
    (shown,) = [param for param in main.commands[command].params if one.name in param.opts]
    assert shown.name == one.field and shown.help == one.help
    assert shown.is_flag if one.default is False else shown.metavar == one.legal.metavar
    for limit in (one.legal, getattr(one.legal, "limit", None)):
        if isinstance(limit, Limit):
            assert f"{limit.lo}..{limit.hi}" in shown.help


@pytest.mark.parametrize("function, of", [(gf.compile, BuildOptions), (gf.explore, ExploreOptions)])
def test_python_takes_and_documents_every_option(function, of):
    taken = inspect.signature(function).parameters
    text = " ".join(inspect.getdoc(function).split())
    for one in of.declared():
        assert taken[one.field].default == one.default
        assert taken[one.field].kind is inspect.Parameter.KEYWORD_ONLY
        assert f"{one.field}: {one.text} ({one.legal.text})." in text


@pytest.mark.parametrize("one", [one for of in (BuildOptions, ExploreOptions, VerifyOptions)
                                 for one in of.declared() if one.default is not None],
                         ids=lambda one: one.name)
def test_defaults_are_legal_and_read_as_they_are_written(one):
    assert one.check(one.default) == one.default
    if one.default is not False:
        assert one.parse(one.legal.written(one.default)) == one.default


def test_the_limits_are_those_of_the_parts():
    assert (LIMITS["width"].lo, LIMITS["width"].hi) == (WIDTHS[0], WIDTHS[-1])
    for name, most in SIZES.items():
        assert (LIMITS[name].lo, LIMITS[name].hi) == (1, most), name
    for of, name, words in ((BuildOptions, "rule", (*RULES, AUTO)),
                            (BuildOptions, "pipeline", PIPELINES),
                            (BuildOptions, "pipeline", CLOCKS), (BuildOptions, "board", BOARDS),
                            (VerifyOptions, "sim", SIMULATORS)):
        assert set(option(of, name).legal.words) == set(words), name


MAX_ERROR = option(BuildOptions, "max_error")


@pytest.mark.parametrize(("text", "value"), [
    ("1%", 0.01), ("0.5 %", 0.005), (".02", 0.02), ("0.001", 0.001), (" 3% ", 0.03)])
def test_errors_are_written_as_parts_or_percent(text, value):
    assert MAX_ERROR.parse(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "0", "1", "100%", "-1%", "1e-2", "nan", "one", "1%%",
                                  "9" * 99])
def test_other_errors_are_refused(text):
    with pytest.raises(UserError, match="--max-error must be a part of the outputs' range like 1%"):
        MAX_ERROR.parse(text)


@pytest.mark.parametrize(("given", "message"), [
    ({"io": "float32"}, "--io needs --host axi"),
    ({"engines": 2}, "--engines needs --host axi"),
    ({"host": "pcie"}, "--host must be one of axi"),
    ({"host": "axi", "port": "48"}, "--port must be one of 32, 64, 128, 256, 512"),
    ({"host": "axi", "engines": 17}, "--engines must be an integer in 1..16"),
    ({"host": "axi", "io": "float16"}, "--io must be one of fixed, float32")])
def test_options_of_a_core_with_registers(given, message):
    with pytest.raises(UserError, match=message):
        BuildOptions(**given)
