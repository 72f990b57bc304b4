"""A night publishes a whole, checked, fresh run, or leaves what is live in its place and says why."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from batch_jobs import today
from rec_export.cli import terminated
from rec_export.recs import Recs
from tests.batch_jobs.conftest import LAST, NEXT, configured, halve, live_part, night, report
from tests.conftest import command, contents, done, read_lists


def test_a_night_publishes_lists_for_everybody_and_says_so_in_one_line(place: Path) -> None:
    said = night(place, LAST).out
    run = Recs.at(place / "recs").told(LAST, report(place).run_id or "")
    assert said.startswith(f"published run_date={LAST} run {run.run_id}: ")
    assert said.count("\n") == 1
    users = pd.read_parquet(place / "users.parquet").user_id
    assert set(users) <= set(read_lists(place / "recs")["user_id"].to_pylist())
    assert (run.k, run.whom, run.gates) == (5, "all", report(place).gates)


def test_the_same_night_again_writes_nothing(place: Path) -> None:
    night(place, LAST)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert night(place, LAST).out.startswith("kept ")
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_shards_make_a_night_that_is_then_published(place: Path) -> None:
    said = [night(place, LAST, "--shard-index", index, "--shard-count", 2).out for index in (0, 1)]
    assert [line.partition(": ")[2] for line in said] == [
        "1 part made, 0 there before\n",
        "0 parts made, 0 there before\n",
    ]
    assert not (place / "recs").exists()
    assert night(place, LAST, "--executor", "shards").out.startswith(f"published run_date={LAST} ")
    assert night(place, NEXT, "--executor", "shards", code=75).err.startswith("Error: 1 of 1 parts are not in ")


def test_a_share_of_a_night_is_told_as_asked_for(place: Path) -> None:
    share = "--shard-index", 0, "--shard-count", 1
    assert done("nightly", place / "config.yaml", "--run-date", LAST, *share) == ""
    told = json.loads(night(place, LAST, *share, "--json").out)
    assert (told["made"], len(told["there"]), told["published"]) == ([], 1, False)


def test_a_list_of_users_that_is_not_there_is_not_everybody(place: Path) -> None:
    fields = yaml.safe_load((place / "config.yaml").read_text())
    del fields["data"]["users"]
    fields["nightly"]["users"] = "listed"
    (place / "config.yaml").write_text(yaml.safe_dump(fields))
    assert "nightly.users is listed, but data.users names no table" in night(place, LAST, code=2).err
    assert not (place / "recs").exists()


def test_a_date_that_is_a_slip_of_the_pen_is_refused(place: Path) -> None:
    assert "days after today, which is" in night(place, "2062-10-31", code=2).err
    assert "9999-12-31 is not between 1970 and 2199" in night(place, "9999-12-31", code=2).err
    assert not (place / "recs").exists()


def test_a_gates_program_is_found_from_the_configurations_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = yaml.safe_load((place / "config.yaml").read_text())["nightly"]["bundle"]
    (place / "my check").write_text('#!/bin/sh\ntest "$1" = "a b" && exec ls "$2" > /dev/null\n')
    (place / "my check").chmod(0o755)
    configured(place, bundle, {"command": "'./my check' 'a b'"})
    renamed = place.rename(place.with_name("R&D"))
    place = configured(renamed, bundle, {"command": "'./my check' 'a b'"})
    monkeypatch.chdir("/")
    night(place, LAST)
    assert {one.verdict for one in report(place).gates if one.gate == "command"} == {"passed"}


def test_quiet_says_nothing_of_a_night_that_went_well(place: Path) -> None:
    assert done("nightly", place / "config.yaml", "--run-date", LAST) == ""


def test_a_night_that_fails_leaves_a_report(place: Path) -> None:
    night(place, LAST)
    live = contents(place / "recs")
    (place / "interactions.parquet").write_bytes(b"PAR1")
    said = night(place, NEXT, code=65).err
    told = report(place)
    assert (told.outcome, told.exit_code, f"Error: {told.sentence}\n") == ("failed", 65, said)
    assert contents(place / "recs") == live


def test_a_night_that_is_terminated_leaves_a_report(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch_jobs.scoring.look", lambda *anything: terminated(15, None))
    with pytest.raises(SystemExit):
        command("nightly", place / "config.yaml", "--run-date", LAST)
    assert (report(place).exit_code, report(place).sentence.split(";")[0]) == (143, "ended by signal 15")


def test_prometheus_is_told_of_success_and_failure(place: Path, exported: Path) -> None:
    configured(place, exported, metrics="rec_export.prom")
    night(place, LAST)
    good = metrics(place)
    halve(place)
    night(place, NEXT, code=80)
    bad = metrics(place)
    success = "rec_export_last_success_timestamp_seconds"
    assert (good["rec_export_exit_code"], bad["rec_export_exit_code"], bad[success]) == ("0", "80", good[success])
    assert bad['rec_export_gate_refused{gate="log_rows"}'] == "1"


def test_what_a_gate_warns_of_is_said_and_published_all_the_same(place: Path, exported: Path) -> None:
    configured(place, exported, metrics="rec_export.prom")
    night(place, NEXT)
    answer = command("-q", "nightly", place / "config.yaml", "--run-date", "2026-11-01")  # with yesterday's log
    said = "run_date=2026-11-01: overlap is 1, but should be less than 0.999: is the input of the same day?"
    assert (answer.code, answer.out, answer.err) == (0, "", f"{said}\n")
    told = metrics(place)
    assert (told['rec_export_gate_refused{gate="overlap"}'], told['rec_export_gate_warned{gate="overlap"}']) == (
        "0",
        "1",
    )


def metrics(place: Path) -> dict[str, str]:
    """The values in the file for Prometheus, by name."""
    lines = (place / "rec_export.prom").read_text().splitlines()
    return {name: value for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_second_night_at_the_same_time_leaves_the_report_to_the_first(place: Path) -> None:
    from batch_jobs.publish import claimed

    night(place, LAST)
    before = report(place)
    with claimed(Recs.at(place / "recs")):
        night(place, NEXT, code=75)
    assert report(place) == before


def test_a_night_of_the_past_does_not_become_the_newest(place: Path) -> None:
    night(place, NEXT)
    night(place, LAST)
    assert json.loads((place / "recs.control" / "latest.json").read_text())["run_date"] == NEXT


def test_columns_that_the_training_did_not_read_are_refused(place: Path) -> None:
    fields = yaml.safe_load((place / "config.yaml").read_text())
    fields["data"]["interactions"]["positive"] = 3
    (place / "config.yaml").write_text(yaml.safe_dump(fields))
    said = night(place, LAST, code=2).err
    assert "data.interactions.positive is 3.0, but the bundle" in said


def test_a_configuration_without_nights_is_refused(shop_copy: Path) -> None:
    fields = yaml.safe_load((shop_copy / "config.yaml").read_text())
    (shop_copy / "config.yaml").write_text(yaml.safe_dump({**fields, "nightly": None}))
    code, _, err = command("nightly", shop_copy / "config.yaml")
    assert (code, "no section 'nightly'" in err) == (2, True)


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        ("", 66, "PLACE is no bundle, as it holds no manifest.json; did you mean PLACE/bundle?"),
        ("recs", 66, "PLACE/recs is no bundle, as it holds no manifest.json; did you mean PLACE/bundle?"),
        ("bundel", 66, "PLACE/bundel does not exist; did you mean 'bundle'?"),
        ("checkpoint", 2, "PLACE/checkpoint is a checkpoint; export it first"),
    ],
)
def test_a_wrong_folder_as_the_bundle_is_told_from_a_right_one(
    wrong: str, code: int, said: str, place: Path, exported: Path, trained: Path
) -> None:
    (place / "recs").mkdir()
    (place / "bundle").symlink_to(exported)
    (place / "checkpoint").symlink_to(trained)
    configured(place, place / wrong)
    assert said in night(place, LAST, code=code).err.replace(str(place), "PLACE")


def test_a_damaged_live_run_is_said_and_replaced_if_asked(place: Path) -> None:
    night(place, LAST)
    whole = live_part(place, LAST).read_bytes()
    live_part(place, LAST).write_bytes(whole[:-100])
    assert "are not what was written" in night(place, LAST, code=65).err
    assert night(place, LAST, "--replace").out.startswith("published ")
    assert live_part(place, LAST).read_bytes() == whole


def test_a_bundle_that_changes_while_the_log_is_read_is_not_published(
    place: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Path(shutil.copytree(exported, tmp_path / "bundle"))
    configured(place, bundle)
    whole = today.look

    def look(*arguments: Any) -> Any:
        (bundle / "model_is_new").write_text("")
        return whole(*arguments)

    monkeypatch.setattr("batch_jobs.scoring.look", look)
    assert "was changed while it was read" in night(place, LAST, code=65).err
    assert not (place / "recs").exists()


def test_a_report_of_failure_gives_way_when_all_is_well_again(place: Path) -> None:
    night(place, LAST)
    log = place / "interactions.parquet"
    log.rename(place / "away")
    night(place, LAST, code=66)
    (place / "away").rename(log)
    night(place, LAST)
    assert (report(place).outcome, report(place).exit_code) == ("kept", 0)


def test_items_that_the_model_does_not_know_at_all_are_not_recommended(place: Path) -> None:
    items = pd.read_parquet(place / "items.parquet")
    items.assign(item_id="x" + items.item_id.astype(str)).to_parquet(place / "items.parquet")
    assert "check that the ids are of the same kind" in night(place, LAST, code=65).err


def test_rows_without_a_user_are_told(place: Path) -> None:
    log = pd.read_parquet(place / "interactions.parquet")
    log.loc[:2, "user_id"] = None
    log.to_parquet(place / "interactions.parquet")
    assert "are left out: 3 without a user or an item\n" in night(place, LAST).err
    assert done("nightly", place / "config.yaml", "--run-date", NEXT) == ""  # which is no news for a mail
    told = report(place)
    assert told.left_out == {"without a user or an item": 3}
    assert "Rows of the log that were left out: 3 without a user or an item." in told.markdown()


def test_a_night_says_what_its_rules_did(place: Path) -> None:
    items = pd.read_parquet(place / "items.parquet").item_id
    fields = yaml.safe_load((place / "config.yaml").read_text())
    fields["rules"] = {"deny": [items[0], items[1], items[2], "mistyped"]}
    (place / "config.yaml").write_text(yaml.safe_dump(fields))
    answer = night(place, LAST)
    assert "1 of the 4 items in rules.deny is in neither the bundle nor today's files, the first being (" in answer.err
    assert "mistyped" not in answer.out + answer.err  # ids do not belong into a mail
    said = f"rules: deny leaves out 3 of {len(items):,} items, ids that nothing is known of: 1 of deny"
    assert answer.out.splitlines()[1:] == [said]
    told = report(place).markdown()
    assert f"Rules: {said.removeprefix('rules: ')}." in told
    listed = len(set(read_lists(place / "recs")["item_id"].to_pylist()))
    assert f"{len(items) - 3:,} items, of which {listed:,} are in a list," in told
    assert said in done("status", place / "recs")
    done("report", place / "recs", "--out", place / "report.html")
    assert f"the business rules of {LAST}: {said.removeprefix('rules: ')}." in (place / "report.html").read_text()
    assert done("nightly", place / "config.yaml", "--run-date", NEXT) == ""  # quietly
    del fields["rules"]
    (place / "config.yaml").write_text(yaml.safe_dump(fields))
    night(place, NEXT, "--replace")
    lines = done("diff", place / "recs" / f"run_date={LAST}", place / "recs").splitlines()
    assert [line.strip() for line in lines[1:4:2]] == [said, "rules: none"]


def test_a_night_may_leave_bad_rows_out_though_its_model_met_none(place: Path, exported: Path) -> None:
    log = pd.read_parquet(place / "interactions.parquet")
    clean = len(log)
    log["timestamp"] = log.timestamp.astype("Float64")
    bad = log.iloc[:7].assign(timestamp=pd.array([pd.NA, pd.NA, 0, 1, 2, 3, 4], "Float64"))
    pd.concat([log, bad]).to_parquet(place / "interactions.parquet")
    said = night(place, LAST, code=65).err
    assert "In all, 7 rows cannot be read: 2 without a time and 5 with a time before 1990 or after 2100" in said
    fields = yaml.safe_load((place / "config.yaml").read_text())
    fields["data"]["interactions"]["bad_rows"] = "leave_out"
    (place / "config.yaml").write_text(yaml.safe_dump(fields))
    night(place, LAST)
    run = Recs.at(place / "recs").told(LAST, report(place).run_id or "")
    assert run.left_out == {"without a time": 2, "with a time before 1990 or after 2100": 5}
    user = read_lists(place / "recs")["user_id"][0].as_py()
    assert (
        command(
            "explain",
            place / "recs",
            "--bundle",
            exported,
            "--user",
            user,
            "--interactions",
            place / "interactions.parquet",
        ).code
        == 0
    )  # as it read the log
    bad = pd.concat([bad] * (clean // 40))
    pd.concat([log, bad]).to_parquet(place / "interactions.parquet")
    assert "bad_rows is 0.1" in night(place, NEXT, code=80).err
