"""A network in one fixed-point type that cuts, as plain C++ for high-level synthesis computes it.

``ap_fixed<16, 16 - f>`` without further options cuts (towards minus infinity) wherever a value is
assigned. Fig. 3 of the paper assigns every product to a ``dtype2`` before it is added, and does not
define that type: either it holds whole products, or it is the same type again and cuts each. Both
are computed here; we do not know which one the authors synthesised.

Integers with f fractional bits in int32: weights, biases and inputs are cut from floats; of the
products of weights and operands f bits are kept, of each or of their sum; sigmoid and tanh are
exact and then cut; so are c = f c + i g and h = o tanh(c). Values that do not fit are refused.
"""

from __future__ import annotations

import numpy as np

from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Dense, Lstm
from gatefold.gen.network.views import View

__all__ = ["Cut"]


class Cut:
    """A callable x -> y, floats (windows, *input_shape) to (windows, *output_shape).

    Parameters: ``network``, of LSTMs with the usual activations, linear Dense layers and views;
    ``frac``, fractional bits of every value, of ``width`` in all; ``products``, cut each of them
    and not only their sum.
    Raises ValueError for another layer, and when called, for values beyond ``width`` bits.
    """

    def __init__(self, network: Network, frac: int, *, products: bool, width: int = 16):
        self.network, self.frac, self.products, self.width = network, frac, products, width
        for layer in network.layers:
            usual = isinstance(layer, View) or (
                isinstance(layer, Dense) and layer.activation == "linear" and not layer.window
            ) or (isinstance(layer, Lstm) and len(layer.inputs) == 1 and layer.h0 is None
                  and layer.activation == "tanh" and layer.recurrent_activation == "sigmoid")
            if not usual:
                raise ValueError(f"Cut computes plain LSTM, linear Dense and views, not a "
                                 f"{layer.shown}")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """``y`` of windows ``x``."""
        values = [self._cut(x)]
        for layer in self.network.layers:
            read = [values[value] for value in layer.inputs]
            if isinstance(layer, View):
                values.append(layer.arrange(*read))
            elif isinstance(layer, Lstm):
                values.append(self._lstm(layer, read[0]))
            else:
                assert isinstance(layer, Dense)
                flat = read[0].reshape(-1, read[0].shape[-1])
                y = self._sums(layer.b, (layer.w, flat))
                values.append(y.T.reshape(*read[0].shape[:-1], -1))
        (output,) = self.network.outputs
        return values[output] * 2.0**-self.frac

    def _lstm(self, layer: Lstm, x: np.ndarray) -> np.ndarray:
        h = np.zeros((len(x), layer.units), np.int32)
        c, every = h.T, []
        for t in range(x.shape[1]):
            z = self._sums(layer.b, (layer.w_ih, x[:, t]), (layer.w_hh, h))
            i, f, g, o = (np.tanh(part / 2) / 2 + 0.5 if n != 2 else np.tanh(part)
                          for n, part in enumerate(np.split(z * 2.0**-self.frac, 4)))
            i, f, g, o = map(self._cut, (i, f, g, o))
            c = self._checked((f.astype(np.int64) * c + i * g) >> self.frac)
            h = np.ascontiguousarray(((o * self._cut(np.tanh(c * 2.0**-self.frac)))
                                      >> self.frac).T)
            every.append(h)
        return np.stack(every, axis=1) if layer.return_sequences else h

    def _sums(self, bias: np.ndarray, *terms: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """(rows, windows): ``bias`` and the products of floats ``w`` (rows, features) and integers
        ``x`` (windows, features) of all ``terms``."""
        total = self._cut(bias)[:, None]
        if self.products:
            return self._checked(sum((self._each_cut(w, x) for w, x in terms), total))
        exact = sum(self._cut(w).astype(np.float64) @ x.T for w, x in terms)  # below 2**53
        return self._checked(total + np.floor(exact * 2.0**-self.frac))

    def _each_cut(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        columns = np.ascontiguousarray(self._cut(w).T)[:, :, None]
        operands = np.ascontiguousarray(x.T)[:, None, :]
        total = np.zeros((w.shape[0], len(x)), np.int32)
        product = np.empty_like(total)
        for column, operand in zip(columns, operands, strict=True):  # small enough for a cache
            np.multiply(column, operand, out=product)
            np.right_shift(product, self.frac, out=product)
            total += product
        return total

    def _cut(self, values: np.ndarray) -> np.ndarray:
        return self._checked(np.floor(np.asarray(values, np.float64) * 2.0**self.frac))

    def _checked(self, values: np.ndarray) -> np.ndarray:
        if np.abs(values).max(initial=0) >= 1 << (self.width - 1):
            raise ValueError(f"Cut: values beyond {self.width} bits, {self.frac} of them "
                             "fractional")
        return values.astype(np.int32, copy=False)
