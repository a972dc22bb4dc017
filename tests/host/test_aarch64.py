"""The driver for the processor of the board: compiled for aarch64, run by qemu's user emulation
before a simulated core on the other side of a socket."""

import shutil
import subprocess

import numpy as np
import pytest

from tests.support.driver_core import HERE, Core, compile_c, raw_frames, run

ARM = ("aarch64-linux-gnu-gcc", "qemu-aarch64")


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Core:
    """The stand-in, served on a socket: what is tested here is the other side."""
    core = Core(tmp_path_factory.mktemp("served"), "two outputs", contexts=2, built=False)
    compile_c(core.driver, "sim/simd.c", "-Isim", "-L.", "-lgatefold_sim", "-Wl,-rpath,$ORIGIN",
              "-o", "gatefold-simd")
    return core


def caller(core: Core, compiler: str) -> str:
    """script.c with the driver, statically linked; its name in the folder."""
    run([compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-static", "-I.", "-Isrc",
         HERE / "script.c", *sorted(core.driver.glob("src/*.c")), "-o", f"../{compiler}.out"],
        cwd=core.driver)
    return f"./{compiler}.out"


@pytest.mark.parametrize(("compiler", "runner"), [("gcc", ()), (ARM[0], (ARM[1],))],
                         ids=["here", "aarch64"])
def test_through_a_socket(core, compiler, runner):
    for tool in (compiler, *runner):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: apt-get install gcc-aarch64-linux-gnu qemu-user")
    program = caller(core, compiler)
    frames = 5
    core.file("x", raw_frames(core, frames))
    server = subprocess.Popen([core.driver / "gatefold-simd", core.folder, "s"], cwd=core.folder,
                              stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None and server.stdout.readline() == "serving s\n"
        calls = f"open socket:s\nraw {frames} 1000 x y\nraw 1 1000 x z\ncounters\nclose\n"
        said = run([*runner, program], cwd=core.folder, input=calls)
    finally:
        server.kill()
        server.wait()
    assert said.split("\n")[:5] == ["GF_OK", "GF_OK", "GF_OK", f"GF_OK {frames + 1} 0 0", "GF_OK"]
    np.testing.assert_array_equal(core.raw("y", frames), core.echoed(core.raw("x", frames)))
