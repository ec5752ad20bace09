"""Run on both sides: `heads_of.py BUNDLE BATCHES OUT` writes heads and last integers, and prints the engine.

Finds `toolkit` and the libraries on PYTHONPATH.
"""

import json
import sys

import numpy as np

from toolkit.device.machine import machine_facts, machine_state, peak_memory_mb
from toolkit.runtime import load
from toolkit.runtime.engines.tflite import _library


def last_integers(path, batch):
    """Return what the last integer layer puts out."""
    interpreter = _library()[0](model_path=path, num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    (result,) = [
        operator["inputs"][0]
        for operator in interpreter._get_ops_details()
        if operator["op_name"] == "DEQUANTIZE"
    ]
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
    interpreter.invoke()
    return interpreter.get_tensor(result)


folder, given, out = sys.argv[1:]
estimator, batches, arrays = load(folder, threads=1), np.load(given), {}
for number in batches.files:
    arrays.update(
        {f"{number} {name}": values.copy() for name, values in estimator.engine(batches[number]).items()}
    )
peak_mb = peak_memory_mb()
if estimator.bundle.precision == "int8":
    path = str(estimator.bundle.model_path)
    arrays.update({f"{number} integers": last_integers(path, batches[number]) for number in batches.files})
np.savez(out, **arrays)
print(
    json.dumps(
        {**estimator.describe(), "peak_mb": peak_mb, "machine": machine_facts(), "state": machine_state()}
    )
)
