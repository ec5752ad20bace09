"""Passes that back ends select."""
