"""Files with some bytes changed at random: each is refused in one line, or harmless."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends import load


def damaged(data: bytes, times: int, *, bytes_each: int = 8, seed: int = 0) -> Iterator[bytes]:
    """``data`` again and again, with ``bytes_each`` bytes replaced each time."""
    random = np.random.default_rng(seed)
    for _ in range(times):
        broken = bytearray(data)
        for place in random.integers(0, len(data), bytes_each):
            broken[place] = random.integers(256)
        yield bytes(broken)


def refused_or_loaded(path: Path, **options) -> None:
    """Load a file: the only error that it may raise is a :class:`UserError` of one line."""
    try:
        load(path, **options)
    except UserError as error:
        assert str(error).isprintable()
