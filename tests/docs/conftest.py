"""Who has followed the README; and what is run smaller, later or apart of what the pages say."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from rec_export.data.sample import write_sample
from tests.docs.blocks import ROOT, Block, blocks
from tests.docs.reader import Reader

SMALLER = {  # what is written, and what is run in its place: the same for a small log and fewer rounds
    "sample-data shop": "sample-data shop --users 200 --items 120 --days 120",
    # one model for all times, as `run` makes two in the README
    "rec-export train ": "rec-export train --set training.epochs=4 --set training.refit=false"
    " --set training.timeless=0 ",
    "rec-export ablate ": "rec-export ablate --set training.epochs=1 --set training.refit=false --set model.dim=8 ",
    "{name: gated}": "{name: gated, dim: 8}",
    "--trials 20": "--trials 2 --set training.epochs=1",
    "find-lr ": "find-lr --steps 40 --seeds 1 ",
    # so few users have no hundred in its newest tenth
    "export checkpoint --out small": "export checkpoint --out small --format onnx --test shop/future.parquet",
    "export checkpoint --out both": "export checkpoint --out both --format onnx",
    "export judged": "export judged --format onnx",
    "export checkpoint --out bundle-": "export checkpoint --format torchscript --out bundle-",  # the README's has all
    "--device cuda --runtime onnx": "--device cuda --runtime onnx || [ $? = 69 ]",  # as the line itself says
    "HOST": "localhost",
    "--nproc-per-node 8": "--nproc-per-node 2",
    "taskset -c 1": "taskset -c 0",  # there may be one processor
    "bench --threads 1": "bench --threads 1 --users 64 --items 2000 --rounds 1",
    "--budget ndcg=1%": "--budget ndcg=10%",  # as fewer users have fewer hits
    "--rounds 5": "--rounds 1",
    "--rounds 12": "--rounds 1",
    "overhead --users 100000": "overhead --users 2000 --items 2000",
    "overhead --rounds 2": "overhead --users 2000 --items 2000 --rounds 1",
    "resume --rounds 2": "resume --users 200000 --rounds 1",
}
NIGHT = "rec-export score bundle --interactions shop/interactions.parquet --out recs --run-date"
BEFORE = {  # what a page's reader has done beside following the README; and what is not there yet
    "docs/explain.md": f"{NIGHT} 2026-10-29",
    "docs/nightly.md": f"{NIGHT} 2026-11-20; rec-export nightly config.yaml --run-date 2026-11-20 --replace",
    **dict.fromkeys(("docs/readers.md", "docs/delta.md"), f"{NIGHT} 2026-11-20"),
    **dict.fromkeys(("docs/systems.md", "docs/parallel.md", "docs/howto/gpus.md"), "rm -r checkpoint"),
}
LONG = {  # what takes minutes even so, by how a block begins, and the module it needs; test_long_blocks.py runs these
    "make demo": "xdist",
    "git clone URL": "pip",
    "torchrun ": "torch",
    "rec-export export checkpoint --out compiled": "torch",
    "rec-export bench": "faiss",
    "rec-export nightly config.yaml --executor ray": "ray",
    "pip install -c constraints.txt '.[ray]'": "ray",
    "python -m benchmarks.": "torch",
    "OMP_NUM_THREADS=1 taskset -c 1 python -m benchmarks.": "implicit",
    "python -m tests.rec_export.topk.ahead": "triton",
    "from pyspark": "pyspark",
}


def is_long(block: Block) -> bool:
    """Whether it takes minutes."""
    return block.text.startswith(tuple(LONG))


def prepare(reader: Reader, page: str) -> None:
    """Do what its reader has done before."""
    reader.bash(BEFORE.get(page, ""))
    (*_, newest) = sorted(reader.folder.glob("recs/run_date=*/part-*"))
    reader.written["5e0c1b2a9f34"] = newest.stem.rpartition("-")[2]  # a page cannot know the name of a run


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the README leaves to somebody with a clone, and in it a log up to 2026-11-20 and a table of items."""
    folder = tmp_path_factory.mktemp("reader")
    write_sample(folder / "theirs", seed=7, users=200, items=120, days=120)
    log = pd.read_parquet(folder / "theirs" / "interactions.parquet")
    log.assign(timestamp=log["timestamp"] + 20 * 86_400).to_parquet(folder / "interactions.parquet", index=False)
    shutil.move(folder / "theirs" / "items.parquet", folder / "items.parquet")
    for name in ("constraints.txt", "setup.cfg"):
        shutil.copy(ROOT / name, folder / name)
    reader = Reader(folder, tmp_path_factory.mktemp("machine"), SMALLER)
    for block in blocks("README.md"):
        if not is_long(block):
            ended = reader.follow(block)
            assert ended.code == 0, f"{block.name}: {ended.said}"
    config = (folder / "shop" / "config.yaml").read_text(encoding="utf-8")
    here = config.replace("path: ", "path: shop/").replace("../", "")
    # as if the log were of the day
    here = here.replace("nightly: {", "nightly: {gates: {newest_event_hours: 1000000}, ")
    for name in ("config.yaml", "lastfm.yaml", "electronics.yaml", "SET.yaml"):
        (folder / name).write_text(here, encoding="utf-8")
    shutil.copy(folder / "shop" / "future.parquet", folder / "test.parquet")
    shutil.copy(next((folder / "recs").rglob("part-*")), folder / "theirs.parquet")
    shutil.copytree(folder / "checkpoint", folder / "other-checkpoint")
    return folder


@pytest.fixture
def reader(left: Path, tmp_path: Path) -> Reader:
    """Who has followed the README, in a folder to be changed."""
    return Reader(shutil.copytree(left, tmp_path / "reader"), tmp_path / "machine", SMALLER)
