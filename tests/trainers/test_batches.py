"""Which candidates of a batch stand for nothing new to a user."""

from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.batches import Device
from trainers.examples import Batch
from trainers.negatives import Candidates

ITEMS = st.lists(st.integers(0, 9), max_size=5)


@pytest.mark.parametrize("met", [True, False])
@given(seen=st.lists(ITEMS, min_size=3, max_size=3), target=st.lists(ITEMS, min_size=3, max_size=3), data=st.data())
def test_what_is_liked_next_is_taken_and_what_was_met_if_that_is_asked(
    met: bool, seen: list[list[int]], target: list[list[int]], data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(st.integers(0, 9), min_size=1, unique=True))
    batch = create_autospec(Batch, instance=True)
    for name, lists in (("seen", seen), ("target", target)):
        owner = [user for user, items in enumerate(lists) for _ in items]
        setattr(batch, name, np.array([item for items in lists for item in items], np.int64))
        setattr(batch, "owner" if name == "target" else "seen_owner", np.array(owner, np.int64))
    state = create_autospec(Device, instance=True)
    state.tensor = torch.as_tensor
    row, column = Device.taken(state, batch, Candidates(torch.tensor(drawn), torch.zeros(len(drawn))), met)
    wanted = {
        (user, drawn.index(item))
        for user in range(3)
        for item in {*target[user], *(seen[user] if met else [])} & {*drawn}
    }
    assert {*zip(row.tolist(), column.tolist(), strict=True)} == wanted
