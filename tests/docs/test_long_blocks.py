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
from tests.docs.reader import Ended, Reader


def in_a_clone(reader: Reader, block: Block) -> Ended:
    """Do what it says in a clone whose `make install` is done: its .venv is the one of these tests."""
    clone = reader.folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    (clone / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.name != "ready":
            (clone / ".venv" / path.name).symlink_to(path)
    (clone / ".venv" / "ready").touch()  # now, as make goes by the time
    reader.folder = clone
    # one file stands for all: these tests are among them
    reader.environment |= {"PYTHONPATH": str(clone), "PYTEST_ADDOPTS": "tests/rec_export/test_record.py"}
    return reader.follow(block)


def without_a_network(reader: Reader, block: Block) -> Ended:
    """Do what it says where the repository is near and all that it asks for is here, as on a machine without one."""
    (reader.folder / "URL").symlink_to(ROOT)
    here = sysconfig.get_path("purelib")  # where pip finds what it would fetch
    reader.environment |= {"PYTHONPATH": here, "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    ended = reader.follow(block)
    assert (reader.folder / "rec-export" / "first" / "recs" / "run_date=2026-11-20").is_dir()
    return ended


def on_two_machines(reader: Reader, block: Block) -> Ended:
    """Do what it says twice at once, as on two machines that share a disk."""
    line = block.text.strip()
    return reader.follow(block._replace(text=f"{line} &\n{line}\nwait $!"))


HOW: dict[str, Callable[[Reader, Block], Ended]] = {
    "make demo": in_a_clone, "git clone URL": without_a_network, "torchrun --nnodes": on_two_machines,
}  # fmt: skip
PROGRAMS = {"aoti": "g++", "pyspark": "java"}  # that the machine must have for a word


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.name) for page in PAGES for block in blocks(page) if is_long(block)]
)
def test_what_takes_minutes_ends_well_too(block: Block, reader: Reader) -> None:
    pytest.importorskip(next(needed for begins, needed in LONG.items() if block.text.startswith(begins)))
    for word, program in PROGRAMS.items():
        if word in block.text and shutil.which(program) is None:
            pytest.skip(f"there is no {program} here")
    prepare(reader, block.page)
    (reader.machine / "bin" / "rec-export").unlink()  # a process for each, as there is time
    follow = next((how for begins, how in HOW.items() if block.text.startswith(begins)), Reader.follow)
    ended = follow(reader, block)
    assert ended.code == 0, ended.said


def test_what_takes_minutes_is_there() -> None:
    every = [block.text for page in PAGES for block in blocks(page)]
    assert [begins for begins in LONG if not any(text.startswith(begins) for text in every)] == []
