"""Rendered scenes and videos with exact labels."""
