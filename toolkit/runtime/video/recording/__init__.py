"""Recordings: JSON lines, overlays and clips in one folder."""
