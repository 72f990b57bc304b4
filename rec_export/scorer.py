"""Scorer: towers on a device, ready to rank the whole catalogue for any users as of a date."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Self, final

import numpy as np
import torch
from torch import Tensor

from rec_export.bundle import Bundle
from rec_export.catalogue import Catalogue, rows
from rec_export.checkpoint import Blueprint, Checkpoint
from rec_export.choices import Engine
from rec_export.data.columns import Bool, Int64
from rec_export.data.features import Features
from rec_export.data.vocab import UNKNOWN
from rec_export.inputs import item_inputs, user_inputs
from rec_export.machine import keep_freed
from rec_export.policy import NO_RULES, Policy
from rec_export.progress import measured
from rec_export.runtime import Tower, load_tower
from rec_export.topk import Seen
from rec_export.topk.approximate import PILOTS
from rec_export.topk.contract import Added, Allowed, Listed
from rec_export.topk.ruled import RuledRanker
from rec_export.topk.switches import side_by_side
from rec_export.towers import DotHead, Head, Input, Inputs
from rec_export.world import World

USERS_AT_ONCE = 2048
# Rows of a call of a tower on the CPU: so few that they stay in the cache, which is twice as fast as 2,048 rows, and a
# multiple of 48, as kernels of matrix products take 4, 6, 8, 12 or 16 rows at once and may treat those left over in
# another way (seen with Intel MKL on processors without AVX-512).
BLOCK = 240
CUDA_BLOCK = 8192
PORTION = 1 << 14  # rows whose features are looked up at once: a look-up begins with a pass over all known words
LOOKED_AT = 8  # users for each pilot, as the model may serve few


class Model(NamedTuple):
    """Two towers as functions, and the head; how the data was read."""

    user_tower: Tower
    item_tower: Tower
    head: Head
    user_ports: tuple[Input, ...]
    item_ports: tuple[Input, ...]
    blueprint: Blueprint
    device: torch.device

    @classmethod
    def of_bundle(cls, bundle: Bundle, runtime: Engine, device: torch.device) -> Self:
        """The exported towers, run by TorchScript or ONNX Runtime."""
        users = load_tower(bundle.folder, "user_tower", runtime, device)
        items = load_tower(bundle.folder, "item_tower", runtime, device)
        manifest = bundle.manifest
        ports = manifest.user_inputs, manifest.item_inputs
        return cls(users, items, bundle.pair_head(), *ports, manifest.blueprint, device)

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint, device: torch.device) -> Self:
        """The trained towers themselves."""
        blueprint, towers = checkpoint.blueprint, checkpoint.towers
        spec, sizes = blueprint.spec(), blueprint.sizes
        users, items = eager(towers.user_tower, device), eager(towers.item_tower, device)
        ports = spec.user_inputs(sizes), spec.item_inputs(sizes)
        return cls(users, items, towers.pair_head, *ports, blueprint, device)


def eager(module: torch.nn.Module, device: torch.device) -> Tower:
    """A tower as a function on a device."""
    module = module.to(device)

    def run(inputs: Inputs) -> Tensor:
        with torch.inference_mode():
            return module({name: value.to(device) for name, value in inputs.items()})

    return run


@final
class Scorer:
    """The best items of users, among the eligible ones, as of the date of a world.

    `eligible` bool [N]: the items that may be recommended; None: all. Item rows in results are those of the catalogue.
    """

    def __init__(
        self, model: Model, catalogue: Catalogue, world: World, eligible: Bool | None = None,
        policy: Policy = NO_RULES, approximate: bool = False,
    ) -> None:  # fmt: skip
        keep_freed()
        self.model, self.catalogue, self.world, self.policy = model, catalogue, world, policy
        everything = rows(catalogue.items)
        offered = everything if eligible is None else everything[eligible]
        self.items = offered if policy.kept is None else offered[policy.kept[offered]]
        self.place = np.full(len(everything), UNKNOWN)
        self.place[self.items] = np.arange(len(self.items))
        trend = torch.from_numpy(world.trend_for_lists())
        vec = self.item_vec = self.item_vectors(trend)
        penalty = self.penalty = policy.penalty(world.likings()[self.items])
        caps = self.caps = policy.caps and policy.caps.take(self.items)
        self.ranker = RuledRanker(
            model.head, vec, model.device, penalty=penalty, caps=caps, diversity=policy.diversity,
            pilot_vec=self.pilots() if approximate else None,
        )  # fmt: skip
        self.recent = trend[self.items, model.blueprint.recent].unsqueeze(1)
        self.popularity = RuledRanker(DotHead(), self.recent, caps=caps, diversity=policy.diversity, alike=vec)

    def item_vectors(self, trend: Tensor) -> Tensor:
        """The vectors of the items that are scored, float32 [N, Di], from the trends of all items, float32 [all, W]."""

        def told(item: Int64) -> Inputs:
            features = self.catalogue.items.features(item)
            return item_inputs(self.model.item_ports, features, trend[torch.from_numpy(item)], item)

        made: dict[int, Tensor] = {}
        with measured("computing the items' vectors", len(self.items), lambda: sum(map(len, list(made.values())))):
            return in_blocks(self.model.item_tower, told, self.items, self.model.device, made)

    def user_vectors(self, user: Int64) -> Tensor:
        """The vectors of users [B], float32 [B, Du]."""
        length = self.model.blueprint.data.history

        def told(user: Int64) -> Inputs:
            features = self.catalogue.users.features(user)
            return user_inputs(self.model.user_ports, features, self.world, user, length)

        return in_blocks(self.model.user_tower, told, user, self.model.device)

    def pilots(self) -> Tensor:
        """The vectors of users who stand for all whom the model serves, float32 [n, Du], whoever is scored."""
        some = spread(np.arange(len(self.catalogue.users.vocab)), LOOKED_AT * PILOTS)
        served = some[self.serves(some)]
        return self.user_vectors(spread(served if len(served) else some, PILOTS))

    def lists(self, user: Int64, k: int, keep_seen: bool = False, user_vec: Tensor | None = None) -> Listed:
        """The best k of users [B] by the model; `user_vec` float32 [B, Du]: their vectors, where they are known."""
        user_vec = self.user_vectors(user) if user_vec is None else user_vec
        added = self.added(user) if keep_seen else None
        return self.listed(self.ranker, user_vec, user, k, self.seen(user, keep_seen), added)

    def popular(self, user: Int64, k: int, keep_seen: bool = False) -> Listed:
        """The most popular k of late, for users [B] of whom nothing is known."""
        return self.listed(self.popularity, torch.ones(len(user), 1), user, k, self.seen(user, keep_seen))

    def best(self, user: Int64, k: int, keep_seen: bool = False, user_vec: Tensor | None = None) -> Listed:
        """The best k of users [B]: by the model, or the popular items for those whom it cannot serve."""
        lists, unknown = self.lists(user, k, keep_seen, user_vec), np.flatnonzero(~self.serves(user))
        if len(unknown):
            theirs = self.popular(user[unknown], k, keep_seen)
            lists.top.put(unknown, theirs.top)
            lists.capped[unknown], lists.varied[unknown] = theirs.capped, theirs.varied
        return lists

    def listed(
        self, ranker: RuledRanker, user_vec: Tensor, user: Int64, k: int, seen: Seen, added: Added | None = None
    ) -> Listed:
        """The best k of users [B] by one of the rankers, with the catalogue's item rows; `seen`, `added`: of places."""
        lists = ranker.top_k(user_vec, min(k, len(self.items)), seen, self.allowed(user), added)
        row = lists.top.item_row
        return lists._replace(top=lists.top._replace(item_row=np.where(row == UNKNOWN, UNKNOWN, self.items[row])))

    def allowed(self, user: Int64) -> Allowed | None:
        """What users [B] with a list of their own may get, as places among the eligible items; None without a rule."""
        allowed = self.policy.allowed and self.policy.allowed.take(user)
        return allowed and allowed._replace(items=self.eligible(allowed.items))

    def seen(self, user: Int64, keep_seen: bool) -> Seen:
        """What must not be recommended to users [B], met or denied to them, as places among the eligible items."""
        hidden = Seen.none(len(user)) if keep_seen else self.world.seen(user)
        if self.policy.denied is not None:
            hidden = hidden.plus(self.policy.denied.take(user))
        return self.eligible(hidden)

    def added(self, user: Int64) -> Added | None:
        """What habits add to scores of users [B], where lists may hold what was met; None: the model has no such term.

        The items are places among the eligible ones.
        """
        habit = self.model.blueprint.habit
        if habit is None:
            return None
        again = self.world.again(user)
        added = habit.added(again.where(self.place[again.items.item_row] != UNKNOWN))
        return added._replace(items=added.items._replace(item_row=self.place[added.items.item_row]))

    def eligible(self, lists: Seen) -> Seen:
        """Items of some users as places among the eligible ones, without the others."""
        place = self.place[lists.item_row]
        owner = lists.user()[place != UNKNOWN]
        return Seen(np.searchsorted(owner, np.arange(len(lists.start))), place[place != UNKNOWN])

    def serves(self, user: Int64) -> Bool:
        """Which users [B] get the model's list, bool [B]: all if it learned what newcomers like, else those it knows.

        In snapshots it did. On validation rows that list beat the popular one for cold users: NDCG@10 .097 to .076 on
        retail, .024 to .023 on electronics.
        """
        newcomers = self.model.blueprint.clock.timed and any(port.name == "history" for port in self.model.user_ports)
        return np.ones(len(user), bool) if newcomers else self.known(user)

    def known(self, user: Int64) -> Bool:
        """Of which users [B] the model knows anything, bool [B].

        It is told what its tower reads: a trained row, a trained item in the history, or any attribute.
        """
        names = {port.name for port in self.model.user_ports}
        told = np.zeros(len(user), bool)
        if "row" in names:
            told |= user < self.catalogue.users.trained
        if "history" in names:
            history, _ = self.world.history(user, self.model.blueprint.data.history)
            told |= ((history != UNKNOWN) & (history < self.catalogue.items.trained)).any(1)
        if names & {"dense", "category", "tags", "text"}:
            told |= described(self.catalogue.users.features(user))
        return told


def described(features: Features) -> Bool:
    """Which rows have any attribute, bool [B]."""
    return (
        (~np.isnan(features.dense)).any(1)
        | (features.category != UNKNOWN).any(1)
        | (features.tags != UNKNOWN).any(1)
        | (features.text != 0).any(1)
    )


def spread(row: Int64, most: int) -> Int64:
    """Rows spread evenly over all of them, `most` at most."""
    return row[np.unique(np.linspace(0, len(row) - 1, most).astype(np.int64))] if len(row) else row


def in_blocks(
    tower: Tower,
    told: Callable[[Int64], Inputs],
    row: Int64,
    device: torch.device,
    made: dict[int, Tensor] | None = None,
) -> Tensor:
    """The vectors of rows [B], float32 [B, D], by a tower and `told`, which puts together what it reads of some rows.

    The vector of a row has the same bits whatever rows are with it and however many threads there are, so that lists
    can be made in parts. Kernels differ by the number of rows and of threads, so every call has one thread and as many
    rows as any other, the last block being filled up with rows that are there. `made` is filled on the way, by portion.
    """
    size, threads = (BLOCK, torch.get_num_threads()) if device.type == "cpu" else (CUDA_BLOCK, 1)
    blocks = min(-(-len(row) // (size * threads)), PORTION // size)
    portions = list(chunks(row, size * max(1, blocks))) or [row]
    made = {} if made is None else made
    made |= dict.fromkeys(range(len(portions)), torch.empty(0))

    def make(place: int) -> None:
        some = portions[place]
        inputs = told(np.resize(some, -(-len(some) // size) * size))
        parts = [
            tower({name: value[at : at + size].contiguous() for name, value in inputs.items()})
            for at in range(0, max(1, len(some)), size)
        ]
        made[place] = torch.cat(parts)[: len(some)]

    side_by_side(make, made, threads)
    return torch.cat(list(made.values()))


def chunks(row: Int64, size: int = USERS_AT_ONCE) -> Iterator[Int64]:
    """Rows in portions that fit memory."""
    for at in range(0, len(row), size):
        yield row[at : at + size]
