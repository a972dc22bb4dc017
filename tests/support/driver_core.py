"""A core's driver, built with sanitizers, before a device that is a C program or simulated."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from gatefold.gen.host.config import host_config
from gatefold.gen.host.driver_files import write_driver, write_load
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.plan import Array, make_plan
from gatefold.gen.store.export import write_rtl, write_weights
from tests.support.networks import quantized
from tests.support.places import ROOT

HERE = ROOT / "tests" / "host"
SANITIZERS = ("-g", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Werror")


class Core:
    """A folder with a core's driver, and the stand-in (stand_in.c) as its device.

    ``built``: the driver too, with the sanitizers, and the program script.c that calls it.
    """

    def __init__(self, folder: Path, name: str | QuantizedNetwork, *, host: tuple[str, ...] = (),
                 built: bool = True, widths: tuple[int, int, int] = (8, 8, 10), pe: int = 8,
                 simd: int = 2, stream_bits: int = 32, contexts: int = 1, loadable: bool = False,
                 engines: int = 1, float32: bool = False):
        self.folder, self.driver = folder, folder / "driver"
        qnet = quantized(name, widths) if isinstance(name, str) else name
        if host:
            qnet = replace(qnet, host=host)
        array = Array(pe=pe, simd=simd, stream_bits=stream_bits, contexts=contexts)
        self.plan = make_plan(qnet, array, loadable=loadable)
        self.host = host_config(self.plan, engines=engines, float32=float32)
        self.about = dict(self.host.constants)
        write_driver(self.driver, self.plan, self.about, clock_mhz=100, version="1.2.3")
        self.make_device()
        if built:
            flags = " ".join(SANITIZERS)
            run(["make", "-s", "-j2", f"CFLAGS={flags}", f"LDFLAGS={flags}"], cwd=self.driver)
            compile_c(self.driver, HERE / "script.c", *SANITIZERS, "libgatefold.a", "-ldl",
                      "-o", "script")

    def make_device(self) -> None:
        compile_c(self.driver, HERE / "stand_in.c", "-shared", "-fPIC", "-O1",
                  "-o", "libgatefold_sim.so")

    @property
    def qnet(self):
        return self.plan.qnet

    @property
    def hash(self) -> int:
        return self.about["HASH_HI"] << 32 | self.about["HASH_LO"]

    def play(self, *lines: str, **environment: str) -> list[str]:
        """What the program says to these calls, in the folder; it must end without a sanitizer's
        complaint."""
        lines = ("open sim:.", *lines, "close")
        done = subprocess.run([self.driver / "script"], input="\n".join(lines) + "\n", text=True,
                              capture_output=True, timeout=1200, check=False, cwd=self.folder,
                              env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        said = [line.strip() for line in done.stdout.splitlines()]
        assert said[-1] == "GF_OK" and len(said) == len(lines)
        return said[:-1]

    def file(self, name: str, data: np.ndarray | bytes) -> str:
        """A file of the folder; its name."""
        (self.folder / name).write_bytes(data if isinstance(data, bytes) else data.tobytes())
        return name

    def raw(self, name: str, frames: int) -> np.ndarray:
        """What a file holds: integers of the core (frames, elements)."""
        data = np.frombuffer((self.folder / name).read_bytes(), self.container)
        return data.reshape(frames, -1)

    @property
    def container(self) -> np.dtype:
        """Of an element in memory."""
        return np.dtype("<f4" if self.host.float32 else f"<i{self.host.container // 8}")

    def echoed(self, x: np.ndarray) -> np.ndarray:
        """The stand-in's output integers (frames, elements) of input integers."""
        return x[:, np.arange(self.about["OUT_ELEMENTS"]) % self.about["IN_ELEMENTS"]]


class SimulatedCore(Core):
    """The same with the exported Verilog as the device, as ``make sim`` compiles it."""

    def make_device(self) -> None:
        write_rtl(self.folder / "rtl", self.plan, self.host)
        write_weights(self.folder / "weights", self.plan)
        if self.plan.config.loadable:
            write_load(self.folder / "weights", self.plan, self.hash)
        run(["make", "-s", "sim", f"PYTHON={sys.executable}", "SIM_CXXFLAGS=-O0"], cwd=self.driver)


def run(command, **options) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False,
                          **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def compile_c(driver: Path, *words) -> None:
    run(["gcc", *WARNINGS, "-I.", *map(str, words)], cwd=driver)


def raw_frames(core: Core, count: int, seed: int = 0) -> np.ndarray:
    """Integers (frames, elements) in the core's containers."""
    most = 1 << core.plan.config.act_width - 1
    return np.random.default_rng(seed).integers(
        -most, most, (count, core.about["IN_ELEMENTS"])).astype(core.container)
