"""A search for better settings on the validation rows, by Optuna: resumable, and hopeless trials end early."""

import logging
from pathlib import Path
from typing import Any, final

from pydantic import Field

from rec_export.config import Config
from rec_export.data.source import Source
from rec_export.errors import EnvironmentMissingError, TrainingError, UsageError
from rec_export.files import locked
from rec_export.machine import usual_torch
from rec_export.metrics import LOWER_IS_BETTER
from rec_export.models import spec_of
from rec_export.progress import track
from rec_export.record import Record
from trainers.course import Epoch
from trainers.parallel import ALONE
from trainers.plan import metric_of
from trainers.ready import read_source, ready
from trainers.space import Choice, check, usual
from trainers.tracking import Tracker, settings_of, tracked

try:
    import optuna
    from optuna.trial import TrialState as State
except ModuleNotFoundError as error:
    raise EnvironmentMissingError(
        "tune needs the package optuna, which is not here; install it with `pip install optuna`"
    ) from error

log = logging.getLogger("rec_export")
CUT = "cut off"  # the numbers of such trials, in the study


@final
class TuneJob(Record):
    """What to search, how often to try, and where to leave the study."""

    config: Path
    out: Path
    changes: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()  # none: what usually matters, as far as the model has it
    trials: int = Field(default=30, ge=1)  # of the whole study, those of an earlier run among them
    device: str | None = None  # instead of training.device


@final
class TrialTold(Record):
    """One trial as a person reads it. The value of one that was not complete is that of its last epoch."""

    number: int
    state: str  # complete, pruned, failed, or cut off where its process was stopped
    value: float | None
    epochs: int
    seconds: float | None
    changes: tuple[str, ...]  # none: the configuration as it is


@final
class Search(Record):
    """search.json: all trials in their order."""

    metric: str
    trials: tuple[TrialTold, ...]


@final
class Tuned(Record):
    """How the search went."""

    metric: str
    first: float  # the metric of the configuration as it was
    best: float
    changes: tuple[str, ...]
    trials: int
    pruned: int


@usual_torch()
def run(job: TuneJob) -> Tuned:
    """Try what is not tried yet, first the configuration as it is.

    job.out holds study.db, search.json and best.yaml.
    """
    device = () if job.device is None else (f"training.device={job.device}",)
    changes = (*job.changes, *device, "training.refit=false")
    config = Config.load(job.config, changes)
    spec = spec_of(config.model, "the configuration")
    choices = job.choices or usual(job.config, changes)
    for choice in choices:  # a slip should not wait for the data
        check(choice, choices, job.config, changes)
    source = read_source(config, spec)
    facts = {
        "inputs": source.hashes,
        "config": config.model_dump(mode="json", exclude={"tracking"}),
        "search": [c.model_dump(mode="json") for c in choices],
    }
    job.out.mkdir(parents=True, exist_ok=True)
    with locked(job.out / ".lock"), tracked(config.tracking, job.out.name, "tune") as tracker:
        study = study_of(job, config, facts)
        tracker.parameters(settings_of(config) | {"search": facts["search"]})

        def objective(trial: optuna.Trial) -> float:
            mine = tuple(choice.suggest(trial) for choice in choices) if base_of(study) else ()
            trial.set_user_attr("changes", mine)
            try:
                with tracker.within(f"trial {trial.number}", "tune") as inner:
                    value = tried(Config.load(job.config, (*changes, *mine)), source, trial, inner)
            except (KeyboardInterrupt, SystemExit):
                cut_off(study, trial.number)
                raise
            if value is None:
                raise optuna.TrialPruned
            return value

        left = max(0, job.trials - sum(state != "cut off" for state in states_of(study)))
        for _ in track(range(left), left, "trials", logged=False):
            try:
                study.optimize(objective, n_trials=1, catch=(TrainingError,) if base_of(study) else ())
            except TrainingError as error:
                raise TrainingError(f"the configuration as it is cannot be trained: {error}") from error
            finally:
                write_trials(job, study, config)  # now, as a later one may be cut off
        write_trials(job, study, config)
        tuned = write_found(job, study, config)
        tracker.metrics({f"first/{tuned.metric}": tuned.first, f"best/{tuned.metric}": tuned.best})
        tracker.text((job.out / "best.yaml").read_text(encoding="utf-8"), "best.yaml")
    return tuned


def study_of(job: TuneJob, config: Config, facts: dict[str, Any]) -> "optuna.Study":
    """The study in job.out, which is locked; begun or gone on with. Raises UsageError where it is another search's."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{(job.out / 'study.db').resolve()}",
        study_name="tune",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
        direction="minimize" if metric_of(config.training) in LOWER_IS_BETTER else "maximize",
        load_if_exists=True,
    )
    # A sampler that is seeded as before would draw again what an earlier run has tried.
    study.sampler = optuna.samplers.TPESampler(seed=config.training.seed + len(study.trials))
    if study.user_attrs and {name: study.user_attrs.get(name) for name in facts} != facts:
        raise UsageError(f"{job.out} holds a search on other data or with other settings; name a new --out")
    for name, fact in facts.items():
        study.set_user_attr(name, fact)
    for trial in study.get_trials(states=[State.RUNNING]):  # of a process that was killed
        cut_off(study, trial.number)
        study.tell(trial.number, state=State.FAIL)
    return study


def cut_off(study: "optuna.Study", number: int) -> None:
    """Note that a trial's process was stopped: the trial has not failed, and counts not."""
    study.set_user_attr(CUT, [*study.user_attrs.get(CUT, []), number])


def base_of(study: "optuna.Study") -> "optuna.trial.FrozenTrial | None":
    """The trial of the configuration as it is, if it has been made."""
    complete = study.get_trials(states=[State.COMPLETE])
    return next((trial for trial in complete if not trial.user_attrs.get("changes", [""])), None)


def tried(config: Config, source: Source, trial: "optuna.Trial", tracker: Tracker) -> float | None:
    """The best metric of one trial on the validation rows; None when it lags behind the others."""
    spec = spec_of(config.model, "the configuration")
    made = ready(config, spec, source, ALONE.on(config.training.device), habits=False)
    if made.validation is None:
        raise UsageError("nothing can be validated, so nothing can be tuned; give data.split.valid a share")

    tracker.parameters(settings_of(config) | {"plan": made.plan.model_dump(mode="json", exclude_none=True)})

    def listen(epoch: Epoch) -> None:
        tracker.epoch(epoch)
        trial.report(epoch.held_out[made.plan.metric], epoch.epoch)
        if trial.should_prune():
            tracker.tag("pruned", f"after epoch {epoch.epoch}")
            raise optuna.TrialPruned

    made.course.listen = listen
    try:
        found = made.course.train(made.validation, f"trial {trial.number}", None, keep=False)
    except optuna.TrialPruned:
        return None
    tracker.metrics({f"validation/{metric}": value for metric, value in found.held_out.items()})
    return found.held_out[made.plan.metric]


def write_trials(job: TuneJob, study: "optuna.Study", config: Config) -> None:
    """Write search.json."""
    trials = tuple(map(trial_told, study.trials, states_of(study)))
    Search(metric=metric_of(config.training), trials=trials).write(job.out / "search.json")


def write_found(job: TuneJob, study: "optuna.Study", config: Config) -> Tuned:
    """Write best.yaml, the configuration with what was found. In brief how the search went."""
    base = base_of(study)
    if base is None:
        raise TrainingError("the configuration as it is could not be trained, so there is nothing to compare with")
    best = study.best_trial
    changes = tuple(best.user_attrs["changes"])
    (job.out / "best.yaml").write_text(Config.load(job.config, (*job.changes, *changes)).dump(), encoding="utf-8")
    states = [trial.state for trial in study.trials]
    return Tuned(
        metric=metric_of(config.training),
        first=float(base.value or 0.0),
        best=study.best_value,
        changes=changes,
        trials=sum(state in (State.COMPLETE, State.PRUNED) for state in states),
        pruned=states.count(State.PRUNED),
    )


def states_of(study: "optuna.Study") -> list[str]:
    """How each trial ended: complete, pruned, failed, or cut off where its process was stopped."""
    cut = study.user_attrs.get(CUT, [])
    names = {State.FAIL: "failed"}
    return ["cut off" if one.number in cut else names.get(one.state, one.state.name.lower()) for one in study.trials]


def trial_told(trial: "optuna.trial.FrozenTrial", state: str) -> TrialTold:
    """What is told of a trial."""
    epochs = sorted(trial.intermediate_values)
    last = trial.intermediate_values[epochs[-1]] if epochs else None
    return TrialTold(
        number=trial.number,
        state=state,
        value=trial.value if trial.state == State.COMPLETE else last,
        epochs=len(epochs),
        seconds=None if trial.duration is None else round(trial.duration.total_seconds(), 1),
        changes=tuple(trial.user_attrs.get("changes", ())),
    )
