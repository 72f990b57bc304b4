"""A model that is broken does not get its lists published: real nights of bundles whose item tower was changed."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from batch_jobs.own_items import own_first
from rec_export.bundle import manifest_of
from rec_export.recs import Recs
from rec_export.sealed import listed, write_manifest
from rec_export.towers import DotHead
from tests.batch_jobs.conftest import LAST, NEXT, configured, night, report

KINDS = {
    "NaN": (0, 65, "are not finite"),
    "constant": (1, 80, "flat_lists is 1, but should be at most 0.05"),
    "shuffled": (2, 80, "overlap is 0.008, but should be at least 0.3"),
}


EYE = torch.eye(300)
WIDEST = 256  # of any vector here


class Broken(nn.Module):
    """A tower with a fault."""

    def __init__(self, tower: nn.Module, kind: int) -> None:
        super().__init__()
        self.tower, self.kind = tower, kind

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """What the tower says, made worse."""
        vector = self.tower(inputs)
        if self.kind == 0:
            vector = torch.where(torch.arange(vector.shape[0])[:, None] == 3, torch.nan, vector)
        elif self.kind == 1:
            vector = vector * 0
        else:
            vector = torch.roll(vector, 17, 0)
        return vector


class Knowing(nn.Module):
    """A tower that gives a user the vector of the item that he liked last."""

    def __init__(self, tower: nn.Module, vectors: Tensor, of_users: bool) -> None:
        super().__init__()
        self.tower, self.vectors, self.of_users = tower, vectors, of_users

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Some rows of the vectors."""
        row = inputs["history" if self.of_users else "row"]
        if self.of_users:
            row = row.gather(1, (inputs["history_length"] - 1).clamp(min=0)[:, None])[:, 0]
        vector = self.tower(inputs)
        return vector * 0 + self.vectors[row.clamp(0, self.vectors.shape[0] - 1), : vector.shape[1]]


def broken(bundle: Path, out: Path, kind: int) -> Path:
    """A copy of a bundle with a fault."""
    return changed(bundle, out, {"item_tower": lambda tower: Broken(tower, kind)})


def knowing(bundle: Path, out: Path) -> Path:
    """A copy of a bundle that knows what users liked last."""
    items = manifest_of(bundle).blueprint.sizes.items.rows
    vectors = torch.zeros(items, WIDEST)
    vectors[:, :64] = torch.randn(items, 64, generator=torch.Generator().manual_seed(2))  # whatever the width
    return changed(
        bundle,
        out,
        {f"{of}_tower": partial(Knowing, vectors=vectors, of_users=of == "user") for of in ("user", "item")},
    )


def changed(bundle: Path, out: Path, towers: dict[str, Callable[[nn.Module], nn.Module]]) -> Path:
    """A copy of a bundle with some towers changed, and with hashes that are right."""
    shutil.copytree(bundle, out)
    for name, change in towers.items():
        path = out / "torchscript" / f"{name}.pt"
        torch.jit.save(torch.jit.script(change(torch.jit.load(path)).eval()), path)
    manifest = manifest_of(out)
    write_manifest(out, manifest.model_copy(update={"files": listed(out)}))
    return out


@pytest.mark.parametrize("name", KINDS)
def test_the_lists_of_a_broken_model_are_not_published(name: str, place: Path, exported: Path, tmp_path: Path) -> None:
    kind, code, said = KINDS[name]
    night(place, LAST)
    configured(place, broken(exported, tmp_path / "broken", kind))
    assert said in night(place, NEXT, code=code).err
    assert Recs.at(place / "recs").dates() == [LAST]


def test_on_the_first_night_shuffled_items_are_told_by_what_users_liked(
    place: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch_jobs.own_items.FEWEST", 100)
    configured(place, broken(knowing(exported, tmp_path / "knowing"), tmp_path / "shuffled", 2))
    assert "own_items is 0.4" in night(place, LAST, code=80).err
    configured(place, tmp_path / "knowing")
    night(place, LAST)
    (value,) = [one.value for one in report(place).gates if one.gate == "own_items"]
    assert value == pytest.approx(1, abs=0.01)  # as another item's vector may be longer


@pytest.mark.parametrize(("items", "share"), [(EYE, 1.0), (EYE.roll(1, 0), 0.4957), (EYE * 0, 0.5), (-EYE, 0.0)])
def test_ones_own_item_beside_those_of_others(items: torch.Tensor, share: float) -> None:
    assert own_first(DotHead(), EYE, items, np.arange(len(EYE))) == pytest.approx(share, abs=1e-3)


def test_an_item_that_many_liked_last_tells_nothing_of_them() -> None:
    item = np.where(np.arange(len(EYE)) % 10, 0, np.arange(len(EYE)))  # nine of ten liked the same
    assert own_first(DotHead(), EYE[item], EYE[item], item) == 1
    assert own_first(DotHead(), EYE, EYE, item * 0) is None
