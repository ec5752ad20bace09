"""The doctor: examines a machine for running bundles, with the next step for each problem.

It needs nothing but the standard library: numpy, cv2 and the engines are tried in separate processes.
"""
