"""A .pt2 archive that runs no code: written without a pickle, refused where one is in it, or a text that torch runs.

torch.export writes its example inputs as a pickle, for which no program has a use; the rest is JSON and raw numbers.
"""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.pt2_archive import PT2ArchiveReader, PT2ArchiveWriter
from torch.fx import GraphModule

from rec_export.errors import ModelError
from rec_export.pt2_text import unsafe_texts

LABELS = "rec_export.json"
PROGRAM = "models/model.json"
EXAMPLE = "data/sample_inputs/model.pt"
OF_THIS_MACHINE = "stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"  # paths and names of our source
OF_ARCHIVE = re.compile(r"\.data/.*|version|byteorder")  # what the writer of the archive adds by itself
PLAIN = re.compile(
    rf"{OF_ARCHIVE.pattern}|archive_(format|version)|{re.escape(PROGRAM)}|extra/{re.escape(LABELS)}"
    r"|data/(weights|constants)/(model_(weights|constants)_config\.json|(weight|tensor)_\d+)"
)


def pt2_bytes(program: ExportedProgram, labels: dict[str, str]) -> bytes:
    """The archive of a program, with its labels inside, and without what tells of our source, also in `program`."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, GraphModule) else ():
            for key in OF_THIS_MACHINE:
                node.meta.pop(key, None)
    whole, plain = io.BytesIO(), io.BytesIO()
    torch.export.save(program, whole, extra_files={LABELS: json.dumps(labels)})
    whole.seek(0)
    reader = PT2ArchiveReader(whole)
    with PT2ArchiveWriter(plain) as writer:
        for name in reader.get_file_names():
            if not OF_ARCHIVE.fullmatch(name):
                writer.write_bytes(name, b"" if name == EXAMPLE else reader.read_bytes(name))
    return plain.getvalue()


def read_pt2(path: Path) -> tuple[ExportedProgram, dict[str, str]]:
    """The program and its labels. Raises ModelError before anything is loaded when something in it could run code."""
    try:
        reader = PT2ArchiveReader(str(path))
        refuse(path, "records", [name for name in reader.get_file_names() if not is_plain(reader, name)])
        refuse(path, "texts", list(unsafe_texts(json.loads(reader.read_string(PROGRAM)))))
        found = {LABELS: "{}"}
        return torch.export.load(path, extra_files=found), json.loads(found[LABELS])
    except (RuntimeError, AssertionError, ValueError, KeyError, BadZipFile) as error:
        raise ModelError(f"{path} is not a .pt2 file that torch {torch.__version__} reads") from error


def function_of(program: ExportedProgram) -> Callable[[dict[str, Tensor]], Tensor]:
    """The program as a function of its inputs by name.

    Its graph is given its weights here once. `program.module()` looks them up in each call, through all modules that
    they were in, and checks the sizes of the inputs, whose sympy takes half a millisecond; the inputs are our own.
    """
    program.graph_module.recompile()  # or it runs as it was read, where move_to_device_pass has changed its devices
    run, held = program.graph_module.forward, {**program.state_dict, **program.constants}
    ports = [(port.arg.name, held.get(str(port.target))) for port in program.graph_signature.input_specs]

    def call(inputs: dict[str, Tensor]) -> Tensor:
        (output,) = run(*(inputs[name] if weight is None else weight for name, weight in ports))
        return output

    return call


def refuse(path: Path, kind: str, strange: list[str]) -> None:
    """Raise ModelError if there is something strange."""
    if strange:
        raise ModelError(
            f"{path} holds {len(strange)} {kind} that could run code, the first being {strange[0]}; export it again"
        )


def is_plain(reader: PT2ArchiveReader, name: str) -> bool:
    """Whether a record is JSON or raw numbers."""
    if name == EXAMPLE:
        return reader.read_bytes(name) == b""
    if name.endswith("_config.json"):
        payload = json.loads(reader.read_string(name))["config"].values()
        return bool(PLAIN.fullmatch(name)) and not any(entry["use_pickle"] for entry in payload)
    return bool(PLAIN.fullmatch(name))
