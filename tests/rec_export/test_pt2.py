"""A .pt2 archive holds no pickle, is read without one, and is refused where somebody put one in."""

import pickle
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from torch import Tensor, nn
from torch.export.pt2_archive import PT2ArchiveReader, PT2ArchiveWriter

from rec_export.errors import ModelError
from rec_export.pt2 import EXAMPLE, pt2_bytes, read_pt2

LABELS = {"rec_export.model": "made-up"}


class Scaled(nn.Module):
    """With a weight, a buffer and a constant: all that an archive can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("scale", torch.arange(2.0), persistent=False)

    def forward(self, vec: Tensor) -> Tensor:
        """float32 [B, 3] -> float32 [B, 2]."""
        return self.linear(vec) * self.scale + torch.tensor([1.0, 2.0])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The archive of a small program."""
    axes = {"vec": {0: torch.export.Dim("B")}}
    program = torch.export.export(Scaled(), (torch.ones(2, 3),), dynamic_shapes=axes)
    path = tmp_path / "scaled.pt2"
    path.write_bytes(pt2_bytes(program, LABELS))
    return path


def test_it_is_read_where_nothing_can_be_unpickled(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch, "load")
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.delattr(pickle, name)
    program, labels = read_pt2(archive)
    assert labels == LABELS
    assert program.module()(torch.ones(5, 3)).shape == (5, 2)


def test_the_example_inputs_are_not_in_it(archive: Path) -> None:
    with ZipFile(archive) as records:
        (example,) = (record for record in records.infolist() if record.filename.endswith(EXAMPLE))
    assert example.file_size == 0


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (EXAMPLE, b"", pickle.dumps("code")),
        ("data/weights/model.pt", b"", pickle.dumps("code")),
        ("data/constants/opaque_obj_0", b"", pickle.dumps("code")),
        ("data/aotinductor/model/model.so", b"", b"code"),
        ("data/weights/model_weights_config.json", b'"use_pickle": false', b'"use_pickle": true'),
    ],
)
def test_what_could_run_code_is_refused_before_it_is_loaded(
    name: str, old: bytes, new: bytes, archive: Path, tmp_path: Path
) -> None:
    reader = PT2ArchiveReader(str(archive))
    with PT2ArchiveWriter(str(tmp_path / "planted.pt2")) as writer:
        kept = {key for key in reader.get_file_names() if key.startswith(("data/", "models/", "extra/", "archive_"))}
        for key in sorted(kept | {name}):
            record = reader.read_bytes(key) if key in kept else b""
            writer.write_bytes(key, (record.replace(old, new) if old else new) if key == name else record)
    with pytest.raises(ModelError, match=f"holds 1 records that could run code, the first being {name}") as refusal:
        read_pt2(tmp_path / "planted.pt2")
    assert refusal.value.exit_code == 65


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_what_is_no_archive_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "other.pt2").write_bytes(content)
    with pytest.raises(ModelError, match=r"other\.pt2 is not a \.pt2 file that torch .* reads"):
        read_pt2(tmp_path / "other.pt2")
