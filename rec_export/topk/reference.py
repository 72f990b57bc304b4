"""The definition once more, slow and obvious: Python's floats are float64, and a loop adds in the order written."""

import numpy as np
from torch import Tensor, nn

from rec_export.topk.blocks import BlockEngine
from rec_export.topk.contract import Seen, TopK
from rec_export.towers import AdditiveHead, DotHead, Head

Vector = list[float]
Layer = tuple[list[Vector], Vector]


def by_definition(head: Head, user_vec: Tensor, item_vec: Tensor, k: int, seen: Seen) -> TopK:
    """float32 [B, Du], float32 [N, Di] -> what every engine must return, bit for bit."""
    users = len(user_vec)
    top = TopK(np.full((users, k), -1, np.int64), np.full((users, k), np.nan), np.zeros(users, np.int64))
    for user, score in enumerate(scores(head, user_vec, item_vec)):
        hidden = set(seen.item_row[seen.start[user] : seen.start[user + 1]].tolist())
        eligible = [row for row in range(len(item_vec)) if row not in hidden]
        order = sorted(eligible, key=lambda row: (-score[row], row))[:k]
        top.count[user] = len(order)
        top.item_row[user, : len(order)] = order
        top.score[user, : len(order)] = [score[row] for row in order]
    return top


def scores(head: Head, user_vec: Tensor, item_vec: Tensor) -> list[Vector]:
    """The score of every pair, B lists of N; for an unknown head, what the module gives on blocks of items."""
    if isinstance(head, DotHead):
        return [[dot(u, v) for v in item_vec.tolist()] for u in user_vec.tolist()]
    if isinstance(head, AdditiveHead):
        tail = [tail_layer(layer) for layer in head.tail]
        return [[additive(tail, head.width, u, v) for v in item_vec.tolist()] for u in user_vec.tolist()]
    return [score.tolist() for score in BlockEngine(head, item_vec).scores(user_vec)]


def additive(tail: list[Layer], width: int, u: Vector, v: Vector) -> float:
    """tail(relu(a + b)) + <p, q> of one pair."""
    x = [a + b for a, b in zip(u[:width], v[:width], strict=True)]
    for weight, bias in tail:
        x = linear(weight, bias, [max(value, 0.0) for value in x])
    return x[0] + dot(u[width:], v[width:]) if len(u) > width else x[0]


def linear(weight: list[Vector], bias: Vector, x: Vector) -> Vector:
    """weight @ x + bias, beginning with the bias."""
    y = []
    for row, total in zip(weight, bias, strict=True):
        for w, value in zip(row, x, strict=True):
            total = total + w * value
        y.append(total)
    return y


def dot(p: Vector, q: Vector) -> float:
    """<p, q>, beginning with 0."""
    total = 0.0
    for left, right in zip(p, q, strict=True):
        total = total + left * right
    return total


def tail_layer(linear: nn.Module) -> Layer:
    """The weight and the bias of one linear layer."""
    assert isinstance(linear, nn.Linear)
    return linear.weight.tolist(), linear.bias.tolist()
