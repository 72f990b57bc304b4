"""The towers of a shallow auto-encoder: sums over histories, in any form."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from rec_export.shallow import Shallow, ShallowItem, ShallowUser

ITEMS, RANK = 5, 3


def tables() -> tuple[Tensor, Tensor]:
    """What items read and say, float32 [items, rank] each."""
    made = torch.Generator().manual_seed(0)
    return torch.randn(ITEMS, RANK, generator=made), torch.randn(ITEMS, RANK, generator=made)


def towers(half: float | None) -> tuple[ShallowUser, ShallowItem]:
    """Towers of these tables."""
    user, item, _ = Shallow(rank=RANK, half=half, share=1.0).build(ITEMS)
    assert isinstance(user, ShallowUser)
    assert isinstance(item, ShallowItem)
    user.reads[:ITEMS], item.says[:ITEMS] = tables()
    return user, item


@pytest.mark.parametrize("how", [lambda tower: tower, torch.jit.script])
@pytest.mark.parametrize("half", [None, 2.0])
def test_a_user_is_the_sum_of_what_known_items_read_the_older_ones_fading(
    half: float | None, how: Callable[[nn.Module], nn.Module]
) -> None:
    reads, _ = tables()
    history = torch.tensor([[3, 1, 4, 0], [2, -1, 9, 9], [ITEMS, 7, 1, -5], [1, 1, 1, 1]])
    length = torch.tensor([4, 1, 4, 0])
    fade = [1.0 if half is None else 0.5 ** (age / half) for age in range(4)]
    wanted = torch.stack(
        [
            reads[3] * fade[3] + reads[1] * fade[2] + reads[4] * fade[1] + reads[0],
            reads[2],
            reads[1] * fade[1],  # what is unknown still takes its place in time
            torch.zeros(RANK),
        ]
    )
    found = how(towers(half)[0])({"history": history, "history_length": length})
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("how", [lambda tower: tower, torch.jit.script])
def test_an_item_that_is_not_known_says_nothing(how: Callable[[nn.Module], nn.Module]) -> None:
    _, says = tables()
    row = torch.tensor([0, 4, 5, -1, 2**62])
    found = how(towers(None)[1])({"row": row})
    torch.testing.assert_close(found, torch.stack([says[0], says[4], *torch.zeros(3, RANK)]))
