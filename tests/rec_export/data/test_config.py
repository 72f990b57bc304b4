"""One YAML file says everything, relative to itself; a slip is answered with the nearest key."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rec_export.config import Config, Training
from rec_export.data.config import Attributes, DataConfig, Split
from rec_export.errors import UsageError

MINIMAL = {"data": {"interactions": {"path": "log.parquet"}}}


def written(folder: Path, fields: dict[str, Any]) -> Path:
    """A configuration file."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


def test_everything_but_the_path_has_a_default(tmp_path: Path) -> None:
    config = Config.load(written(tmp_path, MINIMAL))
    log = config.data.interactions
    assert (log.user, log.item, log.time, config.model, config.data.split) == (
        "user_id",
        "item_id",
        None,
        {"name": "hybrid"},
        Split(),
    )


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    tables = {"items": {"path": "../items.csv", "id": "i"}, "users": {"path": "/abs/users.csv", "id": "u"}}
    data = Config.load(written(tmp_path, {"data": {**MINIMAL["data"], **tables}})).data
    assert data.items
    assert data.users
    assert (data.interactions.path, data.items.path, data.users.path) == (
        tmp_path / "log.parquet",
        tmp_path.parent / "items.csv",
        Path("/abs/users.csv"),
    )


def test_set_changes_keys_deep_and_new(tmp_path: Path) -> None:
    changes = (
        "model.dim=128",
        "model.name=pmf",
        "data.split.by=last",
        "training.lr=1e-3",
        "data.interactions.time=t",
        "score.k=7",
    )
    config = Config.load(written(tmp_path, MINIMAL), changes)
    got = config.model, config.data.split.by, config.training.lr, config.data.interactions.time, config.score.k
    assert got == ({"name": "pmf", "dim": 128}, "last", 0.001, "t", 7)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"dta": {}}, "unknown key 'dta'; did you mean 'data'?"),
        (
            {"data": {"interactions": {"path": "x", "tme": "t"}}},
            "unknown key 'data.interactions.tme'; did you mean 'time'?",
        ),
        (
            {"data": {"items": {"path": "x", "id": "i", "categry": ["c"]}}},
            "unknown key 'data.items.categry'; did you mean 'category'?",
        ),
        ({"data": {"minimum": {"per_usr": 2}}}, "unknown key 'data.minimum.per_usr'; did you mean 'per_user'?"),
        ({"training": {"patence": 2}}, "unknown key 'training.patence'; did you mean 'patience'?"),
        ({"score": {"K": 2}}, "unknown key 'score.K'; did you mean 'k'?"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(fields: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    data = {**MINIMAL["data"], **fields.get("data", {})}
    with pytest.raises(UsageError) as refused:
        Config.load(written(tmp_path, {**fields, "data": data}))
    assert str(refused.value) == f"{tmp_path / 'config.yaml'}: {sentence}"


@given(key=st.sampled_from(sorted(Training.model_fields)), place=st.integers(0, 20))
def test_every_training_key_is_found_from_a_slip_of_one_letter(key: str, place: int) -> None:
    place %= len(key)
    slip = f"{key[:place]}{key[place]}{key[place:]}"
    with pytest.raises(UsageError) as refused:
        Config.of({**MINIMAL, "training": {slip: 1}}, "here")
    assert str(refused.value) == f"here: unknown key 'training.{slip}'; did you mean {key!r}?"


def test_what_is_dumped_is_loaded_again(tmp_path: Path) -> None:
    tables = {"items": {"path": "items.csv", "id": "i", "text": ["título"]}}
    config = Config.load(written(tmp_path, {"data": {**MINIMAL["data"], **tables}}))
    (tmp_path / "again.yaml").write_text(config.dump(), encoding="utf-8")
    assert Config.load(tmp_path / "again.yaml") == config


def test_a_table_lists_its_columns_with_the_id_first() -> None:
    table = Attributes(path=Path("x"), id="i", dense=("d",), category=("c",), tags=("t",), text=("w",))
    assert table.columns() == ["i", "d", "c", "t", "w"]


def test_a_split_must_leave_something_to_train_on() -> None:
    with pytest.raises(UsageError, match="should be a split whose 'valid' and 'test' leave something to train on"):
        DataConfig.of({"interactions": {"path": "x"}, "split": {"by": "random", "valid": 0.5, "test": 0.5}}, "here")
