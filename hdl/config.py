"""One frozen description of the hardware, which the plan writes and components read.

:mod:`.parameters` has what the plan chooses. Here are the limits of that, and the sizes, widths and
cycles that follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.hdl.dies import to_farthest
from gatefold.hdl.kinds import DenseKind
from gatefold.hdl.parameters import Parameters, TableConfig

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


@dataclass(frozen=True, kw_only=True)
class EngineConfig(Parameters):
    """Everything that shapes the hardware: its parameters, and what follows from them."""

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
