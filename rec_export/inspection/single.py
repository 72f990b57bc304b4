"""One exported file: ONNX by its protobuf, TorchScript and pt2 by the records of their archives. Nothing is run."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

from rec_export.errors import ModelError, UsageError
from rec_export.inspection.documents import Facts
from rec_export.inspection.models import recorded
from rec_export.inspection.shown import Inspection, Row, size, table, typed

LABELS = "extra/rec_export.json"
METADATA = ".wrapper_metadata.json"  # of an AOTInductor package
PORT_HEAD = "", "name", "type"
ONNX_TYPES = {"FLOAT": "float32", "DOUBLE": "float64", "FLOAT16": "float16"}  # the others are lower-case
ATEN_TYPES = {5: "int64", 7: "float32", 12: "bool"}  # ScalarType of torch/_export/serde/schema.py
FORWARD = re.compile(r"def forward\(self: [^,]*,\s*(?P<takes>[^)]*)\) -> (?P<gives>[^:]*):")


def single(path: Path) -> Inspection:
    """A file in one of the three formats. One of a bundle must be what its manifest says. Raises ModelError."""
    known = recorded(path)
    if path.suffix == ".onnx":
        kind, facts = "ONNX file", onnx_facts(path)
    elif is_zipfile(path):
        kind, facts = archive(path)
    else:
        raise UsageError(f"{path} is none of the files that can be inspected: .onnx, .pt2, and .pt of TorchScript")
    if known is not None and known[1] in known[0]["signatures"]:
        facts = {**facts, "made_at": known[0]["made_at"], **known[0]["signatures"][known[1]]}
    told = known and "its sha256 by the manifest of its bundle, which manifest.sha256 seals"
    ports = [(way, port["name"], typed(port)) for way, name in (("in", "inputs"), ("out", "outputs"))
             for port in facts.get(name, ())]  # fmt: skip
    rows = [("size", size(path.stat().st_size)), *flat(facts)]
    sections = (*table("File", rows), *table("Inputs and outputs", ports, PORT_HEAD))
    return Inspection(kind, path, told, facts, sections)


def flat(facts: Facts) -> Iterator[Row]:
    """The facts that are no lists of ports."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from ((key, str(told)) for key, told in value.items())
        elif name not in ("inputs", "outputs"):
            yield name.replace("_", " "), str(value)


def onnx_facts(path: Path) -> Facts:
    """The versions, labels, operators and ports of an ONNX file, whose weights may only lie beside it."""
    import onnx  # here, as the other formats do without it
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
        graph = model.graph
        if not graph.output:
            raise DecodeError("no graph")
        onnx.checker.check_model(path)  # weights outside, wherever they are named, lie in a file beside it, no link
    except DecodeError as error:
        raise ModelError(f"{path} is not an ONNX file; export the model again") from error
    except onnx.checker.ValidationError as error:
        raise ModelError(f"{path} is not valid ONNX: {str(error).splitlines()[0]}; export the model again") from error
    outside = [entry.value for weight in graph.initializer for entry in weight.external_data if entry.key == "location"]
    own = {weight.name for weight in graph.initializer}
    stored: dict[str, int] = {}
    for weight in graph.initializer:
        kind = onnx.TensorProto.DataType.Name(weight.data_type).lower()
        stored[kind] = stored.get(kind, 0) + (weight.ByteSize() if not weight.external_data else 0)
    return {
        "ir": model.ir_version,
        "opset": ", ".join(f"{one.domain or 'ai.onnx'} {one.version}" for one in model.opset_import),
        "made_with": f"{model.producer_name} {model.producer_version}".strip() or "unknown",
        "labels": {prop.key: prop.value for prop in model.metadata_props},
        "nodes": len(graph.node),
        "weights": ", ".join(f"{kind} {size(number)}" for kind, number in stored.items()),
        "weights_beside_it": ", ".join(sorted(set(outside))) or "none",
        "inputs": [onnx_port(value, value.name in own) for value in graph.input],
        "outputs": [onnx_port(value, False) for value in graph.output],
    }


def onnx_port(value: Any, optional: bool) -> Facts:
    """An input or output."""
    import onnx

    kind = value.type.tensor_type
    name = onnx.TensorProto.DataType.Name(kind.elem_type)
    shape = [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
    port = {"name": value.name, "dtype": ONNX_TYPES.get(name, name.lower()), "shape": shape}
    return {**port, "optional": True} if optional else port


def archive(path: Path) -> tuple[str, Facts]:
    """A pt2 or a TorchScript file, told apart by their records."""
    try:
        with ZipFile(path) as file:
            records = {name.partition("/")[2]: name for name in file.namelist()}
            facts = {"records": len(records), "labels": json.loads(file.read(records[LABELS]))} if LABELS in records \
                else {"records": len(records), "labels": {}}  # fmt: skip
            if compiled := [name for inner, name in records.items() if inner.endswith(METADATA)]:
                labels: dict[str, str] = json.loads(file.read(compiled[0]))
                return "AOTInductor package, native code for one kind of machine", {"labels": labels}
            if "models/model.json" in records:
                return "pt2 file", facts | pt2_facts(json.loads(file.read(records["models/model.json"])))
            code = [name for inner, name in records.items() if inner.startswith("code/") and inner.endswith(".py")]
            if code and "constants.pkl" in records:
                return "TorchScript file", facts | scripted(file.read(name).decode() for name in code)
    # RuntimeError of what is encrypted, packed in another way, or nested too deep.
    except (BadZipFile, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path} is a damaged archive: {error}; export the model again") from error
    raise ModelError(f"{path} is a pickle or another archive, which loading would run; it was not opened")


def scripted(sources: Iterator[str]) -> Facts:
    """How the module of a TorchScript file is called."""
    found = [match for source in sources for match in FORWARD.finditer(source)]
    calls = [" ".join(f"{one['takes']} -> {one['gives']}".split()) for one in found]
    return {"forward": calls[0] if len(calls) == 1 else "; ".join(calls) or "none"}


def pt2_facts(program: Facts) -> Facts:
    """What a program of torch.export takes and gives, and the torch that wrote it."""
    graph, signature = program["graph_module"]["graph"], program["graph_module"]["signature"]
    inputs = [
        spec["user_input"]["arg"]["as_tensor"]["name"] for spec in signature["input_specs"] if "user_input" in spec
    ]
    outputs = [spec["user_output"]["arg"]["as_tensor"]["name"] for spec in signature["output_specs"]]
    return {
        "torch": program.get("torch_version", "unknown"),
        "nodes": len(graph["nodes"]),
        "inputs": [pt2_port(name, graph["tensor_values"][name]) for name in inputs],
        "outputs": [pt2_port(name, graph["tensor_values"][name]) for name in outputs],
    }


def pt2_port(name: str, value: Facts) -> Facts:
    """An input or output; a size that may vary is a symbol such as s23."""
    shape = [size["as_int"] if "as_int" in size else symbol(size["as_expr"]["expr_str"]) for size in value["sizes"]]
    return {"name": name, "dtype": ATEN_TYPES.get(value["dtype"], f"type {value['dtype']}"), "shape": shape}


def symbol(expression: str) -> str:
    """The name in "Symbol('s23', positive=True, integer=True)"; longer expressions stay as they are."""
    match = re.fullmatch(r"Symbol\('(\w+)'[^']*\)", expression)
    return match[1] if match else expression
