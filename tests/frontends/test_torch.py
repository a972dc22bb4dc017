"""Live ``torch.nn.Module`` objects: every option alone against torch itself, and refusals.

Skipped where torch is not installed: Gatefold does not need it.
"""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import numpy as np
import pytest

from gatefold.gen.cut.parts import Host
from gatefold.gen.errors import UserError
from gatefold.gen.frontends.torch import live
from gatefold.gen.frontends.torch.live import from_torch
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Dense, Gru, Lstm, split

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

STEPS, FEATURES, UNITS = 6, 3, 5


class Net(nn.Module):
    """Layers by name, and ``forward`` as a function of (self, x)."""

    def __init__(self, run, **layers):
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *args):
        return self.run(self, *args)


def lively(module, seed=0):
    """``module`` in eval mode, its weights and statistics random and large enough to matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.6)
                if name.endswith("running_var"):
                    tensor.abs_().add_(0.2)
    return module.eval()


def samples(shape, batch=0, count=4):
    """Seeded inputs: as the network takes them, and with the batch where the module has it."""
    x = np.random.default_rng(1).normal(size=(count, *shape)).astype(np.float32)
    return x, torch.from_numpy(x).movedim(0, batch)


def same(module, shape=(STEPS, FEATURES), batch=0, out=0, **options):
    """Assert that the network computes what ``module`` does; the network.

    ``batch`` and ``out`` are where the module has it in its input and its output.
    """
    lively(module)
    network = from_torch(module, shape, **options)
    x, given = samples([n for n in shape if n is not None], batch)
    with torch.no_grad():
        y = module(given)
    while isinstance(y, tuple):
        y = y[0]
    y = y.movedim(out, 0).numpy()
    got = forward(network, x)
    assert got.shape == (len(y), *(y.shape[1:] or (1,)))
    np.testing.assert_allclose(got, y.reshape(got.shape), atol=1e-5)
    return network


def kinds(network) -> list[str]:
    return [layer.shown for layer in network.layers]


# --- recurrent layers, each option alone

RECURRENT = {
    "plain": {}, "batch_first": {"batch_first": True}, "no bias": {"bias": False},
    "layers": {"num_layers": 3}, "bidirectional": {"bidirectional": True},
    "both": {"num_layers": 2, "bidirectional": True}, "dropout": {"num_layers": 2, "dropout": 0.5},
}


@pytest.mark.parametrize("options", RECURRENT.values(), ids=RECURRENT)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers(kind, options):
    axis = 0 if options.get("batch_first") else 1
    same(getattr(nn, kind)(FEATURES, UNITS, **options), batch=axis, out=axis, outputs=0)


def test_rnn_with_relu():
    same(nn.RNN(FEATURES, UNITS, nonlinearity="relu"), batch=1, out=1, outputs=0)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
def test_final_states(kind, layers, bidirectional):
    """All results of a layer: output, h_n and, of an LSTM, c_n, one after the other."""
    module = lively(getattr(nn, kind)(FEATURES, UNITS, layers, bidirectional=bidirectional))
    network = from_torch(module, (STEPS, FEATURES))
    x, given = samples((STEPS, FEATURES), 1)
    with torch.no_grad():
        output, states = module(given)
    parts = [output, *(states if isinstance(states, tuple) else [states])]
    y = np.concatenate([part.movedim(1, 0).reshape(len(x), -1).numpy() for part in parts], axis=1)
    np.testing.assert_allclose(forward(network, x), y, atol=1e-5)


def test_a_gru_keeps_its_inner_bias_apart():
    module = lively(nn.GRU(FEATURES, UNITS))
    (gru,) = [layer for layer in from_torch(module, (STEPS, FEATURES), outputs=0).layers
              if isinstance(layer, Gru)]
    assert gru.reset_after
    np.testing.assert_array_equal(gru.b_n, module.bias_hh_l0.detach().numpy()[2 * UNITS:])


def test_both_biases_are_added_and_gates_kept():
    module = lively(nn.LSTM(FEATURES, UNITS))
    (lstm,) = [layer for layer in from_torch(module, (STEPS, FEATURES), outputs=0).layers
               if isinstance(layer, Lstm)]
    np.testing.assert_array_equal(lstm.w_ih, module.weight_ih_l0.detach().numpy())
    np.testing.assert_array_equal(lstm.b, (module.bias_ih_l0 + module.bias_hh_l0).detach().numpy())


# --- other layers of torch.nn, each option alone; on (channels, timesteps)

CHANNELS = (FEATURES, 12)
CHANNEL_LAYERS = {
    "conv": nn.Conv1d(3, 4, 3),
    "conv stride": nn.Conv1d(3, 4, 3, stride=2),
    "conv padding": nn.Conv1d(3, 4, 3, padding=2),
    "conv same": nn.Conv1d(3, 4, 4, padding="same"),
    "conv same, dilated": nn.Conv1d(3, 4, 4, padding="same", dilation=3),
    "conv valid": nn.Conv1d(3, 4, 3, padding="valid"),
    "conv dilation": nn.Conv1d(3, 4, 3, dilation=2),
    "conv no bias": nn.Conv1d(3, 4, 3, bias=False),
    "conv of 1": nn.Conv1d(3, 4, 1),
    "batch norm": nn.BatchNorm1d(3),
    "batch norm eps": nn.BatchNorm1d(3, eps=0.5),
    "batch norm not affine": nn.BatchNorm1d(3, affine=False),
    "max pool": nn.MaxPool1d(3),
    "max pool stride": nn.MaxPool1d(3, stride=2),
    "max pool padding": nn.MaxPool1d(3, padding=1),
    "max pool dilation": nn.MaxPool1d(2, dilation=3, stride=1),
    "max pool ceil, whole": nn.MaxPool1d(3, ceil_mode=True),
    "average pool": nn.AvgPool1d(3),
    "average pool stride": nn.AvgPool1d(4, stride=2),
    "average pool padding": nn.AvgPool1d(3, padding=1),
    "average over all": nn.AdaptiveAvgPool1d(1),
    "average to 4": nn.AdaptiveAvgPool1d(4),
    "largest of all": nn.AdaptiveMaxPool1d(1),
    "zero pad": nn.Sequential(nn.ZeroPad1d((2, 1)), nn.Conv1d(3, 4, 3)),
    "constant pad": nn.Sequential(nn.ConstantPad1d((2, 0), 0.0), nn.Conv1d(3, 4, 3)),
    "flatten": nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(40, 5)),
    "conv net": nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2),
                              nn.Conv1d(4, 2, 2), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
                              nn.Linear(2, 3)),
    "unflatten": nn.Sequential(nn.Flatten(), nn.Unflatten(1, (3, 12)), nn.Conv1d(3, 4, 3)),
}


@pytest.mark.parametrize("layer", CHANNEL_LAYERS.values(), ids=CHANNEL_LAYERS)
def test_layers_on_channels(layer):
    same(nn.Sequential(layer, nn.Tanh()), CHANNELS)


LAYERS = {
    "linear": nn.Linear(3, 4), "linear no bias": nn.Linear(3, 4, bias=False),
    "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "relu": nn.ReLU(), "relu6": nn.ReLU6(),
    "hardsigmoid": nn.Hardsigmoid(), "hardtanh": nn.Hardtanh(),
    "hardtanh bounds": nn.Hardtanh(-0.5, 2.0),
    "identity": nn.Identity(), "dropout": nn.Dropout(0.5),
    "batch norm of a vector": nn.Sequential(nn.Flatten(), nn.BatchNorm1d(18)),
    "flatten": nn.Flatten(), "flatten two": nn.Flatten(1, 2),
    "sequential": nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2))),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_layers_on_features(layer):
    same(nn.Sequential(layer, nn.Sigmoid()))


def test_activations_join_the_layers_before_them():
    network = same(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(6), nn.Linear(4, 4), nn.ReLU()))
    assert kinds(network)[-1] == "dense" and isinstance(network.layers[-1], Dense)
    assert network.layers[-1].activation == "relu"


# --- forward() in the user's own words

def lstm(**options):
    return nn.LSTM(FEATURES, UNITS, batch_first=True, **options)


def zeros(m, x):
    h = torch.zeros(2, x.size(0), UNITS).to(x.device)
    c = torch.zeros(2, x.shape[0], UNITS, device=x.device).requires_grad_()
    return m.fc(m.lstm(x, (h.detach(), c.detach()))[0][:, -1, :])


def both_ends(m, x):
    _, (h, _) = m.lstm(x)
    return m.fc(torch.cat((h[-2], h[-1]), dim=1))


def repeated(m, x):
    _, (h, _) = m.lstm(x)
    return m.fc(m.decoder(h[-1].unsqueeze(1).repeat(1, x.size(1), 1))[0])


def seq2seq(m, x):
    output, state = m.lstm(x)
    return m.fc(m.decoder(output, state)[0])


def rows(m, x):
    y = m.lstm(x)[0]
    flat = y.contiguous().view(-1, y.size(2))
    return torch.relu(m.fc(flat)).view(y.size(0), y.size(1), -1)


def channels(m, x):
    y = F.relu(m.conv(x.permute(0, 2, 1)))
    return m.fc(m.lstm(F.max_pool1d(y, 2).transpose(1, 2))[0][:, -1])


def residual(m, x):
    y = m.lstm(x)[0]
    return m.fc(y + 0.5 * torch.tanh(m.inner(y)) - m.inner(y))


def in_place(m, x):
    y = m.relu(m.a(x))
    y += x
    y *= 0.5
    return F.hardtanh(y.sub_(x).tanh_(), inplace=True)


FC, DECODER = nn.Linear(UNITS, 2), nn.LSTM(UNITS, UNITS, batch_first=True)
FORWARDS = {
    "last step": Net(lambda m, x: m.fc(m.lstm(x)[0][:, -1, :]), lstm=lstm(), fc=FC),
    "last step, two indices": Net(lambda m, x: m.fc(m.lstm(x)[0][:, -1]), lstm=lstm(), fc=FC),
    "ellipsis": Net(lambda m, x: m.lstm(x)[0][..., -1, :2], lstm=lstm()),
    "h_n[-1]": Net(lambda m, x: m.fc(m.lstm(x)[1][0][-1]), lstm=lstm(num_layers=2), fc=FC),
    "h_n.squeeze": Net(lambda m, x: m.fc(m.lstm(x)[1][0].squeeze(0)), lstm=lstm(), fc=FC),
    "c_n": Net(lambda m, x: m.fc(torch.tanh(m.lstm(x)[1][1][0])), lstm=lstm(), fc=FC),
    "h_n of both ways": Net(both_ends, lstm=lstm(bidirectional=True), fc=nn.Linear(10, 2)),
    "h_n.permute.flatten": Net(lambda m, x: m.lstm(x)[1][0].permute(1, 0, 2).flatten(1),
                               lstm=lstm(bidirectional=True, num_layers=2)),
    "h_n.view of layers": Net(
        lambda m, x: torch.cat(tuple(m.lstm(x)[1][0].view(2, 2, x.size(0), UNITS)[-1]), -1),
        lstm=lstm(bidirectional=True, num_layers=2)),
    "zero states": Net(zeros, lstm=lstm(num_layers=2), fc=FC),
    "constant states": Net(
        lambda m, x: m.lstm(x, (m.h.expand(1, x.size(0), -1), m.h.expand(1, x.size(0), -1)))[0],
        lstm=lstm(), h=nn.Parameter(torch.zeros(1, 1, UNITS))),
    "autoencoder, repeat": Net(repeated, lstm=lstm(), decoder=DECODER, fc=FC),
    "autoencoder, expand": Net(
        lambda m, x: m.decoder(m.lstm(x)[0][:, -1:].expand(-1, STEPS, -1))[0], lstm=lstm(),
        decoder=DECODER),
    "autoencoder, stack": Net(
        lambda m, x: m.decoder(torch.stack([m.lstm(x)[1][0][0]] * STEPS, dim=1))[0], lstm=lstm(),
        decoder=DECODER),
    "autoencoder, repeat_interleave": Net(
        lambda m, x: m.decoder(m.lstm(x)[1][0][0][:, None].repeat_interleave(STEPS, 1))[0],
        lstm=lstm(), decoder=DECODER),
    "projected": Net(lambda m, x: m.lstm(x)[0], lstm=lstm(proj_size=2, num_layers=2)),
    "projected, both ways, last": Net(lambda m, x: torch.cat([*m.lstm(x)[1][0]], dim=-1),
                                      lstm=lstm(proj_size=2, bidirectional=True)),
    "projected, c": Net(lambda m, x: m.lstm(x)[1][1][0], lstm=lstm(proj_size=2)),
    "projected, states passed on": Net(
        lambda m, x: m.again(x, m.lstm(x)[1])[0], lstm=lstm(proj_size=2),
        again=lstm(proj_size=2)),
    "projected in the core": Net(lambda m, x: m.lstm(x)[0], lstm=nn.LSTM(
        FEATURES, 80, batch_first=True, proj_size=8, bidirectional=True)),
    "states passed on": Net(seq2seq, lstm=lstm(), decoder=DECODER, fc=FC),
    "rows": Net(rows, lstm=lstm(), fc=FC),
    "channels": Net(channels, conv=nn.Conv1d(3, 3, 3), lstm=lstm(), fc=FC),
    "residual": Net(residual, lstm=lstm(), inner=nn.Linear(UNITS, UNITS), fc=FC),
    "gate": Net(lambda m, x: m.a(x) * torch.sigmoid(m.b(x)), a=nn.Linear(3, 4), b=nn.Linear(3, 4)),
    "unrolled": Net(lambda m, x: torch.stack([m.fc(x[:, t]) for t in range(x.size(1))], dim=1),
                    fc=nn.Linear(3, 2)),
    "own weights": Net(lambda m, x: x @ m.w + m.b, w=nn.Parameter(torch.zeros(3, 4)),
                       b=nn.Parameter(torch.zeros(4))),
    "F.linear": Net(lambda m, x: F.linear(x, m.w), w=nn.Parameter(torch.zeros(4, 3))),
    "standardised": Net(lambda m, x: m.fc((x - m.mean) / 2.5), mean=nn.Parameter(torch.zeros(3)),
                        fc=nn.Linear(3, 2)),
    "reflected": Net(lambda m, x: 1 - 2 * m.fc(x), fc=nn.Linear(3, 2)),
    "mean over time": Net(lambda m, x: m.fc(m.lstm(x)[0].mean(dim=1)), lstm=lstm(), fc=FC),
    "mean, kept": Net(lambda m, x: m.fc(m.lstm(x)[0].mean(1, keepdim=True)), lstm=lstm(), fc=FC),
    "max over time": Net(lambda m, x: m.fc(m.lstm(x)[0].max(dim=1)[0]), lstm=lstm(), fc=FC),
    "max.values": Net(lambda m, x: m.fc(m.lstm(x)[0].max(1).values), lstm=lstm(), fc=FC),
    "mT": Net(lambda m, x: m.conv(x.mT).mT, conv=nn.Conv1d(3, 2, 3)),
    "T": Net(lambda m, x: m.fc(x[:, 0].T.t()), fc=nn.Linear(3, 2)),
    "amax": Net(lambda m, x: m.fc(m.lstm(x)[0].amax(1)), lstm=lstm(), fc=FC),
    "max of h": Net(lambda m, x: F.adaptive_max_pool1d(m.lstm(x)[0].transpose(1, 2), 1).squeeze(-1),
                    lstm=lstm()),
    "split": Net(lambda m, x: torch.cat(m.lstm(x)[0].split([2, 3], dim=2)[::-1], dim=2),
                 lstm=lstm()),
    "chunk": Net(lambda m, x: torch.cat(x.chunk(2, dim=1), dim=2)),
    "unbind": Net(lambda m, x: x.unbind(1)[2]),
    "every second": Net(lambda m, x: m.fc(x[:, 1::2]), fc=nn.Linear(3, 2)),
    "first steps": Net(lambda m, x: m.lstm(x[:, :4])[0][:, 2:], lstm=lstm()),
    "flip": Net(lambda m, x: m.lstm(x.flip(1))[0].flip([1]), lstm=lstm()),
    "flip features": Net(lambda m, x: m.lstm(torch.flip(x, (2,)))[0], lstm=lstm()),
    "one feature": Net(lambda m, x: m.fc(m.lstm(x)[0])[:, -1, 0], lstm=lstm(), fc=FC),
    "vector as a sequence": Net(lambda m, x: m.lstm(x[:, 0].unsqueeze(1))[0].squeeze(1),
                                lstm=lstm()),
    "patches": Net(lambda m, x: m.fc(x.reshape(x.size(0), 3, -1)), fc=nn.Linear(6, 2)),
    "causal": Net(lambda m, x: m.conv(F.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2),
                  conv=nn.Conv1d(3, 2, 3)),
    "dropout": Net(lambda m, x: F.dropout(m.fc(x), 0.5, m.training), fc=nn.Linear(3, 2)),
    "groups": Net(lambda m, x: m.conv(x.transpose(1, 2)).transpose(1, 2),
                  conv=nn.Conv1d(3, 6, 3, groups=3)),
    **{f"{kind} behind a layer": nn.Sequential(nn.Linear(3, 4), module) for kind, module in {
        "LeakyReLU": nn.LeakyReLU(0.2), "PReLU": nn.PReLU(), "ELU": nn.ELU(0.7), "SELU": nn.SELU(),
        "CELU": nn.CELU(1.3), "SiLU": nn.SiLU(), "Hardswish": nn.Hardswish(), "GELU": nn.GELU(),
        "GELU by tanh": nn.GELU(approximate="tanh"), "Mish": nn.Mish(), "ReLU6": nn.ReLU6(),
        "Softplus": nn.Softplus(2.0), "LogSigmoid": nn.LogSigmoid(), "Softsign": nn.Softsign(),
    }.items()},
    "a slope each channel": Net(lambda m, x: m.act(x.transpose(1, 2)).transpose(1, 2),
                                act=nn.PReLU(3)),
    "clamp from below": Net(lambda m, x: m.fc(x).clamp(min=-0.3), fc=nn.Linear(3, 2)),
    "clamp from above": Net(lambda m, x: m.fc(x).clamp(max=0.4), fc=nn.Linear(3, 2)),
    "clamp": Net(lambda m, x: torch.clamp(m.fc(x), -1, 1), fc=nn.Linear(3, 2)),
    "narrow": Net(lambda m, x: m.fc(x.narrow(1, 2, 3)), fc=nn.Linear(3, 2)),
    "len": Net(lambda m, x: m.fc(x).view(len(x), -1), fc=nn.Linear(3, 2)),
    "movedim": Net(lambda m, x: m.conv(torch.movedim(x, 1, 2)), conv=nn.Conv1d(3, 2, 3)),
    "dict": Net(lambda m, x: tuple({"y": m.fc(x)}.values())[0], fc=nn.Linear(3, 2)),
    "in place": Net(in_place, a=nn.Linear(3, 3), relu=nn.ReLU(inplace=True)),
    # What a value's own arrangement once forbade.
    "a sequence repeated": Net(lambda m, x: m.fc(x.repeat(1, 2, 1)), fc=nn.Linear(3, 2)),
    "a matrix expanded": Net(lambda m, x: m.fc(x[:, None].expand(-1, 2, -1, -1)[:, 1]),
                             fc=nn.Linear(3, 2)),
    "broadcast over time": Net(lambda m, x: m.lstm(x)[0] * torch.sigmoid(m.lstm(x)[0][:, -1:]),
                               lstm=lstm()),
    "a constant for each step": Net(lambda m, x: m.fc(x * m.gain + m.offset), fc=nn.Linear(3, 2),
                                    gain=nn.Parameter(torch.zeros(6, 1)),
                                    offset=nn.Parameter(torch.zeros(6, 3))),
    "mean of a matrix": Net(lambda m, x: x.unflatten(1, (2, 3)).mean((1, 3))),
    "largest feature": Net(lambda m, x: m.lstm(x)[0].amax(-1, keepdim=True), lstm=lstm()),
    "zeros before": Net(lambda m, x: m.fc(torch.cat((torch.zeros(len(x), 2, 3), x), 1)),
                        fc=nn.Linear(3, 2)),
    "reflected ends": Net(lambda m, x: m.conv(F.pad(x.mT, (1, 2), mode="reflect")).mT,
                          conv=nn.Conv1d(3, 2, 3)),
    "replicated ends": Net(lambda m, x: m.pad(x.mT).mT, pad=nn.ReplicationPad1d((2, 0))),
    "rolled": Net(lambda m, x: m.fc(x.roll(2, 1)), fc=nn.Linear(3, 2)),
    "windows": Net(lambda m, x: m.fc(x.unfold(1, 3, 1).flatten(2)), fc=nn.Linear(9, 2)),
    "picked": Net(lambda m, x: m.fc(x[:, torch.tensor([4, 0, 1])]), fc=nn.Linear(3, 2)),
    "every other feature": Net(lambda m, x: x[..., m.mask], mask=nn.Parameter(
        torch.tensor([True, False, True]), requires_grad=False)),
    "the batch turned twice": Net(lambda m, x: m.fc(x.flip(0).flip(0)), fc=nn.Linear(3, 2)),
    "in place, another part": Net(lambda m, x: torch.cat((x[:, :2].relu_(), x[:, 2:]), 1)),
    "zeros in place": Net(lambda m, x: F.pad(F.relu(F.pad(x, (0, 1)), True), (0, 1))),
    "submodule": Net(lambda m, x: m.inner(x)[:, -1], inner=Net(lambda m, x: m.lstm(x)[0],
                                                               lstm=lstm())),
}


@pytest.mark.parametrize("module", FORWARDS.values(), ids=FORWARDS)
def test_forward(module):
    kept = nn.Sequential(module, nn.Tanh())  # something to build where there are only moves
    same(kept)


class ConvLstm(nn.Module):
    """As it is often written: sizes unpacked, an assert, Sequential parts, softmax over dim=1."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(3, 8, 3, padding=1), nn.ReLU(inplace=True),
                                  nn.MaxPool1d(2))
        self.lstm = nn.LSTM(8, 6, num_layers=2, batch_first=True, dropout=0.2, bidirectional=True)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 4))

    def forward(self, x):
        _batch, steps, features = x.shape
        assert x.dim() == 3 and features == 3, f"{x.shape} {steps}"
        x = self.conv(x.transpose(1, 2)).transpose(1, 2).contiguous()
        self.lstm.flatten_parameters()
        _, (h, _c) = self.lstm(x)
        return self.head(torch.cat([h[-2, :, :], h[-1, :, :]], dim=1))


class OptionalState(nn.Module):
    """A state that the caller may leave out, made of the parameters' type; squeezed output."""

    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(3, 6, 2, batch_first=True), nn.Linear(6, 1)

    def forward(self, x, hidden=None):
        if hidden is None:
            hidden = next(self.parameters()).data.new(2, x.size(0), 6).zero_()
        y, _ = self.gru(x, hidden)
        return self.head(y[:, -1]).squeeze(-1)


class Causal(nn.Module):
    """A weight-normed convolution that looks back only, a residual, a mean over time."""

    def __init__(self):
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 3, 3, padding=2))
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        x = x.permute(0, 2, 1)
        return self.head(torch.relu(self.conv(x)[:, :, :-2] + x).mean(dim=-1))


class Stack(nn.Module):
    """Layers in a ModuleList, the last step spread over all."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.LSTM(3 if n == 0 else 5, 5, batch_first=True)
                                     for n in range(3)])
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x[:, -1]).unsqueeze(1).expand(-1, x.shape[1], -1)


@pytest.mark.parametrize("module", [ConvLstm, OptionalState, Causal, Stack])
def test_whole_modules(module):
    same(module())


#: Samples, for programs that recognise the batch by its size.
MANY = 997
MOVES = {
    "permute": lambda x, d, r: x.permute(*r.permutation(x.dim()).tolist()),
    "transpose": lambda x, d, r: x.transpose(d, int(r.integers(x.dim()))),
    "unsqueeze": lambda x, d, r: x.unsqueeze(d),
    "squeeze": lambda x, d, r: x.squeeze(d),
    "narrow": lambda x, d, r: x.narrow(d, 0, int(r.integers(x.shape[d])) + 1),
    "step": lambda x, d, r: x.movedim(d, 0)[int(r.integers(x.shape[d]))::2].movedim(0, d),
    "select": lambda x, d, r: x.select(d, int(r.integers(x.shape[d]))) if x.dim() > 2 else x,
    "flip": lambda x, d, r: x.flip(d),
    "cat": lambda x, d, r: torch.cat((x, x * 2), dim=d),
    "stack": lambda x, d, r: torch.stack((x, x + 1), dim=d),
    "add": lambda x, d, r: x + x.flip(d),
    "split": lambda x, d, r: x.reshape(*x.shape[:d], x.shape[d], 1, *x.shape[d + 1:]),
    "rows": lambda x, d, r: torch.tanh(x.reshape(-1, x.shape[-1])).reshape(x.shape),
    "merge": lambda x, d, r: x.flatten(d, d + 1) if d + 1 < x.dim() and MANY not in (
        x.shape[d:d + 2]) else x,
}


@pytest.mark.parametrize("seed", range(40))
def test_moves_in_any_order(seed, monkeypatch):
    """Seeded programs of moves; torch itself computes the expected result of each."""
    monkeypatch.setattr(live, "SAMPLES", MANY)
    monkeypatch.setattr(live, "OTHER_SAMPLES", (MANY,))  # run() looks for the axis of MANY

    def run(_, x):
        r = np.random.default_rng(seed)
        for _ in range(6):
            kind = str(r.choice(list(MOVES)))
            free = [n for n, size in enumerate(x.shape) if size != MANY]
            if x.dim() < 5 and x.numel() < 200 * MANY and not (
                    kind == "rows" and x.shape[-1] == MANY):
                x = MOVES[kind](x, int(r.choice(free)), r)
        return torch.tanh(x)

    module = Net(run)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(MANY, 4, 3)).astype(np.float32))
    y = module(x)
    y = y.movedim(y.shape.index(MANY), 0)
    got = forward(from_torch(module, (4, 3)), x.numpy())
    np.testing.assert_allclose(got.reshape(y.shape), y.numpy(), atol=1e-5)


def test_timesteps_first_with_a_head():
    same(Net(lambda m, x: m.fc(m.lstm(x)[0][-1]), lstm=nn.LSTM(FEATURES, UNITS), fc=FC), batch=1)
    same(Net(lambda m, x: m.fc(m.lstm(x)[0]), lstm=nn.LSTM(FEATURES, UNITS), fc=FC), batch=1, out=1)


def test_batch_first_outside_timesteps_first_inside():
    network = same(Net(lambda m, x: m.fc(m.lstm(x.permute(1, 0, 2))[0][-1]),
                       lstm=nn.LSTM(FEATURES, UNITS), fc=FC))
    assert "permute" not in kinds(network)


def test_a_module_for_one_sample():
    """The official tutorial's way: no batch in the input, one of 1 inside."""
    module = lively(Net(lambda m, x: m.fc(m.lstm(x.view(len(x), 1, -1))[0].view(len(x), -1)),
                        lstm=nn.LSTM(FEATURES, UNITS), fc=FC))
    x, given = samples((STEPS, FEATURES))
    with torch.no_grad():
        y = np.stack([module(one).numpy() for one in given])
    np.testing.assert_allclose(forward(from_torch(module, (STEPS, FEATURES)), x), y, atol=1e-5)


@pytest.mark.parametrize("module", [
    Net(lambda m, x: m.fc(m.lstm(x)[0][-1]), lstm=lstm(), fc=FC),
    Net(lambda m, x: m.fc(m.lstm(x)[1][0].squeeze(0)), lstm=nn.LSTM(3, 5), fc=FC),
    Net(lambda m, x: m.fc(x.view(-1)), fc=nn.Linear(18, 2)),
    Net(lambda m, x: m.fc(x.view(6, 3)), fc=nn.Linear(3, 2)),
], ids=["last of 2 dimensions", "h_n of 2 dimensions", "vector", "view"])
def test_modules_that_make_sense_for_one_sample_only(module):
    lively(module)
    x, given = samples((STEPS, FEATURES))
    with torch.no_grad():
        y = np.stack([module(one).numpy() for one in given])
    np.testing.assert_allclose(forward(from_torch(module, (STEPS, FEATURES)), x), y, atol=1e-5)


def test_states_as_inputs():
    """Several inputs; None says where the batch is in h_0 and c_0."""
    module = lively(Net(lambda m, x, h, c: m.lstm(x, (h, c)), lstm=lstm(num_layers=2)))
    network = from_torch(module, [(STEPS, FEATURES), (2, None, UNITS), (2, None, UNITS)],
                         states="none")
    x, given = samples((STEPS, FEATURES))
    h, states = samples((2, UNITS), 1)
    with torch.no_grad():
        output, (h_n, c_n) = module(given, states, -states)
    frame = np.concatenate([part.reshape(4, -1) for part in (x, h, -h)], axis=1)
    y = np.concatenate([output.reshape(4, -1).numpy(),
                        *(s.movedim(1, 0).reshape(4, -1).numpy() for s in (h_n, c_n))], axis=1)
    np.testing.assert_allclose(forward(network, frame), y, atol=1e-5)


@pytest.mark.parametrize("states", ["auto", {"output1": "h", "output2": "c"}])
def test_states_that_the_caller_hands_back_stay_in_the_core(states):
    class Streaming(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.fc = lstm(num_layers=2), FC

        def forward(self, x, h, c):
            output, (h, c) = self.lstm(x, (h, c))
            return self.fc(output), h, c
    module = lively(Streaming())
    network = from_torch(module, [(STEPS, FEATURES), (2, None, UNITS), (2, None, UNITS)],
                         states=states)
    x, given = samples((STEPS, FEATURES))
    h = c = torch.zeros(2, 1, UNITS)
    y = []
    with torch.no_grad():
        for one in given:
            output, h, c = module(one[None], h, c)
            y.append(output[0].numpy())
    assert network.input_shapes == ((STEPS, FEATURES),) and len(network.outputs) == 1
    np.testing.assert_allclose(forward(network, x), np.stack(y), atol=1e-5)


def test_softmax_is_left_to_the_host():
    module = nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=-1))
    network = from_torch(module.eval(), (STEPS, FEATURES))
    assert network.host == ("softmax",)
    x, given = samples((STEPS, FEATURES))
    logits = torch.from_numpy(forward(network, x))
    np.testing.assert_allclose(torch.softmax(logits, -1).numpy(), module(given).detach().numpy(),
                               atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_weights_of_other_types(dtype):
    module = nn.Linear(3, 4).to(dtype)
    (dense,) = from_torch(module, (STEPS, FEATURES)).layers
    np.testing.assert_array_equal(dense.w, module.weight.detach().float().numpy())


def test_a_module_in_training_mode_is_built_as_at_inference():
    module = lively(nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Tanh()))
    network = from_torch(module, (STEPS, FEATURES))
    with pytest.warns(UserWarning, match=r"training mode, where Dropout '1' .* call module.eval"):
        trained = from_torch(module.train(), (STEPS, FEATURES))
    x, _ = samples((STEPS, FEATURES))
    np.testing.assert_array_equal(forward(network, x), forward(trained, x))


def test_the_source_and_the_names():
    network = from_torch(Net(lambda m, x: m.fc(m.lstm(x)[0]), lstm=lstm(), fc=FC).eval(),
                         (STEPS, FEATURES))
    assert network.source == {"format": "torch", "exporter": f"torch {torch.__version__}"}
    assert [layer.origin for layer in network.layers] == ["lstm", "fc"]


def test_nothing_of_torch_is_changed():
    call = nn.Module.__call__
    module = lively(lstm())
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    from_torch(module, (STEPS, FEATURES))
    assert nn.Module.__call__ is call and not module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


# --- refusals, by name and with the remedy

REFUSED = {
    "padding_mode": (nn.Conv1d(6, 2, 3, padding_mode="circular"), "only zeros are padded"),
    "channels": (nn.Conv1d(3, 2, 3), r"takes \(batch, 3 channels, timesteps\), but its input is "
                                     r"\(batch, 6, 3\): x.permute"),
    "features": (nn.Linear(4, 2), r"takes 4 features, but its input is \(batch, 6, 3\)"),
    "lstm features": (nn.LSTM(4, 2, batch_first=True), "takes 4 features"),
    "no statistics": (nn.BatchNorm1d(6, track_running_stats=False), "track_running_stats must be"),
    "ceil": (nn.MaxPool1d(2, ceil_mode=True), "ceil_mode leaves a partial window"),
    "indices": (nn.MaxPool1d(3, return_indices=True), "return_indices is not built"),
    "uncounted padding": (nn.AvgPool1d(2, 1, padding=1, count_include_pad=False),
                          "its windows hold 1 to 2 timesteps"),
    "adaptive": (nn.AdaptiveAvgPool1d(2), "must divide the 3 timesteps"),
    "softmax inside": (nn.Sequential(nn.Softmax(-1), nn.Linear(3, 2)),
                       "nothing may be computed from it"),
    "softmax over time": (nn.Softmax(1), "softmax must be over the last dimension"),
    "log_softmax": (nn.LogSoftmax(-1), "is computed by the host, not in hardware: cut the model"),
    "layer": (nn.Sequential(nn.LSTMCell(3, 2)), "LSTMCell '0': is not built: nn.LSTM, nn.GRU"),
    "layer norm": (nn.LayerNorm(3), "layer_norm: layernorm is computed by the host"),
    "embedding": (nn.Embedding(3, 2), "embedding is computed by the host"),
    "cell": (nn.LSTMCell(3, 2), "nn.LSTM, nn.GRU or nn.RNN over the whole sequence"),
    "unknown layer": (nn.Sequential(nn.Bilinear(3, 3, 3)),
                      "Bilinear '0': is not built; the layers of torch.nn that are: LSTM, GRU"),
    "a tuple": (nn.Sequential(lstm(), nn.Linear(5, 2)), "gets a tuple, not one tensor"),
    "function": (Net(lambda m, x: torch.cos(x)), r"forward\(\) uses cos, which is not built"),
    "method": (Net(lambda m, x: x.cumsum(1)), r"forward\(\) uses cumsum, which is not built"),
    "argument": (Net(lambda m, x: x.relu(1, 2)), r"calls relu in a way that is not read"),
    "attention": (Net(lambda m, x: x @ x.transpose(1, 2)), "a product of two computed tensors"),
    "decision": (Net(lambda m, x: x if x[:, 0] else -x), "decides by a computed value"),
    "writing": (Net(lambda m, x: x.__setitem__(0, 1)), "writes into a tensor"),
    "batch fixed": (Net(lambda m, x: x.view(32, -1)), "take sizes from x.size"),
    "batch_first forgotten": (
        Net(lambda m, x: m.fc(m.lstm(x)[0][:, -1, :]), lstm=nn.LSTM(3, 5), fc=FC),
        r"LSTM 'lstm': has batch_first=False, but its input is \(batch, 6, 3\)"),
    "dropout": (Net(lambda m, x: F.dropout(x)), "pass training=self.training"),
    "shapes": (Net(lambda m, x: x + x[:, :2]),
               r"add: .* \(batch, 6, 3\) is combined with one of \(2, 2, 3\)"),
    "constant shape": (Net(lambda m, x: x * torch.ones(5, 3)),
                       r"\(batch, 6, 3\) is combined with one of .*\(5, 3\)"),
    "to integers": (Net(lambda m, x: x.to(torch.int32)), r"to\(torch.int32\) rounds"),
    "to halves": (Net(lambda m, x: x.to(torch.float16)), r"to\(torch.float16\) rounds"),
    "state shape": (Net(lambda m, x: m.l(x, (torch.zeros(1, 2), torch.zeros(1, 2)))[0], l=lstm()),
                    r"must be \(layers \* directions, batch, hidden_size\) = \(1, batch, 5\)"),
    "state of each sample": (
        Net(lambda m, x: m.l(x, (torch.rand(1, len(x), 5), torch.rand(1, len(x), 5)))[0], l=lstm()),
        "must be the same for all samples"),
    "in place, then read": (Net(lambda m, x: F.relu(x, inplace=True) + x), "changed in place"),
    "a view of it read": (Net(lambda m, x: (x[:, 0], m.r(x))[0], r=nn.ReLU(True)), "in place"),
    "a view of it changed": (Net(lambda m, x: (x[:, 0].relu_(), x)[1]), "changed in place"),
    "added in place": (Net(lambda m, x: (x.__iadd__(1), x)[1]), r"changed in place \(inplace=True"),
    "its own error": (Net(lambda m, x: {}["no"]), r"forward\(\) of Net cannot be read, it raised "
                                                  "KeyError: 'no'"),
    "nothing": (Net(lambda m, x: None), "output 0 of forward"),
    "a computed index": (Net(lambda m, x: x[x[0, 0, 0]]), "takes a shape or an index from"),
    "mean over the batch": (Net(lambda m, x: x.mean()), "it mixes the samples of a batch"),
    "joined with ones": (Net(lambda m, x: torch.cat((torch.ones(len(x), 2, 3), x), 1)),
                         "joined with a constant other than zero"),
    "padded with ones": (Net(lambda m, x: F.pad(x, (1, 1), value=1.0)), "of zeros or by reflect"),
    "nothing but zeros": (Net(lambda m, x: m.fc(F.pad(x, (0, 0, 0, 3))[:, 6:]),
                              fc=nn.Linear(3, 2)), "reads nothing but zeros"),
    "empty slice": (Net(lambda m, x: x[:, 4:2]), "is empty"),
    "out of range": (Net(lambda m, x: x[:, 9]), "index 9 is out of bounds for dimension 1"),
    "nothing to build": (nn.Identity(), "there is nothing to build"),
}


@pytest.mark.parametrize(("module", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(module, words):
    with pytest.raises(UserError, match=words):
        from_torch(module.eval(), (STEPS, FEATURES))


@pytest.mark.parametrize(("run", "words"), [
    (lambda x: torch.tanh(x.flip(0)), "the samples of a batch change places"),
    (lambda x: torch.tanh(x[0]), "the samples of a batch are not treated alike"),
    (lambda x: torch.tanh(x) + x[:1], "the samples of a batch are not treated alike"),
    (lambda x: torch.cat((x[1:], x[:1])) * torch.tanh(x), "samples of a batch"),
    (lambda x: torch.tanh(x).mean(0), "mixes the samples of a batch"),
])
def test_samples_that_are_not_alike_are_refused(run, words):
    """The shape says with None where the batch is: so it is looked for nowhere else."""
    with pytest.raises(UserError, match=words):
        from_torch(Net(lambda _, x: run(x)), (None, STEPS, FEATURES))


def test_refused_hooks():
    module = nn.Linear(3, 2)
    module.register_forward_hook(lambda *_: None)
    with pytest.raises(UserError, match="Linear .* has hooks that may change what it computes"):
        from_torch(module, (STEPS, FEATURES))


def test_refused_weights():
    module = nn.Linear(3, 2)
    module.weight.data[0, 0] = float("nan")
    with pytest.raises(UserError, match="NaN or infinite"):
        from_torch(module, (STEPS, FEATURES))
    with pytest.raises(UserError, match="holds no weights yet"):
        from_torch(nn.Linear(3, 2, device="meta"), (STEPS, FEATURES))


@pytest.mark.parametrize(("module", "shape", "options", "words"), [
    (object(), (6, 3), {}, "takes a torch.nn.Module, not 'object'"),
    (nn.Identity(), 6, {}, r"input_shape must be \(timesteps, features\)"),
    (nn.Identity(), (6, "3"), {}, "input_shape must be"),
    (nn.Identity(), (), {}, "input_shape must be"),
    (nn.Linear(3, 2), (0, 3), {}, "timesteps must be an integer in 1..65536, not 0"),
    (nn.Linear(3, 2), (6, 3), {"outputs": 1}, r"outputs must be among 0..0: .* returns 1 tensor"),
], ids=str)
def test_refused_arguments(module, shape, options, words):
    with pytest.raises(UserError, match=words):
        from_torch(module, shape, **options)


def test_refused_scripts():
    with pytest.raises(UserError, match="not what torch.jit made of it"):
        from_torch(torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)), (3,))


# --- the size of the batch as a number

@pytest.mark.parametrize("run", [
    lambda self, x: self.lstm(x * x.shape[0])[0],
    lambda self, x: self.lstm(x)[0] / len(x),
    lambda self, x: self.lstm(x)[0][:, x.size(0)],
    lambda self, x: self.lstm(x)[0][:, :x.shape[0]],
    lambda self, x: self.lstm(x)[0] if x.shape[0] < 3 else self.lstm(x * 2)[0]])
def test_a_forward_that_computes_with_the_batch_is_refused(run):
    module = lively(Net(run, lstm=nn.LSTM(FEATURES, UNITS, batch_first=True)))
    with pytest.raises(UserError, match="depends on the size of the batch"):
        from_torch(module, (STEPS, FEATURES))


@pytest.mark.parametrize("run", [
    lambda self, x: self.lstm(x, (torch.zeros(1, x.shape[0], UNITS),) * 2)[0],
    lambda self, x: self.lstm(x)[0].reshape(len(x), -1),
    lambda self, x: self.lstm(x / x.shape[2])[0]])
def test_a_forward_may_use_the_batch_for_shapes(run):
    same(Net(run, lstm=nn.LSTM(FEATURES, UNITS, batch_first=True)))


@pytest.mark.parametrize("cut", ["auto", ("lstm", "lstm")])
def test_the_host_computes_what_lies_around_the_recurrent_layers(cut):
    """Tokens, an embedding and a normalisation in front, another and a softmax behind."""
    def run(self, x):
        y = self.lstm(self.first(self.words(x)))[0][:, -1]
        return F.log_softmax(self.head(torch.relu(self.then(y))), -1)
    module = lively(Net(run, words=nn.Embedding(9, 4), first=nn.LayerNorm(4), head=nn.Linear(5, 3),
                        lstm=nn.LSTM(4, 5, batch_first=True), then=nn.LayerNorm(5)))
    tokens = np.random.default_rng(2).integers(0, 9, (3, STEPS))
    network = from_torch(module, (STEPS,), cut=cut)
    assert "lstm" in [layer.kind for layer in network.layers]
    host = Host(network.around)
    frames, kept = host.before(host.inputs(tokens))
    (made,) = host.behind(split(forward(network, frames), network.output_shapes), kept)
    with torch.no_grad():
        np.testing.assert_allclose(made, module(torch.from_numpy(tokens)), rtol=1e-4, atol=1e-5)
