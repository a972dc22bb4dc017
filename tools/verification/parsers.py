"""The parsers' campaign with figures: `make parsers` mutates each file of its corpus."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from figures import ROOT, record

sys.path.insert(0, str(ROOT))

from tests.frontends.test_campaign import CORPUS, campaign

ROUNDS = 15  #: in which each mutation is applied to each file


def main() -> int:
    """Mutate, load, compare, record."""
    for name in CORPUS:
        with tempfile.TemporaryDirectory() as folder:
            seen = campaign(name, Path(folder), ROUNDS, seed=3)
        print(f"{name}: {dict(seen)}", flush=True)
        record("parsers", {name: dict(seen)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
