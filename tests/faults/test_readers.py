"""Readers who read on while a date is published again and again find one whole run each time."""

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pytest

import rec_export
from batch_jobs.publish import claimed, publish
from rec_export.errors import DataError, MissingInputError
from rec_export.recs import Recs, run_in
from tests.conftest import Tell
from tests.made_up_run import made_up_run

DAY = "2026-11-20"
PARTS, USERS = 4, 50  # a part
PAGE = Path(__file__).resolve().parents[2] / "docs" / "readers.md"
RECIPES = dict(re.findall(r"^## (.*)\n\n((?:    .*\n)+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
MISSING = (FileNotFoundError, MissingInputError, DataError, duckdb.IOException, polars.exceptions.ComputeError)
SPARK = "Spark"  # of which not all machines have the Java


def publish_run(recs: Recs, number: int) -> None:
    """Publish a made-up run whose scores are all its number."""
    run_id = f"{number:012x}"
    with claimed(recs):
        work = recs.control / "work" / run_id / f"run_date={DAY}"
        work.mkdir(parents=True)
        told = made_up_run(work, DAY, number, PARTS, USERS, replaces=run_in(recs.live(DAY)))
        publish(recs, work, told)


def publish_runs(recs: Recs, runs: int, pause: float) -> None:
    """One after the other, with so many seconds between them."""
    for number in range(1, runs):
        time.sleep(pause)
        publish_run(recs, number)


@contextmanager
def writer(recs: Recs, runs: int, pause: float) -> Iterator[Callable[[], bool]]:
    """Publish so many runs beside the block; is it still at work?"""
    publish_run(recs, 0)
    thread = threading.Thread(target=publish_runs, args=(recs, runs, pause))
    thread.start()
    try:
        yield thread.is_alive
    finally:
        thread.join()


def read(recipe: str, recs: Recs) -> set[float]:
    """The scores that a recipe of the page finds; all rows must be there."""
    scope: dict[str, Any] = {}
    exec(recipe.replace('"recs', f'"{recs.root}').replace("'recs", f"'{recs.root}").replace("    ", ""), scope)
    lists = scope["lists"]
    table = pa.Table.from_pandas(lists) if hasattr(lists, "iloc") else pa.table(lists)
    assert table.num_rows == PARTS * USERS
    return set(table["score"].to_pylist())


def read_twice_at_most(recipe: str, recs: Recs) -> set[float] | None:
    """As the page says: once more where a file is missing. None where it was missing again."""
    for _ in range(2):
        try:
            return read(recipe, recs)
        except MISSING:
            continue
    return None


def mixtures(recs: Recs, runs: int, recipe: str, pause: float = 0.0) -> tuple[int, int, list[set[float]]]:
    """How often a recipe read, how often a file was missing twice, and what was no single run."""
    reads, missing, bad, newest = 0, 0, [], 0.0
    with writer(recs, runs, pause) as at_work:
        while at_work() or reads < 3:
            scores = read_twice_at_most(recipe, recs)
            reads += 1
            if scores is None:
                missing += 1
            elif len(scores) != 1 or max(scores) < newest:
                bad.append(scores)
            else:
                newest = max(scores)
            time.sleep(0.001)
    return reads, missing, bad


@pytest.mark.parametrize("name", [name for name in RECIPES if name != SPARK])
@pytest.mark.parametrize("runs", [pytest.param(40, marks=pytest.mark.brief), pytest.param(500, marks=pytest.mark.long)])
def test_a_recipe_of_the_page_never_reads_a_mixture(name: str, runs: int, tmp_path: Path, tell: Tell) -> None:
    recs = Recs.at(tmp_path / "recs")
    reads, missing, bad = mixtures(recs, runs, RECIPES[name])
    said = f"{len(bad)} mixtures or short reads; {missing} missed a file twice"
    tell(f"{runs} re-publishes beside a reader: {name}", f"{reads} reads", said)
    assert (bad, reads > missing) == ([], True)
    assert read(RECIPES[name], recs) == {runs - 1}


@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
@pytest.mark.parametrize("runs", [pytest.param(3, marks=pytest.mark.brief), pytest.param(12, marks=pytest.mark.long)])
def test_spark_never_reads_a_mixture(runs: int, tmp_path: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = pytest.importorskip("pyspark.errors")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    from py4j.protocol import Py4JJavaError
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    monkeypatch.setattr("tests.faults.test_readers.MISSING", (errors.PySparkException, Py4JJavaError))
    recs = Recs.at(tmp_path / "recs")
    reads, missing, bad = mixtures(recs, runs, RECIPES[SPARK], pause=6.0)
    said = f"{len(bad)} mixtures or short reads; {missing} missed a file twice"
    tell(f"{runs} re-publishes beside a reader: {SPARK}", f"{reads} reads", said)
    assert (bad, reads > missing) == ([], True)
    assert read(RECIPES[SPARK], recs) == {runs - 1}
    spark.stop()


def test_the_page_has_the_recipes_that_are_promised() -> None:
    assert list(RECIPES) == ["pandas", "pyarrow", "DuckDB", "Polars", SPARK, "With every file verified"]


def test_recommendations_are_the_newest_date_or_the_one_that_is_named(tmp_path: Path) -> None:
    recs = Recs.at(tmp_path / "recs")
    publish_run(recs, 1)
    files = [path.name for path in rec_export.recommendations(tmp_path / "recs")]
    assert files == [f"part-0000{part}-of-00004-000000000001.parquet" for part in range(PARTS)]
    with pytest.raises(MissingInputError, match=r"nothing is published at .*run_date=2026-11-19"):
        rec_export.recommendations(tmp_path / "recs", "2026-11-19")


def damage_missing(live: Path) -> None:
    min(live.glob("part-*")).unlink()


def damage_strange(live: Path) -> None:
    (live / "part-00000-of-00001-0123456789ab.parquet").touch()


def damage_flip(live: Path) -> None:
    path = max(live.glob("part-*"))
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


@pytest.mark.parametrize("damage", [damage_missing, damage_strange, damage_flip])
def test_files_that_are_not_what_was_published_are_refused(damage: Callable[[Path], None], tmp_path: Path) -> None:
    recs = Recs.at(tmp_path / "recs")
    publish_run(recs, 1)
    damage(recs.live(DAY))
    with pytest.raises((DataError, MissingInputError)):
        rec_export.recommendations(tmp_path / "recs", DAY)
