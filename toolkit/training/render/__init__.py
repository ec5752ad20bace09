"""Rendered bodies, clothes, things and cameras."""
