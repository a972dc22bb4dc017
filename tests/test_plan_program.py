"""Plans executed: programs and memory images give golden's bits and keep every distance."""

import numpy as np
import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.initialise import initialise
from gatefold.gen.plan import make_plan
from gatefold.gen.plan.program import assemble, unroll
from gatefold.gen.quantize import quantize
from gatefold.hdl.isa import Stop
from gatefold.sim.golden import golden

from .networks import NETWORKS, inputs, quantized
from .tile_machine import TileMachine

ARRAYS = [(4, 1), (8, 3), (16, 2), (12, 5), (20, 4), (64, 16)]


def check(qnet, pe, simd, *, frames=3):
    """Frames back to back, at the plan's own pace and with stalls before a tile in four."""
    plan = make_plan(qnet, pe=pe, simd=simd, stream_bits=96)
    x, trace = inputs(qnet, frames), {}
    want = golden(qnet, x, trace=trace).reshape(frames, -1)
    rng = np.random.default_rng(pe * simd)
    for stall in (lambda: 0, lambda: int(rng.integers(0, 40)) if rng.random() < 0.25 else 0):
        machine = TileMachine(plan)
        for frame in range(frames):
            got, states = machine.run(x[frame].reshape(-1), stall)
            np.testing.assert_array_equal(got, want[frame])
            check_states(plan, states, trace, frame)


def check_states(plan, states, trace, frame):
    """`plan.trace` says of what each event is; every c and h is there once."""
    assert len(states) == len(plan.trace)
    seen = {}
    for (n, step, chunk), (lanes, c, h) in zip(plan.trace, states, strict=True):
        layer = plan.qnet.layers[n]
        for lane, c_value, h_value in zip(lanes, c, h, strict=True):
            unit = chunk * plan.config.simd + lane
            if unit < layer.units:
                assert (n, step, unit) not in seen
                seen[n, step, unit] = (c_value, h_value)
    want = {(n, step, unit): (trace[layer.name]["c"][frame, step, unit],
                              trace[layer.name]["h"][frame, step, unit])
            for n, layer in enumerate(plan.qnet.layers) if hasattr(layer, "units")
            for step in range(trace[layer.name]["c"].shape[1]) for unit in range(layer.units)}
    assert seen == want


@pytest.mark.parametrize(("pe", "simd"), ARRAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_on_every_array(name, pe, simd):
    check(quantized(name, (16, 16, 18)), pe, simd)


# units, features, timesteps, layers, dense, pe, simd
LARGER = [(32, 4, 8, 1, 1, 32, 8), (24, 7, 6, 3, 5, 48, 8), (20, 40, 5, 2, 40, 16, 5),
          (9, 2, 20, 2, None, 12, 4), (64, 1, 3, 1, 3, 64, 16)]


@pytest.mark.parametrize(("units", "features", "timesteps", "layers", "dense", "pe", "simd"),
                         LARGER)
def test_larger_networks(units, features, timesteps, layers, dense, pe, simd):
    network = initialise(units=units, features=features, timesteps=timesteps, layers=layers,
                         dense=dense)
    check(quantize(network), pe, simd, frames=2)


@pytest.mark.parametrize("seed", range(25))
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    dense = int(rng.integers(0, 12))
    network = initialise(units=int(rng.integers(1, 20)), features=int(rng.integers(1, 14)),
                         timesteps=int(rng.integers(1, 9)), layers=int(rng.integers(1, 4)),
                         dense=dense or None, seed=seed)
    widths = [int(n) for n in rng.integers(4, 19, 3)]
    check(quantize(network, act_width=widths[0], weight_width=widths[1], cell_width=widths[2]),
          4 * int(rng.integers(1, 9)), int(rng.integers(1, 9)), frames=2)


# ---- the program against the tiles ---------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_unrolled_program_is_the_list_of_tiles(name):
    plan = make_plan(quantized(name), pe=8, simd=3)
    flat = unroll(assemble(plan.tiles, plan.work))
    assert flat == unroll(plan.program) and len(flat) == len(plan.tiles) == plan.cycles.tiles
    for tile, instruction in zip(plan.tiles, flat, strict=True):
        job, chunk = tile.job, tile.operand.chunk
        want = {"weight": tile.operand.weight, "from_x": chunk.from_x, "operand": chunk.address,
                "align": tile.operand.align, "start": tile.start, "init": tile.init,
                "stop": tile.stop, "park": tile.park, "gap": tile.gap,
                "last": tile is plan.tiles[-1]}
        if tile.stop & Stop.FINISH:
            want |= {"kind": plan.work.kind_of[job.layer], "route": job.route,
                     "beats": job.beats - 1, "fresh": job.fresh, "cell": job.cell,
                     "to_h": job.h is not None, "h": job.h or 0, "to_out": job.out is not None,
                     "out": job.out or 0, "complete": job.complete}
        assert {field: instruction[field] for field in want} == want


def test_loops_make_a_long_network_short():
    def words(timesteps):
        network = initialise(units=8, features=3, timesteps=timesteps, dense=1)
        plan = make_plan(quantize(network), pe=8, simd=4)
        return len(plan.program.instructions), len(plan.tiles)

    (short, tiles), (long, more_tiles) = words(60), words(120)
    assert short == long and more_tiles > 1.9 * tiles > 15 * short / 2


def test_the_same_network_gives_the_same_plan():
    first, second = (make_plan(quantized("autoencoder"), pe=8, simd=3) for _ in range(2))
    assert first.program == second.program and first.images() == second.images()
    assert first.cycles == second.cycles


# ---- what a plan refuses -------------------------------------------------------------------------

# pe, simd, stream bits, message
REFUSED = [
    (0, 1, 128, "pe must be a multiple of 4"), (6, 1, 128, "pe must be a multiple of 4"),
    (-4, 1, 128, "pe must be a multiple of 4"), (4, 0, 128, "simd must be a positive number"),
    (4, 1, 12, "the stream must be a multiple of 8 bits wide"),
    (4, 1, 0, "the stream must be a multiple of 8 bits wide"),
]


@pytest.mark.parametrize(("pe", "simd", "stream_bits", "message"), REFUSED)
def test_refused_arrays(pe, simd, stream_bits, message):
    with pytest.raises(UserError, match=message):
        make_plan(quantized("lstm-dense"), pe=pe, simd=simd, stream_bits=stream_bits)


@pytest.mark.parametrize(("width", "bits"), [(4, 8), (8, 8), (9, 16), (16, 16), (17, 32), (18, 32)])
def test_an_element_takes_a_container_of_bytes(width, bits):
    plan = make_plan(quantized("lstm-dense", (width, 8, 10)), pe=4, simd=2, stream_bits=64)
    assert (plan.config.container, plan.config.beat) == (bits, 64 // bits)
