"""Measurements that compare posec with other tools; they are no part of what is installed."""
