"""The viewer page of `--web`: the latest picture, its people in 3D, times and state of the board."""
