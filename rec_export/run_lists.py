"""The lists of a run, or of two side by side, as arrays: from a read root, a date of one, or any folder of parts."""

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rec_export.data.columns import Float32, Int64, whole
from rec_export.errors import DataError, MissingInputError
from rec_export.files import absent
from rec_export.recs import FOLDER, MEND, PART, PARTLESS, Recs, Refused, run_in, verified
from rec_export.run_manifest import SOURCES, RunManifest

SAMPLE = 50_000  # users whose lists are compared, about; all where there are not many more
COLUMNS = ["user_id", "rank", "item_id", "score", "source"]


class Run(NamedTuple):
    """The files of one run, and what its manifest says if there is one."""

    label: str
    parts: list[Path]
    manifest: RunManifest | None

    @classmethod
    def at(cls, path: Path) -> Self:
        """A read root (its newest date), the folder of a date in one, a refused run, or any folder of parts.

        What has a manifest is verified. Raises MissingInputError or DataError.
        """
        if not path.is_dir():
            raise absent(path, "name a read root, or a folder run_date=... in one")
        refused = Refused.found(path)
        if refused is not None:
            told = refused.manifest
            return cls(f"{told.run_date} ({told.run_id}, refused)", refused.verified(), told)
        folder = path
        gone = run_in(path) == PARTLESS and FOLDER.fullmatch(path.resolve().name)
        if not gone and not any(PART.fullmatch(part.name) for part in path.iterdir()):
            recs = Recs.found(path)
            folder = recs.live(recs.date(None))
        whole = folder.resolve()  # "." has no name of its own
        recs, date = Recs.at(whole.parent), whole.name.removeprefix("run_date=")
        run_id = run_in(folder)
        if run_id == PARTLESS:
            raise MissingInputError(f"all parts in {folder} are gone; {MEND}")
        if run_id is None or not recs.manifest(date, run_id).is_file():
            return cls(str(folder), sorted(folder.glob("part-*.parquet")), None)
        return cls(f"{date} ({run_id})", verified(recs, date), recs.told(date, run_id))

    def users(self) -> int:
        """About how many users there are, by the rows of the parts."""
        if self.manifest is not None:
            return sum(self.manifest.users.values())
        return sum(rows_in(part) for part in self.parts) // 10


def rows_in(part: Path) -> int:
    """The rows of a part. Raises DataError where it is none."""
    try:
        rows: int = pq.read_metadata(part).num_rows
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{part} is no part of a run: {str(error).splitlines()[0]}") from error
    return rows


class RunRows(NamedTuple):
    """The rows of a run, by user and then rank; R rows."""

    user: Int64  # [R] places in a vocabulary that two runs share
    item: Int64  # [R] the same for items
    rank: Int64  # [R]
    score: Float32  # [R]
    source: Int64  # [R] places in SOURCES


class Pair(NamedTuple):
    """Two runs in shared places."""

    before: RunRows
    after: RunRows
    users: pa.Array  # ids by place
    items: pa.Array
    whole: bool  # whether all users are there

    @classmethod
    def of(cls, before: Run, after: Run) -> Self:
        """Read two runs; of many users a sample, the same in both."""
        step = step_for(max(before.users(), after.users()))
        tables = [read(run, step) for run in (before, after)]
        users, items = (coded([table[name] for table in tables]) for name in ("user_id", "item_id"))
        lists = [
            RunRows(
                users.places[n],
                items.places[n],
                table["rank"].to_numpy().astype(np.int64),
                table["score"].to_numpy(),
                pc.index_in(table["source"], pa.array(SOURCES)).to_numpy().astype(np.int64),
            )
            for n, table in enumerate(tables)
        ]
        return cls(lists[0], lists[1], users.ids, items.ids, step == 1)


class Coded(NamedTuple):
    """Columns as places in one array of ids."""

    ids: pa.Array
    places: list[Int64]


def coded(columns: list[pa.ChunkedArray]) -> Coded:
    """Ids of several tables as places in one array of distinct ids."""
    arrays = [whole(column) for column in columns]
    if len({array.type for array in arrays}) > 1:
        arrays = [array.cast(pa.large_string()) for array in arrays]
    both = pc.dictionary_encode(pa.concat_arrays(arrays))
    places = both.indices.to_numpy().astype(np.int64)
    return Coded(both.dictionary, np.split(places, np.cumsum([len(array) for array in arrays])[:-1]))


def read_part(part: Path, columns: list[str]) -> pa.Table:
    """Some columns of a part, whose page checksums are verified. Raises DataError where it is none."""
    try:
        return pq.read_table(part, columns=columns, partitioning=None, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{part} is no part of a run: {str(error).splitlines()[0]}") from error


def step_for(users: int) -> int:
    """One user in how many is read, so that there are about SAMPLE."""
    return max(1, users // SAMPLE)


def read(run: Run, step: int, columns: list[str] = COLUMNS) -> pa.Table:
    """The rows of one user in `step`, chosen by hashes of their ids; all where `step` is 1."""
    tables = []
    for part in run.parts:
        table = read_part(part, columns)
        if step > 1:
            ids = whole(table["user_id"]).to_numpy(zero_copy_only=False)
            kept = pd.util.hash_array(ids, categorize=False) % np.uint64(step) == 0
            table = table.filter(pa.array(kept))
        tables.append(table)
    if not tables:
        raise MissingInputError(f"{run.label} holds no parts; name a read root, or a folder run_date=... in one")
    return pa.concat_tables(tables, promote_options="permissive")
