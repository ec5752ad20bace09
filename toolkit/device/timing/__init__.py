"""Latency: a process for each bundle, its samples, and their summary."""
