"""Bundles to boards over SSH."""
