"""The newest published run as lists that tonight's run may carry over, with what each stood on (basis.py)."""

from pathlib import Path
from typing import NamedTuple, Self, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_jobs.basis import Basis, Ground, read_basis, read_ground
from batch_jobs.plan import Plan
from rec_export.by_user import ragged
from rec_export.data.columns import Bool, Float32, Int64
from rec_export.data.vocab import UNKNOWN, Vocab
from rec_export.errors import DataError, RecExportError
from rec_export.published import Published
from rec_export.recs import PARTLESS, unchanged
from rec_export.run_manifest import PartFile
from rec_export.topk.contract import Listed, TopK


class DoubtError(Exception):
    """Why nothing can be carried over."""


class Prior(NamedTuple):
    """What was published for n users: what their lists stood on, and the lists, R rows in all."""

    ids: pa.Array  # [n]
    basis: Basis  # [n, 2]
    start: Int64  # [n]
    size: Int64  # [n]
    capped: Int64  # [n] as in Listed
    varied: Int64  # [n]
    item_row: Int64  # [R]
    score: Float32  # [R]

    @classmethod
    def of(cls, part: Path, basis: Path, items: Vocab) -> Self:
        """From a part, whose hash was checked, and its basis, which also has the users whose list is empty."""
        table, known = read_basis(basis)
        size, capped, varied = (table[name].to_numpy() for name in ("size", "capped", "varied"))
        lists = pq.ParquetFile(part, read_dictionary=["item_id"]).read(["item_id", "score"]).unify_dictionaries()
        if len(lists) != size.sum():
            raise DataError(f"{basis} is not that of {part}")
        item = lists["item_id"].combine_chunks()
        coded = item if pa.types.is_dictionary(item.type) else item.dictionary_encode()
        row = items.rows(coded.dictionary)[coded.indices.to_numpy()]
        ids, start, score = table["user_id"].combine_chunks(), np.cumsum(size) - size, lists["score"].to_numpy()
        return cls(ids, known, start, size, capped, varied, row, score)

    @classmethod
    def together(cls, priors: list[Self]) -> Self:
        """Of several parts, one at least."""
        rows = np.cumsum([0, *(len(prior.score) for prior in priors)])
        return cls(
            pa.concat_arrays([prior.ids for prior in priors]),
            np.concatenate([prior.basis for prior in priors]),
            np.concatenate([prior.start + row for prior, row in zip(priors, rows, strict=False)]),
            *(np.concatenate([prior[field] for prior in priors]) for field in range(3, 8)),
        )

    def same(self, place: Int64, basis: Basis) -> Bool:
        """Whose lists stand on what they stood on, bool [B]; `place` is UNKNOWN where nothing was published."""
        return (place != UNKNOWN) & (self.basis[place] == basis).all(1)

    def listed(self, place: Int64, owner: Int64, users: int, k: int) -> Listed:
        """The lists at places int64 [n] as those of users `owner`, int64 [n], of 0..users-1; the others have none."""
        best, capped, varied = TopK.none(users, k), np.zeros(users, np.int64), np.zeros(users, np.int64)
        rows = ragged(self.start[place], self.start[place] + self.size[place])
        mine, rank = owner[rows.owner], np.arange(len(rows.owner)) - rows.start[rows.owner]
        best.item_row[mine, rank], best.score[mine, rank] = self.item_row[rows.place], self.score[rows.place]
        best.count[owner], capped[owner], varied[owner] = self.size[place], self.capped[place], self.varied[place]
        return Listed(best, capped, varied)


@final
class Before:
    """The newest published run. Raises DoubtError where it stood on another ground, or is not what it was."""

    def __init__(self, recs: Published, plan: Plan, ground: Ground) -> None:
        date = (recs.dates() or [""])[-1]
        if not date or date > plan.run_date:
            raise DoubtError("a later date is published" if date else "nothing was published before")
        self.live, self.run_id = recs.local(date), str(recs.run_id(date))
        if self.run_id == PARTLESS:
            raise DoubtError("the parts of the newest run are gone")
        self.bases = recs.control / "basis" / self.run_id
        if not self.bases.is_dir():
            raise DoubtError(f"the newest run, {self.run_id}, was not incremental")
        try:
            self.parts = [part for part in recs.told(date, self.run_id).files if (self.bases / part.name).is_file()]
            grounds = [read_ground(self.bases / part.name) for part in self.parts]
        except (OSError, RecExportError, pa.ArrowException) as error:
            raise self.doubt(error) from error
        other = [name for name in ground if any(then.get(name) != ground[name] for then in grounds)]
        if other:
            raise DoubtError(f"not those of the newest run, {self.run_id}: {', '.join(other)}")

    def doubt(self, error: Exception) -> DoubtError:
        """That something cannot be read."""
        return DoubtError(f"the newest run, {self.run_id}, cannot be read: {str(error).splitlines()[0]}")

    def between(self, first: object, last: object, items: Vocab) -> Prior | None:
        """What was published for the users from one id to another; None where nothing was."""
        try:
            parts = [part for part in self.parts if overlaps(self.bases / part.name, first, last)]
            return Prior.together([self.read(part, items) for part in parts]) if parts else None
        except (OSError, RecExportError, pa.ArrowException) as error:
            raise self.doubt(error) from error

    def read(self, part: PartFile, items: Vocab) -> Prior:
        """One part, verified."""
        if not unchanged(self.live, part):
            raise DoubtError(f"{self.live / part.name} is not what was published")
        return Prior.of(self.live / part.name, self.bases / part.name, items)


def overlaps(basis: Path, first: object, last: object) -> bool:
    """Whether a user of the sorted file may lie between two ids; its footer tells."""
    footer = pq.read_metadata(basis)
    groups = [footer.row_group(number).column(0).statistics for number in range(footer.num_row_groups)]
    return any(group is None or not group.has_min_max or (group.min <= last and first <= group.max) for group in groups)
