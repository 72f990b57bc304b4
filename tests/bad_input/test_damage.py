"""A checkpoint or a bundle that is not as it was written is refused before it is used."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rec_export.files import sha256
from tests.bad_input.conftest import error, score
from tests.conftest import Refusal, refusal


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


BUNDLED = [
    *(
        f"{form}/{part}.{end}"
        for form, end in (("torchscript", "pt"), ("onnx", "onnx"), ("pt2", "pt2"))
        for part in ("user_tower", "item_tower", "pair_head")
    ),
    *("onnx/recommender.onnx", "weights.safetensors", "users.parquet", "items.parquet", "trend.safetensors"),
    *("parity/report.json", "MODEL_CARD.md", "onnx/user_features.onnx", "onnx/item_features.onnx"),
    *("parity/cases/user_tower.safetensors", "parity/cases/item_tower.safetensors"),
    *(f"features/{side}.{kind}" for side in ("users", "items") for kind in ("json", "safetensors")),
]


def test_the_files_of_a_bundle_are_those_that_are_flipped_here(exported: Path) -> None:
    files = {str(path.relative_to(exported)) for path in exported.rglob("*") if path.is_file()}
    assert files == {*BUNDLED, "manifest.json", "manifest.sha256"}


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundle_with_one_bit_flipped(name: str, bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    flip(bundle_copy / name)
    assert score(bundle_copy, shop / "interactions.parquet", tmp_path) == error(
        65,
        f"1 file of the bundle DIR/bundle is not what was exported, the first being {name}; restore it or export again",
    )


def test_a_bundle_with_a_missing_file(bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    (bundle_copy / "users.parquet").unlink()
    assert score(bundle_copy, shop / "interactions.parquet", tmp_path) == error(
        65, "1 file of the bundle DIR/bundle is missing, the first being users.parquet; export it again"
    )


def test_a_bundle_with_a_strange_file(bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    (bundle_copy / "onnx" / "extra.txt").touch()
    assert score(bundle_copy, shop / "interactions.parquet", tmp_path) == error(
        65, "1 file in the bundle DIR/bundle is not in its manifest, the first being onnx/extra.txt; remove it"
    )


def test_a_bundle_without_a_manifest(bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    (bundle_copy / "manifest.json").unlink()
    assert score(bundle_copy, shop / "interactions.parquet", tmp_path) == error(
        66, "DIR/bundle is no bundle, as it holds no manifest.json; name what `rec-export export` made"
    )


CHANGED = "DIR/bundle/manifest.json is not what was exported; restore it or export again"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_bundle_whose_manifest_is_cut_off(share: float, bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    manifest = bundle_copy / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[: int(manifest.stat().st_size * share)])
    assert score(bundle_copy, shop / "interactions.parquet", tmp_path) == error(65, CHANGED)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256"])
def test_a_bundle_with_one_bit_of_its_manifest_or_seal_flipped(
    name: str, bundle_copy: Path, shop: Path, tmp_path: Path
) -> None:
    flip(bundle_copy / name)
    assert score(bundle_copy, shop / "interactions.parquet", tmp_path) == error(65, CHANGED)


def copied(trained: Path, tmp_path: Path) -> Path:
    """A checkpoint to be tampered with."""
    return Path(shutil.copytree(trained, tmp_path / "checkpoint"))


def export(checkpoint: Path, folder: Path) -> Refusal:
    """Try to export."""
    return refusal(folder, "export", checkpoint, "--out", folder / "bundle")


def test_a_checkpoint_with_a_bit_of_its_weights_flipped(trained: Path, tmp_path: Path) -> None:
    checkpoint = copied(trained, tmp_path)
    flip(checkpoint / "weights.safetensors")
    assert export(checkpoint, tmp_path) == error(
        65,
        "DIR/checkpoint/weights.safetensors is not the file that was written (its sha256 differs);"
        " train again or restore it",
    )


@pytest.mark.parametrize(
    "name", ["users.parquet", "items.parquet", "features/users.json", "features/items.safetensors"]
)
def test_a_checkpoint_with_a_bit_of_a_table_flipped(name: str, trained: Path, tmp_path: Path) -> None:
    checkpoint = copied(trained, tmp_path)
    flip(checkpoint / name)
    assert export(checkpoint, tmp_path) == error(
        65, f"DIR/checkpoint/{name} is not the file that was written (its sha256 differs); train again or restore it"
    )


@pytest.mark.parametrize("name", ["weights.safetensors", "items.parquet"])
def test_a_checkpoint_without_a_file(name: str, trained: Path, tmp_path: Path) -> None:
    checkpoint = copied(trained, tmp_path)
    (checkpoint / name).unlink()
    assert export(checkpoint, tmp_path) == error(
        66, f"DIR/checkpoint/{name} does not exist; the checkpoint is not whole, train again"
    )


def test_a_checkpoint_where_a_bundle_is_wanted(trained: Path, shop: Path, tmp_path: Path) -> None:
    checkpoint = copied(trained, tmp_path)
    assert score(checkpoint, shop / "interactions.parquet", tmp_path) == error(
        2, "DIR/checkpoint is a checkpoint; export it first: rec-export export DIR/checkpoint --out BUNDLE"
    )


def test_a_bundle_where_a_checkpoint_is_wanted(bundle_copy: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path, "evaluate", bundle_copy) == error(
        2, "DIR/bundle is a bundle; name the checkpoint that it was exported from"
    )


def test_weights_that_are_not_numbers(trained: Path, tmp_path: Path) -> None:
    checkpoint = copied(trained, tmp_path)
    path = checkpoint / "weights.safetensors"
    weights = load_file(path)
    name = next(name for name in sorted(weights) if weights[name].is_floating_point())
    weights[name] = torch.full_like(weights[name], math.nan)
    save_file(weights, path)
    spec = json.loads((checkpoint / "spec.json").read_text())
    (checkpoint / "spec.json").write_text(json.dumps({**spec, "weights": sha256(path)}))
    assert export(checkpoint, tmp_path) == error(
        65,
        f"1 tensors in DIR/checkpoint/weights.safetensors hold values that are not finite, the first being '{name}'",
    )
