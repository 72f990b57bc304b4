"""What a user comes back to: a term in the score of what the user has liked before, for lists that may hold it again.

    term = met + often log(times) - lately log(1 + days)

times: how often the user has liked the item before the date. days: since the last time. So the odds of a choice go with
a power of either, as the strength of what is remembered does (Anderson and Schooler 1991, Reflections of the
Environment in Memory, Psychological Science 2; of repeated consumption, Anderson, Kumar, Tomkins and Vassilvitskii
2014, The Dynamics of Repeat Consumption, WWW).
"""

from typing import NamedTuple, final

import numpy as np
from pydantic import Field

from rec_export.data.columns import Bool, Int64
from rec_export.metrics import Float64
from rec_export.record import Record
from rec_export.topk.contract import Added, Seen


class Again(NamedTuple):
    """What each of B users has liked before a date, and how."""

    items: Seen  # each item once a user
    times: Int64  # [pairs] 1 or more
    days: Float64  # [pairs] since the last time; 0 where time is not looked at

    def where(self, some: Bool) -> "Again":
        """Some of the pairs, bool [pairs]."""
        return Again(self.items.where(some), self.times[some], self.days[some])


@final
class Habit(Record):
    """The numbers of the term, in the units of a model's scores."""

    met: float = Field(allow_inf_nan=False)
    often: float = Field(allow_inf_nan=False)
    lately: float = Field(default=0.0, allow_inf_nan=False)

    def added(self, again: Again) -> Added:
        """What is added to the scores of what users have liked before: rounded once, to float32."""
        return Added(again.items, self.term(again).astype(np.float32))

    def term(self, again: Again) -> Float64:
        """The term of each pair, float64 [pairs]."""
        return self.met + self.often * np.log(again.times) - self.lately * np.log1p(again.days)

    @property
    def formula(self) -> str:
        """The term for a person."""
        parts = [(self.often, "log(times)")] + [(-self.lately, "log(1 + days)")] * (self.lately != 0)
        return f"{self.met:.3g}" + "".join(f" {'-' if n < 0 else '+'} {abs(n):.3g} {of}" for n, of in parts)
