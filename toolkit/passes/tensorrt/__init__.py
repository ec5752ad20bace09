"""Rules and passes for TensorRT."""
