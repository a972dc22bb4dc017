"""The finishing lanes against a model in scalar Python, a beat a cycle, latencies exact."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from gatefold.hdl.config import PIPELINES
from gatefold.hdl.dense_lane import DenseLane
from gatefold.hdl.gru_lane import GruLane
from gatefold.hdl.kinds import (
    AsideKind,
    DenseKind,
    GruKind,
    LoadKind,
    LstmKind,
    MergeKind,
    PeepholeKind,
    ResetKind,
)
from gatefold.hdl.lane import Lane, StateLane
from gatefold.hdl.lane_array import (
    LaneArray,
    early_latency,
    lanes_of,
    late_latency,
    state_latency,
)
from gatefold.hdl.lstm_lane import LstmLane
from gatefold.hdl.merge_lane import MergeLane
from tests.support.hdl_harness import DENSE_KIND, LSTM_KIND, draw, record, small
from tests.support.lane_model import KindMaker, LaneModel, table_config, table_images, table_of

WORDS = 12  # of the state memory: no word comes again before a lane has written it


@dataclass(frozen=True)
class Widths:
    act: int
    cell: int
    t: int

    @property
    def acc(self) -> int:
        return 12 + self.act + max(self.t, self.cell)

    def __str__(self) -> str:
        return f"A={self.act} C={self.cell} T={self.t}"


WIDTHS = [Widths(*w) for w in (
    (4, 4, 4), (4, 18, 8), (8, 10, 8), (8, 12, 12), (12, 6, 10), (16, 18, 16), (18, 18, 18))]


pipelines = pytest.mark.parametrize("pipeline", PIPELINES)


class Case:
    """An engine with ``kinds``, made by name: "lstm relu", "gru reset_before hard_sigmoid"..."""

    def __init__(self, widths: Widths, names, seed: int = 0, pipeline: str = "full"):
        self.rng = np.random.default_rng(seed)
        self.widths, self.table = widths, table_of(widths.t)
        kinds = tuple(self._kind(name) for name in names)
        self.config = small(
            act_width=widths.act, cell_width=widths.cell, acc_width=widths.acc, kinds=kinds,
            container=32, table=table_config(self.table), cell_depth=WORDS, simd=2,
            pipeline=pipeline)
        self.images = table_images(self.table)

    def _kind(self, text: str):
        name, *options = text.split()
        w = self.widths
        make = KindMaker(self.rng, self.table, w.act, w.cell, w.acc)
        gate = "hard_sigmoid" if "hard_sigmoid" in options else "sigmoid"
        activation = next((o for o in options if o in ("relu", "linear")), "tanh")
        if name == "lstm":
            return replace(make.lstm(gate, activation, "peepholes" in options),
                           carries="carries" in options)
        if name == "peepholes":
            return PeepholeKind()
        if name == "gru":
            kind = make.gru(gate, activation, "reset_before" not in options)
            return replace(kind, aside="aside" in options)
        if name == "aside":
            return make.aside("" if "a" in options else gate, "r" in options)
        if name == "reset":
            return make.reset(gate)
        if name == "load":
            return make.load(gru=options == ["gru"])
        if name == "emit":
            return make.emit()
        if name == "max":
            return make.largest()
        if name == "mul":
            return make.product((int(options[0]), int(options[1])))
        return make.dense(name, "limited" in options)

    def accumulators(self, kind: list[int], edges: bool = False) -> np.ndarray:
        """(beats, 4): anything; or (``edges``) what just saturates, just does not, ties, zero."""
        width = self.widths.acc
        z = draw(self.rng, width, (len(kind), 4))
        lo, hi = -(1 << (width - 1)), (1 << (width - 1)) - 1
        for n, index in enumerate(kind):
            k = self.config.kinds[index]
            if edges:
                for row in range(len(k.constants)):
                    shift, reach = self._edge(k, row)
                    at = int(self.rng.integers(-1, 2)) << max(0, reach + shift)
                    z[n, row] = np.clip(at + k.constants[row] + int(self.rng.choice(
                        [-1, 0, 1, -k.constants[row], k.constants[row]])), lo, hi)
            if isinstance(k, MergeKind) and k.function == "mul":
                for row, shift in enumerate(k.shifts):
                    z[n, row] = draw(self.rng, self.widths.act, 1)[0] << shift
            if isinstance(k, PeepholeKind):
                z[n] = draw(self.rng, self.config.weight_width, 4)
        return z

    def _edge(self, kind: Any, row: int) -> tuple[int, int]:
        """Right shift of a row, and bits of magnitude behind it."""
        def of(squash) -> tuple[int, int]:
            tanh = getattr(squash, "function", "linear" if getattr(squash, "direct", 0) else "tanh")
            return squash.shift, self.table.frac + 3 if tanh == "tanh" else self.widths.t

        if isinstance(kind, GruKind):
            rows = ("m",) if kind.aside else ("z", "a", "r", "m")
            if rows[row] == "a":
                shift, bits = of(kind.candidate)
                return shift - kind.up_a, bits
            if rows[row] == "m":
                return kind.m, kind.cell_width - 1
        if isinstance(kind, AsideKind):
            return of(kind.gate) if kind.gate else (0, self.widths.acc - 1)
        if isinstance(kind, PeepholeKind):
            return 0, 1
        if isinstance(kind, LstmKind) and kind.peepholes and row != 2:
            return kind.gate.shift - kind.peepholes[0], of(kind.gate)[1]
        if isinstance(kind, LstmKind | GruKind | ResetKind):
            return of(kind.candidate if isinstance(kind, LstmKind) and row == 2 else kind.gate)
        if isinstance(kind, DenseKind) and kind.activation in ("sigmoid", "tanh"):
            return kind.shift, self.table.frac + 3
        return kind.shift, self.widths.act - 1


def check_lane(cls: type[Lane], case: Case, kind: list[int], z, *, fresh=None, cell=None,
               writes=None):
    """Every element and every state of a lane, a beat a cycle; in bubbles (writes 0) anything."""
    config, beats = case.config, len(kind)
    fresh = np.arange(beats) < WORDS if fresh is None else fresh
    cell = np.arange(beats) % WORDS if cell is None else cell
    valid = np.ones(beats, int) if writes is None else writes
    model = LaneModel(case.table)
    want = [model.finish(config.kinds[kind[n]], z[n], cell=cell[n], fresh=fresh[n])
            if valid[n] else (None, None) for n in range(beats)]
    inputs: dict[str, Any] = {"kind": kind}
    inputs |= {"z": z[:, 0]} if cls is DenseLane else {f"z[{n}]": z[:, n] for n in range(4)}
    watch = ["y"]
    if issubclass(cls, StateLane):
        inputs |= {"cell_addr": cell, "fresh": fresh, "writes": [
            v and cls.updates(config.kinds[k]) for v, k in zip(valid, kind, strict=True)]}
        watch.append("c")
    latency = cls.latency(config)
    dut: Any = cls
    seen = record(dut(config, case.images), inputs, watch, cycles=beats + latency)
    for name, column in (("y", 0), ("c", 1)):
        if name in watch:
            got = seen[name][latency:latency + beats]
            for n, pair in enumerate(want):
                if pair[column] is not None:
                    assert got[n] == pair[column], f"{name} of beat {n}, {config.kinds[kind[n]]}"


# The kinds of an engine, among them those of the lane; kinds of equal names have other formats
STATEFUL = {
    LstmLane: [
        ("lstm", "lstm"), ("lstm relu", "lstm"), ("lstm linear hard_sigmoid",),
        ("lstm hard_sigmoid", "lstm linear", "lstm relu hard_sigmoid", "lstm"),
        ("lstm", "load", "emit", "lstm", "emit", "load"), ("lstm carries",),
        ("lstm carries", "load", "lstm", "emit", "lstm carries relu"),
        ("peepholes", "lstm peepholes"), ("lstm peepholes hard_sigmoid relu", "peepholes"),
        ("peepholes", "lstm peepholes", "lstm relu", "load", "emit", "lstm peepholes carries")],
    GruLane: [
        ("gru", "gru"), ("gru hard_sigmoid", "gru relu"), ("gru linear hard_sigmoid",),
        ("gru reset_before", "reset"), ("gru reset_before hard_sigmoid relu", "reset hard_sigmoid"),
        ("gru", "reset", "load gru", "gru reset_before", "gru linear", "reset hard_sigmoid"),
        ("aside a", "aside z", "aside r", "gru aside"),
        ("aside a", "gru", "aside z", "aside r", "gru aside relu", "reset", "gru reset_before",
         "load gru", "aside z hard_sigmoid", "aside r hard_sigmoid", "gru aside hard_sigmoid")],
}
CASES = [(cls, names) for cls, cases in STATEFUL.items() for names in cases]
CASES += [(MergeLane, names) for names in (
    ("max",), ("max", "max"), ("mul 0 0",), ("mul 3 0", "mul 0 5"), ("max", "mul 2 2"))]
CASES += [(DenseLane, names) for names in (
    ("linear",), ("relu",), ("linear", "relu", "linear"), ("sigmoid",), ("tanh",),
    ("sigmoid", "tanh"), ("relu", "tanh", "linear", "sigmoid"), ("tanh", "relu", "tanh"),
    ("linear limited", "relu limited", "linear"),
    ("linear limited", "tanh", "linear limited", "relu limited"))]


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize(("cls", "names"), CASES, ids=str)
@pytest.mark.parametrize("edges", [False, True], ids=["anything", "edges"])
@pipelines
def test_lane(cls, names, widths, edges, pipeline):
    case = Case(widths, names, seed=len(names) + edges, pipeline=pipeline)
    beats = 16 * WORDS
    kind = case.rng.integers(0, len(names), beats).tolist()
    fresh = (np.arange(beats) < WORDS) | (case.rng.random(beats) < 1 / 8)
    check_lane(cls, case, kind, case.accumulators(kind, edges), fresh=fresh)


@pytest.mark.parametrize(("cls", "name"), [(LstmLane, "lstm"), (LstmLane, "lstm carries"),
                                           (GruLane, "gru")])
@pipelines
def test_a_lane_keeps_a_state_that_it_does_not_write(cls, name, pipeline):
    case = Case(WIDTHS[2], (name,), pipeline=pipeline)
    kind = [0] * 3 * WORDS
    check_lane(cls, case, kind, case.accumulators(kind), writes=np.repeat([1, 0, 1], WORDS))


@pytest.mark.parametrize(("cls", "name", "pipeline", "distance"), [
    (LstmLane, "lstm carries", "full", 6), (GruLane, "gru", "full", 11),
    (LstmLane, "lstm carries", "short", 4), (GruLane, "gru", "short", 8)])
def test_a_state_can_be_read_so_many_cycles_after_it_was_asked_to_be_written(cls, name, pipeline,
                                                                             distance):
    case = Case(WIDTHS[2], (name,), pipeline=pipeline)
    assert cls.state_latency(case.config) == distance
    beats = 12 * distance
    kind = [0] * beats
    check_lane(cls, case, kind, case.accumulators(kind), cell=np.zeros(beats, int),
               fresh=np.arange(beats) == 0, writes=np.arange(beats) % distance == 0)


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh"])
def test_dense_lane_takes_every_accumulator(activation):
    # Exhaustive where the accumulator is narrow enough: every tie, every saturation.
    case = Case(Widths(4, 4, 4), (activation,))
    case.config = replace(case.config, acc_width=13)
    z = np.repeat(np.arange(-(1 << 12), 1 << 12)[:, None], 4, axis=1)
    shifted = replace(case.config.kinds[0], shift=5 if activation in ("linear", "relu") else 1)
    case.config = replace(case.config, kinds=(shifted,))
    check_lane(DenseLane, case, [0] * len(z), z)


def test_lstm_lane_wants_its_rounding_where_a_cell_is_one():
    kind = replace(LSTM_KIND, cell=LSTM_KIND.cell + 1)
    with pytest.raises(ValueError, match=r"LstmLane cell must be T \+ 1 \+ up_f \(9\), not 10"):
        LstmLane(small(kinds=(kind,)))


# ---- latencies ----------------------------------------------------------------------------------


# kinds, their lanes, whether Dense results leave early; of a full and of a short pipeline:
# latencies late and early, of the state
LATENCIES = [
    (("lstm",), [LstmLane], False, (11, 11, 6), (6, 6, 4)),
    (("lstm", "linear"), [LstmLane, DenseLane], True, (11, 1, 6), (6, 1, 4)),
    (("lstm", "linear", "tanh"), [LstmLane, DenseLane], True, (11, 4, 6), (6, 3, 4)),
    (("lstm peepholes", "peepholes", "lstm"), [LstmLane], False, (18, 18, 11), (11, 11, 7)),
    (("gru",), [GruLane], False, (12, 12, 11), (8, 8, 8)),
    (("gru reset_before", "reset", "load gru"), [GruLane], False, (12, 12, 11), (8, 8, 8)),
    (("gru", "lstm", "emit", "load", "relu"), [LstmLane, GruLane, DenseLane], True,
     (12, 1, 11), (8, 1, 8)),
    (("max", "linear"), [MergeLane, DenseLane], False, (3, 3, 0), (2, 2, 0)),
    (("mul 0 0", "sigmoid"), [MergeLane, DenseLane], False, (4, 4, 0), (3, 3, 0)),
    (("linear",), [DenseLane], True, (1, 1, 0), (1, 1, 0)),
]


@pytest.mark.parametrize(("names", "classes", "early", "full", "short"), LATENCIES, ids=str)
def test_latencies(names, classes, early, full, short):
    for pipeline, latencies in zip(PIPELINES, (full, short), strict=True):
        config = replace(Case(WIDTHS[2], names, pipeline=pipeline).config, out_early=early)
        assert lanes_of(config) == tuple(classes)
        assert (late_latency(config), early_latency(config), state_latency(config)) == latencies


@pytest.mark.parametrize("names", [names for _, names in CASES], ids=str)
@pipelines
def test_stages_add_up_to_the_latency(names, pipeline):
    config = Case(WIDTHS[2], names, pipeline=pipeline).config
    for cls in lanes_of(config):
        stages = cls.stages(config)
        assert all(name and cycles > 0 for name, cycles in stages)
        assert sum(cycles for _, cycles in stages) == cls.latency(config)
        assert list(cls.ends(config).values())[-1] == cls.latency(config)


# ---- all lanes together --------------------------------------------------------------------------


ALL = ("lstm", "gru", "gru reset_before", "reset", "load", "load gru", "emit", "max", "mul 1 2",
       "aside a", "aside z", "aside r", "gru aside", "linear", "tanh", "lstm relu hard_sigmoid",
       "relu")
MIXES = [(names, early) for names in (ALL, ("lstm", "linear"), ("linear", "sigmoid", "mul 0 0"))
         for early in (False, True)] + [(("gru", "max", "load gru"), False)]


@pytest.mark.parametrize(("names", "early"), MIXES, ids=str)
@pipelines
def test_all_kinds_mixed_beat_by_beat(names, early, pipeline):
    case = Case(Widths(8, 10, 12), names, seed=3, pipeline=pipeline)
    config = case.config = replace(case.config, out_early=early)
    rng, lanes, beats = case.rng, config.simd, 400
    dense = [isinstance(kind, DenseKind) for kind in config.kinds]
    kind = rng.integers(0, len(names), beats).tolist()
    valid = rng.random(beats) < 0.9
    z = [case.accumulators(kind) for _ in range(lanes)]
    late, soon = late_latency(config), early_latency(config)
    beat: list[dict] = []
    for n in range(beats):
        to_out = int(rng.integers(2)) if not early or dense[kind[n]] else 0
        beat.append({
            "kind": kind[n],
            "lanes": int(rng.integers(1 << lanes)), "cell": n % WORDS,
            "fresh": int(n < WORDS or rng.random() < 1 / 8), "to_h": int(rng.integers(2)),
            "h": int(rng.integers(8)), "to_out": to_out, "out": int(rng.integers(4)),
            "complete": int(rng.integers(2)), "frame": int(rng.integers(2))})

    inputs: dict[str, Any] = {"routed.valid": [*valid, 0], "routed.beat": beat}
    inputs |= {f"routed.z[{lane}][{row}]": z[lane][:, row]
               for lane in range(lanes) for row in range(4)}
    watch = ["result.lanes", "result.chunk", "output.lanes", "output.chunk", "output.frame",
             "output.complete", "trace.valid", "trace.lanes", "trace.summed"]
    watch += [f"trace.sums[{lane}][{row}]" for lane in range(lanes) for row in range(4)]
    watch += [f"{port}[{lane}]" for port in ("result.data", "output.data", "trace.h", "trace.c")
              for lane in range(lanes)]
    seen = record(LaneArray(config, case.images), inputs, watch, cycles=beats + late)

    models = [LaneModel(case.table) for _ in range(lanes)]
    for n, b in enumerate(beat):
        at_late = {name: column[n + late] for name, column in seen.items()}
        before = {name: column[n + late - 1] for name, column in seen.items()}
        at_out = {name: column[n + soon] for name, column in seen.items()}
        held = [lane for lane in range(lanes) if b["lanes"] >> lane & 1] if valid[n] else []
        k = config.kinds[kind[n]]
        yields = valid[n] and not isinstance(k, LoadKind | AsideKind)
        assert at_late["trace.valid"] == seen["trace.summed"][n] == yields
        for lane in range(lanes):
            assert [seen[f"trace.sums[{lane}][{row}]"][n] for row in range(4)] == [*z[lane][n]]
        assert before["result.lanes"] == (b["lanes"] if valid[n] and b["to_h"] else 0)
        assert at_out["output.lanes"] == (b["lanes"] if valid[n] and b["to_out"] else 0)
        assert at_out["output.complete"] == (valid[n] and b["to_out"] and b["complete"])
        if valid[n]:
            assert at_late["trace.lanes"] == b["lanes"]
            assert (before["result.chunk"], at_out["output.chunk"], at_out["output.frame"]) == (
                b["h"], b["out"], b["frame"])
        for lane in held:
            want, state = models[lane].finish(k, z[lane][n], cell=b["cell"], fresh=b["fresh"])
            if not yields:
                continue
            assert at_late[f"trace.h[{lane}]"] == at_late[f"result.data[{lane}]"] == want, (n, k)
            if b["to_out"]:
                assert at_out[f"output.data[{lane}]"] == want
            if state is not None:
                assert at_late[f"trace.c[{lane}]"] == state


def test_a_core_has_only_the_lanes_of_its_kinds():
    assert lanes_of(small(kinds=(DENSE_KIND,))) == (DenseLane,)
    assert lanes_of(small(kinds=(LSTM_KIND,))) == (LstmLane,)
