"""Passes that every graph goes through, for any board."""
