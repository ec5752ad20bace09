"""The root of what the runtime refuses; every module that can refuse names its own kind.

PoseError (a ValueError)
    SpecError     pose.py         a pose specification contradicts itself
    PictureError  preprocess.py   a picture cannot be fed to the network
    HeadError     here            a network's outputs are not what its specification promises
    BundleError   bundle.py       a folder is not a bundle, or no longer the one that was written
    EngineError   engines/        an engine is unknown, not installed, or cannot run the model
    SourceError   sources.py      a source of pictures cannot be read
"""

from __future__ import annotations

from .console import redact


class PoseError(ValueError):
    """A request that cannot be met: the message states what was asked, what there is and what to do, without credentials."""

    def __init__(self, message: str = "") -> None:
        super().__init__(redact(message))


class HeadError(PoseError):
    """A network's output that is not what its specification promises."""
