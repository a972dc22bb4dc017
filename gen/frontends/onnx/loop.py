"""ONNX Loops: the recurrent layers that Keras exports written out.

Keras 3 on TensorFlow (through tf2onnx) exports a GRU, a SimpleRNN and an LSTM with other
activations than the usual as a Loop over the timesteps, of some forty operators that differ from
version to version. They are not taken to pieces. The Loop is *run* as it stands, in floating point,
on random numbers in the place of what the network computes; then each layer that its constants
could be the weights of is run on the same numbers. The one whose outputs agree, for small numbers
and for large, is what the Loop computes. If none does, the Loop is refused.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator

import numpy as np
import onnx

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Builder
from gatefold.gen.frontends.elements.trace import BatchAxisError, Net
from gatefold.gen.frontends.onnx.proto import NodeError, read_tensor
from gatefold.gen.network.forward import forward
from gatefold.gen.network.layers import ACTIVATIONS, CELL_ACTIVATIONS, scaled_for_hard_sigmoid

__all__ = ["loop"]

#: Most operators that one run of a Loop may take, all turns together.
_MAX_OPERATORS = 100_000
#: What the random numbers are scaled by, one run each: within the activations' range and far out.
_SCALES = (0.5, 4.0)
_UNKNOWN = ("it is no Loop of a GRU, SimpleRNN or LSTM as Keras exports them: save the Keras model "
            "as .keras, which is read as well; PyTorch: use nn.LSTM, nn.GRU or nn.RNN")
#: Keras' gate blocks in our order, and its hard sigmoid.
_BLOCKS = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "rnn": (0,)}
_SLOPE = 1 / 6


def loop(run, attributes, inputs: list, values: ChainMap, origin: str) -> list:
    """The outputs of a Loop; ``run`` executes graphs, ``values`` are what its body sees."""
    body = attributes.take("body")
    if not isinstance(body, onnx.GraphProto):
        raise NodeError("its body is missing: export the model again")
    carried = inputs[2:]
    if (len(body.input) != len(inputs) or len(body.output) <= len(carried)
            or any(isinstance(value, Net) for value in inputs[:2])):
        raise NodeError(_UNKNOWN)
    inner = {t.name: read_tensor(t) for t in body.initializer}
    made = {name for node in body.node for name in node.output} | {v.name for v in body.input}
    outside = {name: values.get(name) for node in body.node for name in node.input
               if name and name not in made and name not in inner}
    nets = {name: value for name, value in outside.items() if isinstance(value, Net)}
    if len(nets) != 1:
        raise NodeError(_UNKNOWN)
    (name, sequence), = nets.items()
    ids = sequence.ids
    if ids.ndim != 3:
        raise NodeError(_UNKNOWN)
    try:
        ids = run.trace.batch_at(ids, 1)  # (batch, timesteps, features)
    except BatchAxisError:
        raise NodeError(_UNKNOWN) from None

    def numbers(seed: int, scale: float) -> tuple[dict, list]:
        random = np.random.default_rng(seed)
        drawn = {name: random.normal(0, scale, sequence.ids.shape)}
        return drawn, [random.normal(0, scale, value.ids.shape) if isinstance(value, Net)
                       else value for value in carried]
    tests = []
    for seed, scale in enumerate(_SCALES):
        drawn, states = numbers(seed, scale)
        with np.errstate(all="ignore"):
            found = _run(run, body, ChainMap({**inner, **drawn}, values), inputs[:2], states)
        tests.append((np.moveaxis(drawn[name], 1, 0), states, found))
    constants = [value for value in (*carried, *outside.values(), *inner.values())
                 if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    for kind, picked, fields in _candidates(len(ids), ids.shape[2], carried, constants):
        meanings = _meanings(kind, picked, fields, tests)
        if meanings:
            return _outputs(run.trace, kind, picked, fields, meanings, ids, carried, tests, origin)
    raise NodeError(_UNKNOWN)


def _run(run, body: onnx.GraphProto, values: ChainMap, control: list, states: list) -> list:
    """What the Loop gives for these numbers: the carried values at the end, then the scans."""
    limit, going = (None if value is None else value.reshape(()).item() for value in control)
    scans: list[list[np.ndarray]] = [[] for _ in body.output[1 + len(states):]]
    going, turn = going is None or bool(going), 0
    while going and (limit is None or turn < limit):
        if turn * len(body.node) > _MAX_OPERATORS:
            raise NodeError(f"it takes more than {_MAX_OPERATORS} operators: {_UNKNOWN}")
        given = dict(zip((value.name for value in body.input),
                         (np.array(turn, np.int64), np.array(going), *states), strict=True))
        inner = values.new_child(given)
        run.nodes(body, inner)
        results = [run.lookup(inner, value.name) for value in body.output]
        if not all(isinstance(value, np.ndarray) for value in results):
            raise NodeError(_UNKNOWN)
        going = bool(results[0].reshape(()))
        states = results[1:1 + len(states)]
        for scan, value in zip(scans, results[1 + len(states):], strict=True):
            scan.append(value)
        turn += 1
    return [*states, *(np.stack(scan) if scan else np.zeros(0) for scan in scans)]


def _candidates(batch: int, features: int, carried: list,
                constants: list[np.ndarray]) -> Iterator:
    """Layers that the constants could be the weights of: the kind, which carried values are its
    states, and its fields."""
    for r in constants:
        if r.ndim != 2 or r.shape[1] not in (r.shape[0], 3 * r.shape[0], 4 * r.shape[0]):
            continue
        units, width = r.shape
        states = [index for index, value in enumerate(carried)
                  if np.shape(getattr(value, "ids", value)) == (batch, units)]
        kind = {1: "rnn", 3: "gru", 4: "lstm"}[width // units]
        count = 2 if kind == "lstm" else 1
        for w in constants:
            if w.shape != (features, width) or w is r:
                continue
            biases = [b for b in constants if b.shape in ((width,), (2, width))]
            for b in [*biases, np.zeros(width)]:
                for picked in ([a, b] for a in states for b in states if a != b) if (
                        count == 2) else ([a] for a in states):
                    for fields in _cells(kind, w, r, b):
                        yield kind, picked, fields


def _cells(kind: str, w: np.ndarray, r: np.ndarray, b: np.ndarray) -> Iterator[dict]:
    """A Keras layer's weights, with each of the activations that it could have."""
    units, blocks = len(r), list(_BLOCKS[kind])

    def ours(value: np.ndarray) -> np.ndarray:
        """(..., blocks units) with the blocks in our order, outputs first."""
        parts = value.astype(np.float64).reshape(*value.shape[:-1], len(blocks), units)
        return np.moveaxis(parts[..., blocks, :].reshape(value.shape), -1, 0)
    two = b.ndim == 2
    of_x, of_h = (b[0], b[1]) if two else (b, np.zeros(b.shape))
    for gate in ("sigmoid", "hard_sigmoid") if kind != "rnn" else ("",):
        for activation in ACTIVATIONS if kind == "rnn" else CELL_ACTIVATIONS:
            for after in (True, False) if kind == "gru" else (False,):
                fields = {"w_ih": ours(w), "w_hh": ours(r), "b": ours(of_x) + ours(of_h),
                          "activation": activation}
                hard = np.zeros(len(fields["b"]), bool)
                if gate:
                    fields["recurrent_activation"] = gate
                    hard[:] = gate == "hard_sigmoid"
                    hard[2 * units:3 * units] = False
                else:
                    hard[:] = activation == "hard_sigmoid"
                if kind == "gru":
                    fields["reset_after"] = after
                    if after:
                        fields["b"][2 * units:] = ours(of_x)[2 * units:]
                        fields["b_n"] = ours(of_h)[2 * units:]
                fields["w_ih"][hard], fields["b"][hard] = scaled_for_hard_sigmoid(
                    fields["w_ih"][hard], fields["b"][hard], _SLOPE)
                fields["w_hh"][hard] *= 4 * _SLOPE
                yield fields


def _meanings(kind: str, picked: list[int], fields: dict, tests: list) -> dict[int, str]:
    """Which outputs of the Loop are the layer's ``sequence``, ``h`` and ``c``; none if it is
    another layer."""
    meanings: dict[int, str] | None = None
    units = fields["w_hh"].shape[1]
    for x, states, found in tests:
        builder = Builder(x.shape[1:], *[(units,)] * len(picked))
        value = getattr(builder, kind)(0, *range(1, 1 + len(picked)), return_sequences=True,
                                       **fields)
        outputs = [value]
        if kind == "lstm":
            outputs.append(builder.cell_state(value))
        given = [np.broadcast_to(states[index], (len(x), units)) for index in picked]
        frames = np.concatenate([part.reshape(len(x), -1) for part in (x, *given)], axis=1)
        result = forward(builder.network({}, outputs), frames)
        sequence = result[:, :x.shape[1] * units].reshape(len(x), -1, units)
        wanted = {"sequence": sequence.swapaxes(0, 1), "h": sequence[:, -1],
                  "c": result[:, sequence[0].size:]}
        agree = {index: name for index, value in enumerate(found) for name, one in wanted.items()
                 if value.shape == one.shape and np.allclose(value, one, rtol=1e-5, atol=1e-6)}
        meanings = agree if meanings is None else {
            index: name for index, name in meanings.items() if agree.get(index) == name}
    meanings = meanings or {}
    return meanings if {"sequence", "h"} & set(meanings.values()) else {}


def _outputs(trace, kind: str, picked: list[int], fields: dict, meanings: dict[int, str],
             ids: np.ndarray, carried: list, tests: list, origin: str) -> list:
    """The Loop's outputs, once it is known what it computes."""
    builder: Builder = trace.builder
    initial, fields = [carried[index] for index in picked], dict(fields)
    given = []
    if any(isinstance(state, Net) for state in initial):
        if not all(isinstance(state, Net) for state in initial):
            raise NodeError("one of its initial states is constant, the other is not: give both "
                            "as inputs or none")
        given = [trace.read(trace.batch_at(state.ids, 0), origin) for state in initial]
    else:
        for name, state in zip(("h0", "c0"), initial, strict=False):
            if (state != state[:1]).any():
                raise UserError("the initial state must be the same for every sample")
            if state.any():
                fields[name] = state[0]
    value = getattr(builder, kind)(trace.read(ids, origin), *given, return_sequences=True,
                                   origin=origin, **fields)
    made = {"sequence": lambda: trace.layer(value).swapaxes(0, 1),
            "h": lambda: trace.layer(builder.last_step(value, origin=origin)),
            "c": lambda: trace.layer(builder.cell_state(value, origin=origin))}
    nets = {name: Net(make()) for name, make in made.items() if name in meanings.values()}
    # What is no state of the layer must be the same whatever the numbers: a counter, the weights.
    return [nets[meanings[index]] if index in meanings else first
            for index, first in enumerate(tests[0][2])]
