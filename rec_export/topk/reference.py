"""The definition once more, slow and obvious: Python's floats are float64, and a loop adds in the order written."""

import numpy as np
from torch import Tensor, nn

from rec_export.topk.blocks import BlockEngine
from rec_export.topk.caps import Caps
from rec_export.topk.contract import Added, Allowed, Seen, TopK
from rec_export.towers import AdditiveHead, DotHead, Head, ScalarHead

Vector = list[float]
Layer = tuple[list[Vector], Vector]


def by_definition(head: Head, user_vec: Tensor, item_vec: Tensor, k: int, seen: Seen) -> TopK:
    """float32 [B, Du], float32 [N, Di] -> what every engine must return, bit for bit."""
    return by_rules(head, user_vec, item_vec, k, seen, Allowed.everything(len(user_vec)), None, None)


def by_rules(
    head: Head, user_vec: Tensor, item_vec: Tensor, k: int, seen: Seen,
    allowed: Allowed, caps: Caps | None, penalty: Vector | None, added: Added | None = None,
) -> TopK:  # fmt: skip
    """The same under the rules that are exact: lists of one's own, caps, and a penalty for each item, float32 [N].

    Also with what is added to some scores of each user.
    """
    users, items = len(user_vec), range(len(item_vec))
    top = TopK(np.full((users, k), -1, np.int64), np.full((users, k), np.nan), np.zeros(users, np.int64))
    for user, score in enumerate(scores(head, user_vec, item_vec, penalty)):
        for row, term in [] if added is None else own_terms(added, user):
            score[row] = score[row] + term
        hidden, own = own_set(seen, user), own_set(allowed.items, user)
        eligible = [row for row in items if row not in hidden and (row in own or not allowed.restricted[user])]
        order: list[int] = []
        for row in sorted(eligible, key=lambda row: (-score[row], row)):
            if len(order) < k and (caps is None or has_room(order, row, caps)):
                order.append(row)
        top.count[user] = len(order)
        top.item_row[user, : len(order)] = order
        top.score[user, : len(order)] = [score[row] for row in order]
    return top


def own_set(lists: Seen, user: int) -> set[int]:
    """The items listed for a user."""
    return set(lists.item_row[lists.start[user] : lists.start[user + 1]].tolist())


def own_terms(added: Added, user: int) -> list[tuple[int, float]]:
    """What is added to a user's scores, by item."""
    mine = added.take(np.array([user]))
    return list(zip(mine.items.item_row.tolist(), mine.term.tolist(), strict=True))


def has_room(order: list[int], row: int, caps: Caps) -> bool:
    """Whether a list may hold one more item."""
    kinds = [kind for kind in caps.kind[row].tolist() if kind >= 0]
    return all(sum(kind in caps.kind[other] for other in order) < caps.limit[kind] for kind in kinds)


def scores(head: Head, user_vec: Tensor, item_vec: Tensor, penalty: Vector | None = None) -> list[Vector]:
    """The score of every pair, B lists of N; for an unknown head, what the module gives on blocks of items."""
    users = user_vec.tolist()
    taken: list[float | None] = [None] * len(item_vec) if penalty is None else [*penalty]
    items = list(zip(item_vec.tolist(), taken, strict=True))
    if isinstance(head, DotHead):
        return [[less(dot(u, v), b) for v, b in items] for u in users]
    if isinstance(head, AdditiveHead):
        tail = [tail_layer(layer) for layer in head.tail]
        return [[additive(tail, head.width, u, v, b) for v, b in items] for u in users]
    if isinstance(head, ScalarHead) and penalty is None:
        tail = [tail_layer(layer) for layer in [head.first, *head.tail]]
        return [[scalar(tail, u, v) for v, _ in items] for u in users]
    whole = BlockEngine(head, item_vec).scores(user_vec)
    return [[less(one, b) for one, b in zip(score.tolist(), taken, strict=True)] for score in whole]


def additive(tail: list[Layer], width: int, u: Vector, v: Vector, penalty: float | None) -> float:
    """tail(relu(a + b)) + <p, q> of one pair, the penalty taken from the second part."""
    x = [a + b for a, b in zip(u[:width], v[:width], strict=True)]
    for weight, bias in tail:
        x = linear(weight, bias, [max(value, 0.0) for value in x])
    if len(u) == width and penalty is None:
        return x[0]
    return x[0] + less(dot(u[width:], v[width:]), penalty)


def scalar(tail: list[Layer], u: Vector, v: Vector) -> float:
    """tail(<u, v>) of one pair."""
    x = linear(*tail[0], [dot(u, v)])
    for weight, bias in tail[1:]:
        x = linear(weight, bias, [max(value, 0.0) for value in x])
    return x[0]


def less(number: float, penalty: float | None) -> float:
    """A number less a penalty, where there is one."""
    return number if penalty is None else number - penalty


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
