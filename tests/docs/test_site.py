"""The site builds without a warning, and what its pages tell a newcomer to do works as it stands."""

import ast
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from rec_export import errors
from rec_export.config import Config
from rec_export.errors import RecExportError
from tests.docs.blocks import blocks
from tests.docs.reader import Reader

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def follow(page: str) -> None:
    """Do what a page says, in the working directory, block by block."""
    reader = Reader(Path.cwd(), Path.cwd() / "machine", {})
    for block in blocks(f"docs/{page}"):
        ended = reader.follow(block)
        assert ended.code == 0, ended.said


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
    lists = pd.read_parquet("shop/recs", filters=[("run_date", "=", "2026-10-31")])
    assert lists.groupby("user_id").size().unique().tolist() == [10]


def own() -> None:
    """A log with names that nobody could know."""
    days = [f"2026-10-0{day} 12:00:00" for day in range(1, 7)]
    rows = {"buyer": list("aabbcc"), "article": list("xyzxyz"), "sold_at": days, "pieces": range(6)}
    pd.DataFrame(rows).to_csv("log.csv", index=False)


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
    artists = "".join(f'{51 + n}\tThe "{n} Band\thttp://x/{n}\thttp://y/{n}\n' for n in range(3))
    Path("artists.dat").write_text("id\tname\turl\tpictureURL\n" + artists)
    Path("ratings.dat").write_text("".join(f"{1 + n % 4}::{n % 3}::{1 + n % 5}::{978300760 + n}\n" for n in range(12)))


def listenbrainz() -> None:
    """Listens in the shape of a dump: packed, a file a month, and fields that several programs write differently."""
    name = "listenbrainz-listens-dump-2142-20260901-000003-full"
    for n in range(24):
        clients = {"tracknumber": n} if n % 2 else {"tracknumber": f"{n}/12", "artist_mbids": [f"b-{n % 2}"]}
        track = {
            "artist_name": f"a{n % 2}",
            "track_name": f"t{n % 3}",
            "release_name": None,
            "additional_info": clients,
        }
        listen = {"user_id": n % 4, "user_name": f"u{n % 4}", "timestamp": 1577836800 + 100_000 * n,
                  "track_metadata": track, "recording_msid": f"m-{n % 2}-{n % 3}"}  # fmt: skip
        month = Path(f"{name}/listens/2020/{1 + n // 12}.listens")
        month.parent.mkdir(parents=True, exist_ok=True)
        with month.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(listen) + "\n")
    with (
        pa.CompressedOutputStream(f"{name}.tar.zst", "zstd") as packed,
        tarfile.open(fileobj=packed, mode="w|") as dump,
    ):
        dump.add(name)
    shutil.rmtree(name)


HOWTO: dict[str, tuple[Callable[[], None], dict[str, list[str]]]] = {
    "amazon": (
        amazon,
        {
            "config.yaml": ["user_id", "parent_asin", "timestamp", "rating"],
            "config-2014.yaml": ["reviewerID", "asin", "unixReviewTime", "overall"],
            "config-items.yaml": ["user_id", "parent_asin", "timestamp", "rating"],
        },
    ),
    "lastfm": (
        lastfm,
        {
            "config.yaml": ["userID", "artistID", "weight"],
            "movies.yaml": ["user_id", "item_id", "timestamp", "rating"],
        },
    ),
    "listenbrainz": (
        listenbrainz,
        {
            "artists.yaml": ["user_id", "track_metadata.artist_name", "timestamp"],
            "tracks.yaml": ["user_id", "recording_msid", "timestamp"],
            "titled.yaml": ["user_id", "recording_msid", "timestamp"],
        },
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
    follow("howto/own_data.md")
    assert Config.load(Path("config.yaml")).data.interactions.columns() == ["buyer", "article", "sold_at", "pieces"]


CLASSES = {c.__name__: c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, RecExportError)}
FOLDERS = [ROOT / name for name in ("rec_export", "trainers", "exporters", "batch_jobs")]


def constants(node: ast.AST) -> str:
    """The words of a text in the code, with {} for each value that is put in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(constants(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return constants(node.left) + constants(node.right)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "{}"


def sentences() -> Iterator[tuple[str, str]]:
    """Every sentence that is given to an error where it is made, with the name of its class."""
    for node in (node for file in sources() for node in ast.walk(ast.parse(file))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES and node.args:
            yield node.func.id, constants(node.args[0])


def sources() -> list[str]:
    """The program, file by file."""
    return [path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]


def troubles() -> list[tuple[str, str]]:
    """The words in the table of troubles, each with its code."""
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \| (\d+|any) \|", page, re.MULTILINE)
    return [(words, code) for cell, code in rows for words in re.findall(r"`([^`]+)`", cell)]


def test_the_program_says_what_the_table_of_troubles_says_with_these_codes() -> None:
    said = list(sentences())
    joined = re.sub(r'"\s*\n\s*f?"', "", "".join(sources()))  # for words that reach an error by way of a variable
    wrong = []
    for words, code in troubles():
        codes = {CLASSES[name].exit_code for name, sentence in said if words in sentence}
        if not (code == "any" or int(code) in codes or (not codes and words in joined)):
            wrong.append((words, code, codes))
    assert wrong == []


def test_the_table_of_troubles_has_a_sentence_of_every_error() -> None:
    there = {name for name, sentence in sentences() for words, _ in troubles() if words in sentence}
    assert there == set(CLASSES) - {"RecExportError"}


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
