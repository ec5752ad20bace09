"""Passes that turn a prepared graph into a quantized one."""
