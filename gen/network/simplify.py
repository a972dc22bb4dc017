"""Network to network: the same function with fewer layers.

Frontends make a layer for everything that a file calls one. Here activations and scales join the
matrices beside them, and views that cancel out and layers that are not read are removed.

The rules look through views. The origin of every element of a value is computed with the views' own
:meth:`~.View.arrange` on element numbers, so the rules need not know the single views.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Dense, Layer, Shape
from gatefold.gen.network.views import Slice, View

__all__ = ["simplify"]

#: Most elements of one value, and of all, whose origins are computed: rules leave others alone.
_MOST_ELEMENTS, _MOST_IN_ALL = 1 << 20, 1 << 23
#: Labels of Dense layers that act on each feature alone.
_DIAGONAL = ("activation", "scale")
#: Activations whose values are never negative.
_NOT_NEGATIVE = ("relu", "sigmoid", "hard_sigmoid")


def simplify(network: Network) -> Network:
    """``network`` with fewer layers, the same function of floats.

    - A Dense labelled ``activation`` or ``scale`` joins the linear Dense (a Conv1D, an Add, ...)
      that makes its input, also through views; else a ``scale`` joins the Dense or recurrent layer
      that reads it. The values in between must have no other reader.
    - A relu of a value that is never negative is removed; so are views that change nothing, alone
      or together (two reversals), and layers that are not read.
    - Equal Dense layers on all steps of one value become one layer on the value (an unrolled
      TimeDistributed).

    ``outputs`` and ``host`` mean the same values as before, ``source`` is kept.
    """
    graph = _Graph(network)
    with np.errstate(over="ignore"):  # a product that is infinite is refused as a weight
        rules = (_same_elements, _dead_relu, _join_before, _roll)
        while any([graph.apply(rule) for rule in rules]):
            pass
        while graph.apply(_join_after):
            pass
    return graph.network(network)


@dataclass(eq=False)
class _Node:
    """A value: ``layer`` makes it from the values ``reads``; ``layer`` is None for an input."""

    layer: Layer | None
    reads: list[_Node]
    shape: Shape
    order: float = 0  # its place among the others
    readers: list[_Node] = field(default_factory=list)  # once for each time that it is read
    origin: tuple[_Node, np.ndarray] | None = None  # of a view: see _origin
    looked: tuple = ()  # what origin was computed from

    @property
    def view(self) -> View | None:
        """The layer, where it is a view."""
        return self.layer if isinstance(self.layer, View) else None

    @property
    def dense(self) -> Dense | None:
        """The layer, where it is a Dense."""
        return self.layer if isinstance(self.layer, Dense) else None


class _Graph:
    """The values, each after those that it reads."""

    def __init__(self, network: Network):
        shapes = network.shapes
        self.nodes = [_Node(None, [], shape) for shape in network.input_shapes]
        for layer, shape in zip(network.layers, shapes[len(self.nodes):], strict=True):
            self.nodes.append(_Node(layer, [self.nodes[value] for value in layer.inputs], shape))
        self.outputs = [self.nodes[value] for value in network.outputs]
        for n, node in enumerate(self.nodes):
            node.order = n
        self._look()

    def apply(self, rule) -> bool:
        """Try ``rule`` on every node: it changes layers and returns the node for its place."""
        changed = False
        for node in list(self.nodes):
            if node.layer is None or not (node.readers or node in self.outputs):
                continue
            instead = rule(self, node)
            if instead is None:
                continue
            if instead is not node:
                for reader in node.readers:
                    reader.reads = [instead if one is node else one for one in reader.reads]
                self.outputs = [instead if one is node else one for one in self.outputs]
            changed = True
            self._look()
        return changed

    def alone(self, node: _Node) -> bool:
        """Whether the node has one reader, which reads it once, and is no output."""
        return len(node.readers) == 1 and node not in self.outputs

    def _look(self) -> None:
        """Drop values without a reader; find every value's readers and its elements' origins."""
        wanted, left = set(), list(self.outputs)
        while left:
            node = left.pop()
            if node not in wanted:
                wanted.add(node)
                left += node.reads
        for node in self.nodes:
            node.readers = []
        self.nodes = sorted((node for node in self.nodes if node in wanted or node.layer is None),
                            key=lambda node: node.order)
        budget = _MOST_IN_ALL
        for n, node in enumerate(self.nodes):
            node.order = n
            for one in node.reads:
                one.readers.append(node)
            size = int(np.prod(node.shape))
            if node.view and size <= min(budget, _MOST_ELEMENTS):
                budget -= size
                looked = (node.layer, *node.reads, *(one.origin for one in node.reads))
                if len(looked) != len(node.looked) or any(
                        a is not b for a, b in zip(looked, node.looked, strict=True)):
                    node.looked, node.origin = looked, _origin(node)
            else:
                node.looked, node.origin = (), None

    def insert(self, layer: Layer, reads: list[_Node], near: _Node) -> _Node:
        """A new value before ``near``, which has no reader yet."""
        shape = layer.output_shape(*(one.shape for one in reads))
        node = _Node(layer, reads, shape, near.order - 0.5)
        self.nodes.append(node)
        return node

    def network(self, before: Network) -> Network:
        """The network of the remaining values."""
        number = {node: n for n, node in enumerate(self.nodes)}
        layers = tuple(replace(node.layer, inputs=tuple(number[one] for one in node.reads))
                       for node in self.nodes if node.layer is not None)
        return Network(before.input_shapes, layers, before.source,
                       tuple(number[node] for node in self.outputs), before.host)


def _origin(node: _Node) -> tuple[_Node, np.ndarray] | None:
    """The value, itself no view, that all elements of ``node`` come from, and their numbers in it,
    an array of the shape of ``node`` with -1 for padding. None if there are several."""
    roots, numbers = set(), []
    for one in node.reads:
        root, ids = one.origin or (one, None)
        if ids is None:
            if one.view or np.prod(one.shape) > _MOST_ELEMENTS:
                return None
            ids = np.arange(np.prod(one.shape), dtype=np.int32).reshape(one.shape)
        roots.add(root)
        numbers.append(ids[None])
    if len(roots) != 1 or not node.view:
        return None
    return roots.pop(), node.view.arrange(*numbers, fill=-1)[0]


# ---- rules: each returns the node that takes a node's place (or itself, changed), or None


def _same_elements(graph: _Graph, node: _Node) -> _Node | None:
    """A view that leaves all elements of a value in their places is replaced by that value."""
    if node.origin is None:
        return None
    root, ids = node.origin
    same = root.shape == node.shape and np.array_equal(ids.ravel(), np.arange(ids.size))
    return root if same else None


def _dead_relu(graph: _Graph, node: _Node) -> _Node | None:
    """A relu of a value that is never negative is removed."""
    layer = node.dense
    if not (layer and layer.label == "activation" and not np.any(layer.b)
            and layer.activation == "relu" and (layer.w.diagonal() == 1).all()):
        return None
    left, seen = [node.reads[0]], set()
    while left:
        one = left.pop()
        if one in seen:
            continue
        seen.add(one)
        if one.layer and one.layer.keeps_sign:
            left += one.reads
        elif not (one.layer and one.layer.last_activation in _NOT_NEGATIVE):
            return None
    return node.reads[0]


def _join_before(graph: _Graph, node: _Node) -> _Node | None:
    """A diagonal Dense joins the linear Dense that makes its input."""
    layer = node.dense
    if not (layer and layer.label in _DIAGONAL):
        return None
    maker = node.reads[0]
    while maker.view and len(maker.reads) == 1 and graph.alone(maker):
        maker = maker.reads[0]
    before = maker.dense
    if not (before and before.activation == "linear" and graph.alone(maker)):
        return None
    read = node.reads[0]
    ids = _numbers(read, maker)
    if ids is None or (ids < 0).any():
        return None
    # Gain and offset of each feature of the maker must be the same wherever it goes.
    features = ids % maker.shape[-1]
    gain, offset = np.ones(maker.shape[-1]), np.zeros(maker.shape[-1])
    for values, wanted in ((gain, layer.w.diagonal()), (offset, layer.b)):
        wanted = np.broadcast_to(wanted, ids.shape)
        values[features] = wanted
        if (values[features] != wanted).any():
            return None
    maker.layer = replace(before, w=before.w * gain[:, None], b=before.b * gain + offset,
                          activation=layer.activation)
    return read


def _join_after(graph: _Graph, node: _Node) -> _Node | None:
    """A scale joins the Dense or recurrent layer that reads it."""
    layer = node.dense
    if not (layer and layer.label == "scale" and layer.activation == "linear"):
        return None
    last = node  # the value that the reader gets: the scale's, or a view of it
    while graph.alone(last) and last.readers[0].view and len(last.readers[0].reads) == 1:
        last = last.readers[0]
    reader = last.readers[0] if graph.alone(last) else None
    ids = _numbers(last, node)
    if reader is None or reader.reads[0] is not last or ids is None or (ids < 0).any():
        return None
    features = (ids % node.shape[-1]).reshape(-1, last.shape[-1])
    if (features != features[0]).any():
        return None  # the reader's features are not the scale's at every step
    gain, offset = (values[features[0]].astype(np.float64)
                    for values in (layer.w.diagonal(), layer.b))
    after = reader.layer and reader.layer.scaled(gain, offset)
    if after is None:
        return None
    reader.layer = after
    return node.reads[0]


def _roll(graph: _Graph, node: _Node) -> _Node | None:
    """Equal Dense layers on all steps of one value become one on the value, and its steps."""
    layer = node.dense
    if _step(node) != 0 or not layer:
        return None
    whole = node.reads[0].reads[0]
    equal = [other for view in dict.fromkeys(whole.readers) for other in view.readers
             if _step(other) is not None and _equal(layer, other.dense)]
    if len({_step(other) for other in equal}) < max(2, whole.shape[0]):
        return None
    rolled = graph.insert(layer, [whole], min((other.reads[0] for other in equal),
                                              key=lambda other: other.order))
    for other in equal:
        other.layer, other.reads = other.reads[0].layer, [rolled]
    return node


def _step(node: _Node) -> int | None:
    """The timestep of a sequence that a Dense reads; None for other layers."""
    view = node.reads[0].view
    if not (node.dense and node.dense.window is None and isinstance(view, Slice)
            and view.drop and view.axis == 0):
        return None
    return view.start % node.reads[0].reads[0].shape[0]


def _equal(a: Dense, b: Dense | None) -> bool:
    """Whether two Dense layers are the same function."""
    return (b is not None and (a.activation, a.label) == (b.activation, b.label)
            and np.array_equal(a.w, b.w) and np.array_equal(a.b, b.b)
            and (a.pattern is b.pattern or (a.pattern is not None and b.pattern is not None
                                            and np.array_equal(a.pattern, b.pattern))))


def _numbers(value: _Node, root: _Node) -> np.ndarray | None:
    """Numbers of ``root``'s elements in ``value``, which is ``root`` or a view of it alone."""
    if value is root:
        return np.arange(np.prod(root.shape)).reshape(root.shape)
    if value.origin is None or value.origin[0] is not root:
        return None
    return value.origin[1]
