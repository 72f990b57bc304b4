"""Runs in a bucket: readers find the old one, the new one or nothing, whoever is killed and whoever comes first."""

import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rec_export
from batch_jobs.in_bucket import InBucket
from batch_jobs.rollback import roll_back
from batch_jobs.verify import verify_run
from rec_export.bucket import Bucket, Past, Pointer, digest, manifest_key
from rec_export.config import Retention
from rec_export.errors import (
    BusyError,
    DataError,
    EnvironmentMissingError,
    MissingInputError,
    ModelError,
    OutputExistsError,
    StorageError,
    UsageError,
)
from rec_export.files import sha256
from rec_export.objects import Objects, place_of
from rec_export.recs import PartFile, RunManifest
from tests.batch_jobs.store import CANARY, CONDITIONS, Refusing, forgetful, listening, new_bucket, store

DAY = "2026-11-20"
PARTS, USERS = 3, 4  # a part
PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "s3.md"
RECIPES = dict(re.findall(r"^### (.*)\n\n((?:    .*\n)+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
KEEP = Retention(dates=2, trash_hours=1)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 server."""
    with store() as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    """A place in a bucket that holds nothing."""
    return new_bucket(server)


class Killed(BaseException):
    """In the place of SIGKILL: no code of ours catches it, and none reaches the store after it."""


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


class Place(NamedTuple):
    """A bucket as a machine with a staging folder sees it."""

    url: str
    staging: Path

    def bucket(self) -> InBucket:
        """Anew, as each process has it."""
        return InBucket(Bucket(self.url, self.staging))

    def publish(self, number: int, run_date: str = DAY, before: Callable[[], object] = lambda: None) -> bool:
        """A run whose scores are all its number, if it is not live; `before` is called before it is committed."""
        place, run_id = self.bucket(), f"{number:012x}"
        with place.claimed():
            replaced = place.recs.run_id(run_date)
            if replaced == run_id:
                return False
            parts = place.recs.control / "work" / run_id / f"run_date={run_date}"
            parts.mkdir(parents=True, exist_ok=True)
            files = tuple(made_part(parts, part, number) for part in range(PARTS))
            told = RunManifest(
                run_id=run_id, run_date=run_date, made_by="a test", started_at="", seconds=0.0, as_of=None, bundle="",
                inputs={}, k=1, seen="keep", runtime="onnx", device="cpu", items=1, replaces=replaced, files=files,
            )  # fmt: skip
            before()
            return place.publish(parts, told)

    def found(self, run_date: str = DAY) -> int | None:
        """What a reader finds: the number of the one run that is there whole; None: nothing."""
        try:
            files = rec_export.recommendations(self.url, run_date)
        except MissingInputError:
            return None
        objects = Objects(self.url)
        parts = [objects.get(str(file).removeprefix(f"{self.url}/")) for file in files]
        lists = pa.concat_tables(pq.read_table(pa.BufferReader(part.content)) for part in parts if part)
        (score,) = set(lists["score"].to_pylist())
        assert len(lists) == PARTS * USERS
        return int(score)

    def view(self, run_date: str = DAY) -> list[str]:
        """What the derived list says."""
        found = Objects(self.url).get(f"views/symlink/run_date={run_date}/manifest")
        return [] if found is None else found.content.decode().split()

    def seen(self, run_date: str = DAY) -> tuple[int | None, int, bool]:
        """The run that is live, how many parts the derived list names, and whether work is left here."""
        return self.found(run_date), len(self.view(run_date)), (self.staging / "work").exists()

    def stored(self, folder: str = "") -> list[str]:
        """All keys."""
        return sorted(Objects(self.url).list(folder))


def made_part(folder: Path, part: int, number: int) -> PartFile:
    """A part of a made-up run."""
    path = folder / f"part-{part:05d}-of-{PARTS:05d}-{number:012x}.parquet"
    users = [f"u{user:05d}" for user in range(part * USERS, (part + 1) * USERS)]
    columns = {
        "user_id": users, "rank": pa.array([1] * USERS, pa.int16()), "item_id": users,
        "score": np.full(USERS, number, np.float32), "source": ["model"] * USERS,
    }  # fmt: skip
    pq.write_table(pa.table(columns), path, write_page_checksum=True)
    counts = {"model": USERS, "cold": 0, "fallback": 0}
    return PartFile(
        name=path.name, users=counts, rows=USERS, bytes=path.stat().st_size, sha256=sha256(path), short_lists=0,
        empty_lists=0,
    )  # fmt: skip


@pytest.fixture
def place(url: str, tmp_path: Path) -> Place:
    """One machine."""
    return Place(url, tmp_path / "staging")


def test_a_run_is_found_by_its_pointer_and_by_its_view(place: Place, tmp_path: Path) -> None:
    assert (place.found(), place.publish(1), place.found()) == (None, True, 1)
    assert place.view() == rec_export.recommendations(place.url) == rec_export.recommendations(place.url, DAY)
    names = [f"part-{part:05d}-of-{PARTS:05d}-000000000001.parquet" for part in range(PARTS)]
    assert [key.rpartition("/")[2] for key in place.stored("data")] == names
    files = rec_export.recommendations(place.url, copies=tmp_path / "copies")
    assert files == [tmp_path / "copies" / f"run_date={DAY}" / name for name in names]
    assert verify_run(Bucket(place.url, place.staging), DAY).users == PARTS * USERS
    assert not [key for key in place.stored() if key.startswith("probe")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pyarrow", "Polars", "With every file verified"])
def test_the_recipes_of_the_page_read_the_run(
    name: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place.publish(1)
    known: dict[str, Any] = {"rec_export": rec_export, "files": rec_export.recommendations(place.url, DAY)}
    exec(textwrap.dedent(RECIPES[name]).replace("s3://bucket/shop/recs", place.url), known)
    assert len(known["lists"]) == PARTS * USERS


def test_a_run_that_replaces_another_leaves_it_to_be_put_back(place: Place) -> None:
    place.publish(1)
    before = set(place.stored("data"))
    place.publish(2)
    assert (place.found(), before < set(place.stored("data"))) == (2, True)
    assert roll_back(place.bucket(), DAY, None, withdraw=False, reason="bad") is not None
    assert (place.found(), place.view() == rec_export.recommendations(place.url)) == (1, True)
    assert place.bucket().is_withdrawn(DAY, f"{2:012x}")
    with pytest.raises(MissingInputError, match="was rolled back already"):
        roll_back(place.bucket(), DAY, None, withdraw=False, reason="")


def test_a_date_is_withdrawn_once_and_can_be_put_back(place: Place) -> None:
    place.publish(1)
    assert roll_back(place.bucket(), DAY, None, withdraw=True, reason="bad") is not None
    assert (place.found(), place.view(), place.bucket().recs.dates()) == (None, [], [])
    assert roll_back(place.bucket(), DAY, None, withdraw=True, reason="bad") is None
    roll_back(place.bucket(), DAY, f"{1:012x}", withdraw=False, reason="it was good")
    assert (place.found(), place.bucket().withdrawn()) == (1, ())


def test_killed_before_every_call_of_the_store_a_run_replaces_another_or_not(place: Place) -> None:
    place.publish(0)
    wrong, number, killed = [], 0, True
    while killed:
        number += 1
        act = partial(place.publish, number)
        killed = CALLS.kill(act, at=number)
        between = place.found()
        act()
        if (between in (number - 1, number), *place.seen()) != (True, number, PARTS, False):
            wrong.append((number, between, *place.seen()))
    assert (wrong, number > 20) == ([], True)


@pytest.mark.long
@pytest.mark.parametrize("name", ["first publish", "rollback", "withdrawal"])
def test_killed_before_every_call_of_the_store_a_command_is_done_or_not(name: str, server: str, tmp_path: Path) -> None:
    wrong, number, killed = [], 0, True
    while killed:
        number += 1
        place = Place(new_bucket(server), tmp_path / str(number))
        before, after, act = scene(name, place)
        killed = CALLS.kill(act, at=number)
        between = place.found()
        act()
        if (between in (before, after), *place.seen()) != (True, after, PARTS if after else 0, False):
            wrong.append((number, between, *place.seen()))
    assert (wrong, number > 15) == ([], True)


def scene(name: str, place: Place) -> tuple[int | None, int | None, Callable[[], object]]:
    """What is live before and after a command, and the command."""
    if name == "first publish":
        return None, 1, lambda: place.publish(1)
    place.publish(1)
    if name == "withdrawal":
        return 1, None, lambda: roll_back(place.bucket(), DAY, None, withdraw=True, reason="")
    place.publish(2)
    return 2, 1, lambda: roll_back(place.bucket(), DAY, f"{1:012x}", withdraw=False, reason="")


def test_a_killed_upload_goes_on_in_the_same_folder(place: Place) -> None:
    uploaded: list[str] = []
    kill_at = 1
    while len(uploaded) != 1:
        CALLS.kill(lambda: place.publish(1), at=kill_at)
        uploaded, kill_at = place.stored("data"), kill_at + 1
    place.publish(1)
    (folder,) = {key.rpartition("/")[0] for key in place.stored("data")}
    assert (uploaded[0].startswith(folder), len(place.stored("data"))) == (True, PARTS)


def test_a_run_that_was_killed_after_its_commit_and_replaced_since_is_uploaded_anew(
    place: Place, tmp_path: Path
) -> None:
    kill_at = 1
    while place.found() is None:
        CALLS.kill(lambda: place.publish(1), at=kill_at)
        kill_at += 1
    first = set(place.stored("data"))
    assert (place.staging / "work").exists()
    place._replace(staging=tmp_path / "another").publish(2)
    place.publish(1)
    pointer = place.bucket().recs.read(DAY).pointer
    assert [one.version.run_id for one in pointer.past] == [f"{2:012x}", f"{1:012x}"]
    assert (place.found(), len(first), len(place.stored("data"))) == (1, PARTS, 3 * PARTS)


def test_of_two_machines_with_the_same_run_one_publishes_and_the_other_finds_it_published(
    url: str, tmp_path: Path
) -> None:
    both = Barrier(2)
    places = [Place(url, tmp_path / str(number)) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda place: place.publish(1, before=both.wait), places))
    assert (sorted(done), places[0].found(), len(places[0].stored("data"))) == ([False, True], 1, PARTS)
    assert [place.seen() for place in places] == [(1, PARTS, False)] * 2


def test_of_two_machines_with_other_runs_one_is_refused_and_leaves_nothing(url: str, tmp_path: Path) -> None:
    both = Barrier(2)

    def publish(number: int) -> int | None:
        try:
            Place(url, tmp_path / str(number)).publish(number, before=both.wait)
        except OutputExistsError:
            return None
        return number

    with ThreadPoolExecutor(2) as pool:
        done = set(pool.map(publish, (1, 2)))
    place = Place(url, tmp_path / "reader")
    assert (done, len(place.stored("data"))) == ({None, place.found()}, PARTS)


def test_two_at_once_on_one_machine_are_done_by_one_and_refused_to_the_other(place: Place) -> None:
    with place.bucket().claimed(), pytest.raises(BusyError, match="another run is at work"):
        place.publish(1)


@pytest.mark.parametrize("dropped", CONDITIONS)
def test_a_store_that_ignores_a_condition_is_refused_and_nothing_is_left_there(
    dropped: str, server: str, place: Place
) -> None:
    with forgetful(server, dropped), pytest.raises(EnvironmentMissingError, match=f"does not keep to {dropped},"):
        place.publish(1)
    assert (place.stored(), list(place.staging.parent.iterdir())) == ([], [])


def test_a_part_that_is_missing_or_cut_short_is_told_before_anybody_reads(place: Place, tmp_path: Path) -> None:
    place.publish(1)
    first = place.stored("data")[0]
    Objects(place.url).put(first, b"PAR1")
    with pytest.raises(DataError, match="of another size, such as part-00000"):
        rec_export.recommendations(place.url)
    Objects(place.url).delete([first])
    with pytest.raises(DataError, match=r"1 parts in .* are missing"):
        rec_export.recommendations(place.url, DAY, copies=tmp_path / "copies")


def test_a_flipped_bit_is_told_where_parts_are_fetched_whatever_copies_are_on_this_machine(
    place: Place, tmp_path: Path
) -> None:
    place.publish(1)
    objects, key = Objects(place.url), place.stored("data")[-1]
    found = objects.get(key)
    assert found is not None
    objects.put(key, found.content[:100] + bytes([found.content[100] ^ 1]) + found.content[101:])
    with pytest.raises(DataError, match=r"part-00002-.* is not what was published"):
        verify_run(Bucket(place.url, place.staging), DAY)
    with pytest.raises(DataError, match=r"part-00002-.* is not what was published"):
        rec_export.recommendations(place.url, DAY, copies=tmp_path / "copies")


def test_a_manifest_that_names_files_elsewhere_is_refused(place: Place, tmp_path: Path) -> None:
    place.publish(1)
    bucket = Bucket(place.url)
    read, live = bucket.read(DAY), bucket.version(DAY)
    manifest = bucket.manifest(DAY, live)
    outside = manifest.files[0].model_copy(update={"name": "../outside.parquet"})
    content = manifest.model_copy(update={"files": (outside,)}).as_json().encode()
    bucket.objects.put(manifest_key(DAY, live.run_id, digest(content)), content)
    hostile = live.model_copy(update={"manifest": digest(content)})
    assert bucket.commit(read, read.pointer.model_copy(update={"live": hostile}))
    with pytest.raises(ModelError, match="names parts that are none"):
        rec_export.recommendations(place.url, copies=tmp_path / "copies")


def test_a_run_is_removed_after_its_time_and_dates_beyond_the_retention_go(place: Place) -> None:
    for number, day in enumerate(["2026-11-18", "2026-11-19", DAY]):
        place.publish(number, day)
    bucket = place.bucket()
    with bucket.claimed():
        bucket.retire(KEEP, DAY)
        bucket.empty(KEEP)
        assert (bucket.recs.dates(), len(place.stored("data"))) == (["2026-11-19", DAY], 3 * PARTS)
        aged(bucket.recs, "2026-11-18", timedelta(hours=2))
        bucket.empty(KEEP)
    assert len(place.stored("data")) == 2 * PARTS
    assert bucket.recs.read("2026-11-18").pointer == Pointer(run_date="2026-11-18")


def test_a_removal_that_was_killed_goes_on(place: Place) -> None:
    place.publish(1)
    place.publish(2)
    bucket = place.bucket()
    aged(bucket.recs, DAY, timedelta(hours=2))
    killed = CALLS.kill(lambda: bucket.empty(KEEP), at=7)
    assert (killed, len(place.stored("data")) in range(PARTS + 1, 2 * PARTS), bucket.kept(DAY)) == (True, True, [])
    bucket.empty(KEEP)
    pointer = bucket.recs.read(DAY).pointer
    assert (len(place.stored("data")), pointer.past, pointer.doomed, place.found()) == (PARTS, (), (), 2)


def aged(bucket: Bucket, run_date: str, age: timedelta) -> None:
    """Let the runs of a date have been replaced long ago."""
    read, until = bucket.read(run_date), (datetime.now(UTC) - age).isoformat()
    past = tuple(Past(version=one.version, until=until) for one in read.pointer.past)
    assert bucket.commit(read, read.pointer.model_copy(update={"past": past}))


def test_what_an_upload_left_long_ago_is_removed_and_what_is_live_is_not(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.publish(1)
    Objects(place.url).put(f"data/run_date={DAY}/0123456789ab-01234567/part-0", b"left")
    bucket = place.bucket()
    bucket.empty(KEEP)
    assert len(place.stored("data")) == PARTS + 1  # it may be at work still
    monkeypatch.setattr("batch_jobs.sweeping.LEFT_OVER", timedelta(seconds=-1))
    bucket.empty(KEEP)
    assert (len(place.stored("data")), place.found()) == (PARTS, 1)


def test_an_answer_that_is_lost_on_its_way_does_not_undo_the_commit(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Objects.create

    def lost(self: Objects, key: str, content: bytes | Path) -> bool:
        done = create(self, key, content)
        if key.startswith("current"):
            raise StorageError("no answer")
        return done

    monkeypatch.setattr(Objects, "create", lost)
    assert (place.publish(1), place.found()) == (True, 1)


def test_a_commit_that_lands_after_it_was_given_up_is_found_and_keeps_its_parts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[tuple[str, bytes]] = []
    create = Objects.create

    def lost(self: Objects, key: str, content: bytes | Path) -> bool:
        if isinstance(content, bytes) and key.startswith("current"):
            late.append((key, content))
            raise StorageError("no answer")
        return create(self, key, content)

    monkeypatch.setattr(Objects, "create", lost)
    with pytest.raises(StorageError):
        place.publish(1)
    monkeypatch.setattr(Objects, "create", create)
    assert place.publish(1, before=lambda: Objects(place.url).put(*late[0]))
    assert (place.seen(), len(place.stored("data"))) == ((1, PARTS, False), PARTS)


def test_a_run_that_is_removed_while_it_is_put_back_is_not_made_live(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.publish(1)
    place.publish(2)
    aged(place.bucket().recs, DAY, timedelta(hours=2))
    point = InBucket.point

    def late(self: InBucket, *asked: Any, **more: Any) -> bool:
        place.bucket().empty(KEEP)  # by another machine
        return point(self, *asked, **more)

    monkeypatch.setattr(InBucket, "point", late)
    with pytest.raises(OutputExistsError, match="was changed meanwhile"):
        roll_back(place.bucket(), DAY, f"{1:012x}", withdraw=False, reason="")
    assert place.found() == 2


def test_a_run_that_is_replaced_while_it_is_verified_is_left_for_the_one_in_its_place(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.publish(1)
    opened = Bucket.opened

    @contextmanager
    def late(self: Bucket, run_date: str) -> Iterator[list[Path]]:
        with opened(self, run_date) as paths:
            place.publish(2)
            yield paths

    monkeypatch.setattr(Bucket, "opened", late)
    assert verify_run(Bucket(place.url, place.staging), DAY).manifest.run_id == f"{2:012x}"


def test_a_view_that_cannot_be_written_keeps_no_other_from_it(place: Place) -> None:
    place.publish(1, "2026-11-19")
    place.publish(2)
    objects = Objects(place.url)
    objects.delete([*place.stored("views"), *place.stored("manifests/run_date=2026-11-19")])
    with place.bucket().claimed():
        assert (place.view("2026-11-19"), len(place.view())) == ([], PARTS)


def test_without_a_home_the_staging_folder_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(EnvironmentMissingError, match="set HOME, or name --staging"):
        Bucket("s3://lists/recs")


@pytest.mark.parametrize(
    "wrong", ["s3://", "s3://b", "s3://bucket//a", "s3://bucket/../a", "s3://bucket/a b", "gs://bucket/a"]
)
def test_a_url_that_is_none_is_one_clear_line(wrong: str) -> None:
    with pytest.raises(UsageError, match="s3://bucket/prefix"):
        place_of(wrong)


def test_no_secret_is_in_what_is_said_or_stored(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.publish(1)
    objects = Objects(place.url)
    stored = b"".join(found.content for key in place.stored() if (found := objects.get(key)))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{CANARY}@127.0.0.1:9")
    monkeypatch.setattr("rec_export.objects.RETRIES", 0)
    with pytest.raises(StorageError, match="there was no answer; see whether AWS_ENDPOINT_URL") as raised:
        Objects(place.url).get("x")
    assert (CANARY.encode() in stored, CANARY in str(raised.value), raised.value.__cause__) == (False, False, None)


def test_a_store_that_refuses_is_one_clear_line_without_what_it_says_of_the_key() -> None:
    with listening(Refusing), pytest.raises(EnvironmentMissingError) as raised:
        Objects("s3://lists/recs").get("x")
    assert str(raised.value) == (
        "the store refused to get s3://lists/recs/x: 403 Forbidden (SignatureDoesNotMatch); check AWS_ACCESS_KEY_ID and"
        " its kin, and that they may list, get, put and delete there"
    )


def test_a_bucket_that_is_not_there_is_named(server: str, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="the bucket nobodys does not exist"):
        Place("s3://nobodys/recs", tmp_path / "staging").publish(1)
