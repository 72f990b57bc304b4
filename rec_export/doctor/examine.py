"""Try everything, and say whether what is needed or was asked for is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, final

from rec_export.doctor.engines import engine_findings
from rec_export.doctor.finding import Finding
from rec_export.doctor.kernels import kernel_findings
from rec_export.doctor.packages import package_findings
from rec_export.doctor.storage import storage_findings
from rec_export.errors import DeviceError, EnvironmentMissingError
from rec_export.record import Record

NEEDED = "python", "packages", "torch", "torchscript", "onnx", "pt2", "numba", "top-k", "recs", "lock"
ENGINES = {"torchscript": "torchscript", "onnx": "onnx", "pt2": "pt2"}


@final
class DoctorJob(Record):
    """What must be there beside what the main job needs."""

    device: Literal["cpu", "cuda"] | None = None
    runtime: Literal["torchscript", "onnx", "pt2"] | None = None
    recs: Path | None = None

    def asked(self) -> tuple[str, ...]:
        """The checks that must be ok because they were asked for."""
        engine = () if self.runtime is None else (ENGINES[self.runtime],)
        if self.device != "cuda":
            return engine
        return (*engine, "cuda", "onnx cuda") if self.runtime == "onnx" else (*engine, "cuda")


ABOUT = 20  # findings


def findings(job: DoctorJob) -> Iterator[Finding]:
    """Everything, in the order in which it is needed."""
    yield from package_findings()
    yield from engine_findings()
    yield from kernel_findings()
    if job.recs is not None:
        yield from storage_findings(job.recs)


def refuse(job: DoctorJob, found: list[Finding]) -> None:
    """Raise EnvironmentMissingError where the main job cannot be done, DeviceError where what was asked for is not."""
    absent = {finding.check: finding for finding in found if finding.state == "not available"}
    needed = [absent[name] for name in NEEDED if name in absent]
    asked = [absent[name] for name in job.asked() if name in absent]
    if [one for one in needed if one not in asked]:
        raise EnvironmentMissingError(f"this environment cannot do the main job: {told(needed)}")
    if asked:
        raise DeviceError(f"what was asked for does not work here: {told(asked)}")


def told(faults: list[Finding]) -> str:
    """Each fault, and what to do about it."""
    return ". And ".join(f"{one.check}: {one.said}; {one.todo}" for one in faults)
