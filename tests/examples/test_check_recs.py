"""The check that readers run finds what is published good, and what is spoilt bad, with nothing but pyarrow."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.conftest import LAST_DAY

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "check_recs.py"
HEAVY = "torch", "onnx", "pandas", "rec_export", "pydantic"


def check(recs: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run it where nothing else can be imported."""
    for name in HEAVY:
        (recs.parent / f"{name}.py").write_text(f"raise ImportError('{name} is not here')\n")
    environment = {**os.environ, "PYTHONPATH": str(recs.parent)}
    words = [sys.executable, str(EXAMPLE), str(recs), *more]
    return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def recs(scored: Path, tmp_path: Path) -> Path:
    """A read root to be spoilt."""
    return Path(shutil.copytree(scored, tmp_path / "recs"))


def test_what_is_published_keeps_its_promises(recs: Path) -> None:
    done = check(recs)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"run_date={LAST_DAY}: run ")
    assert check(recs, LAST_DAY).stdout == done.stdout


@pytest.mark.parametrize("words", [["2020-01-01"], ["a", "b"]])
def test_a_slip_is_one_line(words: list[str], recs: Path) -> None:
    done = check(recs, *words)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_the_folder_of_one_date_is_told_from_the_read_root(recs: Path) -> None:
    said = check(recs / f"run_date={LAST_DAY}").stderr
    assert f"; for this date alone say {recs} {LAST_DAY}" in said


def column(name: str, change: Callable[[pa.ChunkedArray], pa.Array]) -> Callable[[Path], None]:
    """Spoil a column of a part."""

    def spoil(part: Path) -> None:
        table = pq.read_table(part, partitioning=None)
        place, marks = table.column_names.index(name), pq.read_metadata(part).metadata
        spoilt = table.set_column(place, name, change(table[name]))
        pq.write_table(spoilt.replace_schema_metadata({**(spoilt.schema.metadata or {}), **marks}), part)

    return spoil


def first_as(value: object) -> Callable[[pa.ChunkedArray], pa.Array]:
    """A change of the first row."""
    return lambda cells: pa.array([value, *cells.to_pylist()[1:]], cells.type)


OF_TWO = "part-00001-of-00002-0123456789ab.parquet"
SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a rank": (column("rank", first_as(2)), "with ranks 1, 2, 3"),
    "a score": (column("score", lambda cells: pc.negate(cells)), "falling scores"),
    "a score that is no number": (column("score", first_as(float("nan"))), "falling scores"),
    "a null": (column("item_id", first_as(None)), "holds nulls"),
    "a source": (column("source", first_as("oracle")), "has a source"),
    "a type": (column("score", lambda cells: cells.cast(pa.float64())), "another type in ['score']"),
    "an item twice": (column("item_id", lambda cells: pa.array([cells[0].as_py()] * len(cells))), "an item twice"),
    "a bit": (lambda part: flip(part), "broken: "),
    "no part": (lambda part: shutil.move(part, part.with_name(OF_TWO)), "no run that is whole"),
    "another file": (lambda part: (part.parent / "x.parquet").touch(), "something else than parts"),
}  # fmt: skip


def flip(part: Path) -> None:
    """Change one bit of a page."""
    whole = bytearray(part.read_bytes())
    whole[len(whole) // 2] ^= 1
    part.write_bytes(whole)


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_spoilt_is_found(what: str, recs: Path) -> None:
    spoil, said = SPOILT[what]
    (part,) = recs.rglob("*.parquet")
    spoil(part)
    done = check(recs)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr
