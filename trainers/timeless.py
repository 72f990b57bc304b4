"""Beside a model that looks at time: one that does not, and how much it says in a score.

What sells now and what somebody likes at all times are learned best apart: the one from snapshots of the past, the
other from bags. docs/decisions.md has the figures behind the numbers here.
"""

import logging
from typing import NamedTuple, Self

import numpy as np
import torch

from rec_export.checkpoint import modules
from rec_export.config import Training
from rec_export.data.source import Source
from rec_export.data.split import Part
from rec_export.data.times import DAY
from rec_export.ensemble import Away, Timeless, ensemble
from rec_export.metrics import gain
from rec_export.progress import in_parts
from rec_export.towers import DotHead, ModelSpec, Towers
from rec_export.world import Timeline
from trainers.batches import Device
from trainers.plan import Plan, plan
from trainers.ready import Ready
from trainers.validation import Validation

log = logging.getLogger("rec_export")
BORNE = ", which chose the epoch and is flattered by it, so this loss is borne"
STEPS = 500  # about so many, or what the fewest epochs have, but no more than the most epochs have
FEWEST, MOST = 10, 60
PARTS = (1.0, 2 / 3, 1 / 3)  # of the share: the first that is bearable is taken
AWAY = 4.0  # how many times as much it counts for who has been away
ABSENCE = 0.5  # for so much of the log's time
KNOWN = 0.5  # of the newest likings are at least of users who were known before, or a log is one of visits


class Wish(NamedTuple):
    """The share that a second model is to have, and what must be left of the metric without it, or it gets less.

    That metric chose the epoch and is flattered by it, so something may be lost.
    """

    share: float = 0.15
    bearable: float = 0.9
    away: Away | None = None

    @classmethod
    def of(cls, made: Ready, asked: float | None) -> Self:
        """What the configuration asks for, or what the log tells.

        Where most who come are new, the lists of known users are of people who came once. The few who came back among
        the validation rows do not speak for them all.
        """
        away = Away(days=ABSENCE * days_of(made.dataset.timeline), times=AWAY)
        if asked is not None:
            return cls(asked, away=away)
        known = known_share(made.source)
        if known >= KNOWN:
            return cls(away=away)
        log.info("of the newest likings %.0f%% are of users never seen before: a log of visits", 100 * (1 - known))
        return cls(share=0.4, bearable=0.8, away=away)


def days_of(timeline: Timeline) -> float:
    """From the first liking to the last, of a log with time."""
    time = timeline.event_time
    assert time is not None
    return round(float(time[-1] - time[0]) / DAY, 3)


def known_share(source: Source) -> float:
    """The share of the likings in the validation rows that are of users with a row before; 1 where it is not the newest
    rows that were held out.
    """
    user, time = source.events.user_id.code, source.events.time
    train, valid = source.rows(Part.TRAIN), source.rows(Part.VALID) & source.events.positive
    if time is None or not valid.any() or time[valid].min() < time[train].max():
        return 1.0
    return float(np.isin(user[valid], user[train]).mean())


def second_plan(made: Ready, training: Training, spec: ModelSpec) -> Plan | None:
    """How a second model learns that stands beside the one in training; None where there is to be none.

    As for a log without time, but with one seed, and with epochs that nothing chooses: the validation rows cannot, as
    they are of the days to come, of which this model is to know nothing.
    """
    wanted = training.timeless != 0 and spec.timeless and made.plan.clock.timed and made.validation is not None
    if not wanted or not isinstance(made.course.towers.pair_head, DotHead):
        return None
    own = training.model_copy(update={"lr": None})  # one that was found for the model with time
    mine = plan(made.dataset, own, made.plan.history, spec, ahead=False)
    users = int((made.dataset.timeline.start[1:] > made.dataset.timeline.start[:-1]).sum())
    epochs = min(max(STEPS * mine.batch // max(users, 1), FEWEST), MOST, mine.epochs)
    return mine.model_copy(update={"seeds": 1, "epochs": epochs})


@torch.no_grad()
def weighed(
    timed: Towers, timeless: Timeless, bearable: float, validation: Validation, state: Device, metric: str
) -> tuple[float, dict[str, float]]:
    """The share that the second model gets, and the metrics of both; the towers are on the CPU afterwards."""
    alone = measured(ensemble([timed]), validation, state)
    for part in PARTS:
        share = round(part * timeless.share, 6)
        both = measured(ensemble([timed], timeless._replace(share=share)), validation, state)
        if gain(metric, both[metric]) >= gain(metric, alone[metric]) - (1 - bearable) * abs(alone[metric]):
            told = (
                "a second model, which looks at no time, is added at %.2g (training.timeless): %s %.4f, without %.4f%s"
            )
            log.info(told, share, metric, both[metric], alone[metric], BORNE * (both[metric] < alone[metric]))
            return share, both
    told = "a second model, which looks at no time, would cost too much: %s %.4f, without %.4f; left out"
    log.info(told, metric, both[metric], alone[metric])
    return 0.0, alone


def measured(towers: Towers, validation: Validation, state: Device) -> dict[str, float]:
    """The metrics of towers from the CPU."""
    modules(towers).to(state.device).eval()
    with in_parts("weighing the model without time", validation.parts):
        found = validation.measure(towers, state)
    modules(towers).cpu()
    return found
