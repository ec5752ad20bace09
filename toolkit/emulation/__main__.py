"""Unpack or delete the arm64 root: `python -m toolkit.emulation setup | clean`."""

import argparse

from .root import Root
from .unpack import clean, setup

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m toolkit.emulation")
    parser.add_argument("step", choices=("setup", "clean"))
    {"setup": setup, "clean": clean}[parser.parse_args().step](Root())
