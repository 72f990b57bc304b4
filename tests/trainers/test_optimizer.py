"""Long tables move row by row, all other weights by AdamW, and their mean is the one of every step."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from trainers.averaging import EVERY, Averaged
from trainers.optimizer import RowWiseAdamW, clip, long_tables

ROWS, DIM, LR, DECAY = 12, 3, 0.1, 0.5
BETAS = (0.9, 0.99)


class Towers(nn.Module):
    """A long table, a short one, and a layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.long, self.short, self.layer = nn.Embedding(ROWS, DIM), nn.Embedding(ROWS - 1, DIM), nn.Linear(DIM, 1)

    def forward(self, row: Tensor) -> Tensor:
        """int64 [B] -> float32 [B, 1]."""
        return self.layer(self.long(row) + self.short(row % self.short.num_embeddings))


def trainer(module: Towers) -> RowWiseAdamW:
    """The optimizer of a module whose long table learns by sparse gradients."""
    module.long.sparse = True
    return RowWiseAdamW(module.parameters(), lr=LR, betas=BETAS, weight_decay=DECAY)


def step(module: Towers, optimizer: torch.optim.Optimizer, row: list[int]) -> None:
    """Learn from some rows."""
    optimizer.zero_grad(set_to_none=True)
    module(torch.tensor(row)).square().sum().backward()
    clip(list(module.parameters()), 1e9)
    optimizer.step()


def test_only_tables_of_so_many_rows_are_long() -> None:
    module = Towers()
    assert long_tables(module, ROWS) == [module.long]
    assert long_tables(module, ROWS + 1) == []


def test_a_row_that_is_not_looked_up_neither_moves_nor_decays() -> None:
    module = Towers()
    before = module.long.weight.detach().clone()
    step(module, trainer(module), [3, 3, 7])
    moved = (module.long.weight != before).any(1)
    assert moved.nonzero().flatten().tolist() == [3, 7]


def test_a_first_step_is_the_rate_along_the_gradient_beside_the_decay() -> None:
    weight = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    (nn.functional.embedding(torch.tensor([1]), weight, sparse=True) * torch.tensor([3.0, -4.0])).sum().backward()
    clip([weight], 1e9)
    RowWiseAdamW([weight], lr=LR, betas=BETAS, weight_decay=DECAY).step()
    size = ((9 + 16) / 2) ** 0.5
    expected = [[1.0, 2.0], [3 * (1 - LR * DECAY) - LR * 3 / size, 4 * (1 - LR * DECAY) + LR * 4 / size]]
    torch.testing.assert_close(weight.detach(), torch.tensor(expected))


def test_a_table_of_width_one_moves_as_by_adamw_without_a_first_moment() -> None:
    torch.manual_seed(1)
    mine, theirs = (nn.Embedding(ROWS, 1, sparse=sparse) for sparse in (True, False))
    theirs.load_state_dict(mine.state_dict())
    ours = RowWiseAdamW(mine.parameters(), lr=LR, betas=BETAS, weight_decay=DECAY)
    torchs = torch.optim.AdamW(theirs.parameters(), lr=LR, betas=(0.0, BETAS[1]), weight_decay=DECAY)
    for place in range(20):
        for table, optimizer in ((mine, ours), (theirs, torchs)):
            optimizer.zero_grad()
            (table(torch.arange(ROWS)).flatten() * torch.sin(torch.arange(ROWS) + place)).sum().backward()
            clip(list(table.parameters()), 1e9)
            optimizer.step()
    torch.testing.assert_close(mine.weight, theirs.weight)


def test_all_other_weights_move_as_by_adamw() -> None:
    module = Towers()
    other = copy.deepcopy(module)
    step(module, trainer(module), [1, 2])
    step(other, torch.optim.AdamW(other.parameters(), lr=LR, betas=BETAS, weight_decay=DECAY), [1, 2])
    torch.testing.assert_close(module.short.weight, other.short.weight)
    torch.testing.assert_close(module.layer.weight, other.layer.weight)


@pytest.mark.parametrize("most", [0.5, 1e6])
def test_clipping_sees_sparse_and_dense_gradients_as_torch_sees_dense_ones(most: float) -> None:
    one, other = Towers(), Towers()
    one.long.sparse = True
    for module in (one, other):
        module(torch.tensor([1, 1, 5])).sum().backward()
    clip(list(one.parameters()), most)
    nn.utils.clip_grad_norm_(other.parameters(), most)
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(mine.grad.to_dense(), theirs.grad)


def test_the_mean_of_a_long_table_is_that_of_every_step_however_seldom_a_row_moves() -> None:
    module, keep = Towers(), 0.8
    optimizer = trainer(module)
    kept = Averaged(module, keep, [module.long])
    mean = module.long.weight.detach().clone()
    for place in range(17):
        optimizer.zero_grad(set_to_none=True)
        module(torch.tensor([place % 5, 3 if place > 9 else 4])).square().sum().backward()
        clip(list(module.parameters()), 1e9)
        kept.before_step()
        optimizer.step()
        kept.after_step(last=place in (8, 16))
        mean = keep * mean + (1 - keep) * module.long.weight.detach()
    torch.testing.assert_close(kept.module.get_parameter("long.weight").detach(), mean)


def test_the_mean_of_all_else_begins_where_it_first_follows_and_follows_every_few_steps() -> None:
    module, keep = Towers(), 0.8
    kept = Averaged(module, keep, [])
    values = []
    for place in range(2 * EVERY):
        with torch.no_grad():
            module.layer.weight.fill_(place)
        kept.after_step(last=False)
        values.append(kept.module.get_parameter("layer.weight")[0, 0].item())
    first, second = EVERY - 1, 2 * EVERY - 1
    assert values[first] == first
    assert values[second] == pytest.approx(first + (1 - keep**EVERY) * EVERY)


def mean_after(steps: range, lasts: set[int], kept: Averaged, weight: Tensor) -> float:
    """What the mean of a weight is that is `step` at every step."""
    for step in steps:
        with torch.no_grad():
            weight.fill_(step)
        kept.after_step(last=step in lasts)
    return kept.module.get_parameter("layer.weight")[0, 0].item()


def test_where_an_epoch_ends_between_the_mean_follows_by_the_steps_that_have_passed() -> None:
    module, keep = Towers(), 0.8
    first, end, then = EVERY, 2 * EVERY - 1, 2 * EVERY
    got = mean_after(range(1, then + 1), {end}, Averaged(module, keep, []), module.layer.weight)
    at_end = end + (first - end) * keep ** (end - first)
    assert got == pytest.approx(then + (at_end - then) * keep ** (then - end))


def test_a_mean_that_is_restored_between_goes_on_to_the_same_bytes() -> None:
    module, keep, end = Towers(), 0.8, 2 * EVERY - 1
    whole, before, after = (Averaged(module, keep, []) for _ in range(3))
    wanted = mean_after(range(1, 3 * EVERY + 1), {end}, whole, module.layer.weight)
    mean_after(range(1, end + 1), {end}, before, module.layer.weight)
    after.restore(before.state())
    assert mean_after(range(end + 1, 3 * EVERY + 1), {end}, after, module.layer.weight) == wanted


def test_a_module_of_long_tables_alone_has_a_mean_too() -> None:
    table = nn.Embedding(4, 2, sparse=True)
    kept = Averaged(table, 0.5, [table])
    before = table.weight.detach().clone()
    kept.before_step()
    with torch.no_grad():
        table.weight += 1
    for number in range(EVERY):
        kept.after_step(last=number == EVERY - 1)
    torch.testing.assert_close(kept.module.get_parameter("weight").detach(), before + 1 - 0.5**EVERY)


def test_an_optimizer_does_not_bring_torchs_compiler_which_costs_a_second_and_150_megabytes() -> None:
    code = """
import sys, torch
from trainers.optimizer import RowWiseAdamW
weight = torch.nn.Parameter(torch.ones(3))
optimizer = RowWiseAdamW([weight], fused=True)
weight.sum().backward()
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
