"""Made-up lists of a night, and parts of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rec_export.run_manifest import PartFile

Frame = pd.DataFrame
TYPES = {"rank": pa.int16(), "score": pa.float32()}


def lists(users: int = 60, k: int = 5, items: int = 200, seed: int = 0) -> Frame:
    """Lists as they should be: k random items for each user, falling scores."""
    rng = np.random.default_rng(seed)
    chosen = np.concatenate([rng.permutation(items)[:k] for _ in range(users)])
    return pd.DataFrame({
        "user_id": np.repeat([f"u{user:04d}" for user in range(users)], k),
        "rank": np.tile(np.arange(1, k + 1), users),
        "item_id": [f"i{item}" for item in chosen],
        "score": np.tile(np.linspace(1, 0.5, k), users),
        "source": "model",
    })  # fmt: skip


def part(path: Path, rows: Frame, users: int, short: int = 0, empty: int = 0) -> PartFile:
    """Write rows as a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    schema = pa.schema([pa.field(f.name, TYPES.get(f.name, f.type)) for f in table.schema])
    pq.write_table(table.cast(schema), path)
    sources = rows.groupby("user_id").source.first().value_counts()
    counts = {source: int(sources.get(source, 0)) for source in ("model", "cold", "fallback")}
    counts["model"] += users - sum(counts.values())
    return PartFile(
        name=path.name, users=counts, short_lists=short, empty_lists=empty, rows=len(rows), bytes=1, sha256="0" * 64
    )
