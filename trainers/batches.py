"""Examples on the device: the inputs of the towers, the targets, and the candidates they are told from."""

import torch
from torch import Tensor

from rec_export.data.features import Features
from rec_export.inputs import attributes, item_inputs
from rec_export.towers import Head, Input, Inputs, ModelSpec, Sizes
from rec_export.world import World
from trainers.dataset import Dataset
from trainers.examples import Batch
from trainers.losses import Pairs
from trainers.negatives import Candidates, Popularity


class Device:
    """The dataset's features as tensors on a device, and batches cut from them."""

    def __init__(
        self, dataset: Dataset, spec: ModelSpec, sizes: Sizes, moments: list[World], recent: int, device: torch.device
    ) -> None:
        self.device = device
        self.items = sizes.items.rows
        self.user_ports, self.item_ports = spec.user_inputs(sizes), spec.item_inputs(sizes)
        self.user_features: Features = dataset.user_features
        trained = dataset.catalogue.items.trained
        trends = [torch.from_numpy(world.trend()[:trained]) for world in moments]
        self.trends = torch.stack(trends).to(device)
        self.share = torch.exp(self.trends[:, :, recent])  # [moments, N], above 0
        self.order = torch.argsort(self.share, dim=1, descending=True)
        every = torch.arange(trained).numpy()
        features = dataset.item_features.take(every)
        inputs = item_inputs(self.item_ports, features, trends[0], every)
        inputs |= attributes({"dense", "category", "tags", "text"}, features, every)
        self.item_inputs = {name: value.to(device) for name, value in inputs.items() if value.numel()}

    def every_item(self, moment: int, hide: float) -> Inputs:
        """The inputs of all trained items; a share of the ids is hidden, as those of new items are."""
        row = self.item_inputs["row"]
        hidden = torch.rand(len(row), device=self.device) < hide
        return {**self.item_inputs, "row": row.masked_fill(hidden, -1), "trend": self.trends[moment]}

    def users(self, batch: Batch, hide: float) -> Inputs:
        """The inputs of a batch's users."""
        names = {port.name for port in self.user_ports}
        inputs = attributes(names, self.user_features.take(batch.user), batch.user)
        inputs["history"] = torch.from_numpy(batch.history)
        inputs["history_length"] = torch.from_numpy(batch.size)
        inputs["context"] = torch.from_numpy(batch.context)
        inputs = {port.name: inputs[port.name].to(self.device) for port in self.user_ports}
        if "row" in inputs:
            hidden = torch.rand(len(batch.user), device=self.device) < hide
            inputs["row"] = inputs["row"].masked_fill(hidden, -1)
        return inputs

    def popularity(self, moment: int) -> Popularity:
        """How popular each trained item was of late."""
        return Popularity(self.share[moment], self.order[moment])

    def taken(self, batch: Batch, candidates: Candidates) -> Pairs:
        """The cells of candidates that a user has met, or will."""
        place = torch.full([self.items], -1, device=self.device)
        place[candidates.item] = torch.arange(len(candidates.item), device=self.device)
        row = torch.cat([self.tensor(batch.seen_owner), self.tensor(batch.owner)])
        column = place[torch.cat([self.tensor(batch.seen), self.tensor(batch.target)])]
        return Pairs(row[column >= 0], column[column >= 0])

    def tensor(self, array: object) -> Tensor:
        """An array on the device."""
        return torch.as_tensor(array, device=self.device)


def pair_scores(head: Head, user_vec: Tensor, item_vec: Tensor) -> Tensor:
    """The score of each row's pair, float32 [T, Du], float32 [T, Di] -> float32 [T]."""
    one = torch.func.vmap(lambda user, item: head(user.unsqueeze(0), item.unsqueeze(0)), randomness="different")
    return one(user_vec, item_vec).flatten()


def take(inputs: Inputs, ports: tuple[Input, ...], item: Tensor) -> Inputs:
    """The inputs that an item tower reads, of some items."""
    return {port.name: inputs[port.name][item] for port in ports}
