"""The thresholds of the gates that a night must pass before it is published; batch_jobs/gates.py asks them."""

import shlex
from pathlib import Path
from typing import Self, final

from pydantic import Field

from rec_export.paths import below
from rec_export.record import Record


@final
class Gates(Record):
    """When a night's lists are not published. Shares are 0..1; "before" is the newest earlier date published."""

    covered: float = Field(default=0.999, ge=0, le=1, description="least share of users who get a list")
    short_lists: float = Field(default=0.05, ge=0, le=1, description="largest share of users who get fewer than k")
    flat_lists: float = Field(
        default=0.05, ge=0, le=1, description="largest share of lists whose items all have one score"
    )
    same_list: float = Field(
        default=0.05, ge=0, le=1, description="largest share of the lists by the model that are one and the same"
    )
    first_item: float = Field(
        default=0.5, ge=0, le=1, description="largest share of lists that begin with the same item"
    )
    first_item_growth: float = Field(default=2.0, ge=1, description="largest ratio of that share to the one before")
    log_rows: float = Field(default=0.9, ge=0, description="least ratio of the log's rows to those before")
    users_lost: float = Field(default=0.05, ge=0, le=1, description="largest share of users lost since before")
    users_gained: float = Field(default=0.20, ge=0, description="largest share of users gained since before")
    items_kept: float = Field(
        default=0.5, ge=0, description="least ratio of different items recommended to those before"
    )
    sources: float = Field(
        default=0.10, ge=0, le=1, description="largest change in the share of model, cold or fallback"
    )
    overlap: float = Field(default=0.3, ge=0, le=1, description="least share of items that users had before")
    score_shift: float = Field(
        default=0.5, ge=0, description="largest stability index of the scores to those before, by the same model"
    )
    score_shift_warned: float = Field(default=0.25, ge=0, description="that of any model from which a warning says so")
    stale_overlap: float = Field(default=0.999, ge=0, le=1, description="share from which a warning says so")
    unknown_items: float = Field(
        default=0.25, ge=0, le=1, description="largest share of the log's rows of items that the model does not know"
    )
    unknown_users: float = Field(
        default=0.5, ge=0, le=1, description="largest share of the log's rows of users that the model does not know"
    )
    bad_rows: float = Field(
        default=0.1, ge=0, le=1, description="largest share of the log's rows that are left out as they cannot be read"
    )
    part_rows: float = Field(
        default=2.0, ge=1, description="ratio of a part's rows a user to the median part's from which a warning says so"
    )
    newest_event_hours: float = Field(default=36.0, gt=0, description="largest age of the log's newest row")
    model_days: float = Field(default=7.0, gt=0, description="age of the bundle from which a warning says so")
    recall: float = Field(
        default=0.95, ge=0, le=1, description="least share of the exact lists that approximate ones hold"
    )
    untried: float = Field(
        default=0.5, ge=0, le=1, description="largest share of places with items that nobody ever liked"
    )
    own_items: float = Field(
        default=0.53,
        ge=0,
        le=1,
        description="least share of cases in which what a user liked last scores above what another liked last",
    )
    command: str | None = Field(
        default=None, description="a check of your own: it gets the folder of the parts, and refuses by its exit code"
    )

    def relative_to(self, folder: Path) -> Self:
        """With the program of `command` from a folder, where a path names it and not its name alone."""
        try:
            program, *words = shlex.split(self.command or "")
        except ValueError:  # nothing, or what a gatekeeper refuses
            return self
        if "/" not in program or "$" in program or Path(program).is_absolute():  # who writes $HOME is told of shells
            return self
        return self.model_copy(update={"command": shlex.join([str(below(folder, Path(program))), *words])})
