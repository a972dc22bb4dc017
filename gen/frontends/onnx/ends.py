"""Where an ONNX graph ends that is taken as far as a node or a tensor (``--cut auto --to``)."""

from __future__ import annotations

import onnx

from gatefold.gen.errors import quoted
from gatefold.gen.frontends.cuts import CutError, unknown
from gatefold.gen.frontends.onnx.evaluate import is_recurrent
from gatefold.gen.frontends.onnx.proto import as_text, names_read, nodes_needed

__all__ = ["LOOPS", "end_at", "recurs"]

#: Operators that may be recurrent layers.
LOOPS = ("Loop", "Scan")


def end_at(graph: onnx.GraphProto, end: str) -> None:
    """Make the results of the node ``end``, or the tensor of this name, the outputs."""
    nodes = [node for node in graph.node if as_text(node.name) == end and any(node.output)]
    tensors = {as_text(name): name for node in graph.node for name in node.output if name}
    if len(nodes) > 1:
        given = [quoted(as_text(next(filter(None, node.output))))[1:-1] for node in nodes]
        raise CutError(f"--to: {len(nodes)} nodes have the name {quoted(end)}: name the tensor "
                       f"that one of them gives ({', '.join(given[:30])})")
    read = {name for node in graph.node for name in names_read(node)}
    read |= {value.name for value in graph.output}
    found = [[name for name in node.output if name in read]
             or [next(filter(None, node.output))] for node in nodes]
    if end in tensors and [tensors[end]] not in found:
        found.append([tensors[end]])
    if not found:
        raise unknown(end, [as_text(node.name) or next(map(as_text, node.output), "")
                            for node in graph.node], "--to")
    if len(found) > 1:
        shown = ", ".join(quoted(as_text(name)) for name in found[0])
        raise CutError(f"--to: {quoted(end)} is the name of a tensor and of a node, which gives "
                       f"{shown}: name one of them otherwise in the file")
    del graph.output[:]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in found[0])
    if not recurs(onnx.GraphProto(node=nodes_needed(graph))):
        raise CutError(f"--to: no recurrent layer lies ahead of {quoted(end)}, and a core is cut "
                       "around those: end at a node behind them")


def recurs(graph: onnx.GraphProto) -> bool:
    """Whether a node of the graph, or of its branches, may be a recurrent layer."""
    return any(is_recurrent(node) or node.op_type in LOOPS
               or any(recurs(one.g) for one in node.attribute if one.HasField("g"))
               for node in graph.node)
