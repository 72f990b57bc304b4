"""What is worked on some at a time is what it would be all at once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rec_export.inputs import item_inputs
from rec_export.sets import distinct, without
from tests.trainers.scenes import held_out, scenes
from trainers import validation
from trainers.validation import by_parts, not_met


def test_vectors_that_are_computed_in_parts_are_those_of_all_items(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, lists = held_out(shop / "config.yaml")
    every, state = np.arange(made.dataset.catalogue.items.trained), made.course.held
    trend = torch.from_numpy(lists.world.trend()[every])
    items = item_inputs(state.item_ports, made.dataset.item_features.take(every), trend, every)
    monkeypatch.setattr(validation, "ITEMS_AT_ONCE", 7)
    assert len(every) % 7
    with torch.no_grad():
        tower = made.course.towers.item_tower
        torch.testing.assert_close(by_parts(tower, items, state.device), tower(items))


def test_what_users_have_met_is_looked_up_for_some_users_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, lists = held_out(scenes(tmp_path))
    rng, world = np.random.default_rng(0), lists.world
    width, users = world.timeline.items, len(world.timeline.start) - 1
    user = np.sort(rng.permutation(users)[: users // 2])
    key = distinct(np.repeat(user, 40) * width + rng.integers(0, width, 40 * len(user)))
    seen = world.seen(user)
    wanted = without(key, user[seen.user()] * width + seen.item_row)
    assert 0 < len(wanted) < len(key)
    monkeypatch.setattr(validation, "USERS_AT_ONCE", 7)
    np.testing.assert_array_equal(not_met(key, user, world), wanted)
    assert len(not_met(key[:0], user[:0], world)) == 0
