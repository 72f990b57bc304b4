"""Learning by gradients: an epoch is a pass over the examples, batch by batch."""

import math
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from rec_export.checkpoint import modules
from rec_export.errors import EnvironmentMissingError, TrainingError
from rec_export.histories import HistoryEncoder
from rec_export.machine import keep_freed
from rec_export.progress import track
from rec_export.sets import distinct
from rec_export.towers import Head, ModelSpec, Sizes, Towers
from trainers.averaging import Averaged, part_of, prefixed
from trainers.batches import Device, pair_scores, read_by
from trainers.course import Course
from trainers.dataset import Dataset
from trainers.examples import Batch, examples_of
from trainers.journal import Tensors
from trainers.losses import Pairs, bce, bpr, full_softmax, none_of, sampled_softmax
from trainers.negatives import Candidates, candidates
from trainers.optimizer import clip, long_tables, optimizer_of
from trainers.parallel import Group
from trainers.plan import Plan, snapshots_for
from trainers.regression import Rows, Squares
from trainers.schedule import Schedule
from trainers.sharded import Shards

LOSSES = {"softmax": sampled_softmax, "bpr": bpr, "bce": bce}


@final
class Run(Course):
    """Fresh towers in training on a dataset, by gradients."""

    def __init__(self, spec: ModelSpec, sizes: Sizes, dataset: Dataset, plan: Plan, group: Group) -> None:
        torch.manual_seed(plan.seed)
        keep_freed()
        towers = spec.build(sizes)
        self.roof = modules(towers)
        tables = long_tables(self.roof, plan.row_wise)
        for table in tables:
            table.sparse = True
        self.shards = Shards(self.roof, tables if plan.shard and group.size > 1 else [], group)
        self.roof.to(group.device)
        self.own = self.shards.weights
        self.weights = [weight for weight in self.roof.parameters() if all(weight is not own for own in self.own)]
        self.kept = Averaged(self.roof, plan.averaging, [*self.shards.tables.values()] or tables)
        if plan.compile:
            for tower in (towers.user_tower, towers.item_tower):
                tower.compile(dynamic=True)
        self.examples = (
            Rows(dataset, plan)
            if plan.loss == "mse"
            else examples_of(
                dataset.timeline, plan.clock, plan.history, plan.recency, plan.by_value, snapshots_for(spec, plan.clock)
            )
        )
        if len(self.examples) == 0:
            raise TrainingError("nobody likes anything, so there is nothing to learn; check data.interactions.positive")
        held = Device(dataset, spec, sizes, self.examples.moments, plan.recent, group.device)
        super().__init__(plan, held, towers, group)
        self.draws = torch.Generator(group.device)
        self.seed(0)
        rows = self.examples if isinstance(self.examples, Rows) else None
        self.squares = None if rows is None else Squares(spec, towers, rows, plan, group.device)
        self.optimizer = optimizer_of(self.roof, plan, spec.head_speed)
        self.schedule = Schedule(self.optimizer, plan, self.examples.steps(plan.batch))

    def epoch(self, number: int) -> float:
        """One pass over the examples; the mean loss. Raises TrainingError when it is not finite."""
        self.seed(number)
        self.roof.train()
        self.gates.forget()
        total = 0.0
        steps = self.examples.steps(self.plan.batch)
        batches = self.examples.batches(self.plan.batch, self.rng)
        shown = track(batches, steps, f"epoch {number}") if self.group.first else batches
        for step, batch in enumerate(shown, 1):
            try:
                loss = self.step(batch)
            except torch._dynamo.exc.TorchDynamoException as error:
                reason = str(error).partition("\n")[0]
                raise EnvironmentMissingError(
                    f"torch.compile does not work here ({reason}); train without training.compile"
                ) from error
            self.schedule.step()
            self.kept.after_step(last=step == steps)
            total += loss
            if not math.isfinite(total):
                raise TrainingError(
                    f"the loss is {loss} in epoch {number}, step {step} of {steps}; the learning rate"
                    f" ({self.plan.lr:g}) is probably too high, or a value in the data is beyond reason"
                )
        self.gates.add_up(self.group)
        return round(total / steps, 5)

    def seed(self, epoch: int) -> None:
        """Begin the random numbers of an epoch, which follow from its number, so that none must be kept to go on.

        Processes get the same batches and candidates; what else they draw, such as what is dropped out, differs.
        """
        self.rng = np.random.default_rng((self.plan.seed, epoch))
        own, common = self.rng.integers(2**62, size=2).tolist()
        self.draws.manual_seed(common)
        torch.manual_seed(own + self.group.rank)

    def step(self, batch: Batch) -> float:
        """Learn from one batch, each process from its part of it; the loss of all before."""
        plan, state = self.plan, self.held
        drawn = self.drawn(batch) if self.squares is None else None
        mine = batch.part(self.group.rank, self.group.size)
        if self.own and len(mine.user) == 0:  # whoever holds rows is asked for them, and asks
            mine = batch.part(0, len(batch.user))._replace(worth=0.0, share=0.0)
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=state.device)
        if len(mine.user):
            # The balance of the gates is that of each part's users: exact for one process, near it for large parts.
            # Casts of weights are kept until the outermost autocast ends, which may be one around the whole training.
            half = plan.precision == "bfloat16"
            with torch.autocast(state.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
                loss = mine.worth * self.loss(mine, drawn)
                loss = loss + mine.share * self.gates.penalty(mine.size)
            loss.backward()
        loss = self.group.sum_gradients(loss.detach(), self.weights)
        clip(self.weights, plan.clip, self.own, self.group)
        self.kept.before_step()
        self.optimizer.step()
        return float(loss.item())

    def drawn(self, batch: Batch) -> Candidates:
        """The items that the targets of a whole batch are told from, the same in every process."""
        plan, state = self.plan, self.held
        popular, target = state.popularity(batch.moment), state.tensor(batch.target)
        return candidates(plan.negatives, popular, target, plan.candidates, plan.logq, self.draws)

    def loss(self, batch: Batch, drawn: Candidates | None) -> Tensor:
        """The loss of one part of a batch, whose targets are told from candidates; None for values. float32 []."""
        state, towers, plan = self.held, self.towers, self.plan
        if self.squares is not None:
            return self.squares.loss(batch, state, plan.id_dropout)
        assert drawn is not None
        met = distinct(batch.history[batch.history >= 0])
        for encoder in history_encoders(towers):
            encoder.meet(state.inputs_of(state.tensor(met), batch.moment, plan.id_dropout))
        owner, target, weight = (state.tensor(column) for column in (batch.owner, batch.target, batch.weight))
        user_vec = towers.user_tower(state.users(batch, met, plan.id_dropout))
        item_vec = self.item_vectors(drawn.item, batch.moment)
        score = towers.pair_head(user_vec, item_vec).float()
        if plan.loss == "softmax":
            score = score + drawn.correction
            if len(drawn.item) == state.items:
                seen = Pairs(state.tensor(batch.seen_owner), state.tensor(batch.seen))
                return full_softmax(score, Pairs(owner, target), weight, seen if plan.reject else none_of(seen))
        item, place = torch.unique(target, return_inverse=True)  # popular ones are targets of many
        target_vec = self.item_vectors(item, batch.moment).index_select(0, place)
        own = pair_scores(towers.pair_head, user_vec.index_select(0, owner), target_vec).float()
        return LOSSES[plan.loss](score, own, owner, weight, state.taken(batch, drawn, met=plan.reject))

    def item_vectors(self, item: Tensor, moment: int) -> Tensor:
        """The vectors of items int64 [n] while they are learned, float32 [n, D]."""
        inputs = self.held.inputs_of(item, moment, self.plan.id_dropout)
        return self.towers.item_tower(read_by(self.held.item_ports, inputs))

    def state(self) -> tuple[dict[str, Any], Tensors]:
        """Weights and their running mean, the optimizer and the schedule."""
        moments = self.optimizer.state_dict()["state"]
        tensors = prefixed("roof.", self.roof.state_dict()) | prefixed("kept.", self.kept.state())
        tensors |= {f"moment.{place}.{name}": v for place, parts in moments.items() for name, v in parts.items()}
        words = {
            "rates": [group["lr"] for group in self.optimizer.param_groups],
            "schedule": self.schedule.state(),
        }
        tensors = self.shards.gathered(tensors, self.shared())
        derived = self.derived()
        return words, {name: value.detach() for name, value in tensors.items() if name not in derived}

    def restore(self, state: dict[str, Any], tensors: Tensors) -> None:
        """The same, put back."""
        tensors = self.shards.cut(tensors, self.shared())
        now = prefixed("roof.", self.roof.state_dict()) | prefixed("kept.", self.kept.state())
        tensors |= {name: now[name] for name in self.derived()}
        self.roof.load_state_dict(part_of(tensors, "roof."))
        self.kept.restore(part_of(tensors, "kept."))
        whole = self.optimizer.state_dict()
        whole["state"] = {}
        for name, value in part_of(tensors, "moment.").items():
            place, _, kind = name.partition(".")
            whole["state"].setdefault(int(place), {})[kind] = value
        for group, rate in zip(whole["param_groups"], state["rates"], strict=True):
            group["lr"] = rate
        self.optimizer.load_state_dict(whole)
        self.schedule.restore(state["schedule"])

    def shared(self) -> dict[str, int]:
        """What of the state is shared out between processes, and the rows that it has as a whole."""
        rows = {id(table.weight): table.rows for table in self.shards.tables.values()}
        named = {name: rows[id(weight)] for name, weight in self.roof.named_parameters() if id(weight) in rows}
        found = {f"{side}{name}": n for name, n in named.items() for side in ("roof.", "kept.mean.")}
        found |= {f"kept.upto.{place}": n for place, n in enumerate(rows.values())}
        every = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        places = {place: rows[id(weight)] for place, weight in enumerate(every) if id(weight) in rows}
        return found | {f"moment.{place}.{kind}": n for place, n in places.items() for kind in ("square", "step")}

    def derived(self) -> set[str]:
        """What of the state follows from the rest: the tables of history encoders, in any number of processes."""
        names = [name for name, module in self.roof.named_modules() if isinstance(module, HistoryEncoder)]
        return {f"{side}{name}.table" for name in names for side in ("roof.", "kept.mean.")}

    def finish(self, towers: Towers) -> None:
        """Where z-scores of values were learned, the score becomes the value."""
        if self.squares is not None:
            self.squares.in_units(towers)

    def passed(self, loss: float, held_out: dict[str, float]) -> None:
        """The learning rate may follow."""
        self.schedule.epoch(loss, held_out)

    @torch.no_grad()
    def evaluated(self) -> Towers:
        """The averaged towers in eval mode, their history tables up to the weights; of shared tables by the first."""
        roof = cast(nn.ModuleDict, self.shards.plain(self.kept.module.eval()))
        towers = Towers(roof["user_tower"], roof["item_tower"], cast(Head, roof["pair_head"]))
        for encoder in history_encoders(towers) if self.group.first else []:
            encoder.refresh(self.held.every_item())
        return towers


def sizes_of(dataset: Dataset, plan: Plan, context: int) -> Sizes:
    """What the model must know of this dataset."""
    clock, catalogue = plan.clock, dataset.catalogue
    return Sizes(
        users=catalogue.users.sizes,
        items=catalogue.items.sizes,
        context=context,
        trend=clock.trends,
        counts=clock.counts,
        ordered=clock.timed,
    )


def history_encoders(towers: Towers) -> list[HistoryEncoder]:
    """The encoders whose tables follow from other weights."""
    return [module for module in towers.user_tower.modules() if isinstance(module, HistoryEncoder)]
