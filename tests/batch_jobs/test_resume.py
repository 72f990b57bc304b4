"""A run that failed midway goes on where it was, to the bytes of an undisturbed one."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from pyarrow import parquet as pq

from batch_jobs import maker
from batch_jobs import scoring as job
from batch_jobs.job import ScoreJob
from batch_jobs.parts import write_part
from batch_jobs.work import MadeWith
from tests.conftest import LAST_DAY, contents

PARTS = 4


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some parts, of few users each."""
    monkeypatch.setattr("batch_jobs.parts.USERS_PER_PART", 60)


def score_job(bundle: Path, shop: Path, out: Path, k: int = 5) -> ScoreJob:
    """Some items for everybody."""
    day = date.fromisoformat(LAST_DAY)
    return ScoreJob(bundle=bundle, interactions=shop / "interactions.parquet", out=out, run_date=day, k=k, device="cpu")


def broken_off(wanted: ScoreJob, parts: int) -> None:
    """A run that fails when so many parts are finished."""
    write, done = write_part, iter(range(parts))

    def breaks(*anything: object) -> object:
        if next(done, None) is None:
            raise RuntimeError("midway")
        return write(*anything)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maker, "write_part", breaks)
        with pytest.raises(RuntimeError, match="midway"):
            job.run(wanted)


@pytest.mark.parametrize("parts", range(1, PARTS))
def test_a_broken_run_goes_on_to_the_bytes_of_an_undisturbed_one(
    parts: int, exported: Path, shop: Path, tmp_path: Path
) -> None:
    job.run(score_job(exported, shop, tmp_path / "whole" / "recs"))
    wanted = score_job(exported, shop, tmp_path / "broken" / "recs")
    broken_off(wanted, parts)
    assert not Path(wanted.out).exists()
    assert job.run(wanted).resumed == parts
    assert contents(tmp_path / "broken" / "recs") == contents(tmp_path / "whole" / "recs")
    assert len(list(Path(wanted.out).rglob("*.parquet"))) == PARTS


def test_a_part_that_was_damaged_meanwhile_is_made_again(exported: Path, shop: Path, tmp_path: Path) -> None:
    job.run(score_job(exported, shop, tmp_path / "whole" / "recs"))
    wanted = score_job(exported, shop, tmp_path / "broken" / "recs")
    broken_off(wanted, 2)
    part = min((tmp_path / "broken" / "recs.control" / "work").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    job.run(wanted)
    assert contents(tmp_path / "broken" / "recs") == contents(tmp_path / "whole" / "recs")


def test_parts_of_another_run_are_not_used_and_do_not_stay(exported: Path, shop: Path, tmp_path: Path) -> None:
    broken_off(score_job(exported, shop, tmp_path / "recs", k=4), 2)
    done = job.run(score_job(exported, shop, tmp_path / "recs"))
    assert (done.resumed, (tmp_path / "recs.control" / "work").exists()) == (0, False)


def test_parts_that_another_machine_or_version_made_are_not_mixed_with_ours(
    exported: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = score_job(exported, shop, tmp_path / "recs")
    with monkeypatch.context() as patch:
        patch.setattr(MadeWith, "here", lambda device: MadeWith(device="another", versions={}))
        broken_off(wanted, 2)
    assert job.run(wanted).resumed == 0


def test_a_run_that_fails_before_its_first_part_leaves_nothing(exported: Path, shop: Path, tmp_path: Path) -> None:
    broken_off(score_job(exported, shop, tmp_path / "recs"), 0)
    assert contents(tmp_path) == {}


TERMINATED = """
import os, batch_jobs.parts, batch_jobs.maker
from rec_export.cli import main
batch_jobs.parts.USERS_PER_PART = 60
write, calls = batch_jobs.maker.write_part, iter([1])
batch_jobs.maker.write_part = lambda *given: write(*given) if next(calls, 0) else os.kill(os.getpid(), 15)
main()
"""


@pytest.mark.slow
def test_a_run_that_is_terminated_keeps_what_is_finished(exported: Path, shop: Path, tmp_path: Path) -> None:
    wanted = score_job(exported, shop, tmp_path / "recs")
    log = shop / "interactions.parquet"
    words = "score", exported, "--interactions", log, "--out", wanted.out, "--run-date", LAST_DAY, "--k", "5"
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    ended = subprocess.run([sys.executable, "-c", TERMINATED, *map(str, words)], env=environment, check=False)
    assert (ended.returncode, Path(wanted.out).exists()) == (128 + 15, False)
    assert job.run(wanted).resumed == 1


def test_a_copied_part_says_what_it_is(scored: Path) -> None:
    (part,) = scored.rglob("*.parquet")
    told = {key.decode(): value.decode() for key, value in pq.read_metadata(part).metadata.items()}
    named = {key: told[f"rec_export.{key}"] for key in ("run_date", "run_id", "part")}
    assert named == {"run_date": LAST_DAY, "run_id": part.stem[-12:], "part": "0 of 1"}
