"""A Delta table holds what is live below the read root, each date in one commit; it can harm no published list."""

import json
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from batch_jobs import delta
from rec_export.recs import Recs
from tests.batch_jobs.conftest import LAST, NEXT, configured, night, report
from tests.conftest import command, contents, done

KEY = ["run_date", "user_id", "rank"]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "delta.md"
RECIPES = dict(re.findall(r"^## (.*)\n\n((?:    .*\n)+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.fixture
def place(place: Path, exported: Path) -> Path:
    """A shop whose nights also make a Delta table."""
    return configured(place, exported, delta="table")


def rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Lists in one order, with dates as text."""
    frame = frame.assign(run_date=frame.run_date.astype(str), item_id=frame.item_id.astype(str))
    return frame[sorted(frame.columns)].sort_values(KEY, ignore_index=True)


def live(place: Path) -> pd.DataFrame:
    """What readers of the read root get."""
    return rows(pd.read_parquet(place / "recs"))


def table(place: Path) -> pd.DataFrame:
    """What readers of the Delta table get."""
    return rows(pa.table(DeltaTable(place / "table").to_pyarrow_table()).to_pandas())


def same(place: Path) -> bool:
    """Whether both get the same."""
    pd.testing.assert_frame_equal(table(place), live(place), check_dtype=False)
    return True


def operations(place: Path) -> list[str]:
    """What the commits of the table did, the first one first."""
    return [entry["operation"] for entry in reversed(DeltaTable(place / "table").history())]


def test_each_date_is_one_commit_and_the_same_night_again_makes_none(place: Path) -> None:
    night(place, LAST)
    night(place, NEXT)
    assert same(place)
    assert operations(place) == ["CREATE TABLE", "WRITE", "WRITE"]
    before = contents(place)
    night(place, NEXT)
    assert contents(place) == before


def test_a_file_of_the_table_that_is_gone_is_put_there_again_without_a_commit(place: Path) -> None:
    night(place, LAST)
    (file,) = (place / "table").glob("run_date=*/*.parquet")
    file.unlink()
    assert done("delta", place / "recs", place / "table") == f"put run_date={LAST}\n"
    assert (same(place), operations(place)) == (True, ["CREATE TABLE", "WRITE"])


def test_a_date_that_is_replaced_or_taken_back_is_so_in_the_table_too(place: Path) -> None:
    night(place, LAST)
    night(place, NEXT)
    log = pd.read_parquet(place / "interactions.parquet")
    log.iloc[:-20].to_parquet(place / "interactions.parquet")
    night(place, NEXT, "--replace", "--force-gate", "first_item_growth", "--reason", "a small shop")
    second = table(place)
    assert same(place)
    done("rollback", place / "recs")
    assert done("delta", place / "recs", place / "table") == f"put run_date={NEXT}\n"
    assert same(place)
    assert not table(place).equals(second)
    done("rollback", place / "recs", "--run-date", NEXT, "--withdraw")
    assert done("delta", place / "recs", place / "table") == f"removed run_date={NEXT}\n"
    assert same(place)
    assert done("delta", place / "recs", place / "table").endswith("nothing is written\n")
    done("rollback", place / "recs", "--run-date", LAST, "--withdraw")
    assert done("delta", place / "recs", place / "table") == f"removed run_date={LAST}\n"
    assert len(table(place)) == 0


def test_a_night_that_was_killed_before_its_table_is_completed_by_the_next(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As `kill -9`, which no code catches."""

    def killed(*anything: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(delta, "commit", killed)
        with pytest.raises(Killed):
            night(place, LAST)
    assert Recs.at(place / "recs").dates() == [LAST]
    assert table(place).empty
    night(place, NEXT)
    assert same(place)


def test_a_night_that_is_ended_at_its_table_has_published_its_lists(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*anything: object) -> None:
        raise SystemExit(143)

    with monkeypatch.context() as patched:
        patched.setattr(delta, "commit", ended)
        said = night(place, LAST, code=143).err
    sentence = f"run_date={LAST} is live, but its Delta table is not in line: ended by signal 15"
    report = json.loads((place / "recs.control" / "report.json").read_text())
    assert said.startswith(f"Error: {sentence}")
    assert (report["outcome"], report["exit_code"]) == ("published", 143)
    assert report["sentence"].startswith(sentence)
    night(place, LAST)
    assert same(place)


def test_a_table_that_cannot_be_written_harms_no_list_and_is_said(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night(place, LAST)
    log = max((place / "table" / "_delta_log").iterdir())
    whole = log.read_bytes()
    log.write_text("{")
    said = night(place, NEXT, code=74).err
    assert f"Error: run_date={NEXT} is live, but its Delta table is not in line: the Delta table " in said
    assert (report(place).outcome, report(place).exit_code) == ("published", 74)
    assert Recs.at(place / "recs").dates() == [LAST, NEXT]
    log.write_bytes(whole)
    night(place, NEXT)
    assert same(place)
    assert (report(place).outcome, report(place).exit_code) == ("kept", 0)
    shutil.rmtree(place / "table")  # moved away, it is made anew
    done("delta", place / "recs", place / "table")
    assert same(place)


def test_a_date_that_is_damaged_is_not_put_there_and_stops_no_other(place: Path, exported: Path) -> None:
    configured(place, exported)  # without a table
    night(place, LAST)
    recs = Recs.at(place / "recs")
    shutil.copytree(recs.live(LAST), recs.live("2026-11-01"))  # newer, without a manifest
    said = command("delta", recs.root, place / "table")
    assert (said.code, "its manifest" in said.err, set(table(place).run_date)) == (66, True, {LAST})


def test_files_are_links_with_their_hash_in_the_name_and_the_users_in_the_log(place: Path) -> None:
    night(place, LAST)
    (part,) = Recs.at(place / "recs").live(LAST).glob("*.parquet")
    (file,) = (place / "table").glob("*/*.parquet")
    assert part.samefile(file)
    log = (place / "table" / "_delta_log" / f"{1:020d}.json").read_text().splitlines()
    (added,) = [json.loads(line)["add"] for line in log if line.startswith('{"add"')]
    users, stats = pd.read_parquet(part).user_id, json.loads(added["stats"])
    assert (stats["minValues"]["user_id"], stats["maxValues"]["user_id"]) == (users.min(), users.max())


def test_on_another_disk_files_are_copies(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*anything: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refused)
    night(place, LAST)
    (file,) = (place / "table").glob("*/*.parquet")
    assert same(place)
    assert file.stat().st_nlink == 1


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        ("recs/table", 2, "lies in, at or above"),
        ("recs.control/table", 2, "lies in, at or above"),
        (".", 2, "lies in, at or above"),
        ("others", 73, "is no Delta table"),
    ],
)
def test_where_no_table_can_be_is_said_before_scoring(
    where: str, code: int, said: str, place: Path, exported: Path
) -> None:
    (place / "others" / "run_date=2026-01-01").mkdir(parents=True)
    configured(place, exported, delta=where)
    assert said in night(place, LAST, code=code).err
    assert not (place / "recs").exists()


def test_a_table_of_other_columns_is_refused_and_left_alone(place: Path) -> None:
    from deltalake import write_deltalake

    write_deltalake(place / "table", pa.table({"x": [1]}))
    before = contents(place / "table")
    assert "has the columns x long, but the lists have" in night(place, LAST, code=73).err
    assert {name: text for name, text in contents(place / "table").items() if name in before} == before
    assert Recs.at(place / "recs").dates() == [LAST]


def test_an_empty_read_root_does_not_empty_a_table(place: Path, tmp_path: Path) -> None:
    night(place, LAST)
    assert command("delta", tmp_path / "recsss", place / "table").code == 66
    assert same(place)


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipes_read_one_date(name: str, place: Path) -> None:
    night(place, NEXT)
    recipe = textwrap.dedent(RECIPES[name]).replace("recs.delta", str(place / "table"))
    space: dict[str, Any] = {}
    exec(recipe.replace("2026-11-20", NEXT).replace("2026, 11, 20", "2026, 10, 31"), space)
    assert len(space["lists"]) == len(pd.read_parquet(place / "recs" / f"run_date={NEXT}"))
