"""The kernels compiled for GPUs that are not there. A program: JSON of the kernels that it is told to, or of `all`."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from rec_export.topk.form import form_of
from rec_export.topk.fused import Launch, dot_launch, network_launch
from rec_export.topk.maxima import GROUP
from rec_export.towers import AdditiveHead

PTXAS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
WHOLE = {"barred_ptr": "*i32", "maxima_ptr": "*fp32"}
TYPES = {
    "dot_maxima": WHOLE | {"user_ptr": "*bf16", "item_ptr": "*bf16"},
    "network_maxima": WHOLE | {"user_ptr": "*fp32", "item_ptr": "*fp32", "weight_ptr": "*bf16", "single_ptr": "*fp32"},
}
SHAPE = "HIDDEN", "SECOND", "THIRD", "DOT"
NETWORKS = ((1,), 0), ((64, 32), 0), ((128, 64, 32), 0), ((64,), 65), ((128, 64, 32), 128), ((128,), 128)
CAPABILITIES = 80, 90


def launches() -> Iterator[tuple[str, Launch]]:
    """All that the widths of vectors lead to."""
    for width in (1, 32, 64, 128, 256):
        yield f"dot-{width}", dot_launch(width, GROUP)
    for hidden, dot in NETWORKS:
        form = form_of(AdditiveHead(hidden, dot), hidden[0] + dot)
        assert form is not None
        launch = network_launch(form, GROUP)
        yield f"network-{'-'.join(str(launch.constant[name]) for name in SHAPE)}", launch


def compiled(launch: Launch, capability: int) -> dict[str, object]:
    """What a kernel takes of a GPU: bytes of shared memory; registers and spilt bytes of a thread."""
    names = launch.kernel.arg_names
    types = {name: TYPES[launch.kernel.__name__].get(name, "i32") for name in names}
    types |= dict.fromkeys(launch.constant, "constexpr")
    aligned = {(at,): [["tt.divisibility", 16]] for at, name in enumerate(names) if types[name].startswith("*")}
    source = ASTSource(fn=launch.kernel, signature=types, constexprs=launch.constant, attrs=aligned)
    options = {"num_warps": launch.warps, "num_stages": launch.stages}
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    ptx = made.asm["ptx"]
    arch = found(r"\.target (\w+)", ptx)
    command = [str(PTXAS), "--verbose", f"--gpu-name={arch}", "-", "-o", "/dev/null"]
    said = subprocess.run(command, input=ptx, capture_output=True, text=True, check=True).stderr
    registers, spilt = (int(found(pattern, said)) for pattern in (r"Used (\d+) reg", r"(\d+) bytes spill stores"))
    multiplied = sorted(set(re.findall(r"wgmma\.mma_async|mma\.sync", ptx)))
    return {"arch": arch, "cubin": len(made.asm["cubin"]), "shared": made.metadata.shared, "registers": registers,
            "spilt": spilt, "by": multiplied,
            "products": "DIM" in launch.constant or launch.constant["SECOND"] > 0}  # fmt: skip


def found(pattern: str, text: str) -> str:
    """What stands where the pattern has its group."""
    match = re.search(pattern, text)
    assert match is not None
    return match[1]


if __name__ == "__main__":
    for name, launch in launches():
        for capability in CAPABILITIES if name in sys.argv or "all" in sys.argv else ():
            print(json.dumps({"kernel": name} | compiled(launch, capability)), flush=True)  # noqa: T201
