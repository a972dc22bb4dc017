"""C programs and Python before the simulated core: the exported Verilog, bit for bit as golden.

The driver and the calling program have the address and undefined-behaviour sanitizers.
"""

import shutil
import subprocess

import numpy as np
import pytest

import gatefold.driver
from gatefold.gen.frontends import load
from gatefold.gen.measure.inference import run
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.sim.golden import golden
from tests.support.driver_core import HERE, SANITIZERS, SimulatedCore, compile_c
from tests.support.networks import inputs, network
from tests.support.tflite_files import INT8, path

pytestmark = pytest.mark.skipif(any(shutil.which(tool) is None for tool in ("gcc", "g++", "perl")),
                                reason="gcc, g++ or perl is not installed")


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> SimulatedCore:
    """A core with most of what one can have: it keeps state, is loaded, and has a window."""
    return SimulatedCore(tmp_path_factory.mktemp("a core"), "stateful lstm", loadable=True, pe=4,
                         simd=1, stream_bits=64)


LOAD = "load weights/load.gfw"


def frames_of(core: SimulatedCore, x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype(core.container)


@pytest.mark.parametrize("frames", [1, 2, 32, 128])
@pytest.mark.parametrize("memory", [{}, {"GATEFOLD_SIM_LATENCY": "0"},
                                    {"GATEFOLD_SIM_STALL": "60"}])
def test_raw_frames_equal_golden(core, frames, memory):
    x = inputs(core.qnet, frames, seed=frames)
    said = core.play(LOAD, f"raw {frames} 1000 {core.file('x', frames_of(core, x))} y", "counters",
                     **memory)
    assert said[:3] == ["GF_OK"] * 3
    np.testing.assert_array_equal(core.raw("y", frames), golden(core.qnet, x).reshape(frames, -1))
    assert int(said[3].split()[1]) == frames


def test_state_goes_on_until_it_is_reset(core):
    """Three calls of two frames; the third begins a new sequence."""
    x = inputs(core.qnet, 6, seed=1)
    fresh = np.array([True, False, False, False, True, False])
    expected = golden(core.qnet, x, fresh=fresh).reshape(6, -1)
    lines = [LOAD]
    for n in range(3):
        core.file(f"x{n}", frames_of(core, x[2 * n:2 * n + 2]))
        lines += [*["reset"] * (n == 2), f"raw 2 1000 x{n} y{n}"]
    assert set(core.play(*lines)) == {"GF_OK"}
    for n in range(3):
        np.testing.assert_array_equal(core.raw(f"y{n}", 2), expected[2 * n:2 * n + 2])


def test_floats_and_background(core):
    x = inputs(core.qnet, 3)
    floats = (x / 2.0 ** core.qnet.input_format.frac).astype(np.float32)
    said = core.play(LOAD, f"infer 3 1000 {core.file('f', floats)} z", "reset",
                     f"submit 3 {core.file('x', frames_of(core, x))}", "wait 1000 y")
    assert set(said) == {"GF_OK"}
    expected = golden(core.qnet, x)
    np.testing.assert_array_equal(core.raw("y", 3), expected.reshape(3, -1))
    np.testing.assert_array_equal(np.frombuffer((core.folder / "z").read_bytes(), "<f4"),
                                  core.qnet.to_float(expected).ravel().astype(np.float32))


@pytest.mark.parametrize(("fault", "codes"), [
    ("read", ["GF_EBUS", "GF_EUNLOADED"]), ("write", ["GF_OK", "GF_EBUS"]),
    ("dead", ["GF_ETIMEOUT", "GF_EUNLOADED"]),
])
def test_a_memory_that_fails(core, fault, codes):
    """What loading weights and then frames give."""
    x = core.file("x", frames_of(core, inputs(core.qnet, 32)))
    said = core.play(LOAD, f"raw 32 20 {x} y", GATEFOLD_SIM_FAULT=fault)
    assert [line.split(":")[0] for line in said[1:]] == codes


@pytest.mark.parametrize("start", [1000, 2500, 2600, 3000])
def test_a_memory_that_answers_again(core, start):
    """It stops while weights are loaded or frames are computed: the core gives up, and after that
    all is as at the beginning. A call that comes too early waits for memory."""
    x = inputs(core.qnet, 32)
    frames = f"raw 32 1000 {core.file('x', frames_of(core, x))} y"
    said = core.play(LOAD, frames, LOAD, frames, LOAD, frames, GATEFOLD_SIM_FAULT="dead",
                     GATEFOLD_SIM_FAULT_CYCLES=f"{start}-{start + 100_000}")
    codes = [line.split(":")[0] for line in said[1:]]
    assert "GF_ETIMEOUT" in codes and codes[-2:] == ["GF_OK", "GF_OK"]
    assert any("memory did not answer" in line for line in said)
    np.testing.assert_array_equal(core.raw("y", 32), golden(core.qnet, x).reshape(32, -1))


def test_frames_before_weights_and_damaged_weights(core):
    x = core.file("x", frames_of(core, inputs(core.qnet, 2)))
    good = (core.folder / "weights/load.gfw").read_bytes()
    core.file("cut.gfw", good[:-8])
    said = core.play(f"raw 2 1000 {x} y", "load cut.gfw", f"raw 2 1000 {x} y", LOAD,
                     f"raw 2 1000 {x} y")
    assert [line.split(":")[0] for line in said[1:]] == [
        "GF_EUNLOADED", "GF_EWEIGHTS", "GF_EUNLOADED", "GF_OK", "GF_OK"]


def test_a_time_limit_in_time_of_the_simulation(core):
    """However fast this machine is: no time for 128 frames, then 64 frames at once; the accesses
    to registers in between take the time."""
    x = core.file("x", frames_of(core, inputs(core.qnet, 128)))
    said = core.play(LOAD, f"raw 128 0 {x} y", f"raw 128 0 {x} y", *["counters"] * 2000,
                     f"raw 64 1000 {x} y")
    assert [said[n].split(":")[0] for n in (2, 3, -1)] == ["GF_ETIMEOUT", "GF_EBUSY", "GF_OK"]


def test_a_missing_image_is_an_error_not_the_end_of_the_program(core):
    image = core.folder / "weights/program.hex"
    text = image.read_text()
    image.unlink()
    try:
        (said,) = core.play()
    finally:
        image.write_text(text)
    assert said.startswith("GF_EOPEN: the simulated core does not start: ")


def test_two_devices_of_one_core_are_independent(core):
    x = inputs(core.qnet, 4)
    expected = core.qnet.to_float(golden(core.qnet, x)).astype(np.float32)
    floats = x / 2.0 ** core.qnet.input_format.frac
    with (gatefold.driver.open(f"sim:{core.folder}") as one,
          gatefold.driver.open(f"sim:{core.folder}") as two):
        one.load_weights(core.folder / "weights/load.gfw")
        with pytest.raises(gatefold.driver.DeviceError, match="GF_EUNLOADED"):
            two.infer(floats)
        np.testing.assert_array_equal(one.infer(floats), expected)
        assert one.counters()["last_cycles"] > 4 * core.plan.cycles.interval


FRAMES = 128  #: of program.c


def floats_around(qnet: QuantizedNetwork, count: int) -> np.ndarray:
    """Floats (count, *input_shape), of which some lie outside their formats."""
    low, high = (side.astype(float) for side in qnet.input_limits())
    sizes = [int(np.prod(shape)) for shape in qnet.input_shapes]
    if qnet.affine:
        scales, zeros = (np.repeat(part, sizes) for part in
                         zip(*((one.scale, one.zero) for one in qnet.affine[0]), strict=True))
        low, high = (low - zeros) * scales, (high - zeros) * scales
    else:
        steps = np.repeat([2.0 ** -form.frac for form in qnet.input_formats], sizes)
        low, high = low * steps, high * steps
    x = np.random.default_rng(5).uniform(1.1 * low, 1.1 * high, (count, sum(sizes)))
    return x.reshape(count, *qnet.input_shape).astype(np.float32)


def run_program(core: SimulatedCore) -> None:
    """program.c, as somebody else would have written it, finds nothing wrong with this core."""
    qnet, contexts = core.qnet, core.plan.config.contexts
    x = floats_around(qnet, FRAMES * contexts)
    raw_x = qnet.quantize(x)
    raw_y = run(qnet, raw_x, raw=True, contexts=contexts).y
    y = run(qnet, x, contexts=contexts).y
    if core.host.float32:
        raw_x, raw_y = x, qnet.to_float(raw_y)
    core.file("x.f32", x.astype("<f4"))
    core.file("y.f32", y.astype("<f4"))
    core.file("x.raw", raw_x.astype(core.container))
    core.file("y.raw", raw_y.astype(core.container))
    compile_c(core.driver, HERE / "program.c", *SANITIZERS, "libgatefold.a", "-ldl", "-o",
              "program")
    weights = ["weights/load.gfw"] * core.plan.config.loadable
    done = subprocess.run(
        ["driver/program", "sim:.", ".", str(FRAMES), str(int(any(qnet.host))), *weights],
        cwd=core.folder, capture_output=True, text=True, timeout=1200, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_program_of_somebody_else(core):
    run_program(core)


#: Cores of all kinds: a network, the bits of its numbers, the plan, the hardware around it.
CORES = [
    {"name": "lstm-dense", "widths": (9, 9, 12), "stream_bits": 16, "float32": True},
    {"name": "lstm-dense", "widths": (6, 6, 10), "stream_bits": 512, "engines": 3},
    {"name": "two outputs", "stream_bits": 128, "host": ("softmax", ""), "contexts": 2},
    {"name": "two inputs", "widths": (12, 8, 14), "stream_bits": 64, "float32": True, "engines": 2},
    {"name": "stateful gru", "widths": (12, 12, 16), "stream_bits": 64, "contexts": 3},
    {"name": "sequence", "stream_bits": 32, "engines": 2},  # a .tflite of integers
    {"name": "dense only", "split": 16, "widths": (4, 4, 10)},  # 4 bits, elements of the input 8
    {"name": "stateful lstm", "split": 4, "widths": (6, 6, 12), "simd": 12, "contexts": 2,
     "stream_bits": 64, "float32": True},
]


@pytest.mark.long
@pytest.mark.parametrize("options", CORES, ids=str)
def test_other_cores(tmp_path, options):
    name = options["name"]
    if name in INT8:
        options = options | {"name": quantize(load(path(name)))}
    if "split" in options:
        act, weight, cell = options["widths"]
        options = {key: value for key, value in options.items() if key != "split"} | {
            "name": quantize(network(name), act_width=act, weight_width=weight, cell_width=cell,
                             split=options["split"], row_scales=True)}
    run_program(SimulatedCore(tmp_path, **options))
