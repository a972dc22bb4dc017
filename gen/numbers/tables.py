"""Tables of functions of a magnitude: direct, or bipartite with an antisymmetric half.

All cores have tanh, which also gives the sigmoid. A Dense layer whose activation is one of
:data:`~gatefold.gen.network.layer.CURVES` has a table of its own, of the same shape.

Sources: Schulte and Stine, "Approximating elementary functions with symmetric bipartite tables",
IEEE Trans. Computers 48(8), 1999; de Dinechin and Tisserand, "Multipartite table methods", IEEE
Trans. Computers 54(3), 2005.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.numbers.qformat import QFormat

__all__ = ["ARGUMENT_BITS", "CURVE_TABLES", "TABLE_BITS", "Curve", "Table", "curve_table",
           "default_table", "table_for", "tanh_table"]

# Chosen among all splits with at most 2048 entries of t0 (one BRAM36 of 2K x 18) and 2048 of t1
# (one BRAM18). Measured over every m, largest error of the table, and in brackets the largest error
# from the real argument on, its rounding to Q4.frac included:
#   A = 16, frac 12   (6,5,4) 9.3e-5 (1.8e-4)   (7,4,4) 5.2e-5 (1.5e-4)   (8,3,4) 3.0e-5 (1.4e-4)
#   A = 16, frac 13   (6,5,5) 9.6e-5 (1.4e-4)   (7,4,5) 5.3e-5 (9.6e-5)
#   A = 16, frac 14   (5,6,6) 1.9e-4 (2.0e-4)   (6,5,6) 9.8e-5 (1.1e-4)
#   A = 18, frac 13   (6,5,5) 9.0e-5 (1.3e-4)   (7,4,5) 4.5e-5 (9.1e-5)
#   A = 18, frac 14   (5,6,6) 1.8e-4 (2.0e-4)   (6,5,6) 9.2e-5 (1.1e-4)
# The brackets hide this: the rounding of u adds up over the steps. The rms error of the output of
# a random LSTM (4 features, 32 units, 30 steps, weights of normal size) at A = 16 is 4.5e-5 with
# (7,4,4), 4.5e-5 with (8,3,4) (so twice the t1 buys nothing), 3.0e-5 with frac 13 and (7,4,5),
# 2.4e-5 with frac 14 and (6,5,6); at A = 18: 4.3e-5, 4.3e-5, 2.7e-5, 2.0e-5. From A = 15 on the
# finer argument is taken: the tables stay in the same block RAMs.
# How many bits t has (T): a gate is a multiple of 2**-(T+1) and at most 1 - 2**-(T+1), and a state
# that a forget gate multiplies at every step loses that much each time. A latch at A = 8 (f = 1 -
# 4e-4) that should hold 0.641 of its value after 1,000 steps holds 0.109 with T = 8, 0.585 with
# T = 12, 0.641 with T = 16. So T grows with the logarithm of the steps, up to 16. It costs nothing
# where the steps are few: the rms error of random LSTMs (24 units, A = 4 to 10, 30 to 400 steps)
# falls by 2 to 5 % on the first two bits beyond A, and not at all beyond.
#: Largest act_width of a row, and the fractional bits of its argument.
_DEFAULTS = ((9, 8), (14, 12), (18, 14))
#: n0, n1, n2 by the argument's fractional bits.
_SPLITS = {8: (11, 0, 0), 9: (7, 2, 3), 10: (7, 3, 3), 11: (7, 4, 3), 12: (7, 4, 4),
           13: (7, 4, 5), 14: (6, 5, 6)}
#: The same of the tables of curves.
_CURVE_SPLITS = {8: (11, 0, 0), 9: (8, 2, 2), 10: (8, 3, 2), 11: (8, 3, 3), 12: (8, 4, 3),
                 13: (8, 4, 4), 14: (8, 4, 5)}
_MOST = 16  # T, beyond the width of activations
TABLE_BITS = range(4, 19)  #: Legal fractional bits of a table's results ...
ARGUMENT_BITS = range(8, 15)  #: ... and of its argument.


@dataclass(frozen=True)
class Curve:
    """How an activation follows from a table of a magnitude (*Curves* in `docs/numbers.md`).

    Attributes: ``divide``, the table's argument is z / 2**divide; ``table``, the function of the
    argument's magnitude that is stored: 0 at 0, increasing, below 1; ``base``, the activation at
    0. The activation is base +- the table's t: with the sign of z (``sign`` odd), less t whatever
    the sign (even), or less t of a negative z and base of others (left).
    """

    divide: int
    table: Callable[[np.ndarray], np.ndarray]
    sign: str
    base: float = 0.0

    def base_in(self, out_frac: int) -> int:
        """``base`` with ``out_frac`` fractional bits."""
        return math.floor(self.base * 2.0**out_frac + 0.5)


#: The curves by their activations. They bend more than tanh, so more high bits of the argument
#: choose an entry of t1: at T = 16 and an argument of 14 bits the errors are at most 2.6e-5 (erf),
#: 1.2e-4 (expm1), 3.0e-5 (log1pexp), 5.8e-5 (softsign); with tanh's split expm1 would have 8.2e-4.
CURVE_TABLES = {
    "erf": Curve(0, np.vectorize(math.erf, otypes=[np.float64]), "odd"),
    # Steep at 0 and slow far from it: in two parts, of |z| up to 8, and of what follows up to 128.
    "softsign": Curve(0, lambda m: m / (1 + m), "odd"),
    "softsign_tail": Curve(4, lambda m: np.maximum(0, 16 * m / (1 + 16 * m) - 8 / 9), "odd"),
    "expm1": Curve(1, lambda m: -np.expm1(-2 * m), "left"),
    "log1pexp": Curve(1, lambda m: math.log(2) - np.log1p(np.exp(-2 * m)), "even", math.log(2)),
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A function of a magnitude, mostly tanh: the one table behind sigmoid and tanh.

    The argument u is Q4.``frac`` (-8..8). Its magnitude m, ``3 + frac`` bits, is split into
    n0 high, n1 middle and n2 low bits. With n2 = 0 the table is direct: t = t0[m]. Otherwise it is
    bipartite: t = t0[high, middle] +-
    t1[high, low], t1 being odd around the middle of the low range, so only half is stored: the top
    bit of `low` is the sign (1: +), the other n2 - 1 bits, inverted where the sign is -, the index.

    Attributes: ``out_frac``, the fractional bits of t (values 0..2**out_frac - 1), T in
    `docs/numbers.md`; ``t0`` (2**(n0+n1),), ``t1`` (2**(n0+n2-1),) or empty, non-negative int64;
    ``error``, the largest |t * 2**-out_frac - function| over every m, measured when the table was
    made.
    """

    frac: int
    n0: int
    n1: int
    n2: int
    out_frac: int
    t0: np.ndarray
    t1: np.ndarray
    error: float

    @property
    def width(self) -> int:
        """Bits of the signed argument u."""
        return self.frac + 4

    @property
    def format(self) -> QFormat:
        """Format of the argument u."""
        return QFormat(self.width, self.frac)


def table_for(act_width: int, table_bits: int | None = None,
              argument_bits: int | None = None, steps: int = 1) -> Table:
    """The table for activations of ``act_width`` bits and gates that multiply a state ``steps``
    times; ``table_bits`` and ``argument_bits`` set the fractional bits of its results and of its
    argument.

    Raises :class:`UserError` for those outside :data:`TABLE_BITS` and :data:`ARGUMENT_BITS`.
    """
    for name, bits, legal in (("table", table_bits, TABLE_BITS),
                              ("argument", argument_bits, ARGUMENT_BITS)):
        if bits is not None and (isinstance(bits, bool) or not isinstance(bits, int)
                                 or bits not in legal):
            raise UserError(f"the {name} bits must be {legal[0]}..{legal[-1]}, not "
                            f"{quoted(bits)[1:-1]}: leave them out for those of the activations' "
                            "width")
    out_frac = _bits_for(act_width, steps) if table_bits is None else table_bits
    if argument_bits is None:
        argument_bits = next((frac for most, frac in _DEFAULTS if 4 <= out_frac <= most), None)
    if argument_bits is None:
        raise ValueError(f"table_for act_width must be in 4..18, not {act_width!r}")
    n0, n1, n2 = _SPLITS[argument_bits]
    return tanh_table(frac=argument_bits, n0=n0, n1=n1, n2=n2, out_frac=out_frac)


def _bits_for(act_width: int, steps: int) -> int:
    """T: a gate's last bit, taken ``steps`` times, is at most an eighth of an activation's."""
    return max(act_width, min(_MOST, act_width + (steps - 1).bit_length() - 3))


def default_table(act_width: int) -> Table:
    """The table for activations of ``act_width`` bits (4..18), unless a user chooses another."""
    return table_for(act_width)


def curve_table(activation: str, like: Table) -> Table:
    """The table of an activation of :data:`CURVE_TABLES` in a core with the tanh table ``like``:
    argument and result have as many bits."""
    return _curve_table(activation, like.frac, like.out_frac)


@lru_cache(maxsize=64)
def _curve_table(activation: str, frac: int, out_frac: int) -> Table:
    # A file may state a tanh table that this version would not make: its curves are direct.
    n0, n1, n2 = _CURVE_SPLITS.get(frac, (3 + frac, 0, 0))
    return tanh_table(frac=frac, n0=n0, n1=n1, n2=n2, out_frac=out_frac,
                      function=CURVE_TABLES[activation].table)


def tanh_table(*, frac: int, n0: int, n1: int, n2: int, out_frac: int,
               function: Callable[[np.ndarray], np.ndarray] = np.tanh) -> Table:
    """A table of tanh(m * 2**-frac), or of another ``function``, for every magnitude m of
    3 + ``frac`` bits.

    Every t, as read by ``gatefold.sim.golden.tanh_magnitude``, lies in 0..2**out_frac - 1 without
    a clamp, and t(0) = 0: tanh(0) and sigmoid(0) are exact. ``n2`` = 0 gives a direct table.

    Parameters: ``function``, 0 at 0, increasing, below 1; ``frac``, fractional bits of the
    argument; ``n0``, ``n1``, ``n2``, high, middle and
    low bits of m; ``out_frac``, fractional bits of t.
    Raises ValueError where the split does not add up to 3 + ``frac`` bits.
    """
    if n0 + n1 + n2 != 3 + frac or n0 < 1 or n1 < 0 or n2 < 0:
        raise ValueError(f"tanh_table n0 + n1 + n2 must be 3 + frac ({3 + frac}) with n0 >= 1, "
                         f"not {n0!r} + {n1!r} + {n2!r}")
    if not 1 <= out_frac <= 24:
        raise ValueError(f"tanh_table out_frac must be in 1..24, not {out_frac!r}")
    top = (1 << out_frac) - 1

    def scaled(m: np.ndarray) -> np.ndarray:
        """The function of a magnitude in units of one LSB of t, unrounded."""
        return function(m * 2.0**-frac) * 2.0**out_frac

    if n2 == 0:
        exact = scaled(np.arange(1 << (3 + frac)))
        t0 = t = np.minimum(np.floor(exact + 0.5), top)
        t1 = np.zeros(0)
    else:
        cells = np.arange(1 << (n0 + n1)).reshape(1 << n0, 1 << n1, 1) << n2  # m of low = 0
        centre = cells + ((1 << n2) - 1) / 2
        away = np.arange(1 << (n2 - 1)) + 0.5  # distance of t1's entries from the centre, in m
        # t1: the middle of the best values of the cells that share it, those of one `high`.
        odd = (scaled(centre + away) - scaled(centre - away)) / 2
        t1 = _midpoint(odd, axis=1)
        by_low = np.concatenate([-t1[:, ::-1], t1], axis=1)[:, None, :]
        exact = scaled(cells + np.arange(1 << n2))
        t0 = _midpoint(exact - by_low, axis=2)
        # No clamp in hardware: t0 is moved so that t0 +- t1 stays within 0..top.
        reach = t1.max(axis=1)[:, None]
        t0 = np.clip(t0, reach, top - reach)
        t0[0, 0] = t1[0, -1]  # t(0) = 0
        t = t0[:, :, None] + by_low
    if t.min() < 0 or t.max() > top or t.flat[0] != 0:
        raise ValueError(f"tanh_table: out_frac {out_frac} is too coarse for this split: use more "
                         "fractional bits or n2 = 0")
    error = float(np.abs(t - exact).max()) * 2.0**-out_frac
    return Table(frac=frac, n0=n0, n1=n1, n2=n2, out_frac=out_frac, t0=_frozen(t0), t1=_frozen(t1),
                 error=error)


def _midpoint(values: np.ndarray, axis: int) -> np.ndarray:
    """The integer nearest the middle of the range: it minimises the maximum error."""
    return np.floor((values.max(axis=axis) + values.min(axis=axis)) / 2 + 0.5)


def _frozen(values: np.ndarray) -> np.ndarray:
    integers = values.astype(np.int64).ravel()
    integers.setflags(write=False)
    return integers
