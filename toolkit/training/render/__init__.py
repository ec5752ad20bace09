"""Renderer: bodies, clothes, props, places and cameras."""
