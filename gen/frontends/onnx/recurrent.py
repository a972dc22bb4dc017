"""ONNX's recurrent operators: LSTM, GRU and RNN, in one or two directions.

All three have the same inputs (X, W, R, B, sequence_lens, initial_h; an LSTM also initial_c and P)
and outputs (Y, Y_h; an LSTM also Y_c), each with an axis for the direction. A direction is a
layer that runs forwards, between two reversals if it is the backward one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gatefold.gen.errors import quoted
from gatefold.gen.frontends.elements.trace import Net, Trace
from gatefold.gen.frontends.onnx.proto import NodeError
from gatefold.gen.frontends.onnx.site import Site, Value
from gatefold.gen.network.layers import scaled_for_hard_sigmoid
from gatefold.gen.network.recurrent import CLIP_BITS

__all__ = ["RECURRENT", "settle_states"]


@dataclass(frozen=True)
class _Cell:
    """The differences between the three operators.

    Attributes: ``blocks``, ONNX' gate block of each of ours; ``activations``, ONNX' defaults;
    ``inputs``, how many are looked at; ``legal``, the functions that each activation may be.
    """

    kind: str
    blocks: tuple[int, ...]
    activations: tuple[str, ...]
    inputs: int
    legal: tuple[tuple[str, ...], ...]


_GATE, _CELL = ("Sigmoid", "HardSigmoid"), ("Tanh", "Relu")
_CELLS = {
    # ONNX: i, o, f, c; here: i, f, g, o
    "LSTM": _Cell("lstm", (0, 2, 3, 1), ("Sigmoid", "Tanh", "Tanh"), 8, (_GATE, _CELL, _CELL)),
    # ONNX: z, r, h; here: r, z, n
    "GRU": _Cell("gru", (1, 0, 2), ("Sigmoid", "Tanh"), 6, (_GATE, _CELL)),
    "RNN": _Cell("rnn", (0,), ("Tanh",), 6, (_CELL + _GATE,)),
}
_WORDS = {"Sigmoid": "sigmoid", "HardSigmoid": "hard_sigmoid", "Tanh": "tanh", "Relu": "relu"}
#: Of the functions that take parameters: alpha and beta unless given.
_PARAMETERS = {"HardSigmoid": (0.2, 0.5)}


@dataclass(frozen=True)
class _Activation:
    word: str
    alpha: float = 0.0
    beta: float = 0.0


def _activations(site: Site, cell: _Cell, directions: int) -> list[list[_Activation]]:
    """The functions of each direction; alphas and betas go to those that take them, in order."""
    count = len(cell.activations)
    given = site.attributes.take("activations") or cell.activations * directions
    alphas = list(site.attributes.take("activation_alpha") or ())
    betas = list(site.attributes.take("activation_beta") or ())
    shown = ", ".join(ascii(str(name))[1:-1][:20] for name in given[:6])
    if len(given) != count * directions:
        raise NodeError(f"activations must be {count} a direction, not {shown}: name all of them, "
                        "or none")
    found = []
    for index, name in enumerate(given):
        legal = cell.legal[index % count]
        known = {word.lower(): word for word in legal}.get(str(name).lower())
        if known is None:
            raise NodeError(f"activations must be of {', '.join(legal)} in place {index + 1}, not "
                            f"{shown}: train with one of these")
        alpha, beta = _PARAMETERS.get(known, (0.0, 0.0))
        if known in _PARAMETERS:
            alpha, beta = alphas.pop(0) if alphas else alpha, betas.pop(0) if betas else beta
        found.append(_Activation(_WORDS[known], alpha, beta))
    if alphas or betas:
        raise NodeError("activation_alpha and activation_beta hold more parameters than the "
                        f"activations {shown} take: export the model again")
    return [found[n:n + count] for n in range(0, len(found), count)]


def _recurrent(cell: _Cell):
    def read(site: Site) -> list[Value]:
        return _read(site, cell)
    return read


def _read(site: Site, cell: _Cell) -> list[Value]:
    attributes, trace = site.attributes, site.trace
    direction = str(attributes.take("direction", "forward")).lower()
    if direction not in ("forward", "reverse", "bidirectional"):
        raise NodeError("direction must be forward, reverse or bidirectional, not "
                        f"{ascii(direction)[:30]}")
    directions = 2 if direction == "bidirectional" else 1
    clip = _clip(site, cell)
    coupled = cell.kind == "lstm" and bool(attributes.int("input_forget", 0))
    layout = attributes.int("layout", 0)
    if layout not in (0, 1):
        raise NodeError(f"layout must be 0 or 1, not {layout}")
    activations = _activations(site, cell, directions)
    weights = _weights(site, cell, directions)
    ids = site.net(0)
    if ids.ndim != 3:
        raise NodeError(f"X must have 3 axes, not {ids.ndim}: export the model again")
    ids = trace.batch_at(ids, 0 if layout else 1)  # (batch, timesteps, features)
    steps, features = ids.shape[1:]
    if features != weights[0]["w_ih"].shape[1]:
        raise NodeError(f"W takes {weights[0]['w_ih'].shape[1]} features, but the input has "
                        f"{features}: the file's weights contradict its graph")
    _same_lengths(site, steps)
    units = weights[0]["w_hh"].shape[1]
    peepholes = _peepholes(site, cell, directions, units)
    states = [_states(site, index, what, directions, units, layout)
              for index, what in ((5, "initial_h"), (6, "initial_c"))[:2 if cell.inputs > 6 else 1]]

    ys, hs, cs = [], [], []
    for n in range(directions):
        backward = direction == "reverse" or n == 1
        fields = {"origin": site.origin, "return_sequences": site.uses(0), **weights[n]}
        if peepholes is not None:
            fields["w_p"] = peepholes[n]
        given = settle_states(trace, [state[n] for state in states], fields, site.origin)
        _activate(cell, activations[n], fields)
        if coupled:
            _couple(fields)
        if clip:
            if "hard_sigmoid" in (fields.get("recurrent_activation"), fields["activation"]):
                raise NodeError("clip is built for sigmoid, tanh and relu alone: export without it")
            fields["z_clip"] = clip
        x = trace.read(ids[:, ::-1] if backward else ids, site.origin)
        value = getattr(site.builder, cell.kind)(x, *given, **fields)
        if site.uses(0):
            y = trace.layer(value)
            ys.append(y[:, ::-1] if backward else y)
        if site.uses(1):
            last = site.builder.last_step(value, origin=site.origin) if site.uses(0) else value
            hs.append(trace.layer(last))
        if site.uses(2):
            cs.append(trace.layer(site.builder.cell_state(value, origin=site.origin)))

    def outputs(parts: list[np.ndarray], axes: tuple[int, ...]) -> Value:
        # (batch, directions, ...) to ONNX' order of axes
        return Net(np.stack(parts, axis=1).transpose(axes)) if parts else np.zeros(0)
    y_axes, h_axes = ((0, 2, 1, 3), (0, 1, 2)) if layout else ((2, 1, 0, 3), (1, 0, 2))
    return [outputs(ys, y_axes), outputs(hs, h_axes),
            *([outputs(cs, h_axes)] if cell.kind == "lstm" else [])]


def _clip(site: Site, cell: _Cell) -> int:
    """The bound of what the activations are applied to, as a layer has it."""
    given = site.attributes.take("clip")
    if given is None:
        return 0
    if cell.kind == "rnn":
        raise NodeError("clip is built for LSTM and GRU alone: export the RNN without it")
    if not isinstance(given, float) or not 0 < given <= 256:
        raise NodeError(f"clip must be above 0 and at most 256, not {quoted(given)[1:-1]}: export "
                        "without it")
    return max(1, math.floor(given * 2.0**CLIP_BITS + 0.5))


def _couple(fields: dict) -> None:
    """f = 1 - i: a gate of the negated sum is one minus the gate."""
    units = fields["w_hh"].shape[1]
    for name in {"w_ih", "w_hh", "b", "w_p"} & fields.keys():
        rows = np.array(fields[name])
        rows[units:2 * units] = -rows[:units]
        fields[name] = rows


def _same_lengths(site: Site, steps: int) -> None:
    """Refuse lengths, unless they change nothing."""
    lengths = site.input(4)
    if lengths is not None and (isinstance(lengths, Net) or (lengths != steps).any()):
        raise NodeError("sequence_lens is given, but every sequence must have the same length: "
                        "export without packed or masked sequences")


def _peepholes(site: Site, cell: _Cell, directions: int, units: int) -> np.ndarray | None:
    """The weights of the peepholes (directions, 3 units), in blocks i, f, o; None of a layer that
    has none."""
    if cell.kind != "lstm" or site.input(7) is None:
        return None
    weights = site.constant(7, "P (the weights of the peepholes)")
    if weights.shape != (directions, 3 * units):
        raise NodeError(f"P has the shape {weights.shape}, which contradicts the {units} units: "
                        "export the model again")
    if not weights.any():
        return None
    ours = weights.reshape(directions, 3, units)[:, [0, 2, 1]]  # ONNX: i, o, f
    return ours.reshape(directions, -1).astype(np.float64)


def _weights(site: Site, cell: _Cell, directions: int) -> list[dict]:
    """Of each direction: w_ih, w_hh, b, the gates in our order; of a GRU reset_after and b_n."""
    w, r = site.constant(1, "W"), site.constant(2, "R")
    units, gates = r.shape[-1] if r.ndim == 3 else 0, len(cell.blocks)
    declared = site.attributes.int("hidden_size", units)
    b = (np.zeros((directions, 2 * gates * units), np.float32) if site.input(3) is None
         else site.constant(3, "B"))
    rows = gates * units
    wanted = ((directions, rows, w.shape[-1] if w.ndim else 0), (directions, rows, units),
              (directions, 2 * rows))
    if units < 1 or declared != units or (w.shape, r.shape, b.shape) != wanted:
        raise NodeError(f"hidden_size {declared} and the shapes of W {w.shape}, R {r.shape} and B "
                        f"{b.shape} contradict each other: export the model again")
    if not np.isfinite(b).all():
        raise NodeError("b holds NaN or infinite weights: train and export the model again")
    after = cell.kind == "gru" and bool(site.attributes.int("linear_before_reset", 0))

    def ours(value: np.ndarray) -> np.ndarray:
        return value.reshape(gates, units, *value.shape[1:])[list(cell.blocks)].reshape(value.shape)
    found = []
    for n in range(directions):
        of_x, of_h = ours(b[n, :rows].astype(np.float64)), ours(b[n, rows:].astype(np.float64))
        one: dict = {"w_ih": ours(w[n]), "w_hh": ours(r[n]), "b": of_x + of_h}
        if cell.kind == "gru":
            one["reset_after"] = after
            if after:  # n's bias on the side of h stays inside the product with r
                one["b_n"] = of_h[2 * units:]
                one["b"][2 * units:] = of_x[2 * units:]
        found.append(one)
    return found


def _activate(cell: _Cell, functions: list[_Activation], fields: dict) -> None:
    """Put the activations into a layer's fields, a hard sigmoid's slope into its weights."""
    first, *rest = functions
    if len({function.word for function in rest}) > 1:
        raise NodeError("the activations of the cell and of its output must be the same function, "
                        f"not {rest[0].word} and {rest[1].word}: train with one for both")
    if rest:
        fields |= {"recurrent_activation": first.word, "activation": rest[0].word}
    else:
        fields["activation"] = first.word
    if first.word == "hard_sigmoid":
        units = fields["w_hh"].shape[1]
        rows = np.ones(len(fields["b"]), bool)
        if rest:  # all but the candidate: g of an LSTM, n of a GRU
            rows[2 * units:3 * units] = False
        for name in ("w_ih", "w_hh"):
            fields[name] = fields[name].astype(np.float64)
        fields["w_ih"][rows], fields["b"][rows] = scaled_for_hard_sigmoid(
            fields["w_ih"][rows], fields["b"][rows], first.alpha, first.beta)
        fields["w_hh"][rows] *= 4 * first.alpha
        if "w_p" in fields:
            fields["w_p"] = 4 * first.alpha * fields["w_p"]


def _states(site: Site, index: int, what: str, directions: int, units: int,
            layout: int) -> list[np.ndarray | None]:
    """Of each direction: the initial state as floats (units,), numbers (batch, units), or None."""
    value = site.input(index)
    if value is None:
        return [None] * directions
    array = value.ids if isinstance(value, Net) else site.constant(index, what)
    if array.ndim == 3 and layout:
        array = array.swapaxes(0, 1)
    if array.ndim != 3 or array.shape[::2] != (directions, units):
        raise NodeError(f"{what} has the shape {array.shape}, which contradicts the {units} "
                        "units: ONNX has no projections, and torch.onnx writes proj_size as this "
                        "(give the module to gatefold.from_torch)")
    if isinstance(value, Net):
        return list(site.trace.batch_at(array, 1).swapaxes(0, 1))
    if (array != array[:, :1]).any():
        raise NodeError(f"{what} must be the same for every sample: give it as an input")
    return [row[0] if row[0].any() else None for row in array]


def settle_states(trace: Trace, states: list[np.ndarray | None], fields: dict,
                  origin: str) -> list[int]:
    """Constant states go into ``fields``, computed ones are the values that are returned.

    ``states`` are floats (units,), numbers (batch, units), or None where they are zero.
    """
    computed = [state for state in states if state is not None and state.ndim == 2]
    if not computed:
        fields |= {name: state for name, state in zip(("h0", "c0"), states, strict=False)
                   if state is not None}
        return []
    values = []
    for state in states:
        if state is not None and state.ndim == 2:
            values.append(trace.read(state, origin))
            continue
        # A layer takes both states from values or none: a constant one is the other times zero.
        other = trace.read(computed[0], origin)
        zero = np.zeros(computed[0].shape[1])
        values.append(trace.builder.scale(other, zero, zero if state is None else state,
                                          origin=origin))
    return values


#: Operators, and how many inputs are looked at.
RECURRENT = {name: (_recurrent(cell), cell.inputs) for name, cell in _CELLS.items()}
