"""Live: files that PyTorch's exporters write today, and every operator, against ONNX Runtime.

Runs where onnxruntime (and, for the exporters, torch and onnxscript) can be imported beside
Gatefold; elsewhere it is skipped.
"""

# pyright: basic, reportMissingImports=false
from __future__ import annotations

import contextlib
import io
import warnings

import onnx
import pytest

from gatefold.gen.frontends import load
from tests.support.onnx_graphs import BATCH, check, loaded
from tests.support.onnx_operators import BEYOND, CASES, case

onnxruntime = pytest.importorskip("onnxruntime")
STEPS = 6


def runtime(model: onnx.ModelProto, given: dict) -> list:
    """The outputs that ONNX Runtime computes."""
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, given)


@pytest.mark.parametrize("name", [*CASES, *BEYOND])
def test_an_operator_computes_what_onnx_runtime_does(name, tmp_path):
    model = case(name)
    check(model, loaded(model, tmp_path), runtime, scale=3 if "clip" in name else 1)


def h_n(kind: str, state):
    """The hidden state of nn.LSTM, nn.GRU or nn.RNN's second result."""
    return state[0] if kind == "LSTM" else state


def models(torch) -> dict:
    """name: (parts, forward given (parts, inputs), shapes of one sample, batch axis of each)."""
    nn = torch.nn
    found = {}
    for kind in ("LSTM", "GRU", "RNN"):
        for layers, both, first in ((1, False, True), (2, False, False), (1, True, True),
                                    (2, True, False), (2, True, True)):
            name = f"{kind.lower()} {layers}{' both ways' if both else ''}" + (
                "" if first else ", time first")
            width = 8 if both else 4

            def parts(kind=kind, layers=layers, both=both, first=first, width=width):
                return {"r": getattr(nn, kind)(3, 4, num_layers=layers, bidirectional=both,
                                               batch_first=first), "fc": nn.Linear(width, 2)}
            axis = [0 if first else 1]
            shape = [(STEPS, 3)]
            found[name] = (parts, lambda m, x: m.fc(m.r(x)[0]), shape, axis)
            found[name + ", last step"] = (
                parts, lambda m, x, first=first: m.fc(m.r(x)[0][:, -1] if first
                                                      else m.r(x)[0][-1]), shape, axis)
            found[name + ", h_n"] = (
                parts, lambda m, x, kind=kind, both=both: m.fc(
                    torch.cat([h_n(kind, m.r(x)[1])[-2], h_n(kind, m.r(x)[1])[-1]], 1) if both
                    else h_n(kind, m.r(x)[1])[-1]), shape, axis)
    rows, plain = [(STEPS, 3)], [0]

    def conv(**more):
        return lambda: {"c": nn.Conv1d(3, 5, 3, **more), "n": nn.BatchNorm1d(5),
                        "fc": nn.Linear(5, 2)}

    def stack(m, x):
        y = torch.relu(m.n(m.c(x.permute(0, 2, 1))))
        return m.fc(y.permute(0, 2, 1))

    def lstm(forward, **more):
        return (lambda: {"r": nn.LSTM(3, 4, batch_first=True), "fc": nn.Linear(4, 2),
                         "a": nn.Linear(3, 4), "d": nn.LSTM(4, 4, batch_first=True),
                         **{key: make() for key, make in more.items()}}, forward, rows, plain)

    def gru(forward):
        return (lambda: {"r": nn.GRU(3, 4, batch_first=True), "fc": nn.Linear(4, 2)},
                forward, rows, plain)

    def given(m, x, h, c):
        y, (h, c) = m.r(x, (h, c))
        return m.fc(y), h, c

    def cells(m, x):
        h = c = torch.zeros(x.size(0), 4)
        for t in range(3):
            h, c = m.cell(x[:, t], (h, c))
        return m.fc(h)

    def decoder(m, x):
        y, state = m.r(x)
        return m.fc(m.d(y[:, -1:].expand(-1, STEPS, -1), state)[0])
    return found | {
        "conv, batch norm, relu": (conv(padding=1), stack, rows, plain),
        "conv, dilated, strided": (conv(padding=2, dilation=2, stride=2), stack, rows, plain),
        "conv, channels first": (
            lambda: {"s": nn.Sequential(nn.Conv1d(3, 5, 2), nn.Tanh(), nn.AvgPool1d(2))},
            lambda m, x: m.s(x), [(3, STEPS)], plain),
        "conv, pooled, flattened": (
            lambda: {"s": nn.Sequential(nn.Conv1d(3, 5, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2),
                                        nn.Flatten(), nn.Linear(15, 2))},
            lambda m, x: m.s(x.transpose(1, 2)), rows, plain),
        "conv before lstm": (
            lambda: {"c": nn.Conv1d(3, 5, 3, stride=2), "r": nn.LSTM(5, 4, batch_first=True)},
            lambda m, x: m.r(torch.relu(m.c(x.transpose(1, 2))).transpose(1, 2))[0][:, -1],
            rows, plain),
        "mean over time": gru(lambda m, x: m.fc(m.r(x)[0].mean(1))),
        "largest over time": gru(lambda m, x: m.fc(m.r(x)[0].max(1)[0])),
        "adaptive pooling": (
            lambda: {"r": nn.GRU(3, 4, batch_first=True), "p": nn.AdaptiveAvgPool1d(1)},
            lambda m, x: m.p(m.r(x)[0].transpose(1, 2)).squeeze(-1), rows, plain),
        "residual": lstm(lambda m, x: m.fc(torch.relu(m.a(x) + m.r(x)[0]))),
        "gated": lstm(lambda m, x: m.fc(m.r(x)[0] * torch.sigmoid(m.a(x)))),
        "softmax": lstm(lambda m, x: torch.softmax(m.fc(m.r(x)[0][:, -1]), -1)),
        "flipped": gru(lambda m, x: m.fc(torch.flip(m.r(torch.flip(x, [1]))[0], [1]))),
        "relu rnn": (lambda: {"r": nn.RNN(3, 4, nonlinearity="relu", batch_first=True)},
                     lambda m, x: m.r(x)[0], rows, plain),
        "encoder and decoder": lstm(decoder),
        # Written out step by step: no LSTM layer, but computed all the same.
        "lstm cells": (lambda: {"cell": nn.LSTMCell(3, 4), "fc": nn.Linear(4, 2)}, cells, rows,
                       plain),
        "states in and out": (lambda: {"r": nn.LSTM(3, 4, batch_first=True),
                                       "fc": nn.Linear(4, 2)},
                              given, [(STEPS, 3), (1, 4), (1, 4)], [0, 1, 1]),
        "hard activations": lstm(lambda m, x: nn.functional.hardsigmoid(m.a(x))
                                 + nn.functional.hardtanh(m.r(x)[0])
                                 + nn.functional.relu6(m.a(x))),
        "standardised": lstm(lambda m, x: m.r((x - 0.3) / torch.tensor([1.0, 2.0, 0.5]))[0] * 2),
        "windows": (lambda: {"fc": nn.Linear(6, 4)},
                    lambda m, x: m.fc(x.unfold(1, 2, 2).reshape(x.shape[0], 3, 6)), rows, plain),
    }


def exported(torch, name: str, path, dynamo: bool) -> None:
    """A model of :func:`models`, with seeded weights, as a file."""
    nn = torch.nn
    make, run, shapes, axes = models(torch)[name]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            for key, part in make().items():
                self.add_module(key, part)

        def forward(self, *inputs):
            return run(self, *inputs)
    torch.manual_seed(0)
    model = Model().eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.normal_(0, 0.6)
        for part in model.modules():
            if isinstance(part, nn.BatchNorm1d):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
    inputs = tuple(torch.randn(BATCH, *shape).movedim(0, axis).contiguous()
                   for shape, axis in zip(shapes, axes, strict=True))
    names = [f"x{n}" for n in range(len(inputs))]
    batch = torch.export.Dim("batch") if dynamo else "batch"
    dynamic = [{axis: batch} for axis in axes]
    options = {"dynamic_shapes": (tuple(dynamic),), "external_data": False} if dynamo else {
        "dynamic_axes": dict(zip(names, dynamic, strict=True)), "opset_version": 17}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(model, inputs, str(path), dynamo=dynamo, input_names=names, **options)


def names() -> list[str]:
    """The models' names, where torch is installed."""
    try:
        import torch
    except ImportError:
        return []
    return list(models(torch))


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("name", names())
def test_what_torch_exports_computes_the_same(name, dynamo, tmp_path):
    torch = pytest.importorskip("torch")
    if dynamo:
        pytest.importorskip("onnxscript")
    path = tmp_path / "model.onnx"
    exported(torch, name, path, dynamo)
    check(onnx.load(path), load(path), runtime)
