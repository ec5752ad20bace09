"""Preparation of a trained network for int8: equalization, grid weights, quantization-aware training."""
