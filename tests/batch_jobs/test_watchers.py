"""Who watches a night from outside learns how it goes, and cannot harm it."""

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest

from batch_jobs import ping
from batch_jobs.heartbeat import Beat, Heart
from batch_jobs.publish import joined
from rec_export.files import locked
from rec_export.recs import Recs
from tests.batch_jobs.conftest import LAST, NEXT, configured, halve, night, report
from tests.conftest import contents

SECRET = "7a1c-CANARY"


@pytest.fixture
def told() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server's URL, and what it was told: path and body."""
    heard: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            heard.append((self.path, self.rfile.read(size).decode()))
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 http.server calls it so

        def log_message(self, *anything: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/{SECRET}", heard
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_dead_mans_switch_hears_of_the_start_and_of_both_ends(
    place: Path, exported: Path, told: tuple[str, list[tuple[str, str]]]
) -> None:
    url, heard = told
    configured(place, exported, ping=url)
    night(place, LAST)
    halve(place)
    night(place, NEXT, code=80)
    assert heard[:3] == [(f"/{SECRET}/start", ""), (f"/{SECRET}", ""), (f"/{SECRET}/start", "")]
    assert heard[3:] == [(f"/{SECRET}/fail", report(place).sentence)]


@pytest.mark.parametrize("harm", ["nobody is there", "nobody answers", "no such host"])
def test_a_ping_that_fails_changes_nothing_and_does_not_say_its_url(
    harm: str, place: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping, "SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if harm == "nobody answers":
            silent.listen()
        host = "no.such.host.invalid" if harm == "no such host" else f"127.0.0.1:{silent.getsockname()[1]}"
        configured(place, exported, ping=f"http://{host}/{SECRET}")
        answer = night(place, LAST)
    assert answer.err.count("the ping to ") == 2
    assert "CANARY" not in answer.err + answer.out
    everything = {path: text for path, text in contents(place).items() if path != "config.yaml"}
    assert [path for path, text in everything.items() if text and b"CANARY" in text] == []


def test_a_ping_that_hangs_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping, "SECONDS", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = monotonic()
        ping.Ping(f"http://127.0.0.1:{silent.getsockname()[1]}/x").ended(None)
    assert monotonic() - began < 2


def test_the_end_is_not_sent_before_the_start_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived: list[str] = []

    def slow_at_first(url: str, body: str | None) -> None:
        sleep(0.1 if url.endswith("/start") else 0)
        arrived.append(url)

    monkeypatch.setattr(ping, "request", slow_at_first)
    ping.Ping("x").ended(None)
    assert arrived == ["x/start", "x"]


@pytest.mark.parametrize("url", ["file:///etc/CANARY", "CANARY", 3])
def test_a_ping_that_is_no_url_is_refused_without_saying_it(url: object, place: Path, exported: Path) -> None:
    configured(place, exported, ping=url)
    said = night(place, LAST, code=2).err
    assert ("nightly.ping is ***" in said, "CANARY" in said) == (True, False)


def test_the_heart_beats_while_the_night_works_and_says_how_it_ended(place: Path, exported: Path) -> None:
    configured(place, exported, heartbeat="beat.json")
    night(place, LAST)
    beat = Beat.read(place / "beat.json")
    assert (beat.step, beat.exit_code, beat.run_date) == ("ended", 0, LAST)
    halve(place)
    night(place, NEXT, code=80)
    assert Beat.read(place / "beat.json").exit_code == 80


def test_the_heart_beats_at_each_step_but_not_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heart, now = Heart(tmp_path / "beat", LAST), 1e6
    monkeypatch.setattr("time.monotonic", lambda: now)
    seen = []
    for step, done, later in (("scoring", 0, 0), ("scoring", 1, 1), ("scoring", 2, 5), ("checking", 0, 0)):
        now += later
        heart.beat(step, done, 3)
        beat = Beat.read(tmp_path / "beat")
        seen.append((beat.step, beat.done, beat.total))
    assert seen == [("scoring", 0, 3), ("scoring", 0, 3), ("scoring", 2, 3), ("checking", 0, 3)]


def test_a_heart_and_metrics_that_cannot_be_written_are_warned_of(place: Path, exported: Path) -> None:
    configured(place, exported, heartbeat="no/beat", metrics="no/rec_export.prom")
    said = night(place, LAST).err
    assert ("the heartbeat could not be written" in said, "the metrics could not be written" in said) == (True, True)


def test_a_second_night_at_the_same_time_tells_nobody(
    place: Path, exported: Path, told: tuple[str, list[tuple[str, str]]]
) -> None:
    configured(place, exported, ping=told[0], heartbeat="beat")
    (place / "recs.control").mkdir()
    with locked(place / "recs.control" / "lock"):
        night(place, LAST, code=75)
    assert (told[1], (place / "beat").exists()) == ([], False)


def test_a_night_while_a_shard_is_at_work_tells_nobody(
    place: Path, exported: Path, told: tuple[str, list[tuple[str, str]]]
) -> None:
    configured(place, exported, ping=told[0], heartbeat="beat")
    with joined(Recs.at(place / "recs")):
        night(place, LAST, code=75)
    assert (told[1], (place / "beat").exists()) == ([], False)


def test_who_heard_of_a_night_that_then_met_another_one_hears_of_its_end(
    place: Path, exported: Path, told: tuple[str, list[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(place, exported, ping=told[0], heartbeat="beat")
    monkeypatch.setattr("batch_jobs.night.refuse_busy", lambda path: None)  # it came after we had looked
    with joined(Recs.at(place / "recs")):
        night(place, LAST, code=75)
    beat = Beat.read(place / "beat")
    assert (beat.step, beat.exit_code, [path for path, _ in told[1]]) == (
        "ended", 75, [f"/{SECRET}/start", f"/{SECRET}/fail"],
    )  # fmt: skip
    assert not (place / "recs.control" / "report.json").exists()


def test_secrets_in_commands_and_reasons_are_kept_out_of_what_is_published(place: Path) -> None:
    words = "--gate-cmd", "true --token=CANARY", "--force-gate", "log_rows", "--reason", "see https://me:CANARY@wiki/"
    night(place, LAST)
    halve(place)
    night(place, NEXT, *words[:2], code=80)
    night(place, NEXT, *words, "--force-gate", "users", "--force-gate", "sources")
    found = [path for path, text in contents(place).items() if text and b"CANARY" in text]
    assert found == []
    assert "see https://***@wiki/" in [one.reason for one in report(place).gates]


def test_a_night_in_json_ends_with_its_report(place: Path) -> None:
    from tests.conftest import command

    answer = command("--log-format", "json", "nightly", place / "config.yaml", "--run-date", LAST)
    last = json.loads(answer.err.splitlines()[-1])
    assert (last["run_date"], last["outcome"], last["exit_code"], last["run_id"]) == (
        LAST, "published", 0, report(place).run_id,
    )  # fmt: skip
