"""An ONNX model, cut: the part with the recurrent layers becomes a network, the host does the rest.

The graph is run once in NumPy (:mod:`.evaluate`), so that the shapes of its tensors are known. The
core is what hardware can do around the recurrent layers: every node that the reader of graphs
refuses moves to the host, with all that comes before it, or all that comes behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gatefold.gen.errors import quoted
from gatefold.gen.frontends.builder import Incomplete
from gatefold.gen.frontends.cuts import (
    NO_RECURRENT,
    Cut,
    CutError,
    Steps,
    begins_nowhere,
    core_ports,
)
from gatefold.gen.frontends.elements.trace import BatchAxisError
from gatefold.gen.frontends.onnx import graph as whole
from gatefold.gen.frontends.onnx.ends import LOOPS, end_at, recurs
from gatefold.gen.frontends.onnx.evaluate import Flat, Step, is_recurrent, steps_axis
from gatefold.gen.frontends.onnx.inputs import flat_on_samples
from gatefold.gen.frontends.onnx.ops import MOVES
from gatefold.gen.frontends.onnx.proto import Model, as_text, names_read
from gatefold.gen.frontends.sizes import AS_DECLARED, Sizes
from gatefold.gen.network.around import Around, Port
from gatefold.gen.network.graph import Network, Shape, joined
from gatefold.gen.network.rounding import rounding_error
from gatefold.gen.network.states import PORTS
from gatefold.gen.network.summary import Row

__all__ = ["maker"]

#: Inputs of a recurrent operator ahead of its initial states.
_INITIAL = 5
#: Rounds in which refused nodes leave the core.
_MOST_ROUNDS = 24
#: The relative error of the recurrent layers' results for which layers with weights stay in the
#: core ahead of them; behind, that of the model's result is about three times as large.
_COST = 2e-3


def maker(cut: Cut) -> whole.Maker:
    """What makes the network of a model that is cut (:func:`~.graph.parse`)."""
    return lambda model, constants, sizes, _every: _network(model, constants, sizes, cut)


def _network(model: Model, constants: Mapping[str, np.ndarray], sizes: Sizes, cut: Cut) -> Network:
    """The network of the model's core, with what is around it.

    Raises :class:`UserError` where the model has no recurrent layer, where something that hardware
    cannot do lies between two of them, and for names in ``cut`` that there are not.
    """
    if not recurs(model.graph):
        raise CutError(NO_RECURRENT)
    begins_nowhere(cut, "an ONNX file can hold the part behind a tensor as a model "
                        "(onnx.utils.extract_model)")
    if cut.end is not None:
        end_at(model.graph, cut.end)
    ports, flat = flat_on_samples(model, constants, sizes)
    found = _Graph(flat)
    if not cut.named:
        return found.with_host(found.automatic(), ports)
    names = {as_text(name): step.origin for step in found.steps for name in step.node.output}
    ends = [name if name in found.order.names else names.get(name or "", name)
            for name in (cut.first, cut.last)]
    found.core = found.order.named(Cut(*ends))
    return found.with_host(found.network(), ports)


# ---- the cut ------------------------------------------------------------------------------------


@dataclass
class _Part:
    """Steps by number, and the tensors that they take from elsewhere and give to it."""

    steps: list[int]
    takes: list[str]
    gives: list[str]


class _Graph:
    """The steps of a flat graph, of which some become the core."""

    def __init__(self, flat: Flat):
        self.flat, self.steps = flat, _with_names(flat.steps)
        self.maker = {name: n for n, step in enumerate(self.steps) for name in step.node.output}
        self.reads = [[name for name in names_read(step.node) if name in flat.values]
                      for step in self.steps]
        recurrent = [n for n, step in enumerate(self.steps) if is_recurrent(step.node)]
        self.order = Steps(
            [step.origin for step in self.steps],
            [[self.maker[name] for name in names if name in self.maker] for names in self.reads],
            recurrent or [n for n, step in enumerate(self.steps) if step.kind in LOOPS])
        self.core: set[int] = set()
        #: Masks and lengths that the core takes as constants: no timestep is skipped.
        self.whole: dict[str, np.ndarray] = {}

    def automatic(self) -> Network:
        """The network of all that hardware can do around the recurrent layers."""
        order, host = self.order, set[int]()
        names = {step.origin: n for n, step in enumerate(self.steps)}
        for _ in range(_MOST_ROUNDS):
            self.core = set(range(len(self.steps))) - host
            while wrong := self.no_floats():
                host = host.union(*order.leave(wrong))
                self.core -= host
            self.core -= self.unrelated()
            try:
                network = self.network()
                lead = self.leading(network) if host & order.ahead else set()
                if not lead:
                    return network
                self.core -= lead
                return self.network()
            except Incomplete as error:
                found = [replace(one, advice="") for one in error.refusals.found]
                texts = {names[one.origin]: one.what for one in found if one.origin in names}
                # What lies behind is judged when what it reads is no stand-in any more.
                refused = set(texts) & order.ahead - order.recurrent or set(texts)
                if refused & order.recurrent:  # for a Softmax that it reads, perhaps
                    refused = {n for n in self.core & order.before(refused & order.recurrent)
                               if self.steps[n].kind == "Softmax"}
                if not refused:
                    raise Incomplete(replace(error.refusals, found=found), error.builder) from None
            host = host.union(*order.leave(refused, next(
                (texts[n] for n in sorted(texts) if n in order.ahead & order.after), "")))
        raise CutError("no cut was found: name the ends of the core with --from and --to")

    def unrelated(self) -> set[int]:
        """Steps of the core that have nothing to do with the recurrent layers and do not multiply,
        nor do those before and behind them in the core: it would only hand the values on. One
        between steps that stay in the core stays as well."""
        order = self.order
        left = self.core - order.before(self.core & (order.ahead | order.after))
        found = {n for n in left if not any(
            self.steps[k].macs for k in (order.before([n]) | order.behind([n])) & left)}
        stay = self.core - found
        return found - (order.behind(stay) & order.before(stay))

    def leading(self, network: Network) -> set[int]:
        """Steps with which the core begins, and that a host which computes what comes before
        computes as well, up to the last that does more than give a tensor another shape.

        Those without weights: often they make many elements few. And all, where 16 bits ahead of
        the recurrent layers would cost these more than :data:`_COST`.
        """
        found: set[int] = set()
        ahead = self.core & self.order.ahead - self.order.after - self.initial()
        if any(self.steps[n].macs for n in ahead) and self.error(network) > _COST:
            return ahead & self.order.before(filter(self.changes, ahead))
        for n in sorted(ahead):
            step = self.steps[n]
            made = [self.flat.values[name] for name in step.node.output if name]
            if not step.macs and all(value is not None and value.dtype.kind == "f" and value.ndim
                                     for value in made) and (
                                         set(self.order.needs[n]) & self.core <= found):
                found.add(n)
        kept = {name for n in self.core - found for name in self.reads[n]}
        changed = {n for n in found if self.changes(n) and kept.isdisjoint(self.reads[n])}
        turned = found & self.order.before(changed)
        made = {name for n in turned for name in self.steps[n].node.output}
        features_first = any(self.steps[n].kind == "Conv" and not made.isdisjoint(self.reads[n])
                             for n in self.core - turned)  # which the core would turn back
        if not features_first and self.taken(turned) <= 2 * self.taken(set()):
            return turned  # turned, not repeated
        return found & self.order.before(n for n in changed if self.steps[n].kind not in MOVES)

    def initial(self) -> set[int]:
        """Steps that only move elements of the model's inputs to initial states: the core keeps
        these where its caller hands them back."""
        order = self.order
        read = {self.maker[name] for n in order.recurrent
                for name in self.steps[n].node.input[:_INITIAL] if name in self.maker}
        moves = {n for n, step in enumerate(self.steps) if step.kind in MOVES}
        return {n for n in order.ahead - order.before(read) if order.before([n]) <= moves}

    def taken(self, without: set[int]) -> int:
        """The elements that the core takes if it has not these steps."""
        return sum(value.size for name in self.part(self.core - without).takes
                   for value in [self.flat.values[name]] if value is not None)

    def changes(self, n: int) -> bool:
        """Whether a step gives other elements than it reads, or the same in another order: the core
        takes its input as it comes, and another order costs cycles."""
        step = self.steps[n]
        read, made = (None if name is None else self.flat.values.get(name) for name in (
            next(iter(self.reads[n]), None), step.node.output[0]))
        return step.kind not in MOVES or read is None or made is None or not np.array_equal(
            read.reshape(-1), made.reshape(-1))

    def error(self, network: Network) -> float:
        """The error of 16 bits on the sample of the flat graph."""
        sample = [self.flat.values[name] for name in self.found.takes]
        parts = [np.reshape(one, (1, *shape)) for one, shape in
                 zip(sample, network.input_shapes, strict=True) if one is not None]
        return rounding_error(network, joined(parts))

    def no_floats(self) -> set[int]:
        """Steps of the core that read integers, or a single number, from outside, or give such;
        what recurrent ones read of that kind goes to :attr:`whole`.

        Raises :class:`CutError` where that is neither a mask nor lengths.
        """
        part = self.part(self.core)
        wrong = {name for name in (*part.takes, *part.gives)
                 for value in [self.flat.values[name]]
                 if value is not None and (value.dtype.kind != "f" or not value.ndim)}
        for n in sorted(self.core & self.order.recurrent):
            for name in wrong.intersection(self.reads[n]).intersection(part.takes):
                self.whole[name] = self.every_step(self.steps[n], name)
        wrong -= self.whole.keys()
        return {n for n in self.core - self.order.recurrent
                for name in (*self.reads[n], *self.steps[n].node.output) if name in wrong}

    def every_step(self, step: Step, name: str) -> np.ndarray:
        """What a recurrent step reads as ``name`` if no timestep is skipped."""
        value = self.flat.values[name]
        if value is not None and value.dtype == bool and step.kind in LOOPS:
            return np.ones_like(value)
        x = self.flat.values.get(step.node.input[0])
        if value is not None and x is not None and name in step.node.input[4:_INITIAL]:
            return np.full_like(value, x.shape[steps_axis(step.node)])
        raise CutError(f"node {quoted(step.origin)} ({quoted(step.kind)}) reads {quoted(name)}, "
                       "which holds no floats: export the model with floats there")

    def part(self, steps: set[int]) -> _Part:
        """The steps as a part of the graph; it gives what others read, and the graph's outputs."""
        made = {name for n in steps for name in self.steps[n].node.output if name}
        outside = {name for n in range(len(self.steps)) if n not in steps
                   for name in self.reads[n]} | set(self.flat.outputs)
        takes = dict.fromkeys(name for n in sorted(steps) for name in self.reads[n]
                              if name not in made)
        order = {name: k for k, name in enumerate(self.flat.inputs)}
        return _Part(sorted(steps), sorted(takes, key=lambda name: order.get(name, -1)),
                     [name for n in sorted(steps) for name in self.steps[n].node.output
                      if name in made & outside])

    # ---- parts as models -----------------------------------------------------------------------

    def network(self) -> Network:
        """The network of the core; :class:`Incomplete` with every refusal in it."""
        part = self.part(self.core)
        self.ordered(part)
        part.takes = [name for name in part.takes if name not in self.whole]
        for name in part.takes:
            if self.flat.values[name] is None:
                maker = self.steps[self.maker[name]]
                raise CutError(f"the shape of what comes out of node {quoted(maker.origin)} "
                               f"({quoted(maker.kind)}) is not known: save the model with the "
                               "shapes of its tensors, all of them fixed: onnx.save("
                               "onnx.shape_inference.infer_shapes(onnx.load(FILE)), FILE)")
        model = self.model(part, self.whole)
        try:
            network = whole.network_of(Model(model.graph, self.flat.opset, ""), {
                t.name: numpy_helper.to_array(t) for t in model.graph.initializer}, AS_DECLARED,
                True, batch=1)
        except BatchAxisError:
            self.one_sequence()
            raise
        self.found = part
        return network

    def one_sequence(self) -> None:
        """Refuse a recurrent layer that takes several sequences at once."""
        for step in (self.steps[n] for n in sorted(self.order.recurrent)):
            x = self.flat.values.get(step.node.input[0]) if is_recurrent(step.node) else None
            count = 1 if x is None or x.ndim != 3 else x.shape[1 - steps_axis(step.node)]
            if count != 1:
                raise CutError(f"node {quoted(step.origin)} ({quoted(step.kind)}) takes a batch of "
                               f"{count} sequences, but a core takes one at a time: check "
                               "batch_first, and export the model with a batch of 1 or an open one")

    def ordered(self, part: _Part) -> None:
        """Outputs of the graph first, in their order."""
        order = {name: n for n, name in enumerate(self.flat.outputs)}
        part.gives.sort(key=lambda name: order.get(name, len(order)))

    def model(self, part: _Part, fixed: Mapping[str, np.ndarray] | None = None) -> onnx.ModelProto:
        """A part as a model of one sample; ``fixed``, tensors that are constants in it."""
        steps = [self.steps[n] for n in part.steps]
        read = dict.fromkeys(name for step in steps for name in names_read(step.node))
        constants = {**self.flat.constants, **(fixed or {})}
        graph = helper.make_graph(
            [step.node for step in steps], "part",
            [self._info(name) for name in part.takes], [self._info(name) for name in part.gives],
            [numpy_helper.from_array(np.array(constants[name]), name)
             for name in read if name in constants],
            value_info=[self._info(name) for step in steps for name in step.node.output
                        if self.flat.values.get(name) is not None])
        return helper.make_model(graph, producer_name="gatefold", opset_imports=[
            helper.make_opsetid("", self.flat.opset),
            *(helper.make_opsetid(domain, 1)
              for domain in sorted({step.node.domain for step in steps} - {"", "ai.onnx"}))],
            ir_version=8)

    def _info(self, name: str) -> onnx.ValueInfoProto:
        value = self.flat.values[name]
        kind = onnx.TensorProto.FLOAT if value is None else (
            helper.np_dtype_to_tensor_dtype(value.dtype))
        return helper.make_tensor_value_info(name, kind, None if value is None else value.shape)

    def with_host(self, network: Network, inputs: list[Port]) -> Network:
        """``network`` with what the host computes, as ``source["around"]``."""
        core = self.found
        back = set(range(len(self.steps))) - self.core - self.order.before(self.core)
        front = set(range(len(self.steps))) - self.core - back
        behind = self.part(back)
        behind.gives = [name for name in self.flat.outputs if self.maker.get(name) in back]
        before = self.part(front)
        needed = {*core.takes, *behind.takes, *self.flat.outputs, *self.whole}
        before.gives = [name for name in before.gives if name in needed]
        around = Around(
            self.model(before).SerializeToString() if front else b"",
            self.model(behind).SerializeToString() if back else b"",
            tuple(inputs), tuple(map(self._port, self.flat.outputs)),
            tuple(map(self._port, core.takes, network.input_shapes)),
            tuple(map(self._port, core.gives)),
            self._rows(front), self._rows(back), tuple(
                (name, int(value.reshape(-1)[0])) for name, value in self.whole.items()))
        network.source["around"] = around
        network.source[PORTS] = core_ports(
            around, [as_text(port.name) for port in inputs], [*map(as_text, self.flat.outputs)],
            behind.takes) | {"shapes": {as_text(port.name): [*port.dims] for port in inputs}}
        return network

    def _port(self, name: str, shape: Shape | None = None) -> Port:
        """A tensor as a port; ``shape``, that of a sample where it is known."""
        value = self.flat.values[name]
        if value is None:
            return Port(name, ())
        dims = value.shape
        axes = [axis for axis in range(len(dims)) if dims[axis] == 1 and len(dims) > 1
                and shape in (None, dims[:axis] + dims[axis + 1:])]
        batch = axes[0] if axes and (shape is not None or axes[0] == 0) else None
        return Port(name, dims, batch, str(value.dtype))

    def _rows(self, steps: set[int]) -> tuple[Row, ...]:
        rows = []
        for n in sorted(steps):
            step = self.steps[n]
            made = self.flat.values.get(step.node.output[0])
            weights = [self.flat.constants[name] for name in step.node.input
                       if name in self.flat.constants]
            rows.append(Row("", step.kind, step.origin, (), None if made is None else made.shape,
                            sum(w.size for w in weights if w.dtype.kind == "f" and w.size > 1),
                            step.macs, False))
        return tuple(rows)


def _with_names(steps: Sequence[Step]) -> list[Step]:
    """The steps, each with a name of its own, in the node too."""
    seen: set[str] = set()
    named = []
    for step in steps:
        node = onnx.NodeProto()
        node.CopyFrom(step.node)
        origin = step.origin
        if not origin or origin in seen:
            origin = as_text(next(filter(None, node.output), "")) or f"node {len(named)}"
        seen.add(origin)
        node.name = origin
        named.append(Step(node, origin, step.macs))
    return named
