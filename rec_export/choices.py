"""The words that options and keys choose from: the command line knows them before anything heavy is imported."""

from typing import Literal

SeenRule = Literal["exclude", "keep"]
Executor = Literal["local", "processes", "ray", "shards"]
Runtime = Literal["torchscript", "onnx", "pt2", "aoti"]  # the last is tied to the machine that made it
Lossy = Literal["onnx-fp16", "onnx-int8"]  # smaller copies of the ONNX towers, which nothing takes by itself
Engine = Literal[Runtime, Lossy]
MOST_K = 32_767  # a rank is an int16
