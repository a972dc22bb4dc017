"""The parameters of the hardware that the plan chooses; :mod:`.config` has what follows from them.

The field's words: ``pe`` rows and ``simd`` columns of multipliers, one *tile* (pe x simd products)
a cycle. An element takes R neighbouring rows, a *slot*: four for the gates of an LSTM's unit, one
in a Dense layer. Elements of one *chunk* (``simd`` of them) lie side by side in a memory word; a
*beat* of results has one per *lane*, a chunk or a part of it. The dies of a device share the rows,
and each has lanes of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.hdl.kinds import Kind

__all__ = ["Parameters", "TableConfig"]


@dataclass(frozen=True)
class TableConfig:
    """Shape of the tanh table, and of those of curves (see :class:`~.quantized.Table` for how it is
    read).

    The argument is Q4.frac: ``width`` bits; its magnitude splits into n0, n1, n2 bits; results have
    ``out_frac`` bits; entries of t1 have ``t1_width`` bits.
    """

    frac: int
    n0: int
    n1: int
    n2: int
    out_frac: int
    t1_width: int

    @property
    def width(self) -> int:
        """Bits of the signed argument u."""
        return self.frac + 4


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What the plan chooses. Depths count words; addresses have ``bits_for`` them.

    Parameters
    ----------
    pe, simd: rows (a multiple of 4) and columns of multipliers.
    weight_width, act_width, cell_width, acc_width: bits. out_width: those of an output, where they
        are more than act_width.
    table: the tanh table's shape.
    aligns: distinct left shifts of a tile's sum; an instruction names one by index.
    kinds: finish kinds, one a layer that computes; an instruction names one by index.
    routes: the ways from rows to lanes, each (rows R of an element, slot s that lane 0 sees, which
        may be negative): row k of lane n's element is row R (s + n) + k; an instruction names one
        by index.
    weight_depth, bias_depth, park_depth, h_depth, cell_depth: words of each memory.
    x_rows, x_row: rows of an input frame (timesteps) and elements of a row. x_split: operands that
        the reader makes of each, a power of two. out_rows, out_row: rows and elements a row of the
        output.
    out_early: every output is a Dense layer's, whose results leave by the short path.
    out_whole: chunks of an output frame are finished in any order, so they leave when all are
        finished: with several contexts or outputs.
    stateful: some layer continues from the state that the last frame left. oldest: it may also read
        results of frames before that, at most so many frames ago.
    beat: elements of a stream beat. container: bits an element takes there, of which it has
        ``element``; 0, as many as its operands make (``act_width``, without a split). x_zero,
        out_zero: what is subtracted from an element that comes, and added to one that leaves.
    factor_depth: words of the lanes' memory of factors; 0, there is none. recips: segments of
        their table of tanh(c); 0, there is none.
    program_depth, segments, max_gap, max_count, max_run: the program memory's shape; max_run is the
        most tiles of an instruction. offsets: loop offsets that the program has, min_stride,
        max_stride: by how much a turn moves them.
    lut_rows: rows whose weights are in LUTs although they are not shallow.
    loadable: weights and bias are written at run time, through a stream of their own.
    contexts: sequences in a frame.
    uram_rows: rows whose weights are in UltraRAM, which implies loadable.
    scale_depth: words of the memory of row scales; 0, no row has a scale.
    pipeline: one of :data:`~.config.PIPELINES`. Of ``short``, fewer registers for slower clocks:
        steps that make a pair take one cycle instead of two (:attr:`~.config.EngineConfig.pair`).
    reach, gather: levels of registers that distance needs, from the memories of operands to the
        rows and from the rows to the lanes.
    dies, cross: dies that share the rows (:mod:`gatefold.hdl.dies`), and registers of a chunk on
        its way over the border of two neighbours.
    curve: the shape of the tables of curves, where there are any.
    protect: the core watches itself (:mod:`gatefold.hdl.guard`); patience: cycles that its watchdog
        waits.
    cascade: a row adds all its products in pairs, in the DSP slices, though that may cost a cycle;
        without it only as many as cost none (:func:`~gatefold.hdl.mac_row.first_sums`).
    parts: beats of a chunk of results, a power of two: a die has ``simd // parts`` lanes.
    again: rows that were finished may be finished once more, with other fields.
    packed: pairs of rows share their DSP slices (:class:`~gatefold.hdl.mac_pair.MacPair`). Neither
        an operand nor a weight is the lowest integer of its width then.
    """

    pe: int
    simd: int
    weight_width: int
    act_width: int
    cell_width: int
    acc_width: int
    table: TableConfig
    aligns: tuple[int, ...]
    kinds: tuple[Kind, ...]
    routes: tuple[tuple[int, int], ...]
    weight_depth: int
    bias_depth: int
    park_depth: int
    h_depth: int
    cell_depth: int
    x_row: int
    x_rows: int
    out_row: int
    out_rows: int
    out_early: bool
    out_whole: bool
    beat: int
    container: int
    program_depth: int
    segments: int
    max_gap: int
    max_beats: int
    max_count: int
    max_stride: int
    min_stride: int = 0
    max_run: int = 1
    offsets: int = 0
    lut_rows: int = 0
    loadable: bool = False
    uram_rows: int = 0
    contexts: int = 1
    stateful: bool = False
    oldest: int = 1
    out_width: int = 0
    scale_depth: int = 0
    pipeline: str = "full"
    reach: int = 0
    gather: int = 0
    dies: int = 1
    cross: int = 0
    cascade: bool = False
    packed: bool = False
    again: bool = False
    parts: int = 1
    element: int = 0
    x_split: int = 1
    x_zero: int = 0
    out_zero: int = 0
    factor_depth: int = 0
    recips: int = 0
    curve: TableConfig | None = None
    protect: bool = False
    patience: int = 0
