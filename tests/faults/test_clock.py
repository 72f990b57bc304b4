"""Whatever the clock and the time zone do, a run has one date, the newest date stays the newest, nothing live goes."""

import json
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_jobs.verify import verify_run
from rec_export.errors import RecExportError
from rec_export.recs import Recs, run_in
from rec_export.run_manifest import RunManifest
from tests.batch_jobs.conftest import LAST, NEXT, configured
from tests.conftest import Tell, contents
from tests.faults.killing import Forge

FAKER = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
DAY, YEAR = 86400.0, 365 * 86400.0
MOMENTS = {  # UTC, some seconds before
    "New York skips an hour": "2027-03-14T06:59:58",
    "New York repeats an hour": "2027-11-07T05:59:58",
    "New York is in the hour that it repeats": "2027-11-07T06:30:00",
    "Berlin skips an hour": "2027-03-28T00:59:58",
    "Lord Howe goes back by half an hour": "2027-04-03T14:59:58",
    "a year ends": "2027-12-31T23:59:58",
    "a leap day begins": "2028-02-28T23:59:58",
}
ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Kiritimati"]
ZONES += ["Pacific/Pago_Pago"]
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(FAKER is None, reason="needs libfaketime: apt-get install faketime"),
]


class Clock:
    """The clock that commands see: so many seconds off the real one. Files keep the real times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.set(0.0)

    def set(self, seconds: float) -> None:
        """Let it jump."""
        work = self.path.with_name("next")
        work.write_text(f"{seconds:+.3f}")
        work.replace(self.path)

    def set_to(self, moment: str) -> None:
        """Let it jump to a moment, UTC."""
        self.set((datetime.fromisoformat(moment).replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds())

    @contextmanager
    def jumping(self) -> Iterator[None]:
        """It jumps by up to two years to and fro, all the time."""
        over, places = threading.Event(), random.Random(0)

        def jump() -> None:
            while not over.wait(0.01):
                self.set(places.uniform(0, 2 * YEAR))

        thread = threading.Thread(target=jump)
        thread.start()
        yield
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    """A clock to play with."""
    return Clock(tmp_path_factory.mktemp("clock") / "now")


@pytest.fixture(scope="module")
def forge(clock: Clock, exported: Path, shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """A server whose commands see that clock."""
    faked = {"LD_PRELOAD": str(FAKER), "FAKETIME_TIMESTAMP_FILE": str(clock.path), "FAKETIME_NO_CACHE": "1"}
    with Forge(100, FAKETIME_DONT_FAKE_MONOTONIC="1", NO_FAKE_STAT="1", **faked) as server:
        server.warm(*words(exported, shop, tmp_path_factory.mktemp("warm")))
        yield server


def words(bundle: Path, shop: Path, folder: Path) -> list[object]:
    """Score the shop today."""
    return ["-q", "score", bundle, "--interactions", shop / "interactions.parquet", "--out", folder / "recs", "--k", 5]


def wrongs(recs: Recs) -> list[str]:
    """What is not as it should be below a read root: parts, dates, durations, the newest date."""
    bad = []
    for date in recs.dates():
        run = recs.told(date, str(run_in(recs.live(date))))
        bad += [f"{date} lasted {run.seconds} s"] if run.seconds < 0 or run.run_date != date else []
        try:
            verify_run(recs, date)
        except RecExportError as error:
            bad.append(str(error))
    newest = json.loads((recs.control / "latest.json").read_text())["run_date"]
    return bad if newest == recs.dates()[-1] else [*bad, f"{newest} is said to be the newest"]


def only_run(recs: Recs) -> RunManifest:
    """The manifest of the one date there is."""
    (date,) = recs.dates()
    return recs.told(date, str(run_in(recs.live(date))))


@pytest.mark.parametrize("name", MOMENTS)
def test_in_every_zone_the_date_is_that_of_utc(
    name: str, forge: Forge, clock: Clock, exported: Path, shop: Path, tmp_path: Path, tell: Tell
) -> None:
    bad = []
    for zone in ZONES:
        here = tmp_path / zone.replace("/", "-")
        clock.set_to(MOMENTS[name])
        ended = forge.run(*words(exported, shop, here), zone=zone)
        run = only_run(Recs.at(here / "recs"))
        expected = {MOMENTS[name][:10], run.started_at[:10]}  # which differ where midnight came first
        bad += [f"{zone}: {ended.code}, {run.run_date}"] if ended.code or run.run_date not in expected else []
        bad += wrongs(Recs.at(here / "recs"))
    tell(f"`score` without a date just before {name}, in {len(ZONES)} time zones", str(len(ZONES)), f"{len(bad)} wrong")
    assert bad == []


def test_a_clock_that_jumps_while_a_run_is_at_work_changes_no_byte(
    forge: Forge, clock: Clock, exported: Path, shop: Path, tmp_path: Path, tell: Tell
) -> None:
    day = "--run-date", NEXT
    clock.set(0.0)
    forge.run(*words(exported, shop, tmp_path / "whole"), *day)
    bad = []
    with clock.jumping():
        for number in range(20):
            here = tmp_path / str(number)
            ended = forge.run(*words(exported, shop, here), *day)
            same = contents(here / "recs") == contents(tmp_path / "whole" / "recs")
            bad += [] if ended.code == 0 and same else [f"{ended.code}, the same: {same}, {ended.said}"]
            bad += wrongs(Recs.at(here / "recs"))
            ended = forge.run(*words(exported, shop, tmp_path / "today" / str(number)))
            bad += [] if ended.code == 0 else [ended.said]
            bad += wrongs(Recs.at(tmp_path / "today" / str(number) / "recs"))
    tell("a clock that jumps by up to two years every 10 ms while `score` is at work", "40 runs", f"{len(bad)} wrong")
    assert bad == []


def test_nights_of_a_clock_that_is_wrong_remove_nothing_live(
    forge: Forge, clock: Clock, exported: Path, shop: Path, tmp_path: Path, tell: Tell
) -> None:
    place = configured(Path(shutil.copytree(shop, tmp_path / "shop")), exported)
    recs, bad, live = Recs.at(place / "recs"), list[str](), dict[str, object]()
    skews = {"right": 0.0, "a day behind": -DAY, "a year behind": -YEAR, "a year ahead": YEAR, "right again": 0.0}
    for number, (name, seconds) in enumerate(skews.items()):
        clock.set(seconds)
        for day in (f"2026-10-{26 + number}", NEXT, LAST):
            ended = forge.run("-q", "nightly", place / "config.yaml", "--run-date", day)
            bad += [] if ended.code == 0 else [f"{name}, {day}: {ended.code} {ended.said}"]
        now = contents(place / "recs")
        bad += [f"{name}: {path} is gone" for path in live.keys() - now.keys()]
        bad += [f"{name}: {wrong}" for wrong in wrongs(recs)]
        live.update(now)
    tell("nights of a clock that is right, a day or a year behind or ahead", f"{3 * len(skews)}", f"{len(bad)} wrong")
    assert (bad, len(recs.dates())) == ([], 6)


def test_the_clock_is_the_one_that_commands_see(
    forge: Forge, clock: Clock, exported: Path, shop: Path, tmp_path: Path
) -> None:
    clock.set(YEAR)
    forge.run(*words(exported, shop, tmp_path))
    assert only_run(Recs.at(tmp_path / "recs")).run_date[:4] == str(
        datetime.fromtimestamp(time.time() + YEAR, UTC).year
    )
