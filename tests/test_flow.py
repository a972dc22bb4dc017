"""The Python API, which gives the results of the command line."""

import copy

import numpy as np
import pytest

import gatefold as gf
from gatefold.gen import flow
from gatefold.gen.measure.rules import EXTRAS
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, Budget, make_plan
from gatefold.gen.plan.resources import estimate
from gatefold.gen.planning import SPENT, affordable
from gatefold.gen.store.folder import load_plan
from gatefold.sim import simulators
from tests.support.cli_harness import DATA, MODEL, built, contents
from tests.support.networks import network

SMALL = {"pe": 8, "simd": 2}


@pytest.fixture(scope="module")
def data():
    return np.load(DATA)


@pytest.fixture(scope="module")
def core(data):
    return gf.compile(gf.load(MODEL), board="zcu104", calibrate=data["x"], **SMALL)


def test_saving_writes_the_files_of_the_command(core, tmp_path):
    core.save(tmp_path / "python")
    built(tmp_path / "command", MODEL, "--board", "zcu104", "--calibrate", DATA, "--pe", 8,
          "--simd", 2)
    assert contents(tmp_path / "python") == contents(tmp_path / "command")


def test_run_takes_floats_or_integers(core, data):
    np.testing.assert_allclose(core.run(data["x"]), data["y"], atol=2e-3)
    integers = core.qnet.quantize(data["x"])
    np.testing.assert_array_equal(
        core.qnet.to_float(core.run(integers, raw=True)), core.run(data["x"]))


def test_the_report_is_a_copy(core):
    before = copy.deepcopy(core.report())
    core.report()["cycles"]["latency"] = 0
    assert core.report() == before
    assert before["cycles"]["latency"] == core.plan.cycles.latency


@pytest.mark.skipif(simulators.missing("icarus") is not None, reason="icarus is missing")
def test_verify_without_saving(core, data):
    result = core.verify(data["x"], sim="icarus", samples=2)
    assert result.samples == 2 and result.latency == core.plan.cycles.latency


def test_a_core_with_weights_in_ultraram_is_saved(tmp_path):
    made = gf.compile(network("lstm-dense"), pe=8, simd=3, board="zcu104", memory="uram")
    made.save(tmp_path / "core")
    assert made.plan.config.uram_rows == 8 and (tmp_path / "core/weights/load.hex").exists()


@pytest.mark.parametrize(("features", "places"), [(1, [1, 2]), (2, [1])])
def test_rules_are_measured_again_only_where_a_split_fits_the_array(monkeypatch, features, places):
    asked, measured = [], flow.quantize_measured

    def counted(*args, **options):
        asked.extend([options["places"]] if not options["without"] else [])
        return measured(*args, **options)
    monkeypatch.setattr(flow, "quantize_measured", counted)
    core = gf.compile(gf.initialise(units=4, features=features, timesteps=3), width=6, macs=64)
    assert core.plan.config.simd == 2 and asked == places
    assert core.qnet.split == len(places)


# network and array of 4 bits, and what of all that makes the error smaller is left
AFFORDED = [("every h", 8, 2, ["split"]), ("every h", 4, 8, ["row_scales", "split"]),
            ("lstm-dense", 8, 4, ["carry"]), ("stack", 16, 8, list(EXTRAS))]


@pytest.mark.parametrize(("name", "pe", "simd", "left"), AFFORDED)
def test_less_error_costs_a_small_part_of_the_luts(name, pe, simd, left):
    def made(without):
        return quantize(network(name, gain=0.2), act_width=4, weight_width=4,
                        row_scales="row_scales" not in without,
                        carry="none" if "carry" in without else "every",
                        split=1 if "split" in without else 2)

    whole, plain = (make_plan(made(without), Array(pe=pe, simd=simd))
                    for without in ((), EXTRAS))
    found = affordable(whole, made, Budget.of(None))
    assert [extra for extra in EXTRAS if found.qnet.calibration.get(extra)] == left
    assert estimate(found.config).lut <= (1 + SPENT) * estimate(plain.config).lut
    assert found.array == whole.array and found.cycles.latency <= whole.cycles.latency


def test_a_network_made_in_python(tmp_path):
    net = gf.initialise(units=3, features=2, timesteps=2, seed=5)
    core = gf.compile(net, **SMALL)
    assert core.report()["input_hash"] == gf.compile(net, **SMALL).report()["input_hash"]
    other = gf.initialise(units=3, features=2, timesteps=2, seed=6)
    assert core.report()["input_hash"] != gf.compile(other, **SMALL).report()["input_hash"]


@pytest.mark.parametrize("options, message", [
    ({"width": 3}, r"--width must be an integer in 4\.\.18"),
    ({"width": 16.0}, "--width must be an integer"),
    ({"width": True}, "--width must be an integer"),
    ({"board": "arty"}, "--board must be one of zcu104, zcu102, kv260, u280, u55c, u50 or "
     "a file like my.toml, not 'arty'"),
    ({"pipeline": "deep"}, "--pipeline must be one of full, short, not 'deep'"),
    ({"pipeline": None}, "--pipeline must be one of full, short, not None"),
    ({"board": 104}, "--board must be one of"),
    ({"wdth": 8}, "there is no option 'wdth': the options are board, width, max_error, "),
    ({"clock": float("nan")}, r"1\.\.1000 MHz"),
    ({"macs": 8, "pe": 4, "simd": 2}, "contradict"),
    ({"calibrate": [[1.0, 2.0]]}, r"must have the shape \(samples, 6, 3\)"),
])
def test_wrong_arguments_are_user_errors(options, message):
    with pytest.raises(gf.UserError, match=message):
        gf.compile(gf.load(MODEL), **options)


def test_a_budget_bounds_the_array():
    core = gf.compile(gf.load(MODEL), macs=20)
    assert core.report()["array"]["multipliers"] <= 20


def test_a_short_pipeline_takes_fewer_cycles_and_registers_for_half_the_clock(tmp_path, core):
    short = gf.compile(core.network, board="zcu104", pipeline="short", **SMALL)
    full = gf.compile(core.network, board="zcu104", **SMALL)
    np.testing.assert_array_equal(short.run(short.data), full.run(short.data))
    shorter, usual = short.report(), full.report()
    assert (shorter["array"]["pipeline"], usual["array"]["pipeline"]) == ("short", "full")
    assert shorter["clock_mhz"] == usual["clock_mhz"] | {"value": usual["clock_mhz"]["value"] / 2}
    assert shorter["cycles"]["latency"] < usual["cycles"]["latency"]
    assert shorter["resources"]["ff"] < usual["resources"]["ff"]
    given = gf.compile(core.network, board="zcu104", pipeline="short", clock=240, **SMALL)
    assert given.report()["clock_mhz"]["value"] == 240


def test_a_folder_knows_its_pipeline(tmp_path, core):
    short = gf.compile(core.network, pipeline="short", **SMALL)
    folder = short.save(tmp_path / "short")
    plan = load_plan(folder)
    assert plan.config == short.plan.config and plan.cycles == short.plan.cycles
    path = folder / "core.json"
    path.write_text(path.read_text().replace('"short"', '"deep"'))
    with pytest.raises(gf.UserError, match="the pipeline must be full or short"):
        load_plan(folder)


@pytest.mark.skipif(simulators.missing("verilator") is not None, reason="verilator is missing")
def test_cascades_that_cost_a_cycle_are_taken_where_logic_is_short(tmp_path, monkeypatch):
    net = gf.load(MODEL)
    usual = gf.compile(net, pe=16, simd=6, width=8)
    luts = usual.report()["resources"]["lut"]
    monkeypatch.setattr("gatefold.gen.plan.placing._LUT_SHARE", (luts - 1) / 400_000)
    core = gf.compile(net, pe=16, simd=6, width=8)
    tails = [one.plan.latencies.tail for one in (usual, core)]
    assert (usual.plan.config.cascade, core.plan.config.cascade) == (False, True)
    assert core.report()["resources"]["lut"] < luts and tails[1] == tails[0] + 1
    plan = load_plan(core.save(tmp_path / "core"))
    assert plan.config == core.plan.config and plan.cycles == core.plan.cycles
    seen = core.verify(sim="verilator", samples=3)
    assert seen.latency == plan.cycles.latency
    np.testing.assert_array_equal(core.run(core.data), usual.run(core.data))


def test_every_public_name_is_there():
    assert all(getattr(gf, name) for name in gf.__all__)
    assert set(gf.__all__) <= set(dir(gf))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = gf.nonsense


def test_a_frame_of_too_many_steps_is_refused_before_anything_is_computed():
    net = gf.initialise(units=2, features=2, timesteps=30_000)
    with pytest.raises(gf.UserError, match="take 30000 steps a frame, the longest schedule has"):
        gf.compile(net)
    with pytest.raises(gf.UserError, match="take 30000 steps a frame"):
        gf.explore(net)
    short = gf.initialise(units=2, features=2, timesteps=3000)
    with pytest.raises(gf.UserError, match="take 30000 steps a frame"):
        gf.compile(short, contexts=10)
