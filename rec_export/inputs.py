"""The named inputs of both towers, put together from attributes and the world as of a date."""

import torch

from rec_export.data.columns import Int64
from rec_export.data.features import Features
from rec_export.towers import Input, Inputs
from rec_export.world import World


def user_inputs(ports: tuple[Input, ...], features: Features, world: World, user: Int64, length: int) -> Inputs:
    """What a user tower with these ports reads about users [B]; histories hold at most `length` items.

    `features` are those of the users [B]. Histories are padded to `length`, whoever is in the batch: a sum over fewer
    places may end in another last bit, and the lists of a user must not depend on the part that they are made in.
    """
    names = {port.name for port in ports}
    inputs = attributes(names, features, user)
    if "history" in names:
        history, size = world.history(user, length, wide=True)
        inputs |= {"history": torch.from_numpy(history), "history_length": torch.from_numpy(size)}
    if "context" in names:
        inputs["context"] = torch.from_numpy(world.context(user))
    return {port.name: inputs[port.name] for port in ports}


def item_inputs(ports: tuple[Input, ...], features: Features, trend: torch.Tensor, item: Int64) -> Inputs:
    """What an item tower with these ports reads about items [N], whose `features` are given, and the trends [N, W]."""
    inputs = attributes({port.name for port in ports}, features, item)
    inputs["trend"] = trend
    return {port.name: inputs[port.name] for port in ports}


def attributes(names: set[str], features: Features, row: Int64) -> Inputs:
    """The inputs of rows [B] that do not depend on a date. The graph itself sees to rows beyond the trained ones."""
    columns = {name: torch.from_numpy(column) for name, column in features._asdict().items() if name in names}
    return {"row": torch.from_numpy(row), **columns}
