"""What a night is asked for, and what can be known to be wrong with it before anything is scored."""

from datetime import date
from pathlib import Path
from typing import final

from pydantic import BaseModel

from batch_jobs.delta import refuse_unfit
from batch_jobs.gates import Gatekeeper
from batch_jobs.job import ScoreJob
from rec_export.bundle import manifest_of
from rec_export.choices import Executor
from rec_export.config import Config, Nightly
from rec_export.errors import UsageError
from rec_export.record import Record
from rec_export.recs import Recs

UNASKED = {"path", "text_dim", "bad_rows"}  # keys of `data` that scoring does not read, or as tonight says


@final
class NightlyJob(Record):
    """A configuration, the night, and what a person answers for."""

    config: Config
    run_date: date
    force: tuple[str, ...] = ()
    reason: str | None = None
    command: str | None = None
    expect_model_sha256: str | None = None
    replace: bool = False
    executor: Executor | None = None
    approximate: bool | None = None

    @property
    def section(self) -> Nightly:
        """The section `nightly`."""
        if self.config.nightly is None:
            raise UsageError("the configuration has no section 'nightly'; it needs at least nightly.bundle and .out")
        return self.config.nightly

    def score_job(self) -> ScoreJob:
        """What is scored: the files of the section `data`, as they are tonight."""
        data, section = self.config.data, self.section
        if section.users == "listed" and data.users is None:
            raise UsageError(
                "nightly.users is listed, but data.users names no table that lists them; name one, or say all"
            )
        asked = self.config.score.model_dump(exclude_unset=True)
        given = {"executor": self.executor, "approximate": self.approximate}
        asked |= {name: value for name, value in given.items() if value is not None}
        return ScoreJob(
            bundle=section.bundle, interactions=data.interactions.path, items=data.items and data.items.path,
            users=data.users and data.users.path, whom=section.users, run_date=self.run_date,
            out=section.out, staging=section.staging, rules=self.config.rules, replace=self.replace,
            bad_rows=data.interactions.bad_rows,
            expect_model_sha256=self.expect_model_sha256 or section.expect_model_sha256,
            allow_world_writable=section.allow_world_writable,
            **asked,
        )  # fmt: skip

    def judge(self) -> Gatekeeper:
        """The gates, with the command that was given."""
        gates = self.section.gates
        if self.command is not None:
            gates = gates.model_copy(update={"command": self.command})
        return Gatekeeper(gates, self.force, self.reason)


def refuse_slips(job: NightlyJob) -> None:
    """Raise what can be known before the lists: other columns than the training's, no place for a Delta table."""
    refuse_other_columns(job)
    if job.section.delta is not None:
        refuse_unfit(folder_of(job), job.section.delta, anywhere=job.section.allow_world_writable)


def folder_of(job: NightlyJob) -> Recs:
    """The read root of a night that also keeps a Delta table. Raises UsageError where it is none."""
    out = job.section.out
    if not isinstance(out, Path):
        raise UsageError(f"nightly.delta follows a read root in a folder, but nightly.out is {out}; leave one out")
    return Recs.at(out)


def refuse_other_columns(job: NightlyJob) -> None:
    """Raise UsageError where the section `data` reads the log or a table otherwise than the training did."""
    trained = manifest_of(job.section.bundle).blueprint.data
    for name in ("interactions", "items", "users"):
        mine, theirs = keys(getattr(job.config.data, name)), keys(getattr(trained, name))
        other = [key for key in mine if theirs and mine[key] != theirs[key]]
        if other:
            raise UsageError(
                f"data.{name}.{other[0]} is {mine[other[0]]!r}, but the bundle {job.section.bundle} was trained with"
                f" {theirs[other[0]]!r}; write it so, or train and export again"
            )


def keys(section: BaseModel | None) -> dict[str, object]:
    """The keys that scoring reads."""
    return {} if section is None else section.model_dump(exclude=UNASKED)
