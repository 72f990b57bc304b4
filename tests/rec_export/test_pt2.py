"""A .pt2 archive holds no pickle, is read without one, and is refused where somebody put one in."""

import json
import pickle
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from torch import Tensor, nn
from torch.export.pt2_archive import PT2ArchiveReader, PT2ArchiveWriter

from rec_export.errors import ModelError
from rec_export.pt2 import EXAMPLE, PROGRAM, pt2_bytes, read_pt2

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


def plant(archive: Path, folder: Path, name: str, old: bytes, new: bytes) -> Path:
    """A copy of an archive where one record reads otherwise, or is there besides."""
    reader = PT2ArchiveReader(str(archive))
    with PT2ArchiveWriter(str(folder / "planted.pt2")) as writer:
        kept = {key for key in reader.get_file_names() if key.startswith(("data/", "models/", "extra/", "archive_"))}
        for key in sorted(kept | {name}):
            record = reader.read_bytes(key) if key in kept else b""
            writer.write_bytes(key, (record.replace(old, new) if old else new) if key == name else record)
    return folder / "planted.pt2"


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
    planted = plant(archive, tmp_path, name, old, new)
    with pytest.raises(ModelError, match=f"holds 1 records that could run code, the first being {name}") as refusal:
        read_pt2(planted)
    assert refusal.value.exit_code == 65


@pytest.fixture
def witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that appears when CODE runs, or when the module of that name is imported."""
    (tmp_path / "witness.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('touched').touch()\nmaker = dict\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "witness", raising=False)
    return tmp_path / "touched"


CODE = "__import__('witness')"
SIZE = "Symbol('s2', positive=True, integer=True)"
MUL = "torch.ops.aten.mul.Tensor"
EMPTY = r"{\"type\": \"builtins.dict\", \"context\": \"[]\""  # in the treespec of the inputs: no keywords
FACTORY = (
    r"{\"type\": \"collections.defaultdict\", \"context\": {\"default_factory_module\": \"witness\","
    r" \"default_factory_name\": \"maker\", \"dict_context\": []}"
)
ENUM = EMPTY.replace("[]", r"{\\\"__enum__\\\": true, \\\"fqn\\\": \\\"witness:maker\\\", \\\"name\\\": \\\"any\\\"}")


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("expr_str", SIZE, CODE),
        ("expr_str", SIZE, f"Add(Integer(1), {CODE})"),
        ("expr_str", "Symbol('s2'", f"Symbol(str({CODE})"),
        ("expr_str", SIZE, "Symbol('s2').__class__"),
        ("expr_str", SIZE, f"(1 #\\n+{CODE})"),
        ("expr_str", f'"{SIZE}"', f'["{CODE}"]'),
        ("guards_code", '"guards_code": []', f'"guards_code": ["{CODE}"]'),
        ("guards_code", '"guards_code": []', f'"guards_code": ["L[\'vec\'].size()[0] == 2 or {CODE}"]'),
        ("name", '"vec"', f'"vec={CODE}"'),
        ("name", '"mul"', f'"mul={CODE};other"'),
        ("name", '"other"', f'"other={CODE},a"'),
        ("the key", '"tensor_values": {', f'"tensor_values": {{"{CODE}": null, '),
        ("target", MUL, "torch.os.system"),
        ("target", MUL, "_operator.attrgetter"),
        ("target", MUL, "torch.ops.aten.__class__.__init__"),
        ("target", MUL, "torch.ops.aten.from_file.default"),
        ("parameter_name", '"linear.weight"', f'"linear.{CODE}"'),
        ("in_spec", EMPTY, FACTORY),
        ("in_spec", EMPTY, ENUM),
    ],
)
def test_a_text_that_torch_would_run_is_refused_and_does_not_run(
    key: str, old: str, new: str, archive: Path, tmp_path: Path, witness: Path
) -> None:
    planted = plant(archive, tmp_path, PROGRAM, old.encode(), new.encode())
    assert json.loads(PT2ArchiveReader(str(planted)).read_string(PROGRAM)) != json.loads(
        PT2ArchiveReader(str(archive)).read_string(PROGRAM)
    )
    with pytest.raises(ModelError, match=rf"holds \d+ texts that could run code, the first being {key} .*") as refusal:
        read_pt2(planted)
    assert "\n" not in str(refusal.value)
    assert not witness.exists()


@pytest.mark.parametrize(("old", "new"), [(SIZE, CODE), ('"vec"', f'"vec={CODE}"'), (EMPTY, FACTORY)])
def test_the_witness_tells_when_torch_alone_loads_such_a_text(
    old: str, new: str, archive: Path, tmp_path: Path, witness: Path
) -> None:
    planted = plant(archive, tmp_path, PROGRAM, old.encode(), new.encode())
    with pytest.raises((RuntimeError, AttributeError, AssertionError, SyntaxError)):
        torch.export.load(planted).module()(torch.ones(2, 3))
    assert witness.exists()


class Reshaped(nn.Module):
    """With sizes that are sums and products of two others, and an infinite constant."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """float32 [B, T], float32 [B, S] -> float32 [B * (T + 2 * S)]."""
        whole = torch.cat([one, other, other], 1)
        return torch.where(whole > 0, whole, -torch.inf).softmax(1).reshape(-1, 2).flatten()


def test_sizes_that_are_computed_are_read(tmp_path: Path) -> None:
    rows, one, other = (torch.export.Dim(name, min=2) for name in "BTS")
    axes = {"one": {0: 2 * rows, 1: one}, "other": {0: 2 * rows, 1: other}}
    program = torch.export.export(Reshaped(), (torch.ones(4, 3), torch.ones(4, 5)), dynamic_shapes=axes)
    (tmp_path / "reshaped.pt2").write_bytes(pt2_bytes(program, LABELS))
    got = read_pt2(tmp_path / "reshaped.pt2")[0].module()(torch.ones(6, 4), torch.ones(6, 7))
    torch.testing.assert_close(got, torch.full((6 * 18,), 1 / 18))


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_what_is_no_archive_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "other.pt2").write_bytes(content)
    with pytest.raises(ModelError, match=r"other\.pt2 is not a \.pt2 file that torch .* reads"):
        read_pt2(tmp_path / "other.pt2")
