"""Releasing a trained network: the shipped checkpoint and its model card."""
