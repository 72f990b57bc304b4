"""A head that the engine does not know: float64, and the same bits in whatever company."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from rec_export.topk import Ranker, Seen
from rec_export.topk.blocks import BlockEngine
from rec_export.towers import Head


class Scaled(Head):
    """tanh(u W) . i times a sum so long that torch cuts it among its threads."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(48, 48))
        self.summed = nn.Parameter(torch.randn(300_001))
        self.dropout = nn.Dropout(0.5)

    def forward(self, user_vec: Tensor, item_vec: Tensor) -> Tensor:
        """float [B, 48], float [N, 48] -> float [B, N]."""
        score: Tensor = self.dropout(torch.tanh(user_vec @ self.weight) @ item_vec.T)
        return score * self.summed.cos().sum()


def vectors(users: int, items: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(users, 48), torch.randn(items, 48)


def test_is_evaluated_in_float64_without_dropout_and_left_as_it_was() -> None:
    head = Scaled()
    user_vec, item_vec = vectors(2, 3000)
    found = np.stack(list(BlockEngine(head, item_vec).scores(user_vec)))
    wide = [tensor.detach().double().numpy() for tensor in (user_vec, head.weight, item_vec, head.summed)]
    np.testing.assert_allclose(found, np.tanh(wide[0] @ wide[1]) @ wide[2].T * np.cos(wide[3]).sum(), rtol=1e-9)
    assert head.training
    assert head.weight.dtype == torch.float32


def test_bits_depend_on_neither_the_threads_nor_the_rest_of_the_catalogue(threads: Callable[[int], None]) -> None:
    head = Scaled()
    user_vec, item_vec = vectors(3, 4000)
    whole = np.stack(list(BlockEngine(head, item_vec).scores(user_vec)))
    for number, items in ((2, 4000), (1, 2051), (2, 3), (1, 1)):
        threads(number)
        assert np.array_equal(np.stack(list(BlockEngine(head, item_vec[:items]).scores(user_vec))), whole[:, :items])
        assert torch.get_num_threads() == number


def test_bits_do_not_depend_on_the_other_users_of_the_batch() -> None:
    user_vec, item_vec = vectors(5, 100)
    ranker = Ranker(Scaled(), item_vec)
    together = ranker.top_k(user_vec, 10, Seen.none(5))
    alone = [ranker.top_k(user_vec[user : user + 1], 10, Seen.none(1)) for user in range(5)]
    assert np.array_equal(together.score, np.concatenate([best.score for best in alone]))
