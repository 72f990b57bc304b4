"""What a log looks like: counts, tails, activity, values, and what was left out."""

from pathlib import Path

import numpy as np

from rec_export.data.config import Attributes, DataConfig, Interactions, Minimum
from rec_export.data.profile import Bars, Profile, Tail, activity_of, bars, day_of
from rec_export.data.source import Source
from rec_export.data.split import Part
from tests.conftest import write_table
from trainers.dataset import Dataset

DAY = 86_400  # seconds


def test_a_tail_counts_by_doubling_bins_and_tells_what_the_busiest_hold() -> None:
    tail = Tail.measured(np.array([5, 0, 2, 2, 1]))
    assert (tail.count, tail.median, tail.most, tail.single) == (4, 2.0, 5, 1)
    assert dict(zip(tail.least, tail.held, strict=True)) == {1: 1, 2: 2, 4: 1}
    assert tail.share[-3:] == (0.7, 0.9, 1.0)  # of the busiest half, three quarters, all


def test_a_profile_says_what_was_left_out_and_why(tmp_path: Path) -> None:
    log = write_table(
        tmp_path / "log.parquet",
        user_id=["a", "a", "b", "b", "c", None, "a", "c"],
        item_id=["x", "x", "x", "y", "z", "x", "y", "z"],
        timestamp=[n * DAY + 1_600_000_000 for n in range(8)],
        value=[5, 5, 4, 1, 5, 5, 5, 4],
    )
    items = write_table(tmp_path / "items.parquet", item_id=["x", "y", "w"], price=[1.0, 2.0, 3.0])
    config = DataConfig(
        interactions=Interactions(path=log, time="timestamp", value="value", positive=4, repeats="first"),
        items=Attributes(path=items, id="item_id", dense=("price",)),
        minimum=Minimum(per_item=2),
    )
    profile = Profile.measured(Source.read(config))
    assert (profile.rows, profile.liked, profile.without_ids, profile.repeats) == (7, 6, 1, 2)
    assert (profile.users.count, profile.items.count, profile.density) == (3, 3, 5 / 9)
    assert profile.parts == {"train": 5, "valid": 0, "test": 0}
    assert profile.below_minimum == 3  # one of z, and both of y, of which one alone is liked
    assert (profile.catalogue, profile.undescribed) == (3, 1)
    assert (profile.first, profile.last, profile.period_days) == ("2020-09-13", "2020-09-20", 1)
    assert profile.activity == (1, 1, 1, 1, 1, 0, 1, 1)
    assert profile.values == Bars(edges=(1.0, 4.0, 5.0), counts=(1, 2, 4))


def test_a_log_without_time_has_no_activity(tmp_path: Path) -> None:
    log = write_table(tmp_path / "log.parquet", user_id=["a", "b"], item_id=["x", "y"])
    events = Source.read(DataConfig(interactions=Interactions(path=log))).events
    assert activity_of(events) == (None, ())


def test_plays_have_bars_by_their_logarithm() -> None:
    found = bars(np.geomspace(1, 100_000, 200).astype(np.float32))
    assert sum(found.counts) == 200
    assert np.allclose(np.diff(np.log(found.edges)), np.log(100_000) / 30)


def test_a_day_is_told_by_its_distance() -> None:
    assert day_of("2020-02-28", 2) == "2020-03-01"


def test_rows_of_who_likes_nothing_and_of_what_nobody_likes_are_counted(tmp_path: Path) -> None:
    log = write_table(tmp_path / "log.parquet", user_id=list("aabb"), item_id=list("xyxz"), value=[5, 1, 1, 1])
    config = DataConfig(interactions=Interactions(path=log, value="value", positive=4))
    profile = Profile.measured(Source.read(config))
    assert (profile.rows, profile.liked, profile.below_minimum, profile.unliked) == (4, 1, 0, 3)  # but a's of x
    items = Attributes(path=write_table(tmp_path / "items.parquet", item_id=["y"], price=[1.0]), id="item_id")
    source = Source.read(config.model_copy(update={"items": items}))
    profile = Profile.measured(source)
    assert profile.unliked == 2  # nor a's of y, of which the table tells
    assert profile.rows - profile.unliked == Dataset.of(source, source.lessons(Part.TRAIN, Part.VALID)).rows
