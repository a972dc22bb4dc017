"""A core's driver, built with sanitizers, and a device that is a C program."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np

from gatefold.gen.host.driver_files import write_driver
from gatefold.gen.host.identity import identity
from gatefold.gen.plan import Array, make_plan
from tests.support.networks import quantized
from tests.support.places import ROOT

HERE = ROOT / "tests" / "host"
SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Werror")


class Core:
    """A folder with a core's driver, built with the sanitizers, and the stand-in as its device.
    ``built=False``: the device alone."""

    def __init__(self, folder: Path, name: str, *, host: tuple[str, ...] = (), **options):
        qnet = replace(quantized(name), host=host)
        contexts, built = options.pop("contexts", 1), options.pop("built", True)
        self.folder = folder
        self.plan = make_plan(qnet, Array(pe=8, simd=2, stream_bits=32, contexts=contexts),
                              **options)
        self.about = identity(self.plan)
        self.driver = folder / "driver"
        nothing = np.zeros((1, 1))
        write_driver(self.driver, self.plan, self.about, clock_mhz=100, version="1.2.3",
                     samples=nothing, expected=nothing)
        compile_c(self.driver, HERE / "stand_in.c", "-shared", "-fPIC", "-O1",
                  "-o", "libgatefold_sim.so")
        if not built:
            return
        flags = " ".join(SANITIZERS)
        run(["make", "-s", "-j2", f"CFLAGS={flags}", f"LDFLAGS={flags}"], cwd=self.driver)
        compile_c(self.driver, HERE / "script.c", *SANITIZERS, "libgatefold.a", "-ldl",
                  "-o", "script")

    @property
    def qnet(self):
        return self.plan.qnet

    @property
    def hash(self) -> int:
        return self.about["HASH_HI"] << 32 | self.about["HASH_LO"]

    def play(self, *lines: str, fault: str = "") -> list[str]:
        """What the program says to these calls; it must end without a sanitizer's complaint."""
        lines = (f"open sim:{self.folder}", *lines, "close")
        done = subprocess.run([self.driver / "script"], input="\n".join(lines) + "\n", text=True,
                              capture_output=True, timeout=120, check=False,
                              env={"GATEFOLD_FAULT": fault})
        assert (done.returncode, done.stderr) == (0, "")
        said = [line.strip() for line in done.stdout.splitlines()]
        assert said[-1] == "GF_OK" and len(said) == len(lines)
        return said[:-1]

    def file(self, name: str, array: np.ndarray | None = None) -> Path:
        path = self.folder / name
        if array is not None:
            path.write_bytes(array.tobytes())
        return path

    def echoed(self, x: np.ndarray) -> np.ndarray:
        """The stand-in's output integers (frames, elements) of input integers."""
        return x[:, np.arange(self.about["OUT_ELEMENTS"]) % self.about["IN_ELEMENTS"]]


def run(command, **options) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False,
                          **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def compile_c(driver: Path, *words) -> None:
    run(["gcc", *WARNINGS, "-I.", *map(str, words)], cwd=driver)


def raw_frames(core: Core, count: int, seed: int = 0) -> np.ndarray:
    """Integers (frames, elements) in the core's containers."""
    config = core.plan.config
    lo, hi = (-(1 << config.act_width - 1), (1 << config.act_width - 1) - 1)
    rng = np.random.default_rng(seed)
    return rng.integers(lo, hi, (count, core.about["IN_ELEMENTS"]), endpoint=True).astype(
        f"<i{config.container // 8}")
