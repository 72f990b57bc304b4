"""Where tastes move on though popularity stands still, the order of what was liked is looked at."""

from pathlib import Path

import numpy as np
import pytest

from rec_export.config import Config
from rec_export.data.clock import Clock
from rec_export.data.columns import Int64
from rec_export.data.log import Log
from rec_export.data.source import Source
from rec_export.models import spec_of
from rec_export.world import Timeline
from tests.conftest import config_file, write_table
from trainers.order import nearness, order_contest, order_tells, weighed
from trainers.parallel import ALONE
from trainers.ready import ready

DAY = 86_400_000_000
SCENES, OF_ONE, USERS, EACH = 12, 15, 300, 24


def rows(stay: int) -> tuple[Int64, Int64, Int64]:
    """Users, items and days: each user stays in a scene for so many of the likings, one a day; all scenes are alike."""
    rng = np.random.default_rng(0)
    user, day = np.repeat(np.arange(USERS), EACH), np.tile(np.arange(EACH), USERS)
    scene = rng.integers(SCENES, size=(USERS, 2 * EACH))[user, (day + user % min(stay, EACH)) // stay]
    return user, scene * OF_ONE + rng.integers(OF_ONE, size=len(user)), day


def timeline(stay: int) -> Timeline:
    """A log of such users."""
    user, item, day = rows(stay)
    order = np.argsort(day, kind="stable")
    user, item, day = (column[order] for column in (user, item, day))
    time = (day + 20_000) * DAY
    log = Log(user.astype(np.int32), item.astype(np.int32), time, None, np.ones(len(user), bool))
    return Timeline.of(log, USERS, SCENES * OF_ONE)


@pytest.mark.parametrize(("stay", "tells"), [(6, True), (1, False), (EACH * 2, False)])
def test_order_tells_where_users_go_from_scene_to_scene_and_not_where_they_stay_or_jump(stay: int, tells: bool) -> None:
    assert order_tells(timeline(stay)) is tells


def test_without_anything_new_order_tells_nothing() -> None:
    log = Log(np.zeros(4, np.int32), np.zeros(4, np.int32), np.arange(4) * DAY, None, np.ones(4, bool))
    one = Timeline.of(log, 1, 1)
    assert (len(order_contest(one).scores), order_tells(one)) == (0, False)


def test_older_likings_weigh_less_and_only_what_was_known_weighs() -> None:
    user, item, day = np.array([(0, 3, 1), (0, 1, 2), (0, 2, 3), (1, 1, 2), (0, 0, 9)]).T
    log = Log(user.astype(np.int32), item.astype(np.int32), day * DAY, None, np.ones(5, bool))
    world = Timeline.of(log, 2, 4).as_of(8 * DAY, Clock())
    known = weighed(world, np.array([1, 0]), np.array([1, 2, 3]), 1).toarray()
    assert known.tolist() == [[1, 0, 0], [0.5, 1, 0.25]]
    latest = weighed(world, np.array([1, 0]), np.array([1, 2, 3]), None, most=2).toarray()
    assert latest.tolist() == [[1, 0, 0], [1, 1, 0]]


def test_items_are_near_by_the_cosine_of_who_liked_them() -> None:
    liked = weighed(timeline(6).as_of(None, Clock()), np.arange(USERS), np.arange(20), None)
    near, dense = nearness(liked), liked.toarray()
    both, count = dense[:, 3] @ dense[:, 5], dense.sum(0)
    assert near[3, 5] == pytest.approx(both / (np.sqrt(count[3] * count[5]) + 20))
    assert not near.diagonal().any()


@pytest.mark.parametrize(("model", "looks"), [("hybrid", True), ("gated", True), ("pmf", False), ("bpr", False)])
def test_models_that_read_an_order_look_at_time_where_order_tells(model: str, looks: bool, tmp_path: Path) -> None:
    user, item, day = rows(6)
    write_table(tmp_path / "log.parquet", user_id=user, item_id=item, timestamp=(day + 20_000) * 86_400)
    path = config_file(
        tmp_path, data={"interactions": {"path": "log.parquet", "time": "timestamp"}}, model={"name": model}
    )
    config = Config.load(path)
    made = ready(config, spec_of(config.model, "x"), Source.read(config.data), ALONE.on("cpu"))
    assert made.plan.clock.timed is looks


@pytest.mark.parametrize(
    ("model", "users", "epochs"), [("hybrid", 40, 360), ("pmf", 300, 180), ("hybrid", 2000, 60), ("als", 40, 60)]
)
def test_few_users_are_learned_from_in_more_epochs_where_an_epoch_has_few_steps(
    model: str, users: int, epochs: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(users), 8)
    write_table(tmp_path / "log.parquet", user_id=user, item_id=rng.integers(30, size=len(user)))
    path = config_file(tmp_path, data={"interactions": {"path": "log.parquet"}}, model={"name": model})
    config = Config.load(path)
    made = ready(config, spec_of(config.model, "x"), Source.read(config.data), ALONE.on("cpu"))
    assert made.plan.epochs == epochs


def test_what_a_user_has_liked_already_takes_no_place_in_the_lists_that_are_compared() -> None:
    stayed = order_contest(timeline(EACH * 2)).scores[:, 0].mean()
    assert stayed > 0.6  # of 15 alike in a scene 5 at most are left, most of which stand in a list; else .4
