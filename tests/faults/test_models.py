"""A model that has gone wrong publishes nothing: its export or its night is refused, and what is live stays."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
import yaml
from onnx import numpy_helper
from safetensors.torch import load_file, save_file
from torch import Tensor

from rec_export.bundle import manifest_of
from rec_export.files import sha256
from rec_export.sealed import listed, write_manifest
from tests.batch_jobs.conftest import LAST, NEXT, configured, night
from tests.conftest import Tell, command, contents, done

Weights = dict[str, Tensor]

# Of 0.92 on a usual night of this shop, which is small: popular items and fallback lists stay in any case.
OVERLAP = 0.8
USERS, ITEMS = "user_tower.factors.table.weight", "item_tower.factors.table.weight"


@pytest.fixture(scope="module")
def learned(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows nothing but its factors, so that what spoils them cannot be made good by something else."""
    out = tmp_path_factory.mktemp("learned") / "checkpoint"
    changes = "data.split.by=none", "model={name: bpr, dim: 8}", "training.epochs=20", "training.seeds=1"
    done("train", shop / "config.yaml", "--out", out, *(word for change in changes for word in ("--set", change)))
    return out


@pytest.fixture(scope="module")
def published(learned: Path, shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose last night was published by that model as it should be."""
    folder = tmp_path_factory.mktemp("published")
    done("torchscript", learned, "--out", folder / "bundle")
    place = configured(Path(shutil.copytree(shop, folder / "shop")), folder / "bundle", {"overlap": OVERLAP})
    night(place, LAST)
    return place


def one(name: str, value: float) -> Callable[[Weights], None]:
    """One number of a weight is another one."""

    def spoil(weights: Weights) -> None:
        weights[name].view(-1)[5] = value

    return spoil


def constant(weights: Weights) -> None:
    """Nothing was learned."""
    for weight in weights.values():
        if weight.is_floating_point():
            weight.zero_()


def shuffled(*names: str) -> Callable[[Weights], None]:
    """The rows of some weights are in another order."""

    def spoil(weights: Weights) -> None:
        for name in names:
            order = torch.randperm(len(weights[name]), generator=torch.Generator().manual_seed(0))
            weights[name] = weights[name][order]

    return spoil


def all_nan(weights: Weights) -> None:
    """Training has diverged."""
    for name, weight in weights.items():
        weights[name] = torch.full_like(weight, math.nan) if weight.is_floating_point() else weight


SPOILT: dict[str, tuple[Callable[[Weights], None], int]] = {
    "nothing wrong": (lambda weights: None, 0),
    "one NaN in a user's weights": (one(USERS, math.nan), 65),
    "one NaN in an item's weights": (one(ITEMS, math.nan), 65),
    "one infinite weight of an item": (one(ITEMS, math.inf), 65),
    "only NaN": (all_nan, 65),
    "nothing learned, constant": (constant, 80),
    "items shuffled": (shuffled(ITEMS), 80),
    "users shuffled": (shuffled(USERS), 80),
}


def spoilt(learned: Path, folder: Path, spoil: Callable[[Weights], None]) -> Path:
    """A checkpoint whose weights were spoilt, and written as training writes them."""
    checkpoint = Path(shutil.copytree(learned, folder / "spoilt"))
    weights = {name: weight.clone() for name, weight in load_file(checkpoint / "weights.safetensors").items()}
    spoil(weights)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, checkpoint / "weights.safetensors")
    spec = json.loads((checkpoint / "spec.json").read_text())
    spec["weights"] = sha256(checkpoint / "weights.safetensors")
    (checkpoint / "spec.json").write_text(json.dumps(spec))
    return checkpoint


@pytest.mark.long
@pytest.mark.parametrize("name", SPOILT)
def test_a_model_that_is_spoilt_is_not_published(
    name: str, learned: Path, published: Path, tmp_path: Path, tell: Tell
) -> None:
    spoil, wanted = SPOILT[name]
    place, bundle = Path(shutil.copytree(published, tmp_path / "shop")), tmp_path / "bundle"
    before = contents(place / "recs")
    answer = command("torchscript", spoilt(learned, tmp_path, spoil), "--out", bundle)
    who = "the export"
    if answer.code == 0:
        fields = yaml.safe_load((place / "config.yaml").read_text())
        fields["nightly"]["bundle"] = str(bundle)
        (place / "config.yaml").write_text(yaml.safe_dump(fields))
        who, answer = "the night", command("nightly", place / "config.yaml", "--run-date", NEXT)
    said = answer.err.strip().partition(" is ")[0].removeprefix("Error: ") if answer.code == 80 else ""
    outcome = f"{who} refused it with {answer.code}{said and ', gate ' + said}" if answer.code else "published"
    tell(f"a model with {name}, exported, then `nightly` with `overlap: {OVERLAP}`", "1", outcome)
    assert (answer.code, contents(place / "recs") == before) == (wanted, wanted != 0)


def test_a_bundle_that_gives_nan_is_not_published(bundle_copy: Path, shop: Path, tmp_path: Path, tell: Tell) -> None:
    path = bundle_copy / "onnx" / "item_tower.onnx"
    model = onnx.load(path)
    table = max(model.graph.initializer, key=lambda tensor: math.prod(tensor.dims))
    values = numpy_helper.to_array(table).copy()
    values.reshape(-1)[5] = math.nan
    table.CopyFrom(numpy_helper.from_array(values, table.name))
    onnx.save(model, path)
    write_manifest(bundle_copy, manifest_of(bundle_copy).model_copy(update={"files": listed(bundle_copy)}))
    words = "--interactions", shop / "interactions.parquet", "--out", tmp_path / "recs", "--runtime", "onnx"
    answer = command("-q", "score", bundle_copy, *words, "--run-date", NEXT)
    tell("one NaN in an ONNX file, sealed anew, then `score`", "1", f"refused with {answer.code}")
    assert (answer.code, (tmp_path / "recs").exists(), "finite" in answer.err) == (65, False, True)
