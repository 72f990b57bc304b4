"""A model that looks at no time hears nothing of the date, whatever a caller fills in."""

import pytest
import torch

from rec_export.models import spec_of
from rec_export.towers import Dense, Sizes, TableSizes
from rec_export.world import CONTEXT, LASTING

ITEMS, USERS, LENGTH, TRENDS = 9, 5, 6, 4


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("name", ["hybrid", "gated"])
def test_only_a_model_with_time_is_told_the_date(name: str, ordered: bool) -> None:
    torch.manual_seed(1)
    sizes = Sizes(
        users=TableSizes(rows=USERS),
        items=TableSizes(rows=ITEMS, dense=(Dense(median=0.0, mean=0.0, std=1.0),)),
        context=CONTEXT, trend=TRENDS, counts=2, ordered=ordered,
    )  # fmt: skip
    tower = spec_of({"name": name}, "test").build(sizes).user_tower.eval()
    for weight in tower.parameters():
        torch.nn.init.normal_(weight)
    users = {
        "history": torch.randint(0, ITEMS, (USERS, LENGTH)),
        "history_length": torch.arange(1, USERS + 1),
        "context": torch.randn(USERS, CONTEXT),
    }
    other = {**users, "context": torch.where(torch.from_numpy(LASTING), users["context"], torch.nan)}
    with torch.no_grad():
        vectors, others = tower(users), tower(other)
    assert others.isnan().any() == ordered
    assert ordered or torch.equal(vectors, others)
