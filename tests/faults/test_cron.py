"""The line that `schedule --cron` prints, in a real crontab: Parquet at the end. Debian's cron must be installed."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from batch_jobs.schedule import program
from rec_export.recs import Recs
from tests.conftest import Tell, command

MINUTES = 10.0  # some seconds on a quiet machine


def crontab(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Call crontab."""
    return subprocess.run(["crontab", *words], input=text, capture_output=True, text=True, check=False)


@pytest.fixture
def cron() -> Iterator[None]:
    """A cron that is at work, and a crontab that is nobody's: it is removed in the end."""
    if os.geteuid() != 0 or not shutil.which("cron") or not shutil.which("crontab"):
        pytest.skip("needs root and Debian's cron: apt-get install cron")
    if crontab("-l").stdout:
        pytest.skip("somebody has a crontab here")
    daemon = subprocess.Popen(["cron", "-f"], stderr=subprocess.DEVNULL)  # which ends at once where one is at work
    yield
    crontab("-r")
    daemon.terminate()
    daemon.wait()


@pytest.mark.long
@pytest.mark.usefixtures("cron")
def test_cron_publishes_a_night(exported: Path, shop_copy: Path, tell: Tell) -> None:
    easy = {"short_lists": 1.0, "first_item": 1.0, "same_list": 1.0, "newest_event_hours": 1e6}
    fields = yaml.safe_load((shop_copy / "config.yaml").read_text())
    fields["nightly"] = {"bundle": str(exported), "out": "recs", "gates": easy}
    (shop_copy / "config.yaml").write_text(yaml.safe_dump(fields))
    unit = command("schedule", shop_copy / "config.yaml", "--cron").out
    each_minute = re.sub(r"^15 3 \* \* \*", "* * * * *", unit, flags=re.MULTILINE)
    assert each_minute != unit
    assert crontab("-", text=each_minute).returncode == 0
    recs, until = Recs.at(shop_copy / "recs"), time.monotonic() + 60 * MINUTES
    while time.monotonic() < until and not recs.dates():
        time.sleep(1)
    tell("the line of `schedule --cron` in Debian's cron, each minute", "1", f"published {len(recs.dates())} date")
    assert recs.dates() == [datetime.now(UTC).date().isoformat()]
    verified = subprocess.run([*program(), "verify-run", recs.root], capture_output=True, text=True, check=False)
    assert " as they were published" in verified.stdout
