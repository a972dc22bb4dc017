"""Which options cut a model so that it is let in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gatefold.gen.cut.parts import Host
from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.frontends.cuts import Cut, CutError
from gatefold.gen.frontends.onnx.batch import BatchSizeError
from gatefold.gen.frontends.sizes import LIKELY, OpenError, Sizes
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network, split
from gatefold.gen.network.logits import with_logits

__all__ = ["cut_proposed", "small_scores"]

_ATTEMPTS = 16
#: Samples on which scores are looked at, the most multiplications that these may take, and the
#: part of the scores that may be smaller than a step of 16 bits.
_SAMPLES, _MOST_MACS, _SMALL = 4, 1 << 27, 0.05


def small_scores(network: Network) -> bool:
    """Whether a sigmoid at an output gives scores below a step of 16 bits on seeded inputs, so that
    ``--logits`` keeps their digits. False where that would take long to find."""
    try:
        plain = with_logits(network)
        if network.macs * _SAMPLES > _MOST_MACS:
            return False
        if network.around is None:
            frames = np.random.default_rng(0).standard_normal((_SAMPLES, *network.input_shape))
        else:
            host = Host(network.around, runtime=False)
            frames = host.before(host.random(_SAMPLES, 0), random=True)[0]
        parts = split(forward(network, frames), network.output_shapes)
    except UserError:
        return False
    return any(host == "sigmoid" and (np.abs(part) < 2.0**-15).mean() > _SMALL
               for host, part in zip(plain.host, parts, strict=True))


def cut_proposed(path: str | os.PathLike, sizes: Sizes,
                 cut: Cut) -> tuple[Network | None, Sizes, UserError | None]:
    """The network of the model at ``path`` when it is cut, the sizes that this takes, and why there
    is none; beside a network, why it is of a batch of one.

    ``sizes``, those that are given already.
    """
    left: Sequence[int] = LIKELY
    of_one: UserError | None = None
    for _ in range(_ATTEMPTS):
        try:
            return load(path, timesteps=sizes.timesteps, sizes=sizes.named, cut=cut), sizes, of_one
        except OpenError as error:
            guessed = sizes.guessed(error)
            if guessed is None:
                return None, sizes, None
            sizes = guessed
            of_one = error if isinstance(error, BatchSizeError) else of_one
        except UserError as error:
            if isinstance(error, CutError) or sizes.timesteps not in left[:1] or len(left) < 2:
                return None, sizes, error
            left = left[1:]
            sizes = replace(sizes, timesteps=left[0])
    return None, sizes, None
