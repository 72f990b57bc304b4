"""Runs in a bucket: readers find the old one, the new one or nothing, whoever is killed or comes first."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from batch_jobs.in_bucket import InBucket
from batch_jobs.rollback import roll_back
from batch_jobs.verify import verify_run
from rec_export.bucket import Bucket
from rec_export.errors import BusyError, OutputExistsError, StorageError
from rec_export.objects import Objects
from tests.batch_jobs.machine import DAY, KEEP, PARTS, Machine, aged
from tests.batch_jobs.store import new_bucket


class Killed(BaseException):
    """In the machine of SIGKILL: no code of ours catches it, and none reaches the store after it."""


class Calls:
    """Counts the calls of the store, of which the `kill_at`-th is not made, nor any after it."""

    made, kill_at = 0, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "rec_export.object":
            self.made += 1
            if 0 < self.kill_at <= self.made:
                raise Killed

    def kill(self, act: Callable[[], object], at: int) -> bool:
        """Whether a command is killed before its so many-th call; else it has ended."""
        self.made, self.kill_at = 0, at
        try:
            act()
        except Killed:
            return True
        finally:
            self.kill_at = 0
        return False


CALLS = Calls()
sys.addaudithook(CALLS)


def test_killed_before_every_call_of_the_store_a_run_replaces_another_or_not(machine: Machine) -> None:
    machine.publish(0)
    wrong, number, killed = [], 0, True
    while killed:
        number += 1
        act = partial(machine.publish, number)
        killed = CALLS.kill(act, at=number)
        between = machine.found()
        act()
        if (between in (number - 1, number), *machine.seen()) != (True, number, PARTS, False):
            wrong.append((number, between, *machine.seen()))
    assert (wrong, number > 20) == ([], True)


@pytest.mark.long
@pytest.mark.parametrize("name", ["first publish", "rollback", "withdrawal"])
def test_killed_before_every_call_of_the_store_a_command_is_done_or_not(name: str, server: str, tmp_path: Path) -> None:
    wrong, number, killed = [], 0, True
    while killed:
        number += 1
        machine = Machine(new_bucket(server), tmp_path / str(number))
        before, after, act = scene(name, machine)
        killed = CALLS.kill(act, at=number)
        between = machine.found()
        act()
        if (between in (before, after), *machine.seen()) != (True, after, PARTS if after else 0, False):
            wrong.append((number, between, *machine.seen()))
    assert (wrong, number > 15) == ([], True)


def scene(name: str, machine: Machine) -> tuple[int | None, int | None, Callable[[], object]]:
    """What is live before and after a command, and the command."""
    if name == "first publish":
        return None, 1, lambda: machine.publish(1)
    machine.publish(1)
    if name == "withdrawal":
        return 1, None, lambda: roll_back(machine.bucket(), DAY, None, withdraw=True, reason="")
    machine.publish(2)
    return 2, 1, lambda: roll_back(machine.bucket(), DAY, f"{1:012x}", withdraw=False, reason="")


def test_a_killed_upload_goes_on_in_the_same_folder(machine: Machine) -> None:
    uploaded: list[str] = []
    kill_at = 1
    while len(uploaded) != 1:
        CALLS.kill(lambda: machine.publish(1), at=kill_at)
        uploaded, kill_at = machine.stored("data"), kill_at + 1
    machine.publish(1)
    (folder,) = {key.rpartition("/")[0] for key in machine.stored("data")}
    assert (uploaded[0].startswith(folder), len(machine.stored("data"))) == (True, PARTS)


def test_a_run_that_was_killed_after_its_commit_and_replaced_since_is_uploaded_anew(
    machine: Machine, tmp_path: Path
) -> None:
    kill_at = 1
    while machine.found() is None:
        CALLS.kill(lambda: machine.publish(1), at=kill_at)
        kill_at += 1
    first = set(machine.stored("data"))
    assert (machine.staging / "work").exists()
    machine._replace(staging=tmp_path / "another").publish(2)
    machine.publish(1)
    pointer = machine.bucket().recs.read(DAY).pointer
    assert [one.version.run_id for one in pointer.past] == [f"{2:012x}", f"{1:012x}"]
    assert (machine.found(), len(first), len(machine.stored("data"))) == (1, PARTS, 3 * PARTS)


def test_a_removal_that_was_killed_goes_on(machine: Machine) -> None:
    machine.publish(1)
    machine.publish(2)
    bucket = machine.bucket()
    aged(bucket.recs, DAY, timedelta(hours=2))
    killed = CALLS.kill(lambda: bucket.empty(KEEP), at=7)
    assert (killed, len(machine.stored("data")) in range(PARTS + 1, 2 * PARTS), bucket.kept(DAY)) == (True, True, [])
    bucket.empty(KEEP)
    pointer = bucket.recs.read(DAY).pointer
    assert (len(machine.stored("data")), pointer.past, pointer.doomed, machine.found()) == (PARTS, (), (), 2)


def test_of_two_machines_with_the_same_run_one_publishes_and_the_other_finds_it_published(
    url: str, tmp_path: Path
) -> None:
    both = Barrier(2)
    places = [Machine(url, tmp_path / str(number)) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda machine: machine.publish(1, before=both.wait), places))
    assert (sorted(done), places[0].found(), len(places[0].stored("data"))) == ([False, True], 1, PARTS)
    assert [machine.seen() for machine in places] == [(1, PARTS, False)] * 2


def test_of_two_machines_with_other_runs_one_is_refused_and_leaves_nothing(url: str, tmp_path: Path) -> None:
    both = Barrier(2)

    def publish(number: int) -> int | None:
        try:
            Machine(url, tmp_path / str(number)).publish(number, before=both.wait)
        except OutputExistsError:
            return None
        return number

    with ThreadPoolExecutor(2) as pool:
        done = set(pool.map(publish, (1, 2)))
    machine = Machine(url, tmp_path / "reader")
    assert (done, len(machine.stored("data"))) == ({None, machine.found()}, PARTS)


def test_two_at_once_on_one_machine_are_done_by_one_and_refused_to_the_other(machine: Machine) -> None:
    with machine.bucket().claimed(), pytest.raises(BusyError, match="another run is at work"):
        machine.publish(1)


def test_an_answer_that_is_lost_on_its_way_does_not_undo_the_commit(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Objects.create

    def lost(self: Objects, key: str, content: bytes) -> bool:
        done = create(self, key, content)
        if key.startswith("current"):
            raise StorageError("no answer")
        return done

    monkeypatch.setattr(Objects, "create", lost)
    assert (machine.publish(1), machine.found()) == (True, 1)


def test_a_commit_that_lands_after_it_was_given_up_is_found_and_keeps_its_parts(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[tuple[str, bytes]] = []
    create = Objects.create

    def lost(self: Objects, key: str, content: bytes) -> bool:
        if key.startswith("current"):
            late.append((key, content))
            raise StorageError("no answer")
        return create(self, key, content)

    monkeypatch.setattr(Objects, "create", lost)
    with pytest.raises(StorageError):
        machine.publish(1)
    monkeypatch.setattr(Objects, "create", create)
    assert machine.publish(1, before=lambda: Objects(machine.url).put(*late[0]))
    assert (machine.seen(), len(machine.stored("data"))) == ((1, PARTS, False), PARTS)


def test_a_run_that_is_removed_while_it_is_put_back_is_not_made_live(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.publish(1)
    machine.publish(2)
    aged(machine.bucket().recs, DAY, timedelta(hours=2))
    point = InBucket.point

    def late(self: InBucket, *asked: Any, **more: Any) -> bool:
        machine.bucket().empty(KEEP)  # by another machine
        return point(self, *asked, **more)

    monkeypatch.setattr(InBucket, "point", late)
    with pytest.raises(OutputExistsError, match="was changed meanwhile"):
        roll_back(machine.bucket(), DAY, f"{1:012x}", withdraw=False, reason="")
    assert machine.found() == 2


def test_a_run_that_is_replaced_while_it_is_verified_is_left_for_the_one_in_its_place(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.publish(1)
    opened = Bucket.opened

    @contextmanager
    def late(self: Bucket, run_date: str) -> Iterator[list[Path]]:
        with opened(self, run_date) as paths:
            machine.publish(2)
            yield paths

    monkeypatch.setattr(Bucket, "opened", late)
    assert verify_run(Bucket(machine.url, machine.staging), DAY).manifest.run_id == f"{2:012x}"
