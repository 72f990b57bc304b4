"""The cases of a proof lie in the bundle, and are read again from there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from exporters.corpus import corpus, path_of, write_corpus
from exporters.parts import parts_of
from rec_export.checkpoint import Checkpoint
from rec_export.errors import ModelError


def test_what_is_read_is_what_was_written_and_is_made_anew_where_nothing_lies(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    trained = Checkpoint.read(checkpoint("pmf"))
    parts = parts_of(trained.towers, trained.blueprint)
    write_corpus(tmp_path / "written", parts, trained.blueprint, trained.catalogue)
    for part, side in zip(parts, trained.catalogue, strict=False):
        told = part, side, trained.blueprint, trained.catalogue
        read, made = corpus(tmp_path / "written", *told), corpus(tmp_path / "nothing", *told)
        assert [case.name for case in read] == [case.name for case in made]
        for one, other in zip(read, made, strict=True):
            for name, array in other.inputs.items():
                np.testing.assert_array_equal(one.inputs[name], array)


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b"{"), lambda path: save_file({"row": np.ones(2)}, path)]
)
def test_cases_that_are_damaged_are_a_broken_model(
    damage: Callable[[Path], object], checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    trained = Checkpoint.read(checkpoint("pmf"))
    part = parts_of(trained.towers, trained.blueprint)[0]
    path = path_of(tmp_path, part)
    path.parent.mkdir(parents=True)
    damage(path)
    with pytest.raises(ModelError, match=f"{path} is damaged .*; export the model again"):
        corpus(tmp_path, part, trained.catalogue.users, trained.blueprint, trained.catalogue)
