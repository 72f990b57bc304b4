"""A Delta table that holds what is live below a read root, each date in one commit.

    recs.delta/run_date=2026-11-20/part-00000-of-00004-<run_id>-<sha256>.parquet     the published bytes
    recs.delta/_delta_log/                                                           which of them make up the table

The table is derived from the read root, as latest.json is: `mirror` compares what both hold, by the names of files, and
commits what differs. So it is repeated as often as one likes, and ends what a killed process began. Files are hard
links to the published parts, or copies on another disk; nothing is written twice or encoded anew.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from batch_jobs.place import faults
from batch_jobs.publish import claimed, make_folder
from rec_export.errors import (
    DataError,
    EnvironmentMissingError,
    OutputExistsError,
    RecExportError,
    StorageError,
    UnsafePlaceError,
    UsageError,
)
from rec_export.files import storage_errors, sync, sync_tree
from rec_export.recs import FOLDER, UNKNOWN_RUN, Recs, matched, run_in, unchanged
from rec_export.run_manifest import PartFile, RunManifest

if TYPE_CHECKING:
    from deltalake import Schema
    from deltalake.transaction import AddAction

LOG = "_delta_log"
DATE = "run_date"


class Mirrored(NamedTuple):
    """What was done to a table."""

    put: list[str]  # dates whose lists are new there
    gone: list[str]  # dates that are live no longer


def mirror(recs: Recs, table: Path, *, anywhere: bool = False) -> Mirrored:
    """Bring the table in line with what is live, the newest date first; nothing is written where it is already.

    A date that cannot be put there stops no other one: the error is raised in the end. Raises what `refuse_unfit`
    raises, BusyError, DataError for published files that are damaged, and StorageError.
    """
    refuse_unfit(recs, table, anywhere=anywhere)
    if not any(recs.control.glob("withdrawn/*")):
        recs.date(None)  # an empty root is a slip, unless its dates were taken back
    with claimed(recs, anywhere=anywhere), storage_errors(table), delta_errors(table):
        held = names_in(table)
        live = [date for date in reversed(recs.dates()) if run_in(recs.live(date)) != UNKNOWN_RUN]
        mistakes, done = [], Mirrored([], sorted(held.keys() - set(live)))
        for date in live:
            try:
                if put(recs, table, date, held.get(date, set())):
                    done.put.append(date)
            except RecExportError as error:
                mistakes.append(error)
        for date in done.gone:
            package().DeltaTable(table).delete(f"{DATE} = '{date}'")
        if done.put or done.gone:
            clear_up(table)
        if mistakes:
            raise mistakes[0]
    return done


def refuse_unfit(recs: Recs, table: Path, *, anywhere: bool = False) -> None:
    """Raise where no table can be at a place: EnvironmentMissingError without the package, UsageError for a place that
    readers of the lists look at, OutputExistsError where something else is, UnsafePlaceError where anybody may write.
    """
    deltalake = package()
    whole = table.resolve()
    for ours in (recs.root.resolve(), recs.control):
        if whole == ours or ours in whole.parents or whole in ours.parents:
            raise UsageError(f"the Delta table {table} lies in, at or above {ours}; name a folder beside it")
    begun = table.is_dir() and all(path.name == LOG for path in table.iterdir())  # by a process that was killed
    if table.exists() and not begun and not deltalake.DeltaTable.is_deltatable(str(table)):
        raise OutputExistsError(f"{table} is no Delta table; name a new folder, or move it away")
    for wrong in () if anywhere else faults(whole):
        raise UnsafePlaceError(
            f"{wrong}, so anybody here could change the Delta table {table}; choose another place, or mend its mode"
        )


def package() -> ModuleType:
    """deltalake. Raises EnvironmentMissingError without it."""
    try:
        import deltalake  # here, as it is an extra
    except ImportError as error:
        raise EnvironmentMissingError("a Delta table needs deltalake: pip install deltalake") from error
    return deltalake


@contextmanager
def delta_errors(table: Path) -> Iterator[None]:
    """Turn what deltalake refuses into one sentence."""
    try:
        yield
    except package().exceptions.DeltaError as error:
        said = " ".join(str(error).split())
        raise StorageError(
            f"the Delta table {table} cannot be read or written: {said}; run the command again, or where it is damaged"
            " move the table away, and it is made anew"
        ) from error


def names_in(table: Path) -> dict[str, set[str]]:
    """The names of the files that make up the table, by date; none where there is no table yet."""
    held: dict[str, set[str]] = {}
    if not package().DeltaTable.is_deltatable(str(table)):
        return held
    for path in package().DeltaTable(table).get_add_actions(flatten=True).column("path").to_pylist():
        date = FOLDER.fullmatch(PurePath(path).parent.name)
        if date is not None:
            held.setdefault(date[1], set()).add(PurePath(path).name)
    return held


def put(recs: Recs, table: Path, date: str, held: set[str]) -> bool:
    """Put the live run of a date into the table in one commit; whether it was not there yet, as `held` tells."""
    manifest = recs.told(date, str(run_in(recs.live(date))))
    parts = {name_of(part): part for part in manifest.files}
    folder = table / f"{DATE}={date}"
    if parts.keys() == held and all((folder / name).is_file() for name in parts):
        return False
    files = matched(recs.live(date), manifest)
    schema = schema_of(table, files[0])
    make_folder(folder)
    for (name, part), file in zip(parts.items(), files, strict=True):
        if not unchanged(folder, part.model_copy(update={"name": name})):
            link(file, folder / name)
    sync(folder)
    if parts.keys() != held:  # or files of the table were gone, and are there again
        commit(table, schema, [added(folder / name) for name in parts], manifest)
    return True


def name_of(part: PartFile) -> str:
    """What a part is called in the table. Its hash is in the name, so that a name never means other bytes."""
    return f"{Path(part.name).stem}-{part.sha256[:12]}.parquet"


def schema_of(table: Path, part: Path) -> "Schema":
    """The columns of the table; it is made, without a row, where it is not there. Raises OutputExistsError where it has
    others, and DataError for ids that no Delta table can hold.
    """
    deltalake = package()
    columns = pq.read_schema(part).remove_metadata()
    for column in columns:
        if pa.types.is_unsigned_integer(column.type):
            raise DataError(
                f"the column {column.name} is {column.type}, and Delta knows no unsigned integers; write it as int64 or"
                " as text in the log and the tables, or leave nightly.delta out"
            )
    schema: Schema = deltalake.Schema.from_arrow(columns.append(pa.field(DATE, pa.date32(), nullable=False)))
    if not deltalake.DeltaTable.is_deltatable(str(table)):
        make_folder(table)
        deltalake.DeltaTable.create(table, schema, partition_by=[DATE])
    there = deltalake.DeltaTable(table).schema()
    if there != schema:
        raise OutputExistsError(
            f"the Delta table {table} has the columns {told(there)}, but the lists have {told(schema)};"
            " move it away, and it is made anew"
        )
    return schema


def told(schema: "Schema") -> str:
    """Columns with their types, for a sentence."""
    return ", ".join(f"{field.name} {field.type.type}" for field in schema.fields)


def link(file: Path, target: Path) -> None:
    """Put a file in its place by one rename; a hard link, or a copy where the filesystem makes none."""
    work = target.with_name(f".{target.name}.unfinished")
    work.unlink(missing_ok=True)
    try:
        os.link(file, work)
    except OSError:  # another disk, or one without links
        shutil.copy(file, work)
        sync(work)
    os.replace(work, target)


def added(file: Path) -> "AddAction":
    """What the log says of a file; with its first and last user, so that a query for one user opens one file."""
    from deltalake.transaction import AddAction

    footer = pq.read_metadata(file)
    groups = [footer.row_group(i).column(0).statistics for i in range(footer.num_row_groups)]
    stats: dict[str, Any] = {"numRecords": footer.num_rows}
    if groups and all(group is not None and group.has_min_max for group in groups):
        ends = min(group.min for group in groups), max(group.max for group in groups)
        stats |= {"minValues": {"user_id": ends[0]}, "maxValues": {"user_id": ends[1]}}
    found, date = file.stat(), file.parent.name.removeprefix(f"{DATE}=")
    path = f"{file.parent.name}/{file.name}"
    return AddAction(path, found.st_size, {DATE: date}, int(found.st_mtime * 1000), True, json.dumps(stats))


def commit(table: Path, schema: "Schema", actions: "list[AddAction]", manifest: RunManifest) -> None:
    """The one step that readers see: the files of a date become these."""
    from deltalake import CommitProperties

    package().DeltaTable(table).create_write_transaction(
        actions, "overwrite", schema, [DATE], partition_filters=[(DATE, "=", manifest.run_date)],
        commit_properties=CommitProperties(custom_metadata={"rec_export.run_id": manifest.run_id}),
    )  # fmt: skip


def clear_up(table: Path) -> None:
    """Remove files that left the table a week ago or longer, as Delta counts it, and bring the log to the disk, as
    deltalake does not.
    """
    deltalake = package()
    if deltalake.DeltaTable(table).vacuum(dry_run=True):
        deltalake.DeltaTable(table).vacuum(dry_run=False)
    sync_tree(table / LOG)
    for folder in table.glob(f"{DATE}=*"):
        with suppress(OSError):  # it holds something
            folder.rmdir()
