"""Blocks of the README and of docs/ that take minutes, where the machine has what they need; not for CI."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, Block, blocks
from tests.docs.conftest import LONG, is_long, prepare
from tests.docs.reader import Reader


def follow(reader: Reader, block: Block) -> None:
    """Do what it says."""
    reader.follow(block)


def in_a_clone(reader: Reader, block: Block) -> None:
    """Do what it says in a clone whose `make install` is done: its .venv is the one of these tests."""
    clone = reader.folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    (clone / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        (clone / ".venv" / path.name).symlink_to(path)
    (clone / ".venv" / "ready").unlink(missing_ok=True)
    (clone / ".venv" / "ready").touch()
    reader.folder = clone
    # one file stands for all: these tests are among them
    reader.environment |= {"PYTHONPATH": str(clone), "PYTEST_ADDOPTS": "tests/rec_export/test_record.py"}
    reader.follow(block)


def without_a_network(reader: Reader, block: Block) -> None:
    """Do what it says where the repository is near and all that it asks for is here, as on a machine without one."""
    (reader.folder / "URL").symlink_to(ROOT)
    here = sysconfig.get_path("purelib")  # where pip finds what it would fetch
    reader.environment |= {"PYTHONPATH": here, "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    reader.follow(block)
    assert (reader.folder / "rec-export" / "first" / "recs" / "run_date=2026-11-20").is_dir()


def on_two_machines(reader: Reader, block: Block) -> None:
    """Do what it says in two folders at once: the first process of the two writes what was learned."""
    other = shutil.copytree(reader.folder, reader.folder.with_name("other"))
    line = block.text.strip()
    reader.follow(block._replace(text=f"({line}) & (cd {other}; {line}); wait $!"))
    assert [(folder / "checkpoint").is_dir() for folder in (reader.folder, other)].count(True) == 1


HOW: dict[str, Callable[[Reader, Block], None]] = {
    "make demo": in_a_clone, "git clone URL": without_a_network, "torchrun --nnodes": on_two_machines,
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.name) for page in PAGES for block in blocks(page) if is_long(block)]
)
def test_what_takes_minutes_ends_well_too(block: Block, reader: Reader) -> None:
    pytest.importorskip(next(needed for begins, needed in LONG.items() if block.text.startswith(begins)))
    if "aoti" in block.text and shutil.which("g++") is None:
        pytest.skip("there is no C++ compiler here")
    prepare(reader, block.page)
    next((how for begins, how in HOW.items() if block.text.startswith(begins)), follow)(reader, block)


def test_what_takes_minutes_is_there() -> None:
    every = [block.text for page in PAGES for block in blocks(page)]
    assert [begins for begins in LONG if not any(text.startswith(begins) for text in every)] == []
