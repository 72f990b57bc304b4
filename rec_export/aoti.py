"""An AOTInductor package: native code, for machines like the one that compiled it; refused on any other.

torch compiles for the very processor (-march=native) and against its own version, and checks neither when it loads a
package: elsewhere the code would end the process, or compute something else.
"""

import json
import platform
import sys
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import torch

from rec_export.errors import EnvironmentMissingError, ModelError

TORCH, SYSTEM, PROCESSOR = "rec_export.torch", "rec_export.system", "rec_export.processor"
METADATA = ".wrapper_metadata.json"


def machine() -> dict[str, str]:
    """What a package is tied to: torch's version, the system, and the processor's flags as the kernel tells them."""
    return {
        TORCH: str(torch.__version__),
        SYSTEM: f"{sys.platform} {platform.machine()}",
        PROCESSOR: " ".join(sorted(flags())),
    }


def flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """What the processor can do, such as avx512f; nothing where the system does not tell."""
    lines = cpuinfo.read_text(encoding="ascii").splitlines() if cpuinfo.exists() else []
    told = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return set(told.partition(":")[2].split())


def labels_of(path: Path) -> dict[str, str]:
    """The labels inside a package, of which nothing is run. Raises ModelError."""
    try:
        with ZipFile(path) as file:
            (name,) = (name for name in file.namelist() if name.endswith(METADATA))
            told: dict[str, str] = json.loads(file.read(name))
            return told
    except (BadZipFile, ValueError, OSError) as error:
        raise ModelError(f"{path} is not an AOTInductor package; export the model again") from error


def check_machine(path: Path) -> None:
    """Raise EnvironmentMissingError unless a package was compiled for this machine."""
    wanted, here = labels_of(path), machine()
    for name, what in ((TORCH, "torch "), (SYSTEM, "")):
        if wanted.get(name) != here[name]:
            raise elsewhere(path, f"{what}{wanted.get(name, 'something else')}, and this is {what}{here[name]}")
    lacking = sorted(set(wanted.get(PROCESSOR, "").split()) - set(here[PROCESSOR].split()))
    if lacking:
        raise elsewhere(path, f"a processor with {lacking[0]}, which is one of {len(lacking)} things this one lacks")


def elsewhere(path: Path, why: str) -> EnvironmentMissingError:
    """The sentence for a package that does not belong here."""
    return EnvironmentMissingError(f"{path} was compiled for {why}; use another runtime, or export it again here")
