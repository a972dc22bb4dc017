"""The interfaces between the parts of a core, each in the direction of its source.

The parts take them with ``In`` or ``Out``, and :class:`gatefold.hdl.core.Core` connects them.
Vectors of many elements that many instances drive are arrays of signals, not one wide signal: that
would make compiled simulators slow.
"""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, Signature

from gatefold.hdl.config import SCALE_BITS, EngineConfig, bits_for
from gatefold.hdl.isa import beat_layout, finish_layout, tile_layout

__all__ = ["FINISH_LEAD", "arrivals", "beat_stream", "chunk_layout", "finished_rows", "input_write",
           "operand_read", "output_write", "region_controls", "region_load", "result_write",
           "routed_beat", "scale_layout", "scale_write", "tile_issue", "trace", "weight_write"]


#: Cycles by which the controls of finished rows come before the rows, for their way to all of them.
FINISH_LEAD = 2


def beat_stream(config: EngineConfig, *, first: bool = False) -> Signature:
    """A stream of beats, TLAST in ``last``. ``first``: with a frame's first beat, whether the frame
    begins a new sequence."""
    return stream.Signature(data.StructLayout({
        "data": config.beat * config.container, "last": 1, **({"first": 1} if first else {})}))


def chunk_layout(config: EngineConfig) -> data.ArrayLayout:
    """The ``simd`` elements of a chunk."""
    return data.ArrayLayout(signed(config.act_width), config.simd)


def output_layout(config: EngineConfig) -> data.ArrayLayout:
    """The same of an output, whose elements may be wider."""
    return data.ArrayLayout(signed(config.result_width), config.simd)


def input_write(config: EngineConfig) -> Signature:
    """Write of an input chunk: which half of the memory (``frame``), which chunk."""
    return Signature({"en": Out(1), "frame": Out(1), "chunk": Out(bits_for(config.x_depth)),
                      "data": Out(chunk_layout(config))})


def arrivals(config: EngineConfig) -> Signature:
    """The contents of the input memory: ``frames`` completely written (modulo 4) and ``chunks`` of
    the next one. ``fresh``, of a stateful core: for either half, whether its frame begins a new
    sequence; final from the first chunk on. ``done``, the other way: a frame has been read."""
    return Signature({"frames": Out(2), "chunks": Out(bits_for(config.x_depth)), "done": In(1),
                      **({"fresh": Out(2)} if config.stateful else {})})


def operand_read(config: EngineConfig) -> Signature:
    """Which chunk the weights meet: ``from_x``, of the input memory; ``frame``, its half there.
    ``bank``, ``absolute``, where there are several dies: as of an instruction. ``zero``, of a
    stateful core: the chunk counts as zero."""
    banks = {"bank": Out(bits_for(config.dies)), "absolute": Out(1)} if config.dies > 1 else {}
    return Signature({"from_x": Out(1), "frame": Out(1),
                      "chunk": Out(bits_for(max(config.x_depth, config.h_depth))), **banks,
                      **({"zero": Out(1)} if config.stateful else {})})


def tile_issue(config: EngineConfig) -> Signature:
    """A tile at its issue. ``next_weight``, of an engine whose ``reach`` is 0: what ``weight`` of
    the word will be in the next cycle, for the registers of the regions."""
    return Signature({"valid": Out(1), "word": Out(tile_layout(config)),
                      **({} if config.reach else {"next_weight": Out(bits_for(
                          config.weight_depth))})})


def region_controls(config: EngineConfig) -> data.StructLayout:
    """What the rows of a region do, each field a cycle before :class:`~.mac_row.MacRow` takes it:
    ``bias`` is the word that its ``bias`` comes from, a cycle later. Of no use without parked sums:
    init_parked, init, parks, park."""
    word = bits_for(config.park_depth)
    return data.StructLayout({
        "bias": bits_for(config.bias_depth), "valid": 1, "go_on": 1,
        "align": bits_for(len(config.aligns)),
        **({"init_parked": 1, "init": word, "parks": 1, "park": word}
           if config.park_depth else {})})


def finished_rows(config: EngineConfig) -> Signature:
    """The accumulators of a die's rows; ``valid``: they will be final :data:`FINISH_LEAD` cycles
    later, and ``finish`` says how the lanes finish them."""
    return Signature({"valid": Out(1), "finish": Out(finish_layout(config)),
                      "acc": Out(signed(config.acc_width)).array(config.rows)})


def routed_beat(config: EngineConfig) -> Signature:
    """A beat for the lanes; ``z``: for each lane, the accumulators of its element's rows, at most
    four."""
    return Signature({"valid": Out(1), "beat": Out(beat_layout(config)),
                      "z": Out(signed(config.acc_width)).array(config.lanes, 4)})


def result_write(config: EngineConfig) -> Signature:
    """Write of the h memory: ``data`` comes a cycle after ``lanes``, the elements of the chunk that
    are written, and ``chunk``."""
    return Signature({"lanes": Out(config.simd), "chunk": Out(bits_for(config.h_depth)),
                      "data": Out(chunk_layout(config))})


def output_write(config: EngineConfig) -> Signature:
    """Write of the output memory; ``complete``: the chunk is complete with it."""
    return Signature({"lanes": Out(config.simd), "frame": Out(1),
                      "chunk": Out(bits_for(config.out_depth)), "data": Out(output_layout(config)),
                      "complete": Out(1)})


def trace(config: EngineConfig, dies: int = 1) -> Signature:
    """For test benches: every element ``h`` of every kind, and beside it the new state ``c`` where
    the kind has one; ``lanes``: which lanes hold one. A beat that loads a state has none. Some
    cycles earlier, with ``summed``, ``sums``: the accumulators of the rows of each lane's
    element, at most four. ``dies``: so many dies' lanes, side by side."""
    lanes = config.lanes * dies
    return Signature({"valid": Out(1), "lanes": Out(lanes), "summed": Out(1),
                      "sums": Out(signed(config.acc_width)).array(lanes, 4),
                      "h": Out(signed(config.result_width)).array(lanes),
                      "c": Out(signed(config.cell_width)).array(lanes)})


def weight_write(config: EngineConfig) -> Signature:
    """Write of the weight memories: ``rows``, the enable of each row's, of all dies; ``bias``, of
    the bias memory; ``scales``, of the row scales'; ``addr`` and ``word`` for all."""
    return Signature({"rows": Out(config.pe), "bias": Out(1),
                      **({"scales": Out(1)} if config.scale_depth else {}),
                      "addr": Out(bits_for(config.load_depth)), "word": Out(config.load_width)})


def scale_layout(config: EngineConfig) -> data.ArrayLayout:
    """The scales of the rows of each lane's element."""
    return data.ArrayLayout(data.ArrayLayout(SCALE_BITS, config.row_places), config.lanes)


def scale_write(config: EngineConfig) -> Signature:
    """Write of a die's memory of row scales."""
    return Signature({"en": Out(1), "addr": Out(config.scale_address),
                      "word": Out(config.scale_width)})


def region_load(config: EngineConfig, rows: int) -> data.StructLayout:
    """Write of the memories of a region of ``rows`` rows: ``rows`` and ``bias``, the enables of
    theirs; ``addr``; ``word`` for the rows, ``bias_word`` for the bias memory."""
    return data.StructLayout({
        "rows": rows, "bias": 1, "addr": bits_for(config.load_depth),
        "word": config.simd * config.weight_width, "bias_word": rows * config.acc_width})
