"""The networks that people ship: they are built as described, and every tile is accounted for."""

import subprocess
import sys

import pytest

from tests.support.places import ROOT

BENCH = ROOT / "bench"

#: name: layers after simplification, shapes of the outputs
NETWORKS = {
    "chord-4x-bilstm": (24, [(300, 14), (300, 14), (300, 8), (300, 6)]),
    "gait-gru": (4, [(2,)]),
    "peptide-bilstm": (7, [(1,)]),
    "ecg-2x-lstm": (3, [(1,)]),
    "voice-lstm": (3, [(32, 1)]),
    "text-3x-bilstm": (15, [(24, 512)]),
}


@pytest.fixture
def wild(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    before = set(sys.modules)
    yield __import__("wild")
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCH)):
            del sys.modules[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_built_as_described(wild, name):
    layers, shapes = NETWORKS[name]
    network = wild.build(name)
    assert (len(network.layers), list(network.output_shapes)) == (layers, shapes)
    assert not [layer for layer in network.layers if layer.label == "scale"]


def test_a_row_compares_with_the_stored_bound_and_accounts_for_every_tile(wild):
    found = wild.row("peptide-bilstm", "zcu104", pe=32, simd=4)
    assert found.bound == 1453
    assert found.ratio == found.bare.cycles.latency / 1453 < wild.TARGET
    assert (found.bare.array.reach, found.bare.array.gather) == (0, 0)
    assert sum(tiles for _, tiles, _ in wild.lost(found)) == found.bare.cycles.tiles


def test_the_command_prints_a_row_for_each_board():
    done = subprocess.run(
        [sys.executable, BENCH / "wild.py", "--only", "peptide-bilstm", "--array", "32x4", "--ops"],
        capture_output=True, text=True, check=True)
    assert "| peptide-bilstm | zcu104 | 32 x 4 |" in done.stdout
    assert "l0_lstm: 158 tiles, 158 if full" in done.stdout
