"""ScoreJob: everything that a run of recommendations depends on. ExplainJob: whose list is to be explained."""

from datetime import date
from pathlib import Path
from typing import Literal, final

from pydantic import Field

from rec_export.bucket import place_at
from rec_export.choices import MOST_K, Engine, Executor, SeenRule
from rec_export.config import Scoring
from rec_export.data.config import BadRows, Interactions
from rec_export.objects import Place
from rec_export.published import Published
from rec_export.record import Record
from rec_export.rules import Rules


@final
class ScoreJob(Record):
    """What to score, with what, and where to. What is None is as the configuration of the training says."""

    bundle: Path
    interactions: Path
    items: Path | None = None
    users: Path | None = None
    whom: Literal["listed", "all"] = "listed"  # whether `users` also says whom to score
    out: Place
    staging: Path | None = None  # where runs for a bucket are made on this machine
    run_date: date
    k: int | None = Field(default=None, ge=1, le=MOST_K)
    seen: SeenRule | None = None
    device: str | None = None
    runtime: Engine | None = None
    approximate: bool | None = None
    incremental: bool | None = None
    executor: Executor | None = None
    workers: int | None = Field(default=None, ge=1)
    ray_address: str | None = None
    bad_rows: BadRows | None = None
    rules: Rules = Rules()
    expect_model_sha256: str | None = None  # of the bundle's manifest
    replace: bool = False  # where another run is live at that date
    allow_world_writable: bool = False  # of the place

    def place(self) -> Published:
        """The published runs that this one joins."""
        return place_at(self.out, self.staging)

    def log(self, trained: Interactions) -> Interactions:
        """The log as it is read; `trained` is how it was in training."""
        mine = {"path": self.interactions} | ({} if self.bad_rows is None else {"bad_rows": self.bad_rows})
        return trained.model_copy(update=mine)

    def inputs(self) -> dict[str, Path]:
        """The files that are read, by what they are."""
        named = {"interactions": self.interactions, "items": self.items, "users": self.users}
        return {name: path for name, path in named.items() if path is not None} | self.rules.files()

    def scoring(self, configured: Scoring, formats: tuple[str, ...]) -> Scoring:
        """How the lists are made; a bundle of one format is run by that, if nothing else was asked for."""
        given = self.model_dump(include=set(Scoring.model_fields), exclude_none=True)
        there = {} if configured.runtime in formats else {"runtime": formats[0]}
        return configured.model_copy(update={**there, **given})


@final
class ExplainJob(Record):
    """Whose list, and which one."""

    target: Path  # a bundle, a read root, the folder of a date, or what `run` left
    user: str
    asked: tuple[str, ...] = ()  # items whose place is asked for
    bundle: Path | None = None
    interactions: Path | None = None
    items: Path | None = None
    users: Path | None = None
    run_date: date | None = None
    rules: Rules = Rules()
    shown: int = Field(default=10, ge=1, le=MOST_K)  # places of the list, at most; the run says how many it has
