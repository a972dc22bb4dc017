"""The options of the commands, declared once: names, legal values, defaults and help texts.

The command line (:mod:`gatefold.gen.cli`), :func:`gatefold.compile` and :func:`gatefold.explore`
read them here. This module imports nothing heavy: ``gatefold --help`` reads it.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, TypeVar

from gatefold.boards import BOARDS
from gatefold.gen.errors import UserError, quoted
from gatefold.gen.legal import Choice, ChoiceOrFile, Duration, Legal, Limit, Part, Several

__all__ = ["ARRAY_GOALS", "FORMATS", "GOALS", "LIMITS", "MEMORIES", "BuildOptions",
           "ExploreOptions", "Option", "Options", "ShapeOptions", "VerifyOptions", "WeightsOptions",
           "checked", "takes"]


@dataclass(frozen=True)
class Option:
    """An option: ``field`` is its name in Python, ``name`` on the command line."""

    field: str
    legal: Legal
    default: Any
    text: str

    @property
    def name(self) -> str:
        """With its dashes."""
        return f"--{self.field.replace('_', '-')}"

    @property
    def help(self) -> str:
        """The help text, which states the range of a number."""
        return f"{self.text} ({self.legal.help})." if self.legal.help else f"{self.text}."

    def check(self, value: Any) -> Any:
        """``value`` where it is legal, or None where that is the default; else
        :class:`UserError`."""
        optional = value is None and self.default is None
        return None if optional else self.legal.check(self.name, value)

    def parse(self, text: str) -> Any:
        """The value that ``text`` says; raises :class:`UserError` where it is illegal."""
        try:
            return self.check(self.legal.read(text))
        except ValueError:
            raise self.legal.refusal(self.name, text) from None


@dataclass(frozen=True)
class Options:
    """The options of a command: a dataclass whose fields are made by :func:`option`.

    Raises :class:`UserError` for illegal values and for options that contradict each other.
    """

    def __post_init__(self):
        for one in self.declared():
            object.__setattr__(self, one.field, one.check(getattr(self, one.field)))
        self.agree()

    def agree(self) -> None:
        """Raise :class:`UserError` where options contradict each other."""

    @classmethod
    def declared(cls) -> tuple[Option, ...]:
        """Every option, in order."""
        return tuple(Option(one.name, one.metadata["legal"], one.default, one.metadata["text"])
                     for one in fields(cls))

    @classmethod
    def made(cls, given: dict[str, Any]) -> Self:
        """The options from keyword arguments; raises :class:`UserError` for unknown ones too."""
        known = [one.field for one in cls.declared()]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise UserError(f"there is no option {quoted(unknown[0])}: the options are "
                            f"{', '.join(known)}")
        return cls(**given)

    def named(self, names: Sequence[str]) -> dict[str, Any]:
        """The values of some options."""
        return {name: getattr(self, name) for name in names}


def option(legal: Legal, default: Any, text: str) -> Any:
    """The field of an option; ``text`` is its help without the range and the full stop."""
    return field(default=default, metadata={"legal": legal, "text": text})


def same(name: str, text: str = "") -> Any:
    """The field of an option of :class:`BuildOptions`, perhaps with another ``text``."""
    one = next(one for one in BuildOptions.declared() if one.field == name)
    return option(one.legal, one.default, text or one.text)


_Function = TypeVar("_Function", bound=Callable)


def takes(options: type[Options]) -> Callable[[_Function], _Function]:
    """Add the keywords ``options`` to the signature and docstring of a function."""
    def decorated(function: _Function) -> _Function:
        own = inspect.signature(function)
        vars(function)["__signature__"] = own.replace(parameters=[
            *(one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD),
            *inspect.signature(options).parameters.values()])
        function.__doc__ = "\n".join([
            inspect.cleandoc(function.__doc__ or ""), "", "Options, as on the command line:",
            *(textwrap.fill(f"{one.field}: {one.text} ({one.legal.text}). Default: "
                            f"{one.legal.written(one.default)}.", 100, initial_indent="    ",
                            subsequent_indent=" " * 8) for one in options.declared())])
        return function
    return decorated


# ---- the commands ------------------------------------------------------------------------------

#: The options of both building and exploring that say how formats are chosen, whatever the widths.
FORMATS = ("cell_width", "table_bits", "output_width", "rule", "weight_rule", "percentile",
           "headroom")

#: Where the user may have the weights stored.
MEMORIES = ("auto", "bram", "lut", "uram")

#: What the best core of an exploration may be best at, and what each goal minimises; of equal
#: cores the one with the smaller error is better, then the smaller one.
GOALS: dict[str, str] = {
    "latency": "cycles from the first input beat to the last output beat",
    "throughput": "cycles an inference at full rate",
    "area": "the largest share of the device's LUTs, DSPs, block RAMs or UltraRAMs",
    "energy-proxy": "the energy proxy of an inference",
}

#: What an array may be chosen by, and what each goal takes; the rules: gen/plan/sizing.py.
ARRAY_GOALS: dict[str, str] = {
    "balanced": "the least logic for its speed, of arrays at most 3 % slower than the fastest",
    "latency": "the fastest, whatever logic it takes",
    "area": "the least logic, of arrays at most 25 % slower than the fastest",
}

_FLAG = Legal("True or False")
_BITS = Limit(4, 18, unit="bits")
_RULE = Choice("auto", "max", "percentile", "mse")
_CONTEXTS = Limit(1, 64, unit="sequences a frame")
_SEED = Limit(0, 2**32 - 1)


@dataclass(frozen=True, kw_only=True)
class BuildOptions(Options):
    """Options of ``gatefold build`` and :func:`gatefold.compile`."""

    board: str | None = option(ChoiceOrFile(*BOARDS, suffix=".toml"), None, "Size the core for "
                               "this board and write its Vivado files; docs/boards.md says how to "
                               "describe one of your own. Without it: no Vivado files, at most 256 "
                               "multipliers, 128-bit streams, an assumed clock of 300 MHz")
    width: int | Literal["auto"] = option(
        Limit(4, 18, unit="bits", word="auto"), 16, "Bits of weights and activations; auto finds "
        "the fewest that keep --max-error, layer by layer")
    max_error: float | None = option(Part(), None, "With --width auto: the largest error (RMS) on "
                                     "the calibration data, as a part of the outputs' range")
    weight_width: int | None = option(_BITS, None, "Bits of weights, instead of --width")
    act_width: int | None = option(_BITS, None, "Bits of activations, instead of --width")
    cell_width: int = option(_BITS, 18, "Bits of the cell state")
    table_bits: int | None = option(_BITS, None, "Bits of the tanh table's results; if not given, "
                                    "the width of activations and the timesteps decide")
    output_width: int | None = option(_BITS, None, "Bits of the result of a last Dense layer, at "
                                      "least those of activations; if not given, 16, or fewer "
                                      "where its stream would slow a wide input down")
    rule: str = option(_RULE, "auto", "How formats of values are chosen from their values on "
                       "the calibration data; auto is max from 12 bits on, and measures with "
                       "fewer: docs/formats.md")
    weight_rule: str = option(_RULE, "auto", "How formats of weights are chosen; with any rule "
                              "but max, single weights may saturate")
    percentile: float = option(Limit(50, 100, step=0, unit="per cent"), 99.9,
                               "How many values a format must hold with the rule percentile")
    headroom: int = option(Limit(0, 8, unit="bits"), 0, "Integer bits to reserve in results, "
                           "states and accumulators, for other weights that have larger sums")
    macs: int | None = option(Limit(4, 16384, unit="multipliers"), None,
                              "The most multipliers to use")
    logits: bool = option(_FLAG, False, "Leave a final sigmoid to the host, so that very small "
                          "probabilities are not rounded to zero")
    goal: str = option(Choice(*ARRAY_GOALS), "balanced", "Which array to choose: "
                       + "; ".join(f"{goal}, {text}" for goal, text in ARRAY_GOALS.items()))
    deadline: float | None = option(Duration(), None, "Choose the smallest array that takes no "
                                    "longer from the first input beat to the last output beat, "
                                    "without the transfer to and from a host")
    quick: bool = option(_FLAG, False, "Compare fewer arrays: takes seconds instead of up to a "
                         "minute, and may find one that is a few per cent slower")
    pe: int | None = option(Limit(4, 4096, step=4, unit="rows"), None,
                            "Rows of multipliers, with --simd instead of --macs")
    simd: int | None = option(Limit(1, 256, unit="columns"), None,
                              "Columns of multipliers, with --pe instead of --macs")
    loadable: bool = option(_FLAG, False, "Stream the weights in at run time, through a port of "
                            "their own, instead of building them in. Weights that need UltraRAM "
                            "are always streamed in")
    memory: str = option(Choice(*MEMORIES), "auto", "Where weights are stored: auto fills block "
                         "RAM first and other memories with the rest; the others name one kind of "
                         "memory. UltraRAM is filled at run time")
    contexts: int = option(_CONTEXTS, 1, "Sequences in a frame, computed side by side: more "
                           "throughput, but more latency")
    hop: int | None = option(Limit(1, 4096, unit="samples"), None, "New samples in each frame, "
                             "where windows overlap; columns of convolutions that two windows "
                             "share are computed once: docs/windows.md")
    pipeline: str = option(Choice("full", "short"), "full", "full: registers after every "
                           "step; short: after every second one, which takes fewer cycles but a "
                           "slower clock")
    protect: bool = option(_FLAG, False, "Have the core watch itself: parity on the memories of "
                           "program and weights, copies of its control registers, and a watchdog "
                           "that resets a core which stands still; a port reports faults")
    reach: int | None = option(Limit(0, 4, unit="levels"), None, "Levels of registers between the "
                               "operand memory and the rows; if not given, as many as the board's "
                               "wires need at this clock")
    gather: int | None = option(Limit(0, 2, unit="levels"), None, "The same between the rows and "
                                "the lanes")
    lanes: int | None = option(Limit(1, 256, unit="lanes"), None, "The most lanes, which finish "
                               "the results, on each die: for devices with few multipliers. If not "
                               "given, one for each column, in int8 as many as there is room for")
    dies: int | None = option(Limit(1, 4, unit="dies"), None, "Dies that share the array; if not "
                              "given, as many of the board's as make the fastest core")
    host: str | None = option(Choice("axi"), None, "Also write the core with registers (AXI4-Lite) "
                              "and a memory port (AXI4) around it, for programs: docs/host.md")
    io: str = option(Choice("fixed", "float32"), "fixed", "With --host: elements in memory are "
                     "integers in containers (fixed), or floats that the hardware converts")
    engines: int = option(Limit(1, 16), 1, "With --host: copies of the core that take the frames "
                          "of a batch in turn")
    port: str | None = option(Choice("32", "64", "128", "256", "512"), None, "Bits of the streams, "
                              "and of the memory port; if not given, the board's, or 128, and "
                              "without --host more where a frame would wait for its input")
    clock: float | None = option(Limit(1, 1000, step=0, unit="MHz"), None, "The clock to assume "
                                 "and to constrain; if not given, the board's, or half of it for "
                                 "a short pipeline")
    seed: int = option(_SEED, 0, "Seed of random weights and inputs")

    def agree(self) -> None:
        if self.macs is not None and (self.pe is not None or self.simd is not None):
            raise UserError("--macs and --pe/--simd contradict each other: give --macs to have the "
                            "array chosen, or --pe and --simd to choose it")
        if self.pe is not None and (self.goal != "balanced" or self.quick):
            chosen = "--quick" if self.quick else "--goal"
            raise UserError(f"{chosen} and --pe/--simd contradict each other: with --pe and --simd "
                            f"there is no array to choose, leave {chosen} out")
        if self.deadline is not None and (self.pe is not None or self.goal != "balanced"):
            other = "--goal" if self.pe is None else "--pe/--simd"
            raise UserError(f"--deadline and {other} contradict each other: with a deadline the "
                            f"smallest array that meets it is chosen, leave {other} out")
        if (self.pe is None) != (self.simd is None):
            given, other = ("--pe", "--simd") if self.simd is None else ("--simd", "--pe")
            raise UserError(f"{given} needs {other} too: give both, or --macs to have them chosen")
        if self.host is None and (self.io != "fixed" or self.engines > 1):
            given = "--io" if self.io != "fixed" else "--engines"
            raise UserError(f"{given} needs --host axi: bare streams carry one core's integers")
        if self.width != "auto" and self.max_error is not None:
            raise UserError("--max-error needs --width auto, which searches the widths by it")
        if self.width == "auto" and self.max_error is None:
            raise UserError("--width auto needs --max-error: the part of the outputs' range that "
                            "the error may be, like 1%")
        if self.width == "auto" and (self.weight_width or self.act_width):
            raise UserError("--width auto and --weight-width or --act-width contradict each other: "
                            "it finds both")


@dataclass(frozen=True, kw_only=True)
class ExploreOptions(Options):
    """Options of ``gatefold explore`` and :func:`gatefold.explore`."""

    board: str | None = same("board", "The board that the cores must fit. Without "
                             "it: at most 256 multipliers, 128-bit streams, a clock of 300 MHz")
    widths: Sequence[int] = option(Several(_BITS, "numbers of bits", "8,12,16"), (8, 12, 16),
                                   "Bits of weights and activations to try")
    contexts: Sequence[int] = option(Several(_CONTEXTS, "numbers of sequences", "1,2,4"), (1,),
                                     "Numbers of sequences to interleave in a frame: more give "
                                     "throughput")
    cell_width: int = same("cell_width")
    table_bits: int | None = same("table_bits")
    output_width: int | None = same("output_width")
    rule: str = same("rule")
    weight_rule: str = same("weight_rule")
    percentile: float = same("percentile")
    headroom: int = same("headroom")
    macs: int | None = same("macs")
    hop: int | None = same("hop")
    sizes: int = option(Limit(1, 12), 5, "How many sizes to try, each half of the one before")
    shapes: int = option(Limit(1, 100), 6, "How many arrays to try of each size and width")
    clock: float | None = same("clock", "The clock to assume; if not given, the "
                               "board's")
    seed: int = same("seed", "Seed of random inputs")
    goal: str = option(Choice(*GOALS), "latency", "By what the best core is chosen, whose "
                       "command is printed")
    max_error: float | None = option(Part(), None, "The largest error (RMS) that the best core may "
                                     "have, as a part of the outputs' range")
    max_latency: float | None = option(Limit(0, 10**9, step=0, unit="us"), None, "The longest time "
                                       "that the best core may take")
    synth: bool = option(_FLAG, False, "Also synthesise every core that fits with Yosys, "
                         "component by component: minutes each (pip install \"gatefold[synth]\")")
    jobs: int | None = option(Limit(1, 256), None, "Processes on this machine; if not given, as "
                              "many as it has cores, from Python one")
    dask: str | None = option(Legal("an address", "tcp://HOST:PORT"), None, "Plan on the workers "
                              "of this Dask scheduler instead (pip install \"gatefold[dask]\")")
    fresh: bool = option(_FLAG, False, "Discard the results of an earlier exploration in the "
                         "output folder")

    def agree(self) -> None:
        if self.dask is not None and (self.jobs or 1) > 1:
            raise UserError("--jobs and --dask contradict each other: a cluster has its own number "
                            "of workers, leave --jobs out")


@dataclass(frozen=True, kw_only=True)
class ShapeOptions(Options):
    """Options of ``gatefold build`` without a model."""

    units: int | None = option(Limit(1, 4096), None, "Without MODEL: units of each LSTM layer")
    features: int | None = option(Limit(1, 4096), None, "Without MODEL: input features")
    timesteps: int | None = option(Limit(1, 65536), None, "Timesteps of a frame, without MODEL or "
                                   "where MODEL leaves them open")
    layers: int | None = option(Limit(1, 16), None, "Without MODEL: LSTM layers, 1 if not given")
    dense: int | None = option(Limit(1, 4096), None, "Without MODEL: outputs of a last Dense "
                               "layer, none if not given")

    def agree(self) -> None:
        if not self.given:
            raise UserError("nothing to build: give MODEL, or --units, --features and --timesteps")
        lacking = [name for name in ("units", "features", "timesteps") if name not in self.given]
        if lacking:
            raise UserError(f"a core without MODEL needs --{' and --'.join(lacking)} too")

    @property
    def given(self) -> dict[str, int]:
        """What is given, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(Options):
    """Options of ``gatefold verify``."""

    sim: str = option(Choice("verilator", "icarus", "amaranth"), "verilator", "The simulator. "
                      "verilator and icarus read the Verilog in DIR, amaranth runs the model it "
                      "was made from")
    samples: int | None = option(Limit(1, 4096), None, "Samples to simulate; if not given, 64 "
                                 "where the core is small, and at least 8 with verilator and 3 "
                                 "with the others")
    seed: int = option(_SEED, 1, "Seed of inputs, input gaps and output stalls")


@dataclass(frozen=True, kw_only=True)
class WeightsOptions(Options):
    """Options of ``gatefold weights``."""

    seed: int = same("seed", "Seed of random inputs")
    saturate: bool = option(_FLAG, False, "Clip weights that exceed the core's formats; without "
                            "it they are refused")


#: The limits of every numeric option by its name on the command line, without the dashes.
LIMITS: dict[str, Limit] = {
    one.name.removeprefix("--"): one.legal
    for options in (ShapeOptions, VerifyOptions, ExploreOptions, BuildOptions)
    for one in options.declared() if isinstance(one.legal, Limit)}


def checked(name: str, value: Any) -> Any:
    """``value`` where it is legal for the numeric option ``name``; else :class:`UserError`."""
    return LIMITS[name].check(f"--{name}", value)
