"""Preparing a trained network for int8: equalization, weights on the int8 grid, and quantization-aware training."""
