"""Every component of the gated model can reorder a user's items, and its gate begins fair and sees the user."""

import pytest
import torch
from torch import Tensor

from rec_export.layers import Gate
from rec_export.models.gated import Spec, UserTower
from rec_export.towers import Dense, Inputs, Sizes, TableSizes, Towers
from rec_export.world import CONTEXT
from trainers.loop import history_encoders

ITEMS, USERS, LENGTH, TRENDS = 9, 5, 6, 4
SIZES = Sizes(
    users=TableSizes(rows=USERS),
    items=TableSizes(rows=ITEMS, dense=(Dense(median=0.0, mean=0.0, std=1.0),), category=(3,)),
    context=CONTEXT, trend=TRENDS, counts=2, ordered=True,
)  # fmt: skip
NAMES = ("long", "recent", "content", "trend")


def built(spec: Spec, sizes: Sizes = SIZES) -> Towers:
    """Towers with a history table of the items' own vectors, in eval mode."""
    torch.manual_seed(1)
    towers = spec.build(sizes)
    for part in towers:
        part.eval()
    for encoder in history_encoders(towers):
        encoder.refresh(items())
    return towers


def items() -> Inputs:
    """All items, each different."""
    made = torch.Generator().manual_seed(2)
    return {
        "row": torch.arange(ITEMS),
        "dense": torch.randn(ITEMS, 1, generator=made),
        "category": torch.randint(0, 3, (ITEMS, 1), generator=made),
        "trend": torch.randn(ITEMS, TRENDS, generator=made),
    }


def users() -> Inputs:
    """Users with different histories and contexts."""
    made = torch.Generator().manual_seed(3)
    return {
        "history": torch.randint(0, ITEMS, (USERS, LENGTH), generator=made),
        "history_length": torch.arange(1, USERS + 1),
        "context": torch.randn(USERS, CONTEXT, generator=made),
    }


def scores(towers: Towers) -> Tensor:
    """float32 [users, items]."""
    with torch.no_grad():
        return towers.pair_head(towers.user_tower(users()), towers.item_tower(items()))


@pytest.mark.parametrize("name", NAMES)
def test_every_component_can_reorder_the_items_of_a_user(name: str) -> None:
    towers = built(Spec())
    tower = towers.user_tower
    assert isinstance(tower, UserTower)
    assert tower.gate is not None
    orders = []
    for weight in (0.0, 50.0):  # all components alike, then this one alone
        tower.gate.out.bias.data[NAMES.index(name)] = weight
        orders.append(scores(towers).argsort(1))
    different = scores(towers)
    assert (orders[0] != orders[1]).any()
    assert (different.std(1) > 1e-4).all()  # alone, too, it tells the items apart


def test_without_a_gate_the_components_are_summed_as_a_new_gate_does() -> None:
    gated, plain = built(Spec()), built(Spec(gate=False))
    state = {name: value for name, value in gated.user_tower.state_dict().items() if not name.startswith("gate.")}
    plain.user_tower.load_state_dict(state)
    plain.item_tower.load_state_dict(gated.item_tower.state_dict())
    gate = gated.user_tower.gate
    assert isinstance(gate, Gate)
    torch.nn.init.zeros_(gate.out.weight)
    torch.testing.assert_close(scores(gated), scores(plain))


def test_users_of_different_context_have_different_shares() -> None:
    gate = Gate(NAMES, CONTEXT, top=4, entropy=0.0, balance=0.0)
    torch.nn.init.normal_(gate.out.weight)
    share = gate(users()["context"])
    torch.testing.assert_close(share.sum(1), torch.ones(USERS))
    assert (share.std(0) > 0).all()


def test_a_new_gate_is_fair() -> None:
    share = Gate(NAMES, CONTEXT, top=4, entropy=0.0, balance=0.0)(users()["context"])
    torch.testing.assert_close(share, torch.full([USERS, 4], 0.25), atol=0.02, rtol=0)


@pytest.mark.parametrize("top", [1, 2, 3])
@pytest.mark.parametrize("training", [True, False])
def test_no_more_components_than_asked_for_have_a_share(top: int, training: bool) -> None:
    gate = Gate(NAMES, CONTEXT, top, entropy=0.0, balance=0.0).train(training)
    torch.nn.init.normal_(gate.out.weight)
    assert (gate(users()["context"]) > 0).sum(1).tolist() == [top] * USERS


def test_the_penalty_is_least_for_equal_shares_and_most_for_one_component_alone() -> None:
    gate = Gate(NAMES, CONTEXT, top=4, entropy=0.1, balance=0.1)
    equal, alone = torch.full([8, 4], 0.25), torch.eye(4)[[0] * 8]
    drawn = torch.softmax(torch.randn(8, 4, generator=torch.Generator().manual_seed(4)), 1)
    assert gate.penalty(equal) < gate.penalty(drawn) < gate.penalty(alone)


def test_the_balance_looks_at_all_users_and_the_entropy_at_each() -> None:
    each_its_own = torch.eye(4)[[0, 1, 2, 3] * 2]
    balance = Gate(NAMES, CONTEXT, top=4, entropy=0.0, balance=1.0)
    entropy = Gate(NAMES, CONTEXT, top=4, entropy=1.0, balance=0.0)
    torch.testing.assert_close(balance.penalty(each_its_own), torch.tensor(0.0))
    torch.testing.assert_close(entropy.penalty(each_its_own), torch.tensor(0.0), atol=1e-6, rtol=0)
    assert entropy.penalty(torch.full([8, 4], 0.25)) < -1


def test_what_a_log_cannot_tell_is_no_component() -> None:
    bare = Sizes(users=TableSizes(rows=1), items=TableSizes(rows=2), context=CONTEXT, trend=2, counts=1)
    gate = Spec().build(bare).user_tower.gate
    assert isinstance(gate, Gate)
    assert gate.names == ("long", "trend")
