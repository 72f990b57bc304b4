"""A run appears whole or not at all, once, and the same run is not done twice."""

import errno
import json
import shutil
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest

from batch_jobs import maker
from batch_jobs import scoring as job
from batch_jobs.executors import make_parts
from batch_jobs.job import ScoreJob
from batch_jobs.lists import lists_of
from batch_jobs.parts import shards_of
from batch_jobs.publish import claimed
from batch_jobs.today import Today, look
from rec_export.bundle import Bundle
from rec_export.errors import DataError, MissingInputError, OutputExistsError, StorageError, UsageError
from rec_export.files import sha256
from rec_export.recs import Recs
from rec_export.run_manifest import RunManifest
from rec_export.scorer import Scorer
from tests.conftest import LAST_DAY, command, contents, done, read_lists

SHARED_MEMORY = Path("/dev/shm")


def score_job(bundle: Path, shop: Path, out: Path) -> ScoreJob:
    """Ten items for everybody."""
    return ScoreJob(
        bundle=bundle, interactions=shop / "interactions.parquet", out=out, run_date=date.fromisoformat(LAST_DAY), k=10,
        seen="exclude", device="cpu", runtime="torchscript",
    )  # fmt: skip


def arguments(bundle: Path, shop: Path, out: Path) -> list[str]:
    """The same as a command line."""
    words = [
        "score",
        bundle,
        "--interactions",
        shop / "interactions.parquet",
        "--out",
        out,
        "--run-date",
        LAST_DAY,
        "--k",
        10,
    ]
    return [str(word) for word in words]


def test_the_same_run_again_succeeds_and_writes_nothing(exported: Path, shop: Path, tmp_path: Path) -> None:
    words = arguments(exported, shop, tmp_path / "recs")
    first = done(*words)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = f"{tmp_path}/recs/run_date={LAST_DAY} was published before; nothing is written again\n"
    assert done(*words).splitlines(keepends=True) == [*first.splitlines(keepends=True)[:-1], again]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_readers_find_nothing_but_parquet_and_a_mark(scored: Path) -> None:
    (part,) = scored.rglob("*.parquet")
    files = {str(path.relative_to(scored)) for path in scored.rglob("*") if path.is_file()}
    assert files == {f"run_date={LAST_DAY}/_SUCCESS", f"run_date={LAST_DAY}/{part.name}"}


def test_the_manifest_says_what_was_published(scored: Path, exported: Path, shop: Path) -> None:
    (manifest,) = (scored.parent / "recs.control" / "manifests").rglob("*.json")
    said = json.loads(manifest.read_text())
    (part,) = scored.rglob("*.parquet")
    rows = read_lists(scored)
    users = rows.to_pandas().groupby("user_id").source.first()
    assert part.name == f"part-00000-of-00001-{said['run_id']}.parquet"
    assert said["bundle"] == sha256(exported / "manifest.json")
    assert said["inputs"] == {"interactions": sha256(shop / "interactions.parquet")}
    assert (said["k"], said["run_date"], said["items"]) == (10, LAST_DAY, 120)
    assert said["files"] == [{
        "name": part.name,
        "users": {source: len(users[users == source]) for source in ("model", "cold", "fallback")},
        "short_lists": 0,
        "empty_lists": 0,
        "rows": len(rows),
        "bytes": part.stat().st_size,
        "sha256": sha256(part),
        "capped": 0,
        "varied": 0,
        "carried": 0,
        "sampled": 0,
    }]  # fmt: skip


def test_a_run_that_fails_midway_leaves_nothing(
    exported: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([True, False])

    def breaks(*anything: object) -> object:
        if next(calls):
            return lists_of(*anything)  # type: ignore[arg-type]
        raise RuntimeError("midway")

    monkeypatch.setattr(maker, "lists_of", breaks)
    monkeypatch.setattr(maker, "chunks", lambda users: [users[:50], users[50:]])
    with pytest.raises(RuntimeError, match="midway"):
        job.run(score_job(exported, shop, tmp_path / "recs"))
    assert contents(tmp_path) == {}


def test_two_at_once_are_done_by_one_and_refused_to_the_other(exported: Path, shop: Path, tmp_path: Path) -> None:
    with claimed(Recs.at(tmp_path / "recs")):
        answer = command("-q", *arguments(exported, shop, tmp_path / "recs"))
    assert (answer.code, "another run is at work" in answer.err, contents(tmp_path)) == (75, True, {})


def test_a_live_run_without_its_manifest_is_named(exported: Path, shop: Path, tmp_path: Path) -> None:
    job.run(score_job(exported, shop, tmp_path / "recs"))
    (manifest,) = (tmp_path / "recs.control" / "manifests").rglob("*.json")
    manifest.unlink()
    with pytest.raises(MissingInputError, match=r"is live, but its manifest .* is gone"):
        job.run(score_job(exported, shop, tmp_path / "recs"))


def test_a_derived_file_that_is_damaged_is_written_again(exported: Path, shop: Path, tmp_path: Path) -> None:
    job.run(score_job(exported, shop, tmp_path / "recs"))
    latest = tmp_path / "recs.control" / "latest.json"
    before = latest.read_bytes()
    latest.write_bytes(b"{")
    job.run(score_job(exported, shop, tmp_path / "recs"))
    assert latest.read_bytes() == before


def test_a_manifest_of_the_first_format_is_read(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(
        """{"format": 1, "run_id": "712752806dd5", "run_date": "2026-10-31", "made_by": "rec-export 0.1.0",
        "started_at": "2026-11-21T08:44:50+00:00", "seconds": 5.1, "as_of": null, "bundle": "0", "inputs": {}, "k": 10,
        "seen": "exclude", "runtime": "torchscript", "device": "cpu", "items": 2000, "files": []}"""
    )
    old = RunManifest.read(tmp_path / "old.json")
    assert (old.format, old.audit, old.gates, old.rows) == (1, None, (), 0)


def test_a_folder_that_rec_export_did_not_write_is_not_replaced(exported: Path, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "recs" / f"run_date={LAST_DAY}").mkdir(parents=True)
    (tmp_path / "recs" / f"run_date={LAST_DAY}" / "part-0.parquet").touch()
    before = contents(tmp_path / "recs")
    answer = command("-q", *arguments(exported, shop, tmp_path / "recs"), "--replace")
    assert (answer.code, "did not write" in answer.err, contents(tmp_path / "recs")) == (73, True, before)


def test_where_folders_cannot_be_exchanged_a_date_is_not_replaced_and_nothing_is_scored(
    scored: Path, exported: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*anything: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("rec_export.swap.renameat2", cannot)
    done(*arguments(exported, shop, tmp_path / "recs"))  # by a plain rename
    monkeypatch.setattr(job, "look", lambda *anything: pytest.fail("it is too late to refuse"))
    answer = command("-q", *arguments(exported, shop, tmp_path / "recs"), "--replace", "--seen", "keep")
    assert (answer.code, "cannot exchange two folders" in answer.err) == (78, True)
    assert read_lists(tmp_path / "recs").equals(read_lists(scored))


def test_a_stray_file_in_the_work_folder_is_no_hindrance(exported: Path, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "recs.control" / "work").mkdir(parents=True)
    (tmp_path / "recs.control" / "work" / "stray").touch()
    assert job.run(score_job(exported, shop, tmp_path / "recs")).fresh


def test_a_log_that_is_written_while_it_is_read_is_refused(
    exported: Path, shop_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(bundle: Bundle, wanted: ScoreJob) -> Today:
        today = look(bundle, wanted)
        log = shop_copy / "interactions.parquet"
        shutil.copy(shop_copy / "future.parquet", log)
        return today

    monkeypatch.setattr("batch_jobs.scoring.look", slow)
    with pytest.raises(DataError, match="was changed while it was read"):
        job.run(score_job(exported, shop_copy, tmp_path / "recs"))
    assert not (tmp_path / "recs").exists()


def test_a_log_of_the_newest_rows_alone_is_warned_of(
    exported: Path, shop_copy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = shop_copy / "interactions.parquet"
    pq.write_table(pq.read_table(log)[-20:], log)
    job.run(score_job(exported, shop_copy, tmp_path / "recs"))
    assert "name the whole log" in caplog.text


def test_a_date_that_is_taken_while_a_run_is_under_way_is_not_overwritten(
    exported: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = tmp_path / "recs" / f"run_date={LAST_DAY}"

    def slower(*anything: object) -> None:
        live.mkdir(parents=True)
        (live / "part-00000-of-00001-0123456789ab.parquet").touch()
        make_parts(*anything)  # type: ignore[arg-type]

    monkeypatch.setattr(job, "make_parts", slower)
    with pytest.raises(OutputExistsError, match="was changed while this run was made"):
        job.run(score_job(exported, shop, tmp_path / "recs"))
    assert [path.name for path in live.iterdir()] == ["part-00000-of-00001-0123456789ab.parquet"]
    assert (
        list((tmp_path / "recs.control" / "manifests").rglob("*.json")) == []
    )  # there is no manifest of what was not published


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="needs a second filesystem")
def test_a_read_root_on_another_disk_than_its_control_folder_is_refused_before_scoring(tmp_path: Path) -> None:
    with TemporaryDirectory(dir=SHARED_MEMORY) as other_disk:
        elsewhere = Recs(Path(other_disk), tmp_path / "recs.control")
        with pytest.raises(StorageError, match="are on different disks"), claimed(elsewhere):
            pass


def test_the_folder_that_one_stands_in_can_be_the_read_root(
    exported: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recs").mkdir()
    monkeypatch.chdir(tmp_path / "recs")
    done(*arguments(exported.resolve(), shop.resolve(), Path(".")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recs", "recs.control"]


def test_other_settings_are_another_run(scored: Path, exported: Path, shop: Path) -> None:
    assert command("-q", *arguments(exported, shop, scored), "--seen", "keep").code == 73


@pytest.mark.parametrize("users", [0, 1, 50_000, 50_001, 1_234_567])
def test_the_plan_depends_on_the_number_of_users_and_covers_them_once(users: int) -> None:
    shards = shards_of(users)
    assert [shard.first for shard in shards] == [0, *(shard.stop for shard in shards[:-1])]
    assert shards[-1].stop == users
    assert max(shard.stop - shard.first for shard in shards) <= 50_000


def test_several_parts_hold_what_one_would(
    scored: Path, exported: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch_jobs.parts.USERS_PER_PART", 70)
    done(*arguments(exported, shop, tmp_path / "recs"))
    assert len(list((tmp_path / "recs").rglob("*.parquet"))) > 1
    assert read_lists(tmp_path / "recs").equals(read_lists(scored))


def test_the_root_of_the_disk_is_no_read_root() -> None:
    with pytest.raises(UsageError, match=r"^/ cannot be a read root"):
        Recs.at(Path("/"))


def test_a_run_date_is_a_date(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="the run date is 'today', but should be like 2026-11-20"):
        Recs.at(tmp_path / "recs").live("today")


def test_lists_that_hold_what_a_user_has_met_are_refused_even_by_score(
    exported: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = Scorer.best
    monkeypatch.setattr(Scorer, "best", lambda self, user, k, **given: best(self, user, k, True))
    answer = command("-q", *arguments(exported, shop, tmp_path / "recs"))
    assert (answer.code, (tmp_path / "recs").exists()) == (80, False)
    assert "items that the user has met" in answer.err


def test_what_fails_after_the_commit_is_told_and_mended_by_the_next_start(
    exported: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(recs: Recs) -> None:
        if recs.dates():
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("batch_jobs.publish.settle", fails)
        assert job.run(score_job(exported, shop, tmp_path / "recs")).fresh
    assert "the lists are live, but" in caplog.text
    assert not job.run(score_job(exported, shop, tmp_path / "recs")).fresh
    assert (tmp_path / "recs.control" / "latest.json").is_file()
    assert not (tmp_path / "recs.control" / "work").exists()
