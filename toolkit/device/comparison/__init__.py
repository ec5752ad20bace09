"""Comparison of two networks on the same pictures: who moved, how far, and the unsteadiness."""
