"""What `train` would do: everything up to the first steps of learning is done, timed and thrown away."""

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

from rec_export.catalogue import Catalogue
from rec_export.checkpoint import modules
from rec_export.data.split import Part
from rec_export.device import training_threads
from rec_export.files import refuse_busy, refuse_existing
from rec_export.forecast import Forecast, Pace, pace, peak, read
from rec_export.models import spec_of
from rec_export.words import counted
from trainers.beside import may_stand_beside, tables_of
from trainers.course import Course
from trainers.job import TrainJob, finished
from trainers.journal import lock_of
from trainers.loop import Run
from trainers.parallel import ALONE
from trainers.plan import Plan
from trainers.ready import Ready, course_of, read_source, ready, trainer_of
from trainers.timeless import second_plan

COPIES = 5  # of all weights: the best ones, and in the journal the weights, their mean, and two moments of each
SMALL = 50_000  # bytes: the configuration, metrics and history


def dry_run(job: TrainJob) -> Forecast:
    """Read, plan, learn for a few seconds, and write nothing. Raises what `train` raises before it learns."""
    if job.resume and finished(job) is not None:
        return Forecast.nothing(f"train the model {job.config.model['name']!r}", job.config.data.paths(), job.out)
    refuse_existing(job.out)
    refuse_busy(lock_of(job.out))
    spec = spec_of(job.config.model, "the configuration")
    trainer_of(spec)
    group = ALONE.on(job.config.training.device)
    begun = perf_counter()
    source = read_source(job.config, spec)
    with training_threads():
        made = ready(job.config, spec, source, group)
        prepared = perf_counter() - begun
        refit = job.config.training.refit
        least, most = seconds(made, epoch_pace(made.course, made.plan), refits=made.plan.seeds if refit else 0)
        beside = second_plan(made, job.config.training, spec)
        second = None if beside is None else course_of(spec, made.dataset, beside, group)
        if second is not None:
            more = second.plan.epochs * epoch_pace(second, second.plan) * (2 if refit else 1)
            least, most = least + more, most + more
    weights, parameters = size_of_model(made.course)
    weights_beside, others = (0, 0) if second is None else size_of_model(second)
    catalogue = made.dataset.catalogue
    shallow = may_stand_beside(job.config.training, spec, made)
    ranks = sum(one.rank for one in tables_of(made.plan.clock.timed)) if shallow else 0
    tables = 2 * ranks * 4 * catalogue.items.trained  # bytes of float32
    held_out = int(made.source.rows(Part.VALID).sum())
    return Forecast(
        does=f"train the model {job.config.model['name']!r}",
        inputs=read(job.config.data.paths()),
        facts=(
            f"{len(source.events.positive):,} events, {catalogue.users.trained:,} users and"
            f" {catalogue.items.trained:,} items to learn from, {held_out:,} events to choose the epoch by",
            f"{made.plan.seeds * parameters + others:,} parameters{of_members(made.plan.seeds)},"
            f" at most {counted(made.plan.epochs, 'epoch')}"
            f" of {made.plan.batch:,} examples a batch",
            *([] if second is None else [told_of(second, others)]),
        ),
        out=job.out,
        memory=peak() + COPIES * (weights + weights_beside) + 3 * tables,
        disk=made.plan.seeds * weights + weights_beside + tables + size_of(catalogue) + SMALL,
        meanwhile=2 * COPIES * (weights + weights_beside),
        seconds=(prepared + least, prepared + most),
    )


def of_members(seeds: int) -> str:
    """What is averaged, where several are."""
    return "" if seeds == 1 else f" in {seeds} models that are averaged"


def told_of(second: Course, parameters: int) -> str:
    """The second model in words."""
    return f"{parameters:,} of them in a second model that looks at no time, {counted(second.plan.epochs, 'epoch')}"


def size_of_model(course: Course) -> tuple[int, int]:
    """Bytes of all weights and buffers, and the parameters."""
    stored = sum(w.numel() * w.element_size() for w in modules(course.towers).state_dict().values())
    return stored, sum(w.numel() for part in course.towers for w in part.parameters())


def epoch_pace(course: Course, plan: Plan) -> float:
    """Seconds of an epoch: a few of its batches are learned from, or all of it where it has none."""
    if not isinstance(course, Run):
        return pace([partial(course.epoch, 1)]).seconds
    course.seed(1)
    course.roof.train()
    return pace(learned(course, plan)).of(course.examples.steps(plan.batch))


def learned(course: Run, plan: Plan) -> Iterator[Callable[[], object]]:
    """The steps of an epoch."""
    for batch in course.examples.batches(plan.batch, course.rng):
        yield partial(course.step, batch)


def seconds(made: Ready, epoch: float, refits: int) -> tuple[float, float]:
    """Least and most of a whole training: of the search up to its last epoch, and of learning again from all rows."""
    if made.validation is None:
        return made.plan.seeds * made.plan.epochs * epoch, made.plan.seeds * made.plan.epochs * epoch
    begun = perf_counter()
    made.validation.measure(made.course.evaluated(), made.course.held)
    look = Pace(1, perf_counter() - begun).seconds
    fewest = min(made.plan.patience + 1, made.plan.epochs)
    least = fewest * (epoch + look) + refits * epoch
    return least, made.plan.epochs * (epoch + look) + refits * made.plan.epochs * epoch


def size_of(catalogue: Catalogue) -> int:
    """Bytes of the tables of users and items, before they are packed, and of what turns them into numbers."""
    return sum(int(side.table.nbytes) + side.state.nbytes for side in catalogue)
