"""Resumable runs, their settings, and work in parallel."""
