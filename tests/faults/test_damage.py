"""What happened to files is found, whoever reads them, and a full disk leaves readers what they had."""

import random
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rec_export.files import files_below
from tests.bad_input.test_full_disk import small_disk
from tests.conftest import LAST_DAY, Tell, command, contents, done

MANY = [pytest.param(30, marks=pytest.mark.brief), pytest.param(300, marks=pytest.mark.long)]
CUTS = [pytest.param(10, marks=pytest.mark.brief), pytest.param(200, marks=pytest.mark.long)]


@pytest.fixture
def recs(scored: Path, tmp_path: Path) -> Path:
    """A read root to be damaged, with its control folder."""
    shutil.copytree(scored.with_name("recs.control"), tmp_path / "recs.control")
    return Path(shutil.copytree(scored, tmp_path / "recs"))


def is_found(recs: Path) -> bool:
    """Whether verify-run refuses, in one line."""
    code, _, err = command("verify-run", recs)
    return (code, err.count("\n"), err.startswith("Error: ")) == (65, 1, True)


def reads_wrong(part: Path, right: pa.Table) -> bool:
    """Whether a plain reader that verifies page checksums gets other rows without an error."""
    try:
        return not pq.read_table(part, page_checksum_verification=True).equals(right)
    except (OSError, pa.ArrowException, ValueError):  # ValueError: a name in the footer that is no UTF-8
        return False


def flip(path: Path, bit: int) -> None:
    """Turn one bit of a file round."""
    whole = bytearray(path.read_bytes())
    whole[bit // 8] ^= 1 << bit % 8
    path.write_bytes(whole)


def test_what_is_whole_is_said_to_be(recs: Path) -> None:
    assert done("verify-run", recs).startswith(f"run_date={LAST_DAY}: run ")


@pytest.mark.parametrize("times", MANY)
def test_every_flipped_bit_is_found(times: int, recs: Path, tell: Tell) -> None:
    (part,) = recs.rglob("*.parquet")
    whole, right, places = part.read_bytes(), pq.read_table(part), random.Random(1)
    missed, silent = [], []
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for place in (places.randrange(8 * len(whole)) for _ in range(times)):
        flip(part, place)
        silent += [place // 8] if reads_wrong(part, right) else []
        missed += [] if is_found(recs) else [place]
        flip(part, place)
    tell(
        "a flipped bit in a part, then `verify-run` and a reader",
        str(times),
        f"{len(missed)} missed by verify-run, {len(silent)} by a plain reader",
    )
    assert missed == []
    assert [place for place in silent if place < footer] == []  # the footer has no page checksums


@pytest.mark.parametrize("times", CUTS)
def test_every_truncation_is_found(times: int, recs: Path, tell: Tell) -> None:
    (part,) = recs.rglob("*.parquet")
    whole, right, places = part.read_bytes(), pq.read_table(part), random.Random(2)
    missed = []
    for length in (places.randrange(len(whole)) for _ in range(times)):
        part.write_bytes(whole[:length])
        missed += [] if is_found(recs) and not reads_wrong(part, right) else [length]
    tell(
        "a part cut off, then `verify-run` and a reader",
        str(times),
        f"{len(missed)} missed by verify-run or a plain reader",
    )
    assert missed == []


@pytest.mark.parametrize("times", MANY)
def test_every_flipped_bit_of_a_bundle_is_refused(
    times: int, bundle_copy: Path, shop: Path, tmp_path: Path, tell: Tell
) -> None:
    files, places, missed = files_below(bundle_copy), random.Random(3), list[str]()
    for file in places.choices(files, k=times):
        bit = places.randrange(8 * file.stat().st_size)
        flip(file, bit)
        code = command(*arguments(bundle_copy, shop, tmp_path / "recs", 1)).code
        missed += [] if (code, (tmp_path / "recs").exists()) == (65, False) else [f"{file.name}, bit {bit}: {code}"]
        flip(file, bit)
    tell("a flipped bit in some file of a bundle, then `score`", str(times), f"{len(missed)} not refused with 65")
    assert missed == []
    assert command(*arguments(bundle_copy, shop, tmp_path / "recs", 1)).code == 0


@pytest.mark.parametrize("times", CUTS)
def test_every_truncation_of_the_log_is_refused(
    times: int, exported: Path, shop_copy: Path, tmp_path: Path, tell: Tell
) -> None:
    log, places, missed = shop_copy / "interactions.parquet", random.Random(4), list[int]()
    whole = log.read_bytes()
    for length in (places.randrange(len(whole)) for _ in range(times)):
        log.write_bytes(whole[:length])
        code = command(*arguments(exported, shop_copy, tmp_path / "recs", 1)).code
        missed += [] if (code, (tmp_path / "recs").exists()) == (65, False) else [length]
    tell("the log cut off, then `score`", str(times), f"{len(missed)} not refused with 65")
    assert missed == []


def arguments(bundle: Path, shop: Path, out: Path, k: int) -> list[object]:
    """Score the shop."""
    words = ["-q", "score", bundle, "--interactions", shop / "interactions.parquet", "--out", out, "--replace"]
    return [*words, "--run-date", LAST_DAY, "--k", k]


@pytest.mark.parametrize("percent", [5, 20, 50, 95])
def test_a_disk_that_fills_up_leaves_the_live_run_and_what_is_finished(
    percent: int, exported: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    monkeypatch.setattr("batch_jobs.parts.USERS_PER_PART", 20)
    assert command(*arguments(exported, shop, tmp_path / "whole" / "recs", 20)).code == 0
    needed = sum(-(-path.stat().st_size // 4096) * 4 for path in (tmp_path / "whole").rglob("*")) + 20
    with small_disk(tmp_path / "disk", 1024) as disk:
        assert command(*arguments(exported, shop, disk / "recs", 1)).code == 0
        before = contents(disk / "recs")
        used = shutil.disk_usage(disk).used // 1024
        resize(disk, used + needed * percent // 100)
        code, _, err = command(*arguments(exported, shop, disk / "recs", 20))
        refused = "the disk is full" in err or "the disk is too full" in err  # while writing, or foretold
        assert (code, refused, contents(disk / "recs") == before) == (74, True, True)
        resize(disk, 4096)
        assert command(*arguments(exported, shop, disk / "recs", 20)).code == 0
        assert contents(disk / "recs") == contents(tmp_path / "whole" / "recs")
    tell(f"a disk that is full at {percent} % of the need", "1", "exit 74, the live run whole; resumed with more room")


def resize(disk: Path, kilobytes: int) -> None:
    """Make a tiny disk larger or smaller."""
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)
