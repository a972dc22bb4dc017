"""Which options cut a model so that it is let in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.frontends.cuts import Cut, CutError
from gatefold.gen.frontends.sizes import LIKELY, OpenError, Sizes
from gatefold.gen.network.graph import Network

__all__ = ["cut_proposed"]

_ATTEMPTS = 16


def cut_proposed(path: str | os.PathLike, sizes: Sizes,
                 cut: Cut) -> tuple[Network | None, Sizes, UserError | None]:
    """The network of the model at ``path`` when it is cut, the sizes that this takes, and why there
    is none.

    ``sizes``, those that are given already.
    """
    left: Sequence[int] = LIKELY
    for _ in range(_ATTEMPTS):
        try:
            return load(path, timesteps=sizes.timesteps, sizes=sizes.named, cut=cut), sizes, None
        except OpenError as error:
            guessed = sizes.guessed(error)
            if guessed is None:
                return None, sizes, None
            sizes = guessed
        except UserError as error:
            if isinstance(error, CutError) or sizes.timesteps not in left[:1] or len(left) < 2:
                return None, sizes, error
            left = left[1:]
            sizes = replace(sizes, timesteps=left[0])
    return None, sizes, None
