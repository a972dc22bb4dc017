"""Windows that overlap: the network of whole windows as one of frames of new samples.

A window begins ``hop`` samples after the one before. Column n of a convolution over it is then, as
long as nothing is padded, column n + hop / strides of the window before. So a frame brings the new
samples alone, each layer of the leading stack computes its new columns, and a
:class:`~gatefold.gen.network.views.History` puts the old ones in front of them for whoever reads
more. All other layers compute whole windows, as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import lcm

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.network.graph import Graph, Network
from gatefold.gen.network.layer import Layer, Shape
from gatefold.gen.network.layers import Dense, MaxPool, Multiply, Window
from gatefold.gen.network.views import History, Slice, View

__all__ = ["MOST_FRAMES", "Wired", "frames_of", "of_frames", "overlapping", "windows_of", "wired"]

#: The most frames from which a layer may read: the program has instructions for each of them.
MOST_FRAMES = 64


@dataclass(frozen=True)
class Wired:
    """A layer of the network of frames: layer number ``n`` of the network of windows, or a new
    ``view``; and the values that it reads."""

    inputs: tuple[int, ...]
    n: int = -1
    view: View | None = None


def overlapping(network: Network, hop: int) -> Network:
    """The network that takes ``hop`` samples a frame and computes what ``network`` computes of the
    newest window: with a frame that begins a recording, everything before it counts as zero.

    Raises :class:`UserError` where that would compute no less, and for another ``hop`` than those
    that the layers' strides allow.
    """
    return of_frames(network, hop, *wired(network, hop))


def of_frames(network: Network, hop: int, layers: Sequence[Wired],
              outputs: tuple[int, ...]) -> Network:
    """The network of frames of ``hop`` samples with the layers and outputs of :func:`wired`."""
    made = tuple(replace(network.layers[layer.n] if layer.view is None else layer.view,
                         inputs=layer.inputs) for layer in layers)
    (window, features), = network.input_shapes
    return replace(network, input_shapes=((hop, features),), layers=made, outputs=outputs,
                   window=window)


def wired(network: Network, hop: int) -> tuple[list[Wired], tuple[int, ...]]:
    """The layers of the network of frames, and its outputs. Raises as :func:`overlapping`."""
    _check_network(network)
    strides = _strides(network)
    _check_hop(network, strides, hop)
    return _Wiring(network, strides, hop).done()


def windows_of(recording: np.ndarray, window: int, hop: int) -> np.ndarray:
    """The windows (windows, window, features) of a recording (samples, features), one every
    ``hop`` samples."""
    first = np.arange((len(recording) - window) // hop + 1) * hop
    return recording[first[:, None] + np.arange(window)]


def frames_of(graph: Graph, recordings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Recordings (recordings, samples, features) in frames of ``graph``, which has a window.

    The frames (frames, hop, features), of one recording after the other; of each, whether it begins
    a recording, and whether its answer is that of a whole window: of the first ``window`` samples,
    and then of a window every ``hop`` samples. Zeros in front of a recording fill its first frame;
    samples behind its last window are left out.
    """
    (hop, features), = graph.input_shapes
    count, samples, _ = recordings.shape
    windows = (samples - graph.window) // hop + 1
    front = graph.spans * hop - graph.window
    used = np.pad(recordings[:, :graph.window + (windows - 1) * hop],
                  [(0, 0), (front, 0), (0, 0)])
    each = np.arange(used.shape[1] // hop)
    return (used.reshape(-1, hop, features), np.tile(each == 0, count),
            np.tile(each >= graph.spans - 1, count))


# ---- what moves --------------------------------------------------------------------------------


def _strides(network: Network) -> list[int]:
    """Of each value by how many samples its columns are apart, 0 where they do not move along with
    the samples."""
    strides = [1]
    for n, layer in enumerate(network.layers):
        before = [strides[value] for value in layer.inputs]
        shapes = network.shapes_into(n)
        own = _own_stride(layer, shapes) if all(before) and len(set(before)) == 1 else 0
        strides.append(before[0] * own if own else 0)
    return strides


def _own_stride(layer: Layer, shapes: Sequence[Shape]) -> int:
    """How many rows of its inputs the rows of a layer's value are apart; 0 where a row depends on
    more than the rows at a fixed distance from it."""
    if any(len(shape) != 2 for shape in shapes):
        return 0
    if isinstance(layer, View):
        return 0 if layer.stateful else _moves(layer, shapes)
    window = _window(layer)
    return window.stride if window and not window.left and not window.right else 0


def _window(layer: Layer) -> Window | None:
    """The rows of its inputs that a row of a layer's value depends on, if it is such a layer."""
    if isinstance(layer, Multiply):
        return Window(1)
    if isinstance(layer, Dense | MaxPool):
        return layer.window or Window(1)
    return None


def _moves(view: View, shapes: Sequence[Shape]) -> int:
    """:func:`_own_stride` of a view: where each element comes from says it."""
    numbers, count = [], 0
    for rows, features in shapes:
        # The row of an element and, apart, which element of a row it is.
        at = np.arange(rows)[:, None] + (count + np.arange(features)) * 1j
        numbers.append(at[None])
        count += features
    made = view.arrange(*numbers, fill=-1)[0]
    if made.ndim != 2 or (made == -1).any() or len({rows for rows, _ in shapes}) > 1:
        return 0
    apart = np.unique(np.diff(made, axis=0))
    if len(made) < 2 or len(apart) != 1 or apart[0].imag or apart[0].real < 1:
        return 0
    return int(apart[0].real)


def _check_network(network: Network) -> None:
    """Refuse networks whose windows are no windows of one recording."""
    if len(network.input_shapes) > 1 or len(network.input_shape) != 2:
        raise UserError("--hop needs a network with one input (timesteps, features), not "
                        f"{' and '.join(map(str, network.input_shapes))}: leave it out")
    if network.around is not None:
        raise UserError("--hop does not go with a model that is cut: the host's part takes whole "
                        "windows: leave it out")
    if network.stateful:
        raise UserError("--hop does not go with a network that keeps its state from window to "
                        "window, which overlap: leave it out")


def _check_hop(network: Network, strides: list[int], hop: int) -> None:
    """Refuse networks without columns to reuse, and distances that cannot be with those that can.
    """
    moving = [n for n, layer in enumerate(network.layers)
              if layer.computes and strides[network.value(n)]]
    if not moving:
        first = next(n for n, layer in enumerate(network.layers) if layer.computes)
        raise UserError(f"--hop has nothing to reuse: {network.names[first]} {_why(network, first)}"
                        "; the network must begin with convolutions that pad nothing (VALID)")
    step = lcm(*(strides[network.value(n)] for n in moving))
    # From there on no layer has a column that the window before had.
    end = max(strides[network.value(n)] * network.shapes[network.value(n)][0] for n in moving)
    last = (end - 1) // step * step
    first = next((n for n in range(step, end, step)
                  if _Wiring(network, strides, n).frames() <= MOST_FRAMES), None)
    if first is None:
        raise UserError(f"--hop has nothing to reuse: the strides demand multiples of {step} "
                        f"samples, and windows that begin {end} or more samples apart share no "
                        "column: leave it out")
    if hop % step or not first <= hop <= last:
        what = f"a multiple of {step} from " if step > 1 else "from "
        raise UserError(
            f"--hop must be {what}{first} to {last} for this network, not {hop}: below, a layer "
            f"reads columns of more than {MOST_FRAMES} frames, and from {end} on a window shares "
            "no column with the one before")


def _why(network: Network, n: int) -> str:
    """What keeps the columns of a layer from moving along with the samples."""
    window = _window(network.layers[n])
    if window and (window.left or window.right):
        return "pads its input, so its columns at the borders differ from window to window"
    return "depends on where its window begins"


# ---- the new network ---------------------------------------------------------------------------


class _Wiring:
    """The network of frames while its layers are listed.

    Of each value of the network of windows it knows its number here: of all of it, or, of
    ``moving`` ones, of its new rows."""

    def __init__(self, network: Network, strides: list[int], hop: int):
        self.network, self.strides, self.hop = network, strides, hop
        self.layers: list[Wired] = []
        self.values = [0]
        self.moving = {0}
        self._made: dict[tuple[int, View], int] = {}
        for n, layer in enumerate(network.layers):
            self.values.append(self._add(n, layer))

    def done(self) -> tuple[list[Wired], tuple[int, ...]]:
        """The layers and outputs."""
        outputs = tuple(self._all(value) for value in self.network.outputs)
        return self.layers, outputs

    def frames(self) -> int:
        """The most frames that any history spans."""
        return max((-(-layer.view.reach // self._new(value)) for layer in self.layers
                    if isinstance(layer.view, History)
                    for value in self.moving if (self.values[value],) == layer.inputs), default=1)

    def _new(self, value: int) -> int:
        """Rows of a value that are new in a frame."""
        return self.hop // self.strides[value]

    def _append(self, layer: Wired) -> int:
        self.layers.append(layer)
        return len(self.layers)

    def _add(self, n: int, layer: Layer) -> int:
        network, value = self.network, self.network.value(n)
        window, stride = _window(layer), self.strides[value]
        rows = network.shapes[value][0]
        if window is None or not stride or self._new(value) >= rows:
            return self._append(Wired(tuple(map(self._all, layer.inputs)), n))
        self.moving.add(value)
        begin = (rows - self._new(value)) * window.stride
        end = (rows - 1) * window.stride + (window.size - 1) * window.dilation + 1
        return self._append(Wired(tuple(self._rows(read, begin, end) for read in layer.inputs), n))

    def _all(self, value: int) -> int:
        """All rows of a value."""
        if value not in self.moving:
            return self.values[value]
        return self._rows(value, 0, self.network.shapes[value][0])

    def _rows(self, value: int, begin: int, end: int) -> int:
        """Some rows of a value, counted in the window."""
        rows = self.network.shapes[value][0]
        if value in self.moving:
            view: View = History(timesteps=end - begin, behind=rows - end)
            if (view.timesteps, view.behind) == (self._new(value), 0):
                return self.values[value]
        elif (begin, end) == (0, rows):
            return self.values[value]
        else:
            view = Slice(start=begin, stop=end)
        key = (value, view)
        if key not in self._made:
            self._made[key] = self._append(Wired((self.values[value],), view=view))
        return self._made[key]
