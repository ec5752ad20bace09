"""The command of a board: `posec run` and `python -m toolkit.runtime`."""
