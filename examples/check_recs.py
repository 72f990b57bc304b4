"""Check published lists as a team that reads them may rely on them; it needs pyarrow and nothing else.

    python check_recs.py recs                  every date below the read root
    python check_recs.py recs 2026-11-20       one date

Run it in your own tests against a copy of recs/, and after an update on either side. It exits with 1 at the first
promise of docs/format.md that is broken.
"""

import argparse
import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SCHEMA = "1"
PART = re.compile(r"part-(\d{5})-of-(\d{5})-([0-9a-f]{12})\.parquet")
TYPES = {"rank": pa.int16(), "score": pa.float32(), "source": pa.string()}
IDS = (
    pa.string(),
    pa.large_string(),
    *(getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
SOURCES = "model", "cold", "fallback"


def check_date(folder: Path) -> str:
    """What a date holds. Raises ValueError where a promise is broken."""
    names = sorted(path.name for path in folder.iterdir() if path.name != "_SUCCESS")
    parts = [PART.fullmatch(name) for name in names]
    want(None not in parts and names, f"{folder} holds something else than parts: {names}")
    found = [(int(part[1]), int(part[2]), part[3]) for part in parts if part]
    count, run_id = found[0][1], found[0][2]
    want(found == [(place, count, run_id) for place in range(count)], f"{folder} holds no run that is whole: {names}")
    rows, last = 0, None
    for name in names:
        lists = check_part(folder / name, run_id, folder.name.removeprefix("run_date="))
        if len(lists):
            first = lists["user_id"][0]
            want(last is None or pc.less(last, first).as_py(), f"the users of {folder / name} are not all its own")
            last = lists["user_id"][-1]
        rows += len(lists)
    return f"{folder.name}: run {run_id}, {count} part{'s' * (count > 1)}, {rows:,} rows"


def check_part(path: Path, run_id: str, run_date: str) -> pa.Table:
    """The rows of one part."""
    footer = {key.decode(): value.decode() for key, value in (pq.read_metadata(path).metadata or {}).items()}
    told = [footer.get(f"rec_export.{key}") for key in ("schema", "run_id", "run_date")]
    want(told == [SCHEMA, run_id, run_date], f"{path} says of schema, run and date: {told}")
    lists = pq.read_table(path, partitioning=None, page_checksum_verification=True)
    kinds = {field.name: field.type for field in lists.schema}
    want([*kinds][:5] == ["user_id", "rank", "item_id", "score", "source"], f"{path} has the columns {[*kinds]}")
    wrong = [name for name, kind in kinds.items() if name in TYPES and kind != TYPES[name]]
    wrong += [name for name in ("user_id", "item_id") if kinds[name] not in IDS]
    want(not wrong, f"{path} has another type in {wrong}")
    want(not any(column.null_count for column in lists.columns), f"{path} holds nulls")
    user, rank, score = (lists[name].combine_chunks() for name in ("user_id", "rank", "score"))
    same = pc.equal(user[1:], user[:-1])
    falls = pc.and_(
        pc.less_equal(score[1:], score[:-1]), pc.equal(rank[1:], pc.add(rank[:-1], pa.scalar(1, pa.int16())))
    )
    begins = pc.and_(pc.greater(user[1:], user[:-1]), pc.equal(rank[1:], 1))
    want(
        all_true(pc.if_else(same, falls, begins)),
        f"{path} is not sorted by user, with ranks 1, 2, 3 and falling scores",
    )
    want(len(rank) == 0 or rank[0].as_py() == 1, f"{path} does not begin with rank 1")
    want(all_true(pc.is_finite(score)), f"{path} has scores that are not finite")
    want(all_true(pc.is_in(lists["source"], pa.array(SOURCES))), f"{path} has a source that is not of {SOURCES}")
    pairs = lists.select(["user_id", "item_id"]).group_by(["user_id", "item_id"]).aggregate([])
    want(len(pairs) == len(lists), f"{path} recommends an item twice to the same user")
    return lists


def all_true(mask: pa.Array) -> bool:
    """Whether a mask is true in every row."""
    return pc.all(mask).as_py() is not False


def want(kept: object, otherwise: str) -> None:
    """Raise ValueError where a promise is not kept."""
    if not kept:
        raise ValueError(otherwise)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recs", type=Path, help="the read root")
    parser.add_argument("date", nargs="?", help="like 2026-11-20; every date, if it is left out")
    asked = parser.parse_args()
    folders = sorted(asked.recs.glob(f"run_date={asked.date or '*'}"))
    if not folders:
        one = f"; for this date alone say {asked.recs.parent} {asked.recs.name[9:]}" * asked.recs.name.startswith(
            "run_date="
        )
        parser.error(f"{asked.recs} has no date{' ' + asked.date if asked.date else ''}{one}")
    try:
        for folder in folders:
            sys.stdout.write(check_date(folder) + "\n")
    except (ValueError, OSError, pa.ArrowException) as broken:
        sys.exit(f"broken: {broken}")
