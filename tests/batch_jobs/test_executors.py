"""Whoever makes the parts of a run, they are the same bytes; and what one began another finishes."""

import os
import signal
from collections.abc import Callable
from datetime import date
from multiprocessing import Pipe
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_jobs.executors import processes
from batch_jobs.executors.processes import Worker
from batch_jobs.executors.shards import make_share
from batch_jobs.job import ScoreJob
from batch_jobs.maker import PartMaker
from batch_jobs.parts import Shard, shards_of
from batch_jobs.publish import claimed, joined
from batch_jobs.scoring import run
from batch_jobs.work import MadeWith
from rec_export.errors import BusyError, DataError, DeviceError, GateError, LostProcessError, MissingPartsError
from rec_export.progress import watched
from rec_export.recs import Recs
from rec_export.run_manifest import Verdict
from tests.conftest import LAST_DAY, Tell, command, contents

PARTS = 4


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some parts, of few users each."""
    monkeypatch.setattr("batch_jobs.parts.USERS_PER_PART", 60)


@pytest.fixture
def wanted(exported: Path, shop: Path, tmp_path: Path) -> ScoreJob:
    """Some items for everybody."""
    log, day = shop / "interactions.parquet", date.fromisoformat(LAST_DAY)
    return ScoreJob(bundle=exported, interactions=log, out=tmp_path / "recs", run_date=day, k=5, device="cpu")


def by(job: ScoreJob, executor: str, **more: Any) -> ScoreJob:
    """The job by another executor."""
    return job.model_copy(update={"executor": executor, **more})


def published(job: ScoreJob) -> dict[str, bytes | None]:
    """What the read root holds."""
    return contents(Path(job.out)) if Path(job.out).exists() else {}


def undisturbed(job: ScoreJob) -> dict[str, bytes | None]:
    """What a run by the local executor publishes elsewhere."""
    other = job.model_copy(update={"out": Path(job.out).with_name("whole") / "recs"})
    run(other)
    return published(other)


@given(users=st.integers(0, 10_000), per_part=st.integers(1, 3000))
def test_the_plan_is_ranges_of_users_that_meet_end_to_end(users: int, per_part: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batch_jobs.parts.USERS_PER_PART", per_part)
        plan = shards_of(users)
    assert [shard.first for shard in plan] + [users] == [0] + [shard.stop for shard in plan]
    assert max(shard.stop - shard.first for shard in plan) <= per_part


# Shards, by several processes that know nothing of each other


def test_shards_make_all_parts_which_are_then_published(wanted: ScoreJob) -> None:
    shares = [make_share(wanted, index, 3) for index in range(3)]
    assert [len(share.made) for share in shares] == [2, 1, 1]
    assert published(wanted) == {}
    assert run(by(wanted, "shards")).resumed == PARTS
    assert published(wanted) == undisturbed(wanted)
    assert make_share(wanted, 0, 3).published


def test_a_shard_is_not_made_twice(wanted: ScoreJob) -> None:
    first, second = make_share(wanted, 0, 2), make_share(wanted, 0, 2)
    assert (second.made, second.there) == ([], first.made)


def test_missing_parts_are_named_and_nothing_is_published(wanted: ScoreJob) -> None:
    there = make_share(wanted, 0, 2).made
    with pytest.raises(MissingPartsError) as error:
        run(by(wanted, "shards"))
    assert (error.value.exit_code, published(wanted)) == (75, {})
    assert str(error.value).startswith("2 of 4 parts are not in ")
    assert all((f"part-0000{part}" in str(error.value)) == (part in (1, 3)) for part in range(PARTS))
    assert make_share(wanted, 0, 2).there == there


def test_what_shards_began_the_local_executor_finishes(wanted: ScoreJob) -> None:
    make_share(wanted, 1, 2)
    scored = run(wanted)
    assert (scored.resumed, "score and write 2 of 4 parts" in scored.manifest.stages) == (2, True)
    assert published(wanted) == undisturbed(wanted)


def test_several_make_parts_at_once_but_who_publishes_is_alone(wanted: ScoreJob) -> None:
    recs = Recs.at(Path(wanted.out))
    with joined(recs):
        make_share(wanted, 0, 1)
        with pytest.raises(BusyError):
            run(by(wanted, "shards"))
    with claimed(recs), pytest.raises(BusyError):
        make_share(wanted, 0, 1)


def test_parts_of_another_machine_or_version_are_refused_and_stay(
    wanted: ScoreJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(MadeWith, "here", lambda device: MadeWith(device="another", versions={"torch": "1"}))
        made = make_share(wanted, 0, 2).made
    with pytest.raises(DeviceError, match="are made with another, torch 1, but this machine has cpu"):
        make_share(wanted, 1, 2)
    parts = Path(wanted.out).with_name("recs.control") / "work"
    assert sorted(path.name for path in parts.rglob("part-*.parquet")) == made


def test_other_inputs_are_another_run(wanted: ScoreJob) -> None:
    make_share(wanted.model_copy(update={"k": 4}), 0, 1)
    with pytest.raises(MissingPartsError, match="4 of 4 parts"):
        run(by(wanted, "shards"))


@pytest.mark.parametrize("damaged", [True, False])
def test_shards_make_a_run_again_that_is_live_but_damaged(damaged: bool, wanted: ScoreJob) -> None:
    run(wanted)
    whole, again = published(wanted), by(wanted, "shards", replace=True)
    if damaged:
        next(Path(wanted.out).rglob("part-00001*")).write_bytes(b"damaged")
    assert make_share(wanted, 0, 1).published  # without --replace nobody looks
    shares = [make_share(again, index, 2) for index in (0, 1)]
    assert [(share.published, len(share.made)) for share in shares] == [(not damaged, 2 * damaged)] * 2
    assert (run(again).fresh, published(wanted)) == (damaged, whole)
    assert not Path(wanted.out).with_name("recs.control").joinpath("work").exists()


def test_what_shards_made_again_is_no_longer_kept_once_what_is_live_was_restored(wanted: ScoreJob) -> None:
    run(wanted)
    part = next(Path(wanted.out).rglob("part-00001*"))
    whole = part.read_bytes()
    part.write_bytes(b"damaged")
    make_share(by(wanted, "shards", replace=True), 0, 2)
    part.write_bytes(whole)
    assert not run(wanted).fresh
    assert not Path(wanted.out).with_name("recs.control").joinpath("work").exists()


def test_a_shard_that_runs_again_after_a_refusal_takes_no_part_away(wanted: ScoreJob) -> None:
    refused = Verdict(gate="users", verdict="refused", value=1, limit="at least 2")
    shares = [make_share(wanted, index, 2) for index in (0, 1)]
    with pytest.raises(GateError):
        run(by(wanted, "shards"), lambda candidate: (refused,))
    again = make_share(wanted, 0, 2)
    assert (again.made, again.there) == ([], shares[0].made)
    assert run(by(wanted, "shards")).resumed == PARTS
    assert published(wanted) == undisturbed(wanted)


def test_publishing_another_run_by_a_slip_takes_no_part_away(wanted: ScoreJob) -> None:
    make_share(wanted, 0, 1)
    with pytest.raises(MissingPartsError, match="4 of 4 parts"):
        run(by(wanted, "shards", k=6))
    assert run(by(wanted, "shards")).resumed == PARTS
    assert not (Path(wanted.out).with_name("recs.control") / "work").exists()


def test_a_process_that_finds_other_inputs_refuses(wanted: ScoreJob) -> None:
    with pytest.raises(DataError, match="not what it was where the run 0123456789ab was begun"):
        PartMaker.elsewhere(wanted, "0123456789ab")


@pytest.mark.parametrize("harm", [Path.unlink, lambda mark: mark.write_text("{")])
def test_what_made_the_parts_must_be_known_to_publish_them(harm: Callable[[Path], object], wanted: ScoreJob) -> None:
    make_share(wanted, 0, 1)
    (mark,) = (Path(wanted.out).with_name("recs.control") / "work").glob("*/made_with.json")
    harm(mark)
    with pytest.raises(DataError, match="which says what made the parts, is gone or damaged; remove the folder"):
        run(by(wanted, "shards"))


def test_from_the_command_line(exported: Path, shop: Path, tmp_path: Path) -> None:
    where = exported, "--interactions", shop / "interactions.parquet", "--out", tmp_path / "recs", "--k", 5
    day = "--run-date", LAST_DAY
    told = [command("-q", "score", *where, *day, "--shard-index", index, "--shard-count", 2) for index in (0, 1)]
    assert [answer.out[18:] for answer in told] == ["2 parts made, 0 there before\n"] * 2
    assert command("-q", "publish", *where, *day).code == 0
    assert command("-q", "score", *where, *day, "--shard-index", 0).code == 2
    assert command("-q", "score", *where, *day, "--shard-index", 2, "--shard-count", 2).code == 2


# Processes, which may die


def deadly(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The process that is to make part 1 is killed, so many times."""
    give, kills = Worker.give, iter(range(times))

    def give_and_kill(self: Worker, shard: Shard | None) -> None:
        give(self, shard)
        if shard is not None and shard.number == 1 and next(kills, None) is not None:
            assert self.process.pid is not None
            os.kill(self.process.pid, signal.SIGKILL)

    monkeypatch.setattr(Worker, "give", give_and_kill)


@pytest.mark.slow
def test_a_process_that_is_killed_is_started_again(
    wanted: ScoreJob, monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    deadly(monkeypatch, 1)
    assert run(by(wanted, "processes", workers=2)).resumed == 0
    same = published(wanted) == undisturbed(wanted)
    tell("one of two processes is killed at its part", "1", f"started again; the same bytes: {same}")
    assert same


def test_who_waits_for_a_process_says_so_from_the_first_moment_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PULSE", 0.01)
    told: list[tuple[str, int, int]] = []
    mine, theirs = Pipe()
    worker = create_autospec(Worker, instance=True, mine=mine, shard=None)
    worker.give.side_effect = lambda shard: setattr(worker, "shard", shard)
    worker.died.side_effect = lambda: mine.recv() is not None

    def watcher(*what: Any) -> None:
        told.append(what)
        if len(told) in (3, 5):  # only now is a part made
            theirs.send(None)

    with watched(watcher):
        assert list(processes.finished([worker], [one := Shard(0, 2, 0, 1), two := Shard(1, 2, 1, 2)])) == [one, two]
    assert told == [("scoring", 0, 2)] * 3 + [("scoring", 1, 2)] * 2


@pytest.mark.long
def test_a_part_that_always_ends_its_process_ends_the_run_which_another_executor_finishes(
    wanted: ScoreJob, monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    deadly(monkeypatch, processes.TRIES)
    with pytest.raises(LostProcessError, match=r"made part 1 of 4 ended by signal 9 \(Killed\), 3 times"):
        run(by(wanted, "processes", workers=1))
    assert (LostProcessError.exit_code, published(wanted)) == (75, {})
    assert run(wanted).resumed == 1
    same = published(wanted) == undisturbed(wanted)
    told = f"75, the part named; finished by another executor, the same bytes: {same}"
    tell("a part that ends its process each time", f"{processes.TRIES} times", told)
    assert same


def test_processes_on_the_cpu_must_be_counted(wanted: ScoreJob, tmp_path: Path) -> None:
    words = "--out", wanted.out, "--run-date", LAST_DAY, "--device", "cpu", "--executor", "processes"
    refused = command("score", wanted.bundle, "--interactions", wanted.interactions, *words)
    assert (refused.code, refused.err.count("needs --workers on the CPU")) == (2, 1)
    assert contents(tmp_path) == {}
