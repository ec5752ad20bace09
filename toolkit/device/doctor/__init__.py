"""The doctor: what a machine has for running bundles, and what to do where something is missing.

It needs nothing but the standard library: numpy, cv2 and the engines are tried in separate processes.
"""
