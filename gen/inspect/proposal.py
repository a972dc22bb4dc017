"""Which options cut a model so that it is let in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load
from gatefold.gen.frontends.cuts import Cut, CutError
from gatefold.gen.frontends.sizes import OpenError, Sizes
from gatefold.gen.network.graph import Network

__all__ = ["TIMESTEPS", "cut_proposed"]

#: Numbers of timesteps, or of audio samples, to try where a model leaves them open.
TIMESTEPS = (32, 64, 128, 256, 512, 576, 1024, 1536, 4096, 16000)
_ATTEMPTS = 16


def cut_proposed(path: str | os.PathLike, sizes: Sizes,
                 cut: Cut) -> tuple[Network | None, Sizes, str]:
    """The network of the model at ``path`` when it is cut, the sizes that this takes, and, where
    there is no network because of what lies between its recurrent layers, why.

    ``sizes``, those that are given already.
    """
    left: Sequence[int] = TIMESTEPS
    for _ in range(_ATTEMPTS):
        try:
            return load(path, timesteps=sizes.timesteps, sizes=sizes.named, cut=cut), sizes, ""
        except OpenError as error:
            if error.timesteps:
                sizes = replace(sizes, timesteps=left[0])
            elif error.values:
                sizes = replace(sizes, named={**sizes.named, error.name: error.values[0]})
            else:
                return None, sizes, ""
        except CutError as error:
            return None, sizes, str(error)
        except UserError:
            if sizes.timesteps not in left[:1] or len(left) < 2:
                return None, sizes, ""
            left = left[1:]
            sizes = replace(sizes, timesteps=left[0])
    return None, sizes, ""
