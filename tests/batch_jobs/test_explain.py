"""One user's list explained: the terms add up, the list is the published one, and what is left out is told."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from batch_jobs.explained import Explained, alike
from rec_export.checkpoint import Checkpoint
from rec_export.terms import term_names, terms
from tests.conftest import LAST_DAY, command, done, read_lists, refusal


@pytest.fixture(scope="module")
def told(scored: Path, exported: Path, user: str) -> dict[str, Any]:
    """The explanation of that list, as JSON."""
    words = "explain", scored, "--bundle", exported, "--user", user, "--json", "--item", "nothing"
    found: dict[str, Any] = json.loads(done(*words))
    return found


def published(scored: Path, user: str) -> list[str]:
    """A user's items as readers have them."""
    lists = read_lists(scored)
    return lists.filter(pc.equal(lists["user_id"], user)).sort_by("rank")["item_id"].to_pylist()


def test_the_list_is_the_published_one_from_every_format(told: dict[str, Any], scored: Path, user: str) -> None:
    mine = published(scored, user)
    assert [place["item"] for place in told["list"]] == mine == told["published"]
    assert {one["format"]: one["items"] for one in told["artefacts"]} == dict.fromkeys(
        ("torchscript", "onnx", "pt2"), mine
    )
    assert max(one["worst"] for one in told["artefacts"]) < 1e-4


def test_the_terms_of_a_dot_product_add_up_to_the_score(told: dict[str, Any]) -> None:
    assert (told["terms"], told["splits"], told["gate"]) == (["taste", "item", "trend", "together", "next"], True, {})
    for place in told["list"]:
        assert sum(place["terms"]) == pytest.approx(place["score"], abs=1e-9)
        assert len(place["terms"]) == 5


def test_what_the_user_has_met_is_told_with_the_place_it_would_have(
    told: dict[str, Any], shop: Path, user: str
) -> None:
    log = pq.read_table(shop / "interactions.parquet")
    mine = log.filter(pc.equal(log["user_id"], user))
    met = set(mine["item_id"].to_pylist())
    liked = set(mine.filter(pc.greater_equal(mine["rating"], 4))["item_id"].to_pylist())
    assert (told["met"], told["liked"]) == (len(met), len(liked))
    assert 0 < len(told["disliked"]) == min(10, len(met - liked))
    newest = list(dict.fromkeys(reversed([one for one in mine["item_id"].to_pylist() if one not in liked])))
    assert told["disliked"] == newest[:10]
    assert {one["item"] for one in told["history"]} <= met
    assert {one["item"] for one in told["hidden"]} <= met
    assert not {one["item"] for one in told["list"]} & met
    least = told["list"][-1]["score"]
    assert all(one["score"] >= least and one["rule"] == "the user has met it" for one in told["hidden"])


def test_an_item_that_was_asked_for_has_its_rank_among_what_is_not_met(
    exported: Path, scored: Path, shop: Path, user: str
) -> None:
    words = "explain", scored, "--bundle", exported, "--user", user, "--json", "--k", 3
    all_ranks = published(scored, user)
    items = all_ranks[6], all_ranks[1], "nothing", f"{all_ranks[6]}x"
    asked = json.loads(done(*words, *(word for item in items for word in ("--item", item))))["asked"]
    assert [(one["item"], one["rank"], one["said"]) for one in asked] == [
        (all_ranks[6], 7, "in the list"),
        (all_ranks[1], 2, "in the list"),
        ("nothing", None, "no file and no training knows it"),
        (f"{all_ranks[6]}x", None, f"no file and no training knows it; did you mean {all_ranks[6]!r}?"),
    ]
    log, every = pd.read_parquet(shop / "interactions.parquet"), pd.read_parquet(shop / "items.parquet").item_id
    met = set(log[log.user_id == user].item_id)
    unmet = [word for item in every if item not in met for word in ("--item", item)]
    asked = json.loads(done(*words, *unmet, "--item", min(met)))["asked"]
    assert sorted(one["rank"] for one in asked[:-1]) == [*range(1, len(every) - len(met) + 1)]
    assert {one["among"] for one in asked[:-1]} == {len(every) - len(met)}
    assert asked[-1]["among"] == len(every)  # where it would stand if it were not met


def test_what_was_liked_after_the_date_is_looked_up_by_itself(exported: Path, shop: Path) -> None:
    log = pq.read_table(shop / "interactions.parquet")
    newest = log.sort_by([(log.column_names[2], "descending")])["user_id"][0].as_py()
    asked = json.loads(done("explain", exported, "--user", newest, "--run-date", "2026-10-01", "--json"))["asked"]
    assert {one["why"] for one in asked} <= {"liked next"}
    assert all(one["rank"] is None or one["rank"] >= 1 for one in asked)
    assert asked


def test_a_log_that_does_not_go_on_is_read_once(exported: Path, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch_jobs.explain.read_events", None)  # what the second reading would call
    assert json.loads(done("explain", exported, "--user", user, "--run-date", LAST_DAY, "--json"))["asked"] == []


def test_a_person_sees_the_same(scored: Path, exported: Path, user: str) -> None:
    said = done("explain", scored, "--bundle", exported, "--user", user, "--k", 5)
    assert said.startswith(f"{user}: model, as the model was trained on this user\n")
    assert "The terms add up to the score." in said
    assert said.endswith("published    the same items in the same order\n")


def test_a_list_that_is_shorter_than_it_may_be_says_why(exported: Path, scored: Path, user: str) -> None:
    told = Explained.model_validate_json(done("explain", scored, "--bundle", exported, "--user", user, "--json"))
    short = told.model_copy(update={"k": 100})
    assert f"the list: {told.k} items, as many as a list may have" in told.text()
    assert f"{told.k} items, fewer than the 100 that a list may have: the user has met all others, or" in short.text()


def test_an_unknown_user_is_one_clear_line_with_the_nearest_id(
    exported: Path, scored: Path, user: str, tmp_path: Path
) -> None:
    code, err, _ = refusal(tmp_path, "explain", scored, "--bundle", exported, "--user", f"{user}x")
    assert code == 2
    assert err.startswith(f"Error: the user '{user}x' is neither in the log ")
    assert "interactions.parquet nor in the bundle, so there is no list to explain; did you mean 'u" in err
    assert err.count("\n") == 1


def test_the_bundle_of_another_run_is_refused(scored: Path, bundle_copy: Path) -> None:
    code, _, err = command("-q", "explain", scored, "--user", "u")
    assert (code, "does not lie beside" in err) == (2, True)
    (bundle_copy / "manifest.json").write_text("{}")
    code, _, err = command("-q", "explain", scored, "--bundle", bundle_copy, "--user", "u")
    assert (code, "was not made by the bundle" in err) == (65, True)


def test_another_log_is_told_of(exported: Path, scored: Path, shop: Path, user: str, tmp_path: Path) -> None:
    log = pq.read_table(shop / "interactions.parquet")
    pq.write_table(log.slice(0, log.num_rows - 1), tmp_path / "log.parquet")
    words = "explain", scored, "--bundle", exported, "--user", user, "--interactions", tmp_path / "log.parquet"
    code, _, err = command("-q", *words)
    assert code == 0
    assert f"{tmp_path / 'log.parquet'} is not the file that the run" in err
    assert err.endswith("so its list may differ; name that one with --interactions\n")


def test_a_user_of_whom_nothing_is_known_gets_a_fallback_that_says_so(
    exported: Path, shop: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(exported.parent, tmp_path / "run"))
    (tmp_path / "users.csv").write_text("user_id\nnewcomer\n")
    said = done("explain", folder / "bundle", "--user", "newcomer", "--users", tmp_path / "users.csv",
                "--run-date", LAST_DAY)  # fmt: skip
    assert said.startswith("newcomer: fallback, as nothing that the model reads is known of this user\n")
    assert "liked 0 items, met 0" in said.splitlines()  # and no empty table


@pytest.mark.parametrize("by", ["popularity", "recent popularity"])
def test_popularity_is_recent_where_the_model_looks_at_time(by: str, told: dict[str, Any]) -> None:
    """Whether or not the log has times."""
    told = {**told, "served": False, "terms": (by,), "list": (), "hidden": (), "asked": ()}
    said = Explained(**told).text()
    assert f"The list is by {by}, without what the user has met." in said
    kept = Explained(**{**told, "seen": "keep"}).text()
    assert f"The list is by {by}.\n" in kept


def test_members_of_an_ensemble_add_up_by_component(trained: Path) -> None:
    blueprint = Checkpoint.read(trained).blueprint.model_copy(update={"timeless": 0.0, "shallow": ()})
    head = Checkpoint.read(trained).towers.pair_head
    parts = blueprint.spec().components(blueprint.sizes)
    width = sum(parts.values())
    rng = np.random.default_rng(0)
    user_vec, item_vec = rng.normal(size=2 * width), rng.normal(size=(4, 2 * width))
    both = blueprint.model_copy(update={"members": 2})
    found = terms(both, head, user_vec, item_vec, item_vec @ user_vec)
    first, second = (
        terms(blueprint, head, user_vec[own], item_vec[:, own], item_vec[:, own] @ user_vec[own])
        for own in (slice(0, width), slice(width, None))
    )
    np.testing.assert_allclose(found, first + second)
    np.testing.assert_allclose(found.sum(1), item_vec @ user_vec)
    assert term_names(both, head) == tuple(parts)


def test_a_part_that_is_cut_off_is_one_clear_line(
    scored: Path, exported: Path, user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (scored, scored.with_name("recs.control")):
        shutil.copytree(folder, tmp_path / folder.name)
    (day,) = (tmp_path / "recs").iterdir()
    monkeypatch.chdir(day)  # "." is a date too
    part = min(day.glob("part-*"))
    part.write_bytes(part.read_bytes()[:-100])
    code, _, err = command("-q", "explain", ".", "--bundle", exported, "--user", user)
    assert (code, err.count("\n"), f"the first being {part.name}" in err) == (65, 1, True)


@pytest.mark.parametrize(
    ("names", "splits", "said"),
    [
        (("match",), True, "The score is one dot product, whose places the model does not tell apart."),
        (("MLP",), False, "This head does not split: its score is one term."),
    ],
)
def test_one_term_is_a_dot_product_or_a_head_that_does_not_split(
    told: dict[str, Any], names: tuple[str, ...], splits: bool, said: str
) -> None:
    one = [{**place, "terms": [place["score"]]} for place in told["list"]]
    changed = {**told, "terms": names, "splits": splits, "list": one, "asked": []}
    lines = Explained.model_validate_json(json.dumps(changed)).text().splitlines()
    assert [line for line in lines if line.startswith(("The score", "This head"))] == [said]


def test_another_list_is_told_from_the_place_where_it_parts() -> None:
    mine = ("a", "b", "c")
    assert [alike(theirs, mine) for theirs in (mine, ("a", "c", "b"), ("a", "b"))] == [
        "the same items in the same order",
        "ANOTHER list, at place 2 c, b",
        "ANOTHER list, of 2 places",
    ]
