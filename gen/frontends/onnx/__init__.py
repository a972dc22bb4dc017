"""ONNX files, read from their protobuf bytes."""
