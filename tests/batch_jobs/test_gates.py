"""Each gate refuses its own defect and no other; what is refused is kept, and what is live stays live."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest

from batch_jobs.audit import Evidence, one_in
from batch_jobs.gates import COMPARED, Candidate, Gatekeeper, answer, at_most, clause
from batch_jobs.task import Task
from rec_export.errors import UsageError
from rec_export.recs import Recs
from rec_export.run_manifest import RunManifest
from rec_export.thresholds import Gates
from tests.batch_jobs.made_up_lists import Frame, lists, part


@pytest.fixture(autouse=True)
def tells_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model, of which these runs have none, knows what users like."""
    monkeypatch.setattr("batch_jobs.gates.own_before_others", lambda task: 0.9)
    monkeypatch.setattr("batch_jobs.gates.untried_share", lambda task, lists: 0.1)


def candidate(folder: Path, rows: Frame, day: str = "2026-11-20", users: int = 60, **facts: Any) -> Candidate:
    """A run of these rows that is below the read root in `folder`, with a manifest."""
    recs = Recs.at(folder / "recs")
    path = recs.live(day) / "part-00000-of-00001-0123456789ab.parquet"
    counts = {key: facts.pop(key) for key in ("short", "empty") if key in facts}
    files = (part(path, rows, users, **counts),)
    evidence = Evidence.together([Evidence.of(path, one_in(1))])
    fields: dict[str, Any] = {
        "run_id": "0123456789ab", "run_date": day, "made_by": "a test", "started_at": "", "seconds": 0.0,
        "as_of": f"{day}T20:00:00+00:00", "model_made_at": datetime.now(UTC).isoformat(), "bundle": "", "inputs": {},
        "log_rows": 1000, "k": 5, "seen": "exclude", "whom": "all", "runtime": "onnx", "device": "cpu", "items": 200,
        "files": files,
    }  # fmt: skip
    manifest = RunManifest(**{**fields, "audit": evidence.audit(), **facts})
    recs.manifest(day, manifest.run_id).parent.mkdir(parents=True, exist_ok=True)
    manifest.write(recs.manifest(day, manifest.run_id))
    return Candidate(recs, path.parent, manifest, evidence, create_autospec(Task))


def said(tonight: Candidate, gates: Gates | None = None) -> dict[str, str]:
    """What is not "passed", by gate."""
    verdicts = Gatekeeper(gates or Gates())(tonight)
    return {one.gate: one.verdict for one in verdicts if one.verdict != "passed"}


def nights(folder: Path, change: Callable[[Frame], Frame] = lambda rows: rows, **facts: Any) -> Candidate:
    """A night as it should be, and another whose lists are half the same, before `change`."""
    before = lists()
    candidate(folder, before, day="2026-11-19")
    tonight = lists(seed=1)
    half = tonight.user_id < "u0030"
    return candidate(folder, change(tonight.where(~half, before)), **facts)


def test_a_night_as_it_should_be_passes_every_gate(tmp_path: Path) -> None:
    assert said(nights(tmp_path)) == {}


def test_lists_of_users_who_take_turns_are_not_compared_by_user(tmp_path: Path) -> None:
    others = nights(tmp_path, lambda rows: rows.assign(user_id="x" + rows.user_id), whom="listed")
    assert said(others) == {"overlap": "skipped"}


def test_a_first_night_is_compared_with_nothing_and_says_so(tmp_path: Path) -> None:
    assert said(candidate(tmp_path, lists())) == dict.fromkeys(COMPARED, "skipped")


def assign(**columns: Any) -> Callable[[Frame], Frame]:
    """A change of whole columns."""
    return lambda rows: rows.assign(**columns)


def only(users: int) -> Callable[[Frame], Frame]:
    """The lists of so many users."""
    return lambda rows: rows[rows.user_id < f"u{users:04d}"]


def narrow(rows: Frame) -> Frame:
    """Lists from a few items, none of which begins more lists than another."""
    place = np.arange(len(rows)) % 5 + np.arange(len(rows)) // 5
    return rows.assign(item_id=[f"i{item}" for item in place % 20])


DEFECTS: dict[str, tuple[Callable[[Frame], Frame], dict[str, Any], set[str]]] = {
    "NaN": (assign(score=np.nan), {}, {"structure", "score_shift"}),
    "an item twice": (
        lambda r: r.assign(item_id=r.item_id.where(r["rank"] != 2, r.item_id.shift())),
        {},
        {"structure"},
    ),
    "ranks from 0": (lambda r: r.assign(rank=r["rank"] - 1), {}, {"structure"}),
    "rising scores": (lambda r: r.assign(score=-r.score), {}, {"structure", "score_shift"}),
    "unsorted users": (lambda r: r.iloc[::-1].assign(rank=r["rank"].values, score=r.score.values), {}, {"structure"}),
    "a constant model": (assign(score=0.5), {}, {"flat_lists", "score_shift"}),
    "one list for all": (
        lambda r: r.assign(item_id=np.tile([f"i{i}" for i in range(5)], 60)),
        {},
        {"same_list", "first_item", "first_item_growth", "items", "overlap"},
    ),
    "few items": (narrow, {}, {"items", "overlap"}),
    "no list for some": (only(59), {"empty": 1, "short": 1}, {"covered"}),
    "short lists": (lambda r: r, {"short": 6}, {"short_lists"}),
    "users lost": (only(50), {"users": 50}, {"users"}),
    "all users cold": (assign(source="cold"), {}, {"sources"}),
    "ids of another kind": (lambda r: r.assign(item_id="x" + r.item_id), {}, {"overlap"}),
    "users of another kind": (lambda r: r.assign(user_id="x" + r.user_id), {}, {"overlap"}),
    "an old log": (lambda r: r, {"as_of": "2026-11-19T09:00:00+00:00"}, {"newest_event"}),
    "half of the log": (lambda r: r, {"log_rows": 500}, {"log_rows"}),
    "strange users in the log": (lambda r: r, {"unknown_users": 0.6}, {"unknown_users"}),
    "scores of another scale": (lambda r: r.assign(score=r.score * 3), {}, {"score_shift"}),
    "rows that cannot be read": (lambda r: r, {"left_out": {"without a time": 120}}, {"bad_rows"}),
    "strange items in the log": (lambda r: r, {"unknown_items": 0.5}, {"unknown_items"}),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_refused_by_its_gates_alone(name: str, tmp_path: Path) -> None:
    change, facts, gates = DEFECTS[name]
    found = said(nights(tmp_path, change, **facts))
    assert {gate: verdict for gate, verdict in found.items() if verdict != "skipped"} == dict.fromkeys(gates, "refused")


def test_scores_of_another_scale_by_a_new_model_are_warned_of(tmp_path: Path) -> None:
    shifted = nights(tmp_path, lambda rows: rows.assign(score=rows.score * 3), bundle="new")
    assert said(shifted) == {"score_shift": "warned"}


def test_scores_of_lists_of_another_length_are_not_compared(tmp_path: Path) -> None:
    assert said(nights(tmp_path, k=6)) == {"score_shift": "skipped"}


def test_a_part_whose_lists_are_shorter_than_those_of_most_is_warned_of(tmp_path: Path) -> None:
    tonight = nights(tmp_path)
    (whole,) = tonight.manifest.files
    short = whole.model_copy(update={"rows": whole.rows // 3})
    run = tonight.manifest.model_copy(update={"files": (whole, short, whole)})
    found = Gatekeeper(Gates()).even(run)
    assert (found.verdict, found.value) == ("warned", round(1 / 3, 4))


def test_the_lists_of_the_day_before_as_todays_are_warned_of(tmp_path: Path) -> None:
    candidate(tmp_path, lists(), day="2026-11-19")
    assert said(candidate(tmp_path, lists())) == {"overlap": "warned"}


def test_a_refusal_says_of_what_its_figure_is_and_where_to_look(tmp_path: Path) -> None:
    tonight = nights(
        tmp_path, lambda rows: rows.assign(item_id=rows.item_id.where(rows["rank"] != 1, "i7")), log_rows=500
    )
    verdicts = {one.gate: clause(one) for one in Gatekeeper(Gates())(tonight)}
    assert verdicts["log_rows"] == "log_rows is 0.5, but should be at least 0.9 of the rows before"
    assert verdicts["first_item"] == "first_item is 1, but should be at most 0.5 of lists"
    hint = "should be at most 2 times that before; `rec-export diff` of the run that is kept names the item"
    assert verdicts["first_item_growth"].endswith(hint)


def test_every_limit_says_of_what_it_is_but_for_the_stability_index(tmp_path: Path) -> None:
    verdicts = Gatekeeper(Gates())(nights(tmp_path))
    bare = {
        one.gate for one in verdicts if one.value is not None and re.fullmatch(r"at (most|least) [0-9.]+", one.limit)
    }
    assert bare <= {"score_shift"}
    assert {"covered", "log_rows", "overlap", "own_items"} <= {one.gate for one in verdicts if one.value is not None}


def test_a_night_before_that_was_not_audited_is_not_called_none(tmp_path: Path) -> None:
    candidate(tmp_path, lists(), day="2026-11-19", audit=None)
    verdicts = Gatekeeper(Gates())(candidate(tmp_path, lists()))
    assert {one.reason for one in verdicts if one.gate in COMPARED} == {"2026-11-19 was not audited"}


def test_damage_to_the_night_before_is_said_and_no_reason_to_refuse_tonight(tmp_path: Path) -> None:
    tonight = nights(tmp_path)
    before = min(tonight.recs.local("2026-11-19").iterdir())
    before.write_bytes(before.read_bytes()[:100])
    assert said(tonight) == {"overlap": "warned", "score_shift": "warned"}  # which is mailed


@pytest.mark.parametrize(("found", "verdict"), [(0.5, "refused"), ("only 12 users", "skipped")])
def test_a_model_that_does_not_tell_users_apart_is_refused(
    found: float | str, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch_jobs.gates.own_before_others", lambda task: found)
    assert said(nights(tmp_path)) == {"own_items": verdict}


@pytest.mark.parametrize(
    ("found", "verdict"), [(0.6, "refused"), ("2 other items may be recommended, and lists hold 5", "skipped")]
)
def test_lists_of_what_nobody_ever_liked_are_refused(
    found: float | str, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch_jobs.gates.untried_share", lambda task, lists: found)
    assert said(nights(tmp_path)) == {"untried": verdict}


@pytest.mark.parametrize(
    ("as_of", "verdicts"),
    [("2026-11-19T00:00:00+00:00", {}), ("2026-11-19T00:00:01+00:00", {"newest_event": "refused"})],
)
def test_a_log_of_dates_is_as_new_as_the_end_of_its_newest_one(
    as_of: str, verdicts: dict[str, str], tmp_path: Path
) -> None:
    assert said(nights(tmp_path, as_of=as_of)) == verdicts


def test_who_is_refused_is_told_how_to_answer_for_it() -> None:
    slips = tuple(one.model_copy(update={"gate": gate}) for gate in ("users", "items") for one in [at_most("x", 2, 1)])
    assert answer(slips) == "; mend the input, or answer for it: --force-gate users --force-gate items --reason TEXT"
    assert answer((*slips, at_most("structure", 2, 1))) == ""


def test_an_old_model_is_warned_of(tmp_path: Path) -> None:
    assert said(nights(tmp_path, model_made_at="2026-11-01T00:00:00+00:00")) == {"model_age": "warned"}


@pytest.mark.parametrize(("command", "verdict"), [("false", {"command": "refused"}), ("test -d", {})])
def test_a_command_of_ones_own_is_a_gate(command: str, verdict: dict[str, str], tmp_path: Path) -> None:
    assert said(nights(tmp_path), Gates(command=command)) == verdict


def test_a_gate_that_is_forced_says_why_and_the_others_stand(tmp_path: Path) -> None:
    tonight = nights(tmp_path, only(50), users=50, as_of="2026-11-01T00:00:00+00:00")
    verdicts = {one.gate: one for one in Gatekeeper(Gates(), ("users",), "a sale has ended")(tonight)}
    assert (verdicts["users"].verdict, verdicts["users"].reason) == ("forced", "a sale has ended")
    assert verdicts["newest_event"].verdict == "refused"


@pytest.mark.parametrize(
    ("force", "reason", "said"),
    [
        (("overlapp",), "x", "there is no gate 'overlapp'; did you mean 'overlap'?"),
        (("overlap",), " ", "--force-gate needs a --reason"),
        (("structure",), "x", "'structure' cannot be forced"),
    ],
)
def test_what_cannot_be_forced_is_said(force: tuple[str, ...], reason: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        Gatekeeper(Gates(), force, reason)


def test_all_verdicts_have_names_that_can_be_forced(tmp_path: Path) -> None:
    verdicts = Gatekeeper(Gates(command="true"))(nights(tmp_path))
    names = tuple(dict.fromkeys(one.gate for one in verdicts[1:]))
    assert Gatekeeper(Gates(), names, "x").forced == names
    with pytest.raises(UsageError, match="there is no gate"):
        Gatekeeper(Gates(), (*names, "no_such_gate"), "x")
