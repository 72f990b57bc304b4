"""The commands with a bucket as their place: a whole story of nights, and a kill of the real command line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import rec_export
from rec_export.bucket import Bucket
from rec_export.objects import Objects
from tests.batch_jobs.conftest import LAST, NEXT, configured, halve, night, scored
from tests.batch_jobs.store import CANARY
from tests.conftest import LAST_DAY, command, contents, done

pytestmark = pytest.mark.slow


@pytest.fixture
def place(exported: Path, shop_copy: Path, url: str) -> Path:
    """A shop whose nights are published to the bucket."""
    return configured(shop_copy, exported, out=url, staging="staging")


def lists(url: str, folder: Path, run_date: str | None = None) -> pd.DataFrame:
    """What readers get."""
    return pd.concat(pd.read_parquet(file) for file in rec_export.recommendations(url, run_date, copies=folder))


def test_nights_are_published_refused_answered_for_and_taken_back(place: Path, url: str, tmp_path: Path) -> None:
    assert night(place, LAST).out.startswith(f"published run_date={LAST} ")
    shutil.rmtree(place / "staging")  # another machine, to which the gates bring the night before
    halve(place)
    refused = night(place, NEXT, code=80)
    assert (
        f"{url}/current/run_date={LAST}.json stays the newest, and the run is kept in {place}/staging/" in refused.err
    )
    assert done("status", url).splitlines()[2].startswith(f"refused   run_date={NEXT}, run ")
    forced = [word for name in ("log_rows", "users", "sources") for word in ("--force-gate", name)]
    assert night(place, NEXT, *forced, "--reason", "archived").out.endswith("1 part resumed\n")
    assert night(place, NEXT).out.startswith("kept ")
    assert [line.split()[0] for line in done("status", url).splitlines()] == ["live", "dates", "last"]
    assert done("verify-run", url).count(" as they were published\n") == 2
    done("rollback", url, "--run-date", NEXT, "--withdraw", "--reason", "bad")
    assert night(place, NEXT, code=73).err.endswith("to publish it all the same: --replace\n")
    assert lists(url, tmp_path / "copies").equals(lists(url, tmp_path / "copies", LAST))


def test_another_machine_finds_the_night_published_and_scores_nothing(place: Path) -> None:
    night(place, LAST)
    shutil.rmtree(place / "staging")
    assert (night(place, LAST).out.startswith("kept "), (place / "staging").exists()) == (True, False)


def test_no_secret_is_said_or_stored(place: Path, url: str) -> None:
    night(place, LAST)
    objects = Objects(url)
    stored = {key: found.content for key in objects.list("") if (found := objects.get(key))}
    here = {name: content or b"" for name, content in contents(place / "staging").items()}
    assert [name for name, content in {**stored, **here}.items() if CANARY.encode() in content] == []


def test_an_incremental_night_is_held_against_what_the_night_before_left_in_the_staging_folder(
    place: Path, url: str, tmp_path: Path
) -> None:
    text = (place / "config.yaml").read_text()
    (place / "config.yaml").write_text(text.replace("score:", "score:\n  incremental: true"))
    night(place, LAST)
    assert (place / "staging" / "basis").is_dir()
    night(place, NEXT)
    told = Bucket(url).told(NEXT, str(Bucket(url).run_id(NEXT)))
    assert str(told.everybody_because).startswith("not those of the newest run, ")  # whose hashes it found and compared


LATER = "manifests/", "current/"
KILLED = """
import os, signal, sys
from rec_export.cli import main
import batch_jobs.parts
batch_jobs.parts.USERS_PER_PART = 60
key = os.environ["KILL_AT"]
def kill(event, arguments):
    verb = "put" if key.startswith("part") else "create"
    if event == "rec_export.object" and arguments[0] == verb and key in arguments[1]:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
main()
"""


@pytest.mark.parametrize("key", ["part-00002", *(pytest.param(k, marks=pytest.mark.long) for k in LATER)])
def test_a_command_that_is_killed_is_repeated_to_the_same_lists(
    key: str, exported: Path, shop: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = shop / "interactions.parquet"
    where = "--out", url, "--staging", tmp_path / "staging", "--run-date", LAST_DAY
    words = ("score", exported, "--interactions", log, *where, "--k", 5)
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "KILL_AT": key}
    ended = subprocess.run([sys.executable, "-c", KILLED, *map(str, words)], env=environment, check=False)
    assert (ended.returncode, Bucket(url).dates()) == (-9, [])
    there = {name: one.modified for name, one in Objects(url).list("data").items()}
    monkeypatch.setattr("batch_jobs.parts.USERS_PER_PART", 60)
    assert command(*words).code == 0
    now = {name: one.modified for name, one in Objects(url).list("data").items()}
    assert (len(there) >= 2, {name: now.get(name) for name in there}) == (True, there)
    done("score", exported, "--interactions", log, "--out", tmp_path / "recs", "--run-date", LAST_DAY, "--k", 5)
    parts = sorted((tmp_path / "recs").rglob("*.parquet"))
    copies = rec_export.recommendations(url, copies=tmp_path / "copies")
    assert [Path(part).read_bytes() for part in copies] == [part.read_bytes() for part in parts]


def test_a_night_that_score_has_published_is_held_against_the_gates(place: Path, url: str, exported: Path) -> None:
    run_id = scored(place, exported, url, "--staging", place / "staging")
    said = night(place, LAST)
    assert said.out.startswith(f"published run_date={LAST} run {run_id}: ")
    assert not Bucket(url).told(LAST, run_id).unjudged
    assert night(place, LAST).out.startswith("kept ")
    assert done("verify-run", url).count(" as they were published\n") == 1
