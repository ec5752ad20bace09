"""Passes that back ends choose from."""
