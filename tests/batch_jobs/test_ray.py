"""A cluster of two nodes, real ones but for the network, makes the same bytes, also when it loses one of them."""

import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import create_autospec

import pytest

from batch_jobs.executors import on_ray
from batch_jobs.job import ScoreJob
from batch_jobs.scoring import run
from rec_export.errors import EnvironmentMissingError
from rec_export.progress import watched
from tests.conftest import LAST_DAY, Tell, contents

PARTS = 20


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many parts, of few users each."""
    monkeypatch.setattr("batch_jobs.parts.USERS_PER_PART", 10)


@pytest.fixture
def wanted(exported: Path, shop: Path, tmp_path: Path) -> ScoreJob:
    """Some items for everybody, by Ray."""
    log, day = shop / "interactions.parquet", date.fromisoformat(LAST_DAY)
    where = {"bundle": exported, "interactions": log, "out": tmp_path / "recs", "run_date": day}
    return ScoreJob(**where, k=5, device="cpu", executor="ray")


@pytest.fixture
def cluster() -> Iterator[tuple[Any, Any]]:
    """A head that makes nothing, and two nodes of one processor each; the second of these too."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made, made.add_node(num_cpus=1)
    made.shutdown()


def lose(cluster: Any, node: Any, recs: Path, lost_at: list[int]) -> None:
    """Remove a node as soon as some parts are there, but not all."""
    control = recs.with_name("recs.control")
    while not recs.exists():
        done = len(list(control.glob("work/*/done/part-*.json")))
        if PARTS // 4 <= done < PARTS:
            cluster.remove_node(node, allow_graceful=False)
            lost_at.append(done)
            return
        time.sleep(0.01)


@pytest.mark.long
def test_a_node_that_is_lost_midway_changes_no_byte(wanted: ScoreJob, cluster: tuple[Any, Any], tell: Tell) -> None:
    lost_at: list[int] = []
    whole = wanted.model_copy(update={"out": Path(wanted.out).with_name("whole") / "recs", "executor": "local"})
    run(whole)
    loss = threading.Thread(target=lose, args=(*cluster, Path(wanted.out), lost_at))
    loss.start()
    assert run(wanted.model_copy(update={"ray_address": cluster[0].address})).resumed == 0
    loss.join()
    same = contents(Path(wanted.out)) == contents(Path(whole.out))
    tell(f"a node of a Ray cluster of two is lost after {lost_at} of {PARTS} parts", "1", f"the same bytes: {same}")
    assert (len(lost_at), same) == (1, True)
    assert len(list(Path(wanted.out).rglob("*.parquet"))) == PARTS


def test_who_waits_for_ray_says_so_from_the_first_moment_on() -> None:
    told: list[tuple[str, int, int]] = []

    def wait(running: list[str], num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        ended = num_returns if len(told) in (2, 3) else 0
        return running[:ended], running[ended:]

    ray = create_autospec(ModuleType, instance=True, wait=wait, get=lambda done: None)
    with watched(lambda *what: told.append(what)):
        assert list(on_ray.results(ray, ["one", "two"])) == [None, None]
    assert told == [("scoring", 0, 2)] * 2 + [("scoring", 1, 2)]


def test_without_ray_the_missing_package_is_named(wanted: ScoreJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(EnvironmentMissingError, match="needs Ray: pip install ray"), on_ray.cluster(None):
        pass
