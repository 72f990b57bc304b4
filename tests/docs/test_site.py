"""The site builds without a warning, and what its pages tell a newcomer to do works as it stands."""

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from rec_export import errors
from rec_export.config import Config
from rec_export.errors import RecExportError
from tests.conftest import done

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
STEP = re.compile(r"^```python\n(?P<code>(?:.*\n)*?)```$|^ {4}(?P<line>rec-export .*)$", re.MULTILINE)


def follow(page: str) -> None:
    """Do what a page says, in the working directory: its Python and its command lines, in their order."""
    for step in STEP.finditer((DOCS / page).read_text(encoding="utf-8")):
        if step["line"]:
            done(*shlex.split(step["line"], comments=True)[1:])
        else:
            exec(compile(step["code"], page, "exec"), {})


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    pages = {path.parent.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("index.html")}
    assert {"quickstart", "commands/train", "howto/lastfm", "config"} <= pages


@pytest.mark.slow
def test_the_quickstart_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    follow("quickstart.md")
    lists = pd.read_parquet("recs", filters=[("run_date", "=", "2026-10-31")])
    assert lists.groupby("user_id").size().unique().tolist() == [10]


def own() -> None:
    """A log with names that nobody could know."""
    pd.DataFrame({"buyer": list("aabbcc"), "article": list("xyzxyz"), "pieces": range(6)}).to_csv(
        "log.csv", index=False
    )


def amazon() -> None:
    """Reviews and metadata in the shape of 2023, and reviews in that of 2014."""
    new = [
        {"rating": 5.0, "title": "t", "images": [], "asin": "B0", "parent_asin": f"P{n % 3}", "user_id": f"U{n % 4}",
         "timestamp": 1588687728923 + n, "helpful_vote": 0, "verified_purchase": True} for n in range(12)
    ]  # fmt: skip
    old = [
        {"reviewerID": f"A{n % 4}", "asin": f"B{n % 3}", "reviewerName": "x", "helpful": [0, 0], "reviewText": "fine",
         "overall": 5.0 - n % 2, "summary": "s", "unixReviewTime": 1370131200 + n, "reviewTime": "06 2, 2013"}
        for n in range(12)
    ]  # fmt: skip
    meta = [{"parent_asin": f"P{n}", "title": f"A fine thing {n}", "price": ["12.5", None, "from 3"][n], "store": "S",
             "categories": ["a", "b"], "details": {"x": n}} for n in range(3)]  # fmt: skip
    for name, rows in {"Electronics.jsonl.gz": new, "reviews_Electronics_5.json.gz": old}.items():
        with gzip.open(name, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    Path("meta_Electronics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in meta))


def lastfm() -> None:
    """Plays and artists in the shape of HetRec 2011."""
    plays = "".join(f"{2 + n % 4}\t{51 + n % 3}\t{13883 - n}\n" for n in range(12))
    Path("user_artists.dat").write_text("userID\tartistID\tweight\n" + plays)
    artists = "".join(f'{51 + n}\tThe "{n}" Band\thttp://x/{n}\thttp://y/{n}\n' for n in range(3))
    Path("artists.dat").write_text("id\tname\turl\tpictureURL\n" + artists)


def listenbrainz() -> None:
    """Listens in the shape of a dump."""
    listens = [
        {"user_name": f"u{n % 4}", "timestamp": 1600000000 + n, "track_metadata": {"artist_name": f"a{n % 2}",
         "track_name": f"t{n % 3}", "additional_info": {"x": [n]}}} for n in range(12)
    ]  # fmt: skip
    Path("listens.jsonl").write_text("".join(json.dumps(row) + "\n" for row in listens))


HOWTO: dict[str, tuple[Callable[[], None], dict[str, list[str]]]] = {
    "amazon": (
        amazon,
        {
            "config.yaml": ["user_id", "parent_asin", "timestamp", "rating"],
            "config-2014.yaml": ["reviewerID", "asin", "unixReviewTime", "overall"],
            "config-items.yaml": ["user_id", "parent_asin", "timestamp", "rating"],
        },
    ),
    "lastfm": (lastfm, {"config.yaml": ["userID", "artistID", "weight"]}),
    "listenbrainz": (
        listenbrainz,
        {"tracks.yaml": ["user_id", "track", "timestamp"], "artists.yaml": ["user_id", "artist", "timestamp"]},
    ),
}


@pytest.mark.parametrize("page", HOWTO)
def test_what_a_page_says_of_files_of_others_works(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, expected = HOWTO[page]
    make()
    follow(f"howto/{page}.md")
    assert {name: Config.load(Path(name)).data.interactions.columns() for name in expected} == expected


@pytest.mark.slow
def test_a_log_of_ones_own_is_understood_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own()
    done("init", "log.csv", "--user", "buyer", "--item", "article", "-o", "config.yaml")
    assert Config.load(Path("config.yaml")).data.interactions.columns() == ["buyer", "article"]


def test_the_program_says_what_the_table_of_troubles_says() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| (\d+) \|", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    folders = ("rec_export", "trainers", "exporters", "batch_jobs")
    source = "".join(path.read_text(encoding="utf-8") for name in folders for path in (ROOT / name).rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", source)  # sentences over two lines of the code
    assert [words for words, _ in rows if words not in joined] == []
    known = {c.exit_code for c in vars(errors).values() if isinstance(c, type) and issubclass(c, RecExportError)}
    assert {int(code) for _, code in rows} | {81} == known


@pytest.mark.parametrize(
    ("line", "place", "expected"), [("rec-export sc", "1", "score"), ("rec-export train --r", "2", "--resume")]
)
def test_completion_answers_without_anything_heavy(line: str, place: str, expected: str) -> None:
    program = (
        "import sys\nsys.argv[0] = 'rec-export'\nfrom rec_export.cli import cli\n"
        "try:\n    cli.main(prog_name='rec-export')\nfinally:\n"
        "    sys.exit(f\"{sorted({'torch', 'pandas', 'numpy', 'pyarrow', 'pydantic'} & set(sys.modules))}\")"
    )
    environment = {**os.environ, "_REC_EXPORT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": place}
    words = [sys.executable, "-c", program]
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert (f"plain,{expected}" in answer.stdout.splitlines(), answer.stderr) == (True, "[]\n")
