"""Python and the packages, held against the ranges that rec-export was installed with."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from rec_export.doctor.finding import Finding

OURS = "rec-export"
TOOLS = "dev"  # an extra for those who work on rec-export itself
ALIKE = {"onnxruntime-gpu": "onnxruntime", "onnxruntime": "onnxruntime-gpu"}  # two builds of one package


def package_findings() -> Iterator[Finding]:
    """Python, the packages that every command needs, and the extras."""
    try:
        needed = [Requirement(line) for line in requires(OURS) or ()]
        range_of_python = SpecifierSet(str(metadata(OURS)["Requires-Python"]))
        extras = metadata(OURS).get_all("Provides-Extra") or []
    except PackageNotFoundError:
        yield Finding(
            check="packages", state="warning", said="rec-export runs from its source, so nothing tells the ranges",
            todo="install it: pip install -c constraints.txt .",
        )  # fmt: skip
        return
    yield python(range_of_python)
    yield from required([one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})])
    yield from both_builds()
    for extra in extras:
        if extra != TOOLS:
            yield optional(extra, [one for one in needed if in_extra(one, extra)])


def python(allowed: SpecifierSet) -> Finding:
    """The interpreter."""
    found = platform.python_version()
    if found in allowed:
        return Finding(check="python", state="ok", said=f"{found} ({allowed})")
    return Finding(
        check="python", state="not available", said=f"{found} is outside {allowed}",
        todo="make an environment with a Python in that range",
    )  # fmt: skip


def required(needed: list[Requirement]) -> Iterator[Finding]:
    """One finding for all packages that are as they should be, and one for each of the others."""
    faults = {one.name: fault for one in needed if (fault := fault_of(one))}
    good = [f"{one.name} {installed(one.name)}" for one in needed if one.name not in faults]
    if good:
        yield Finding(check="packages", state="ok", said=", ".join(good))
    for name, fault in faults.items():
        state, todo = ("not available" if installed(name) is None else "warning"), "pip install -c constraints.txt ."
        yield Finding.of({"check": "packages", "state": state, "said": fault, "todo": todo}, "doctor")


def fault_of(need: Requirement) -> str | None:
    """How a package is not what is needed, or None."""
    found = installed(need.name)
    if found is None:
        return f"{need.name} is not installed ({need.specifier})"
    return None if need.specifier.contains(found, prereleases=True) else f"{need.name} {found} is not {need.specifier}"


def installed(name: str) -> str | None:
    """The version of a package, or of the other build of it."""
    for build in (name, ALIKE.get(name, name)):
        try:
            return version(build)
        except PackageNotFoundError:
            continue
    return None


def both_builds() -> Iterator[Finding]:
    """Two builds of ONNX Runtime share one folder, and whichever came last has overwritten the other."""
    found = [name for name in ALIKE if there(name)]
    if len(found) > 1:
        yield Finding(
            check="packages", state="warning", said=f"{' and '.join(found)} are installed in one folder",
            todo=f"pip uninstall {' '.join(found)}, then install one of them",
        )  # fmt: skip


def there(name: str) -> bool:
    """Whether just this build is installed."""
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def in_extra(need: Requirement, extra: str) -> bool:
    """Whether a package belongs to an extra alone."""
    return need.marker is not None and "extra" in str(need.marker) and need.marker.evaluate({"extra": extra})


def optional(extra: str, needed: list[Requirement]) -> Finding:
    """The packages of one extra."""
    faults = [fault for one in needed if (fault := fault_of(one))]
    if not faults:
        said = ", ".join(f"{one.name} {installed(one.name)}" for one in needed)
        return Finding(check=f"[{extra}]", state="ok", said=said)
    todo = f"if you need it: pip install {' '.join(one.name for one in needed)}"
    return Finding(check=f"[{extra}]", state="not available", said=", ".join(faults), todo=todo)
