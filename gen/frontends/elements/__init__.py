"""One engine for where the elements of a tensor come from, for ONNX files and torch modules."""
