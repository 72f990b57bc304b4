"""A run answers everybody, with exactly the best items that each has not met, by the world as of its date."""

import json
from collections import defaultdict
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from rec_export.bundle import Bundle
from rec_export.catalogue import Catalogue
from rec_export.data.log import make_log, read_events
from rec_export.device import device_of
from rec_export.scorer import Model, Scorer
from rec_export.world import Timeline
from tests.conftest import LAST_DAY, config_file, done, read_lists, write_table

Lists = dict[object, list[object]]  # the items of each user, in order


def score(bundle: Path, log: Path, out: Path, *more: object, day: str = LAST_DAY) -> pa.Table:
    """The rows of a run."""
    done("score", bundle, "--interactions", log, "--out", out, "--run-date", day, *more)
    return read_lists(out)


def lists_of(rows: pa.Table) -> Lists:
    """The items of each user, in the order of the rows."""
    lists = defaultdict(list)
    for user, item in zip(rows["user_id"].to_pylist(), rows["item_id"].to_pylist(), strict=True):
        lists[user].append(item)
    return dict(lists)


def met(log: Path) -> dict[str, set[str]]:
    """The items that each user has met, liked or not."""
    rows = pd.read_parquet(log)
    return {str(user): set(items) for user, items in rows.groupby("user_id").item_id}


def some_users(folder: Path, **columns: object) -> Path:
    """A table of users to score."""
    return write_table(folder / "some.parquet", **columns)


def test_everybody_in_the_log_or_the_bundle_is_answered(scored: Path, shop: Path, trained: Path) -> None:
    known = set(pq.read_table(trained / "users.parquet")["user_id"].to_pylist())
    assert set(lists_of(read_lists(scored))) == known | set(met(shop / "interactions.parquet"))


def test_rows_are_sorted_by_user_and_then_rank_which_counts_from_1(scored: Path) -> None:
    rows = read_lists(scored)
    expected = [(user, rank) for user, items in sorted(lists_of(rows).items()) for rank in range(1, len(items) + 1)]
    assert list(zip(rows["user_id"].to_pylist(), rows["rank"].to_pylist(), strict=True)) == expected


def test_no_item_that_a_user_has_met_is_recommended(scored: Path, shop: Path) -> None:
    seen = met(shop / "interactions.parquet")
    lists = lists_of(read_lists(scored))
    assert {user for user, items in lists.items() if seen.get(str(user), set()) & set(items)} == set()


def test_seen_items_can_be_kept(exported: Path, shop: Path, tmp_path: Path) -> None:
    rows = score(exported, shop / "interactions.parquet", tmp_path / "recs", "--k", 1000, "--seen", "keep")
    assert {len(set(items)) for items in lists_of(rows).values()} == {120}


def test_lists_are_the_best_by_the_definition(scored: Path, exported: Path, shop: Path) -> None:
    bundle = Bundle.read(exported)
    data = bundle.manifest.blueprint.data.interactions
    events = read_events(data.model_copy(update={"path": shop / "interactions.parquet"}))
    users, items = bundle.catalogue.users.vocab, bundle.catalogue.items.vocab
    world = Timeline.of(make_log(events, users, items), len(users), len(items)).as_of(
        None, bundle.manifest.blueprint.clock
    )
    model = Model.of_bundle(bundle, "torchscript", device_of("cpu"))
    scorer = Scorer(model, bundle.catalogue, world)
    user_vec = scorer.user_vectors(np.arange(len(users)))
    item_vec = scorer.item_vectors(torch.from_numpy(world.trend()))
    value = model.head.double()(user_vec.double(), item_vec.double()).detach().numpy()
    seen = defaultdict(set, met(shop / "interactions.parquet"))
    ids, titles = users.ids.to_pylist(), items.ids.to_pylist()
    expected = {
        user: [titles[i] for i in np.lexsort((np.arange(len(items)), -value[row])) if titles[i] not in seen[user]][:10]
        for row, user in enumerate(ids)
    }
    lists = lists_of(read_lists(scored))
    assert {user: lists[user] for user in expected} == expected


@pytest.mark.parametrize("runtime", ["onnx", "pt2"])
def test_every_runtime_gives_the_same_lists(
    runtime: str, scored: Path, exported: Path, shop: Path, tmp_path: Path
) -> None:
    log = shop / "interactions.parquet"
    rows = score(exported, log, tmp_path / "recs", "--k", 10, "--runtime", runtime)
    assert lists_of(rows) == lists_of(read_lists(scored))


def test_a_csv_log_gives_the_same_lists(scored: Path, exported: Path, shop: Path, tmp_path: Path) -> None:
    pd.read_parquet(shop / "interactions.parquet").to_csv(tmp_path / "log.csv.gz", index=False)
    rows = score(exported, tmp_path / "log.csv.gz", tmp_path / "recs", "--k", 10)
    assert lists_of(rows) == lists_of(read_lists(scored))


def test_more_than_there_is_gives_shorter_lists(exported: Path, shop: Path, tmp_path: Path) -> None:
    rows = score(exported, shop / "interactions.parquet", tmp_path / "recs", "--k", 1000)
    seen = met(shop / "interactions.parquet")
    lengths = {user: len(items) for user, items in lists_of(rows).items()}
    assert lengths == {user: 120 - len(seen.get(str(user), set())) for user in lengths}


def test_other_programs_read_the_run(scored: Path, shop: Path) -> None:
    query = f"select count(distinct user_id), min(rank), max(rank), min(run_date) from '{scored}/**/*.parquet'"
    users = len(lists_of(read_lists(scored)))
    assert duckdb.execute(query).fetchall() == [(users, 1, 10, pd.Timestamp(LAST_DAY).date())]


# New users


def sources(rows: pa.Table) -> dict[object, str]:
    """Where each user's list came from."""
    return dict(zip(rows["user_id"].to_pylist(), rows["source"].to_pylist(), strict=True))


def with_newcomer(shop: Path, folder: Path) -> Path:
    """The log with a new user who bought two things."""
    log = pd.read_parquet(shop / "interactions.parquet")
    rows = log.tail(2).assign(user_id="newcomer", rating=5)
    pd.concat([log, rows]).to_parquet(folder / "log.parquet")
    return folder / "log.parquet"


def test_the_source_says_what_was_known_of_a_user(exported: Path, shop: Path, tmp_path: Path) -> None:
    known = pd.read_parquet(shop / "interactions.parquet").user_id[0]
    users = some_users(
        tmp_path,
        user_id=[known, "newcomer", "described", "nobody"],
        country=[None, None, pd.read_parquet(shop / "users.parquet").country[0], None],
        age_group=pa.nulls(4, pa.string()),
    )
    rows = score(exported, with_newcomer(shop, tmp_path), tmp_path / "recs", "--users", users)
    assert sources(rows) == {known: "model", "newcomer": "cold", "described": "cold", "nobody": "fallback"}


def test_users_can_be_named_without_their_attributes(exported: Path, shop: Path, tmp_path: Path) -> None:
    known = pd.read_parquet(shop / "interactions.parquet").user_id[0]
    users = some_users(tmp_path, user_id=["nobody", known])
    rows = score(exported, shop / "interactions.parquet", tmp_path / "recs", "--users", users)
    assert sources(rows) == {known: "model", "nobody": "fallback"}


def test_a_user_of_whom_nothing_is_known_gets_what_newcomers_like_first(
    exported: Path, shop: Path, tmp_path: Path
) -> None:
    users = some_users(tmp_path, user_id=["nobody", pd.read_parquet(shop / "interactions.parquet").user_id[0]])
    rows = score(exported, shop / "interactions.parquet", tmp_path / "recs", "--users", users, "--k", 5)
    bundle = Bundle.read(exported)
    blueprint, catalogue = bundle.manifest.blueprint, bundle.catalogue
    catalogue = Catalogue(catalogue.users.grown(pa.array(["nobody"]), None), catalogue.items)
    events = read_events(blueprint.data.interactions.model_copy(update={"path": shop / "interactions.parquet"}))
    log = make_log(events, catalogue.users.vocab, catalogue.items.vocab)
    world = Timeline.of(log, len(catalogue.users.vocab), len(catalogue.items.vocab)).as_of(None, blueprint.clock)
    scorer = Scorer(Model.of_bundle(bundle, "torchscript", device_of("cpu")), catalogue, world)
    best = scorer.lists(np.array([len(catalogue.users.vocab) - 1]), 5).top.item_row[0]
    assert lists_of(rows)["nobody"] == catalogue.items.vocab.take(best).to_pylist()


def test_a_bundle_of_one_format_is_run_by_it(trained: Path, shop: Path, tmp_path: Path) -> None:
    done("onnx", trained, "--out", tmp_path / "bundle")
    words = "--interactions", shop / "interactions.parquet", "--out", tmp_path / "recs", "--json"
    assert json.loads(done("score", tmp_path / "bundle", *words, "--run-date", LAST_DAY))["runtime"] == "onnx"


# Integer ids, and a model without attributes


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of int64 users and int32 items without time, and the bundle of a pmf that was trained on it."""
    folder = tmp_path_factory.mktemp("numbers")
    rng = np.random.default_rng(3)
    user, item = rng.integers(0, 40, 400) * 10**12, rng.integers(0, 30, 400).astype(np.int32)
    write_table(folder / "log.parquet", user_id=user, item_id=item)
    data = {"interactions": {"path": "log.parquet"}}
    config = config_file(folder, data=data, model={"name": "pmf", "dim": 4}, training={"epochs": 1})
    done("train", config, "--out", folder / "checkpoint")
    done("torchscript", folder / "checkpoint", "--out", folder / "bundle")
    return folder


def test_ids_come_out_in_the_type_they_came_in(numbers: Path, tmp_path: Path) -> None:
    schema = score(numbers / "bundle", numbers / "log.parquet", tmp_path / "recs").schema
    assert [(field.name, str(field.type)) for field in schema] == [
        ("user_id", "int64"),
        ("rank", "int16"),
        ("item_id", "int32"),
        ("score", "float"),
        ("source", "string"),
    ]


def test_integer_ids_are_sorted_as_numbers(numbers: Path, tmp_path: Path) -> None:
    users = score(numbers / "bundle", numbers / "log.parquet", tmp_path / "recs", "--k", 1)["user_id"].to_pylist()
    assert users == sorted(users)


def test_a_model_that_knows_rows_alone_falls_back_for_every_new_user(numbers: Path, tmp_path: Path) -> None:
    log = pq.read_table(numbers / "log.parquet")
    new = pa.table({"user_id": pa.array([-5, -5]), "item_id": pa.array([1, 2], pa.int32())})
    pq.write_table(pa.concat_tables([log, new]), tmp_path / "log.parquet")
    rows = score(numbers / "bundle", tmp_path / "log.parquet", tmp_path / "recs")
    told = sources(rows)
    assert {user for user, source in told.items() if source == "fallback"} == {-5}
    assert not {1, 2} & set(lists_of(rows)[-5])
    count = np.bincount(pa.concat_tables([log, new])["item_id"].to_numpy())
    count[[1, 2]] = 0
    best = np.array(lists_of(rows)[-5][:10], np.int64)
    assert count[best].tolist() == np.sort(count)[::-1][:10].tolist()


def test_numbers_that_were_written_as_text_are_the_same_ids(numbers: Path, tmp_path: Path) -> None:
    log = pd.read_parquet(numbers / "log.parquet")
    log.to_csv(tmp_path / "log.csv", index=False)
    log.astype(str).to_parquet(tmp_path / "text.parquet")
    tables = [
        score(numbers / "bundle", path, tmp_path / f"recs{place}")
        for place, path in enumerate((numbers / "log.parquet", tmp_path / "log.csv", tmp_path / "text.parquet"))
    ]
    assert [table.equals(tables[0]) for table in tables] == [True, True, True]
