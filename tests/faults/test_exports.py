"""Every fault that is planted in an export is found, and cut down to a call that shows it."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.conftest import command
from tests.faults.exports import FAULTS, Fault, Planted, fallible

PAGE = Path(__file__).resolve().parents[2] / "docs" / "parity.md"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The checkpoint of a model that has a place for every fault."""
    with fallible(tmp_path_factory.mktemp("fallible")) as folder:
        yield folder


@pytest.fixture(scope="module")
def right(checkpoint: Path) -> Path:
    """The bundle without a fault."""
    assert command("-q", "onnx", checkpoint, "--out", checkpoint.with_name("right")).code == 0
    return checkpoint.with_name("right")


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_planted_fault_is_refused_with_the_smallest_call_that_shows_it(
    fault: Fault, checkpoint: Path, right: Path, tmp_path: Path
) -> None:
    answer = Planted.by(fault, checkpoint, right, tmp_path / "bundle").answer
    assert answer.code == 81
    assert answer.err.startswith(f"Error: onnx/{fault.part} is not the trained model: in the case ")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.refused"]
    case = load_file(shlex.split(answer.err)[-1])
    assert max(array.size for array in case.values()) <= 21


def test_the_page_has_a_row_for_each_fault_and_all_are_found() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| (?:before|in|after) the export \| ([^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert [name for name, _ in rows] == [fault.name for fault in FAULTS]
    assert all(said.startswith("refused") for _, said in rows)
