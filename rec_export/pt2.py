"""A .pt2 archive without a pickle: written so, and refused where it holds one, as unpickling runs what a file says.

torch.export writes its example inputs as a pickle, for which no program has a use; the rest is JSON and raw numbers.
"""

import io
import json
import re
from pathlib import Path
from zipfile import BadZipFile

import torch
from torch.export import ExportedProgram
from torch.export.pt2_archive import PT2ArchiveReader, PT2ArchiveWriter

from rec_export.errors import ModelError

LABELS = "rec_export.json"
EXAMPLE = "data/sample_inputs/model.pt"
OF_ARCHIVE = re.compile(r"\.data/.*|version|byteorder")  # what the writer of the archive adds by itself
PLAIN = re.compile(
    rf"{OF_ARCHIVE.pattern}|archive_(format|version)|models/model\.json|extra/{re.escape(LABELS)}"
    r"|data/(weights|constants)/(model_(weights|constants)_config\.json|(weight|tensor)_\d+)"
)


def pt2_bytes(program: ExportedProgram, labels: dict[str, str]) -> bytes:
    """The archive of a program, with its labels inside."""
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
    """The program and its labels. Raises ModelError before anything is loaded when a pickle or native code is in it."""
    try:
        reader = PT2ArchiveReader(str(path))
        strange = [name for name in reader.get_file_names() if not is_plain(reader, name)]
        if strange:
            raise ModelError(
                f"{path} holds {len(strange)} records that could run code, the first being {strange[0]};"
                " export it again"
            )
        found = {LABELS: "{}"}
        return torch.export.load(path, extra_files=found), json.loads(found[LABELS])
    except (RuntimeError, AssertionError, ValueError, KeyError, BadZipFile) as error:
        raise ModelError(f"{path} is not a .pt2 file that torch {torch.__version__} reads") from error


def is_plain(reader: PT2ArchiveReader, name: str) -> bool:
    """Whether a record is JSON or raw numbers."""
    if name == EXAMPLE:
        return reader.read_bytes(name) == b""
    if name.endswith("_config.json"):
        payload = json.loads(reader.read_string(name))["config"].values()
        return bool(PLAIN.fullmatch(name)) and not any(entry["use_pickle"] for entry in payload)
    return bool(PLAIN.fullmatch(name))
