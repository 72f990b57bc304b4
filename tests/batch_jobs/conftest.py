"""A shop with a configuration for its nights, and what tests do to it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pytest
import yaml

from batch_jobs.report import Report
from tests.batch_jobs.machine import Machine
from tests.batch_jobs.store import new_bucket, store
from tests.conftest import Answer, command, done, read_lists

LAST, NEXT = "2026-10-30", "2026-10-31"
EASY = {"short_lists": 1.0, "first_item": 1.0, "same_list": 1.0, "score_shift": 9.0}  # for one epoch and a short log


@pytest.fixture
def place(exported: Path, shop_copy: Path) -> Path:
    """A shop with a configuration for its nights."""
    return configured(shop_copy, exported)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 server."""
    with store() as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    """A place in a bucket that holds nothing."""
    return new_bucket(server)


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Machine:
    """A machine that publishes to it."""
    return Machine(url, tmp_path / "staging")


def configured(shop: Path, bundle: Path, gates: dict[str, Any] | None = None, **nightly: Any) -> Path:
    """The shop's configuration with a section `nightly`."""
    fields = yaml.safe_load((shop / "config.yaml").read_text())
    section = {"bundle": str(bundle), "out": "recs", "gates": {**EASY, **(gates or {})}, **nightly}
    (shop / "config.yaml").write_text(yaml.safe_dump({**fields, "score": {"k": 5}, "nightly": section}))
    return shop


def night(place: Path, day: str, *more: object, code: int = 0) -> Answer:
    """A night that ends with `code`."""
    answer = command("nightly", place / "config.yaml", "--run-date", day, *more)
    assert answer.code == code, answer.err
    return answer


def scored(place: Path, bundle: Path, out: str | Path, *more: object) -> str:
    """The run of the night before the last, published without a gate."""
    fields = yaml.safe_load((place / "config.yaml").read_text())
    del fields["data"]["users"]  # as `score` takes a table of users for those who get lists
    (place / "config.yaml").write_text(yaml.safe_dump(fields))
    tables = "--interactions", place / "interactions.parquet", "--items", place / "items.parquet"
    told = json.loads(done("score", bundle, *tables, "--k", 5, "--run-date", LAST, "--out", out, *more, "--json"))
    return str(told["run_id"])


def report(place: Path) -> Report:
    """What is written of the last night."""
    return Report.read(place / "recs.control" / "report.json")


def halve(place: Path) -> None:
    """Somebody truncates the log."""
    log = pd.read_parquet(place / "interactions.parquet").sort_values("timestamp")
    log.tail(len(log) // 2).to_parquet(place / "interactions.parquet")


def live_part(place: Path, day: str) -> Path:
    """The one part of a date."""
    (part,) = (place / "recs" / f"run_date={day}").glob("*.parquet")
    return part


@pytest.fixture(scope="session")
def user(scored: Path) -> str:
    """Somebody with a list by the model."""
    lists = read_lists(scored)
    return str(lists.filter(pc.equal(lists["source"], "model"))["user_id"][0])
