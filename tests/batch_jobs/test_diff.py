"""Two runs side by side from the command line."""

import json
from pathlib import Path

import pytest

from batch_jobs.diff import DiffJob, run
from rec_export.errors import DataError
from tests.conftest import LAST_DAY, config_file, done, refusal, write_table
from tests.made_up_run import made_up_run


@pytest.fixture(scope="module")
def two_days(shop: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A read root of two days."""
    out = tmp_path_factory.mktemp("days") / "recs"
    for day in ("2026-10-20", LAST_DAY):
        done(
            "score",
            exported,
            "--interactions",
            shop / "interactions.parquet",
            "--out",
            out,
            "--k",
            5,
            "--run-date",
            day,
        )
    return out


def test_two_days_are_compared_and_the_newest_is_taken_of_a_root(two_days: Path) -> None:
    first = two_days / "run_date=2026-10-20"
    found = json.loads(done("diff", first, two_days, "--json"))
    assert found["after"].startswith(f"{LAST_DAY} (")
    assert found["both"] == 200 - found["came"]
    assert 0 < found["segments"]["all"]["overlap"] < 1
    said = done("diff", first, two_days)
    assert f"{found['both']:,} in both, {found['left']:,} before alone, {found['came']:,} after alone" in said
    assert "items that enter most lists" in said
    assert "items that begin most lists (share of lists before -> after)" in said


def test_a_run_beside_itself_is_the_same(two_days: Path) -> None:
    found = run(DiffJob(before=two_days, after=two_days / f"run_date={LAST_DAY}"))
    everybody = found.segments["all"]
    assert (everybody.overlap, everybody.rbo, everybody.same, found.psi) == (1.0, 1.0, 1.0, 0.0)
    said = done("diff", two_days, two_days / f"run_date={LAST_DAY}").splitlines()
    assert {f"no item is in a {share} share of the lists than before" for share in ("larger", "smaller")} <= set(said)


def test_a_configuration_tells_users_apart_by_what_they_liked(two_days: Path, shop: Path) -> None:
    found = run(DiffJob(before=two_days, after=two_days, config=shop / "config.yaml")).segments
    lengths = {name: one.users for name, one in found.items() if name.startswith("liked ")}
    assert set(lengths) <= {"liked <=3", "liked 4-10", "liked 11-30", "liked >30"}
    assert 0 < sum(lengths.values()) <= found["all"].users


def test_lengths_are_of_different_items_that_were_liked(tmp_path: Path, two_days: Path) -> None:
    from batch_jobs.diff import by_length
    from rec_export.config import Config

    rows = [("a", "x", 5)] * 4 + [("b", item, 5) for item in "wxyz"] + [("c", item, 1) for item in "wxyz"]
    user, item, value = zip(*rows, strict=True)
    log = write_table(tmp_path / "log.parquet", user_id=user, item_id=item, value=value)
    data = {"interactions": {"path": str(log), "value": "value", "positive": 4}}
    found = by_length(Config.load(config_file(tmp_path, data=data)))
    assert {name: members.to_pylist() for name, members in found.items() if len(members)} == {
        "liked <=3": ["a", "c"],
        "liked 4-10": ["b"],
    }


def test_what_is_not_there_is_refused(two_days: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path, "diff", two_days, tmp_path / "nowhere") == (
        66,
        "Error: DIR/nowhere does not exist; name a read root, or a folder run_date=... in one\n",
        [],
    )


@pytest.mark.parametrize("inner", ["", "run_date=2026-11-20"])
def test_a_refused_run_is_compared_and_held_against_its_manifest(inner: str, tmp_path: Path) -> None:
    for number in (1, 2):
        parts = tmp_path / f"{number:012x}" / "run_date=2026-11-20"
        parts.mkdir(parents=True)
        made_up_run(parts, "2026-11-20", number, parts=1, users=3).write(parts.parent / "manifest.json")
    one, other = (tmp_path / f"{number:012x}" / inner for number in (1, 2))
    found = run(DiffJob(before=one, after=other))
    assert (found.after, found.both, found.segments["all"].same) == ("2026-11-20 (000000000002, refused)", 3, 1.0)
    next(other.rglob("*.parquet")).write_bytes(b"")
    with pytest.raises(DataError, match=r"1 of 1 parts in .* are not what was written"):
        run(DiffJob(before=one, after=other))
