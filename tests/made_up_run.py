"""Runs whose scores are all their number, for tests of what becomes of published files."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rec_export.files import sha256
from rec_export.run_manifest import PartFile, RunManifest


def made_up_run(
    folder: Path, run_date: str, number: int, parts: int, users: int, replaces: str | None = None
) -> RunManifest:
    """Write the parts of a run, with so many users each and one item for each of them; its manifest."""
    run_id = f"{number:012x}"
    files = tuple(
        made_up_part(folder / f"part-{part:05d}-of-{parts:05d}-{run_id}.parquet", part * users, users, number)
        for part in range(parts)
    )
    return RunManifest(
        run_id=run_id, run_date=run_date, made_by="a test", started_at="", seconds=0.0, as_of=None, bundle="",
        inputs={}, k=1, seen="keep", runtime="onnx", device="cpu", items=1, replaces=replaces, files=files,
    )  # fmt: skip


def made_up_part(path: Path, first: int, users: int, number: int) -> PartFile:
    """Write one part."""
    names = [f"u{user:05d}" for user in range(first, first + users)]
    columns = {
        "user_id": names, "rank": pa.array([1] * users, pa.int16()), "item_id": names,
        "score": np.full(users, number, np.float32), "source": ["model"] * users,
    }  # fmt: skip
    pq.write_table(pa.table(columns), path, write_page_checksum=True)
    return PartFile(
        name=path.name, users={"model": users, "cold": 0, "fallback": 0}, rows=users, bytes=path.stat().st_size,
        sha256=sha256(path), short_lists=0, empty_lists=0,
    )  # fmt: skip
