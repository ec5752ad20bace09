"""The verbs of `posec`, one per file, and the stage `train quantized`.

Only these files import all three packages.
"""

EXIT_OK, EXIT_FAILED, EXIT_REFUSED = 0, 1, 2
