"""What stands before the first epoch: rows read and split, a plan, fresh towers, and what tells how well they do."""

import logging
from collections.abc import Callable
from typing import NamedTuple

from rec_export.config import Config
from rec_export.data.log import Events, say_left_out, select
from rec_export.data.source import PAIRS, Source
from rec_export.data.split import Part
from rec_export.errors import UsageError
from rec_export.machine import give_back
from rec_export.metrics import RATING_NAMES
from rec_export.models import names, spec_class
from rec_export.progress import in_parts, passed
from rec_export.towers import ModelSpec, Sizes
from rec_export.world import CONTEXT
from trainers.course import Course
from trainers.dataset import Dataset
from trainers.heeded import say_unheeded
from trainers.loop import Run, sizes_of
from trainers.parallel import Group
from trainers.plan import Plan, metric_of, plan
from trainers.popular import PopularRun
from trainers.rating_validation import ValueValidation
from trainers.validation import ListValidation, Validation

log = logging.getLogger("rec_export")
MANY = 1_000_000  # rows; with more, tables are made once more for the refit, a second for 4 million, to save their room


def trainer_of(spec: ModelSpec) -> Callable[[ModelSpec, Sizes, Dataset, Plan, Group], Course]:
    """What finds the weights of a model. Raises EnvironmentMissingError where its package is not installed."""
    if spec.trainer == "als":
        from trainers.als import AlsRun  # here, as it needs the optional package implicit

        return AlsRun
    if spec.trainer == "bpr":
        from trainers.bpr import BprRun  # here, as compiled kernels take a second to load

        return BprRun
    return PopularRun if spec.trainer == "popular" else Run


def course_of(spec: ModelSpec, dataset: Dataset, chosen: Plan, group: Group) -> Course:
    """Fresh towers in training."""
    return trainer_of(spec)(spec, sizes_of(dataset, chosen, CONTEXT), dataset, chosen, group)


def read_source(config: Config, spec: ModelSpec) -> Source:
    """The log and the tables, split as the loss needs it. Raises UsageError where it goes with the rest not at all."""
    metric_of(config.training)
    predicts = config.training.loss == "mse"
    if predicts and not spec.predicts:
        able = ", ".join(name for name in names() if spec_class(name).predicts)
        raise UsageError(
            f"training.loss is mse, but the model {config.model['name']!r} cannot predict values: they would show in"
            f" the histories or trends that it reads, or its solver knows likings alone; take one of {able}"
        )
    if predicts and config.data.interactions.value is None:
        raise UsageError(
            "training.loss is mse, but the log has no value to predict; name its column in data.interactions.value"
        )
    say_unheeded(config.training, spec)
    source = Source.read(config.data, rated=predicts)
    say_left_out(source.events, config.data.interactions.path)
    return source


def validation_of(dataset: Dataset, chosen: Plan, later: Events, spec: ModelSpec) -> Validation | None:
    """Held-out rows that tell the metric of the plan; None where they hold nothing to tell it by."""
    if chosen.metric in RATING_NAMES:
        return ValueValidation.of(dataset, chosen, later)
    return ListValidation.of(dataset, chosen, later, spec.pair_numbers)


def returning(config: Config, dataset: Dataset, chosen: Plan, later: Events, spec: ModelSpec) -> ListValidation | None:
    """What users chose next, new to them or not, to learn habits by; None where lists hold nothing again, or, which is
    said, nothing tells of it.
    """
    if config.score.seen == "exclude":
        return None
    if chosen.loss == "mse":
        why = "a score predicts a value (training.loss: mse)"
    elif config.data.interactions.repeats != "keep":
        why = f"data.interactions.repeats is {config.data.interactions.repeats}, so nobody chose anything again"
    else:
        lists = ListValidation.of(dataset, chosen, later, spec.pair_numbers, again=True)
        if lists is not None:
            return lists
        why = "no validation row tells what somebody chose next"
    log.info("no habits are learned, as %s", why)
    return None


class Ready(NamedTuple):
    """All that a search for the best epoch needs."""

    source: Source
    everything: Dataset | None  # all rows, where they were looked at to find out how to split, and are not too many
    dataset: Dataset
    plan: Plan
    validation: Validation | None
    returning: ListValidation | None
    course: Course

    @property
    def judged(self) -> bool:
        """Whether anything is learned from the validation rows before they are lessons."""
        return self.validation is not None or self.returning is not None


def ready(config: Config, spec: ModelSpec, source: Source, group: Group, *, habits: bool = True) -> Ready:
    """Split if the configuration does not, plan, and make fresh towers.

    Without `habits` nothing is read for these, as a search for other settings does not learn them.
    """
    with in_parts("planning", 7 if config.data.split.by == "none" else 4):
        return planned(config, spec, source, group, habits)


def planned(config: Config, spec: ModelSpec, source: Source, group: Group, habits: bool) -> Ready:
    """The same, as the parts of a step."""
    everything, ahead = None, config.data.split.by not in PAIRS
    if config.data.split.by == "none":  # what is held out depends on whether time matters, and on nothing else
        everything = Dataset.of(source, source.lessons(Part.TRAIN))
        passed()
        ahead = plan(everything, config.training, config.data.history, spec).clock.timed
        passed()
        source = source.with_validation("time" if ahead else "random")
        if len(source.events.positive) > MANY:
            everything = None  # made again for the refit
            give_back()
        passed()
    dataset = Dataset.of(source, source.lessons(Part.TRAIN))
    passed()
    chosen = plan(dataset, config.training, config.data.history, spec, ahead)
    passed()
    if dataset.timeline.time is not None and not chosen.clock.timed and chosen.loss != "mse":
        held_out = f"what is held out is of any (data.split.by: {config.data.split.by})"
        no_more = "what was popular of late, or liked by a user, foretells no more than all that was"
        why = held_out if config.data.split.by in PAIRS else no_more
        log.info("time is not looked at: %s", why)
    later = select(source.events, source.rows(Part.VALID))
    validation = validation_of(dataset, chosen, later, spec)
    again = returning(config, dataset, chosen, later, spec) if habits else None
    passed()
    if validation is None and config.training.refit and source.rows(Part.VALID).any():
        log.warning("nobody who is learned from likes anything new in the validation rows; %d epochs", chosen.epochs)
        if again is None:
            dataset = everything or Dataset.of(source, source.lessons(Part.TRAIN, Part.VALID))
    return Ready(source, everything, dataset, chosen, validation, again, course_of(spec, dataset, chosen, group))
