"""The floor: what a board runs. Needs numpy, cv2 and the engine of the bundle; works as a folder on its own.

    from toolkit.runtime import load
    people = load("bundle/")(cv2.imread("street.jpg"))
"""
