"""The accuracy table: how well the shipped autoencoder finds anomalies, by arithmetic.

    python bench/accuracy/evaluate.py               all windows (half a minute)
    python bench/accuracy/evaluate.py --windows 200

A row is a callable x -> y, made of the network: add one to :data:`ARITHMETICS` and it is scored as
the others are, with a threshold from its own scores of the training windows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from detection import QUANTILE, Detection, HeldOut, Reconstruction, evaluate, read

from gatefold.gen.forward import forward
from gatefold.gen.frontends import load
from gatefold.gen.network import Network

MODEL = Path(__file__).resolve().parents[2] / "models" / "mgab-autoencoder"
_CHUNK = 100  # windows at a time, for memory


def in_floats(dtype: type) -> Callable[[Network], Reconstruction]:
    """The float pass in ``dtype``."""
    def make(network: Network) -> Reconstruction:
        def reconstruct(x: np.ndarray) -> np.ndarray:
            return np.concatenate([forward(network, x[start:start + _CHUNK], dtype=dtype)
                                   for start in range(0, len(x), _CHUNK)])
        return reconstruct
    return make


#: Name of a row, and what makes its callable of the network.
ARITHMETICS: dict[str, Callable[[Network], Reconstruction]] = {
    "float64": in_floats(np.float64),
    "float32": in_floats(np.float32),
}


def shipped() -> tuple[Network, HeldOut]:
    """The network and its held-out windows."""
    return load(MODEL / "mgab-autoencoder.safetensors"), read(MODEL / "held-out.npz")


def row(name: str, found: Detection) -> str:
    """A line of the table, in Markdown."""
    return (f"| {name} | {found.accuracy:.2%} | {found.auc:.4f} | {found.found:.2%} | "
            f"{found.false_alarms:.2%} | {found.rmse:.4f} |")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Detection accuracy of mgab-autoencoder.")
    parser.add_argument("--windows", type=int, help="only so many windows of each kind")
    args = parser.parse_args()
    if args.windows is not None and args.windows < 10:
        parser.error(f"--windows must be at least 10, not {args.windows}")
    network, data = shipped()
    data = data if args.windows is None else data.part(args.windows)
    print(f"{len(data.x)} windows, half of them anomalous; threshold: the {QUANTILE:.0%} quantile "
          f"of {len(data.train)} training windows\n")
    print("| arithmetic | accuracy | AUC | found | false alarms | RMSE |")
    print("|---|---|---|---|---|---|")
    for name, make in ARITHMETICS.items():
        print(row(name, evaluate(make(network), data)), flush=True)


if __name__ == "__main__":
    main()
