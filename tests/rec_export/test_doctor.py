"""`doctor` tries what a machine does, and ends with the code that says whether what is needed is there."""

import errno
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from rec_export.doctor import storage
from rec_export.doctor.examine import NEEDED
from rec_export.swap import EXCHANGE, renameat2
from rec_export.topk import vnni
from tests.conftest import Answer, command, contents

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")


def findings(*options: object) -> dict[str, dict[str, Any]]:
    """What `doctor --json` finds, by check; the first of each."""
    answer = command("-q", "doctor", "--json", *options)
    found = json.loads(answer.out)
    return {one["check"]: one for one in reversed(found)}


def verdict(*options: object) -> tuple[int, str]:
    """The exit code, and what is said on stderr."""
    answer: Answer = command("-q", "doctor", *options)
    return answer.code, answer.err


def test_where_the_tests_run_the_main_job_can_be_done(tmp_path: Path) -> None:
    answer = command("-q", "doctor", "--recs", tmp_path / "not" / "yet" / "recs")
    states = {line[15:27].strip(): line[:13].strip() for line in answer.out.splitlines()}
    assert (answer.code, answer.err) == (0, "")
    assert {name: states[name] for name in NEEDED} == dict.fromkeys(NEEDED, "ok")
    assert contents(tmp_path) == {}


def test_json_is_the_same_findings() -> None:
    found = findings()
    assert {*NEEDED, "top-k cuda"} - {"recs", "lock"} <= set(found)
    assert all(set(one) == {"check", "state", "said", "todo"} for one in found.values())


@NO_CUDA
@pytest.mark.parametrize("options", [["--device", "cuda"], ["--device", "cuda", "--runtime", "onnx"]])
def test_what_was_asked_for_and_does_not_work_is_69(options: list[str]) -> None:
    code, said = verdict(*options)
    assert (code, said.count("\n")) == (69, 1)
    assert said.startswith("Error: what was asked for does not work here: cuda: torch ")
    assert (". And onnx cuda: " in said) == ("--runtime" in options)  # all that is wrong is told


def breaks(*anything: object, **more: object) -> None:
    """In the place of something that a broken installation has lost."""
    raise OSError("libtorch.so: cannot open shared object file")


def test_what_the_main_job_needs_is_78_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.jit.script", breaks)
    fault = "torchscript: OSError: libtorch.so: cannot open shared object file; use a Python below 3.14"
    assert verdict()[1].startswith(f"Error: this environment cannot do the main job: {fault}")
    assert [verdict()[0], verdict("--runtime", "torchscript")[0]] == [78, 69]


def test_packages_are_held_against_their_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = metadata.version("numpy")
    lines = ["numpy<1", "not-there>=3", "click>=8", 'also-not-there; extra == "als"']
    monkeypatch.setattr("rec_export.doctor.packages.requires", lambda name: lines)
    answer = command("-q", "doctor")
    assert [line for line in answer.out.splitlines() if "packages" in line[:30] or "[als]" in line] == [
        f"ok             packages      click {metadata.version('click')}",
        f"warning        packages      numpy {numpy} is not <1; pip install -c constraints.txt .",
        "not available  packages      not-there is not installed (>=3); pip install -c constraints.txt .",
        "not available  [als]         also-not-there is not installed (); if you need it: pip install also-not-there",
    ]
    assert answer.code == 78


def test_a_filesystem_that_cannot_exchange_is_told_and_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_exchange(one: Path, other: Path, flag: int) -> None:
        if flag == EXCHANGE:
            raise OSError(errno.EINVAL, "Invalid argument")
        renameat2(one, other, flag)

    monkeypatch.setattr(storage, "renameat2", without_exchange)
    states = {name: one["state"] for name, one in findings("--recs", tmp_path / "recs").items()}
    assert [states[name] for name in ("lock", "place", "exchange")] == ["ok", "ok", "not available"]
    assert verdict("--recs", tmp_path / "recs") == (0, "")
    assert contents(tmp_path) == {}


def test_a_filesystem_that_knows_no_locks_is_78(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_flock(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", without_flock)
    code, said = verdict("--recs", tmp_path / "recs")
    assert code == 78
    assert "lock: OSError: [Errno 37] No locks available; nothing can be published here; use a filesystem" in said


def test_a_folder_that_cannot_be_written_is_78() -> None:
    assert verdict("--recs", "/proc/recs")[0] == 78


@pytest.mark.parametrize(("has", "said"), [(True, "8-bit integers"), (False, "float32 tiles by torch")])
def test_the_engine_is_the_one_that_ranks_here(has: bool, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if has and not vnni.available():
        pytest.skip("the processor has no AVX-512 VNNI")
    monkeypatch.setattr(vnni, "available", lambda: has)
    assert said in findings()["top-k"]["said"]
