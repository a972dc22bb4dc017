"""Write a float network as .tflite with the schema of ai-edge-litert, without TensorFlow.

The operators are those of a conversion from Keras: one fused UNIDIRECTIONAL_SEQUENCE_LSTM a layer,
STRIDED_SLICE for the last step, RESHAPE and TILE for RepeatVector, FULLY_CONNECTED for Dense, and
CONV_2D between two RESHAPEs for Conv1D. An LSTM's state is in variables, which stay from one call
to the next until they are reset. Runs in .venv-bench.
"""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["to_tflite"]

_TYPES = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}


class _Writer:
    """Tensors, buffers and operators of one graph, in the order they are added."""

    def __init__(self) -> None:
        self.tensors: list = []
        self.buffers = [schema.BufferT()]  # buffer 0 is empty by convention
        self.operators: list = []
        self.codes: list = []

    def tensor(self, shape, *, data: np.ndarray | None = None, variable: bool = False) -> int:
        """Number of a new tensor: a constant where ``data`` is given."""
        dtype = "float32" if data is None else data.dtype.name
        buffer = 0
        if data is not None:
            raw = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            buffer = len(self.buffers)
            self.buffers.append(schema.BufferT(data=raw))
        self.tensors.append(schema.TensorT(
            shape=[int(n) for n in shape], type=_TYPES[dtype], buffer=buffer, hasRank=True,
            name=f"t{len(self.tensors)}", isVariable=variable))
        return len(self.tensors) - 1

    def constant(self, value) -> int:
        data = np.asarray(value)
        data = data.astype(np.float32 if data.dtype.kind == "f" else np.int32)
        return self.tensor(data.shape, data=data)

    def add(self, operator: str, inputs: list[int], shape, options=None) -> int:
        """Append an operator of one output of ``shape``; the number of that tensor."""
        builtin = getattr(schema.BuiltinOperator, operator)
        known = [code.builtinCode for code in self.codes]
        if builtin not in known:
            known.append(builtin)
            self.codes.append(schema.OperatorCodeT(
                builtinCode=builtin, deprecatedBuiltinCode=min(builtin, 127), version=1))
        output = self.tensor(shape)
        entry = schema.OperatorT(opcodeIndex=known.index(builtin), inputs=inputs, outputs=[output])
        if options is not None:
            entry.builtinOptions = options
            name = type(options).__name__.removesuffix("T")
            entry.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        self.operators.append(entry)
        return output

    def reshape(self, value: int, shape) -> int:
        """``value`` as a tensor of ``shape``."""
        return self.add("RESHAPE", [value, self.constant(shape)], shape,
                        schema.ReshapeOptionsT(newShape=list(shape)))


def to_tflite(layers: list[dict], weights, input_shape: tuple[int, ...]) -> bytes:
    """The network as a .tflite file.

    Parameters: ``layers``, kinds and sizes, and ``weights`` by name, as bench/exports.py writes
    both; ``input_shape`` (timesteps, features). The batch is 1.
    """
    out = _Writer()
    shape: tuple[int, ...] = (1, *input_shape)
    source = value = out.tensor(shape)
    for n, layer in enumerate(layers):
        if layer["kind"] == "lstm":
            shape = (1, shape[1], layer["units"])
            value = _lstm(out, value, weights, n, shape)
            if not layer["return_sequences"]:
                steps = shape[1]
                shape = (1, layer["units"])
                ends = ([0, steps - 1, 0], [1, steps, shape[1]], [1, 1, 1])
                value = out.add("STRIDED_SLICE", [value, *map(out.constant, ends)], shape,
                                schema.StridedSliceOptionsT(shrinkAxisMask=0b010))
        elif layer["kind"] == "repeat_vector":
            one_step, shape = (1, 1, shape[1]), (1, layer["timesteps"], shape[1])
            value = out.reshape(value, one_step)
            value = out.add("TILE", [value, out.constant([1, shape[1], 1])], shape,
                            schema.TileOptionsT())
        elif layer["kind"] == "dense":
            value, shape = _dense(out, value, layer, weights[f"{n}.w"], weights[f"{n}.b"], shape)
        else:
            raise NotImplementedError(f"no .tflite for {layer['kind']}")
    graph = schema.SubGraphT(tensors=out.tensors, operators=out.operators, inputs=[source],
                             outputs=[value], name="main")
    model = schema.ModelT(version=3, operatorCodes=out.codes, subgraphs=[graph],
                          buffers=out.buffers, description="gatefold bench")
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _dense(out: _Writer, value: int, layer: dict, w, b, shape) -> tuple[int, tuple[int, ...]]:
    """A Dense layer, or a Conv1D without padding; its value and shape."""
    names = {"linear": "NONE", "relu": "RELU"}
    fused = getattr(schema.ActivationFunctionType, names[layer["activation"]])
    window = layer["window"]
    if not window:
        shape = (*shape[:-1], len(b))
        return out.add(
            "FULLY_CONNECTED", [value, out.constant(w), out.constant(b)], shape,
            schema.FullyConnectedOptionsT(keepNumDims=len(shape) == 3,
                                          fusedActivationFunction=fused)), shape
    if window["left"] or window["right"]:
        raise NotImplementedError("no .tflite for a convolution with padding")
    _, timesteps, features = shape
    reach = (window["size"] - 1) * window["dilation"] + 1
    steps = (timesteps - reach) // window["stride"] + 1
    value = out.reshape(value, (1, 1, timesteps, features))
    filters = w.reshape(len(b), 1, window["size"], features)
    value = out.add("CONV_2D", [value, out.constant(filters), out.constant(b)],
                    (1, 1, steps, len(b)), schema.Conv2DOptionsT(
                        padding=schema.Padding.VALID, strideW=window["stride"], strideH=1,
                        dilationWFactor=window["dilation"], dilationHFactor=1,
                        fusedActivationFunction=fused))
    return out.reshape(value, (1, steps, len(b))), (1, steps, len(b))


def _lstm(out: _Writer, value: int, weights, n: int, shape: tuple[int, ...]) -> int:
    units = shape[-1]
    gates = {name: [out.constant(part) for part in np.split(weights[f"{n}.{name}"], 4)]
             for name in ("w_ih", "w_hh", "b")}  # i, f, g, o: ours and LiteRT's order
    state = [out.tensor((1, units), variable=True) for _ in "hc"]
    none = [-1]
    inputs = [value, *gates["w_ih"], *gates["w_hh"], *none * 3, *gates["b"], *none * 2, *state,
              *none * 4]  # absent: peepholes, projection, layer normalisation
    return out.add("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, shape,
                   schema.UnidirectionalSequenceLSTMOptionsT(
                       fusedActivationFunction=schema.ActivationFunctionType.TANH))
