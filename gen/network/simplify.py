"""Network to network: the same function with fewer layers.

Frontends make a layer for everything that a file calls one. Here activations, scales and linear
layers join the matrices beside them, and views that cancel out and layers that are not read are
removed.

The rules look through views. The origins of the elements of a value are computed with the views'
own :meth:`~.View.arrange` on element numbers, so the rules need not know the single views.
"""

from __future__ import annotations

import math
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

    - A Dense labelled ``activation`` or ``scale`` joins the linear Dense layers (Conv1D, Add, ...)
      that make its input and that nothing else reads.
    - Else a ``scale`` joins the Dense and recurrent layers that read it, if all of them can take
      it: every column of a matrix must meet one gain and one offset at all steps.
    - A linear Dense joins the Dense layers that read it, if that takes no more multiplications.
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
        while any([graph.apply(rule) for rule in (_join_after, _join_product)]):
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
    origin: _Origin | None = None  # of a view
    looked: tuple = ()  # what origin was computed from

    @property
    def view(self) -> View | None:
        """The layer, where it is a view."""
        return self.layer if isinstance(self.layer, View) else None

    @property
    def dense(self) -> Dense | None:
        """The layer, where it is a Dense of floats: what rounds to int8 is joined with nothing."""
        return self.layer if type(self.layer) is Dense else None


@dataclass(frozen=True, eq=False)
class _Origin:
    """The origins of the elements of a value.

    Attributes: ``roots``, the values, none of them a view, that the elements come from;
    ``numbers``, an array of the value's shape: of each element its number among the elements of all
    roots, one root after the other; -1 for padding.
    """

    roots: tuple[_Node, ...]
    numbers: np.ndarray

    def places(self, root: _Node) -> tuple[np.ndarray, np.ndarray]:
        """Which elements come from ``root`` (booleans of the value's shape), and the features of
        ``root`` that these are, in the order of the elements."""
        first = sum(_size(one) for one in self.roots[:self.roots.index(root)])
        there = (self.numbers >= first) & (self.numbers < first + _size(root))
        return there, (self.numbers[there] - first) % root.shape[-1]

    def numbered(self, first: dict[_Node, int]) -> np.ndarray:
        """``numbers``, if the elements of each root begin with the number ``first`` of the root."""
        sizes = [_size(root) for root in self.roots]
        ends = np.cumsum(sizes)
        moved = np.array([first[root] for root in self.roots]) - (ends - sizes)
        found = self.numbers + moved[np.searchsorted(ends, self.numbers, side="right")]
        return np.where(self.numbers < 0, -1, found).astype(np.int32)


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
        changed = aside = False
        for node in list(self.nodes):
            if node.layer is None or not (node.readers or node in self.outputs):
                continue
            instead = rule(self, node)
            if instead is None:
                continue
            changed = True
            if instead is not node:
                for reader in node.readers:
                    reader.reads = [instead if one is node else one for one in reader.reads]
                self.outputs = [instead if one is node else one for one in self.outputs]
            if node.reads == [instead] and not any(one.view for one in (node, *node.readers)):
                # No view sees the change, so all that `_look` would find is this.
                others = [one for one in instead.readers if one is not node]
                instead.readers = sorted(others + node.readers, key=lambda one: one.order)
                node.readers, aside = [], True
            else:
                self._look()
        if aside:
            self._look()
        return changed

    def behind(self, node: _Node) -> list[tuple[_Node, _Node]] | None:
        """(value, reader) of all layers that read ``node`` or, through views, its elements; None if
        these are in an output."""
        found, values = [], [node]
        for value in values:
            if value in self.outputs:
                return None
            for reader in dict.fromkeys(value.readers):
                if not reader.view:
                    found.append((value, reader))
                elif reader not in values:
                    values.append(reader)
        return found

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
            if node.view and _size(node) <= min(budget, _MOST_ELEMENTS):
                budget -= _size(node)
                looked = (node.layer, *node.reads, *(one.origin for one in node.reads))
                if len(looked) != len(node.looked) or any(
                        a is not b for a, b in zip(looked, node.looked, strict=True)):
                    node.looked, node.origin = looked, _origin_of_view(node)
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
        return replace(before, layers=layers,
                       outputs=tuple(number[node] for node in self.outputs))


def _size(node: _Node) -> int:
    return math.prod(node.shape)


def _origin(value: _Node) -> _Origin | None:
    """The origins of a value's elements; None if there are too many elements."""
    if value.view:
        return value.origin
    if _size(value) > _MOST_ELEMENTS:
        return None
    return _Origin((value,), np.arange(_size(value), dtype=np.int32).reshape(value.shape))


def _origin_of_view(node: _Node) -> _Origin | None:
    """The origins of the elements of a view, from those of what it reads."""
    origins = [origin for origin in map(_origin, node.reads) if origin]
    first, total = {}, 0
    for root in (root for origin in origins for root in origin.roots):
        if root not in first:
            first[root] = total
            total += _size(root)
    if not node.view or len(origins) < len(node.reads) or total > _MOST_IN_ALL:
        return None
    numbers = node.view.arrange(*(origin.numbered(first)[None] for origin in origins), fill=-1)[0]
    return _Origin(tuple(first), numbers)


# ---- rules: each returns the node that takes a node's place (or itself, changed), or None


def _same_elements(graph: _Graph, node: _Node) -> _Node | None:
    """A view that leaves all elements of a value in their places is replaced by that value."""
    if node.origin is None or len(node.origin.roots) != 1:
        return None
    (root,), numbers = node.origin.roots, node.origin.numbers
    same = root.shape == node.shape and np.array_equal(numbers.ravel(), np.arange(numbers.size))
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
    """A diagonal Dense joins the linear Dense layers that make its input."""
    layer = node.dense
    if not (layer and layer.label in _DIAGONAL):
        return None
    read = node.reads[0]
    origin = _origin(read)
    if origin is None or (origin.numbers < 0).any():
        return None
    gains, offsets = (np.broadcast_to(values, read.shape) for values in (layer.w.diagonal(),
                                                                         layer.b))
    joined = []
    for maker in origin.roots:
        before = maker.dense
        if not (before and before.activation == "linear"
                and graph.behind(maker) == [(read, node)]):
            return None
        # Gain and offset of each feature of the maker must be the same wherever it goes.
        there, features = origin.places(maker)
        gain = _of_each(features, gains[there], before.outputs, 1)
        offset = _of_each(features, offsets[there], before.outputs, 0)
        if gain is None or offset is None:
            return None
        joined.append(replace(before, w=before.w * gain[:, None], b=before.b * gain + offset,
                              activation=layer.activation))
    for maker, after in zip(origin.roots, joined, strict=True):
        maker.layer = after
    return read


def _join_after(graph: _Graph, node: _Node) -> _Node | None:
    """A scale joins the Dense and recurrent layers that read it."""
    layer = node.dense
    readers = graph.behind(node)
    if not (layer and layer.label == "scale" and layer.activation == "linear" and readers):
        return None
    joined = []
    for value, reader in readers:
        if [n for n, one in enumerate(reader.reads) if one is value] != [0]:
            return None  # as an initial state, or as both factors of a product
        found = _columns(value, node, layer)
        after = reader.layer.scaled(*found) if reader.layer and found else None
        if after is None:
            return None
        joined.append((reader, after))
    for reader, after in joined:
        reader.layer = after
    return node.reads[0]


def _join_product(graph: _Graph, node: _Node) -> _Node | None:
    """A linear Dense joins the Dense layers that read it. Whether it does depends on shapes alone,
    so that other weights of the same model fit the same core."""
    first = node.dense
    if not (first and _plain(first) and first.activation == "linear" and node.readers
            and node not in graph.outputs):
        return None
    joined = []
    for reader in node.readers:
        layer = reader.dense
        if not (layer and _plain(layer)):
            return None
        w = layer.w.astype(np.float64)
        joined.append((reader, replace(layer, w=w @ first.w, b=w @ first.b + layer.b)))
    outputs = sum(layer.outputs for _, layer in joined)
    if outputs * first.features > first.outputs * (first.features + outputs):
        return None
    for reader, layer in joined:
        reader.layer = layer
    return node.reads[0]


def _plain(layer: Dense) -> bool:
    """Whether a Dense is a whole matrix on each vector, as people write them."""
    return layer.window is None and layer.pattern is None and not layer.label


def _columns(value: _Node, node: _Node, scale: Dense) -> tuple[np.ndarray, np.ndarray] | None:
    """Gain and offset that ``scale``, the layer of ``node``, gives to each feature of ``value``, a
    view of it and perhaps of other values; None if they differ from step to step."""
    origin = _origin(value)
    if origin is None:
        return None
    there, features = origin.places(node)
    source = np.full(value.shape, -1)  # the feature of the scale; -1, it is another value's
    source[there] = features
    column = np.broadcast_to(np.arange(value.shape[-1]), value.shape)
    padding = origin.numbers < 0
    found = _of_each(column[~padding], source[~padding], value.shape[-1], -1)
    if found is None:
        return None
    gain, offset = (np.where(found < 0, other, values[found].astype(np.float64))
                    for values, other in ((scale.w.diagonal(), 1), (scale.b, 0)))
    return None if offset[column[padding]].any() else (gain, offset)  # padding takes no offset


def _of_each(which: np.ndarray, values: np.ndarray, count: int, other: int) -> np.ndarray | None:
    """The one value (count,) of each number in ``which``, ``other`` of those that do not occur;
    None if a number has several values."""
    found = np.full(count, other, values.dtype)
    found[which] = values
    return found if (found[which] == values).all() else None


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
