"""A shallow auto-encoder is found in closed form."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from rec_export.data.log import Log
from rec_export.metrics import Float64
from rec_export.world import Timeline
from trainers.shallow import RIDGE, directions, shallow_tables

USERS, ITEMS = 60, 12


def liked() -> Float64:
    """Who liked what, 0 or 1, float64 [USERS, ITEMS]; the last user liked nothing."""
    found = (np.random.default_rng(0).random((USERS, ITEMS)) < 0.4).astype(np.float64)
    found[-1] = 0
    return found


def timeline() -> Timeline:
    """The same as a log without time, of a catalogue that has two more items."""
    user, item = np.nonzero(liked())
    log = Log(user.astype(np.int32), item.astype(np.int32), None, None, np.ones(len(user), bool))
    return Timeline.of(log, USERS, ITEMS + 2)


def weights(rank: int) -> Float64:
    """What the tables say of each two items, float64 [ITEMS, ITEMS]."""
    reads, says = (numbers.astype(np.float64) for numbers in shallow_tables(timeline(), ITEMS, rank))
    found: Float64 = reads @ says.T
    return found


def test_of_full_rank_it_is_ease() -> None:
    precision = np.linalg.inv(liked().T @ liked() + RIDGE * np.eye(ITEMS))  # Steck 2019, equation 8
    ease = -precision / np.diag(precision)
    between = ~np.eye(ITEMS, dtype=bool)
    np.testing.assert_allclose(weights(ITEMS)[between], ease[between], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(weights(ITEMS + 9)[between], ease[between], rtol=1e-4, atol=1e-6)


def test_of_a_lower_rank_it_keeps_the_largest_directions() -> None:
    size, along = np.linalg.eigh(liked().T @ liked())
    kept = (along[:, -4:] * (size[-4:] / (size[-4:] + RIDGE))) @ along[:, -4:].T
    np.testing.assert_allclose(weights(4), kept / (1 - np.diag(kept)), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("users", "items"), [(500, 90), (90, 500), (6, 500), (500, 6)])
def test_users_who_like_the_same_have_few_directions_and_no_other_is_made_up(users: int, items: int) -> None:
    who = np.zeros((users, items), np.float32)
    who[:, :3] = 1
    who[::2, 3:5] = 1
    size, across = directions(csr_matrix(who), 64)
    kept = (across.T * size**2) @ across  # X'X again
    np.testing.assert_allclose(kept, who.T @ who, atol=2e-3 * users)
    assert len(size) == min(64, users, items)


def test_of_many_users_some_tell_what_goes_with_what(monkeypatch: pytest.MonkeyPatch) -> None:
    all_tell = weights(4)
    monkeypatch.setattr("trainers.shallow.PEERS", 40)
    peers = np.random.default_rng(0).permutation(np.flatnonzero(liked().any(1)))[:40]
    few = liked()[peers]
    size, along = np.linalg.eigh(few.T @ few)
    kept = (along[:, -4:] * (size[-4:] / (size[-4:] + RIDGE))) @ along[:, -4:].T
    np.testing.assert_allclose(weights(4), kept / (1 - np.diag(kept)), rtol=1e-3, atol=1e-5)
    assert not np.allclose(weights(4), all_tell, rtol=1e-2)
