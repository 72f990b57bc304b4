"""What business rules do to one list is told item by item."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from batch_jobs.explanation import crowded_by
from rec_export.rules import Rules
from tests.conftest import LAST_DAY, command, config_file, done, read_lists, write_table


def test_rules_are_named_item_by_item(shop: Path, exported: Path, user: str, tmp_path: Path) -> None:
    log = shop / "interactions.parquet"
    plain = [one["item"] for one in json.loads(done("explain", exported, "--user", user, "--json"))["list"]]
    write_table(tmp_path / "pairs.parquet", user_id=[user], item_id=[plain[2]])
    rules = {"deny": [plain[0]], "deny_by_user": {"path": "pairs.parquet"}, "popularity_penalty": 1e-6}
    config = config_file(tmp_path, data={"interactions": {"path": str(log)}}, rules=rules)
    words = "explain", exported, "--user", user, "--rules", config, "--json", "--item", plain[2], "--item", plain[1]
    told = json.loads(done(*words))
    assert [one["item"] for one in told["list"]][:2] == [plain[1], plain[3]]
    assert {one["item"]: one["rule"] for one in told["hidden"] if one["item"] in plain} == {
        plain[0]: "the rule deny leaves it out for everybody",
        plain[2]: "the rule deny_by_user denies it",
    }
    assert [(one["said"], one["rank"] is not None) for one in told["asked"]] == [
        ("the rule deny_by_user denies it, so it is left out", True),
        ("in the list", True),
    ]
    assert told["terms"] == ["taste", "item", "trend", "together", "next", "penalty"]
    assert all(sum(one["terms"]) == pytest.approx(one["score"], abs=1e-6) for one in told["list"])
    alone = config_file(tmp_path, "rules.yaml", rules=rules)  # as `score` takes it too
    assert json.loads(done(*words[:4], "--rules", alone, *words[6:])) == told


def test_what_could_stand_in_a_list_that_caps_leave_short_is_not_below_it(
    shop: Path, exported: Path, user: str, tmp_path: Path
) -> None:
    data = yaml.safe_load((shop / "config.yaml").read_text())["data"]
    for one in ("interactions", "items", "users"):
        data[one]["path"] = str(shop / data[one]["path"])
    items = pd.read_parquet(shop / "items.parquet")
    items.assign(category="one").to_parquet(tmp_path / "items.parquet")
    data["items"]["path"] = "items.parquet"
    config = config_file(tmp_path, data=data, rules={"caps": {"category": 1}})
    asked = (word for item in items.item_id for word in ("--item", item))
    told = json.loads(done("explain", exported, "--user", user, "--rules", config, "--json", *asked))
    assert len(told["list"]) == 1
    crowded = "the list holds 1 of one `category` already, all better"
    said = {one["said"].partition(";")[0] for one in told["asked"] if "left out" not in one["said"]}
    assert said == {"in the list", crowded}


def test_of_an_approximate_list_it_is_said_that_the_search_may_have_missed() -> None:
    assert crowded_by(Rules(), approximate=True) == "the approximate search missed it"
    assert crowded_by(Rules(), approximate=False) == "another item has its place"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"caps": {"brand": 1}}, "the list holds 1 of one `brand` already, all better"),
        (
            {"caps": {"brand": 1, "category": 2}, "diversity": {"relevance": 0.3}},
            "the list holds 1 of one `brand` or 2 of one `category` already, all better, or diversity gave its place to"
            " another item",
        ),
    ],
)
def test_what_crowds_an_item_out_is_named(
    rules: dict[str, Any], said: str, shop: Path, exported: Path, user: str, tmp_path: Path
) -> None:
    data = yaml.safe_load((shop / "config.yaml").read_text())["data"]
    for one in ("interactions", "items", "users"):
        data[one]["path"] = str(shop / data[one]["path"])
    config = config_file(tmp_path, data=data, rules=rules)
    plain = [one["item"] for one in json.loads(done("explain", exported, "--user", user, "--json"))["list"]]
    asked = (word for item in plain for word in ("--item", item))
    told = json.loads(done("explain", exported, "--user", user, "--rules", config, "--json", *asked))
    assert {one["said"] for one in told["asked"]} == {"in the list", said}


def test_a_list_for_diversity_is_the_published_one_however_few_places_are_shown(
    exported: Path, shop: Path, user: str, tmp_path: Path
) -> None:
    rules = {"diversity": {"relevance": 0.3, "fetch": 4}}
    log = shop / "interactions.parquet"
    config = config_file(tmp_path, data={"interactions": {"path": str(log)}}, rules=rules)
    where = "--out", tmp_path / "recs", "--k", 12, "--run-date", LAST_DAY
    done("score", exported, "--interactions", log, "--rules", config, *where)
    words = "explain", tmp_path / "recs", "--bundle", exported, "--user", user, "--rules", config, "--k", 4
    told = json.loads(done(*words, "--json"))
    lists = read_lists(tmp_path / "recs")
    mine = lists.filter(pc.equal(lists["user_id"], user)).sort_by("rank")
    assert [one["item"] for one in told["list"]] == mine["item_id"].to_pylist() == told["published"]
    assert [one["choice"] for one in told["list"]] == pytest.approx(mine["score"].to_pylist(), abs=1e-6)
    assert all(sum(one["terms"]) == pytest.approx(one["score"], abs=1e-6) for one in told["list"])
    assert max(one["worst"] for one in told["artefacts"]) < 1e-4
    said = done(*words)
    assert "the list: 12 items, as many as a list may have; the first 4 of them\n" in said
    assert "The order is that of the choice for diversity, whose value is the published score.\n" in said
    assert said.endswith("published    the same items in the same order\n")


def test_other_rules_than_those_of_the_published_run_are_warned_of(
    exported: Path, shop: Path, scored: Path, user: str, tmp_path: Path
) -> None:
    log = shop / "interactions.parquet"
    item = pq.read_table(shop / "items.parquet")["item_id"][0].as_py()
    own, other = {"deny": [item]}, {"deny": [item], "popularity_penalty": 1e-6}
    mine = config_file(tmp_path, "mine.yaml", rules=own)
    others = config_file(tmp_path, "others.yaml", rules=other)
    done("score", exported, "--interactions", log, "--rules", mine, "--out", tmp_path / "recs", "--run-date", LAST_DAY)

    def warned(recs: Path, *more: object) -> str:
        answer = command("explain", recs, "--bundle", exported, "--user", user, "--interactions", log, *more)
        assert answer.code == 0, answer.err
        return answer.err

    recs = tmp_path / "recs"
    assert "rules" not in warned(recs, "--rules", mine)
    assert "kept to business rules; name their configuration with --rules" in warned(recs)
    assert "than --rules has (popularity_penalty), so its list may differ" in warned(recs, "--rules", others)
    assert "kept to no business rules, so its list may differ from that of --rules" in warned(scored, "--rules", mine)


def test_the_items_that_rules_read_are_those_of_their_configuration(
    exported: Path, shop: Path, user: str, tmp_path: Path
) -> None:
    declared = yaml.safe_load((shop / "config.yaml").read_text())["data"]
    declared["interactions"]["path"], declared["items"]["path"] = (
        str(shop / "interactions.parquet"), str(tmp_path / "items.parquet"),
    )  # fmt: skip
    items = pq.read_table(shop / "items.parquet")
    pq.write_table(items.append_column("stock", [[0] + [1] * (len(items) - 1)]), tmp_path / "items.parquet")
    config = config_file(tmp_path, data=declared, rules={"minimum": {"stock": 1}})
    gone = items["item_id"][0].as_py()
    words = "explain", exported, "--user", user, "--rules", config, "--item", gone, "--json"
    (asked,) = (one for one in json.loads(done(*words))["asked"] if one["why"] == "asked for")
    assert asked["said"].startswith("the rule minimum.stock leaves it out for everybody")
