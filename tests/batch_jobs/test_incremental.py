"""An incremental run publishes the bytes of a full one, and carries over only what nothing can have changed."""

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_jobs.job import ScoreJob
from batch_jobs.prior import Prior
from batch_jobs.publish import settle
from batch_jobs.scoring import ALL_CHANGED, run
from rec_export.habit import Habit
from rec_export.recs import Recs
from rec_export.rules import Rules
from rec_export.run_manifest import RunManifest
from rec_export.topk.contract import Listed
from tests.conftest import LAST_DAY, config_file, contents, done, set_habit, write_table

USERS, ITEMS = 60, 25
FIRST, NEXT = date(2026, 11, 20), date(2026, 11, 21)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log without time, the bundle of a pmf that learned from it, and a first incremental run in three parts.

    The model has a term for habits, which counts where lists may hold what was met.
    """
    folder = tmp_path_factory.mktemp("place")
    rng = np.random.default_rng(5)
    user, item = np.arange(400) % USERS, np.arange(400) * 7 % ITEMS
    write_table(folder / "log.parquet", user_id=user * 10, item_id=rng.permutation(item))
    data = {"interactions": {"path": "log.parquet"}}
    config = config_file(folder, data=data, model={"name": "pmf", "dim": 4}, training={"epochs": 1})
    done("train", config, "--out", folder / "checkpoint")
    set_habit(folder / "checkpoint", Habit(met=-1.0, often=5.0))
    done("torchscript", folder / "checkpoint", "--out", folder / "bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batch_jobs.parts.USERS_PER_PART", 25)
        night(folder, folder / "log.parquet", FIRST)
    return folder


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some parts, with few sampled users each."""
    monkeypatch.setattr("batch_jobs.parts.USERS_PER_PART", 25)
    monkeypatch.setattr("batch_jobs.carry.LEAST", 2)


def night(place: Path, log: Path, day: date, **asked: Any) -> RunManifest:
    """The manifest of a night, which is incremental unless something else is asked for."""
    fields = {"k": 6, "incremental": True, "out": place / "recs", **asked}
    return run(ScoreJob(bundle=place / "bundle", interactions=log, run_date=day, **fields)).manifest


def later(place: Path, folder: Path) -> Path:
    """A copy of the place in which the next night can be."""
    return Path(shutil.copytree(place, folder / "place", dirs_exist_ok=True))


def more_log(place: Path, rows: dict[int, list[int]]) -> Path:
    """The log with further rows: items by user."""
    new = [(user, item) for user, items in rows.items() for item in items]
    log = pd.concat([pd.read_parquet(place / "log.parquet"), pd.DataFrame(new, columns=["user_id", "item_id"])])
    log.astype("int64").to_parquet(place / "more.parquet")
    return place / "more.parquet"


def same_as_full(place: Path, log: Path, **asked: Any) -> bool:
    """Whether the next night's parts are those of a full run."""
    night(place, log, NEXT, incremental=False, out=place / "full" / "recs", **asked)
    name = f"run_date={NEXT}"
    return contents(place / "recs" / name) == contents(place / "full" / "recs" / name)


def test_the_first_run_scores_everybody_and_says_why(place: Path) -> None:
    (path,) = (place / "recs.control" / "manifests").rglob("*.json")
    first = RunManifest.read(path)
    assert (first.carried, first.everybody_because) == (0, "nothing was published before")


def test_where_nothing_changed_everybody_is_carried_over(place: Path, tmp_path: Path) -> None:
    place = later(place, tmp_path)
    second = night(place, place / "log.parquet", NEXT)
    assert (second.carried, second.everybody_because) == (USERS, None)
    assert 0 < second.sampled < USERS / 2
    assert same_as_full(place, place / "log.parquet")


def test_only_users_with_something_new_are_scored(place: Path, tmp_path: Path) -> None:
    place = later(place, tmp_path)
    seen = pd.read_parquet(place / "log.parquet").query("user_id == 20").item_id.tolist()
    unseen = next(item for item in range(ITEMS) if item not in seen)
    log = more_log(place, {10: seen[:1], 20: [unseen], 25: [unseen], 30: []})
    old = pd.read_parquet(place / "log.parquet").query("user_id == 10").item_id.tolist()
    changed = 1 + (seen[0] not in old)  # user 20, and 10 unless that was nothing new; 25 is new
    assert night(place, log, NEXT).carried == USERS - changed
    assert same_as_full(place, log)


def test_where_something_changed_for_everybody_the_run_says_so(place: Path, tmp_path: Path) -> None:
    place = later(place, tmp_path)
    met = pd.read_parquet(place / "log.parquet").groupby("user_id").item_id.agg(set)
    fresh = {int(str(user)): [min({*range(ITEMS)} - items)] for user, items in met.items()}
    told = night(place, more_log(place, fresh), NEXT)
    assert (told.carried, told.everybody_because) == (0, ALL_CHANGED)


def test_parts_that_are_gone_are_carried_over_once_they_are_back(place: Path, tmp_path: Path) -> None:
    gone, back = (later(place, tmp_path / name) for name in ("gone", "back"))
    for folder in (gone, back):
        recs = Recs.at(folder / "recs")
        parts = list(recs.root.glob("*/part-*"))
        for part in parts:
            part.rename(folder / part.name)
        settle(recs)  # as every start does
        for part in parts if folder == back else ():
            (folder / part.name).rename(part)
    told = night(gone, gone / "log.parquet", NEXT)
    assert (told.carried, told.everybody_because) == (0, "the parts of the newest run are gone")
    assert night(back, back / "log.parquet", NEXT).carried == USERS


def test_every_night_can_carry_over_what_the_night_before_did(place: Path, tmp_path: Path) -> None:
    place = later(place, tmp_path)
    night(place, place / "log.parquet", NEXT)
    third = night(place, place / "log.parquet", date(2026, 11, 22))
    assert third.carried == USERS
    assert [path.name for path in (place / "recs.control" / "basis").iterdir()] == [third.run_id]


def test_who_chose_something_again_is_scored_where_lists_may_hold_it(place: Path, tmp_path: Path) -> None:
    place = later(place, tmp_path)
    old = pd.read_parquet(place / "log.parquet").query("user_id == 10").item_id.tolist()
    log, last = more_log(place, {10: old[:1]}), date(2026, 11, 22)
    assert night(later(place, tmp_path / "new"), log, NEXT).carried == USERS  # a list of what is new stays
    night(place, place / "log.parquet", NEXT, seen="keep")
    found = night(place, log, last, seen="keep")
    assert found.carried == USERS - 1
    full = night(place, log, last, seen="keep", incremental=False, out=place / "full" / "recs")
    assert [(file.sha256, file.rows) for file in found.files] == [(file.sha256, file.rows) for file in full.files]


@settings(max_examples=8)
@given(
    rows=st.dictionaries(st.integers(-2, USERS + 2).map(lambda user: user * 10), st.lists(st.integers(0, ITEMS - 1)))
)
def test_the_parts_are_those_of_a_full_run(
    rows: dict[int, list[int]], place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = later(place, tmp_path_factory.mktemp("later"))
    log = more_log(place, rows)
    assert night(place, log, NEXT).carried >= USERS - len(rows)
    assert same_as_full(place, log)


@pytest.mark.parametrize("rule", ["deny_by_user", "allow_by_user"])
def test_a_user_for_whom_a_rule_changes_is_scored(rule: str, place: Path, tmp_path: Path) -> None:
    place = later(place, tmp_path)
    rules = Rules.of({rule: {"path": str(place / "pairs.parquet")}}, "a test")
    items = np.arange(12)
    for day, users in ((date(2026, 11, 21), [10, 20]), (date(2026, 11, 22), [10, 30])):
        pairs = np.repeat(users, 12)
        write_table(place / "pairs.parquet", user_id=pairs, item_id=np.tile(items, 2))
        last = night(place, place / "log.parquet", day, rules=rules)
    assert last.carried == USERS - 2  # 10 has what it had
    full = night(place, place / "log.parquet", day, rules=rules, incremental=False, out=place / "full" / "recs")
    assert [(file.sha256, file.rows) for file in last.files] == [(file.sha256, file.rows) for file in full.files]


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"k": 5}, "the settings"),
        ({"seen": "keep"}, "the settings"),
        ({"rules": Rules(popularity_penalty=0.1)}, "the settings, what rules read of the items"),
    ],
)
def test_on_another_ground_everybody_is_scored(
    change: dict[str, Any], because: str, place: Path, tmp_path: Path
) -> None:
    place = later(place, tmp_path)
    (first,) = (path.name for path in (place / "recs.control" / "basis").iterdir())
    second = night(place, place / "log.parquet", NEXT, **change)
    assert second.everybody_because == f"not those of the newest run, {first}: {because}"
    assert same_as_full(place, place / "log.parquet", **change)


def test_a_new_item_is_another_ground(place: Path, tmp_path: Path) -> None:
    place = later(place, tmp_path)
    second = night(place, more_log(place, {10: [ITEMS]}), NEXT)
    told = "the items that may be recommended, the items' vectors"
    assert (second.carried, str(second.everybody_because).endswith(told)) == (0, True)


def test_what_was_published_must_still_be_what_it_was(place: Path, tmp_path: Path) -> None:
    place = later(place, tmp_path)
    part = max((place / "recs").rglob("*.parquet"))
    part.write_bytes(part.read_bytes() + b"0")
    second = night(place, place / "log.parquet", NEXT)
    assert (second.carried, second.everybody_because) == (0, f"{part} is not what was published")
    assert same_as_full(place, place / "log.parquet")


def test_where_a_sampled_list_is_another_one_everybody_is_scored(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = later(place, tmp_path)
    listed = Prior.listed

    def wrong(self: Prior, *given: Any) -> Listed:
        lists = listed(self, *given)
        lists.top.item_row[:, :2] = lists.top.item_row[:, 1::-1]
        return lists

    monkeypatch.setattr(Prior, "listed", wrong)
    second = night(place, place / "log.parquet", NEXT)
    assert (second.carried, "is another one when it is scored again" in str(second.everybody_because)) == (0, True)
    assert [record.levelname for record in caplog.records if "everybody is scored" in record.message] == ["WARNING"]
    assert same_as_full(place, place / "log.parquet")


def test_a_model_that_reads_trends_carries_nothing_over_to_another_day(
    exported: Path, shop: Path, tmp_path: Path
) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    log[log.timestamp < log.timestamp.max() - 86400].to_parquet(tmp_path / "before.parquet")
    words = "score", exported, "--out", tmp_path / "recs", "--k", 5, "--incremental", "--interactions"
    done(*words, tmp_path / "before.parquet", "--run-date", "2026-10-30")
    said = done(*words, shop / "interactions.parquet", "--run-date", LAST_DAY)
    assert "nothing is carried over: not those of the newest run" in said
    assert ": the items' vectors\n" in said
