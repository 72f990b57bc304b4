"""What is published under business rules is what a slow walk over the whole ranking without rules would choose."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml

from batch_jobs.rules import broken
from rec_export.bundle import Bundle
from rec_export.data.log import make_log, read_events
from rec_export.device import device_of
from rec_export.policy import Policy
from rec_export.run_manifest import RunManifest
from rec_export.scorer import Model, Scorer
from rec_export.topk.caps import Caps
from rec_export.topk.contract import Allowed, Seen
from rec_export.world import Timeline
from tests.conftest import LAST_DAY, command, config_file, done, read_lists, write_table

K = 10
Ranking = dict[str, list[tuple[str, float]]]  # of each user: items and scores, best first


class Place(NamedTuple):
    """A shop with stock, and the ranking of all items for everybody, without rules."""

    folder: Path
    bundle: Path
    items: pd.DataFrame  # by item_id
    whole: Ranking

    def score(self, out: Path, rules: dict[str, Any]) -> RunManifest:
        """Publish lists under rules."""
        config = config_file(self.folder, rules=rules)
        words = "--interactions", self.folder / "interactions.parquet", "--items", self.folder / "items.parquet"
        where = "--out", out, "--run-date", LAST_DAY, "--k", K, "--json"
        answer = command("score", self.bundle, *words, *where, "--rules", config)
        assert answer.code == 0, answer.err
        return RunManifest.model_validate_json(answer.out)


@pytest.fixture(scope="module")
def place(shop: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """No test may change it."""
    folder = tmp_path_factory.mktemp("rules")
    random = np.random.default_rng(0)
    items = pd.read_parquet(shop / "items.parquet")
    items = items.assign(stock=random.integers(0, 6, len(items)), explicit=random.random(len(items)) < 0.1)
    items.loc[3, "brand"] = None
    items.to_parquet(folder / "items.parquet")
    log = pd.read_parquet(shop / "interactions.parquet")
    log.to_parquet(folder / "interactions.parquet")
    users, ids = log.user_id.drop_duplicates().to_numpy(), items.item_id.to_numpy()
    write_table(folder / "deny.parquet", sku=ids[:4])
    pairs = {"user_id": np.repeat(users[:60], 30), "item_id": random.choice(ids, 1800)}
    write_table(folder / "deny_by_user.parquet", **pairs)
    own = {"user_id": np.repeat(users[40:80], 3), "item_id": random.choice(ids, 120)}
    pd.DataFrame(own).to_csv(folder / "allow_by_user.csv", index=False)
    words = "--items", folder / "items.parquet", "--out", folder / "whole", "--run-date", LAST_DAY, "--k", 1000
    done("score", exported, "--interactions", folder / "interactions.parquet", *words)
    return Place(folder, exported, items.set_index("item_id"), ranking(folder / "whole"))


def ranking(recs: Path) -> Ranking:
    """What was published."""
    rows = read_lists(recs).to_pandas()
    return {str(user): list(zip(own.item_id, own.score, strict=True)) for user, own in rows.groupby("user_id")}


def pairs(path: Path) -> dict[str, set[str]]:
    """The items of each user in a table."""
    rows = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return {str(user): set(own) for user, own in rows.groupby("user_id").item_id}


def capped(
    items: pd.DataFrame, order: list[tuple[str, float]], caps: dict[str, int], k: int
) -> list[tuple[str, float]]:
    """The first k of an order that the caps allow."""
    taken: list[tuple[str, float]] = []
    held: Counter[tuple[str, str]] = Counter()
    for item, score in order:
        kinds = [(column, items[column][item]) for column in caps if pd.notna(items[column][item])]
        if len(taken) < k and all(held[kind] < caps[kind[0]] for kind in kinds):
            taken.append((item, score))
            held.update(kinds)
    return taken


EXACT: dict[str, Any] = {
    "deny": {"path": "deny.parquet", "item": "sku"},
    "deny_by_user": {"path": "deny_by_user.parquet"},
    "allow_by_user": {"path": "allow_by_user.csv"},
    "exclude": {"explicit": True},
    "minimum": {"stock": 1},
    "caps": {"brand": 1, "category": 3},
}


def test_all_rules_at_once_are_a_walk_over_the_whole_ranking_and_are_counted(place: Place, tmp_path: Path) -> None:
    run = place.score(tmp_path / "recs", EXACT)
    items, folder = place.items, place.folder
    gone = set(items.index[:4]) | set(items.index[items.explicit]) | set(items.index[items.stock < 1])
    denied, own = pairs(folder / "deny_by_user.parquet"), pairs(folder / "allow_by_user.csv")
    expected, without_caps, left = {}, 0, {}
    for user, order in place.whole.items():
        there = [pair for pair in order if pair[0] not in gone | denied.get(user, set())]
        there = [pair for pair in there if user not in own or pair[0] in own[user]]
        if user in own:
            left[user] = len(there)
        expected[user] = capped(items, there, EXACT["caps"], K)
        without_caps += len(set(there[:K]) - set(expected[user]))
    assert ranking(tmp_path / "recs") == {user: order for user, order in expected.items() if order}
    told = run.rules
    assert told is not None
    assert told.items == {"deny": 4, "exclude.explicit": items.explicit.sum(), "minimum.stock": (items.stock < 1).sum()}
    assert (told.items_before, run.items) == (len(items), len(items) - len(gone))
    assert told.denied_pairs == sum(
        pair[0] in denied.get(user, set()) - gone and (user not in own or pair[0] in own[user])
        for user, order in place.whole.items()
        for pair in order
    )
    assert (told.restricted_users, told.short_of_own) == (len(left), sum(size < K for size in left.values()))
    assert (told.empty_of_own, run.empty_lists) == (sum(size == 0 for size in left.values()),) * 2
    assert (run.capped, run.varied, told.approximate, told.unmatched) == (
        without_caps, 0, (), {"deny": 0, "deny_by_user": 0, "allow_by_user": 0},
    )  # fmt: skip
    assert without_caps > 0


def test_an_allow_list_is_all_that_anybody_gets_and_a_column_may_lack_a_value(place: Place, tmp_path: Path) -> None:
    ids = list(place.items.index[:30])
    place.score(tmp_path / "recs", {"allow": [*ids, "gone"], "exclude": {"brand": [None, place.items.brand.iloc[0]]}})
    left = {item for item in ids if pd.notna(place.items.brand[item])} - set(
        place.items.index[place.items.brand == place.items.brand.iloc[0]]
    )
    expected = {user: [pair for pair in order if pair[0] in left][:K] for user, order in place.whole.items()}
    assert ranking(tmp_path / "recs") == {user: order for user, order in expected.items() if order}


def test_a_popularity_penalty_is_taken_from_every_score(place: Place, tmp_path: Path) -> None:
    place.score(tmp_path / "recs", {"popularity_penalty": 0.25})
    log = pd.read_parquet(place.folder / "interactions.parquet")
    likings = log[log.rating >= 4].item_id.value_counts()
    less = {item: 0.25 * np.log1p(likings.get(item, 0)) for item in place.items.index}
    for user, order in ranking(tmp_path / "recs").items():
        best = sorted(place.whole[user], key=lambda pair: less[pair[0]] - pair[1])[:K]
        assert [score for _, score in order] == pytest.approx([score - less[item] for item, score in best], abs=1e-5)


def test_lists_for_diversity_keep_to_the_caps_and_say_that_they_are_approximate(place: Place, tmp_path: Path) -> None:
    run = place.score(tmp_path / "recs", {"caps": {"brand": 1}, "diversity": {"relevance": 0.5, "fetch": 3}})
    assert run.rules is not None
    assert (run.rules.approximate, run.varied > 0) == (("diversity",), True)
    for user, order in ranking(tmp_path / "recs").items():
        pool = capped(place.items, place.whole[user], {"brand": 1}, 3 * K)
        assert {item for item, _ in order} <= {item for item, _ in pool}
        assert (len(order), order[0][0]) == (min(K, len(pool)), pool[0][0])


def test_a_run_is_another_one_when_a_rule_or_its_file_changes_and_the_same_one_otherwise(
    place: Place, tmp_path: Path
) -> None:
    denied = write_table(tmp_path / "denied.parquet", item_id=list(place.items.index[:2]))
    rules = {"deny": {"path": str(denied)}, "caps": {"brand": 2}}
    first = place.score(tmp_path / "recs", rules)
    assert place.score(tmp_path / "recs", rules) == first
    moved = denied.rename(tmp_path / "elsewhere.parquet")
    assert place.score(tmp_path / "recs", {**rules, "deny": {"path": str(moved)}}).run_id == first.run_id
    write_table(moved, item_id=list(place.items.index[:3]))
    config_file(place.folder, data={"interactions": {"path": "x"}}, rules={**rules, "deny": {"path": str(moved)}})
    again = "--interactions", place.folder / "interactions.parquet", "--items", place.folder / "items.parquet"
    words = "score", place.bundle, *again, "--out", tmp_path / "recs", "--run-date", LAST_DAY, "--k", K
    assert "made with different rules.deny;" in command(*words, "--rules", place.folder / "config.yaml").err
    assert "made with different rules, rules.deny;" in command(*words).err
    assert len({place.score(tmp_path / name, {"caps": {"brand": n}}).run_id for name, n in (("a", 2), ("b", 3))}) == 2


def test_lists_that_are_short_because_of_lists_of_ones_own_pass_the_gates(place: Place, tmp_path: Path) -> None:
    shop = tmp_path
    fields = yaml.safe_load(Path(place.folder / "config.yaml").read_text()) | {
        "data": Bundle.read(place.bundle).manifest.blueprint.data.model_dump(mode="json", exclude={"users", "split"})
    }
    data = fields["data"]
    data["interactions"]["path"] = str(place.folder / "interactions.parquet")
    data["items"]["path"] = str(place.folder / "items.parquet")
    gates = {"first_item": 1.0, "same_list": 1.0, "newest_event_hours": 1e6}
    nightly = {"bundle": str(place.bundle), "out": "recs", "gates": gates}
    rules = {"allow_by_user": {"path": str(place.folder / "allow_by_user.csv")}}
    config = config_file(shop, data=data, rules=rules, nightly=nightly, score={"k": K})
    report = json.loads(done("nightly", config, "--run-date", LAST_DAY, "--json"))
    gate = {one["gate"]: (one["verdict"], one["value"]) for one in report["gates"]}
    assert report["short_lists"] == 40
    assert (gate["short_lists"], gate["covered"]) == (("passed", 0.0), ("passed", 1.0))


# What guards the guards


def scorer_of(place: Place, policy: Policy) -> Scorer:
    """The shop's scorer under a policy."""
    bundle = Bundle.read(place.bundle)
    users, items = bundle.catalogue.users.vocab, bundle.catalogue.items.vocab
    source = bundle.manifest.blueprint.data.interactions
    log = make_log(read_events(source.model_copy(update={"path": place.folder / "interactions.parquet"})), users, items)
    world = Timeline.of(log, len(users), len(items)).as_of(None, bundle.manifest.blueprint.clock)
    return Scorer(Model.of_bundle(bundle, "torchscript", device_of("cpu")), bundle.catalogue, world, None, policy)


def strict(place: Place) -> Policy:
    """User 0 is denied the even items, user 1 has a list of five; three items of a kind at most."""
    bundle = Bundle.read(place.bundle)
    users, items = len(bundle.catalogue.users.vocab), len(bundle.catalogue.items.vocab)
    even, restricted = np.arange(0, items, 2), np.zeros(users, np.bool_)
    restricted[1] = True
    denied = Seen.of(np.zeros(len(even), np.int64), even, users)
    own = Seen.of(np.ones(5, np.int64), np.array([1, 4, 9, 16, 25]), users)
    return Policy(None, denied, Allowed(restricted, own), Caps(np.arange(items)[:, None] % 4, np.full(4, 3)))


def test_the_popular_items_of_users_without_anything_keep_to_the_rules(place: Place) -> None:
    scorer = scorer_of(place, strict(place))
    user = np.arange(6)
    seen = [set(scorer.seen(user[[u]], False).item_row.tolist()) for u in user]
    popularity = scorer.world.trend()[:, scorer.model.blueprint.recent].astype(float)
    order = np.lexsort((np.arange(len(popularity)), -popularity)).tolist()
    got = scorer.popular(user, 8).top
    for u in user:
        held: list[int] = []
        for item in order:
            allowed = item not in seen[u] and (u != 1 or item in {1, 4, 9, 16, 25})
            if allowed and len(held) < 8 and sum(other % 4 == item % 4 for other in held) < 3:
                held.append(item)
        assert got.item_row[u, : got.count[u]].tolist() == held
    assert all(item % 2 for item in got.item_row[0, : got.count[0]].tolist())


def test_rows_that_break_a_rule_are_found_by_the_gate(place: Place) -> None:
    scorer = scorer_of(place, strict(place))
    user, item = np.array([0, 0, 1, 1, 2, 2, 2, 2, 2]), np.array([1, 2, 4, 5, 0, 4, 8, 12, 1])
    assert broken(user, item, scorer.policy, len(scorer.place)) == {
        "items that are denied to the user": 1,
        "items that are not on the user's own list": 1,
        "more items of a kind than its cap allows": 1,
    }
    lists = scorer.best(np.arange(50), 10).top
    held = np.repeat(np.arange(50), lists.count)
    items = lists.item_row[lists.item_row >= 0]
    assert set(broken(held, items, scorer.policy, len(scorer.place)).values()) == {0}
