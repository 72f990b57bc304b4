"""The commands in blocks of the README and of docs/ are run, page by page, but for those that `ELSEWHERE` names.

The README is followed in a folder that holds a log and a table of items, as its reader has them; what it leaves is what
the other pages speak of, so each of them is followed in a copy of that.
"""

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rec_export.data.sample import write_sample
from tests.conftest import command

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if path.parent.name != "commands"
    # tests/docs/test_site.py follows these, with files of their own
    and path.stem not in ("quickstart", "own_data", "amazon", "lastfm", "listenbrainz")
]
PROGRAM = r"(?:rec-export|python|make|pip|torchrun|duckdb|eval|sed|[A-Z_]+=\S+)"
BLOCK = re.compile(rf"^ {{4}}({PROGRAM} (?:\\\n|[^\n\\])*)$", re.MULTILINE)

# What is run smaller, or elsewhere, and why.
QUICKER = {
    "train": ["--set", "training.epochs=4", "--set", "training.refit=false"],
    "ablate": ["--set", "training.epochs=1", "--set", "training.refit=false", "--set", "model.dim=8"],
    "tune": ["--trials", "2", "--set", "training.epochs=1"],
    "find-lr": ["--steps", "40", "--seeds", "1"],
    # so few users have no hundred in its newest tenth
    "export checkpoint --out small": ["--test", "shop/future.parquet"],
    "sample-data": ["--users", "200", "--items", "120", "--days", "120"],
}
BEFORE = {  # what a page's reader has done beside following the README; and what is not there yet
    "docs/explain.md": [
        "rec-export score bundle --interactions shop/interactions.parquet --out recs --run-date 2026-10-29"
    ],
    "docs/nightly.md": [
        "rec-export score bundle --interactions shop/interactions.parquet --out recs --run-date 2026-11-20",
        "rec-export nightly config.yaml --run-date 2026-11-20 --replace",
    ],
    "docs/systems.md": ["rm checkpoint"],
}
ENDS = {"rec-export doctor --device cuda": {0, 69}}  # other than with 0, as the line itself says
ELSEWHERE = {
    "sed ": "shows a part of a file",
    "make ": "CI's own first and last commands",
    "pip install": "what installed the program that runs this",
    "duckdb ": "another program; its query is one of tests/faults/test_readers.py",
    "torchrun --standalone": "tests/trainers/test_parallel.py",
    "torchrun --nnodes": "needs two machines with eight GPUs each",
    "rec-export export checkpoint --out compiled": "half a minute of g++; tests/exporters/test_aoti.py",
    "rec-export score compiled": "the same",
    "rec-export bench": "two minutes; tests/rec_export/bench",
    "python -m benchmarks": "makes a table that stands below it, in minutes",
    "OMP_NUM_THREADS": "makes a table that stands below it, in minutes",
    "python -m tests.faults": "makes a table that stands below it, in minutes",
    "python examples/results.py": "trains every model on data that is not in the repository",
    "rec-export score bundle --interactions interactions.parquet --out s3://": "tests/batch_jobs/test_bucket.py",
    "rec-export nightly config.yaml --executor ray": "tests/batch_jobs/test_ray.py: a cluster of two nodes",
    "rec-export run interactions.parquet --items items.parquet -o first": "the line of the README",
    "eval ": "tests/docs/test_site.py asks the completion for its answers",
    "_REC_EXPORT_COMPLETE": "tests/docs/test_site.py asks the completion for its answers",
}


def lines(page: str) -> Iterator[str]:
    """The commands in the blocks of a page, in their order, but for those that run elsewhere."""
    for line in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        if not any(line.startswith(start) for start in ELSEWHERE):
            yield line.replace("\\\n", " ")


def follow(line: str) -> None:
    """Run one line in the working directory; it must end well."""
    for part in re.split(r" && ", line):
        run(part)


def run(line: str) -> None:
    """Run one command, smaller where `QUICKER` says so; it must end with 0, or as `ENDS` says."""
    words = shlex.split(line, comments=True)
    if words[0] == "rm":
        shutil.rmtree(words[1])
        return
    ends = [place for place, word in enumerate(words) if word in (">", ">>", "|")]
    words = words[: min(ends, default=len(words))]
    if words[0] == "python":
        exec(compile(words[words.index("-c") + 1] if "-c" in words else Path(words[1]).read_text(), line, "exec"), {})
        return
    more = next((more for start, more in QUICKER.items() if line.startswith(f"rec-export {start}")), [])
    code, _, err = command("-q", *words[1:], *more)
    expected = next((codes for start, codes in ENDS.items() if line.startswith(start)), {0})
    assert code in expected, f"{line}: {err}"


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the README leaves to somebody with a log and a table of items."""
    folder = tmp_path_factory.mktemp("reader")
    write_sample(folder / "theirs", seed=7, users=200, items=120, days=120)
    for name in ("interactions.parquet", "items.parquet"):
        shutil.move(folder / "theirs" / name, folder / name)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for line in lines("README.md"):
            follow(line)
        config = Path("shop/config.yaml").read_text(encoding="utf-8")
        here = config.replace("path: ", "path: shop/").replace("../", "")
        # as if the log were of the day
        here = here.replace("nightly: {", "nightly: {gates: {newest_event_hours: 1000}, ")
        for name in ("config.yaml", "lastfm.yaml", "SET.yaml"):
            Path(name).write_text(here, encoding="utf-8")
        shutil.copy("shop/future.parquet", "test.parquet")
        shutil.copy(next(Path("recs").rglob("part-*")), "theirs.parquet")
        shutil.copytree("checkpoint", "other-checkpoint")
    finally:
        os.chdir(before)
    return folder


@pytest.mark.slow
def test_the_readme_leaves_a_published_night(left: Path) -> None:
    assert sorted(path.name for path in (left / "recs").iterdir()) == ["run_date=2026-10-30"]
    assert {"checkpoint", "bundle", "out", "shop"} <= {path.name for path in left.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if any(lines(page))])
def test_every_command_of_a_page_runs(page: str, left: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(left, tmp_path / "reader", dirs_exist_ok=True))
    for line in BEFORE.get(page, []):
        follow(line)
    live = [part.stem.rpartition("-")[2] for part in sorted(Path("recs").rglob("part-*"))]
    for line in lines(page):
        follow(line.replace("5e0c1b2a9f34", live[-1]))  # a page cannot know the name of a run
