"""What row scales, remainders and a split input cost: `python tools/synth/few_bits.py`.

It synthesises one small autoencoder without them, with each, and with all three, and writes
``few_bits.json``, from which docs/accuracy.md is made.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Dense, Lstm
from gatefold.gen.network.views import RepeatVector
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, Plan, make_plan
from gatefold.gen.plan.resources import estimate
from gatefold.gen.synth import measure

FEW_BITS = Path(__file__).with_name("few_bits.json")

_BITS = (6,)
_ARRAY = Array(pe=64, simd=16)
#: By name, options of the quantiser.
_WAYS = {"none": {}, "all": {"row_scales": True, "carry": "every", "split": 4},
         "row scales": {"row_scales": True}, "remainders": {"carry": "every"}}


def _network() -> Network:
    """mgab-autoencoder with 64 units and 10 steps, the weights seeded."""
    rng = np.random.default_rng(0)

    def lstm(features: int, units: int, steps: bool) -> Lstm:
        return Lstm(units=units, w_ih=rng.normal(0, 0.2, (4 * units, features)),
                    w_hh=rng.normal(0, 0.2, (4 * units, units)), b=rng.normal(0, 0.2, 4 * units),
                    return_sequences=steps)
    return Network(((10, 1),), (lstm(1, 64, False), RepeatVector(timesteps=10), lstm(64, 64, True),
                             Dense(w=rng.normal(0, 0.2, (1, 64)), b=np.zeros(1))))


def _plan(bits: int, way: str) -> Plan:
    qnet = quantize(_network(), act_width=bits, weight_width=bits, output_width=16, **_WAYS[way])
    return make_plan(qnet, _ARRAY)


def main() -> None:
    """Entry point."""
    cache = Path(tempfile.gettempdir()) / "gatefold-few-bits"
    cache.mkdir(parents=True, exist_ok=True)
    found: dict = {}
    for bits in _BITS:
        for way in _WAYS:
            begun, plan = time.monotonic(), _plan(bits, way)
            total = measure(plan, cache=cache).total
            found.setdefault(str(bits), {})[way] = {
                "lut": round(total.lut), "ff": round(total.ff), "dsp": total.dsp,
                "bram36": total.bram36, "estimated_lut": round(estimate(plan.config).lut),
                "latency": plan.cycles.latency}
            FEW_BITS.write_text(json.dumps(found, indent=1) + "\n")
            print(f"{bits} bits, {way}: {found[str(bits)][way]}, "
                  f"{time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
