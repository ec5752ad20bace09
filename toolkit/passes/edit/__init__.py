"""Index and edits of an ONNX model, for all passes."""
