"""Checks and measurements of a deployed bundle, once on the board: Python 3.8, numpy, cv2 and one engine."""
