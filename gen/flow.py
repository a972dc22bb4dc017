"""From a float network to a finished output folder: the one road, for the command line and Python.

    network -> quantize -> choose_array -> make_plan -> report -> folder
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from gatefold.boards import Board
from gatefold.boards import get as get_board
from gatefold.boards.vivado import write_vivado
from gatefold.gen.cut.folder import save_host
from gatefold.gen.cut.parts import Host, frames_given, random_frames
from gatefold.gen.errors import NumbersWarning, UserError
from gatefold.gen.files.names import CORE, FLOATS, INTEGERS
from gatefold.gen.files.output import check_target, new_folder
from gatefold.gen.files.sealed import sealed
from gatefold.gen.host.config import describe_host, host_config, host_refusals
from gatefold.gen.host.cycles import HostCycles
from gatefold.gen.host.driver_files import EXAMPLES, write_examples
from gatefold.gen.host.folder import write_host
from gatefold.gen.host.latency import latency_budget
from gatefold.gen.host.resources import around
from gatefold.gen.html import write_page
from gatefold.gen.measure.rules import (
    AUTO,
    NARROW,
    fixed_rules,
    output_bits,
    quantize_measured,
    splits,
)
from gatefold.gen.measure.saturation import below_step, doubts
from gatefold.gen.measure.search import find_widths
from gatefold.gen.network.frames import as_recordings, some_samples, whole_frames
from gatefold.gen.network.graph import Network, joined
from gatefold.gen.network.initialise import initialise
from gatefold.gen.network.logits import with_logits
from gatefold.gen.network.overlap import overlapping
from gatefold.gen.numbers.overlap import overlapping_integers
from gatefold.gen.numbers.overrides import check_overrides
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.options import FORMATS, BuildOptions, Options, ShapeOptions, checked, takes
from gatefold.gen.plan import Array, Budget, Plan, choose_array, make_plan
from gatefold.gen.plan.resources import estimate
from gatefold.gen.plan.sizing import MAX_TILES, fit, made_to_fit, meet_deadline
from gatefold.gen.plan.stream import with_streams
from gatefold.gen.report import make_report, write_report
from gatefold.gen.store.export import TOP, write_rtl, write_weights
from gatefold.gen.store.folder import core_json
from gatefold.gen.store.fusesoc import write_fusesoc
from gatefold.gen.store.network_io import save_network
from gatefold.gen.store.quantized_io import save_quantized
from gatefold.hdl.config import REGION
from gatefold.hdl.core import Core as Hardware
from gatefold.hdl.host.config import PORTS, HostConfig

__all__ = ["Core", "check_steps", "check_tiles", "compile", "newest", "packed_limits",
           "sample_floats", "shape_network", "write_example_data", "write_vectors"]

VECTORS = 3  #: samples with whole windows in the cocotb bench,
EXTREMES = 3  #: and frames of samples that are chosen for what saturates on them
#: Steps of recurrent layers in a frame.
MAX_STEPS = 20_000
#: The clock that is assumed, a part of the board's, by the depth of the pipeline: a short one has
#: about twice the logic between two registers.
CLOCKS = {"full": 1.0, "short": 0.5}
_ERROR_MACS = 300_000_000  # multiplications that measuring the error may take

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Core:
    """A planned core, made by :func:`compile`.

    Attributes: ``network``, floats; ``plan``; ``host``, registers and memory port, or None;
    ``board``, None for a generic core; ``clock_mhz``, assumed; ``data``, the floats
    (samples, *input_shape) that the error is measured on; ``seed``.
    """

    network: Network
    plan: Plan
    host: HostConfig | None = None
    board: Board | None
    clock_mhz: float
    data: np.ndarray
    seed: int
    _report: dict

    @property
    def qnet(self):
        """The quantised network."""
        return self.plan.qnet

    @property
    def input_quantization(self) -> list[tuple[float, int]]:
        """Scale and zero point of each input's bytes, of a full-integer .tflite; else empty."""
        return [(one.scale, one.zero) for one in self.qnet.affine[0]] if self.qnet.affine else []

    @property
    def output_quantization(self) -> list[tuple[float, int]]:
        """As :attr:`input_quantization`, of the outputs."""
        return [(one.scale, one.zero) for one in self.qnet.affine[1]] if self.qnet.affine else []

    def report(self) -> dict:
        """What report.json will hold: a copy."""
        return json.loads(json.dumps(self._report))

    def run(self, x, *, raw: bool = False, fresh=None) -> np.ndarray:
        """Run the golden model on floats, as :func:`~gatefold.gen.network.frames.as_frames` takes
        them (or, of windows that overlap, :func:`~gatefold.gen.network.frames.as_recordings`):
        (samples, *output_shape) floats, after the softmax that a core may leave to its host.
        Of a model that was cut, ``x`` are the model's own inputs and the result its own outputs.

        ``raw``: take and give the core's integers, without what the host does. ``fresh``, booleans
        (samples,): before which samples a stateful core forgets its state; without it before the
        first of each of its ``contexts``, and sample k goes on where sample k - contexts ended.
        Warns (:class:`NumbersWarning`) once about the tensors that saturated.
        Raises :class:`UserError` for another shape, NaN, or raw integers out of range.
        """
        from gatefold.gen.measure.inference import run, saturated

        around = None if raw else self.network.around
        host = None if around is None else Host(around)
        kept = []
        if host is not None:
            x, kept = host.before(host.inputs(x))
        result = run(self.qnet, x, raw=raw, fresh=fresh, contexts=self.plan.config.contexts)
        clamped = saturated(self.qnet, result)
        if clamped:
            warnings.warn(clamped, NumbersWarning, stacklevel=2)
        return result.y if host is None else joined(host.behind(result.outputs, kept))

    def component(self) -> Hardware:
        """The core as an Amaranth component, for a design of your own: streams of beats ``i`` and
        ``o`` (:class:`~gatefold.hdl.core.Core`), with the weights in its memories."""
        return Hardware(self.plan.config, self.plan.images())

    def save(self, out: str | os.PathLike, *, progress: Progress = lambda _stage: None) -> Path:
        """Write everything to the folder ``out``, all or nothing; its absolute path.

        ``out`` may be missing, empty, or an earlier output of Gatefold, which is replaced as a
        whole. Raises :class:`UserError` for anything else, :class:`OSError` where it cannot write.
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
            if x is not None and as_recordings(self.qnet, x) is None:
                x = frames_given(self.qnet, self.network.around, x, "the input")
            return check_core(folder, self.qnet, x, sim=sim, samples=samples, seed=seed)

    def _write(self, folder: Path, progress: Progress) -> None:
        progress("writing Verilog")
        version = self._report["versions"]["gatefold"]
        verilog = write_rtl(folder / "rtl", self.plan, self.host)
        progress("writing weights and test benches")
        memories = write_weights(folder / "weights", self.plan)
        save_quantized(folder / INTEGERS, self.qnet)
        save_network(folder / FLOATS, self.network.in_floats)
        if self.network.around is not None:
            save_host(folder, self.network.around)
        core = core_json(self.plan)
        if self.host is not None:
            core["host"] = describe_host(self.plan, self.host)
            write_host(folder, self.plan, self.host, board=self.board, clock_mhz=self.clock_mhz,
                       version=version, verilog=verilog, memories=memories)
            write_example_data(folder, self.qnet, self.plan.config.contexts, self.data)
        (folder / CORE).write_text(json.dumps(core, indent=1) + "\n")
        write_vectors(folder, folder, self.qnet, self.data)
        write_fusesoc(folder, top=Path(verilog[0]).stem, verilog=verilog, memories=memories,
                      version=version)
        if self.board is not None:
            config = self.plan.config
            # A core without levels is small: the placer finds its place.
            spread = ceil(config.pe / config.dies / REGION) if config.reach else 0
            write_vivado(folder / "vivado", board=self.board, top=TOP, verilog_files=verilog,
                         memory_files=memories, clock_mhz=self.clock_mhz, dies=config.dies,
                         regions=spread, region_rows=REGION)
        report = self._report | {"files": sealed(folder)}
        write_report(folder, report)
        write_page(folder, report, self.plan)


@takes(BuildOptions)
def compile(network: Network, *, calibrate=None, overrides: dict | None = None,
            any_weights: bool = False, progress: Progress = lambda _stage: None,
            **given: Any) -> Core:
    """Quantise and plan a core for ``network``.

    Parameters: ``calibrate``, representative inputs, floats (samples, *input_shape) or one sample,
    of a model that was cut the model's own;
    ``overrides``, widths and formats of single layers
    (:func:`~gatefold.gen.numbers.overrides.read_overrides`); ``any_weights``, a core whose weights
    come later; ``progress``, called with the name of each stage; and the options below.

    Warns (:class:`NumbersWarning`) about calibration data that say too little.
    Raises :class:`UserError` for options that are unknown, illegal or contradict each other, for
    bad data, and for networks that do not fit.
    """
    options = BuildOptions.made(given)
    if options.logits:
        network = with_logits(network)
    frames = None if options.hop is None else overlapping(network, options.hop)
    target = None if options.board is None else get_board(options.board)
    limits = Budget.of(target, memory=options.memory, loadable=options.loadable)
    clock_mhz = float(options.clock or limits.clock_mhz * CLOCKS[options.pipeline])
    limits = replace(limits, clock_mhz=clock_mhz, reach=options.reach, gather=options.gather,
                     lanes=options.lanes)
    port = int(options.port or limits.stream_bits)
    if options.host is not None:
        port = min(port, max(PORTS))
        limits = limits.each_of(options.engines)
    limits = replace(limits, stream_bits=port)
    if options.dies is not None:
        limits = replace(limits.on(options.dies), fewest_dies=options.dies)
    if options.memory == "uram" and not limits.uram:
        raise UserError(f"--memory uram needs a board with UltraRAM, {limits.name} has none: name "
                        "one with --board")
    if options.width == "auto" and any_weights:
        raise UserError("--width auto needs MODEL: the error of weights that come later is not "
                        "known")
    limits = packed_limits(network, limits, options, overrides)
    if options.pe and options.simd:
        limits = limits.within(options.pe * options.simd, "--pe x --simd")
    limits = limits.within(options.macs)
    check_tiles(network, limits.multipliers, options.contexts)
    if calibrate is not None:
        calibrate = frames_given(network, network.around, calibrate, "the calibration data")
        for doubt in doubts(calibrate):
            warnings.warn(doubt, NumbersWarning, stacklevel=2)
    seen = calibrate
    if seen is None and network.around is not None and network.around.before:
        progress("running the host's part on random inputs")
        seen = random_frames(network.around, options.seed)
    formats = options.named(FORMATS) | {
        "overrides": overrides, "calibration": seen, "seed": options.seed}
    found = None
    if options.width == "auto":
        assert options.max_error is not None
        formats |= fixed_rules(options.rule, options.weight_rule)
        found = find_widths(network, options.max_error, progress=progress, **formats)
        weight_width, act_width = found.weight_width, found.act_width
        formats["overrides"] = found.overrides
        formats["calibration"] = found.seen  # the samples that were held out choose no format
        data = found.data  # the report states the error on the data that the search kept it on
    else:
        weight_width = options.weight_width or options.width
        act_width = options.act_width or options.width
        data = sample_floats(network, seen, options.seed)
    limits.check_weights(network.parameters, weight_width)

    progress("quantising")
    if options.weight_rule == AUTO and (options.loadable or options.headroom):
        formats["weight_rule"] = "max"  # other weights will come, which no rule has looked at
    if options.output_width is None and found is None:  # a search measured what it found
        formats["output_width"] = output_bits(network, act_width, limits.stream_bits)

    def quantised(places: int) -> QuantizedNetwork:
        made = quantize_measured(network, act_width=act_width, weight_width=weight_width,
                                 any_weights=any_weights, places=places,
                                 carry_inputs=options.host is None and frames is None,
                                 **formats)
        if seen is not calibrate:
            made.calibration.update(source="seeded random inputs, after the host's part",
                                    seed=options.seed)
        return made

    # An input that is copied to a ring is not split.
    qnet = whole = quantised((options.simd or 1) if frames is None else 1)
    if frames is not None:
        qnet = overlapping_integers(whole, network, frames.input_shape[0])
    if options.io == "float32":  # a word of the port has as many elements as a beat of the stream
        limits = replace(limits, stream_bits=port // 32 * qnet.container)
    host_refusals(qnet, options)
    progress("planning")
    plan, widths = _plan(qnet, limits, options, _counted(progress))
    if (options.simd is None and frames is None and found is None and not any_weights
            and min(act_width, weight_width) < NARROW
            and splits(network, plan.config.simd, act_width, formats.get("output_width"),
                       check_overrides(overrides or {}, network))):
        plan = _with_split(plan, quantised(plan.config.simd), limits)
    if frames is not None:
        network, data = frames, newest(frames, data)
    progress("measuring the error against float")
    report = make_report(network, plan, board=target, clock_mhz=clock_mhz, data=data,
                         calibration=calibrate, seed=options.seed)
    report["stream"] = _describe_stream(plan, widths, options)
    if frames is not None:
        report["windows"] = _saved(plan, whole)
    hidden = below_step(report["numbers"]["error"])
    if hidden:
        warnings.warn(hidden, NumbersWarning, stacklevel=2)
    if found:
        report["numbers"]["search"] = {"max_error": options.max_error, **found.as_dict()}
    host = None if options.host is None else host_config(
        plan, engines=options.engines, float32=options.io == "float32")
    if host is not None:
        engine = estimate(plan.config)
        budget = latency_budget(HostCycles(plan, host), clock_mhz)
        report["host"] = describe_host(plan, host) | {"engine": engine.as_dict(), "latency": budget}
        report["resources"] = (engine * host.engines + around(host)).as_dict()
    if options.deadline is not None:
        report["deadline"] = {
            "us": options.deadline, "margin_us": options.deadline - report["latency_us"],
            "meaning": "from the first input beat to the last output beat; the transfer to and "
                       "from a host is not in it"}
    return Core(network=network, plan=plan, host=host, board=target, clock_mhz=clock_mhz, data=data,
                seed=options.seed, _report=report)


def newest(network: Network, windows: np.ndarray) -> np.ndarray:
    """Whole windows as frames of one recording, as many as are measured quickly, and a few more
    than a window spans."""
    hop, features = network.input_shape
    samples = windows.reshape(-1, features)
    least = network.spans + VECTORS
    samples = np.resize(samples, (max(least, len(samples) // hop) * hop, features))
    return some_samples(network, samples.reshape(-1, hop, features), _ERROR_MACS, least=least,
                        most=256)


def _saved(plan: Plan, whole: QuantizedNetwork) -> dict:
    """What a core whose windows overlap saves beside one that computes each anew, on the same
    array."""
    anew = make_plan(whole, plan.array)
    hop, _ = plan.qnet.input_shape
    return {"window": plan.qnet.window, "hop": hop, "frames": plan.qnet.spans,
            "multiplications": plan.bounds.multiplications, "latency": plan.cycles.latency,
            "interval": plan.cycles.interval,
            "whole": {"multiplications": anew.bounds.multiplications,
                      "latency": anew.cycles.latency, "interval": anew.cycles.interval},
            "meaning": {
                "frames": "from the first frame of a recording to the first answer that is that of "
                          "a whole window: answers before it are of windows that begin with zeros",
                "whole": "a core that computes each window whole, on the same array"}}


def packed_limits(network: Network, limits: Budget, options: Options,
                  overrides: dict | None = None) -> Budget:
    """``limits`` with two products in a DSP slice, where ``network`` is in int8 and the slices are
    known. Raises :class:`UserError` for ``options`` that would change such a network's numbers.
    """
    if network.affine is None:
        return limits
    _check_int8(options, overrides)
    # Every board has DSP slices in which two products of int8 fit; elsewhere who knows.
    return limits.packed() if limits.board is not None and quantize(network).packs else limits


def _check_int8(options: Options, overrides: dict | None) -> None:
    """Refuse what would change the numbers of a full-integer file."""
    chosen = [one.name for one in options.declared()
              if one.field in (*FORMATS, "width", "widths", "weight_width", "act_width")
              and getattr(options, one.field) != one.default] + ["--formats"] * bool(overrides)
    if chosen:
        raise UserError(f"{chosen[0]} does not go with a full-integer .tflite, whose numbers are "
                        "in the file: leave it out, or give the float model")


def _counted(say: Progress) -> Callable[[int, int], None]:
    """What :func:`choose_array` calls: it says how many arrays are left and for about how long."""
    started = time.monotonic()

    def counted(done: int, total: int) -> None:
        left = (time.monotonic() - started) * (total - done) / done
        say(f"planning: {done} of about {total} arrays, {left:.0f} s left")

    return counted


def _plan(qnet: QuantizedNetwork, limits: Budget, options: BuildOptions,
          progress: Callable[[int, int], None]) -> tuple[Plan, dict[int, int]]:
    """The plan of the chosen array, or of the best, and the latencies with all widths of streams
    that were planned (:mod:`gatefold.gen.plan.stream`); :class:`UserError` where it does not fit.
    """
    def planned(bits: int) -> Plan:
        return _with_streams(qnet, replace(limits, stream_bits=bits), options, progress)

    own = limits.stream_bits
    if options.port is not None or options.host is not None:
        plan = planned(own)
        return plan, {own: plan.cycles.latency}
    if options.deadline is None:
        return with_streams(planned, own)
    try:
        plan = planned(own)
    except UserError:  # perhaps it is the streams that are too slow
        fastest, widths = with_streams(
            lambda bits: choose_array(
                qnet, replace(limits, stream_bits=bits), goal="latency", quick=True,
                **options.named(("contexts", "pipeline", "protect"))), own)
        if fastest.array.stream_bits == own:
            raise
        return planned(fastest.array.stream_bits), widths
    return plan, {own: plan.cycles.latency}


def _with_split(plan: Plan, qnet: QuantizedNetwork, limits: Budget) -> Plan:
    """``plan`` with the operands of a split input in what the chunks of its array leave empty, if
    it has such in ``qnet`` and still fits."""
    if qnet.split == 1:
        return plan
    share = limits.on(plan.config.dies)
    split = fit(make_plan(qnet, plan.array, loadable=plan.config.loadable), share)
    return plan if split is None or split.cycles.latency > plan.cycles.latency else split


def _describe_stream(plan: Plan, widths: dict[int, int], options: BuildOptions) -> dict:
    """The width of the streams, and why they have it, for the report."""
    bits = plan.array.stream_bits
    own = next(iter(widths))
    where = "a core has without --board" if options.board is None else "the board's ports have"
    if options.host is not None:
        reason = "a beat for each word of the memory port"
    elif options.port is not None:
        reason = "as --port says"
    elif bits == own:
        reason = f"what {where}"
    else:
        reason = (f"with {own} bits, which {where}, a frame would wait for its input and take "
                  f"{widths[own]} cycles")
    return {"bits": bits, "reason": reason, "latency_of": {str(n): widths[n] for n in widths}}


def _with_streams(qnet: QuantizedNetwork, limits: Budget, options: BuildOptions,
                  progress: Callable[[int, int], None]) -> Plan:
    """The same with streams as wide as ``limits`` says, which are not chosen."""
    made = options.named(("contexts", "pipeline", "protect"))
    if options.deadline is not None:
        return meet_deadline(qnet, limits, options.deadline, **made)
    if options.pe is None or options.simd is None:
        return choose_array(qnet, limits, **made, goal=options.goal, quick=options.quick,
                            progress=progress)
    if options.pe % (4 * limits.fewest_dies):
        raise UserError(f"--pe must be a multiple of {4 * limits.fewest_dies} on "
                        f"{limits.fewest_dies} dies (four rows each), not {options.pe}")
    array = Array(pe=options.pe, simd=options.simd, stream_bits=limits.stream_bits,
                  packed=limits.packs, **made)
    plans = [(make_plan(qnet, made_to_fit(qnet, array, share)), share) for share in limits.shares()
             if array.pe % (4 * share.dies) == 0]
    fitting = [placed for plan, share in plans if (placed := fit(plan, share)) is not None]
    if fitting:
        return min(fitting, key=lambda plan: plan.cycles.latency)
    needs = estimate(plans[-1][0].config)
    where = "" if limits.memory == "auto" else f" with --memory {limits.memory}"
    best = choose_array(qnet, limits, **made, quick=True).array
    raise UserError(f"an array of {array.pe} x {array.simd} takes about {needs.lut} LUTs, "
                    f"{needs.dsp} DSPs and {needs.bram36:g} block RAMs of {limits.name}'s "
                    f"{limits.lut}, {limits.dsp} and {limits.bram36:g} and cannot be placed"
                    f"{where}: the fastest of no more multipliers that fits is --pe "
                    f"{best.pe} --simd {best.simd}")


def shape_network(*, seed: int = 0, board: str | None = None, **sizes: Any) -> Network:
    """A network of this shape with seeded weights, for a core whose real ones come later.

    Parameters: ``sizes``, of :class:`~gatefold.gen.options.ShapeOptions`.
    Raises :class:`UserError` for sizes that are illegal, or that no memory of the board can hold:
    before anything is drawn.
    """
    shape = ShapeOptions.made(sizes).given
    checked("seed", seed)
    units, layers = shape["units"], shape.get("layers", 1)
    parameters = 4 * units * (shape["features"] + units) + (layers - 1) * 8 * units * units
    Budget.of(None if board is None else get_board(board)).check_weights(parameters, 4)
    return initialise(**shape, seed=seed)


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
    from gatefold.gen.check import extreme_inputs
    from gatefold.sim.core_info import load_core_info
    from gatefold.sim.expected import expectation
    from gatefold.sim.testbench import write_cocotb_bench

    info = load_core_info(core)
    count = qnet.spans - 1 + VECTORS
    x = np.concatenate([whole_frames(qnet.quantize(data[:count]), info.contexts),
                        extreme_inputs(qnet, info, EXTREMES, 1)])
    write_cocotb_bench(folder / "cocotb", info, x.reshape(len(x) // info.contexts, -1),
                       expectation(qnet, x, info.contexts))


def write_example_data(folder: Path, qnet: QuantizedNetwork, contexts: int,
                       data: np.ndarray) -> None:
    """Write samples for the examples of the driver of the core in ``folder``."""
    from gatefold.gen.measure.inference import run

    samples = whole_frames(data[:VECTORS].astype(np.float32), contexts)
    write_examples(folder / EXAMPLES, samples, run(qnet, samples, contexts=contexts).y)


def check_steps(network: Network, contexts: int) -> None:
    """Raise :class:`UserError` where a frame has more steps than a schedule is made for."""
    steps = contexts * sum(network.shapes_into(n)[0][0] for n, layer in enumerate(network.layers)
                           if layer.states)
    if steps > MAX_STEPS:
        raise UserError(f"the recurrent layers take {steps} steps a frame, the longest schedule "
                        f"has {MAX_STEPS}: use fewer timesteps, or a stateful network with "
                        "shorter frames")


def check_tiles(network: Network, multipliers: int, contexts: int) -> None:
    """Raise :class:`UserError` where a frame takes longer than a schedule is made for."""
    check_steps(network, contexts)
    tiles = contexts * network.macs // multipliers
    if tiles > MAX_TILES:
        raise UserError(f"{network.macs} multiplications on {multipliers} multipliers take "
                        f"{tiles} cycles, the longest schedule is {MAX_TILES}: use fewer "
                        "timesteps or more multipliers")
