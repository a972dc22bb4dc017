"""From a float network to a finished output folder: the one road, for the command line and Python.

    network -> quantize -> choose_array -> make_plan -> report -> folder
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gatefold.boards import Board
from gatefold.boards import get as get_board
from gatefold.boards.vivado import write_vivado
from gatefold.gen.arrays import whole_frames
from gatefold.gen.errors import NumbersWarning, UserError, quoted
from gatefold.gen.export import TOP, write_rtl, write_weights
from gatefold.gen.folder import CORE, FLOATS, INTEGERS, core_json
from gatefold.gen.frames import as_frames, some_samples
from gatefold.gen.html import write_page
from gatefold.gen.initialise import initialise
from gatefold.gen.network import Network, Recurrent
from gatefold.gen.network_io import save_network
from gatefold.gen.options import checked
from gatefold.gen.output import check_target, new_folder
from gatefold.gen.plan import Plan, make_plan
from gatefold.gen.plan.resources import estimate
from gatefold.gen.plan.sizing import MEMORIES, block_words_for, choose_array, fit
from gatefold.gen.quantize import quantize
from gatefold.gen.quantized_io import save_quantized
from gatefold.gen.report import make_report, write_report
from gatefold.gen.saturation import doubts
from gatefold.gen.search import find_widths

__all__ = ["Budget", "Core", "budget", "check_steps", "compile", "sample_floats", "shape_network",
           "write_vectors"]

VECTORS = 3  #: samples in the cocotb bench
#: Tiles of a frame that a plan is made for: a schedule is computed tile by tile.
MAX_TILES = 1_000_000
#: Steps of recurrent layers in a frame.
MAX_STEPS = 20_000
#: The clock that is assumed, a part of the board's, by the depth of the pipeline: a short one has
#: about twice the logic between two registers.
CLOCKS = {"full": 1.0, "short": 0.5}
_ERROR_MACS = 300_000_000  # multiplications that measuring the error may take

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """What a core may use. ``name``, for messages; the rest as :class:`~gatefold.boards.Board`."""

    name: str
    multipliers: int
    bram36: int
    dsp: int
    lut: int
    uram: int
    stream_bits: int
    clock_mhz: float

    @property
    def bits(self) -> int:
        """More than all the weights that can stay on chip: block RAM, UltraRAM and LUTs."""
        return self.bram36 * 36864 + self.uram * 294912 + self.lut * 64

    @property
    def memory(self) -> dict[str, Any]:
        """What :func:`~gatefold.gen.plan.sizing.fit` asks for."""
        return {"bram36": self.bram36, "dsp": self.dsp, "lut": self.lut, "uram": self.uram}


def budget(board: Board | None) -> Budget:
    """The board's budget; without one a generic device's: 256 multipliers, 128-bit streams."""
    if board is None:
        return Budget("a core without --board", 256, 1024, 1024, 400_000, 0, 128, 300.0)
    return Budget(f"the {board.name}", board.max_multipliers, board.bram36, board.dsp, board.lut,
                  board.uram, board.stream_bits, board.clock_mhz)


@dataclass(frozen=True, kw_only=True)
class Core:
    """A planned core: what :func:`compile` makes.

    Attributes: ``network``, floats; ``plan``; ``board``, None for a generic core; ``clock_mhz``,
    assumed; ``data``, the floats (samples, *input_shape) that the error is measured on; ``seed``.
    """

    network: Network
    plan: Plan
    board: Board | None
    clock_mhz: float
    data: np.ndarray
    seed: int
    _report: dict

    @property
    def qnet(self):
        """The quantised network."""
        return self.plan.qnet

    def report(self) -> dict:
        """What report.json will hold: a copy."""
        return json.loads(json.dumps(self._report))

    def run(self, x, *, raw: bool = False, fresh=None) -> np.ndarray:
        """The golden model on floats, as :func:`~gatefold.gen.frames.as_frames` takes them:
        (samples, *output_shape) floats, what is left to the host (a softmax) done.

        ``raw``: integers in, and out as the core gives them. ``fresh``, booleans (samples,):
        samples with which a core that keeps state begins anew; without it the first alone, or of
        each of its ``contexts`` the first: sample k goes on where sample k - contexts ended.
        Warns (:class:`NumbersWarning`) of what saturated, once, by tensor.
        Raises :class:`UserError` for another shape, NaN, or raw integers out of range.
        """
        from gatefold.gen.inference import run, saturated

        result = run(self.qnet, x, raw=raw, fresh=fresh, contexts=self.plan.config.contexts)
        clamped = saturated(self.qnet, result)
        if clamped:
            warnings.warn(clamped, NumbersWarning, stacklevel=2)
        return result.y

    def save(self, out: str | os.PathLike, *, progress: Progress = lambda _stage: None) -> Path:
        """Write everything to the folder ``out``, all or nothing; its absolute path.

        ``out`` may be missing, empty, or an earlier output of Gatefold, which is replaced as a
        whole. Raises :class:`UserError` for anything else, :class:`OSError` where it can not write.
        """
        path = check_target(out)
        with new_folder(path) as folder:
            self._write(folder, progress)
        return path

    def verify(self, x=None, *, sim: str = "verilator", samples: int | None = None,
               seed: int = 1):
        """Simulate the Verilog against golden; the :class:`~gatefold.sim.verify.VerifyResult`.

        ``x`` floats as for :meth:`run`; without it, seeded samples.
        Raises :class:`~gatefold.sim.results.CheckFailed` at the first difference.
        """
        from gatefold.gen.check import check_core

        with tempfile.TemporaryDirectory(prefix="gatefold-") as place:
            folder = Path(place) / "core"
            folder.mkdir()
            self._write(folder, lambda _stage: None)
            return check_core(folder, self.qnet, x, sim=sim, samples=samples, seed=seed)

    def _write(self, folder: Path, progress: Progress) -> None:
        progress("writing Verilog")
        verilog = write_rtl(folder / "rtl", self.plan)
        progress("writing weights and test benches")
        memories = write_weights(folder / "weights", self.plan)
        save_quantized(folder / INTEGERS, self.qnet)
        save_network(folder / FLOATS, self.network)
        (folder / CORE).write_text(json.dumps(core_json(self.plan), indent=1) + "\n")
        write_vectors(folder, folder, self.qnet, self.data)
        if self.board is not None:
            write_vivado(folder / "vivado", board=self.board, top=TOP, verilog_files=verilog,
                         memory_files=memories, clock_mhz=self.clock_mhz)
        write_report(folder, self._report)
        write_page(folder, self._report, self.plan)


def compile(network: Network, *, board: str | None = None, calibrate=None,
            width: int | Literal["auto"] = 16,
            weight_width: int | None = None, act_width: int | None = None, cell_width: int = 18,
            table_bits: int | None = None, rule: str = "max", weight_rule: str = "max",
            percentile: float = 99.9, overrides: dict | None = None,
            max_error: float | None = None, macs: int | None = None, pe: int | None = None,
            simd: int | None = None, clock: float | None = None, seed: int = 0,
            any_weights: bool = False, loadable: bool = False, contexts: int = 1,
            pipeline: str = "full", memory: str = "auto",
            progress: Progress = lambda _stage: None) -> Core:
    """Quantise and plan a core for ``network``.

    Parameters: ``board``, a name of :data:`gatefold.boards.BOARDS` or None for a generic core;
    ``calibrate``, representative inputs, floats (samples, *input_shape) or one sample; ``width``,
    bits of weights and activations, which ``weight_width`` and ``act_width`` override, or "auto":
    the fewest that keep ``max_error``, a part of the outputs' range, on the calibration data;
    ``cell_width``, of the cell state; ``table_bits``, of the tanh table's results; ``rule``,
    ``weight_rule`` and ``percentile``, how formats are chosen
    (:func:`~gatefold.gen.quantize.quantize`); ``overrides``, what differs in single layers
    (:func:`~gatefold.gen.overrides.read_overrides`); ``macs``, the most multipliers to use, or
    ``pe`` and ``simd`` for one array; ``clock``, MHz; ``seed`` of random calibration;
    ``any_weights``, a core whose weights come later; ``loadable``, weights and bias are streamed
    into the core at run time (always so where they need UltraRAM); ``contexts``, sequences in a
    frame; ``pipeline``, "full", or "short": fewer registers, for about half the clock
    (:data:`CLOCKS`); ``memory``, where the weights stand: "auto", or "bram", "lut" or "uram"
    (:func:`~gatefold.gen.plan.sizing.place`); ``progress``, called with the name of each stage.

    Warns (:class:`NumbersWarning`) of calibration data that say too little.
    Raises :class:`UserError` for options that are illegal or contradict each other, for bad data,
    and for networks that do not fit.
    """
    for name, value in (("width", None if width == "auto" else width),
                        ("weight-width", weight_width), ("act-width", act_width),
                        ("cell-width", cell_width), ("table-bits", table_bits), ("macs", macs),
                        ("pe", pe), ("simd", simd),
                        ("clock", clock), ("seed", seed), ("contexts", contexts)):
        if value is not None:
            checked(name, value)
    if pipeline not in CLOCKS:
        raise UserError(f"--pipeline must be {' or '.join(CLOCKS)}, not {quoted(pipeline)}")
    if memory not in MEMORIES:
        raise UserError(f"--memory must be {', '.join(MEMORIES[:-1])} or {MEMORIES[-1]}, not "
                        f"{quoted(memory)}")
    target = None if board is None else get_board(board)
    limits = budget(target)
    if memory == "uram" and not limits.uram:
        raise UserError(f"--memory uram needs a board with UltraRAM, {limits.name} has none: name "
                        "one with --board")
    _check_array_options(limits, macs, pe, simd)
    _check_search(width, weight_width, act_width, max_error, any_weights)
    _check_tiles(network, pe * simd if pe and simd else macs or limits.multipliers, contexts)
    if calibrate is not None:
        calibrate = as_frames(network, calibrate, "the calibration data")
        for doubt in doubts(calibrate):
            warnings.warn(doubt, NumbersWarning, stacklevel=2)
    formats = {"cell_width": cell_width, "table_bits": table_bits, "rule": rule,
               "weight_rule": weight_rule, "percentile": percentile, "overrides": overrides,
               "calibration": calibrate, "seed": seed}
    if width == "auto":
        assert max_error is not None
        found = find_widths(network, max_error, progress=progress, **formats)
        weight_width, act_width = found.weight_width, found.act_width
        formats["overrides"] = found.overrides
        data = found.data  # what keeps the limit there is what the report states
    else:
        found = None
        weight_width, act_width = weight_width or width, act_width or width
        data = sample_floats(network, calibrate, seed)
    _check_size(limits, network.parameters, weight_width)

    progress("quantising")
    qnet = quantize(network, act_width=act_width, weight_width=weight_width,
                    any_weights=any_weights, **formats)
    progress("planning")
    plan = _plan(qnet, limits, macs or limits.multipliers, pe, simd, loadable=loadable,
                 contexts=contexts, pipeline=pipeline, memory=memory)
    progress("measuring the error against float")
    clock_mhz = float(clock or limits.clock_mhz * CLOCKS[pipeline])
    report = make_report(network, plan, board=target, clock_mhz=clock_mhz, data=data,
                         calibration=calibrate, seed=seed)
    if found:
        report["numbers"]["search"] = {"max_error": max_error, **found.as_dict()}
    return Core(network=network, plan=plan, board=target, clock_mhz=clock_mhz, data=data,
                seed=seed, _report=report)


def _plan(qnet, limits: Budget, macs: int, pe: int | None,
          simd: int | None, *, loadable: bool, contexts: int, pipeline: str, memory: str) -> Plan:
    """The plan of the chosen array, or of the best; :class:`UserError` where it does not fit."""
    device: dict[str, Any] = {**limits.memory, "memory": memory}
    if pe is None or simd is None:
        return choose_array(qnet, multipliers=macs, stream_bits=limits.stream_bits,
                            contexts=contexts, loadable=loadable, pipeline=pipeline, **device)
    array: dict[str, Any] = {"pe": pe, "simd": simd, "stream_bits": limits.stream_bits,
                             "contexts": contexts, "pipeline": pipeline}
    words = block_words_for(qnet, **array, loadable=loadable, **device)
    plan = make_plan(qnet, **array, block_words=words)
    placed = fit(plan, loadable=loadable, **device)
    if placed is None:
        needs = estimate(plan.config)
        where = "" if memory == "auto" else f" with --memory {memory}"
        fitting = choose_array(qnet, multipliers=pe * simd, stream_bits=limits.stream_bits,
                               contexts=contexts, loadable=loadable, pipeline=pipeline, **device)
        raise UserError(f"an array of {pe} x {simd} takes about {needs.lut} LUTs, {needs.dsp} DSPs "
                        f"and {needs.bram36:g} block RAMs of {limits.name}'s {limits.lut}, "
                        f"{limits.dsp} and {limits.bram36} and cannot be placed{where}: the "
                        f"fastest of no more multipliers that fits is --pe {fitting.config.pe} "
                        f"--simd {fitting.config.simd}")
    return placed


def shape_network(*, units: int, features: int, timesteps: int, layers: int = 1,
                  dense: int | None = None, seed: int = 0, board: str | None = None) -> Network:
    """A network of this shape with seeded weights, for a core whose real ones come later.

    Raises :class:`UserError` for sizes that are illegal, or that no memory of the board can hold:
    before anything is drawn.
    """
    sizes = {"units": units, "features": features, "timesteps": timesteps, "layers": layers,
             "seed": seed} | ({} if dense is None else {"dense": dense})
    for name, value in sizes.items():
        checked(name, value)
    parameters = 4 * units * (features + units) + (layers - 1) * 8 * units * units
    _check_size(budget(None if board is None else get_board(board)), parameters, 4)
    return initialise(**sizes)


def sample_floats(network: Network, data: np.ndarray | None, seed: int) -> np.ndarray:
    """Inputs to measure the error on and to make vectors of: some of ``data``, or seeded.

    As many as golden computes in about two seconds, 4 to 256 (:func:`some_samples`).
    """
    if data is not None:
        return some_samples(network, data, _ERROR_MACS, least=4, most=256)
    count = int(np.clip(_ERROR_MACS // max(1, network.macs), 4, 64))
    return np.random.default_rng(seed).standard_normal((count, *network.input_shape))


def write_vectors(folder: Path, core: Path, qnet, data: np.ndarray) -> None:
    """Write ``folder``/cocotb for the finished core in ``core``, its vectors from golden."""
    from gatefold.sim.core_info import load_core_info
    from gatefold.sim.expected import expectation
    from gatefold.sim.testbench import write_cocotb_bench

    info = load_core_info(core)
    x = whole_frames(qnet.quantize(data[:VECTORS]), info.contexts)
    write_cocotb_bench(folder / "cocotb", info, x.reshape(len(x) // info.contexts, -1),
                       expectation(qnet, x, info.contexts))


def _check_array_options(limits: Budget, macs, pe, simd) -> None:
    if macs is not None and (pe is not None or simd is not None):
        raise UserError("--macs and --pe/--simd contradict each other: give --macs to have the "
                        "array chosen, or --pe and --simd to choose it")
    if (pe is None) != (simd is None):
        given, other = ("--pe", "--simd") if simd is None else ("--simd", "--pe")
        raise UserError(f"{given} needs {other} too: give both, or --macs to have them chosen")
    if macs is not None and macs > limits.multipliers:
        raise UserError(f"--macs must be at most {limits.multipliers} for {limits.name}, "
                        f"not {macs}: choose fewer" + _boards_hint(limits))
    if pe is not None and simd is not None and pe * simd > limits.multipliers:
        raise UserError(f"--pe {pe} x --simd {simd} makes {pe * simd} multipliers, {limits.name} "
                        f"has at most {limits.multipliers}: choose fewer" + _boards_hint(limits))


def _boards_hint(limits: Budget) -> str:
    return "" if limits.name.startswith("the ") else ", or a larger device with --board"


def _check_search(width, weight_width, act_width, max_error, any_weights: bool) -> None:
    if width != "auto":
        if max_error is not None:
            raise UserError("--max-error needs --width auto: it is what the widths are searched by")
        return
    if max_error is None:
        raise UserError("--width auto needs --max-error: the part of the outputs' range that the "
                        "error may be, like 1%")
    if weight_width or act_width:
        raise UserError("--width auto and --weight-width or --act-width contradict each other: it "
                        "finds both")
    if any_weights:
        raise UserError("--width auto needs MODEL: the error of weights that come later is not "
                        "known")


def _check_size(limits: Budget, parameters: int, width: int) -> None:
    if parameters * width > limits.bits:
        raise UserError(f"{parameters} weights of at least {width} bits do not fit into the "
                        f"{limits.bits // width} that {limits.name} holds on chip: use a smaller "
                        "network or width" + _boards_hint(limits))


def check_steps(network: Network, contexts: int) -> None:
    """Raise :class:`UserError` where a frame has more steps than a schedule is made for."""
    steps = contexts * sum(network.shapes_into(n)[0][0] for n, layer in enumerate(network.layers)
                           if isinstance(layer, Recurrent))
    if steps > MAX_STEPS:
        raise UserError(f"the recurrent layers take {steps} steps a frame, the longest schedule "
                        f"has {MAX_STEPS}: use fewer timesteps, or a stateful network with "
                        "shorter frames")


def _check_tiles(network: Network, multipliers: int, contexts: int) -> None:
    check_steps(network, contexts)
    tiles = contexts * network.macs // multipliers
    if tiles > MAX_TILES:
        raise UserError(f"{network.macs} multiplications on {multipliers} multipliers take "
                        f"{tiles} cycles, the longest schedule is {MAX_TILES}: use fewer "
                        "timesteps or more multipliers")
