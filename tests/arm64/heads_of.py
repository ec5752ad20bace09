"""Run on both sides: `heads_of.py BUNDLE OUT` writes the heads and the last integers of the golden pictures, and prints what ran.

Finds `toolkit` and the libraries on PYTHONPATH.
"""

import json
import sys

import numpy as np

from toolkit.report.machine import machine_facts, machine_state, peak_memory_mb
from toolkit.runtime import load
from toolkit.runtime.engines.tflite import _library
from toolkit.runtime.preprocess import to_batch


def last_integers(path, batch):
    """Return what the last integer layer puts out, or None where no layer is integer."""
    interpreter = _library()[0](model_path=path, num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    results = [operator["inputs"][0] for operator in interpreter._get_ops_details() if operator["op_name"] == "DEQUANTIZE"]
    if not results:
        return None
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
    interpreter.invoke()
    return interpreter.get_tensor(results[0])


folder, out = sys.argv[1:]
estimator = load(folder, threads=1)
pictures = [picture for picture, _ in estimator.bundle.golden()]
arrays = {f"{number} {name}": values for number, picture in enumerate(pictures) for name, values in estimator.heads(picture).items()}
peak_mb = peak_memory_mb()
if estimator.bundle.precision == "int8":
    spec, frame = estimator.bundle.spec, estimator.bundle.frame
    for number, picture in enumerate(pictures):
        arrays[f"{number} integers"] = last_integers(str(estimator.bundle.model_path), to_batch(picture, spec, frame)[0])
np.savez(out, **arrays)
print(json.dumps({**estimator.describe(), "peak_mb": peak_mb, "machine": machine_facts(), "state": machine_state()}))
