"""Run commands of rec-export on the pretended device: `python -m tests.pretended.run cuda.so < commands.json`.

The commands are lists of words; what comes out, in JSON, is the exit code of each, and how many operations the device
took part in meanwhile.
"""

import ctypes
import importlib.util
import json
import sys
from pathlib import Path


def load(shim: str) -> None:
    """Bring the compiled cuda.cpp in before torch looks for a device."""
    spec = importlib.util.find_spec("torch")
    assert spec
    assert spec.origin
    for library in ("libc10.so", "libtorch_cpu.so"):
        ctypes.CDLL(str(Path(spec.origin).parent / "lib" / library), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(shim, mode=ctypes.RTLD_GLOBAL)


def main(shim: str) -> None:
    """All commands in one process."""
    load(shim)
    from tests.pretended.device import Pretended, in_force, install

    install()  # before anything decorates itself with torch.inference_mode
    from rec_export.cli import run

    told = []
    with in_force():
        for words in json.load(sys.stdin):
            before = Pretended.operations
            told.append([run(["-q", *words]), Pretended.operations - before])
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
