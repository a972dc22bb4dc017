"""The parameters of the hardware: one frozen description that the plan writes and components read.

The field's words: ``pe`` rows and ``simd`` columns of multipliers, one *tile* (pe x simd products)
a cycle. An element takes R neighbouring rows, a *slot*: four for the gates of an LSTM's unit, one
in a Dense layer. Elements of one *chunk* (``simd`` of them) lie side by side in a memory word; a
*beat* of results has one per *lane*, a chunk or a part of it. The dies of a device share the rows,
and each has lanes of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.hdl.dies import to_farthest
from gatefold.hdl.kinds import DenseKind, Kind

__all__ = ["PIPELINES", "REGION", "SCALE_BITS", "SHALLOW", "SLICE", "SPAN", "EngineConfig",
           "TableConfig", "bits_for"]

#: How deep the pipeline is: a register behind every step, or behind every second one.
PIPELINES = ("full", "short")

#: Rows of a region: as many as one register may drive.
REGION = 16

#: Rows of a span: what a lane gets from them is selected in one place.
SPAN = 4 * REGION

#: Bits of the wider operand of a DSP slice, of all that hold two products in one.
SLICE = 25

#: Bits of a row's scale.
SCALE_BITS = 1

#: Memories of up to so many words go to LUTs: a LUT holds 64 bits of a read-only one.
SHALLOW = 64


def bits_for(count: int) -> int:
    """Bits of an index below ``count``, at least one."""
    return max(1, (count - 1).bit_length())


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
class EngineConfig:
    """Everything that shapes the hardware. Depths count words; addresses have ``bits_for`` them.

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
    x_chunks, x_rows: chunks of one row of the input (a timestep) and rows of a frame.
    x_row: elements of an input row. x_split: operands that the reader makes of each, a power of
        two. out_rows, out_row: rows and elements a row of the output.
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
    program_depth, segments, max_gap, max_count, max_stride, max_run: the program memory's shape;
        max_run is the most tiles of an instruction. offsets: loop offsets that the program has.
    lut_rows: rows whose weights are in LUTs although they are not shallow.
    loadable: weights and bias are written at run time, through a stream of their own.
    contexts: sequences in a frame.
    uram_rows: rows whose weights are in UltraRAM, which implies loadable.
    scale_depth: words of the memory of row scales; 0, no row has a scale.
    pipeline: one of :data:`PIPELINES`. Of ``short``, fewer registers for slower clocks: steps that
        make a pair take one cycle instead of two (:attr:`pair`, :attr:`between`).
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

    def __post_init__(self):
        if self.pipeline not in PIPELINES:
            raise ValueError(f"pipeline must be {' or '.join(PIPELINES)}, not {self.pipeline!r}")
        if self.dies < 1 or self.pe < 4 or self.pe % (4 * self.dies):
            raise ValueError(f"pe must be a multiple of {4 * self.dies} (gates i, f, g, o on each "
                             f"die), not {self.pe!r}")
        if self.simd < 1:
            raise ValueError(f"simd must be at least 1, not {self.simd!r}")
        if self.parts < 1 or self.parts & (self.parts - 1) or self.simd % self.parts:
            raise ValueError(f"parts must be a power of two that divides simd ({self.simd}), not "
                             f"{self.parts!r}")
        if self.uram_rows and not self.loadable:
            raise ValueError("uram_rows needs loadable: UltraRAM cannot be initialised")
        if self.packed and self.act_width + 2 * self.weight_width > SLICE:
            raise ValueError(f"packed needs act_width + 2 x weight_width of at most {SLICE} bits, "
                             f"not {self.act_width} + 2 x {self.weight_width}")
        if self.simd % self.x_split and self.x_row * self.x_split > self.simd:
            raise ValueError(f"x_split must divide simd ({self.simd}), or simd hold the "
                             f"{self.x_row * self.x_split} operands of a row, not "
                             f"{self.x_split!r}")
        most = max(self.element_width, self.out_element)
        if self.container < most:
            raise ValueError(f"container must hold {most} bits of an element, not "
                             f"{self.container!r}")

    def weight_style(self, row: int) -> str:
        """Where a row's weights are: UltraRAM first, then LUTs, then block RAM, of every die alike.
        Rows are numbered die by die."""
        die, row = divmod(row, self.rows)
        rank = row * self.dies + die
        if rank < self.uram_rows:
            return "ultra"
        in_luts = self.weight_depth <= SHALLOW or rank < self.uram_rows + self.lut_rows
        return "distributed" if in_luts else "block"

    @property
    def lanes(self) -> int:
        """Lanes of a die."""
        return self.simd // self.parts

    @property
    def slices(self) -> int:
        """Products of the array that take a multiplier of their own."""
        return self.pe * self.simd // (1 + self.packed)

    @property
    def regions(self) -> tuple[range, ...]:
        """The rows of each region of the array, die by die."""
        return tuple(range(first, min(first + REGION, die + self.rows))
                     for die in range(0, self.pe, self.rows)
                     for first in range(die, die + self.rows, REGION))

    @property
    def die_regions(self) -> tuple[range, ...]:
        """The regions of a die, its rows counted from 0."""
        return self.regions[:len(self.regions) // self.dies]

    @property
    def spans(self) -> tuple[range, ...]:
        """The rows of each span of a die; without ``gather``, there is one."""
        size = SPAN if self.gather else self.rows
        return tuple(range(first, min(first + size, self.rows))
                     for first in range(0, self.rows, size))

    def sources(self, lane: int, k: int) -> dict[int, int]:
        """The row of a die that is row ``k`` of a lane's element, by the routes that bring the lane
        such a row."""
        return {n: per * (slot + lane) + k for n, (per, slot) in enumerate(self.routes)
                if k < per and 0 <= slot + lane < self.rows // per}

    @property
    def result_width(self) -> int:
        """Bits of the widest result."""
        return max(self.act_width, self.out_width)

    @property
    def centred(self) -> bool:
        """Whether an element in a stream has fewer bits than in the memories, where it is without
        its zero point."""
        return self.x_split == 1 and self.element_width < self.act_width

    @property
    def out_element(self) -> int:
        """Bits of an element of the output stream."""
        return self.element_width if self.centred else self.result_width

    @property
    def copies(self) -> bool:
        """Whether the router keeps finished rows, for their later beats or another finish."""
        return self.max_beats > 1 or self.again

    @property
    def pair(self) -> int:
        """Cycles of two steps that a short pipeline takes as one."""
        return 2 if self.pipeline == "full" else 1

    @property
    def between(self) -> str:
        """The domain of the signals between the two steps: registers, or wires."""
        return "sync" if self.pair == 2 else "comb"

    @property
    def rows(self) -> int:
        """Rows of a die."""
        return self.pe // self.dies

    @property
    def way_there(self) -> int:
        """Cycles from the hub to every die: as many for the near ones, for all do the same."""
        return self.cross * to_farthest(self.dies)

    @property
    def way_back(self) -> int:
        """Cycles of an output from the dies to the hub: none where each row of the output is a
        chunk, which all dies make."""
        return self.way_there if self.out_banks > 1 else 0

    @property
    def relays(self) -> int:
        """Registers of the operands on their way to the rows, that of the region included."""
        return max(1, self.reach)

    @property
    def element_width(self) -> int:
        """Bits of an element in a stream."""
        return self.element or self.act_width + self.x_split.bit_length() - 1

    @property
    def cell_words(self) -> int:
        """Words that ``cell`` of an instruction can address: of the states, or of the factors."""
        return max(self.cell_depth, self.factor_depth)

    @property
    def x_chunks(self) -> int:
        """Chunks of one input row."""
        return -(-self.x_row * self.x_split // self.simd)

    @property
    def out_chunks(self) -> int:
        """Chunks of one output row."""
        return -(-self.out_row // self.simd)

    @property
    def x_depth(self) -> int:
        """Chunks of an input frame."""
        return self.x_chunks * self.x_rows

    @property
    def out_words(self) -> int:
        """Words of one output row: a chunk of each die."""
        return -(-self.out_chunks // self.dies)

    @property
    def out_banks(self) -> int:
        """Dies whose chunks the output takes: the first alone where a row of it is a chunk."""
        return min(self.dies, self.out_chunks)

    @property
    def out_depth(self) -> int:
        """Words of an output frame."""
        return self.out_words * self.out_rows

    @property
    def x_beats(self) -> int:
        """Stream beats of an input frame."""
        return -(-self.x_row * self.x_rows // self.beat)

    @property
    def out_beats(self) -> int:
        """Stream beats of an output frame."""
        return -(-self.out_row * self.out_rows // self.beat)

    @property
    def row_beats(self) -> int:
        """Beats of a weight word in the stream of a loadable core."""
        return -(-self.simd * self.weight_width // (self.beat * self.container))

    @property
    def row_places(self) -> int:
        """The most rows that an element of any kind has."""
        return max(per for per, _ in self.routes)

    @property
    def scale_address(self) -> int:
        """Bits of the address of a word of row scales."""
        return bits_for(self.scale_depth)

    @property
    def scale_width(self) -> int:
        """Bits of such a word, on each die."""
        return self.lanes * self.row_places * SCALE_BITS

    @property
    def scale_beats(self) -> int:
        """Beats of a word of row scales of all dies in the stream of a loadable core."""
        return -(-self.dies * self.scale_width // (self.beat * self.container))

    @property
    def bias_beats(self) -> int:
        """Beats of a bias word there."""
        return -(-self.pe * self.acc_width // (self.beat * self.container))

    @property
    def load_width(self) -> int:
        """Bits of the widest word there, in whole beats."""
        beats = max(self.row_beats, self.bias_beats, self.scale_beats if self.scale_depth else 0)
        return beats * self.beat * self.container

    @property
    def load_beats(self) -> int:
        """Beats of a whole load; 0 for a core whose weights are in its Verilog."""
        if not self.loadable:
            return 0
        return (self.pe * self.weight_depth * self.row_beats + self.bias_depth * self.bias_beats
                + self.scale_depth * self.scale_beats)

    @property
    def load_depth(self) -> int:
        """Words of the deepest memory that the stream fills."""
        return max(self.weight_depth, self.bias_depth, self.scale_depth)

    def table_of(self, function: str) -> TableConfig:
        """The shape of a function's table."""
        return self.curve if self.curve and function != "tanh" else self.table

    @property
    def curves(self) -> tuple[str, ...]:
        """The activations of Dense kinds that have a table of their own."""
        return tuple(sorted({kind.activation for kind in self.kinds
                             if isinstance(kind, DenseKind) and kind.sign}))

    def has(self, *kinds: type) -> bool:
        """Whether any finish kind is of these classes."""
        return any(isinstance(kind, kinds) for kind in self.kinds)
