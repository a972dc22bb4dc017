"""The kinds of finish: how the sums in finished rows become an element, with every shift.

The plan writes them and the lanes read them; an instruction names one by its index in
:attr:`gatefold.hdl.config.EngineConfig.kinds`. Shifts go right, negative ones left. T is the number
of bits of the tanh table's result t. The ``constants`` of a kind are the rounding constants that
the bias of each row of an element holds, so that the lane has only to shift; there are as many as
the element has rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.hdl.arith import half

__all__ = ["ASIDE", "SILENT", "AsideKind", "DenseKind", "EmitKind", "Gate", "GruKind",
           "Int8DenseKind", "Int8GatesKind", "Int8LstmKind", "Kind", "LoadKind", "LstmKind",
           "MergeKind", "PeepholeKind", "ResetKind", "Scale", "Squash"]

Constants = tuple[int, ...]


@dataclass(frozen=True)
class Gate:
    """How an accumulator becomes a gate, 2^T +- t: sigmoid by the table, (1 + tanh(z/2)) / 2, or
    hard sigmoid, which is ``direct``. ``shift``: of the accumulator to the table's argument u, or
    to the T + 1 bits of a direct gate. ``limit``: the largest |u|; None, no limit."""

    shift: int
    direct: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class Squash:
    """How a sum or a state becomes a sign and t of T bits. ``function``: tanh by the table, a curve
    by its own, or linear or relu, which are direct. ``shift``: to u, or to T + 1 bits; ``limit``:
    the largest |u|; None, no limit."""

    shift: int
    function: str = "tanh"
    limit: int | None = None

    @property
    def direct(self) -> bool:
        """Whether there is no table."""
        return self.function in ("linear", "relu")


@dataclass(frozen=True)
class LstmKind:
    """Finish of an LSTM layer. Rows of a unit: i, f, g, o.

    ``gate``: i, f, o. ``candidate``: g. ``up_f``, ``up_g``: left shifts that align f*c and i*g.
    ``cell``: of their sum to c, T + 1 + ``up_f``. ``out``: c to tc. ``h``: of o * tc to h.
    ``cell_width``, ``h_width``: bits to which c and h saturate. ``peepholes``: left shifts that
    align a sum and the product of a peephole, whose sum ``gate`` is applied to; None, there are no
    peepholes. ``carries``: what the rounding of the unit's last h left is added to o * tc.
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
    peepholes: tuple[int, int] | None = None
    carries: bool = False

    @property
    def constants(self) -> Constants:
        """Rounding of the gates; with peepholes the lane rounds i, f and o."""
        gate = 0 if self.peepholes else half(self.gate.shift)
        return gate, gate, half(self.candidate.shift), gate


@dataclass(frozen=True)
class GruKind:
    """Finish of a GRU layer: s = z s + (1 - z) n. Rows of a unit: z, a, r, m (`docs/numbers.md`).
    Without reset_after there are z and a alone, and ``candidate`` takes all of a. With ``aside``,
    ops before have set z, a and r aside (:class:`AsideKind`), and m is the only row.

    ``gate``: r, z. ``m``: of row m to its ``cell_width`` bits; None without reset_after. ``up_a``,
    ``up_m``: left shifts that align a and r*m. ``candidate``: their sum to n. ``up_s``, ``up_n``:
    left shifts that align s and n. ``state``: of the new state's sum to s. ``h``: s to h.
    """

    gate: Gate
    m: int | None
    up_a: int
    up_m: int
    candidate: Squash
    up_s: int
    up_n: int
    state: int
    h: int
    cell_width: int
    h_width: int
    aside: bool = False

    @property
    def constants(self) -> Constants:
        """Rounding of z, r and m; the lane rounds a, with r*m."""
        gate = half(self.gate.shift)
        if self.m is None:
            return gate, 0
        return (half(self.m),) if self.aside else (gate, 0, gate, half(self.m))


@dataclass(frozen=True)
class AsideKind:
    """A row of a GRU's unit stays in the lane for the op that finishes the step: the gate z, or r
    if it ``resets``, or without ``gate`` the sum a as it is. There is no result.
    """

    gate: Gate | None
    resets: bool = False

    @property
    def row(self) -> str:
        """Which row it is."""
        return "a" if self.gate is None else "r" if self.resets else "z"

    @property
    def constants(self) -> Constants:
        """Rounding of a gate."""
        return (half(self.gate.shift) if self.gate else 0,)


@dataclass(frozen=True)
class ResetKind:
    """First half of a GRU step without reset_after: q = r * s, of the one row r. s stays as it is.

    ``gate``: r. ``q``: of r * s to ``h_width`` bits.
    """

    gate: Gate
    q: int
    h_width: int

    @property
    def constants(self) -> Constants:
        """Rounding of r."""
        return (half(self.gate.shift),)


@dataclass(frozen=True)
class LoadKind:
    """A row becomes the state of a lane: c of an LSTM, or s of a GRU (``gru``). There is no result.

    ``shift``: to ``cell_width`` bits.
    """

    gru: bool
    shift: int
    cell_width: int

    @property
    def constants(self) -> Constants:
        """Rounding of the state."""
        return (half(self.shift),)


@dataclass(frozen=True)
class PeepholeKind:
    """The rows of a unit, i, f, g, o, are the weights of its peepholes, of which g has none. They
    stay in the lane. There is no result."""

    @property
    def constants(self) -> Constants:
        """None."""
        return (0,) * 4


@dataclass(frozen=True)
class EmitKind:
    """An LSTM's c is the result, shifted by ``shift`` to ``h_width`` bits. c stays as it is."""

    shift: int
    h_width: int

    @property
    def constants(self) -> Constants:
        """None: the lane rounds, and does not read its one row."""
        return (0,)


@dataclass(frozen=True)
class MergeKind:
    """Several rows become one element: the maximum of four (``function`` max), or the product of
    two (mul).

    ``shifts``: exact shifts of the two rows of a product to operands of ``act_width`` bits; (0, 0)
    for a maximum. ``shift``: of the maximum or the product to ``h_width`` bits.
    """

    function: str
    shifts: tuple[int, int]
    shift: int
    h_width: int

    @property
    def constants(self) -> Constants:
        """Rounding of a maximum, in all its rows; the lane rounds a product."""
        return (half(self.shift),) * 4 if self.function == "max" else (0, 0)


@dataclass(frozen=True)
class DenseKind:
    """Finish of a Dense layer or of a SimpleRNN: a row is an element.

    ``activation``: linear or relu, with ``shift`` of the accumulator to y; sigmoid or tanh, with
    ``shift`` to the table's argument, and ``out`` of 2^T +- t or of +-t to y; another function,
    with a table of its name and ``out`` of ``base`` +- t: ``sign`` odd, + t of a positive argument
    and - t of a negative one; even, - t of both; left, - t of a negative one alone. ``h_width``:
    bits of y. ``limit``: a linear or relu y is clamped to -limit..limit, a power of two or 0.
    """

    activation: str
    shift: int
    out: int
    h_width: int
    limit: int | None = None
    sign: str = ""
    base: int = 0

    @property
    def tabled(self) -> bool:
        """Whether a table gives its activation."""
        return bool(self.sign) or self.activation in ("sigmoid", "tanh")

    @property
    def constants(self) -> Constants:
        """Rounding of the first shift."""
        return (half(self.shift),)


# ---- LiteRT's int8 arithmetic (`docs/numbers.md`): the lanes round, no kind has constants --------


@dataclass(frozen=True)
class Scale:
    """A factor of multiplier * 2**(shift - 31): the product is rounded to 31 bits less, then, where
    ``shift`` is negative, shifted and rounded again, halves away from zero."""

    multiplier: int
    shift: int


@dataclass(frozen=True)
class Int8DenseKind:
    """Finish of a CONV_2D or FULLY_CONNECTED: a row is an element, with a factor of its own from a
    memory of the lane. The result lies in ``lo``..``hi``."""

    lo: int
    hi: int

    @property
    def constants(self) -> Constants:
        """None: the lane rounds."""
        return (0,)


@dataclass(frozen=True)
class Int8GatesKind:
    """The sums of x of an LSTM's unit, rows i, f, g, o, scaled to 16 bits, stay in the lane for the
    op that finishes the step. There is no result."""

    scales: tuple[Scale, Scale, Scale, Scale]

    @property
    def constants(self) -> Constants:
        """None: the lane rounds."""
        return (0,) * 4


@dataclass(frozen=True)
class Int8LstmKind:
    """Finish of an LSTM's step, of the sums of h, rows i, f, g, o.

    ``scales``: of the rows to 16 bits. ``frac``: fractional bits of c. ``clip``: its largest
    magnitude. ``first``, ``up``: where in the lane's table tanh(c) is (entry ``first`` + (|c| <<
    ``up``), at most ``last`` behind the first); ``first`` None: the input gate takes its place.
    ``h``: of o * tanh(c) to h, to which ``offset`` is added; it lies in ``lo``..``hi``.
    """

    scales: tuple[Scale, Scale, Scale, Scale]
    frac: int
    clip: int
    first: int | None
    up: int
    last: int
    h: Scale
    offset: int
    lo: int
    hi: int

    @property
    def constants(self) -> Constants:
        """None: the lane rounds."""
        return (0,) * 4


Kind = (LstmKind | GruKind | AsideKind | ResetKind | LoadKind | PeepholeKind | EmitKind
        | MergeKind | DenseKind | Int8DenseKind | Int8GatesKind | Int8LstmKind)

#: Kinds that leave something beside the state, which another kind of the same step finishes with.
ASIDE = PeepholeKind | AsideKind | Int8GatesKind
#: Kinds that have no result, but leave something in the lanes.
SILENT = LoadKind | ASIDE
