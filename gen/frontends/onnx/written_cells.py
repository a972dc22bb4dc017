"""One step of an LSTM or a GRU, recognised in the operators that compute it.

An LSTM's step is

    c' = sigmoid(z_f) c + sigmoid(z_i) tanh(z_g),    h' = sigmoid(z_o) tanh(c')

and a GRU's, with r = sigmoid(z_r) and z = sigmoid(z_z),

    n = tanh(z_n + r u_n)  or  tanh(W x + R (r h) + b),    h' = (1 - z) n + z h

where the rows of z are W x + R h + b, and those of z_n and u_n W x + b and R h + b. h' may be
written as n + z (h - n) too, and z may stand for 1 - z. A cell is taken for one if its operators
compute exactly that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatefold.gen.frontends.onnx.sums import WRONG, Rows, Sums

__all__ = ["Cell", "cells"]


@dataclass(frozen=True)
class Cell:
    """One step of the operator ``kind``: the names of its state before and after, of what else it
    reads, and its weights, (1, rows, columns) in ONNX' order of gates. A GRU has no c; ``after``,
    whether it resets the product with h, instead of h."""

    kind: str
    x: str
    h: str
    h_after: str
    w: np.ndarray
    r: np.ndarray
    b: np.ndarray
    c: str = ""
    c_after: str = ""
    after: bool = False

    def swapped(self) -> Cell:
        """The same LSTM, with x in the role of h; a GRU knows its h."""
        return self if not self.c else replace(self, x=self.h, h=self.x, w=self.r, r=self.w)

    def goes_on(self, before: Cell) -> bool:
        """Whether this is the step behind ``before``."""
        return (self.kind, self.c, self.h, self.after) == (
            before.kind, before.c_after, before.h_after, before.after) and all(
                np.array_equal(one, other) for one, other in
                ((self.w, before.w), (self.r, before.r), (self.b, before.b)))


def cells(sums: Sums) -> Iterator[Cell]:
    """All cells of a graph."""
    for node in list(sums.graph.node):
        if len(node.input) == 2 and node.op_type in ("Mul", "Add"):
            try:
                cell = (_lstm if node.op_type == "Mul" else _gru)(sums, node.output[0])
            except WRONG:
                continue
            if cell is not None:
                yield cell


def _lstm(sums: Sums, h_after: str) -> Cell | None:
    """The LSTM whose h' is this tensor."""
    for o, tanh in sums.both(h_after, "Mul"):
        z_o, c_after = sums.inside(o, "Sigmoid"), sums.inside(tanh, "Tanh")
        if z_o is None or c_after is None:
            continue
        for kept, new in sums.both(c_after, "Add"):
            for f, c in sums.both(kept, "Mul"):
                for i, g in sums.both(new, "Mul"):
                    z = (sums.inside(i, "Sigmoid"), z_o, sums.inside(f, "Sigmoid"),
                         sums.inside(g, "Tanh"))
                    if None not in z:
                        return _whole_lstm(sums, [sums.rows(name or "") for name in z], c, h_after,
                                           c_after)
    return None


def _whole_lstm(sums: Sums, gates: Sequence[Rows], c: str, h_after: str,
                c_after: str) -> Cell | None:
    """The LSTM with these rows of its gates; None where they read other than x and h."""
    units = len(gates[0].b)
    for name in list(gates[0].parts):
        if pair := sums.joined(name):  # x comes first, unless h is known by how it is made
            columns = gates[0].parts[name].shape[1]
            first = units if _is_h(sums, pair[0]) else columns - units
            gates = [sums.opened(one, name, first) for one in gates]
    names = list(gates[0].parts)
    if len(names) != 2 or any(len(one.b) != units for one in gates):
        return None
    w, r = (np.concatenate(parts)[None].astype(np.float32)
            for parts in zip(*(one.of(*names) for one in gates), strict=True))
    b = np.concatenate([one.b for one in gates])
    cell = Cell("LSTM", names[0], names[1], h_after, w, r,
                np.concatenate([b, np.zeros_like(b)])[None].astype(np.float32), c, c_after)
    if cell.r.shape[2] != units or (
            cell.w.shape[2] == units and sums.origin(cell.x) == sums.origin(c)):
        cell = cell.swapped()
    return cell if cell.r.shape[2] == units else None


def _is_h(sums: Sums, name: str) -> bool:
    """Whether the tensor is made as an LSTM's h is, by a product of sigmoid and tanh."""
    return any(sums.inside(a, "Sigmoid") is not None and sums.inside(b, "Tanh") is not None
               for a, b in sums.both(name, "Mul"))


def _gru(sums: Sums, h_after: str) -> Cell | None:
    """The GRU whose h' is this tensor."""
    for n, h, z, sign in _mixed(sums, h_after):
        z_z, inner = sums.inside(z, "Sigmoid"), sums.inside(n, "Tanh")
        if z_z is None or inner is None:
            continue
        gate = sums.rows(z_z)
        cell = _whole_gru(sums, gate if sign > 0 else -gate, inner, h, h_after)
        if cell is not None:
            return cell
    return None


def _mixed(sums: Sums, h_after: str) -> Iterator[tuple[str, str, str, int]]:
    """n, h and z of all ways to read the tensor as (1 - z) n + z h; the last is -1 where what
    stands for z is 1 - z."""
    for one, other in sums.both(h_after, "Add"):
        for z, h in sums.both(one, "Mul"):
            for rest, n in sums.both(other, "Mul"):
                pair = sums.ordered(rest, "Sub")
                if pair and pair[1] == z and _is_one(sums, pair[0]):
                    yield n, h, z, 1
                    yield h, n, z, -1
            if (pair := sums.ordered(h, "Sub")) and pair[1] == other:
                yield other, pair[0], z, 1
                yield pair[0], other, z, -1


def _is_one(sums: Sums, name: str) -> bool:
    held = sums.constants.get(name)
    return held is not None and held.size == 1 and float(held.reshape(())) == 1


def _whole_gru(sums: Sums, z: Rows, inner: str, h: str, h_after: str) -> Cell | None:
    """The GRU with these rows of z and this argument of n's tanh."""
    units = len(z.b)
    for of_x, product in sums.both(inner, "Add"):
        for r, of_h in sums.both(product, "Mul"):
            if (z_r := sums.inside(r, "Sigmoid")) is None:
                continue
            if of_h != h:
                return _gru_of(sums, (z, sums.rows(z_r), sums.rows(of_x)), sums.rows(of_h), h,
                               h_after, units)
    rows = sums.rows(inner)
    for name in list(rows.parts):
        for pair in (sums.joined(name), (name,)):
            for one in pair or ():
                for r, of_h in sums.both(one, "Mul"):
                    if of_h == h and (z_r := sums.inside(r, "Sigmoid")):
                        return _gru_of(sums, (z, sums.rows(z_r), rows), None, h, h_after, units,
                                       one)
    return None


def _gru_of(sums: Sums, gates: tuple[Rows, Rows, Rows], of_h: Rows | None, h: str, h_after: str,
            units: int, reset_h: str = "") -> Cell | None:
    """The GRU with these rows of z, r and n. Where it resets the product with h, those of n are of
    x alone, and ``of_h`` has the others; else ``reset_h`` is r h."""
    def opened(rows: Rows, state: str) -> Rows:
        for name in list(rows.parts):
            if (pair := sums.joined(name)) and state in pair:
                columns = rows.parts[name].shape[1]
                rows = sums.opened(rows, name, units if pair[0] == state else columns - units)
        return rows

    z, r = opened(gates[0], h), opened(gates[1], h)
    n = gates[2] if of_h else opened(gates[2], reset_h)
    (x,) = z.parts.keys() - {h}
    if of_h:
        (w_n,), (r_n,), b_r = n.of(x), of_h.of(h), of_h.b
    else:
        (w_n, r_n), b_r = n.of(x, reset_h), np.zeros_like(n.b)
    w_all, r_all = (np.concatenate(parts)[None].astype(np.float32) for parts in zip(
        z.of(x, h), r.of(x, h), (w_n, r_n), strict=True))
    b = np.concatenate([z.b, r.b, n.b, np.zeros(2 * units), b_r])[None].astype(np.float32)
    if r_all.shape[1:] != (3 * units, units) or b.shape[1] != 6 * units:
        return None
    return Cell("GRU", x, h, h_after, w_all, r_all, b, after=of_h is not None)
