"""gatefold.driver against the same stand-ins as the C driver, and the C driver's UIO backend."""

import os
import shutil
import socket

import numpy as np
import pytest

import gatefold.driver
from gatefold.driver import DeviceError
from gatefold.gen.host.driver_files import write_load
from gatefold.gen.measure.host import finish
from gatefold.gen.network.graph import joined, split
from tests.support.driver_core import HERE, SANITIZERS, Core, compile_c, raw_frames, run
from tests.support.uio_stand_in import UioStandIn

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Core:
    return Core(tmp_path_factory.mktemp("plain"), "two outputs", host=("", "softmax"), contexts=2,
                built=False)


@pytest.fixture(scope="module")
def stateful(tmp_path_factory) -> Core:
    return Core(tmp_path_factory.mktemp("stateful"), "stateful rnn", loadable=True, built=False)


def expected(core: Core, x: np.ndarray) -> np.ndarray:
    """Floats of the stand-in: its integers, scaled and finished as golden's."""
    qnet = core.qnet
    frames = qnet.quantize(x).reshape(len(x) // core.plan.config.contexts, -1)
    integers = core.echoed(frames).reshape(len(x), *qnet.output_shape)
    return joined(finish(split(qnet.to_float(integers), qnet.output_shapes), qnet.host))


@pytest.mark.parametrize("samples", [2, 64, 2000])  # the last in several parts
def test_floats(plain, samples):
    x = np.random.default_rng(0).normal(size=(samples, *plain.qnet.input_shape)).astype(np.float32)
    with gatefold.driver.open(f"sim:{plain.folder}") as device:
        np.testing.assert_array_equal(device.infer(x), expected(plain, x).astype(np.float32))


def test_raw_and_background(plain):
    x = raw_frames(plain, 3).reshape(6, *plain.qnet.input_shape)
    y = plain.echoed(x.reshape(3, -1)).reshape(6, *plain.qnet.output_shape)
    with gatefold.driver.open(f"sim:{plain.folder}") as device:
        np.testing.assert_array_equal(device.infer_raw(x), y)
        device.submit(x)
        with pytest.raises(DeviceError, match="GF_EBUSY: a batch of 3 frames is under way"):
            device.infer_raw(x)
        np.testing.assert_array_equal(device.wait(), y)
        assert device.counters()["frames"] == 6


def test_weights(stateful):
    write_load(stateful.folder, stateful.plan, stateful.hash)
    x = np.zeros((2, *stateful.qnet.input_shape))
    with gatefold.driver.open(f"sim:{stateful.folder}") as device:
        with pytest.raises(DeviceError, match="GF_EUNLOADED: "):
            device.infer(x)
        device.load_weights(stateful.folder / "load.gfw")
        device.reset_state()
        assert device.infer(x).shape == (2, *stateful.qnet.output_shape)


@pytest.mark.parametrize(("fault", "code"), [
    ("magic", "GF_EDEVICE"), ("version", "GF_EDEVICE"), ("hash", "GF_EHASH"),
    ("refuse", "GF_EBUS"), ("silent", "GF_ETIMEOUT"), ("read", "GF_EBUS"), ("write", "GF_EBUS"),
])
def test_faults(plain, monkeypatch, fault, code):
    monkeypatch.setenv("GATEFOLD_FAULT", fault)
    with pytest.raises(DeviceError) as caught, \
            gatefold.driver.open(f"sim:{plain.folder}") as device:
        device.infer(np.zeros((2, *plain.qnet.input_shape)), timeout=0.05)
    assert caught.value.code == code


@pytest.mark.parametrize(("where", "core", "message"), [
    ("usb:x", None, "GF_EINVAL: 'usb:x' names no device"),
    ("uio:x", None, "GF_EINVAL: uio: needs core=DIR/driver"),
    ("sim:/nowhere", None, "GF_EFILE: '/nowhere/driver' is no core.json"),
])
def test_what_cannot_be_opened(where, core, message):
    with pytest.raises(DeviceError, match=message):
        gatefold.driver.open(where, core)


@pytest.mark.parametrize(("change", "message"), [
    (lambda x: x[:, :1], "must have the shape"),
    (lambda x: x[:1], "a frame holds 2 samples"),
    (lambda x: x * np.nan, "holds NaN"),
    (lambda x: x[:0], "must have the shape"),
])
def test_wrong_inputs(plain, change, message):
    x = np.zeros((2, *plain.qnet.input_shape))
    with (gatefold.driver.open(f"sim:{plain.folder}") as device,
          pytest.raises(DeviceError, match=f"GF_EINVAL: .*{message}")):
        device.infer(change(x))


# ---- UIO ---------------------------------------------------------------------------------------


def test_python_through_uio(plain, tmp_path, monkeypatch):
    """By polling: a plain file has no interrupt."""
    monkeypatch.setattr(gatefold.driver, "_SPINS", 1 << 40)
    x = np.random.default_rng(1).normal(size=(4, *plain.qnet.input_shape)).astype(np.float32)
    with UioStandIn(tmp_path, "gatefold0", plain.about, plain.plan.config.container):
        transport = gatefold.driver._Uio("gatefold0", 1 << 14, root=str(tmp_path))
        about = gatefold.driver._read_core(plain.driver)
        with gatefold.driver.Device(transport, about) as device:
            np.testing.assert_array_equal(device.infer(x), expected(plain, x).astype(np.float32))


def uio_program(core: Core, root, *options: str) -> str:
    """script.c with the driver, for devices under ``root``."""
    compile_c(core.driver, HERE / "script.c", *sorted(core.driver.glob("src/*.c")), "-Isrc",
              f'-DGF_ROOT="{root}"', *options, *SANITIZERS, "-o", "uio_script")
    return str(core.driver / "uio_script")


@pytest.mark.parametrize("lost", [False, True])
def test_python_waits_for_the_interrupt_of_uio(plain, tmp_path, monkeypatch, lost):
    """One interrupt for each batch; where they are lost, the driver looks every 0.1 s."""
    monkeypatch.setattr(gatefold.driver, "_SPINS", 0)
    x = np.random.default_rng(1).normal(size=(4, *plain.qnet.input_shape)).astype(np.float32)
    with UioStandIn(tmp_path, "gatefold0", plain.about, plain.plan.config.container,
                    interrupts=True, lost=lost) as device:
        transport = gatefold.driver._Uio("gatefold0", 1 << 14, root=str(tmp_path))
        irq = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        irq.connect(str(tmp_path / "dev/uio3.irq"))
        assert transport._file is not None
        os.dup2(irq.fileno(), transport._file)  # the mapping stays
        with gatefold.driver.Device(transport, gatefold.driver._read_core(plain.driver)) as core:
            for _ in range(3):
                np.testing.assert_array_equal(core.infer(x), expected(plain, x).astype(np.float32))
        irq.close()
        assert 1 <= device.enabled <= 8


@pytest.mark.parametrize("lost", [False, True])
def test_c_waits_for_the_interrupt_of_uio(plain, tmp_path, lost):
    program = uio_program(plain, tmp_path, "-DGF_SPINS=1", "-Wl,--wrap=mmap",
                          str(HERE / "fake_uio.c"), "-D_GNU_SOURCE")
    plain.file("x", raw_frames(plain, 3))
    lines = ["open uio:gatefold0", *["raw 3 5000 x y"] * 3, "close"]
    with UioStandIn(tmp_path, "gatefold0", plain.about, plain.plan.config.container,
                    interrupts=True, lost=lost) as device:
        said = run([program], input="\n".join(lines) + "\n", cwd=plain.folder)
        assert said.split() == ["GF_OK"] * 5
        assert 1 <= device.enabled <= 8
    np.testing.assert_array_equal(plain.raw("y", 3), plain.echoed(plain.raw("x", 3)))


def test_c_through_uio(plain, tmp_path):
    root = tmp_path / "root"
    program = uio_program(plain, root, "-DGF_SPINS=1000000000")
    lines = ["open uio:gatefold0"]
    for frames in (1, 3):  # one small frame goes through the window
        plain.file(f"x{frames}", raw_frames(plain, frames))
        lines.append(f"raw {frames} 5000 x{frames} y{frames}")
    lines += ["close", "open uio:another"]
    with UioStandIn(root, "gatefold0", plain.about, plain.plan.config.container):
        said = run([program], input="\n".join(lines) + "\n", cwd=plain.folder)
    assert [line.split(":")[0] for line in said.splitlines()] == ["GF_OK"] * 4 + [
        "GF_EOPEN"]
    for frames in (1, 3):
        np.testing.assert_array_equal(plain.raw(f"y{frames}", frames),
                                      plain.echoed(plain.raw(f"x{frames}", frames)))
