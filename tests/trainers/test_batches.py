"""Which candidates of a batch stand for nothing new to a user."""

from pathlib import Path
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import done
from trainers.batches import Device
from trainers.examples import Batch
from trainers.losses import Pairs
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


@pytest.mark.parametrize("reject", [True, False])
def test_what_was_met_is_an_alternative_only_if_it_is_not_to_be_rejected(
    reject: bool, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, asked = Device.taken, set()

    def watched(self: Device, batch: Batch, candidates: Candidates, met: bool) -> Pairs:
        asked.add(met)
        return taken(self, batch, candidates, met)

    monkeypatch.setattr(Device, "taken", watched)
    training = f"training={{epochs: 1, loss: bce, candidates: 10, reject: {reject}}}"
    changes = "model={name: pmf, dim: 2}", training
    words = [word for change in changes for word in ("--set", change)]
    done("train", shop / "config.yaml", "--out", tmp_path / "checkpoint", *words)
    assert asked == {reject}
