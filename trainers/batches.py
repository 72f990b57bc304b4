"""Examples on the device: the inputs of the towers, the targets, and shared negatives."""

from typing import NamedTuple

import torch
from torch import Tensor

from rec_export.data.features import Features
from rec_export.inputs import attributes, item_inputs
from rec_export.towers import Input, Inputs, ModelSpec, Sizes
from rec_export.world import World
from trainers.dataset import Dataset
from trainers.examples import Batch
from trainers.losses import Pairs


class Columns(NamedTuple):
    """The item rows that are the columns of a batch's score matrix, and where its targets and exclusions are."""

    item: Tensor  # int64 [C]
    targets: Pairs
    excluded: Pairs
    sampled: int  # how many of the first columns are negatives; 0: the columns are all items


class Device:
    """The dataset's features as tensors on a device, and batches cut from them."""

    def __init__(
        self, dataset: Dataset, spec: ModelSpec, sizes: Sizes, moments: list[World], device: torch.device
    ) -> None:
        self.device = device
        self.items = sizes.items.rows
        self.user_ports, self.item_ports = spec.user_inputs(sizes), spec.item_inputs(sizes)
        self.user_features: Features = dataset.user_features
        trained = dataset.catalogue.items.trained
        trends = [torch.from_numpy(world.trend()[:trained]) for world in moments]
        self.trends = torch.stack(trends).to(device)
        every = torch.arange(trained).numpy()
        inputs = item_inputs(self.item_ports, dataset.item_features, trends[0], every)
        inputs |= attributes({"dense", "category", "tags", "text"}, dataset.item_features, every)
        self.item_inputs = {name: value.to(device) for name, value in inputs.items() if value.numel()}

    def every_item(self, moment: int, hide: float) -> Inputs:
        """The inputs of all trained items; a share of the ids is hidden, as those of new items are."""
        row = self.item_inputs["row"]
        hidden = torch.rand(len(row), device=self.device) < hide
        return {**self.item_inputs, "row": row.masked_fill(hidden, -1), "trend": self.trends[moment]}

    def users(self, batch: Batch, hide: float) -> Inputs:
        """The inputs of a batch's users."""
        names = {port.name for port in self.user_ports}
        inputs = attributes(names, self.user_features, batch.user)
        inputs["history"] = torch.from_numpy(batch.history)
        inputs["history_length"] = torch.from_numpy(batch.size)
        inputs["context"] = torch.from_numpy(batch.context)
        inputs = {port.name: inputs[port.name].to(self.device) for port in self.user_ports}
        if "row" in inputs:
            hidden = torch.rand(len(batch.user), device=self.device) < hide
            inputs["row"] = inputs["row"].masked_fill(hidden, -1)
        return inputs

    def columns(self, batch: Batch, negatives: int | None) -> Columns:
        """All items as candidates, or `negatives` uniform ones that the whole batch shares, and the targets."""
        owner, target = self.tensor(batch.owner), self.tensor(batch.target)
        seen = Pairs(self.tensor(batch.seen_owner), self.tensor(batch.seen))
        if negatives is None or negatives >= self.items:
            return Columns(torch.arange(self.items, device=self.device), Pairs(owner, target), seen, 0)
        sample = torch.randperm(self.items, device=self.device)[:negatives]
        place = torch.full([self.items], -1, device=self.device)
        place[sample] = torch.arange(negatives, device=self.device)
        unique, column = torch.unique(target, return_inverse=True)
        row = torch.cat([seen.row, owner])
        taken = place[torch.cat([seen.column, target])]
        excluded = Pairs(row[taken >= 0], taken[taken >= 0])
        return Columns(torch.cat([sample, unique]), Pairs(owner, negatives + column), excluded, negatives)

    def tensor(self, array: object) -> Tensor:
        """An array on the device."""
        return torch.as_tensor(array, device=self.device)


def take(inputs: Inputs, ports: tuple[Input, ...], item: Tensor) -> Inputs:
    """The inputs that an item tower reads, of some items."""
    return {port.name: inputs[port.name][item] for port in ports}
