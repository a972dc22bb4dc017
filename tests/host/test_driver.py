"""The C driver against a device that is a C program: calls, errors, time limits, floats.

The driver and the program that calls it (script.c) are built with the address and
undefined-behaviour sanitizers. The device (stand_in.c) gives its inputs back.
"""

import os
import re
import shutil
import struct
import zlib

import numpy as np
import pytest

import gatefold.driver
from gatefold.gen.frontends import load
from gatefold.gen.host.driver_files import write_load
from gatefold.gen.numbers.quantize import quantize
from tests.support.driver_core import Core, raw_frames, run
from tests.support.tflite_files import path

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Core:
    """Several outputs, a softmax behind the second, two contexts."""
    return Core(tmp_path_factory.mktemp("plain"), "two outputs", host=("", "softmax"), contexts=2)


@pytest.fixture(scope="module")
def stateful(tmp_path_factory) -> Core:
    return Core(tmp_path_factory.mktemp("stateful"), "stateful rnn", loadable=True)


# ---- calls that end well -----------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 32, 128, 5000])  # the last in several parts
def test_raw_frames(plain, frames):
    x = raw_frames(plain, frames)
    said = plain.play(f"raw {frames} 1000 {plain.file('x', x)} y")
    assert said == ["GF_OK", "GF_OK"]
    np.testing.assert_array_equal(plain.raw("y", frames), plain.echoed(x))


@pytest.mark.parametrize("frames", [1, 3, 40])
def test_floats_are_those_of_golden(plain, frames):
    """Quantised, scaled and finished exactly as Python does it: ties, both ends, infinities."""
    from gatefold.gen.measure.host import finish
    from gatefold.gen.network.graph import joined, split

    qnet = plain.qnet
    rng = np.random.default_rng(frames)
    shape = (2 * frames, *qnet.input_shape)
    x = (rng.integers(-300, 300, shape) / 2 ** (qnet.input_format.frac + 1)).astype(np.float32)
    x.flat[:4] = [np.inf, -np.inf, 3e38, -1e-40]
    said = plain.play(f"infer {frames} 1000 {plain.file('x', x)} y")
    assert said == ["GF_OK", "GF_OK"]
    y = np.frombuffer((plain.folder / "y").read_bytes(), "<f4").reshape(2 * frames, -1)

    integers = plain.echoed(qnet.quantize(x).reshape(frames, -1)).reshape(2 * frames, -1)
    expected = joined(finish(split(qnet.to_float(integers), qnet.output_shapes), qnet.host))
    np.testing.assert_array_max_ulp(y, expected.reshape(y.shape).astype(np.float32), 1)
    plainly = np.prod(qnet.output_shapes[0])  # without the softmax: to the bit
    np.testing.assert_array_equal(y[:, :plainly], expected.reshape(y.shape)[:, :plainly])


def test_floats_of_a_tflite_of_integers(tmp_path):
    """Scales and zero points as LiteRT has them: ties away from zero, both ends, infinities; in C
    and in Python."""
    qnet = quantize(load(path("dense")))
    core = Core(tmp_path, qnet)
    assert qnet.affine is not None
    (form,), (result,) = qnet.affine
    steps = np.arange(-300, 301, 0.5)
    size = int(np.prod(qnet.input_shape))
    x = np.resize(steps * form.scale, (60, size)).astype(np.float32)
    x[0, :3] = np.inf, -np.inf, 3e38
    (_, said) = core.play(f"infer {len(x)} 1000 {core.file('x', x)} y")
    assert said == "GF_OK"
    with np.errstate(over="ignore"):
        want = result.to_float(core.echoed(form.quantize(x))).astype(np.float32)
    got = np.frombuffer((core.folder / "y").read_bytes(), "<f4").reshape(want.shape)
    np.testing.assert_array_equal(got, want)
    with gatefold.driver.open(f"sim:{tmp_path}") as device:
        np.testing.assert_array_equal(
            device.infer(x.reshape(-1, *qnet.input_shape)).reshape(want.shape), want)


def test_sizes(plain):
    about = plain.about
    each = plain.plan.config.container // 8
    (_, sizes) = plain.play("sizes")
    assert sizes.split() == [str(n) for n in (
        about["IN_ELEMENTS"], about["OUT_ELEMENTS"], about["IN_ELEMENTS"] * each,
        about["OUT_ELEMENTS"] * each,
        ((1 << 16) - 4096) // (about["IN_BYTES"] + about["OUT_BYTES"]))]


def test_a_batch_in_the_background(plain):
    x = raw_frames(plain, 8)
    plain.file("x", x)
    said = plain.play("submit 8 x", "submit 8 x", "wait 0 y", "wait 1000 y", "wait 1000 y")
    assert [line.split(":")[0] for line in said] == [
        "GF_OK", "GF_OK", "GF_EBUSY", "GF_ETIMEOUT", "GF_OK", "GF_EINVAL"]
    np.testing.assert_array_equal(plain.raw("y", 8), plain.echoed(x))


def test_weights_then_frames(stateful):
    write_load(stateful.folder, stateful.plan, stateful.hash)
    x = raw_frames(stateful, 3)
    frames = f"raw 3 1000 {stateful.file('x', x)} y"
    said = stateful.play(frames, "load load.gfw", frames, "reset", "counters")
    assert said[1].startswith("GF_EUNLOADED: ")
    assert said[2:] == ["GF_OK", "GF_OK", "GF_OK", "GF_OK 3 0 0"]


# ---- calls that do not -------------------------------------------------------------------------


#: (what goes wrong, the error of gf_open, a part of its message)
REFUSED = [
    ("magic", "GF_EDEVICE", "this is no Gatefold core"),
    ("version", "GF_EDEVICE", "the core's registers are of version 2, this library knows 1"),
    ("hash", "GF_EHASH", "take the library from the folder of the core"),
    ("refuse", "GF_EBUS", "error response 2"),
]


@pytest.mark.parametrize(("fault", "code", "message"), REFUSED)
def test_a_device_that_is_not_ours(plain, fault, code, message):
    (said,) = plain.play(GATEFOLD_FAULT=fault)
    assert said.startswith(f"{code}: ") and message in said


@pytest.mark.parametrize(("where", "code", "message"), [
    ("sim:/nowhere", "GF_EOPEN", "/nowhere/driver/libgatefold_sim.so is not there: run `make"),
    ("sim:", "GF_EINVAL", "names no device"),
    ("usb:0", "GF_EINVAL", "give sim:DIR, uio:NAME or socket:PATH"),
    ("uio:gatefold_that_is_not", "GF_EOPEN", "no UIO device is called"),
    ("uio:../x", "GF_EINVAL", "without a slash"),
    ("socket:/nowhere/x", "GF_EOPEN", "no server at /nowhere/x"),
    (f"socket:/{'x' * 200}", "GF_EINVAL", "longer than"),
])
def test_a_device_that_is_not_there(plain, where, code, message):
    said = plain.play("close", f"open {where}")[-1]
    assert said.startswith(f"{code}: ") and message in said


@pytest.mark.parametrize(("fault", "code", "message"), [
    ("silent", "GF_ETIMEOUT", "did not finish in time"),
    ("read", "GF_EBUS", "a read of the core's master"),
    ("write", "GF_EBUS", "a write of the core's master"),
])
def test_frames_that_fail(plain, fault, code, message):
    x = plain.file("x", raw_frames(plain, 2))
    said = plain.play(f"raw 2 50 {x} y", GATEFOLD_FAULT=fault)
    assert said[0] == "GF_OK" and said[1].startswith(f"{code}: ") and message in said[1]


def test_after_a_time_limit_the_device_can_be_used_again(plain):
    """5 ms a frame: the first call gives up, the second finds the frames under way, and the third,
    after a wait that is longer, finds the device free."""
    x = plain.file("x", raw_frames(plain, 2))
    short, long = (f"raw 2 {ms} {x} y" for ms in (1, 1000))
    said = plain.play(short, long, *["counters"] * 120_000, long, GATEFOLD_FAULT="slow")
    assert [said[n].split(":")[0] for n in (1, 2, -1)] == ["GF_ETIMEOUT", "GF_EBUSY", "GF_OK"]


def test_missing_arguments(plain):
    (_, said) = plain.play("null")
    assert said.split() == ["GF_EINVAL"] * 10 + ["GF_OK"]


def test_nan_is_refused(plain):
    x = np.zeros((2, plain.about["IN_ELEMENTS"]), np.float32)
    x[1, 2] = np.nan
    (_, said) = plain.play(f"infer 2 1000 {plain.file('x', x)} y")
    assert said == "GF_EINVAL: element 2 of input frame 1 is NaN: give numbers"


def test_what_a_core_cannot_do(plain):
    said = plain.play("reset", "load x")
    assert [line.split(":")[0] for line in said[1:]] == ["GF_EUNSUPPORTED", "GF_EUNSUPPORTED"]
    assert "keeps no state" in said[1] and "build one with --loadable" in said[2]


def test_a_batch_that_is_too_large(plain):
    most = int(plain.play("sizes")[1].split()[-1])
    x = plain.file("x", raw_frames(plain, most + 1))
    said = plain.play(f"submit {most + 1} {x}", f"submit {most} {x}", f"wait 1000 {x}")
    assert [line.split(":")[0] for line in said[1:]] == ["GF_ENOMEM", "GF_OK", "GF_OK"]
    assert f"holds {most}" in said[1]


def damaged_weights(core: Core) -> dict[str, tuple[bytes, str]]:
    """Files that are no weights of this core, each with a part of the message."""
    write_load(core.folder, core.plan, core.hash)
    good = (core.folder / "load.gfw").read_bytes()
    flipped = bytearray(good)
    flipped[-1] ^= 1
    short = good[24:-4]
    return {
        "empty": (b"", "no file of weights"),
        "text": (b"00000000\n" * 9, "no file of weights"),
        "cut": (good[:-1], "shorter or longer than its header says"),
        "long": (good + b"\0", "shorter or longer than its header says"),
        "flipped": (bytes(flipped), "its checksum is wrong"),
        "another": (good[:8] + bytes(8) + good[16:], "the weights are those of build 0000"),
        "another shape": (struct.pack("<8sQII", b"GFWEIGHT", core.hash, len(short),
                                      zlib.crc32(short)) + short, "bytes of weights, the core"),
    }


def test_weights_that_are_refused(stateful):
    files = damaged_weights(stateful)
    for n, (data, message) in enumerate(files.values()):
        (_, said) = stateful.play(f"load {stateful.file(f'bad{n}.gfw', data)}")
        assert said.startswith("GF_EWEIGHTS: ") and message in said, said
    (_, said) = stateful.play("load /nowhere/load.gfw")
    assert said == "GF_EFILE: /nowhere/load.gfw cannot be read"
    (_, said) = stateful.play("load load.gfw", GATEFOLD_FAULT="crc")
    assert said.startswith("GF_EWEIGHTS: the weights did not arrive intact")


# ---- how it is built ---------------------------------------------------------------------------


def test_programs_see_what_the_header_declares_and_nothing_else(plain):
    symbols = run(["nm", "-D", "--defined-only", plain.driver / "libgatefold.so"])
    seen = {line.split()[-1] for line in symbols.splitlines()}
    header = (plain.driver / "gatefold.h").read_text()
    assert {name for name in seen if name.startswith("gf_")} == set(
        re.findall(r"^[a-z].*?\b(gf_[a-z_]+)\(", header, re.MULTILINE))


def test_cmake_and_pkg_config(plain, tmp_path):
    for tool in ("cmake", "pkg-config"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    run(["cmake", "-S", plain.driver, "-B", tmp_path / "build",
         f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'there'}"])
    run(["cmake", "--build", tmp_path / "build"])
    run(["cmake", "--install", tmp_path / "build"])
    found = next((tmp_path / "there").rglob("gatefold.pc"))
    environment = os.environ | {"PKG_CONFIG_PATH": str(found.parent)}
    flags = run(["pkg-config", "--cflags", "--libs", "gatefold"], env=environment).split()
    assert f"-I{tmp_path}/there/include" in flags and "-lgatefold" in flags
    assert run(["pkg-config", "--modversion", "gatefold"], env=environment) == "1.2.3\n"
    program = tmp_path / "program.c"
    program.write_text('#include <gatefold.h>\nint main(void) { gf_device *d; '
                       'return gf_open(&d, "sim:/nowhere") == GF_EOPEN ? 0 : 1; }\n')
    run(["gcc", program, "-o", tmp_path / "program", *flags])
    run([tmp_path / "program"], env={"LD_LIBRARY_PATH": str(found.parent.parent)})


@pytest.mark.skipif(shutil.which("cppcheck") is None, reason="cppcheck is not installed")
def test_cppcheck(plain):
    run(["cppcheck", "--enable=warning,performance,portability", "--error-exitcode=1", "-q",
         "--std=c11", "-I.", "-Isrc", "src", "sim/simd.c"], cwd=plain.driver)
