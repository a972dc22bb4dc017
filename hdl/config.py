"""What the hardware is told: one frozen description, written by the plan, read by every component.

The field's words: ``pe`` rows and ``simd`` columns of multipliers, one *tile* (pe x simd products)
a cycle. Row 4 j + k of the array holds gate k (i, f, g, o) of slot j; there are ``pe // 4`` slots.
Elements of one *chunk* (``simd`` of them) stand side by side in a memory word, one per *lane*.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.hdl.arith import half

__all__ = ["PIPELINES", "SHALLOW", "DenseKind", "EmitKind", "EngineConfig", "Gate", "GruKind",
           "Kind", "LoadKind", "LstmKind", "MergeKind", "ResetKind", "Squash", "TableConfig",
           "bits_for"]

#: How deep the pipeline is: a register behind every step, or behind every second one.
PIPELINES = ("full", "short")

#: Memories of up to so many words go to LUTs: a LUT holds 64 bits of a read-only one.
SHALLOW = 64


def bits_for(count: int) -> int:
    """Bits of an index into ``count`` things, at least one."""
    return max(1, (count - 1).bit_length())


@dataclass(frozen=True)
class TableConfig:
    """Shape of the tanh table (see :class:`~.quantized.Table` for how it is read).

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


@dataclass(frozen=True)
class Gate:
    """How an accumulator becomes a gate, 2^T +- t: (1 + tanh(z/2)) / 2 by the table, or ``direct``
    (hard sigmoid). ``shift``: right shift of the accumulator to the table's argument u, or to the
    T + 1 bits of a direct one. Negative shifts go left."""

    shift: int
    direct: bool = False


@dataclass(frozen=True)
class Squash:
    """How a sum or a state becomes sign and t of T bits: ``function`` is tanh (the table), linear
    or relu (direct). ``shift``: right shift to u or to T + 1 bits."""

    shift: int
    function: str = "tanh"


@dataclass(frozen=True)
class LstmKind:
    """Finish of an LSTM layer. Rows of a slot: i, f, g, o.

    ``gate``: i, f, o. ``candidate``: g. ``up_f``, ``up_g``: left shifts that align f*c and i*g.
    ``cell``: right shift of their sum to c, T + 1 + ``up_f``. ``out``: c to tc. ``h``: right shift
    of o * tc to h. ``cell_width``, ``h_width``: bits to which c and h saturate.
    """

    gate: Gate
    candidate: Squash
    up_f: int
    up_g: int
    cell: int
    out: Squash
    h: int
    cell_width: int
    h_width: int

    @property
    def constants(self) -> tuple[int, int, int, int]:
        """What the bias of each row of a slot holds beside the layer's: rounding."""
        gate = half(self.gate.shift)
        return gate, gate, half(self.candidate.shift), gate


@dataclass(frozen=True)
class GruKind:
    """Finish of a GRU layer: s = z s + (1 - z) n. Rows of a slot: r, z, a, m (`docs/numbers.md`);
    without reset_after, r and m are empty (zero) and ``candidate`` takes all of a.

    ``gate``: r, z. ``m``: right shift of row m to its ``cell_width`` bits. ``up_a``, ``up_m``: left
    shifts that align a and r*m. ``candidate``: their sum to n. ``up_s``, ``up_n``: left shifts that
    align s and n. ``state``: right shift of the new state's sum to s. ``h``: s to h.
    """

    gate: Gate
    m: int
    up_a: int
    up_m: int
    candidate: Squash
    up_s: int
    up_n: int
    state: int
    h: int
    cell_width: int
    h_width: int

    @property
    def constants(self) -> tuple[int, int, int, int]:
        """What the bias of each row of a slot holds beside the layer's: rounding."""
        gate = half(self.gate.shift)
        return gate, gate, 0, half(self.m)  # a is rounded with r*m, in the lane


@dataclass(frozen=True)
class ResetKind:
    """First half of a GRU step without reset_after: q = r * s. Row r alone; s stays as it is.

    ``gate``: r. ``q``: right shift of r * s to ``h_width`` bits.
    """

    gate: Gate
    q: int
    h_width: int

    @property
    def constants(self) -> tuple[int, int, int, int]:
        """Rounding."""
        return half(self.gate.shift), 0, 0, 0


@dataclass(frozen=True)
class LoadKind:
    """Row 0 becomes the state of a lane: c of an LSTM, s of a GRU (``gru``). Nothing is put out.

    ``shift``: right shift to ``cell_width`` bits.
    """

    gru: bool
    shift: int
    cell_width: int

    @property
    def constants(self) -> tuple[int, int, int, int]:
        """Rounding."""
        return half(self.shift), 0, 0, 0


@dataclass(frozen=True)
class EmitKind:
    """An LSTM's c is put out, shifted right by ``shift`` to ``h_width`` bits; it stays as it is."""

    shift: int
    h_width: int

    @property
    def constants(self) -> tuple[int, int, int, int]:
        """None: the lane rounds."""
        return 0, 0, 0, 0


@dataclass(frozen=True)
class MergeKind:
    """The four rows of a slot become one element: their maximum (``function`` max), or the product
    of rows 0 and 1 (mul).

    ``shifts``: exact right shifts of the two rows of a product to operands of ``act_width`` bits;
    (0, 0) for max. ``shift``: right shift of maximum or product to ``h_width`` bits.
    """

    function: str
    shifts: tuple[int, int]
    shift: int
    h_width: int

    @property
    def constants(self) -> tuple[int, int, int, int]:
        """Rounding, in all rows of a maximum; a product is rounded in the lane."""
        return (half(self.shift),) * 4 if self.function == "max" else (0, 0, 0, 0)


@dataclass(frozen=True)
class DenseKind:
    """Finish of a Dense layer (also of a SimpleRNN), a row an element.

    ``activation``: linear, relu (``shift``: right shift of the accumulator to y), sigmoid, tanh
    (to the table's argument; ``out``: right shift of 2^T +- t or of +-t to y). ``h_width``: bits of
    y. ``limit``: of linear and relu, y is clamped to -limit..limit, a power of two or 0.
    """

    activation: str
    shift: int
    out: int
    h_width: int
    limit: int | None = None

    @property
    def constants(self) -> tuple[int, int, int, int]:
        """What the bias of each row holds beside the layer's: rounding."""
        return (half(self.shift),) * 4


#: What finished rows may become. All but a DenseKind make one element of the four rows of a slot.
Kind = LstmKind | GruKind | ResetKind | LoadKind | EmitKind | MergeKind | DenseKind


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Everything that shapes the hardware. Depths count words; addresses have ``bits_for`` them.

    Parameters
    ----------
    pe, simd: rows (a multiple of 4) and columns of multipliers.
    weight_width, act_width, cell_width, acc_width: bits.
    table: the tanh table's shape.
    aligns: distinct left shifts of a tile's sum; an instruction names one by index.
    kinds: finish kinds, one a layer that computes; an instruction names one by index.
    routes: first slot seen by lane 0 for each way of bringing slots to lanes (may be negative).
    weight_depth, bias_depth, park_depth, h_depth, cell_depth: words of each memory.
    x_chunks, x_rows: chunks of one row of the input (a timestep) and rows of a frame.
    x_row: elements of an input row. out_rows, out_row: rows and elements a row of the output.
    out_early: every output is a Dense layer's, whose results leave by the short path.
    out_whole: chunks of an output frame are finished in any order, so they leave when all are
        there: with several contexts or outputs.
    stateful: some layer goes on with the state that the last frame left.
    beat: elements of a stream beat. container: bits an element takes there.
    program_depth, segments, max_gap, max_count, max_stride, max_run: the program memory's shape;
        max_run is the most tiles of an instruction.
    lut_rows: rows whose weights stand in LUTs although they are not shallow.
    loadable: weights and bias are written at run time, through a stream of their own.
    contexts: sequences in a frame.
    uram_rows: rows whose weights stand in UltraRAM, which implies loadable.
    pipeline: one of :data:`PIPELINES`. Of ``short``, fewer registers for slower clocks: steps that
        make a pair take one cycle instead of two (:attr:`pair`, :attr:`between`).
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
    routes: tuple[int, ...]
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
    lut_rows: int = 0
    loadable: bool = False
    uram_rows: int = 0
    contexts: int = 1
    stateful: bool = False
    pipeline: str = "full"

    def __post_init__(self):
        if self.pipeline not in PIPELINES:
            raise ValueError(f"pipeline must be {' or '.join(PIPELINES)}, not {self.pipeline!r}")
        if self.pe < 4 or self.pe % 4:
            raise ValueError(f"pe must be a multiple of 4 (gates i, f, g, o), not {self.pe!r}")
        if self.simd < 1:
            raise ValueError(f"simd must be at least 1, not {self.simd!r}")
        if self.uram_rows and not self.loadable:
            raise ValueError("uram_rows needs loadable: UltraRAM cannot be initialised")
        if self.container < self.act_width:
            raise ValueError(f"container must hold act_width ({self.act_width}) bits, "
                             f"not {self.container!r}")

    def weight_style(self, row: int) -> str:
        """Where a row's weights stand: UltraRAM first, then LUTs, then block RAM."""
        if row < self.uram_rows:
            return "ultra"
        in_luts = self.weight_depth <= SHALLOW or row < self.uram_rows + self.lut_rows
        return "distributed" if in_luts else "block"

    @property
    def pair(self) -> int:
        """Cycles of two steps that a short pipeline takes as one."""
        return 2 if self.pipeline == "full" else 1

    @property
    def between(self) -> str:
        """The domain of what stands between the two: registers, or wires."""
        return "sync" if self.pair == 2 else "comb"

    @property
    def slots(self) -> int:
        """Units whose four gates the array holds at once."""
        return self.pe // 4

    @property
    def x_chunks(self) -> int:
        """Chunks of one input row."""
        return -(-self.x_row // self.simd)

    @property
    def out_chunks(self) -> int:
        """Chunks of one output row."""
        return -(-self.out_row // self.simd)

    @property
    def x_depth(self) -> int:
        """Chunks of an input frame."""
        return self.x_chunks * self.x_rows

    @property
    def out_depth(self) -> int:
        """Chunks of an output frame."""
        return self.out_chunks * self.out_rows

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
    def bias_beats(self) -> int:
        """Beats of a bias word there."""
        return -(-self.pe * self.acc_width // (self.beat * self.container))

    @property
    def load_width(self) -> int:
        """Bits of the widest word there, in whole beats."""
        return max(self.row_beats, self.bias_beats) * self.beat * self.container

    @property
    def load_beats(self) -> int:
        """Beats of a whole load; 0 for a core that brings its weights along."""
        if not self.loadable:
            return 0
        return self.pe * self.weight_depth * self.row_beats + self.bias_depth * self.bias_beats

    def has(self, *kinds: type) -> bool:
        """Whether any finish kind is of these classes."""
        return any(isinstance(kind, kinds) for kind in self.kinds)
