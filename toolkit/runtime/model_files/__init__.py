"""Checks of a bundle's model before an engine opens it: no control flow, no code, no huge tensors."""
