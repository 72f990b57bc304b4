"""From a source to trained towers: a search for the number of epochs, then learning again from all rows."""

from typing import NamedTuple

from rec_export.config import Config
from rec_export.data.source import Source
from rec_export.data.split import Part
from rec_export.ensemble import Away, Linear, Timeless, ensemble
from rec_export.machine import give_back
from rec_export.progress import in_parts, passed
from rec_export.shallow import Shallow
from rec_export.towers import ModelSpec, Towers
from rec_export.world import CONTEXT
from trainers.batches import Device
from trainers.beside import added, linears_of, may_stand_beside
from trainers.course import Course, Epoch
from trainers.dataset import Dataset
from trainers.habit_term import Habits, habits_of
from trainers.journal import Journal
from trainers.loop import sizes_of
from trainers.parallel import Group
from trainers.plan import Plan
from trainers.ready import course_of, ready
from trainers.timeless import Wish, second_plan, weighed
from trainers.tracking import Tracker
from trainers.validation import ListValidation, Validation


class Fitted(NamedTuple):
    """A trained model and the dataset it knows."""

    plan: Plan
    towers: Towers
    timeless: float  # the share of a second model in them, which looks at no time; 0: there is none
    away: Away | None  # who hears more of it
    shallow: tuple[Shallow, ...]  # beside these
    habits: Habits
    dataset: Dataset
    best_epoch: int
    epochs: tuple[Epoch, ...]
    held_out: dict[str, dict[str, float]]


class Second(NamedTuple):
    """The model that looks at no time, beside the one that does."""

    plan: Plan
    share: float
    away: Away | None
    towers: Towers | None  # that have not seen the validation rows; None where they are to learn again


class Found(NamedTuple):
    """What a search leaves. Its tables do not stay where all rows are to be learned from again."""

    plan: Plan
    source: Source
    dataset: Dataset | None  # that the exported model knows; None: of all rows, and not made yet
    towers: Towers | None  # None: all is to be learned again, from all rows
    second: Second | None
    shallow: tuple[Shallow, ...]
    habits: Habits
    best_epoch: int
    epochs: tuple[Epoch, ...]
    held_out: dict[str, dict[str, float]]


class Trainer(NamedTuple):
    """What all phases of a training share."""

    config: Config
    spec: ModelSpec
    group: Group
    journal: Journal | None
    tracker: Tracker

    def course(self, dataset: Dataset, plan: Plan) -> Course:
        """Fresh towers in training, of whose epochs the tracker hears."""
        course = course_of(self.spec, dataset, plan, self.group)
        course.listen = self.tracker.epoch
        return course

    def search(self, source: Source) -> Found:
        """Search for the best epoch with the validation part held out."""
        made = ready(self.config, self.spec, source, self.group)
        ensemble([made.course.towers] * made.plan.seeds)  # refuses what cannot be one model before it is trained
        self.tracker.parameters({"plan": made.plan.model_dump(mode="json", exclude_none=True)})
        made.course.listen = self.tracker.epoch
        second = second_plan(made, self.config.training, self.spec)
        again = made.judged and self.config.training.refit
        shallow = may_stand_beside(self.config.training, self.spec, made)
        keep = second is not None or shallow or made.returning is not None or not again
        best = made.course.train(made.validation, "search", self.journal, keep)
        beside: dict[str, dict[str, float]] = {}
        if made.validation is not None:
            with in_parts("judging what it must beat", made.validation.parts):
                beside = made.validation.beside()
        found = Found(
            plan=made.plan,
            source=made.source,
            dataset=made.everything if again else made.dataset,
            towers=None if again else best.towers,
            second=None,
            shallow=(),
            habits=Habits(),
            best_epoch=best.best_epoch,
            epochs=best.epochs,
            held_out={} if made.validation is None else {"model": best.held_out, **beside},
        )
        dataset, validation, lists, held = made.dataset, made.validation, made.returning, made.course.held
        wish = None if second is None else Wish.of(made, self.config.training.timeless)
        del made  # and with it all that the search learned by, which takes more room than its towers
        give_back()
        towers = best.towers
        if validation is not None and second is not None and wish is not None:
            found, towers = self.with_second(found, second, wish, towers, dataset, validation, held)
        if shallow and isinstance(validation, ListValidation):
            found, towers = self.with_shallow(found, towers, validation, held)
        return found._replace(habits=self.habits(towers, lists, held))

    def habits(self, towers: Towers, lists: ListValidation | None, held: Device) -> Habits:
        """What is added to the scores of what a user liked before."""
        if lists is None:
            return Habits()
        with in_parts("learning habits", 2 + 4 * lists.parts):
            return self.group.broadcast(habits_of(towers, lists, held) if self.group.first else Habits())

    def with_second(
        self,
        found: Found,
        plan: Plan,
        wish: Wish,
        timed: Towers,
        dataset: Dataset,
        validation: Validation,
        held: Device,
    ) -> tuple[Found, Towers]:
        """With a second model, which looks at no time, if the validation rows do not speak against it."""
        learned = self.course(dataset, plan).train(None, "without time", self.journal)
        told, timeless = None, Timeless(learned.towers, wish.share, wish.away, sizes_of(dataset, found.plan, CONTEXT))
        if self.group.first:
            told = weighed(timed, timeless, wish.bearable, validation, held, found.plan.metric)
        share, held_out = self.group.broadcast(told) or (0.0, {})
        both = ensemble([timed], timeless._replace(share=share)) if share else timed
        kept = None if found.towers is None else learned.towers
        more = found._replace(
            second=Second(plan, share, wish.away, kept) if share else None,
            epochs=found.epochs + learned.epochs,
            held_out={**found.held_out, "model": held_out},
        )
        return more, both

    def with_shallow(
        self, found: Found, towers: Towers, validation: ListValidation, held: Device
    ) -> tuple[Found, Towers]:
        """With tables of items beside the towers, if the validation rows do not speak against them."""
        linears, held_out = list[Linear](), dict[str, float]()
        if self.group.first:
            with in_parts("weighing what goes with what", 2 + 2 * validation.parts):
                linears, held_out = added(towers, validation, found.plan, held)
        shallow = self.group.broadcast(tuple(linear.shallow for linear in linears))
        more = found._replace(shallow=shallow, held_out={**found.held_out, "model": held_out})
        return more, ensemble([towers], None, linears)  # which the first process alone goes on to ask

    def fit(self, source: Source) -> Fitted:
        """Search with the validation part held out; then, if asked, learn from both for the best number of epochs.

        With several seeds the first one searches, and all learn for as many epochs.
        """
        found = self.search(source)
        give_back()
        dataset = found.dataset
        if dataset is None:
            with in_parts("planning the refit", 2):
                lessons = found.source.lessons(Part.TRAIN, Part.VALID)
                passed()
                dataset = Dataset.of(found.source, lessons)
        members, epochs = [] if found.towers is None else [found.towers], found.epochs
        for number in range(len(members), found.plan.seeds):
            plan = found.plan.model_copy(update={"epochs": found.best_epoch, "seed": found.plan.seed + number})
            refit = self.course(dataset, plan).train(
                None, "refit" if number == 0 else f"refit {number + 1}", self.journal
            )
            members.append(refit.towers)
            epochs += refit.epochs
        timeless = None
        if found.second is not None:
            plan, share, away, towers = found.second
            if towers is None:
                refit = self.course(dataset, plan).train(None, "refit without time", self.journal)
                towers, epochs = refit.towers, epochs + refit.epochs
            timeless = Timeless(towers, share, away, sizes_of(dataset, found.plan, CONTEXT))
        return Fitted(
            plan=found.plan,
            towers=ensemble(members, timeless, linears_of(found.shallow, dataset)),
            timeless=0.0 if timeless is None else timeless.share,
            away=timeless and timeless.away,
            shallow=found.shallow,
            habits=found.habits,
            dataset=dataset,
            best_epoch=found.best_epoch,
            epochs=epochs,
            held_out=found.held_out,
        )
