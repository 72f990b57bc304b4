"""`init` writes what `run` would guess, says why, and never writes over anything."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from click.testing import CliRunner

from rec_export.cli import cli
from rec_export.config import Config
from rec_export.data.guess import Given
from rec_export.data.source import Source
from rec_export.first_config import SETTINGS, default_of
from rec_export.main_job import MainJob, guessed
from tests.conftest import command, done, refusal, write_table

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
SECONDS = [1_600_000_000 + 100_000 * row for row in range(6)]
LONG = "on: user #1, a name that is longer than its place"


def arguments(shop: Path, out: Path) -> list[object]:
    """All three tables of the shop."""
    tables = "--items", shop / "items.parquet", "--users", shop / "users.parquet"
    return ["init", shop / "interactions.parquet", *tables, "-o", out]


def uncommented(text: str) -> str:
    """The file when the user takes the marks away from all defaults."""
    _, _, rest = text.partition("data:\n")
    return "data:\n" + "".join(line.removeprefix("# ") for line in rest.splitlines(keepends=True))


def test_it_is_what_run_would_have_guessed(shop: Path, tmp_path: Path) -> None:
    done(*arguments(shop, tmp_path / "config.yaml"))
    given = Given(log=shop / "interactions.parquet", items=shop / "items.parquet", users=shop / "users.parquet")
    job = MainJob(given=given, out=tmp_path, model="hybrid", device="auto")
    assert Config.load(tmp_path / "config.yaml").data == guessed(job).data


def test_its_defaults_are_the_defaults(shop: Path, tmp_path: Path) -> None:
    done(*arguments(shop, tmp_path / "config.yaml"))
    told = uncommented((tmp_path / "config.yaml").read_text())
    assert "\ntraining:\n  epochs: null" in told
    (tmp_path / "told.yaml").write_text(told)
    assert Config.load(tmp_path / "told.yaml") == Config.load(tmp_path / "config.yaml")


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_that_it_tells_of_exists(key: str, shop: Path, tmp_path: Path) -> None:
    done(*arguments(shop, tmp_path / "config.yaml"))
    change = f"{key}={yaml.safe_dump(default_of(key)).partition(chr(10))[0]}"
    config = Config.load(tmp_path / "config.yaml")
    assert Config.load(tmp_path / "config.yaml", (change,)) == config


def test_every_line_with_a_guess_says_why(shop: Path, tmp_path: Path) -> None:
    done(*arguments(shop, tmp_path / "config.yaml"))
    lines = (tmp_path / "config.yaml").read_text().partition("#   minimum:")[0].splitlines()
    plain = [line.split("#")[0].strip() for line in lines if ":" in line.split("#")[0] and "#" not in line]
    assert plain == ["data:", "interactions:", "items:", "users:"]


def test_the_next_command_works(shop_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = done("init", "shop/interactions.parquet").splitlines()
    assert lines[-1] == "Next      rec-export train config.yaml --out checkpoint"
    assert "path: shop/interactions.parquet " in Path("config.yaml").read_text()
    done("train", "config.yaml", "--out", "checkpoint", "--set", "model.name=popular")


def test_nothing_is_written_over(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine")
    said = refusal(tmp_path, *arguments(shop, tmp_path / "config.yaml"))
    sentence = "Error: DIR/config.yaml already exists; name a new file or remove it first\n"
    assert said == (73, sentence, [])


def test_a_log_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    said = refusal(tmp_path, "init", tmp_path / "no.parquet", "-o", tmp_path / "config.yaml")
    assert (said.code, said.changed) == (66, [])


def strange(folder: Path) -> Path:
    """Columns and ids that YAML could mistake for something else."""
    columns: dict[str, Any] = {LONG: list("aabbcc"), "null": list("xyzxyz"), "2020-01-01": SECONDS}
    return write_table(folder / "lög #1.parquet", **columns)


def no_times(folder: Path) -> Path:
    """A log of plays without time."""
    return write_table(folder / "log.parquet", user_id=list("aabbcc"), item_id=list("xyzxyz"), plays=[3, 1, 4, 1, 5, 9])


def one_date(folder: Path) -> Path:
    """A log whose time is known by its type alone."""
    moments = pa.array(SECONDS, pa.timestamp("s"))
    return write_table(folder / "log.parquet", user=list("aabbcc"), sku=list("xyzxyz"), bought=moments)


@pytest.mark.parametrize(
    ("make", "words", "seen"),
    [
        (strange, ["--user", LONG, "--item", "null", "--time", "2020-01-01"], "as you said"),
        (no_times, [], "no column is known as a time"),
        (one_date, [], "the only column of times; 2020-09-13 .. 2020-09-19"),
    ],
)
def test_odd_logs_come_back_as_they_were_read(
    make: Callable[[Path], Path], words: list[str], seen: str, tmp_path: Path
) -> None:
    log = make(tmp_path)
    done("init", log, *words, "-o", tmp_path / "config.yaml")
    read = Config.load(tmp_path / "config.yaml").data.interactions
    asked = [word for word in words if not word.startswith("--")]
    assert (read.path, [name for name in read.columns() if name in asked]) == (log, asked)
    assert seen in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("columns", "note"),
    [
        ([], "no column is known as a time (--time names one), so the lists are dated today"),
        (
            ["a_time", "b_time"],
            "no column is known as the time; a_time and b_time may hold times: name one by --time, or",
        ),
    ],
)
def test_columns_that_could_be_the_time_are_named(columns: list[str], note: str, tmp_path: Path) -> None:
    stamps = [f"2026-10-0{day} 12:50:00" for day in range(1, 7)]
    header = ",".join(["user", "item", *columns])
    rows = [",".join(["a", "x", *[stamp] * len(columns)]) for stamp in stamps]
    (tmp_path / "log.csv").write_text("\n".join([header, *rows]) + "\n")
    said = done("init", tmp_path / "log.csv", "-o", tmp_path / "config.yaml")
    assert said.count(f"Note      {note}") == 1


def test_atomic_files_of_recbole_are_read_as_they_are(tmp_path: Path) -> None:
    rows = [
        "user_id:token\titem_id:token\trating:float\ttimestamp:float",
        "196\t242\t3\t881250949",
        "7\t9\t5\t881250950",
    ]
    (tmp_path / "log.inter").write_text("\n".join(rows) + "\n")
    (tmp_path / "log.item").write_text("item_id:token\tmovie_title:token_seq\n242\tKolya\n9\tDead Man Walking\n")
    done("init", tmp_path / "log.inter", "--items", tmp_path / "log.item", "-o", tmp_path / "config.yaml")
    data = Config.load(tmp_path / "config.yaml").data
    names = ["user_id:token", "item_id:token", "timestamp:float", "rating:float"]
    assert data.interactions.columns() == names
    assert data.items is not None
    assert data.items.id == "item_id:token"
    events = Source.read(data).events
    assert (events.user_id.ids.to_pylist(), events.positive.tolist()) == ([196, 7], [False, True])


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (SECONDS, "t may hold times"),
        ([1000 * second for second in SECONDS], "t may hold times"),
        ([SECONDS[0]] * 6, "no column is known as a time"),  # the same in every row
        ([7, *SECONDS[1:]], "no column is known as a time"),  # no dates in any unit
        ([4_000_000_000 + second for second in range(6)], "no column is known as a time"),  # of the next century
    ],
)
def test_whole_numbers_that_are_all_dates_are_named(numbers: list[int], said: str, tmp_path: Path) -> None:
    log = write_table(tmp_path / "log.parquet", user=list("aabbcc"), item=list("xyzxyz"), t=numbers)
    assert said in done("init", log, "-o", tmp_path / "config.yaml")


def test_a_column_that_some_parts_lack_is_no_time(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    write_table(tmp_path / "log" / "a.parquet", user=list("aab"), item=list("xyz"))
    write_table(tmp_path / "log" / "b.parquet", user=list("bcc"), item=list("xyz"), t=SECONDS[:3])
    assert "no column is known as a time" in done("init", tmp_path / "log", "-o", tmp_path / "config.yaml")


def test_at_a_terminal_whole_numbers_that_are_all_dates_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_table(tmp_path / "log.parquet", user=list("aabbcc"), item=list("xyzxyz"), t=SECONDS)
    monkeypatch.setattr("rec_export.main_job_command.at_terminal", lambda: True)
    for name, answer, taken in (("a.yaml", "t\n", "t"), ("b.yaml", "\n", None)):
        CliRunner().invoke(cli, ["-q", "init", str(log), "-o", str(tmp_path / name)], input=answer)
        assert Config.load(tmp_path / name).data.interactions.time == taken


def test_at_a_terminal_only_what_cannot_be_told_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = pa.array(SECONDS, pa.timestamp("s"))
    names = {
        "who": list("aabbcc"),
        "what": list("xyzxyz"),
        "stars": [1, 2, 3, 4, 5, 5],
        "paid": moments,
        "sent": moments,
    }
    log = write_table(tmp_path / "log.parquet", **names)
    monkeypatch.setattr("rec_export.main_job_command.at_terminal", lambda: True)
    answers = "wo\nwho\nwho\nwhat\npaid\n"  # a slip, and a column that was named before
    answer = CliRunner().invoke(cli, ["-q", "init", str(log), "-o", str(tmp_path / "config.yaml")], input=answers)
    asked = [line.partition("?")[0] for line in answer.output.splitlines() if line.startswith("Which")]
    assert asked == [f"Which column is the {role}" for role in ("user", "user", "item", "item", "time")]
    read = Config.load(tmp_path / "config.yaml").data.interactions
    assert (read.user, read.item, read.time, read.value) == ("who", "what", "paid", "stars")
    assert "called 'wo'; did you mean 'who'?" in answer.output
    assert "  who    string         such as 'a'\n" in answer.output
    assert f"The names of the columns of {log} do not tell the user, the item and the time:\n" in answer.output
    assert "not read: sent (taken for no user, item, time or value)" in answer.output


def test_at_a_terminal_nothing_is_asked_where_names_tell(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rec_export.main_job_command.at_terminal", lambda: True)
    assert "?" not in done(*arguments(shop, tmp_path / "config.yaml"))


def test_at_a_terminal_nobody_is_asked_for_more_columns_than_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_table(tmp_path / "log.parquet", user_id=list("aabbcc"), stars=[1, 2, 3, 4, 5, 5])
    monkeypatch.setattr("rec_export.main_job_command.at_terminal", lambda: True)
    answer = CliRunner().invoke(cli, ["-q", "init", str(log), "-o", str(tmp_path / "config.yaml")], input="stars\n")
    assert "Which" not in answer.output
    assert "is the item; name it with --item. It has: user_id, stars" in str(answer.exception)


def test_no_value_of_a_user_is_shown_and_no_line_is_broken(tmp_path: Path) -> None:
    log = write_table(tmp_path / "log.parquet", user_id=list("aabbcc") * 2, item_id=list("xyzxyz") * 2)
    users = write_table(tmp_path / "users.parquet", user_id=list("abc"), town=["Secretville", "Secretville", "B"])
    kinds = ["a\nb: [", "a\nb: [", "c"]
    items = write_table(tmp_path / "items.parquet", item_id=list("xyz"), kind=kinds, n=[1.5, 2.5, 2.5])
    done("init", log, "--users", users, "--items", items, "-o", tmp_path / "config.yaml")
    assert Config.load(tmp_path / "config.yaml").data.items is not None
    assert "Secretville" not in (tmp_path / "config.yaml").read_text()


@pytest.mark.skipif(not REAL.is_dir(), reason="the measured data sets are not on this machine")
@pytest.mark.parametrize("name", ["amazon-musical-instruments-5core", "hetrec2011-lastfm", "amazon-electronics-2023"])
def test_real_logs_can_be_trained_on_as_written(name: str, tmp_path: Path) -> None:
    items = REAL / name / "items.parquet"
    words = ["--items", items] if items.exists() else []
    answer = command("-q", "init", REAL / name / "interactions.parquet", *words, "-o", tmp_path / "config.yaml")
    assert (answer.code, answer.err) == (0, "")
    done("train", tmp_path / "config.yaml", "--out", tmp_path / "c", "--set", "model.name=popular")


def test_a_time_that_changes_its_type_is_not_dropped_in_silence(tmp_path: Path) -> None:
    times = [second if row % 2 else str(second) for row, second in enumerate(SECONDS)]
    rows = [{"user_id": f"u{row}", "item_id": "x", "timestamp": time} for row, time in enumerate(times)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = done("init", tmp_path / "log.jsonl", "-o", tmp_path / "config.yaml")
    assert "WARNING   not read, as it changes its type from line to line: timestamp\n" in said
