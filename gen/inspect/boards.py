"""Which board for which network: estimates of networks on every board (``gatefold boards``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gatefold.boards import BOARDS
from gatefold.gen.inspect.estimate import Estimate, quick_estimate
from gatefold.gen.network.graph import Network
from gatefold.gen.network.initialise import initialise

__all__ = ["NOTE", "SIZES", "of_boards", "of_sizes", "sizes_table"]

#: Units of the networks in the table of sizes; each is an LSTM on 30 timesteps of 16 features, and
#: a Dense layer of one output.
SIZES = (16, 32, 64, 128, 256, 512, 1024)
NOTE = ("Estimates, 16 bits, a frame of 30 timesteps, at the clock that is assumed for the board: "
        "`gatefold build` plans the exact cycles.")


def of_boards(network: Network) -> dict[str, Estimate]:
    """The estimate of ``network`` on every board, by the board's name."""
    return {name: quick_estimate(network, name) for name in BOARDS}


def of_sizes() -> dict[int, dict[str, Estimate]]:
    """The estimates of the networks of :data:`SIZES`, by units and board."""
    return {units: of_boards(initialise(units=units, features=16, timesteps=30, dense=1))
            for units in SIZES}


def sizes_table(found: Mapping[int, Mapping[str, Estimate]]) -> Iterator[str]:
    """The lines of a Markdown table: microseconds by units and board, a dash where it does not fit.
    """
    yield f"| LSTM units | {' | '.join(BOARDS)} |"
    yield f"|---:|{'---:|' * len(BOARDS)}"
    for units, row in found.items():
        cells = [f"{one.us:.2f}" if one.us is not None else "-" for one in row.values()]
        yield f"| {units:,} | {' | '.join(cells)} |"
