"""What is liked soon after what is counted by steps, and kept as two tables."""

import numpy as np
import pytest

from rec_export.data.log import Log
from rec_export.metrics import Float64
from rec_export.world import Timeline
from trainers import following
from trainers.following import FOLLOWED, SHRINK, STEPS, followed, following_tables

ITEMS = 12


def timeline(lists: list[list[int]], items: int = ITEMS) -> Timeline:
    """A log in which each user likes a list of items, one after another."""
    user = np.repeat(np.arange(len(lists)), [len(one) for one in lists]).astype(np.int32)
    item = np.concatenate([np.array(one, np.int32) for one in lists])
    time = np.arange(len(item))
    return Timeline.of(Log(user, item, time, None, np.ones(len(user), bool)), len(lists), items)


def orders(users: int = 40) -> list[list[int]]:
    """Of each user some items, in an order of their own."""
    rng = np.random.default_rng(0)
    return [rng.permutation(ITEMS)[: rng.integers(0, ITEMS + 1)].tolist() for _ in range(users)]


def counted(lists: list[list[int]]) -> Float64:
    """The pairs, one by one, float64 [ITEMS, ITEMS]."""
    found = np.zeros((ITEMS, ITEMS))
    for mine in lists:
        for place, one in enumerate(mine):
            for step, other in enumerate(mine[place + 1 : place + 1 + STEPS]):
                found[one, other] += 0.5 ** (step / FOLLOWED)
    return found


def test_a_pair_counts_in_its_order_and_less_for_what_lies_between() -> None:
    assert dict(followed(timeline([[3, 1, 4]]), ITEMS).todok().items()) == {
        (3, 1): 1,
        (1, 4): 1,
        (3, 4): np.float32(0.5 ** (1 / 3)),
    }
    np.testing.assert_allclose(followed(timeline(orders()), ITEMS).toarray(), counted(orders()), rtol=1e-5)


def test_of_a_long_history_the_newest_items_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LATEST", 3)
    newest = [one[-3:] for one in orders()]
    np.testing.assert_allclose(followed(timeline(orders()), ITEMS).toarray(), counted(newest), rtol=1e-5)


def test_of_many_likings_those_of_some_users_count_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = [[one, (one + 1) % ITEMS] for one in range(ITEMS)]  # each user makes a pair of their own
    monkeypatch.setattr(following, "LIKINGS", 9)
    pairs = followed(timeline(lists), ITEMS).toarray()
    assert (pairs.sum(), (counted(lists) - pairs).min()) == (4, 0)


def test_few_directions_are_found_alike_each_time() -> None:
    log = timeline([np.random.default_rng(user).permutation(200)[:2].tolist() for user in range(40)], 200)
    once, again = (following_tables(log, 200, 64) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(once, again, strict=True))


@pytest.mark.parametrize("rank", [3, ITEMS - 1, ITEMS, 64])
def test_the_tables_are_the_largest_directions_of_the_cosines(rank: int) -> None:
    pairs = counted(orders())
    cosine = pairs / np.sqrt(np.outer(pairs.sum(1) + SHRINK, pairs.sum(0) + SHRINK))
    left, size, right = np.linalg.svd(cosine)
    reads, says = following_tables(timeline(orders()), ITEMS, rank)
    assert reads.shape == says.shape == (ITEMS, min(rank, ITEMS))
    np.testing.assert_allclose(reads @ says.T, (left[:, :rank] * size[:rank]) @ right[:rank], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("lists", [[[1], [2], []], [[3, 1]], [[3, 1]] * 9, [[3, 1], [1, 3]], [[0, 1, 2], [2, 1, 0]]])
def test_of_few_pairs_nothing_is_made_up(lists: list[list[int]]) -> None:
    pairs = counted(lists)
    reads, says = following_tables(timeline(lists), ITEMS, 4)
    wanted = pairs / np.sqrt(np.outer(pairs.sum(1) + SHRINK, pairs.sum(0) + SHRINK))
    np.testing.assert_allclose(reads @ says.T, wanted, atol=1e-6)
