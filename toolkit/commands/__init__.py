"""What the verbs of `posec` do, a few verbs per file; with `cli.py` the only files that import all three packages."""

EXIT_OK, EXIT_FAILED, EXIT_REFUSED = 0, 1, 2
