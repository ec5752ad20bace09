"""Passes that run on every graph, for any board."""
