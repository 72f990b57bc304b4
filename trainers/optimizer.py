"""How weights move: AdamW with a decay of its own for embeddings, and a row-wise form of it for long tables."""

from collections.abc import Callable, Iterator, Sequence
from inspect import unwrap
from typing import Any, final

import torch
from torch import Tensor, nn

from trainers.parallel import ALONE, Group
from trainers.plan import Plan

BETAS = (0.9, 0.99)
EPS = 1e-8


def long_tables(roof: nn.Module, rows: int) -> list[nn.Embedding]:
    """The tables of so many rows or more: of these a step moves only the rows that its batch has looked up."""
    return [module for module in roof.modules() if isinstance(module, nn.Embedding) and module.num_embeddings >= rows]


@final
class RowWiseAdamW(torch.optim.AdamW):
    """AdamW (Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization, arXiv:1711.05101).

    A weight with a sparse gradient is a long table. Only the rows of the gradient move, with one second moment a row,
    the mean over its numbers (as in Mudigere et al. 2022, Software-Hardware Co-design for Fast and Scalable Training of
    Deep Learning Recommendation Models, arXiv:2104.05158), without a first moment, and decay only then. So the cost of
    a step, and of the memory beside the weights, does not follow the length of the table.
    """

    # Without the wrappers that import torch's compiler: a second and 150 MB, and nobody compiles these methods.
    add_param_group = unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = unwrap(torch.optim.Optimizer.load_state_dict)
    move_others = unwrap(torch.optim.AdamW.step)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move the rows of long tables, and by torch's own AdamW all other weights."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None and weight.grad.is_sparse:
                    self.move_rows(weight, group)
                    weight.grad = None
        self.move_others()

    def move_rows(self, weight: Tensor, group: dict[str, Any]) -> None:
        """One step of the rows of a coalesced gradient."""
        assert weight.grad is not None
        row, slope = weight.grad.indices()[0], weight.grad.values()
        state = self.state[weight]
        if not state:
            state["square"] = weight.new_zeros(len(weight))
            state["step"] = weight.new_zeros(len(weight))  # of each row; exact up to 2^24
        old, square, step = (of.index_select(0, row) for of in (weight, state["square"], state["step"]))
        moved = step + 1  # `of[row]` would take thrice as long as index_select
        square = torch.lerp(slope.square().mean(1), square, group["betas"][1])
        state["step"][row], state["square"][row] = moved, square
        size = torch.sqrt(square / (1 - group["betas"][1] ** moved)) + group["eps"]
        new = old * (1 - group["lr"] * group["weight_decay"]) - slope * (group["lr"] / size).unsqueeze(1)
        weight[row] = new


def optimizer_of(roof: nn.Module, plan: Plan, head_speed: float) -> RowWiseAdamW:
    """Decay is apart from the gradient, as coupled to it Adam would erase the rows that are rarely seen.

    It is strong for embeddings, as they are what overfits. Biases are embeddings of width 1 and decay like layers. A
    head with weights of its own, which sees every pair, learns at a share of the common speed.
    """
    embeddings = [m.weight for m in roof.modules() if isinstance(m, nn.Embedding) and m.weight.shape[1] > 1]
    head = list(roof.get_submodule("pair_head").parameters())
    known = {id(weight) for weight in [*embeddings, *head]}
    others = [weight for weight in roof.parameters() if id(weight) not in known]
    groups = [
        {"params": embeddings, "weight_decay": plan.embedding_decay},
        {"params": head, "weight_decay": 1.0, "lr": plan.lr * head_speed},
        {"params": others, "weight_decay": plan.decay},
    ]
    return RowWiseAdamW([g for g in groups if g["params"]], lr=plan.lr, betas=BETAS, eps=EPS, fused=True)


def slopes(weights: Sequence[nn.Parameter]) -> Iterator[Tensor]:
    """The numbers of all gradients; those of sparse ones, which are brought together by row first, of their rows."""
    for weight in weights:
        if weight.grad is not None and weight.grad.is_sparse:
            weight.grad = weight.grad.coalesce()
            yield weight.grad.values()
        elif weight.grad is not None:
            yield weight.grad


def clip(weights: list[nn.Parameter], most: float, own: Sequence[nn.Parameter] = (), group: Group = ALONE) -> None:
    """Shrink all gradients together to a norm of at most `most`; each process has `own` ones beside the common ones."""
    every, mine = list(slopes(weights)), list(slopes(own))
    norm = nn.utils.get_total_norm(every)
    if own:
        norm = torch.hypot(norm, group.sum(nn.utils.get_total_norm(mine).square()).sqrt())
    torch._foreach_mul_([*every, *mine], (most / (norm + 1e-6)).clamp(max=1.0))
