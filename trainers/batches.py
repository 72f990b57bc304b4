"""Examples on the device: the inputs of the towers, the targets, and the candidates they are told from."""

import numpy as np
import torch
from torch import Tensor

from rec_export.data.columns import Int64
from rec_export.data.features import Features
from rec_export.data.vocab import UNKNOWN
from rec_export.inputs import attributes, item_inputs
from rec_export.towers import DotHead, Head, Input, Inputs, ModelSpec, Sizes
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
        every = np.arange(dataset.catalogue.items.trained)
        trends = [torch.from_numpy(world.trend()[: len(every)]) for world in moments]
        self.trends = torch.stack(trends).to(device)
        self.recent = recent
        order = [torch.argsort(trend[:, recent], descending=True).int() for trend in trends]
        self.order = torch.stack(order).to(device)
        features = dataset.item_features.take(every)
        inputs = item_inputs(self.item_ports, features, trends[0], every)
        if any(port.name == "history" for port in self.user_ports):  # whose encoder reads all that is known of items
            inputs |= attributes({"dense", "category", "tags", "text"}, features, every)
            inputs["row"] = torch.from_numpy(every)
        self.item_inputs = {n: value.to(device) for n, value in inputs.items() if value.numel() and n != "trend"}

    def inputs_of(self, item: Tensor, moment: int, hide: float) -> Inputs:
        """The inputs of items, int64 [n]; a share of the ids is hidden, as those of new items are."""
        inputs = {name: value[item] for name, value in self.item_inputs.items()}
        hidden = torch.rand(len(item), device=self.device) < hide
        return {**inputs, "row": item.masked_fill(hidden, -1), "trend": self.trends[moment, item]}

    def every_item(self) -> Inputs:
        """The inputs of all trained items, at the first moment."""
        return {**self.item_inputs, "trend": self.trends[0]}

    def users(self, batch: Batch, met: Int64, hide: float) -> Inputs:
        """The inputs of a batch's users; their histories are places among the items int64 [n], ascending."""
        names = {port.name for port in self.user_ports}
        inputs = attributes(names, self.user_features.take(batch.user), batch.user)
        place, live = np.full(batch.history.shape, UNKNOWN), batch.history >= 0
        place[live] = np.searchsorted(met, batch.history[live])
        inputs["history"] = torch.from_numpy(place)
        inputs["history_length"] = torch.from_numpy(batch.size)
        inputs["context"] = torch.from_numpy(batch.context)
        inputs = {port.name: inputs[port.name].to(self.device) for port in self.user_ports}
        if "row" in inputs:
            hidden = torch.rand(len(batch.user), device=self.device) < hide
            inputs["row"] = inputs["row"].masked_fill(hidden, -1)
        return inputs

    def popularity(self, moment: int) -> Popularity:
        """How popular each trained item was of late."""
        return Popularity(self.trends[moment, :, self.recent], self.order[moment])

    def taken(self, batch: Batch, candidates: Candidates, met: bool) -> Pairs:
        """The cells of candidates that a user will like next, and if `met` those that the user has met."""
        item, place = torch.sort(candidates.item)
        row, wanted = self.tensor(batch.owner), self.tensor(batch.target)
        if met:
            row = torch.cat([self.tensor(batch.seen_owner), row])
            wanted = torch.cat([self.tensor(batch.seen), wanted])
        found = torch.searchsorted(item, wanted).clamp(max=len(item) - 1)
        live = item[found] == wanted
        return Pairs(row[live], place[found[live]])

    def tensor(self, array: object) -> Tensor:
        """An array on the device."""
        return torch.as_tensor(array, device=self.device)


def read_by(ports: tuple[Input, ...], inputs: Inputs) -> Inputs:
    """The inputs that a tower reads."""
    return {port.name: inputs[port.name] for port in ports}


def pair_scores(head: Head, user_vec: Tensor, item_vec: Tensor) -> Tensor:
    """The score of each row's pair, float32 [T, Du], float32 [T, Di] -> float32 [T]."""
    if isinstance(head, DotHead):
        return (user_vec * item_vec).sum(1)
    one = torch.func.vmap(lambda user, item: head(user.unsqueeze(0), item.unsqueeze(0)), randomness="different")
    return one(user_vec, item_vec).flatten()
