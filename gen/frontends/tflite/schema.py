"""The part of TensorFlow Lite's file format that Gatefold reads: tables, their fields, names.

Written down by hand from the published schema (version 3). A table is a dict of its fields, each
with its slot and its type: a NumPy type code for a number, ``str``, the name of another table, or a
list of one of these for a vector. Fields that are not listed are not read.
"""

from __future__ import annotations

__all__ = ["ACTIVATIONS", "DEFAULTS", "OPERATORS", "OPTIONS", "SCHEMA", "TYPES", "Type"]

Type = str | type | list
#: Of each table the slot and the type of each field.
SCHEMA: dict[str, dict[str, tuple[int, Type]]] = {
    "Model": {"version": (0, "u4"), "codes": (1, ["OperatorCode"]), "graphs": (2, ["SubGraph"]),
              "description": (3, str), "buffers": (4, ["Buffer"]), "metadata": (6, ["Metadata"]),
              "signatures": (7, ["SignatureDef"])},
    "OperatorCode": {"old": (0, "i1"), "custom": (1, str), "version": (2, "i4"),
                     "builtin": (3, "i4")},
    "SubGraph": {"tensors": (0, ["Tensor"]), "inputs": (1, ["i4"]), "outputs": (2, ["i4"]),
                 "operators": (3, ["Operator"]), "name": (4, str)},
    "Tensor": {"shape": (0, ["i4"]), "type": (1, "i1"), "buffer": (2, "u4"), "name": (3, str),
               "quantization": (4, "Quantization"), "variable": (5, "u1"), "sparsity": (6, "Empty"),
               "signature": (7, ["i4"])},
    "Quantization": {"scale": (2, ["f4"]), "zero": (3, ["i8"]), "details": (4, "u1"),
                     "axis": (6, "i4")},
    "Buffer": {"data": (0, ["u1"]), "outside": (1, "u8")},
    "Operator": {"code": (0, "u4"), "inputs": (1, ["i4"]), "outputs": (2, ["i4"]),
                 "options_type": (3, "u1"), "intermediates": (8, ["i4"])},
    "Metadata": {"name": (0, str), "buffer": (1, "u4")},
    "SignatureDef": {"inputs": (0, ["TensorMap"]), "outputs": (1, ["TensorMap"]), "key": (2, str)},
    "TensorMap": {"name": (0, str), "tensor": (1, "u4")},
    "Empty": {},
    # The options of operators.
    "Conv2D": {"padding": (0, "i1"), "stride_w": (1, "i4"), "stride_h": (2, "i4"),
               "activation": (3, "i1"), "dilation_w": (4, "i4"), "dilation_h": (5, "i4")},
    "FullyConnected": {"activation": (0, "i1"), "format": (1, "i1"), "keep_dims": (2, "u1")},
    "Concatenation": {"axis": (0, "i4"), "activation": (1, "i1")},
    "Reshape": {"shape": (0, ["i4"])},
    "StridedSlice": {"begin": (0, "i4"), "end": (1, "i4"), "ellipsis": (2, "i4"),
                     "new_axis": (3, "i4"), "shrink": (4, "i4"), "offset": (5, "u1")},
    "Lstm": {"activation": (0, "i1"), "cell_clip": (1, "f4"), "projection_clip": (2, "f4"),
             "time_major": (3, "u1"), "diagonal": (5, "u1")},
}

#: Values of fields that a file leaves out, where that is not 0, an empty vector or None.
DEFAULTS = {"OperatorCode.version": 1, "Conv2D.dilation_w": 1, "Conv2D.dilation_h": 1}

#: The options that are read, by the number of their type in an operator.
OPTIONS = {1: "Conv2D", 8: "FullyConnected", 10: "Concatenation", 17: "Reshape",
           32: "StridedSlice", 71: "Lstm"}

#: Element types: NumPy's name, or a name for messages alone.
TYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool",
         7: "int16", 8: "complex64", 9: "int8", 10: "float64", 15: "uint32", 16: "uint16",
         17: "int4"}

#: Functions that are fused into an operator.
ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}

#: Operators by their number: those that are read, and those that users meet, for messages.
OPERATORS = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE", 7: "EMBEDDING_LOOKUP", 9: "FULLY_CONNECTED", 14: "LOGISTIC", 16: "LSTM",
    17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 21: "RELU6", 22: "RESHAPE", 24: "RNN", 25: "SOFTMAX",
    28: "TANH", 32: "CUSTOM", 34: "PAD", 35: "UNIDIRECTIONAL_SEQUENCE_RNN", 36: "GATHER",
    37: "BATCH_TO_SPACE_ND", 38: "SPACE_TO_BATCH_ND", 39: "TRANSPOSE", 40: "MEAN", 41: "SUB",
    42: "DIV", 43: "SQUEEZE", 44: "UNIDIRECTIONAL_SEQUENCE_LSTM", 45: "STRIDED_SLICE", 49: "SPLIT",
    52: "BIDIRECTIONAL_SEQUENCE_LSTM", 53: "CAST", 60: "PADV2", 65: "SLICE", 69: "TILE",
    70: "EXPAND_DIMS", 77: "SHAPE", 83: "PACK", 88: "UNPACK", 94: "FILL", 98: "LEAKY_RELU",
    102: "SPLIT_V", 105: "REVERSE_V2", 111: "ELU", 114: "QUANTIZE", 117: "HARD_SWISH", 118: "IF",
    119: "WHILE", 126: "BATCH_MATMUL", 130: "BROADCAST_TO", 150: "GELU",
    47: "EXP", 50: "LOG_SOFTMAX", 54: "PRELU", 55: "MAXIMUM", 56: "ARG_MAX", 57: "MINIMUM",
    74: "SUM", 75: "SQRT", 76: "RSQRT", 78: "POW", 92: "SQUARE", 129: "CALL_ONCE",
    142: "VAR_HANDLE", 143: "READ_VARIABLE", 144: "ASSIGN_VARIABLE",
}
