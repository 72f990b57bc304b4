"""A model whose vectors are more than one ONNX file may hold is exported, proved, hashed, read and refused like any."""

import gc
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from exporters.job import ExportJob, run, verified
from exporters.onnx import MOST_BYTES
from rec_export.bundle import Bundle
from rec_export.catalogue import Catalogue, Side
from rec_export.checkpoint import Blueprint, modules, write_trend, write_weights
from rec_export.config import Scoring
from rec_export.data.clock import Clock
from rec_export.data.config import Attributes, DataConfig, Interactions
from rec_export.data.features import FeatureState
from rec_export.errors import ModelError
from rec_export.models import spec_of
from rec_export.runtime import load_tower
from rec_export.towers import Sizes

ITEMS, DIM, USERS = 1_000_000, 400, 40
MODEL = {"name": "pmf", "dim": DIM}
GIGABYTES = 12  # of disk
HELD = "onnx/recommender.onnx.data", "onnx/item_tower.onnx.data"


def side(name: str, rows: int) -> Side:
    """A table of ids alone."""
    table = pa.table({f"{name}_id": np.arange(rows)})
    return Side(table, FeatureState.fit(table, Attributes(path=Path("made-up"), id=f"{name}_id")), rows)


def large_checkpoint(folder: Path) -> Path:
    """An untrained model of a million items."""
    clock = Clock(half_lives=(1.0,))
    catalogue = Catalogue(side("user", USERS), side("item", ITEMS))
    sizes = Sizes(users=catalogue.users.sizes, items=catalogue.items.sizes, trend=clock.trends, counts=clock.counts)
    torch.manual_seed(7)
    towers = spec_of(MODEL, "test").build(sizes)
    for weight in modules(towers).parameters():
        torch.nn.init.normal_(weight, std=0.3)
    folder.mkdir()
    catalogue.write(folder)
    write_trend(np.zeros((ITEMS, clock.trends), np.float32), folder)
    Blueprint(
        model=MODEL, sizes=sizes, data=DataConfig(interactions=Interactions(path=Path("made-up")), history=20),
        clock=clock, recent=0, score=Scoring(), inputs={}, tables={},
        weights=write_weights(towers, folder / "weights.safetensors"),
    ).write(folder / "spec.json")  # fmt: skip
    return folder


@pytest.mark.long
def test_weights_of_more_than_one_and_a_half_gigabytes_lie_beside_the_file(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < GIGABYTES * 1e9:
        pytest.skip(f"there are less than {GIGABYTES} GB free in {tmp_path}")
    bundle, started = tmp_path / "bundle", time.monotonic()
    run(ExportJob(checkpoint=large_checkpoint(tmp_path / "checkpoint"), out=bundle, formats=("onnx",)))
    gc.collect()
    listed = {file.path: file.bytes for file in Bundle.read(bundle).manifest.files}
    print(f"exported and proved in {time.monotonic() - started:.0f} s", listed)  # noqa: T201
    assert min(listed[name] for name in HELD) > MOST_BYTES
    shutil.rmtree(tmp_path / "checkpoint")
    verified(bundle)
    tower = load_tower(bundle, "item_tower", "onnx", torch.device("cpu"))
    assert tower({"row": torch.tensor([0, ITEMS - 1, ITEMS])}).isfinite().all()
    with (bundle / HELD[0]).open("r+b") as weights:
        weights.seek(MOST_BYTES)
        byte = weights.read(1)[0]
        weights.seek(MOST_BYTES)
        weights.write(bytes([byte ^ 1]))
    with pytest.raises(ModelError, match=HELD[0]):
        Bundle.read(bundle)
    shutil.rmtree(bundle)
