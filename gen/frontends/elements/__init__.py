"""Traces every element of a tensor to the value it comes from, for ONNX files and torch modules."""
