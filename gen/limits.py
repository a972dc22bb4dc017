"""What a core may take: of its board and of the longest schedule."""

from __future__ import annotations

from dataclasses import replace

from gatefold.boards import Board
from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import Network
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.options import FORMATS, BuildOptions, Options
from gatefold.gen.plan import Budget
from gatefold.gen.plan.sizing import MAX_TILES
from gatefold.hdl.host.config import PORTS

__all__ = ["CLOCKS", "check_steps", "check_tiles", "core_limits", "packed_limits"]

#: Steps of recurrent layers in a frame.
MAX_STEPS = 20_000
#: The clock that is assumed, a part of the board's, by the depth of the pipeline: a short one has
#: about twice the logic between two registers.
CLOCKS = {"full": 1.0, "short": 0.5}


def core_limits(network: Network, board: Board | None, options: BuildOptions,
                overrides: dict | None = None, *, any_weights: bool = False) -> Budget:
    """What a core of ``network`` may take: a board's share, the array asked for, clock and streams.

    Raises :class:`UserError` for options that contradict the board, the network or each other.
    """
    limits = Budget.of(board, memory=options.memory, loadable=options.loadable)
    port = int(options.port or limits.stream_bits)
    if options.host is not None:
        port = min(port, max(PORTS))
        limits = limits.each_of(options.engines)
    limits = replace(limits, stream_bits=port, reach=options.reach, gather=options.gather,
                     lanes=options.lanes,
                     clock_mhz=float(options.clock or limits.clock_mhz * CLOCKS[options.pipeline]))
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
    check_tiles(network, limits, options.contexts)
    return limits


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


def check_steps(network: Network, contexts: int) -> None:
    """Raise :class:`UserError` where a frame has more steps than a schedule is made for."""
    steps = contexts * sum(network.shapes_into(n)[0][0] for n, layer in enumerate(network.layers)
                           if layer.states)
    if steps > MAX_STEPS:
        raise UserError(f"the recurrent layers take {steps} steps a frame, the longest schedule "
                        f"has {MAX_STEPS}: use fewer timesteps, or a stateful network with "
                        "shorter frames")


def check_tiles(network: Network, limits: Budget, contexts: int) -> None:
    """Raise :class:`UserError` where a frame takes longer than a schedule is made for."""
    check_steps(network, contexts)
    tiles = contexts * network.macs // limits.multipliers
    if tiles > MAX_TILES:
        raise UserError(f"{network.macs} multiplications on {limits.multipliers} multipliers take "
                        f"{tiles} cycles, the longest schedule is {MAX_TILES}: use fewer "
                        f"timesteps or {limits.more_multipliers}")
