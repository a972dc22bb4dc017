"""A network without a model: stacked LSTMs with seeded weights that are replaced later."""

from __future__ import annotations

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import Dense, Layer, Lstm, Network

__all__ = ["LIMITS", "initialise"]

#: Legal values of each size: 1 to this.
LIMITS = {"units": 4096, "features": 4096, "timesteps": 65536, "layers": 16, "dense": 4096}
#: Largest number of weights, for the machine that has to draw them.
MAX_PARAMETERS = 1 << 27


def initialise(*, units: int, features: int, timesteps: int, layers: int = 1,
               dense: int | None = None, seed: int = 0) -> Network:
    """``layers`` LSTMs of ``units`` on (``timesteps``, ``features``), then Dense(``dense``) if any.

    Every LSTM but the last returns its sequence. w_ih and Dense weights are Glorot uniform (Glorot
    and Bengio 2010), w_hh is orthogonal (Saxe et al. 2014), biases 0 but the forget gate's, 1
    (Jozefowicz et al. 2015). Same ``seed``, same network.
    Raises :class:`UserError` for a size outside :data:`LIMITS` or a bad seed.
    """
    sizes = {"units": units, "features": features, "timesteps": timesteps, "layers": layers}
    if dense is not None:
        sizes["dense"] = dense
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LIMITS[name]:
            raise UserError(f"{name} must be an integer in 1..{LIMITS[name]}, not {value!r}: "
                            "choose one in that range")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UserError(f"the seed must be an integer of 0 or more, not {seed!r}: the default is "
                        "0")
    weights = 4 * units * (features + units + 1) + (layers - 1) * 4 * units * (2 * units + 1)
    if weights > MAX_PARAMETERS:
        raise UserError(f"units {units}, features {features} and layers {layers} make {weights} "
                        f"weights, the limit is {MAX_PARAMETERS}: choose smaller sizes")
    rng = np.random.default_rng(seed)
    built: list[Layer] = []
    for n in range(layers):
        built.append(_lstm(rng, units, features if n == 0 else units, sequences=n < layers - 1))
    if dense is not None:
        built.append(Dense(w=_glorot(rng, dense, units), b=np.zeros(dense)))
    return Network(((timesteps, features),), tuple(built),
                   source={"format": "none: seeded initialiser", "seed": seed})


def _lstm(rng: np.random.Generator, units: int, features: int, *, sequences: bool) -> Lstm:
    b = np.zeros(4 * units)
    b[units:2 * units] = 1.0
    return Lstm(units=units, w_ih=_glorot(rng, 4 * units, features),
                w_hh=_orthogonal(rng, 4 * units, units), b=b, return_sequences=sequences)


def _glorot(rng: np.random.Generator, outputs: int, inputs: int) -> np.ndarray:
    limit = np.sqrt(6 / (outputs + inputs))
    return rng.uniform(-limit, limit, (outputs, inputs))


def _orthogonal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Orthonormal columns, uniformly distributed (the sign of R's diagonal taken out)."""
    q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)
