"""How weights move: AdamW with a decay of its own for embeddings, and the running mean of the weights that is kept."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trainers.plan import Plan

AVERAGE_EVERY = 4  # steps; at each one it would take a twelfth of the time


def optimizer_of(roof: nn.Module, plan: Plan, head_speed: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization, arXiv:1711.05101).

    Decay is apart from the gradient, as coupled to it Adam would erase the rows that are rarely seen; and it is strong
    for embeddings, as they are what overfits. Biases are embeddings of width 1 and decay like layers. A head with
    weights of its own, which sees every pair, learns at a share of the common speed.
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
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=plan.lr, betas=(0.9, 0.99), fused=True)


def averaged(roof: nn.Module, plan: Plan) -> AveragedModel:
    """A copy whose weights follow those of `roof` as an exponential moving average, brought up every few steps."""
    return AveragedModel(roof, multi_avg_fn=get_ema_multi_avg_fn(plan.averaging**AVERAGE_EVERY))
