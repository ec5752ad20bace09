"""Edits of an ONNX model that passes share."""
