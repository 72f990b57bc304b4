"""A slip in the configuration is named, with the nearest right key."""

from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.conftest import LOG, SECTIONS, TABLE, error, log_columns, train
from tests.conftest import Refusal, config_file, write_table


def with_config(place: Path, **sections: Any) -> Refusal:
    """Train with other sections."""
    config_file(place, **{**SECTIONS, **sections})
    return train(place)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"modle": {}}, "DIR/config.yaml: unknown key 'modle'; did you mean 'model'?"),
        (
            {"data": {"interactions": {**LOG, "usr": "a"}}},
            "DIR/config.yaml: unknown key 'data.interactions.usr'; did you mean 'user'?",
        ),
        (
            {"data": {"interactions": LOG, "items": {**TABLE, "dens": ["price"]}}},
            "DIR/config.yaml: unknown key 'data.items.dens'; did you mean 'dense'?",
        ),
        (
            {"training": {"epoch": 3, "sed": 1}},
            "DIR/config.yaml: 2 mistakes: (1) unknown key 'training.epoch'; did you mean 'epochs'?"
            " (2) unknown key 'training.sed'; did you mean 'seed'?",
        ),
        (
            {"training": {"epochs": "many"}},
            'DIR/config.yaml: training.epochs is "many", but should be a valid integer,'
            " unable to parse string as an integer",
        ),
        ({"training": {"seed": [1]}}, "DIR/config.yaml: training.seed is [1], but should be a valid integer"),
        (
            {"data": {"interactions": LOG, "items": {**TABLE, "dense": "price"}}},
            'DIR/config.yaml: data.items.dense is "price", but should be a list',
        ),
        (
            {"data": {"interactions": LOG, "items": {**TABLE, "dense": ["price"], "text": ["price"]}}},
            'DIR/config.yaml: data.items is {"dense": ["price"], "id": "item_id", "path": "items.parque…,'
            " but should be a table whose columns have one kind each; 'price' has two",
        ),
        (
            {"data": {"interactions": {"path": "log.parquet", "positive": 4}}},
            'DIR/config.yaml: data.interactions is {"path": "log.parquet", "positive": 4},'
            " but should be a 'value' column as well where 'positive' is given",
        ),
        (
            {"data": {"interactions": LOG, "split": {"by": "tim"}}},
            'DIR/config.yaml: data.split.by is "tim",'
            " but should be 'time', 'random', 'user', 'last', 'column' or 'none'",
        ),
        (
            {"data": {"interactions": LOG, "split": {"by": "column"}}},
            'DIR/config.yaml: data.split is {"by": "column"},'
            " but should be 'by: column' together with 'column: NAME', or neither",
        ),
        ({"data": {}}, "DIR/config.yaml: the key 'data.interactions' is missing"),
        ({"model": "hybrid"}, 'DIR/config.yaml: model is "hybrid", but should be a mapping of keys to values'),
        ({"model": {"name": "hybird"}}, "unknown model 'hybird'; did you mean 'hybrid'?"),
        ({"model": {"name": "pmf", "dmi": 3}}, "the configuration, model pmf: unknown key 'dmi'; did you mean 'dim'?"),
        (
            {"model": {"name": "pmf", "dim": -3}},
            "the configuration, model pmf: dim is -3, but should be greater than or equal to 1",
        ),
    ],
)
def test_a_slip_in_the_config_is_named(sections: dict[str, Any], sentence: str, place: Path) -> None:
    assert with_config(place, **sections) == error(2, sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("model.dim", "--set is 'model.dim', but should be like model.dim=128"),
        ("data.interactions.path.x=1", "--set asks for 'x' in 'path', which is 'log.parquet' and holds no keys"),
        ("model.dim=[1", "the value '[1' of --set is not YAML; put it into quotes"),
        (
            "training.seed=010",
            "the value of --set seed=010: 010 in line 1 is 8 to YAML; put it into quotes if it is text, such as an id,"
            " or write 8",
        ),
        ("modl.dim=1", "DIR/config.yaml with --set: unknown key 'modl'; did you mean 'model'?"),
    ],
)
def test_a_slip_in_set_is_named(change: str, sentence: str, place: Path) -> None:
    assert train(place, "--set", change) == error(2, sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("training.seed=-1", "training.seed is -1, but should be greater than or equal to 0"),
        ("data.split.seed=-1", "data.split.seed is -1, but should be greater than or equal to 0"),
        ("score.k=40000", "score.k is 40000, but should be less than or equal to 32767"),
        (
            "training.metric=ndcg@10000000000",
            'training.metric is "ndcg@10000000000", but should be a metric and a length of lists,'
            " such as ndcg@10, hr@5, recall@50 or mrr@20; or rmse, mae or r2",
        ),
    ],
)
def test_a_number_out_of_bounds_is_named(change: str, sentence: str, place: Path) -> None:
    assert train(place, "--set", change) == error(2, f"DIR/config.yaml with --set: {sentence}")


@pytest.mark.parametrize("width", [0, -1])
def test_a_layer_has_a_width(width: int, place: Path) -> None:
    answer = train(place, "--set", f"model={{name: hybrid, hidden: [{width}]}}")
    assert answer == error(
        2, f"the configuration, model hybrid: hidden.0 is {width}, but should be greater than or equal to 1"
    )


def test_a_list_that_holds_itself(place: Path) -> None:
    (place / "config.yaml").write_text("data: &a [*a]\n")
    assert train(place) == error(
        2, "DIR/config.yaml: data is a value that holds itself, but should be a mapping of keys to values"
    )


@pytest.mark.parametrize("extra", ["score:\n  k: 1\n  k: 2\n", "score: {k: 1, seen: keep, 'k': 2}\n"])
def test_a_key_that_stands_twice(extra: str, place: Path) -> None:
    (place / "config.yaml").write_text(f"data: {{interactions: {{path: log.parquet}}}}\n{extra}")
    lines = (4, 3) if extra.count("\n") == 3 else (2, 2)
    assert train(place) == error(
        2, f"DIR/config.yaml: the key 'k' in line {lines[0]} stands in line {lines[1]} already; keep one of them"
    )


def test_a_key_that_overrides_what_is_merged_in_is_no_slip(place: Path) -> None:
    text = (place / "config.yaml").read_text()
    (place / "config.yaml").write_text(text + "score: {<<: &base {k: 1}, k: 2}\n")
    assert train(place)[:2] == (0, "")


@pytest.mark.parametrize("text", ["", "- a\n", "data\n"])
def test_a_config_without_keys(text: str, place: Path) -> None:
    (place / "config.yaml").write_text(text)
    said = "DIR/config.yaml holds no keys; it needs at least data.interactions.path: `rec-export init LOG` writes it"
    assert train(place) == error(2, said)


def test_a_log_in_place_of_a_config_is_pointed_to_init(place: Path) -> None:
    (place / "config.yaml").write_bytes(b"PAR1\x15\x04\x15\xe4")
    said = "DIR/config.yaml is not YAML: it is no UTF-8 text; `rec-export init LOG` writes a YAML file"
    assert train(place) == error(2, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a: [b\nc: }",
            "line 2, column 2: expected ',' or ']', but got ':', while parsing a flow sequence that begins in line 1",
        ),
        ("a: b: c", "line 1, column 5: mapping values are not allowed here"),
        ("a: *b", "line 1, column 4: found undefined alias 'b'"),
    ],
)
def test_a_config_that_is_not_yaml(text: str, said: str, place: Path) -> None:
    (place / "config.yaml").write_text(text)
    assert train(place) == error(2, f"DIR/config.yaml is not YAML: {said}")


def test_a_split_column_with_another_word(place: Path) -> None:
    columns = {**log_columns(), "part": ["trian"] * 10 + ["train"] * 290}
    write_table(place / "log.parquet", **columns)
    assert with_config(place, data={"interactions": LOG, "split": {"by": "column", "column": "part"}}) == error(
        65, "column 'part' says 'trian' in 10 rows; it must say train, valid or test"
    )


@pytest.mark.parametrize("by", ["time", "last"])
def test_a_split_by_time_of_a_log_without_time(by: str, place: Path) -> None:
    assert with_config(place, data={"interactions": {"path": "log.parquet"}, "split": {"by": by}}) == error(
        2, f"data.split.by is '{by}', but no time column is given; name it in data.interactions.time"
    )


def test_a_tab_is_called_a_tab(place: Path) -> None:
    (place / "config.yaml").write_text("data:\n\tinteractions: {path: log.parquet}\n")
    assert train(place) == error(2, "line 2 of DIR/config.yaml has a tab where YAML wants blanks; indent by blanks")
