"""`run` does the whole main job, answers every user, says what it did, and goes on where it was stopped."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
import yaml

from exporters.job import run as export
from rec_export.files import locked
from tests.conftest import command, contents, done, read_lists


@pytest.fixture
def one_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run exports one format, where the test is of another step; `ran` has all of them."""
    monkeypatch.setattr("exporters.job.run", lambda job: export(job.model_copy(update={"formats": ("torchscript",)})))


def arguments(shop: Path, out: Path) -> list[object]:
    """The quickest model on the shop."""
    tables = "--items", shop / "items.parquet", "--users", shop / "users.parquet"
    return ["run", shop / "interactions.parquet", *tables, "-o", out, "--model", "popular", "--k", 7]


@pytest.fixture(scope="module")
def ran(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The output directory of a run, and what it said."""
    out = tmp_path_factory.mktemp("ran") / "out"
    return out, done(*arguments(shop, out)).splitlines()


def test_inspect_tells_all_steps_of_a_run(ran: tuple[Path, list[str]]) -> None:
    told = json.loads(done("inspect", ran[0], "--json"))
    kinds = {name: told[name]["kind"] for name in ("checkpoint", "bundle", "recs")}
    assert (told["kind"], kinds) == ("main job", {"checkpoint": "checkpoint", "bundle": "bundle", "recs": "read root"})
    lines = done("inspect", ran[0]).splitlines()
    assert {"checkpoint: Model", "bundle: Parity with the trained model", "recs: Dates"} <= set(lines)
    assert not {"bundle: Files", "bundle: Data"} & set(lines)  # a detail, and what the checkpoint has said


def test_every_user_is_answered(ran: tuple[Path, list[str]], shop: Path) -> None:
    lists = read_lists(ran[0] / "recs").to_pandas()
    users = pd.read_parquet(shop / "users.parquet").user_id
    assert set(lists.user_id) == set(users) | set(pd.read_parquet(shop / "interactions.parquet").user_id)
    assert lists.groupby("user_id")["rank"].agg(list).map(tuple).unique().tolist() == [tuple(range(1, 8))]


def test_every_step_is_left_behind(ran: tuple[Path, list[str]]) -> None:
    names = {path.name for path in ran[0].iterdir()}
    assert names == {"config.yaml", "job.json", "checkpoint", "bundle", "recs", "recs.control"}


def test_the_lines_tell_the_steps_in_order(ran: tuple[Path, list[str]]) -> None:
    heads = [line.split()[0] for line in ran[1] if line[:1].strip() and not line.startswith(("Note", "WARNING"))]
    assert heads == [
        "Read", "Columns", "Items", "Users", "Train", "Check", "Refit", "Export", "Top-7", "Wrote", "Look", "Look",
        "Next",
    ]  # fmt: skip


def test_times_are_shown_as_dates(ran: tuple[Path, list[str]]) -> None:
    assert "2026-10-31)" in next(line for line in ran[1] if line.startswith("Columns"))


@pytest.mark.usefixtures("one_format")
def test_lists_may_hold_what_was_met_if_asked_for(shop: Path, tmp_path: Path) -> None:
    lines = done(*arguments(shop, tmp_path / "out"), "--seen", "keep").splitlines()
    assert ", seen items may be in them, " in next(line for line in lines if line.startswith("Top-7"))
    assert yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())["score"]["seen"] == "keep"
    met = set(pd.read_parquet(shop / "interactions.parquet")[["user_id", "item_id"]].itertuples(index=False, name=None))
    lists = read_lists(tmp_path / "out" / "recs").to_pandas()[["user_id", "item_id"]]
    assert met & set(lists.itertuples(index=False, name=None))


def test_the_next_command_works_as_it_stands(ran: tuple[Path, list[str]], shop: Path) -> None:
    said = next(line for line in ran[1] if line.startswith("Next"))
    words = shlex.split(said.removeprefix("Next").partition("   every night")[0])
    assert words[:2] == ["rec-export", "nightly"]
    assert said.endswith("every night, from cron, once its gates are answered for: docs/nightly.md")
    forced = ("same_list", "first_item")  # of a model that learned for one epoch
    words += ["--run-date", "2026-11-01", "--reason", "a test", *(w for gate in forced for w in ("--force-gate", gate))]
    code, _, err = command("-q", *words[1:])  # with the log of the day before
    assert (code, err) == (
        0,
        "run_date=2026-11-01: overlap is 1, but should be less than 0.999: is the input of the same day?\n",
    )
    tonight = read_lists(ran[0] / "recs" / "run_date=2026-11-01")
    assert tonight["rank"].to_pylist()[:7] == list(range(1, 8))  # k is that of the run


def test_lists_that_a_night_would_refuse_are_warned_of(ran: tuple[Path, list[str]]) -> None:
    (said,) = (line for line in ran[1] if "`nightly` would refuse" in line)
    begins, middle = (
        "WARNING   `nightly` would refuse such lists: same_list is ",
        ", but should be at most 0.05 of the model's lists; first_item is ",
    )
    ends = "at most 0.5 of lists; docs/nightly.md"
    assert (said.startswith(begins), middle in said, said.endswith(ends)) == (True, True, True)


def test_the_config_that_is_left_trains_the_same_model(ran: tuple[Path, list[str]], tmp_path: Path) -> None:
    done("train", ran[0] / "config.yaml", "--out", tmp_path / "again")
    weights = "weights.safetensors"
    assert (tmp_path / "again" / weights).read_bytes() == (ran[0] / "checkpoint" / weights).read_bytes()
    assert yaml.safe_load((ran[0] / "config.yaml").read_text())["score"]["k"] == 7


def interrupted(*anything: object) -> None:
    """What Ctrl-C does to a step."""
    raise KeyboardInterrupt


@pytest.mark.usefixtures("one_format")
def test_a_run_that_was_interrupted_goes_on_where_it_stopped(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("exporters.job.run", interrupted)
        answer = command("-q", *arguments(shop, tmp_path / "out"))
    kept = f"{tmp_path}/out/config.yaml, {tmp_path}/out/checkpoint"
    assert answer.code == 130
    assert answer.out.splitlines()[-1] == f"Kept      {kept}; the same command goes on from there"
    before = contents(tmp_path / "out" / "checkpoint")
    assert f"Kept      {kept}, done before" in done(*arguments(shop, tmp_path / "out")).splitlines()
    assert contents(tmp_path / "out" / "checkpoint") == before


def test_the_same_run_again_changes_nothing(ran: tuple[Path, list[str]], shop: Path) -> None:
    before = contents(ran[0])
    lines = done(*arguments(shop, ran[0])).splitlines()
    assert contents(ran[0]) == before
    assert [line for line in lines if line.startswith("Wrote")] == []
    kept = (
        f"Export    torchscript, onnx and pt2, proved when they were made; anew: rec-export verify {ran[0] / 'bundle'}"
    )
    assert [line for line in lines if "Export" in line or "[ok]" in line] == [kept]


def test_a_run_of_which_no_step_was_done_gives_way_to_another(
    shop_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = arguments(shop_copy, tmp_path / "out")
    log = pd.read_parquet(shop_copy / "interactions.parquet")
    log.assign(rating=1.0).to_parquet(shop_copy / "interactions.parquet")
    code, _, err = command("-q", *words, "--positive", 4)
    assert (code, "is a liking" in err) == (65, True)
    log.to_parquet(shop_copy / "interactions.parquet")
    monkeypatch.setattr("exporters.job.run", interrupted)  # the training tells enough
    assert command("-q", *words).code == 130
    assert (tmp_path / "out" / "checkpoint" / "weights.safetensors").exists()


def test_a_run_that_was_begun_behind_a_link_is_not_cleared_away(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainers.job.run", interrupted)
    assert command("-q", *arguments(shop, tmp_path / "real")).code == 130
    (tmp_path / "out").symlink_to(tmp_path / "real")
    before = contents(tmp_path / "real")
    answer = command("-q", *arguments(shop, tmp_path / "out")[:-1], 8)
    assert (answer.code, "with other settings" in answer.err, contents(tmp_path / "real")) == (73, True, before)


def test_a_run_that_is_at_work_or_was_changed_by_a_person_is_not_cleared_away(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainers.job.run", interrupted)
    out = tmp_path / "out"
    assert command("-q", *arguments(shop, out)).code == 130
    with locked(out / ".lock"):
        before = contents(out)
        for k in (7, 8):  # the same job, and another
            answer = command("-q", *arguments(shop, out)[:-1], k)
            assert (answer.code, "another run is at work" in answer.err, contents(out)) == (75, True, before)
    with (out / "config.yaml").open("a") as file:
        file.write("# mine\n")
    before = contents(out)
    answer = command("-q", *arguments(shop, out)[:-1], 8)
    assert (answer.code, "with other settings" in answer.err, contents(out)) == (73, True, before)


def test_what_is_not_read_of_a_table_is_named(ran: tuple[Path, list[str]]) -> None:
    place = next(place for place, line in enumerate(ran[1]) if line.startswith("Items"))
    assert ran[1][place + 1].startswith("          not read: released")


def test_another_run_in_the_same_place_is_refused(ran: tuple[Path, list[str]], shop: Path) -> None:
    before = contents(ran[0])
    answer = command("-q", *arguments(shop, ran[0])[:-1], 8)
    assert (answer.code, answer.out) == (73, "")
    assert "holds a run on other files or with other settings" in answer.err
    assert contents(ran[0]) == before


@pytest.mark.usefixtures("one_format")
def test_a_night_that_would_find_its_newest_row_too_old_waits_for_newer_ones(shop: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(shop / "interactions.parquet")
    noon = pd.Timestamp("2026-10-31T12:00").timestamp()
    for until, waits in ((noon, True), (noon + 1, False)):  # a row may be 36 hours old
        rows = log[log.timestamp < until]
        last = rows.iloc[[-1]].assign(timestamp=until - 1 + (not waits))
        pd.concat([rows, last]).to_parquet(tmp_path / "log.parquet")
        said = done("run", tmp_path / "log.parquet", "-o", tmp_path / f"{waits}", "--model", "popular", "--k", 7)
        (line,) = (line for line in said.splitlines() if line.startswith("Next"))
        assert line.endswith("the log has rows of that day: docs/nightly.md") is waits


@pytest.mark.usefixtures("one_format")
def test_rows_in_the_future_do_not_date_the_lists(shop: Path, tmp_path: Path) -> None:
    """For readers such a date would be the live one until it is past."""
    log = pd.read_parquet(shop / "interactions.parquet")
    late = log.iloc[[3]].assign(timestamp=log.timestamp.max() + 5 * 365 * 86_400)
    pd.concat([log, late]).to_parquet(tmp_path / "log.parquet")
    told = done("run", tmp_path / "log.parquet", "-o", tmp_path / "out", "--model", "popular", "--k", 7)
    assert "WARNING   1 row of the log is in the future, the newest of 2031-10-30" in told
    assert [one.name for one in (tmp_path / "out" / "recs").iterdir()] == ["run_date=2026-10-31"]
