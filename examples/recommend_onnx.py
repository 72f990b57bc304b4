"""Recommend from an exported bundle with nothing but onnxruntime and numpy.

    python recommend_onnx.py BUNDLE 12 7 3301      the item rows that somebody liked, in order of time, with repeats

Rows are those of BUNDLE/items.parquet, which any Parquet reader turns into ids. An input of which nothing is told gets
what says so; docs/format.md has the meaning of each. Where time counts the last liking is taken to be a day old, and
so is that of each item where lists may hold what was liked before (docs/habits.md).
"""

import json
import sys
import time
from math import cos, log, log1p, pi, sin

import numpy as np
import onnxruntime

if len(sys.argv) < 2 or not all(word.isdecimal() for word in sys.argv[2:]):
    sys.exit("usage: python recommend_onnx.py BUNDLE [ITEM_ROW ...]")
graph, met = f"{sys.argv[1]}/onnx/recommender.onnx", [int(word) for word in sys.argv[2:]]
onnxruntime.set_default_logger_severity(4)  # or it remarks that the input `allow` may be given, as is meant
try:
    recommender = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    with open(f"{sys.argv[1]}/manifest.json", encoding="utf-8") as manifest:
        blueprint = json.load(manifest)["blueprint"]
except Exception as error:  # onnxruntime's errors have no common class
    sys.exit(f"{graph} cannot be loaded, name a bundle with ONNX in it: {str(error).splitlines()[0]}")
(items,) = recommender.get_overridable_initializers()[0].shape  # of `allow`
if beyond := [row for row in met if row >= items]:
    sys.exit(f"{len(beyond)} rows are beyond the {items} items of {sys.argv[1]}, the first being {beyond[0]}")
if "history" not in {port.name for port in recommender.get_inputs()} or not (
    blueprint["clock"]["half_lives"]
    or any(row < blueprint["sizes"]["items"]["rows"] for row in met)  # others came after the training
):
    sys.exit("the model knows nothing of such a user: give what is popular, as `score` does (docs/exports.md)")

liked = list(dict.fromkeys(met))  # each once, where it was liked first
newest = liked[-blueprint["data"]["history"] :]  # as many as training shows
days = time.time() / 86_400
turns = [2 * pi * turn for turn in (days % 1, (days + 3) % 7 / 7)]  # hour and weekday, UTC
about = [
    log1p(len(liked)) / 2,
    log1p(1) / 4 if liked else 2,
    not liked,
    len(liked) / max(len(met), 1),
    *(f(t) for t in turns for f in (sin, cos)),
]
keep = blueprint["score"]["seen"] == "keep"
habit = (keep and blueprint.get("habit")) or {"met": 0, "often": 0, "lately": 0}
term = [habit["met"] + habit["often"] * log(met.count(row)) - habit["lately"] * log1p(1) for row in liked]
told = {
    **{"history": [newest], "history_length": [len(newest)], "context": [about], "k": 10},
    **{"seen": [[] if keep else liked], "added": [liked], "term": [term]},
}
inputs, unknown = {}, {"dense": np.nan, "text": 0}
for port in recommender.get_inputs():
    value = np.array(told.get(port.name, unknown.get(port.name, -1))).astype("f4" if "float" in port.type else "i8")
    shape = [1 if isinstance(axis, str) else axis for axis in port.shape]
    inputs[port.name] = value if value.ndim else np.full(shape, value)
item_row, score, count = recommender.run(None, inputs)
sys.stdout.writelines(f"{row}\t{value:.4f}\n" for row, value in zip(item_row[0, : count[0]], score[0], strict=False))
