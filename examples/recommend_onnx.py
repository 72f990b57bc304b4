"""Recommend from an exported bundle with nothing but onnxruntime and numpy.

    python recommend_onnx.py BUNDLE 12 7 3301      the item rows that somebody liked, the newest last

Rows are those of BUNDLE/items.parquet, which any Parquet reader turns into ids. Every input is first what says that
nothing is known; docs/format.md has the meaning of each. The log has time; the last liking is taken to be a day old.
"""

import argparse
import sys
import time
from math import cos, log1p, pi, sin
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state

parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
parser.add_argument("bundle", type=Path, help="what `rec-export export` made, with ONNX in it")
parser.add_argument("liked", type=int, nargs="*", help="rows of items that somebody liked, the newest last")
asked = parser.parse_args()
graph, liked = asked.bundle / "onnx" / "recommender.onnx", asked.liked
if not graph.is_file():
    parser.error(f"{graph} does not exist; name a bundle that was exported with ONNX")

options = onnxruntime.SessionOptions()
options.log_severity_level = 3  # or it remarks that the input `allow` may be given, as is meant
try:
    recommender = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
except (onnxruntime_pybind11_state.InvalidProtobuf, onnxruntime_pybind11_state.Fail) as error:
    parser.error(f"{graph} cannot be loaded: {str(error).splitlines()[0]}")

inputs = {}
for port in recommender.get_inputs():
    shape = [axis if isinstance(axis, int) else 1 for axis in port.shape]
    unknown = (np.nan if port.name == "dense" else 0.0) if port.type == "tensor(float)" else -1
    inputs[port.name] = np.full(shape, unknown, np.float32 if port.type == "tensor(float)" else np.int64)
days = time.time() / 86_400
turns = [2 * pi * turn for turn in (days % 1, (days + 3) % 7 / 7)]  # hour and weekday, UTC
context = [
    log1p(len(liked)) / 2,
    log1p(1) / 4 if liked else 2,
    not liked,
    1,
    *(f(t) for t in turns for f in (sin, cos)),
]
told = {"history": [liked], "history_length": [len(liked)], "seen": [liked], "k": 10, "context": [context]}
inputs |= {name: np.array(value).astype(inputs[name].dtype) for name, value in told.items() if name in inputs}

item_row, score, count = recommender.run(None, inputs)
for row, value in zip(item_row[0, : count[0]], score[0], strict=False):
    sys.stdout.write(f"{row}\t{value:.4f}\n")
