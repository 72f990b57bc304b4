"""What MLflow is told: a run for each training, judgement or search. A store that fails costs the work nothing.

https://mlflow.org; the extra [tracking]. Names of metrics have no `@`, which MLflow refuses: ndcg_at_10.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

from rec_export import __version__
from rec_export.config import Config
from rec_export.errors import EnvironmentMissingError, shorten
from rec_export.redact import redacted
from rec_export.tracking import Tracking
from rec_export.words import counted
from trainers.course import Epoch

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

log = logging.getLogger("rec_export")
T = TypeVar("T")
Message = Callable[["MlflowClient", str], object]  # the store, and the id of the run

IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Where the user's environment says nothing else. By itself MLflow waits for a server for minutes, prints links to
stdout, calls home, and says on stderr, past `logs.set_up`, that it made its tables."""
MOST_AT_ONCE = {"params": 100, "metrics": 1000}  # that MLflow takes in one call
LONGEST = 6000  # characters of a parameter
UNTRAINED = {"score", "rules", "nightly", "tracking"}  # sections that say nothing of what was learned


@final
class Store:
    """A tracking store, opened when something is to be told; shared by a run and those within it."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking
        self.failing = False
        self.lost = 0  # messages that it never took
        for name, value in IMPATIENT.items():
            os.environ.setdefault(name, value)
        try:
            for package in ("alembic", "mlflow", "sqlalchemy"):
                import_module(package)
        except ImportError as error:
            raise EnvironmentMissingError(
                f"tracking needs the package {error.name}, which is not here; install it with"
                " `pip install mlflow-skinny sqlalchemy alembic`, or leave tracking out"
            ) from error
        self.opened: tuple[MlflowClient, str] | None = None

    def open(self) -> "tuple[MlflowClient, str]":
        """The store and the id of the experiment, which is made where it is missing."""
        if self.opened is None:
            from mlflow import MlflowClient

            if self.tracking.file is not None:
                self.tracking.file.parent.mkdir(parents=True, exist_ok=True)
            client, name = MlflowClient(tracking_uri=self.tracking.uri), self.tracking.experiment
            found = client.get_experiment_by_name(name)
            made = found.experiment_id if found else client.create_experiment(name, self.tracking.artifacts)
            self.opened = client, made
        return self.opened

    def failed(self, error: Exception) -> None:
        """Say so in one line, once."""
        if not self.failing:
            reason = shorten(redacted(" ".join(str(error).split())), 200)
            log.warning(
                "MLflow at %s takes nothing (%s); the work goes on, and is told there once more at its end",
                self.tracking.store,
                reason,
            )
        self.failing = True


@final
class Tracker:
    """One run of MLflow. What cannot be told waits for the end of the run."""

    def __init__(self, store: Store | None, name: str, verb: str, parent: "Tracker | None" = None) -> None:
        self.store, self.name, self.verb, self.parent = store, name, verb, parent
        self.run = ""  # its id, once it is begun
        self.waiting: list[Message] = []

    def tell(self, message: Message) -> None:
        """Tell it now if the store works, otherwise at the end."""
        if self.store is not None:
            self.waiting.append(message)
            if not self.store.failing:
                self.flush()

    def flush(self) -> None:
        """Tell what is waiting."""
        assert self.store is not None
        try:
            run = self.begun()
            while self.waiting:
                self.waiting[0](self.store.open()[0], run)
                del self.waiting[0]
            self.store.failing = False
        except Exception as error:  # the clients of S3 and others raise errors of their own, where they are installed
            self.store.failed(error)

    def begun(self) -> str:
        """The id of the run, which is begun if it was not."""
        if not self.run:
            assert self.store is not None
            client, experiment = self.store.open()
            tags = {"mlflow.source.name": f"rec-export {self.verb}", "rec_export.version": __version__}
            if self.parent is not None:
                tags["mlflow.parentRunId"] = self.parent.begun()
            self.run = client.create_run(experiment, tags=tags, run_name=self.name).info.run_id
        return self.run

    def end(self, status: str) -> None:
        """Nothing more will be told; a run that was told nothing was none.

        Messages that the store refuses do not keep the others from it; who is killed waits for no store.
        """
        if self.store is None or not (self.run or self.waiting):
            return
        self.waiting.append(lambda client, run: client.set_terminated(run, status))
        if status != "KILLED" or not self.store.failing:
            self.flush()
            self.without_the_refused()
        self.store.lost += len(self.waiting)
        self.waiting = []
        if self.parent is None and self.store.lost:
            log.warning(
                "MLflow at %s lacks %s of this command; what it wrote or printed here is whole",
                self.store.tracking.store,
                counted(self.store.lost, "message"),
            )

    def without_the_refused(self) -> None:
        """Where the first message and not the store fails, tell the others one by one; what is refused is lost."""
        assert self.store is not None
        if len(self.waiting) < 2 or not self.run:
            return
        first, *rest, last = self.waiting
        self.waiting = [last]
        self.flush()
        if self.waiting:  # so it is the store
            self.waiting = [first, *rest, last]
            return
        self.store.lost += 1
        for message in rest:
            self.waiting, self.store.failing = [message], True  # of which one line was said
            self.flush()
            self.store.lost += len(self.waiting)
        self.waiting, self.store.failing = [], False

    def parameters(self, values: Mapping[str, Any]) -> None:
        """What the run depends on, nested as in YAML."""
        if self.store is None:
            return
        from mlflow.entities import Param

        told = [Param(name, value[:LONGEST]) for name, value in flat(values).items()]
        for some in portions(told, MOST_AT_ONCE["params"]):
            self.tell(batch(params=some))

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Figures as of now."""
        if self.store is None:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        told = [Metric(named(name), value, now, step) for name, value in values.items()]
        for some in portions(told, MOST_AT_ONCE["metrics"]):
            self.tell(batch(metrics=some))

    def epoch(self, epoch: Epoch) -> None:
        """The figures of one epoch."""
        values = {"loss": epoch.loss, "seconds": epoch.seconds, **epoch.held_out}
        values |= {f"gate {name}": share for name, share in epoch.gate.get("all", {}).items()}
        self.metrics({f"{epoch.phase}/{name}": value for name, value in values.items()}, epoch.epoch)

    def tag(self, name: str, value: str) -> None:
        """What the run can be found by."""
        self.tell(lambda client, run: client.set_tag(run, f"rec_export.{name}", value))

    def text(self, text: str, name: str) -> None:
        """A file of this text."""
        self.tell(lambda client, run: client.log_text(run, text, name))

    def checkpoint(self, folder: Path) -> None:
        """What was trained: the small files, and if asked for all of them."""
        if self.store is None:
            return
        if self.store.tracking.checkpoint:
            self.tell(lambda client, run: client.log_artifacts(run, str(folder), folder.name))
            return
        for name in ("config.yaml", "spec.json", "metrics.json", "history.jsonl", "profile.json"):
            self.tell(file(folder / name))

    @contextmanager
    def within(self, name: str, verb: str) -> "Iterator[Tracker]":
        """A run inside this one, while the block lasts."""
        with ended(Tracker(self.store, name, verb, parent=self)) as inner:
            yield inner


@contextmanager
def tracked(tracking: Tracking | None, name: str, verb: str) -> Iterator[Tracker]:
    """A run while the block lasts, begun with the first word; None: nothing is told to anybody.

    Raises EnvironmentMissingError where MLflow is not installed.
    """
    with ended(Tracker(None if tracking is None else Store(tracking), name, verb)) as tracker:
        yield tracker


@contextmanager
def ended(tracker: Tracker) -> Iterator[Tracker]:
    """End the run as the block ends."""
    try:
        yield tracker
    except Exception:
        tracker.end("FAILED")
        raise
    except BaseException:
        tracker.end("KILLED")
        raise
    tracker.end("FINISHED")


def settings_of(config: Config) -> dict[str, Any]:
    """The part of a configuration that decides what is learned."""
    return config.model_dump(mode="json", exclude=UNTRAINED, exclude_none=True)


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """`{"a": {"b": 1}}` as `{"a.b": "1"}`."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return found


def batch(metrics: "Sequence[Metric]" = (), params: "Sequence[Param]" = ()) -> Message:
    """Many in one call."""
    return lambda client, run: client.log_batch(run, metrics=metrics, params=params)


def file(path: Path) -> Message:
    """A copy of one file."""
    return lambda client, run: client.log_artifact(run, str(path))


def named(metric: str) -> str:
    """A metric's name without what MLflow refuses."""
    return re.sub(r"[^/\w. :-]", "_", metric.replace("@", "_at_"))


def portions(values: list[T], size: int) -> Iterator[list[T]]:
    """At most so many at a time."""
    for first in range(0, len(values), size):
        yield values[first : first + size]
