"""A .tflite file: executed once on element numbers, which adds the layers to a network as they
come (:mod:`gatefold.gen.frontends.elements.trace`).
"""

from __future__ import annotations

from dataclasses import replace

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.builder import Incomplete
from gatefold.gen.frontends.elements.trace import Net, Trace
from gatefold.gen.frontends.limits import check_dim
from gatefold.gen.frontends.onnx.steps import only_steps_read
from gatefold.gen.frontends.refusals import Refusals
from gatefold.gen.frontends.sizes import Sizes
from gatefold.gen.frontends.tflite.layers import LAYERS
from gatefold.gen.frontends.tflite.model import Model, Node
from gatefold.gen.frontends.tflite.moves import MOVES
from gatefold.gen.network.graph import Network
from gatefold.gen.network.simplify import simplify

__all__ = ["parse"]

_FUSED = ("the LSTM was not fused when the model was converted: convert it with tf_keras (Keras 2) "
          "and a fixed batch of 1, as docs/tflite.md shows")
_VARIABLE = ("the file keeps a state in a variable: give the Keras model (.keras or .h5) that it "
             "was converted from")
#: What to do where an operator is not supported.
_REMEDIES = {**dict.fromkeys(("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"),
                             _VARIABLE),
             "WHILE": _FUSED, "UNPACK": _FUSED, "IF": _FUSED,
             "LSTM": _FUSED, "BIDIRECTIONAL_SEQUENCE_LSTM": _FUSED,
             "SOFTMAX": "leave it out of the model, and compute it on the host"}
#: Most elements of all values together: their numbers take eight bytes each.
_MOST_MOVED = 1 << 24


def parse(data: bytes, name: str, sizes: Sizes, every: bool) -> Network:
    """The network in the bytes of a ``.tflite`` file.

    The network of a full-integer file has :class:`~gatefold.gen.network.int8.Int8Dense` and
    :class:`~gatefold.gen.network.int8.Int8Lstm` layers, and ``affine`` numbers.
    Raises :class:`UserError`; with ``every``, an :class:`Incomplete` for operators that are not
    supported.
    """
    sizes.refuse(f"{name} states the shape of its inputs")
    model = Model(data)
    _check_operators(model, every)
    trace = Trace(1, [_sample(model, index) for index in model.inputs])
    values = {index: Net(trace.whole(stage))
              for index, stage in zip(model.inputs, trace.inputs, strict=True)}
    affine, moved = [], 0
    for index in model.inputs:
        affine.append(model.affine(index) if model.type_of(index) == "int8" else None)
    for node in model.nodes:
        try:
            results = _run(trace, node, values)
        except UserError as error:
            raise type(error)(f"{node.where}: {error}") from None
        except (ValueError, IndexError, TypeError, KeyError, OverflowError) as error:
            raise UserError(f"{node.where}: its inputs contradict it ({quoted(error)}): convert "
                            "the model again") from None
        values[node.output] = results
        moved += results.ids.size
        if moved > _MOST_MOVED:
            raise UserError(f"its operators give more than {_MOST_MOVED} elements together: no "
                            "network of that size can be built")
        if node.operator == "QUANTIZE":
            affine[model.inputs.index(node.inputs[0])] = model.affine(node.output)
    outputs = []
    for index in model.outputs:
        if index not in values:
            raise UserError(f"output {quoted(model.name_of(index))} is not computed: the file is "
                            "damaged")
        outputs.append(trace.output(values[index].ids, as_it_is=len(model.shape_of(index)) < 3))
    network = simplify(only_steps_read(trace.builder.network(
        {"format": "tflite", "exporter": model.exporter}, outputs)))
    after = [model.affine(model.before_dequantize(index)) if None not in affine else None
             for index in model.outputs]
    if any(layer.kind.startswith("int8") for layer in network.layers):
        return replace(network, affine=(tuple(affine), tuple(after)))
    return network


def _run(trace: Trace, node: Node, values: dict[int, Net]) -> Net:
    """The value of an operator's output."""
    source = node.inputs[0] if node.inputs else -1
    if node.operator == "CONCATENATION":
        found = MOVES[node.operator](node, *(_value(node, values, index).ids
                                             for index in node.inputs))
    elif node.operator in MOVES:
        found = MOVES[node.operator](node, _value(node, values, source).ids)
    else:
        found = LAYERS[node.operator](trace, node, _value(node, values, source).ids)
    shape = node.model.shape_of(node.output)
    if found.shape != shape:
        raise UserError(f"its output has the shape {found.shape}, the file says {shape}: the file "
                        "is damaged")
    if node.output in values:
        raise UserError("its output is computed twice: the file is damaged")
    return Net(found)


def _value(node: Node, values: dict[int, Net], index: int) -> Net:
    if index not in values:
        raise UserError(f"it reads tensor {index}, which is a constant or not computed yet: "
                        "convert the model again")
    return values[index]


def _sample(model: Model, index: int) -> tuple[int, ...]:
    """The shape of a sample of an input: without the batch, which is 1."""
    shape, where = model.shape_of(index), f"input {quoted(model.name_of(index))}"
    if len(shape) < 2 or shape[0] != 1:
        raise UserError(f"{where} has the shape {shape}: the first axis must be a batch of 1: "
                        "convert the model with a fixed batch of 1")
    if model.type_of(index) not in ("float32", "int8"):
        raise UserError(f"{where} is {model.type_of(index)}: it must be float32 or int8 "
                        "(inference_input_type of the converter)")
    for n, size in enumerate(shape[1:], 1):
        check_dim(where, f"axis {n}", size)
    return shape[1:]


def _check_operators(model: Model, every: bool) -> None:
    """Refuse the operators that are not supported."""
    refusals = Refusals()
    for node in model.nodes:
        if node.operator in LAYERS or node.operator in MOVES:
            continue
        what = f"the operator {quoted(node.operator)[1:-1]} is not supported"
        flex = node.operator.startswith(("Flex", "CUSTOM"))
        remedy = _FUSED if flex else _REMEDIES.get(node.operator)
        error = UserError(f"{node.where}: {what}: " + (
            remedy or "give the Keras or ONNX model that it was converted from, or end the model "
            "before it"))
        if not every:
            raise error
        refusals.add(node.name, node.operator, error)
    if refusals.found:
        raise Incomplete(refusals)
