"""The formats that can be written: for each, how a part is written and how its file is told from another's."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, final

from exporters.aoti import aoti_fault, write_aoti
from exporters.onnx import onnx_fault, write_onnx
from exporters.parts import Part
from exporters.pt2 import pt2_fault, write_pt2
from exporters.torchscript import torchscript_fault, write_torchscript
from rec_export.choices import Runtime


@final
class Format(NamedTuple):
    """A writer, and a reader that says how a file's structure and labels are not the part's (None: they are)."""

    write: Callable[[Part, Path, dict[str, str]], None]
    fault: Callable[[Part, Path, dict[str, str]], str | None]


FORMATS: dict[Runtime, Format] = {
    "torchscript": Format(write_torchscript, torchscript_fault),
    "onnx": Format(write_onnx, onnx_fault),
    "pt2": Format(write_pt2, pt2_fault),
    "aoti": Format(write_aoti, aoti_fault),
}
