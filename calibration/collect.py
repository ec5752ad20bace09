"""Collect statistics of every tensor of the float network in one sweep over the frames.

An interrupted sweep resumes from a file. The file is validated before use, like any file from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, shape_inference

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph
from toolkit.ir.ranges import Ranges
from toolkit.passes import prepare
from toolkit.passes.edit.graph_index import weighted_layers
from toolkit.runtime.engines.onnxruntime import library
from toolkit.runtime.files.arrays import read_arrays
from toolkit.runtime.files.plain_files import write_whole
from toolkit.runtime.preprocess import Batch

from .frames import picture_sha256
from .observers import OBSERVERS, Observation

Progress = Callable[[int, int], None]
# An interrupted sweep loses at most this many frames.
_SAVE_EVERY = 32
_FIELDS = tuple(Observation.__dataclass_fields__)


@dataclass
class Sweep:
    """Statistics of every tensor of a prepared float graph over some frames.

    Attributes:
        graph_sha256: hash of the graph.
        frames_sha256: hash of each frame, in order.
        tensors: tensor name → statistics.
        weighted: inputs of the layers with weights; their channel means are stored with the ranges.
    """

    graph_sha256: str
    frames_sha256: list[str] = field(default_factory=list)
    tensors: dict[str, Observation] = field(default_factory=dict)
    weighted: tuple[str, ...] = ()

    def ranges(self, observer: str = "min-max") -> Ranges:
        """Return the ranges by one observer. Raises PosecError for an unknown observer."""
        observe = OBSERVERS[_known(observer)]
        pairs = {name: observe(stats) for name, stats in self.tensors.items()}
        means = {name: self.tensors[name].means for name in self.weighted}
        return Ranges(pairs, observer, self.graph_sha256, tuple(self.frames_sha256), versions(), means)

    def merge(self, later: Sweep) -> None:
        """Add the statistics over later frames. Raises PosecError for those of another network."""
        if (self.graph_sha256, set(self.tensors)) != (later.graph_sha256, set(later.tensors)):
            raise PosecError("calibrations of different networks cannot be merged; calibrate again")
        for name, stats in later.tensors.items():
            self.tensors[name].merge(stats)
        self.frames_sha256 += later.frames_sha256

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all."""
        arrays: dict[str, Any] = {
            f"{name}\n{key}": np.asarray(getattr(stats, key))
            for name, stats in self.tensors.items()
            for key in _FIELDS
        }
        with write_whole(path) as file:
            np.savez(
                file,
                graph_sha256=self.graph_sha256,
                weighted=np.asarray(self.weighted, np.str_),
                frames_sha256=np.asarray(self.frames_sha256, "U64"),
                **arrays,
            )

    @classmethod
    def load(cls, path: str | Path) -> Sweep:
        """Read a file of `save`. Raises PosecError for any other file, and a damaged one."""
        try:
            stored = read_arrays(path)
            sweep = cls(
                str(stored.pop("graph_sha256")),
                [str(digest) for digest in stored.pop("frames_sha256").ravel()],
                weighted=tuple(str(name) for name in stored.pop("weighted").ravel()),
            )
            fields: dict[str, dict[str, np.ndarray]] = {}
            for key, values in stored.items():
                name, _, attribute = key.rpartition("\n")
                fields.setdefault(name, {})[attribute] = values
            sweep.tensors = {name: Observation.from_arrays(arrays) for name, arrays in fields.items()}
            if any(stats.frames != len(sweep.frames_sha256) for stats in sweep.tensors.values()):
                raise ValueError("its tensors were observed on different frames")
        except (ValueError, KeyError) as error:
            raise PosecError(
                f"'{path}' is not an unfinished calibration ({error}); delete it and calibrate again"
            ) from error
        return sweep


def collect(
    graph: Graph,
    frames: Iterable[np.ndarray],
    observer: str = "min-max",
    *,
    progress: Progress | None = None,
    resume: str | Path | None = None,
) -> Ranges:
    """Return the range of every tensor of the prepared float graph over the frames.

    Args:
        graph: as traced or prepared.
        frames: (height, width, 3) uint8 BGR pictures, see `calibration.folder`.
        observer: one of OBSERVERS.
        progress: called with (frames done, frames in all).
        resume: see `sweep`.

    Raises PosecError for an unknown observer, without frames, and where the network overflows.
    """
    _known(observer)
    return sweep(graph, frames, progress, resume=resume).ranges(observer)


def sweep(
    graph: Graph,
    frames: Iterable[np.ndarray],
    progress: Progress | None = None,
    *,
    resume: str | Path | None = None,
) -> Sweep:
    """Run the prepared float graph over the frames and collect statistics of every tensor.

    Memory use does not depend on the number of frames.

    Args:
        graph: as traced or prepared.
        frames: (height, width, 3) uint8 BGR pictures.
        progress: called with (frames done, frames in all).
        resume: file of the unfinished sweep: continued from if it exists, saved periodically, removed at the
            end.

    Raises PosecError without frames, where the network overflows, and for an unfinished sweep of other
    frames.
    """
    prepared = prepare(graph)
    run = _session(prepared)
    batch = Batch(prepared.spec, prepared.frame)
    done = Sweep(prepared.sha256)
    if resume is not None and Path(resume).exists():
        done = _continued(Sweep.load(resume), prepared)
    done.weighted = tuple(dict.fromkeys(node.input[0] for node in weighted_layers(prepared.model)))
    before, count = list(done.frames_sha256), len(frames) if isinstance(frames, Sized) else 0
    for index, picture in enumerate(frames):
        digest = picture_sha256(picture)
        if index < len(before):
            if before[index] != digest:
                raise PosecError(
                    f"'{resume}' was begun with other frames (frame {index + 1} differs); "
                    "delete it or give the same frames"
                )
            continue
        batch.fill(picture)
        tensors = run(batch.array)
        if before and set(tensors) != set(done.tensors):
            raise PosecError(
                f"the tensors in '{resume}' are not those of the network; delete it and calibrate again"
            )
        for name, values in tensors.items():
            try:
                done.tensors.setdefault(name, Observation()).add(values)
            except PosecError as error:
                raise PosecError(f"tensor '{name}' on frame {index + 1} takes {error}") from error
        done.frames_sha256.append(digest)
        if progress:
            progress(index + 1, max(count, index + 1))
        if resume is not None and (index + 1) % _SAVE_EVERY == 0:
            done.save(resume)
    if not done.frames_sha256:
        raise PosecError("no calibration frames; give a folder of pictures, a video, or a listing")
    if resume is not None:
        Path(resume).unlink(missing_ok=True)
    return done


def versions() -> dict[str, str]:
    """Return the versions of the libraries that influence ranges."""
    return {"onnxruntime": library().__version__, "numpy": np.__version__, "opencv": cv2.__version__}


def _known(observer: str) -> str:
    if observer not in OBSERVERS:
        raise PosecError(f"no observer '{observer}'; known: {', '.join(OBSERVERS)}")
    return observer


def _continued(begun: Sweep, graph: Graph) -> Sweep:
    if begun.graph_sha256 != graph.sha256:
        raise PosecError(
            "the unfinished calibration belongs to another network; delete it and calibrate again"
        )
    return begun


def _session(graph: Graph) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    """Return a function: batch → name and values of every float tensor, the batch included."""
    onnxruntime = library()
    model = onnx.ModelProto.FromString(graph.model.SerializeToString())
    outputs = {value.name for value in model.graph.output}
    inferred = shape_inference.infer_shapes(model)
    floats = {
        value.name
        for value in (*inferred.graph.value_info, *inferred.graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    inside = [
        name for node in model.graph.node for name in node.output if name in floats and name not in outputs
    ]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in inside)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # The statistics take longer than the network; more threads would only compete with them.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_outputs()]

    def run(array: np.ndarray) -> Mapping[str, np.ndarray]:
        return {
            graph.input_name: array,
            **dict(zip(names, session.run(names, {graph.input_name: array}), strict=True)),
        }

    return run
