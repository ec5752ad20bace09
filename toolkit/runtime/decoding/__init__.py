"""Heads to people: centres, key points, poses, and their places in the picture and before the camera."""
