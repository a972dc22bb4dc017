"""From a float network to a finished output folder: the one road, for the command line and Python.

    network -> quantize -> choose_array -> make_plan -> report -> folder
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from gatefold.boards import Board
from gatefold.boards import get as get_board
from gatefold.boards.vivado import write_vivado
from gatefold.gen.cut.folder import save_host
from gatefold.gen.cut.parts import Host, frames_given, random_frames
from gatefold.gen.errors import NumbersWarning
from gatefold.gen.files.names import CORE, FLOATS, INTEGERS
from gatefold.gen.files.output import check_target, new_folder
from gatefold.gen.files.sealed import sealed
from gatefold.gen.host.config import describe_host, host_config, host_refusals
from gatefold.gen.host.cycles import HostCycles
from gatefold.gen.host.folder import write_host
from gatefold.gen.host.latency import latency_budget
from gatefold.gen.host.resources import around
from gatefold.gen.html import write_page
from gatefold.gen.limits import core_limits
from gatefold.gen.measure.rules import (
    AUTO,
    NARROW,
    fixed_rules,
    output_bits,
    quantize_measured,
    splits,
)
from gatefold.gen.measure.saturation import below_step, doubts
from gatefold.gen.measure.search import Found, find_widths
from gatefold.gen.network.frames import as_recordings
from gatefold.gen.network.graph import Network, joined
from gatefold.gen.network.initialise import initialise
from gatefold.gen.network.logits import with_logits
from gatefold.gen.network.overlap import overlapping
from gatefold.gen.numbers.overlap import overlapping_integers
from gatefold.gen.numbers.overrides import check_overrides
from gatefold.gen.numbers.quantized import QuantizedNetwork
from gatefold.gen.options import FORMATS, BuildOptions, ShapeOptions, checked, takes
from gatefold.gen.plan import Budget, Plan
from gatefold.gen.plan.resources import estimate
from gatefold.gen.planning import (
    Progress,
    affordable,
    describe_stream,
    describe_windows,
    on_its_array,
    planned,
)
from gatefold.gen.report import make_report, write_report
from gatefold.gen.samples import newest, sample_floats, write_example_data, write_vectors
from gatefold.gen.store.export import TOP, write_rtl, write_weights
from gatefold.gen.store.folder import core_json
from gatefold.gen.store.fusesoc import write_fusesoc
from gatefold.gen.store.network_io import save_network
from gatefold.gen.store.quantized_io import save_quantized
from gatefold.hdl.config import REGION
from gatefold.hdl.core import Core as Hardware
from gatefold.hdl.host.config import HostConfig

__all__ = ["Core", "compile", "shape_network"]


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
        write_vectors(folder, folder, self.plan, self.data)
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
    board = None if options.board is None else get_board(options.board)
    limits = core_limits(network, board, options, overrides, any_weights=any_weights)
    if calibrate is not None:
        calibrate = frames_given(network, network.around, calibrate, "the calibration data")
        for doubt in doubts(calibrate):
            warnings.warn(doubt, NumbersWarning, stacklevel=2)
    seen = calibrate
    if seen is None and network.around is not None and network.around.before:
        progress("running the host's part on random inputs")
        seen = random_frames(network.around, options.seed)
    formats = _formats(network, options, overrides, seen, limits, progress)
    limits.check_weights(network.parameters, formats.weight_width)

    progress("quantising")

    def quantised(places: int, without: tuple[str, ...] = ()) -> QuantizedNetwork:
        made = quantize_measured(network, act_width=formats.act_width,
                                 weight_width=formats.weight_width,
                                 any_weights=any_weights, places=places, without=without,
                                 carry_inputs=options.host is None and frames is None,
                                 **formats.others)
        if seen is not calibrate:
            made.calibration.update(source="seeded random inputs, after the host's part",
                                    seed=options.seed)
        return made

    # An input that is copied to a ring is not split.
    places = (options.simd or 1) if frames is None else 1
    qnet = whole = quantised(places)
    if frames is not None:
        qnet = overlapping_integers(whole, network, frames.input_shape[0])
    if options.io == "float32":  # a word of the port has as many elements as a beat of the stream
        limits = replace(limits, stream_bits=limits.stream_bits // 32 * qnet.container)
    host_refusals(qnet, options)
    progress("planning")
    plan, widths = planned(qnet, limits, options, progress)
    if frames is None and formats.found is None and not any_weights and min(
            formats.act_width, formats.weight_width) < NARROW:
        if options.simd is None and splits(
                network, plan.config.simd, formats.act_width, formats.others.get("output_width"),
                check_overrides(overrides or {}, network)):
            places = plan.config.simd
            split = quantised(places)
            plan = plan if split.split == 1 else on_its_array(plan, split, limits)
        plan = affordable(plan, partial(quantised, places), limits)
    data = formats.data
    if frames is not None:
        network, data = frames, newest(frames, data)
    progress("measuring the error against float")
    report = make_report(network, plan, board=board, clock_mhz=limits.clock_mhz, data=data,
                         calibration=calibrate, seed=options.seed)
    report["stream"] = describe_stream(plan, widths, options)
    if frames is not None:
        report["windows"] = describe_windows(plan, whole)
    hidden = below_step(report["numbers"]["error"])
    if hidden:
        warnings.warn(hidden, NumbersWarning, stacklevel=2)
    if formats.found is not None:
        report["numbers"]["search"] = {"max_error": options.max_error, **formats.found.as_dict()}
    host = None if options.host is None else host_config(
        plan, engines=options.engines, float32=options.io == "float32")
    if host is not None:
        report |= _with_host(plan, host, limits.clock_mhz)
    if options.deadline is not None:
        report["deadline"] = {
            "us": options.deadline, "margin_us": options.deadline - report["latency_us"],
            "meaning": "from the first input beat to the last output beat; the transfer to and "
                       "from a host is not in it"}
    return Core(network=network, plan=plan, host=host, board=board, clock_mhz=limits.clock_mhz,
                data=data, seed=options.seed, _report=report)


@dataclass(frozen=True)
class _Formats:
    """What decides the formats of a network.

    Attributes: ``weight_width``, ``act_width``; ``others``, of
    :func:`~gatefold.gen.measure.rules.quantize_measured`; ``data``, the floats on which the report
    states the error; ``found``, what a search for widths found, or None.
    """

    weight_width: int
    act_width: int
    others: dict[str, Any]
    data: np.ndarray
    found: Found | None = None


def _formats(network: Network, options: BuildOptions, overrides: dict | None,
             seen: np.ndarray | None, limits: Budget, progress: Progress) -> _Formats:
    """The formats that ``options`` ask for; with ``--width auto`` those that a search finds."""
    others = options.named(FORMATS) | {
        "overrides": overrides, "calibration": seen, "seed": options.seed}
    if options.width == "auto":
        assert options.max_error is not None
        others |= fixed_rules(options.rule, options.weight_rule)
        found = find_widths(network, options.max_error, progress=progress, **others)
        # The samples that were held out choose no format; the report states the error on the data
        # that the search kept it on.
        others |= {"overrides": found.overrides, "headroom": found.headroom,
                   "calibration": found.seen}
        formats = _Formats(found.weight_width, found.act_width, others, found.data, found)
    else:
        formats = _Formats(options.weight_width or options.width,
                           options.act_width or options.width, others,
                           sample_floats(network, seen, options.seed))
        if options.output_width is None:  # a search has measured what it found
            others["output_width"] = output_bits(network, formats.act_width, limits.stream_bits)
    if options.weight_rule == AUTO and (options.loadable or options.headroom):
        others["weight_rule"] = "max"  # other weights will come, which no rule has looked at
    return formats


def _with_host(plan: Plan, host: HostConfig, clock_mhz: float) -> dict:
    """What the report says of registers and memory port, and of all resources with them."""
    engine = estimate(plan.config)
    budget = latency_budget(HostCycles(plan, host), clock_mhz)
    return {"host": describe_host(plan, host) | {"engine": engine.as_dict(), "latency": budget},
            "resources": (engine * host.engines + around(host)).as_dict()}


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


