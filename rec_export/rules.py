"""Business rules, declared: what may be recommended to whom, whatever a model says. docs/rules.md has examples."""

import math
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Self, final

from pydantic import Field, field_validator, model_validator

from rec_export.paths import below
from rec_export.record import Record

MOST_CAP = 1_000_000  # no list is as long
AGO = re.compile(r"(\d{1,5}) days? ago")
Value = bool | int | float | str | None


@final
class ItemList(Record):
    """A list of items: a column of a file, or ids that stand here."""

    path: Path | None = None
    item: str = "item_id"
    ids: tuple[str, ...] | None = Field(default=None, description="`deny: [a, b]` is short for `deny: {ids: [a, b]}`")

    @model_validator(mode="before")
    @classmethod
    def plain(cls, given: Any) -> Any:
        """A list stands for its ids."""
        if isinstance(given, str | int):
            raise ValueError(f"a list, such as [{given}], or {{path: FILE}}")
        return {"ids": given} if isinstance(given, list) else given

    @field_validator("ids", mode="before")
    @classmethod
    def written_out(cls, ids: Any) -> Any:
        """Numbers and their text are the same id."""
        if isinstance(ids, list) and any(isinstance(one, bool) or not isinstance(one, int | str) for one in ids):
            raise ValueError("ids that are text or whole numbers; put words such as no and on into quotes")
        return [str(one) for one in ids] if isinstance(ids, list) else ids

    @model_validator(mode="after")
    def of_one_kind(self) -> Self:
        """Either a file or ids."""
        if (self.path is None) == (self.ids is None):
            raise ValueError("a list of ids, or 'path' (and 'item', its column)")
        return self


@final
class PairList(Record):
    """A list of pairs: two columns of a file, which may have no rows."""

    path: Path
    user: str = "user_id"
    item: str = "item_id"


@final
class Diversity(Record):
    """Lists chosen from longer ones by Maximal Marginal Relevance; approximate: nothing beyond those is looked at."""

    relevance: float = Field(default=0.7, ge=0, le=1, description="its lambda: 1 is the order of the scores alone")
    fetch: int = Field(default=5, ge=2, le=100, description="how many times k items it chooses from")


@final
class Rules(Record):
    """Business rules for `nightly` and `score --rules`; exact, but for diversity. None is in force by default."""

    deny: ItemList | None = Field(default=None, description="items that nobody gets")
    allow: ItemList | None = Field(default=None, description="the only items that anybody gets")
    deny_by_user: PairList | None = Field(default=None, description="items that a user does not get")
    allow_by_user: PairList | None = Field(default=None, description="the only items that the users named there get")
    exclude: dict[str, tuple[Value, ...]] = Field(
        default_factory=dict, description="by column of today's items: values, null too, with which an item is left out"
    )
    minimum: dict[str, int | float | str] = Field(
        default_factory=dict,
        description="by column of today's items: an item that has less, or nothing, is left out; a number, a date, or"
        " `14 days ago`",
    )
    caps: dict[str, int] = Field(
        default_factory=dict, description="by column of today's items: how many items of one value a list may hold"
    )
    popularity_penalty: float | None = Field(
        default=None,
        gt=0,
        le=1e9,  # so that a float32 holds what is taken, with room to spare
        allow_inf_nan=False,
        description="times log(1 + how often an item was liked) is taken from its score",
    )
    diversity: Diversity | None = None

    @field_validator("exclude", mode="before")
    @classmethod
    def lists_of_values(cls, given: Any) -> Any:
        """One value stands for a list of it."""
        if not isinstance(given, dict):
            return given
        lists = {column: value if isinstance(value, list) else [value] for column, value in given.items()}
        for column, values in lists.items():
            if not values or not all(isinstance(value, Value) for value in values):
                raise ValueError(f"a value or a list of values for {column!r}: text, numbers, true, false or null")
        return lists

    @field_validator("minimum", mode="before")
    @classmethod
    def finite(cls, given: Any) -> Any:
        """Nothing is more than infinity, and nothing is more or less than what is no number and no date."""
        if not isinstance(given, dict):
            return given
        odd = [column for column, least in given.items() if not can_be_least(least)]
        if odd:
            raise ValueError(f"a finite number for {odd[0]!r}, or a date such as 2026-11-20, or '14 days ago'")
        return given

    @field_validator("caps")
    @classmethod
    def room_for_one(cls, caps: dict[str, int]) -> dict[str, int]:
        """A cap of 0 is what `exclude` is for; one beyond int64 is a slip."""
        far = [column for column, most in caps.items() if most > MOST_CAP]
        if far:
            raise ValueError(f"at most {MOST_CAP:,} for {far[0]!r}; leave the column out for no cap")
        none = [column for column, most in caps.items() if most < 1]
        if none:
            raise ValueError(f"at least 1 for {none[0]!r}; to leave items out altogether use 'exclude'")
        return caps

    @field_validator("allow")
    @classmethod
    def something_allowed(cls, allow: ItemList | None) -> ItemList | None:
        """An empty list is a slip: it would leave nothing."""
        if allow is not None and allow.ids == ():
            raise ValueError("one id at least; leave the key out to allow everything")
        return allow

    def files(self) -> dict[str, Path]:
        """The files that are read, by the rule that reads them."""
        named = {name: getattr(self, name) for name in ("deny", "allow", "deny_by_user", "allow_by_user")}
        return {
            f"rules.{name}": rule.path for name, rule in named.items() if rule is not None and rule.path is not None
        }

    def columns(self) -> list[str]:
        """The columns of today's items that are read."""
        return list(dict.fromkeys([*self.exclude, *self.minimum, *self.caps]))

    def declared(self) -> dict[str, Any]:
        """What is in force, as JSON, but for where files lie: what they hold is told by their hashes."""
        fields = {name: rule for name, rule in self.model_dump(mode="json").items() if rule not in (None, {})}
        for name in self.files():
            del fields[name.removeprefix("rules.")]["path"]
        return fields

    def relative_to(self, folder: Path) -> Self:
        """With paths from a folder."""
        moved = {}
        for name, path in self.files().items():
            rule = name.removeprefix("rules.")
            moved[rule] = getattr(self, rule).model_copy(update={"path": below(folder, path)})
        return self.model_copy(update=moved)


def can_be_least(value: Any) -> bool:
    """Whether a column can be compared with it: a finite number, or a time as text."""
    if not isinstance(value, str):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    try:
        return AGO.fullmatch(value) is not None or bool(datetime.fromisoformat(value))
    except ValueError:
        return False
