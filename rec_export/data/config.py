"""What the user's files hold, declared: the `data` section of the configuration."""

from pathlib import Path
from typing import Literal, Self, final

from pydantic import Field, model_validator

from rec_export.paths import below
from rec_export.record import Record

TimeUnit = Literal["auto", "s", "ms", "us", "ns"]
BadRows = Literal["refuse", "leave_out"]


@final
class Interactions(Record):
    """The log: one row says that a user and an item met."""

    path: Path
    user: str = "user_id"
    item: str = "item_id"
    time: str | None = None
    time_unit: TimeUnit = "auto"
    value: str | None = None
    positive: float | None = Field(default=None, description="rows with a smaller value count as seen, not as liked")
    repeats: Literal["keep", "first", "last"] = Field(
        default="keep",
        description="which rows of one user and item count, liked or not",
    )
    bad_rows: BadRows = Field(
        default="refuse",
        description="rows without a time or a value that is declared, or with what is none. Half of all rows at most"
        " are left out",
    )

    @model_validator(mode="after")
    def each_column_means_one_thing(self) -> Self:
        """A column is a user, an item, a time or a value."""
        twice = [name for name in self.columns() if self.columns().count(name) > 1]
        if twice:
            raise ValueError(f"different columns for user, item, time and value; {twice[0]!r} stands for two")
        return self

    @model_validator(mode="after")
    def threshold_has_a_column(self) -> Self:
        """A threshold without a column to compare is a slip."""
        if self.positive is not None and self.value is None:
            raise ValueError("a 'value' column as well where 'positive' is given")
        return self

    def columns(self) -> list[str]:
        """The columns that the log must have."""
        return [c for c in (self.user, self.item, self.time, self.value) if c is not None]


@final
class Attributes(Record):
    """A table of users or items: its id column, and the kind of each column that a model may read."""

    path: Path
    id: str
    dense: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    text_dim: int = Field(default=64, ge=1, description="dimensions kept of TF-IDF by truncated SVD")
    separator: str = Field(default="|", min_length=1, description="between the tags of a cell that is one string")

    @model_validator(mode="after")
    def each_column_has_one_kind(self) -> Self:
        """A column is read in one way."""
        names = self.columns()
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"a table whose columns have one kind each; {twice[0]!r} has two")
        return self

    def columns(self) -> list[str]:
        """The columns that the table must have."""
        return [self.id, *self.dense, *self.category, *self.tags, *self.text]


@final
class Minimum(Record):
    """The k-core of the training part: users and items with fewer positive rows there are not learned from."""

    per_user: int = Field(default=1, ge=1)
    per_item: int = Field(default=1, ge=1)


@final
class Split(Record):
    """Which rows are held out for validation and test."""

    by: Literal["time", "random", "user", "last", "column", "none"] = Field(
        default="none",
        description="time: the newest rows; random: any; user: a share of each user's; last: each user's newest two;"
        " column: what a column says; none: no test, and what is validated by is chosen. After random, user and last a"
        " model looks at no time, as what is held out is of any",
    )
    valid: float = Field(default=0.1, ge=0, lt=1, description="share of the rows that chooses the epoch")
    test: float = Field(default=0.1, ge=0, lt=1, description="share of the rows that `evaluate` judges by")
    column: str | None = Field(default=None, description="holds train, valid or test")
    seed: int = Field(default=42, ge=0, lt=2**63, description="of what is drawn")

    @model_validator(mode="after")
    def column_is_named(self) -> Self:
        """`by: column` needs the column's name."""
        if (self.by == "column") != (self.column is not None):
            raise ValueError("'by: column' together with 'column: NAME', or neither")
        if self.valid + self.test >= 1:
            raise ValueError("a split whose 'valid' and 'test' leave something to train on")
        return self


@final
class DataConfig(Record):
    """All that is read: the log, and the tables of items and users where there are any."""

    interactions: Interactions
    items: Attributes | None = None
    users: Attributes | None = None
    minimum: Minimum = Minimum()
    split: Split = Split()
    history: int = Field(default=100, ge=1, description="items of a user's history that a model sees, the newest")

    @model_validator(mode="after")
    def the_split_has_a_column_of_its_own(self) -> Self:
        """A part is neither a user, an item, a time nor a value."""
        if self.split.column in self.interactions.columns():
            raise ValueError(f"a split.column of its own; {self.split.column!r} is read as something else")
        return self

    def paths(self) -> dict[str, Path]:
        """The files that are read, by what they are."""
        tables = {"interactions": self.interactions, "items": self.items, "users": self.users}
        return {name: table.path for name, table in tables.items() if table is not None}

    def relative_to(self, folder: Path) -> "DataConfig":
        """The same with every path taken from `folder`."""

        def moved(table: Attributes | None) -> Attributes | None:
            return table and table.model_copy(update={"path": below(folder, table.path)})

        log = self.interactions.model_copy(update={"path": below(folder, self.interactions.path)})
        return self.model_copy(update={"interactions": log, "items": moved(self.items), "users": moved(self.users)})
