"""The root of all refusals; every module that can refuse has its own subclass.

PosecError (a ValueError)
    PoseError                              a refusal of the runtime
        SpecError     skeleton.py          a pose specification contradicts itself
        PictureError  preprocess.py        a picture cannot be fed to the network
        HeadError     here                 outputs of a network do not fit its specification
        FileError     files/plain_files.py a file is missing, no plain file, or too large
        BundleError   files/bundle_files.py  a folder is not a bundle, or no longer the exported one
        EngineError   engines/             an engine is unknown, not installed, or cannot run the model
        SourceError   files/pictures.py    a source of pictures cannot be read
        OutputError   video/recording/     a folder cannot be recorded in, or an output cannot continue
        SignatureError files/signature.py  a bundle is not signed by the required key
"""

from __future__ import annotations

from .console import redact


class PosecError(ValueError):
    """A refused request: what was asked, what there is, and what to do next, without credentials."""

    def __init__(self, message: str = "") -> None:
        super().__init__(redact(message))


class PoseError(PosecError):
    """A refusal of the runtime, on a board or on a host."""


class HeadError(PoseError):
    """A network's output that does not fit its specification."""
