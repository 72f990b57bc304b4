"""Checkpoints without training: seeded random weights over a tiny made-up shop. Bundles are made once and copied."""

import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import rec_export.models
from exporters.job import ExportJob, run
from exporters.parts import Part, parts_of
from rec_export.catalogue import Catalogue, Side
from rec_export.checkpoint import Blueprint, Checkpoint, modules, write_trend, write_weights
from rec_export.choices import Runtime
from rec_export.config import Scoring
from rec_export.data.clock import Clock
from rec_export.data.config import Attributes, DataConfig, Interactions
from rec_export.data.features import FeatureState
from rec_export.models import spec_of
from rec_export.towers import Sizes
from tests.conftest import shared

USERS, ITEMS = 40, 130
ALL: tuple[Runtime, ...] = ("torchscript", "onnx", "pt2")
KINDS = {"dense": ("price",), "category": ("country", "brand"), "tags": ("tags",), "text": ("title",)}
Make = Callable[[str], Path]


@pytest.fixture(scope="session", autouse=True)
def operators() -> Iterator[None]:
    """torch makes its table of all operators anew for every ONNX file, in half a second; here it is made once."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry  # here, as it takes a second

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


def side(name: str, rows: int) -> Side:
    """A table with every kind of attribute, some of them missing."""
    random = np.random.default_rng(rows)
    table = pa.table(
        {
            f"{name}_id": [f"{name}{row}" for row in range(rows)],
            "price": pa.array(random.lognormal(3, 1, rows), mask=random.random(rows) < 0.1),
            "country": random.choice(["de", "fr ", "True"], rows),
            "brand": pa.array(random.choice(["a", "b", "7.0", "d "], rows), mask=random.random(rows) < 0.2),
            "tags": [[f"{tag / 2}" for tag in random.integers(0, 6, size)] for size in random.integers(0, 4, rows)],
            "title": [" ".join(random.choice(["red", "green", "small", "shoe", "hat"], 3)) for _ in range(rows)],
        }
    )
    source = Attributes(path=Path("made-up"), id=f"{name}_id", text_dim=4, **KINDS)
    return Side(table, FeatureState.fit(table, source), rows)


def write_checkpoint(folder: Path, model: str, **numbers: Any) -> Path:
    """The checkpoint of an untrained model."""
    clock = Clock(half_lives=(1.0, 7.0))
    catalogue = Catalogue(side("user", USERS), side("item", ITEMS))
    sizes = Sizes(
        users=catalogue.users.sizes, items=catalogue.items.sizes, context=5, trend=clock.trends, counts=clock.counts
    )
    torch.manual_seed(7)
    towers = spec_of({"name": model, **numbers}, "test").build(sizes)
    for weight in modules(towers).parameters():
        torch.nn.init.normal_(weight, std=0.3)
    folder.mkdir()
    catalogue.write(folder)
    write_trend(np.random.default_rng(3).normal(size=(ITEMS, clock.trends)).astype(np.float32), folder)
    Blueprint(
        model={"name": model, **numbers},
        sizes=sizes,
        data=DataConfig(interactions=Interactions(path=Path("made-up")), history=20),
        clock=clock,
        recent=0,
        score=Scoring(),
        inputs={},
        weights=write_weights(towers, folder / "weights.safetensors"),
        tables={},
    ).write(folder / "spec.json")
    return folder


def whole(folder: Path) -> tuple[tuple[Part, Part, Part], Blueprint, Catalogue]:
    """A checkpoint as parity.trials_of takes it."""
    blueprint, towers, catalogue, _ = Checkpoint.read(folder)
    return parts_of(towers, blueprint), blueprint, catalogue


@pytest.fixture(scope="module", autouse=True)
def everything_is_a_model() -> Iterator[None]:
    """Put the test model beside the others."""
    folder = str(Path(__file__).parent / "models")
    rec_export.models.__path__.append(folder)
    yield
    rec_export.models.__path__.remove(folder)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The checkpoint of a model by its name, which no test may change."""
    return lambda model: shared(tmp_path_factory, f"checkpoints/{model}", lambda out: write_checkpoint(out, model))


@pytest.fixture(scope="session")
def pristine(checkpoint: Make, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The bundle of a model in `ALL` formats, which no test may change."""

    def make(model: str) -> Path:
        job = partial(ExportJob, checkpoint=checkpoint(model), formats=ALL)
        return shared(tmp_path_factory, f"bundles/{model}", lambda out: run(job(out=out)))

    return make


@pytest.fixture
def bundle(pristine: Make, tmp_path: Path) -> Make:
    """A copy of a model's bundle, to be tampered with."""
    return lambda model: Path(shutil.copytree(pristine(model), tmp_path / "copy"))
