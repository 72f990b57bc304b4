"""Runs in a bucket: readers find one whole run or nothing, and what is wrong is told in one line."""

import math
import random
import re
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import rec_export
from batch_jobs.rollback import roll_back
from batch_jobs.verify import verify_run
from rec_export.bucket import Bucket, Pointer, digest, manifest_key
from rec_export.config import Retention
from rec_export.errors import (
    DataError,
    EnvironmentMissingError,
    MissingInputError,
    ModelError,
    StorageError,
    UsageError,
)
from rec_export.objects import Objects, place_of
from tests.batch_jobs.machine import DAY, KEEP, PARTS, USERS, Machine, aged
from tests.batch_jobs.store import CANARY, CONDITIONS, Refusing, forgetful, listening
from tests.conftest import command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "s3.md"
RECIPES = dict(re.findall(r"^### (.*)\n\n((?:    .*\n)+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_a_run_is_found_by_its_pointer_and_by_its_view(machine: Machine, tmp_path: Path) -> None:
    assert (machine.found(), machine.publish(1), machine.found()) == (None, True, 1)
    assert machine.view() == rec_export.recommendations(machine.url) == rec_export.recommendations(machine.url, DAY)
    names = [f"part-{part:05d}-of-{PARTS:05d}-000000000001.parquet" for part in range(PARTS)]
    assert [key.rpartition("/")[2] for key in machine.stored("data")] == names
    files = rec_export.recommendations(machine.url, copies=tmp_path / "copies")
    assert files == [tmp_path / "copies" / f"run_date={DAY}" / name for name in names]
    assert verify_run(Bucket(machine.url, machine.staging), DAY).users == PARTS * USERS
    assert not [key for key in machine.stored() if key.startswith("probe")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pyarrow", "Polars", "With every file verified"])
def test_the_recipes_of_the_page_read_the_run(
    name: str, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    machine.publish(1)
    known: dict[str, Any] = {"rec_export": rec_export, "files": rec_export.recommendations(machine.url, DAY)}
    exec(textwrap.dedent(RECIPES[name]).replace("s3://bucket/shop/recs", machine.url), known)
    assert len(known["lists"]) == PARTS * USERS


def test_a_run_that_replaces_another_leaves_it_to_be_put_back(machine: Machine) -> None:
    machine.publish(1)
    before = set(machine.stored("data"))
    machine.publish(2)
    assert (machine.found(), before < set(machine.stored("data"))) == (2, True)
    assert roll_back(machine.bucket(), DAY, None, withdraw=False, reason="bad") is not None
    assert (machine.found(), machine.view() == rec_export.recommendations(machine.url)) == (1, True)
    assert machine.bucket().is_withdrawn(DAY, f"{2:012x}")
    with pytest.raises(MissingInputError, match="every other run of it that is kept was withdrawn"):
        roll_back(machine.bucket(), DAY, None, withdraw=False, reason="")


def test_a_date_is_withdrawn_once_and_can_be_put_back(machine: Machine) -> None:
    machine.publish(1)
    assert roll_back(machine.bucket(), DAY, None, withdraw=True, reason="bad") is not None
    assert (machine.found(), machine.view(), machine.bucket().recs.dates()) == (None, [], [])
    assert roll_back(machine.bucket(), DAY, None, withdraw=True, reason="bad") is None
    roll_back(machine.bucket(), DAY, f"{1:012x}", withdraw=False, reason="it was good")
    assert (machine.found(), machine.bucket().withdrawn()) == (1, ())


@pytest.mark.parametrize("dropped", CONDITIONS)
def test_a_store_that_ignores_a_condition_is_refused_and_nothing_is_left_there(
    dropped: str, server: str, machine: Machine
) -> None:
    with forgetful(server, dropped), pytest.raises(EnvironmentMissingError, match=f"does not keep to {dropped},"):
        machine.publish(1)
    assert (machine.stored(), list(machine.staging.parent.iterdir())) == ([], [])


def test_a_part_that_is_missing_or_cut_short_is_told_before_anybody_reads(machine: Machine, tmp_path: Path) -> None:
    machine.publish(1)
    first = machine.stored("data")[0]
    Objects(machine.url).put(first, b"PAR1")
    with pytest.raises(DataError, match="of another size, such as part-00000"):
        rec_export.recommendations(machine.url)
    Objects(machine.url).delete([first])
    with pytest.raises(DataError, match=r"1 parts in .* are missing"):
        rec_export.recommendations(machine.url, DAY, copies=tmp_path / "copies")


def test_a_flipped_bit_is_told_where_parts_are_fetched_whatever_copies_are_on_this_machine(
    machine: Machine, tmp_path: Path
) -> None:
    machine.publish(1)
    objects, key = Objects(machine.url), machine.stored("data")[-1]
    found = objects.get(key)
    assert found is not None
    objects.put(key, found.content[:100] + bytes([found.content[100] ^ 1]) + found.content[101:])
    with pytest.raises(DataError, match=r"part-00002-.* is not what was published"):
        verify_run(Bucket(machine.url, machine.staging), DAY)
    with pytest.raises(DataError, match=r"part-00002-.* is not what was published"):
        rec_export.recommendations(machine.url, DAY, copies=tmp_path / "copies")


def test_a_manifest_that_names_files_elsewhere_is_refused(machine: Machine, tmp_path: Path) -> None:
    machine.publish(1)
    bucket = Bucket(machine.url)
    read, live = bucket.read(DAY), bucket.version(DAY)
    manifest = bucket.manifest(DAY, live)
    outside = manifest.files[0].model_copy(update={"name": "../outside.parquet"})
    content = manifest.model_copy(update={"files": (outside,)}).as_json().encode()
    bucket.objects.put(manifest_key(DAY, live.run_id, digest(content)), content)
    hostile = live.model_copy(update={"manifest": digest(content)})
    assert bucket.commit(read, read.pointer.model_copy(update={"live": hostile}))
    with pytest.raises(ModelError, match="names parts that are none"):
        rec_export.recommendations(machine.url, copies=tmp_path / "copies")


def test_a_run_is_removed_after_its_time_and_dates_beyond_the_retention_go(machine: Machine) -> None:
    for number, day in enumerate(["2026-11-18", "2026-11-19", DAY]):
        machine.publish(number, day)
    bucket = machine.bucket()
    with bucket.claimed():
        bucket.retire(KEEP, DAY)
        bucket.empty(KEEP)
        assert (bucket.recs.dates(), len(machine.stored("data"))) == (["2026-11-19", DAY], 3 * PARTS)
        aged(bucket.recs, "2026-11-18", timedelta(hours=2))
        bucket.empty(KEEP)
    assert len(machine.stored("data")) == 2 * PARTS
    assert bucket.recs.read("2026-11-18").pointer == Pointer(run_date="2026-11-18")


def test_what_was_replaced_may_be_kept_for_ever(machine: Machine) -> None:
    machine.publish(1)
    machine.publish(2)
    bucket = machine.bucket()
    assert bucket.objects.create("failed/000000000003/manifest.json", b"{}")
    with bucket.claimed():
        bucket.empty(Retention(trash_hours=math.inf, failed_hours=math.inf))
    assert (len(machine.stored("data")), len(machine.stored("failed"))) == (2 * PARTS, 1)


def test_two_readers_who_copy_at_once_get_the_same(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.publish(1)
    both, fetch = threading.Barrier(2, timeout=20), Objects.fetch

    def fetched(self: Objects, key: str, path: Path) -> None:
        fetch(self, key, path)
        both.wait()

    monkeypatch.setattr(Objects, "fetch", fetched)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: rec_export.recommendations(machine.url, copies=tmp_path / "copies"), range(2))
    assert one == other
    assert sorted(tmp_path.glob("copies/*/*")) == one


def test_what_an_upload_left_long_ago_is_removed_and_what_is_live_is_not(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.publish(1)
    Objects(machine.url).put(f"data/run_date={DAY}/0123456789ab-01234567/part-0", b"left")
    bucket = machine.bucket()
    bucket.empty(KEEP)
    assert len(machine.stored("data")) == PARTS + 1  # it may be at work still
    monkeypatch.setattr("batch_jobs.sweeping.LEFT_OVER", timedelta(seconds=-1))
    bucket.empty(KEEP)
    assert (len(machine.stored("data")), machine.found()) == (PARTS, 1)


def test_a_view_that_cannot_be_written_keeps_no_other_from_it(machine: Machine) -> None:
    machine.publish(1, "2026-11-19")
    machine.publish(2)
    objects = Objects(machine.url)
    objects.delete([*machine.stored("views"), *machine.stored("manifests/run_date=2026-11-19")])
    with machine.bucket().claimed():
        assert (machine.view("2026-11-19"), len(machine.view())) == ([], PARTS)


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


def test_no_secret_is_in_what_is_said_or_stored(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.publish(1)
    objects = Objects(machine.url)
    stored = b"".join(found.content for key in machine.stored() if (found := objects.get(key)))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{CANARY}@127.0.0.1:9")
    monkeypatch.setattr("rec_export.objects.RETRIES", 0)
    with pytest.raises(StorageError, match="there was no answer; see whether AWS_ENDPOINT_URL") as raised:
        Objects(machine.url).get("x")
    assert (CANARY.encode() in stored, CANARY in str(raised.value), raised.value.__cause__) == (False, False, None)


def test_a_store_that_refuses_is_one_clear_line_without_what_it_says_of_the_key() -> None:
    with listening(Refusing), pytest.raises(EnvironmentMissingError) as raised:
        Objects("s3://lists/recs").get("x")
    assert str(raised.value) == (
        "the store refused to get s3://lists/recs/x: 403 Forbidden (SignatureDoesNotMatch); check AWS_ACCESS_KEY_ID and"
        " its kin, and that they may list, get, put and delete there"
    )


def test_a_place_that_was_never_used_is_missing(url: str, tmp_path: Path) -> None:
    answer = command("status", url, "--staging", tmp_path / "staging")
    said = f"Error: nothing was ever published below {url}; name the --out of a run\n"
    assert (answer.code, answer.err) == (66, said)


def test_a_large_file_is_uploaded_in_pieces_and_is_one_object(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rec_export.objects.WHOLE", 1 << 20)
    objects, path = Objects(url), tmp_path / "part"
    path.write_bytes(random.Random(0).randbytes(11 << 20))
    objects.upload("data/large", path)
    objects.fetch("data/large", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == path.read_bytes()
    found = objects.get("data/large")
    assert found is not None
    assert re.fullmatch(r'"\w{32}-3"', found.tag)  # as S3 tags what came in so many pieces


def test_a_bucket_that_is_not_there_is_named(server: str, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="the bucket nobodys does not exist"):
        Machine("s3://nobodys/recs", tmp_path / "staging").publish(1)
