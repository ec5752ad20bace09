"""The command `posec`; see `commands/interface/command_line.py`."""

from .commands.interface.command_line import main

__all__ = ["main"]
