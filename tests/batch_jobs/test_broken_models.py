"""A model that is broken does not get its lists published: real nights of bundles whose item tower was changed."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rec_export.bundle import manifest_of
from rec_export.recs import Recs
from rec_export.sealed import listed, write_manifest
from tests.batch_jobs.conftest import LAST, NEXT, configured, night

KINDS = {
    "NaN": (0, 65, "are not finite"),
    "constant": (1, 80, "flat_lists is 1, but should be at most 0.05"),
    "shuffled": (2, 80, "overlap is 0, but should be at least 0.3"),
}


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


def broken(bundle: Path, out: Path, kind: int) -> Path:
    """A copy of a bundle with a fault, and with hashes that are right."""
    shutil.copytree(bundle, out)
    path = out / "torchscript" / "item_tower.pt"
    torch.jit.save(torch.jit.script(Broken(torch.jit.load(path), kind).eval()), path)
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
