"""`python -m toolkit` is the `posec` command."""

import sys

from .cli import main

sys.exit(main())
