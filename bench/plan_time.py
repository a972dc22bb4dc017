"""How long planning takes: the table of docs/chooser.md, in CPU seconds of one core.

    python bench/plan_time.py                              all networks, on both boards
    python bench/plan_time.py --only birnn --board u280    one of them

The networks are those whose plans take longest: two that people ship, and made-up ones of very many
steps or tiles. The weights are seeded: they change no plan.
"""

from __future__ import annotations

import argparse
import time

from networks import int8_workload
from wild import WILD, build

from gatefold.boards import get
from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import Network
from gatefold.gen.network.simplify import simplify
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Budget, choose_array

#: Made-up networks, as those of wild.json; None: it is built elsewhere.
NETWORKS: dict[str, tuple[list[int], list[str]] | None] = {
    "forum-cnn-lstm, int8": None,
    "chord-4x-bilstm": None,
    "birnn": ([1500, 40], ["Bidirectional GRU 100", "Bidirectional GRU 100", "Dense 40"]),
    "wide": ([2500, 32], ["LSTM 256 last", "Dense 10"]),
    "long": ([20000, 8], ["LSTM 64 last", "Dense 4"]),
    "conv": ([5000, 32], ["Conv1D 128 k9", "LSTM 64 last", "Dense 4"]),
    "deep": ([1000, 64], ["Bidirectional LSTM 64"] * 6 + ["Dense 8"]),
}


def _network(name: str) -> Network:
    described = NETWORKS[name]
    if described is not None:
        WILD[name] = dict(zip(("input", "layers"), described, strict=True))
    return int8_workload().network if name.startswith("forum") else build(name)


def main() -> None:
    parser = argparse.ArgumentParser(description="How long planning takes.")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--board", choices=("zcu104", "u280"))
    given = parser.parse_args()
    print("| network | board | array | tiles | full | `--quick` |\n|---|---|---|---:|---:|---:|")
    for name in given.only:
        qnet = quantize(simplify(_network(name)))
        for board in ("zcu104", "u280") if given.board is None else (given.board,):
            limits, seconds, found = Budget.of(get(board)), [], "- | -"
            for quick in (True, False):
                started = time.process_time()
                try:
                    plan = choose_array(qnet, limits.packed() if qnet.packs else limits,
                                        quick=quick)
                    found = f"{plan.array.pe} x {plan.array.simd} | {plan.cycles.tiles:,}"
                except UserError:
                    found = "does not fit | -"
                seconds.append(f"{time.process_time() - started:.1f}")
            print(f"| {name} | {board} | {found} | {seconds[1]} | {seconds[0]} |", flush=True)


if __name__ == "__main__":
    main()
