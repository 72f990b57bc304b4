"""A score as the sum of what the parts of a model say: exact where a head is a sum, one term where it is not.

A dot product is a sum over places, and a model says which places are which component (ModelSpec.components). What an
MLP over user and item adds is one term, as its parts have no numbers of their own.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from rec_export.checkpoint import Blueprint, read_weights
from rec_export.ensemble import without_time
from rec_export.layers import Gate
from rec_export.metrics import Float64
from rec_export.towers import AdditiveHead, DotHead, Head, Inputs

MLP = "MLP"
MATCH = "match"  # a dot product whose places a model does not tell apart


def term_names(blueprint: Blueprint, head: Head) -> tuple[str, ...]:
    """The terms of a score, in order."""
    parts = tuple(blueprint.spec().components(blueprint.sizes))
    if isinstance(head, DotHead):
        return (*(parts or (MATCH,)), *(shallow.tells for shallow in blueprint.shallow))
    if isinstance(head, AdditiveHead) and head.dot > 0:
        return (MLP, *(parts or (MATCH,)))
    return (MLP,)


def terms(blueprint: Blueprint, head: Head, user_vec: Float64, item_vec: Float64, score: Float64) -> Float64:
    """Each item's terms for one user, float64 [Du], float64 [n, Di], float64 [n] -> float64 [n, terms].

    The terms of a dot product are summed from the vectors; that of an MLP is what is left of the score.
    """
    if not (isinstance(head, DotHead) or (isinstance(head, AdditiveHead) and head.dot > 0)):
        return score[:, None]
    first = head.width if isinstance(head, AdditiveHead) else 0
    product = item_vec[:, first:] * user_vec[first:]
    spec, sizes = blueprint.spec(), blueprint.sizes
    last = [(str(shallow.tells), shallow.rank) for shallow in blueprint.shallow]
    whole = {MATCH: (product.shape[1] - sum(width for _, width in last)) // blueprint.members}
    parts = list((spec.components(sizes) or whole).items()) * blueprint.members
    parts += [*(spec.components(without_time(sizes)).items() if blueprint.timeless else []), *last]
    widths = [width for _, width in parts]
    if sum(widths) != product.shape[1]:
        raise ValueError(f"the components are {sum(widths)} places wide, the vectors {product.shape[1]}")
    told = np.add.reduceat(product, np.cumsum([0, *widths[:-1]]), axis=1)
    names = [name for name in term_names(blueprint, head) if name != MLP]
    summed = np.stack([told[:, [name == part for part, _ in parts]].sum(1) for name in names], axis=1)
    return summed if first == 0 else np.concatenate([(score - summed.sum(1))[:, None], summed], axis=1)


def gate_shares(folder: Path, blueprint: Blueprint, inputs: Inputs) -> dict[str, float]:
    """The shares that a gate gives one user, whose inputs are given; the mean over members; {} where there is no gate.

    The gate of a member that looks at no time is not asked: it weighs other components.

    The exported towers give vectors alone, so the trained ones are built from folder/weights.safetensors.
    """
    none = {"users": blueprint.sizes.users.without_rows(), "items": blueprint.sizes.items.without_rows()}
    if not gates_of(blueprint.spec().build(blueprint.sizes.model_copy(update=none)).user_tower):
        return {}
    towers = blueprint.build()
    read_weights(towers, folder / "weights.safetensors", blueprint.weights)
    gates, heard = gates_of(towers.user_tower)[: blueprint.members], []
    for gate in gates:
        gate.register_forward_hook(lambda module, told, share: heard.append(share))
    with torch.inference_mode():
        towers.user_tower(inputs)
    mean = torch.stack(heard).mean(0)[0]
    return dict(zip(gates[0].names, mean.tolist(), strict=True))


def gates_of(tower: nn.Module) -> list[Gate]:
    """The gates of a user tower."""
    return [part for part in tower.modules() if isinstance(part, Gate)]
