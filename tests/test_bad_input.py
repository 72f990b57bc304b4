"""Bad input is answered by one line that says what, where, how many and what to do; by the right exit code; and by no file."""

import datetime
import json
import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from rec_export.files import sha256
from tests.conftest import Refusal, command, config_file, contents, done, read_lists, refusal, write_table

ROWS, USERS, ITEMS = 300, 30, 20


def log_columns() -> dict[str, Any]:
    """300 events of 30 users and 20 items, as they should be."""
    rng = np.random.default_rng(0)
    return {
        "user_id": [f"u{user}" for user in rng.integers(0, USERS, ROWS)],
        "item_id": [f"i{item}" for item in rng.integers(0, ITEMS, ROWS)],
        "time": (1_700_000_000 + np.sort(rng.integers(0, 8_000_000, ROWS))).tolist(),
        "rating": rng.integers(1, 6, ROWS).astype(float).tolist(),
    }


def item_columns() -> dict[str, Any]:
    """20 items, as they should be."""
    return {
        "item_id": [f"i{item}" for item in range(ITEMS)],
        "price": [1.5 * item for item in range(ITEMS)],
        "brand": ["ab"[item % 2] for item in range(ITEMS)],
        "tags": [["x", "y"][: item % 3] for item in range(ITEMS)],
        "title": [f"red shoe {item % 4}" for item in range(ITEMS)],
    }


LOG = {"path": "log.parquet", "user": "user_id", "item": "item_id", "time": "time", "value": "rating"}
TABLE = {"path": "items.parquet", "id": "item_id"}
KINDS = {"dense": ["price"], "category": ["brand"], "tags": ["tags"], "text": ["title"]}
SECTIONS: dict[str, Any] = {
    "data": {"interactions": LOG, "items": {**TABLE, **KINDS}},
    "model": {"name": "popular"},
    "training": {"epochs": 1},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a log, items and a config that can be trained on."""
    folder = tmp_path / "place"
    folder.mkdir()
    write_table(folder / "log.parquet", **log_columns())
    write_table(folder / "items.parquet", **item_columns())
    config_file(folder, **SECTIONS)
    return folder


def train(place: Path, *more: object) -> Refusal:
    """Try to train on what lies there."""
    return refusal(place, "train", place / "config.yaml", "--out", place / "checkpoint", *more)


def with_log(place: Path, **section: Any) -> None:
    """Say something else about the log."""
    config_file(place, **{**SECTIONS, "data": {"interactions": {**LOG, **section}}})


def error(code: int, sentence: str) -> Refusal:
    """A refusal in one line that leaves everything as it was."""
    return Refusal(code, f"Error: {sentence}\n", [])


def test_what_should_be_is_accepted(place: Path) -> None:
    assert train(place)[:2] == (0, "")


# Columns


def test_a_missing_column_is_named(place: Path) -> None:
    columns = log_columns()
    del columns["rating"]
    write_table(place / "log.parquet", **columns)
    assert train(place) == error(2, "no column 'rating' in DIR/log.parquet; known: item_id, time, user_id")


def test_a_misnamed_column_is_answered_with_the_nearest(place: Path) -> None:
    with_log(place, user="userid")
    assert train(place) == error(2, "no column 'userid' in DIR/log.parquet; did you mean 'user_id'?")


def test_a_misnamed_attribute_is_answered_with_the_nearest(place: Path) -> None:
    config_file(place, **{**SECTIONS, "data": {"interactions": LOG, "items": {**TABLE, "dense": ["prize"]}}})
    assert train(place) == error(2, "no column 'prize' in DIR/items.parquet; did you mean 'price'?")


def test_run_answers_a_misnamed_column_with_the_nearest(place: Path) -> None:
    answer = refusal(place, "run", place / "log.parquet", "-o", place / "out", "--user", "usr_id")
    assert answer == error(2, "no column 'usr_id' in DIR/log.parquet; did you mean 'user_id'?")


def test_run_says_how_to_name_a_column_that_it_cannot_guess(place: Path) -> None:
    write_table(place / "log.parquet", who=["a"], what=["b"])
    assert refusal(place, "run", place / "log.parquet", "-o", place / "out") == error(
        2, "cannot tell which column of DIR/log.parquet is the user; name it with --user. It has: who, what"
    )


# Files


def test_a_file_of_0_bytes(place: Path) -> None:
    (place / "log.parquet").write_bytes(b"")
    assert train(place) == error(65, "DIR/log.parquet is empty (0 bytes); write it again")


def test_a_table_without_rows(place: Path) -> None:
    write_table(place / "log.parquet", **{name: pa.array([], pa.array(v).type) for name, v in log_columns().items()})
    assert train(place) == error(65, "DIR/log.parquet has no rows; nothing can be learned from it")


def test_a_csv_that_is_a_header_only(place: Path) -> None:
    (place / "log.csv").write_text("user_id,item_id,time,rating\n")
    with_log(place, path="log.csv")
    assert train(place) == error(65, "DIR/log.csv has no rows; nothing can be learned from it")


DAMAGED = "cannot be read, it is damaged or not what its name says:"


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize("name", ["log", "items"])
def test_a_truncated_parquet_file(name: str, share: float, place: Path) -> None:
    path = place / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[: math.ceil(path.stat().st_size * share)])
    code, err, changed = train(place)
    assert (code, err.startswith(f"Error: DIR/{name}.parquet {DAMAGED} "), err.count("\n"), changed) == (65, True, 1, [])


def test_a_csv_with_a_row_that_is_too_short(place: Path) -> None:
    (place / "log.csv").write_text("user_id,item_id,time,rating\na,b,1700000000,2\na,b\n")
    with_log(place, path="log.csv")
    assert train(place) == error(65, f"DIR/log.csv {DAMAGED} CSV parse error: Expected 4 columns, got 2: a,b")


def test_a_csv_that_is_not_utf_8(place: Path) -> None:
    (place / "log.csv").write_bytes("user_id,item_id,time,rating\né,b,1700000000,2\n".encode("latin1"))
    with_log(place, path="log.csv")
    said = "In CSV column #0: CSV conversion error to string: invalid UTF8 data"
    assert train(place) == error(65, f"DIR/log.csv {DAMAGED} {said}")


def test_json_lines_that_are_cut_off(place: Path) -> None:
    (place / "log.jsonl").write_text('{"user_id": "a"')
    with_log(place, path="log.jsonl")
    said = "JSON parse error: Missing a comma or '}' after an object member. in row 0"
    assert train(place) == error(65, f"DIR/log.jsonl {DAMAGED} {said}")


def test_a_gz_that_is_not_one(place: Path) -> None:
    (place / "log.csv.gz").write_text("user_id,item_id")
    with_log(place, path="log.csv.gz")
    said = "zlib inflate failed: incorrect header check"
    assert train(place) == error(65, f"DIR/log.csv.gz cannot be read, it is damaged or cut off: {said}")


def test_a_file_of_another_kind(place: Path) -> None:
    with_log(place, path="config.yaml")
    assert train(place) == error(
        2, "DIR/config.yaml is not .parquet, .csv or .jsonl (or .csv.gz, .jsonl.gz); convert or rename it"
    )


def test_a_folder_without_data(place: Path) -> None:
    (place / "empty").mkdir()
    (place / "empty" / "_SUCCESS").touch()
    with_log(place, path="empty")
    assert train(place) == error(66, "the folder DIR/empty holds no .parquet, .csv or .jsonl file")


# Values


def changed_log(place: Path, **columns: Any) -> Refusal:
    """Train on a log in which some columns are others."""
    write_table(place / "log.parquet", **{**log_columns(), **columns})
    return train(place)


def changed_items(place: Path, **columns: Any) -> Refusal:
    """Train on items of which some columns are others."""
    write_table(place / "items.parquet", **{**item_columns(), **columns})
    return train(place)


IDS = "which cannot be an id; ids are strings or integers"
EPOCHS = "are dates between 1990 and 2100 in no unit of s, ms, us, ns"
STAMPS = "repair them, set time_unit to us, or use the log without time"


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("rating", ["x"] * ROWS, "holds string where numbers are needed, the first being 'x'"),
        ("rating", [math.nan, *[4.0] * 299], "1 of 300 values of @ are missing, the first in row 1; fill them or leave the rows out"),
        ("rating", [*[4.0] * 297, None, None, 1.0], "2 of 300 values of @ are missing, the first in row 298; fill them or leave the rows out"),
        ("rating", [math.inf, *[4.0] * 299], "1 of 300 values of @ are infinite; make them missing instead"),
        ("time", [math.nan, *[1.7e9] * 299], "1 of 300 values of @ are not finite; repair them or leave the rows out"),
        ("time", [None, None, *[1_700_000_000] * 298], "2 of 300 values of @ are missing; fill them or leave the rows out"),
        ("time", ["2020-01-01"] * 298 + ["soon", "late"], "holds text that is no ISO 8601 time (2 different values), the first being 'soon'; write times like 2026-11-20 or 2026-11-20T08:30:00Z"),
        ("time", [True] * ROWS, "holds bool, which cannot be a time; give epochs, dates or timestamps"),
        ("time", list(range(ROWS)), f"the times in @ (0 .. 299) {EPOCHS}; repair them, set time_unit, or use the log without time"),
        ("time", pa.array(range(ROWS), pa.timestamp("s")), f"the times in @ (1970-01-01 .. 1970-01-01) are not between 1990 and 2100; {STAMPS}"),
        ("user_id", [user + 0.5 for user in range(ROWS)], "holds fractions, which cannot be ids; ids are strings or integers"),
        ("user_id", [True] * ROWS, f"holds bool, {IDS}"),
        ("user_id", [datetime.date(2020, 1, 1)] * ROWS, f"holds date32[day], {IDS}"),
        ("user_id", [["a"]] * ROWS, f"holds list<element: string>, {IDS}"),
    ],
)  # fmt: skip
def test_a_column_of_the_log_that_cannot_be_used(column: str, values: Any, sentence: str, place: Path) -> None:
    where = f"column '{column}' of DIR/log.parquet"
    whole = sentence.replace("@", where) if "@" in sentence else f"{where} {sentence}"
    assert changed_log(place, **{column: values}) == error(65, whole)


def test_a_log_without_any_id(place: Path) -> None:
    assert changed_log(place, user_id=[None] * ROWS) == error(
        65, "no row of DIR/log.parquet has both a user (user_id) and an item (item_id)"
    )


def test_ids_beyond_int64(place: Path) -> None:
    assert changed_log(place, item_id=pa.array([2**64 - 1] * ROWS, pa.uint64())) == error(
        65, "an id is beyond int64 (18446744073709551615); use strings"
    )


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("price", ["dear"] * ITEMS, "holds string where numbers are needed, the first being 'dear'"),
        ("price", [math.inf, -math.inf, *[1.0] * 18], "2 of 20 values of @ are infinite; make them missing instead"),
        ("brand", [["a"]] * ITEMS, "holds list<element: string> where one word is needed; declare it under tags"),
        ("title", [{"a": 1}] * ITEMS, "holds struct<a: int64> where one word is needed; declare it under tags"),
        ("tags", [{"a": 1}] * ITEMS, "holds struct<a: int64>, which cannot be read as tags; tags are lists of strings"),
        ("item_id", ["i1"] * 3 + [f"i{item}" for item in range(3, 19)] + ["i3"], "2 ids stand more than once in @, the first being 'i1'; keep one row of each"),
    ],
)  # fmt: skip
def test_a_column_of_the_items_that_cannot_be_used(column: str, values: Any, sentence: str, place: Path) -> None:
    where = f"column '{column}' of DIR/items.parquet"
    whole = sentence.replace("@", where) if "@" in sentence else f"{where} {sentence}"
    assert changed_items(place, **{column: values}) == error(65, whole)


def test_items_without_an_id(place: Path) -> None:
    assert changed_items(place, item_id=[None, *[f"i{item}" for item in range(1, ITEMS)]]) == error(
        65, "1 of 20 rows of DIR/items.parquet have no item_id; give them ids or leave them out"
    )


@pytest.mark.parametrize("price", [[None] * ITEMS, [math.nan] * ITEMS])
def test_a_dense_column_that_is_all_missing(price: list[float | None], place: Path) -> None:
    assert changed_items(place, price=price) == error(
        65,
        "column 'price' has no value in the training part; leave it out of 'dense', or check that the table's ids are"
        " those of the log",
    )


def test_missing_features_and_texts_that_are_all_alike_are_no_error(place: Path) -> None:
    titles = ["red shoe"] * 18 + ["", None]
    some = {"price": [math.nan, None, *[2.0] * 18], "brand": [None, *["a"] * 19], "tags": [None, *[["x"]] * 19]}
    assert changed_items(place, title=titles, **some)[:2] == (0, "")


def test_items_whose_ids_are_of_another_kind_than_those_of_the_log(place: Path) -> None:
    config_file(place, **{**SECTIONS, "data": {"interactions": LOG, "items": TABLE}})
    assert changed_log(place, item_id=np.random.default_rng(0).integers(0, 20, ROWS)) == error(
        65,
        "20 new ids are string, such as 'i11', but the known ones are int64, such as 13; write both in the same way",
    )


# Too little


def test_a_k_core_that_leaves_nobody(place: Path) -> None:
    config_file(place, **{**SECTIONS, "data": {"interactions": LOG, "minimum": {"per_user": 1000}}})
    assert train(place) == error(65, "no user and item are left with 1000 and 1 rows; lower data.minimum")


def test_a_threshold_that_nobody_reaches(place: Path) -> None:
    with_log(place, positive=9)
    assert train(place) == error(65, "none of 300 rows is a liking; lower data.interactions.positive")


def test_a_log_of_one_row(place: Path) -> None:
    with_log(place)
    assert changed_log(place, **{name: values[:1] for name, values in log_columns().items()}) == error(
        65, "the split by time leaves none of 1 rows to train on; change data.split"
    )


@pytest.mark.parametrize("model", ["popular", "pmf", "hybrid"])
@pytest.mark.parametrize("lonely", ["user_id", "item_id"])
def test_a_log_with_one_user_or_one_item_is_learned_from(lonely: str, model: str, place: Path) -> None:
    columns = {**log_columns(), lonely: ["i1"] * ROWS}
    write_table(place / "log.parquet", **columns)
    code, err, _ = train(place, "--set", f"model.name={model}")
    assert (code, err) == (0, "")


# Configuration


def with_config(place: Path, **sections: Any) -> Refusal:
    """Train with other sections."""
    config_file(place, **{**SECTIONS, **sections})
    return train(place)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"modle": {}}, "DIR/config.yaml: unknown key 'modle'; did you mean 'model'?"),
        ({"data": {"interactions": {**LOG, "usr": "a"}}}, "DIR/config.yaml: unknown key 'data.interactions.usr'; did you mean 'user'?"),
        ({"data": {"interactions": LOG, "items": {**TABLE, "dens": ["price"]}}}, "DIR/config.yaml: unknown key 'data.items.dens'; did you mean 'dense'?"),
        ({"training": {"epoch": 3, "sed": 1}}, "DIR/config.yaml: unknown key 'training.epoch'; did you mean 'epochs'? (and 1 more)"),
        ({"training": {"epochs": "many"}}, 'DIR/config.yaml: training.epochs is "many", but should be a valid integer, unable to parse string as an integer'),
        ({"training": {"seed": [1]}}, "DIR/config.yaml: training.seed is [1], but should be a valid integer"),
        ({"data": {"interactions": LOG, "items": {**TABLE, "dense": "price"}}}, 'DIR/config.yaml: data.items.dense is "price", but should be a list'),
        ({"data": {"interactions": LOG, "items": {**TABLE, "dense": ["price"], "text": ["price"]}}}, "DIR/config.yaml: data.items is {\"path\": \"items.parquet\", \"id\": \"item_id\", \"dense\": [\"price\"…, but should be a table whose columns have one kind each; 'price' has two"),
        ({"data": {"interactions": {"path": "log.parquet", "positive": 4}}}, "DIR/config.yaml: data.interactions is {\"path\": \"log.parquet\", \"positive\": 4}, but should be a 'value' column as well where 'positive' is given"),
        ({"data": {"interactions": LOG, "split": {"by": "tim"}}}, "DIR/config.yaml: data.split.by is \"tim\", but should be 'time', 'random', 'user', 'last', 'column' or 'none'"),
        ({"data": {"interactions": LOG, "split": {"by": "column"}}}, "DIR/config.yaml: data.split is {\"by\": \"column\"}, but should be 'by: column' together with 'column: NAME', or neither"),
        ({"data": {}}, "DIR/config.yaml: the key 'data.interactions' is missing"),
        ({"model": "hybrid"}, 'DIR/config.yaml: model is "hybrid", but should be a mapping of keys to values'),
        ({"model": {"name": "hybird"}}, "unknown model 'hybird'; did you mean 'hybrid'?"),
        ({"model": {"dim": 3}}, "the configuration: the key 'model.name' is missing; known: @"),
        ({"model": {"name": "pmf", "dmi": 3}}, "the configuration, model pmf: unknown key 'dmi'; did you mean 'dim'?"),
        ({"model": {"name": "pmf", "dim": -3}}, "the configuration, model pmf: dim is -3, but should be greater than or equal to 1"),
    ],
)  # fmt: skip
def test_a_slip_in_the_config_is_named(sections: dict[str, Any], sentence: str, place: Path) -> None:
    from rec_export.models import names

    assert with_config(place, **sections) == error(2, sentence.replace("@", ", ".join(names())))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("model.dim", "--set is 'model.dim', but should be like model.dim=128"),
        ("model.dim=[1", "the value '[1' of --set is not YAML; put it into quotes"),
        ("modl.dim=1", "DIR/config.yaml: unknown key 'modl'; did you mean 'model'?"),
        ("data.interactions.path.x=1", 'DIR/config.yaml: data.interactions.path is {"x": 1}, but should be a path'),
    ],
)
def test_a_slip_in_set_is_named(change: str, sentence: str, place: Path) -> None:
    assert train(place, "--set", change) == error(2, sentence)


@pytest.mark.parametrize("text", ["", "- a\n", "data\n"])
def test_a_config_without_keys(text: str, place: Path) -> None:
    (place / "config.yaml").write_text(text)
    assert train(place) == error(2, "DIR/config.yaml holds no keys; it needs at least data.interactions.path")


@pytest.mark.parametrize("text", [b"a: [b\nc: }", b"\xff\xfe\x00a\x80", b"a: *b"])
def test_a_config_that_is_not_yaml(text: bytes, place: Path) -> None:
    (place / "config.yaml").write_bytes(text)
    code, err, changed = train(place)
    assert (code, err.startswith("Error: DIR/config.yaml is not YAML: "), err.count("\n"), changed) == (2, True, 1, [])


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


# Paths


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ("train DIR/confg.yaml --out DIR/new", 66, "DIR/confg.yaml does not exist; did you mean 'config.yaml'?"),
        ("train DIR --out DIR/new", 2, "DIR is a folder; name a YAML file in it"),
        ("train DIR/config.yaml/x --out DIR/new", 66, "DIR/config.yaml/x does not exist; name a YAML file"),
        ("train DIR/config.yaml --out DIR/config.yaml", 73, "DIR/config.yaml already exists; name a new directory or remove it first"),
        ("train DIR/config.yaml --out DIR/new --set data.interactions.path=lg.parquet", 66, "DIR/lg.parquet does not exist; did you mean 'log.parquet'?"),
        ("train DIR/config.yaml --out DIR/new --device gpuu", 69, "there is no device 'gpuu'; use auto, cpu or cuda"),
        ("train DIR/config.yaml --out DIR/new --device cuda:99", 69, "the device 'cuda:99' is not available here (@ CUDA devices); use --device cpu"),
        ("evaluate DIR/nowhere", 66, "DIR/nowhere/spec.json does not exist; name a directory that rec-export wrote"),
        ("evaluate DIR/config.yaml", 66, "DIR/config.yaml/spec.json does not exist; name a directory that rec-export wrote"),
        ("export DIR/nowhere --out DIR/new", 66, "DIR/nowhere/spec.json does not exist; name a directory that rec-export wrote"),
        ("export DIR/config.yaml --out DIR/new", 66, "DIR/config.yaml/spec.json does not exist; name a directory that rec-export wrote"),
        ("export DIR/nowhere --out DIR/config.yaml", 73, "DIR/config.yaml already exists; name a new directory or remove it first"),
        ("score DIR/nowhere --interactions DIR/log.parquet --out DIR/recs", 66, "the bundle DIR/nowhere does not exist; make it with `rec-export export CHECKPOINT --out DIR/nowhere`"),
        ("score DIR/nowhere --interactions DIR/log.parquet --out DIR/log.parquet", 73, "DIR/log.parquet is a file; name a directory for the recommendations"),
        ("verify DIR/nowhere", 66, "the bundle DIR/nowhere does not exist; make it with `rec-export export CHECKPOINT --out DIR/nowhere`"),
        ("run DIR/lg.parquet -o DIR/out", 66, "DIR/lg.parquet does not exist; did you mean 'log.parquet'?"),
        ("run DIR/log.parquet -o DIR", 73, "DIR already exists and is not this job; name a new directory or remove it first"),
        ("run DIR/log.parquet -o DIR/out --model hibrid", 2, "unknown model 'hibrid'; did you mean 'hybrid'?"),
        ("run DIR/log.parquet -o DIR/out --device gpuu", 69, "there is no device 'gpuu'; use auto, cpu or cuda"),
        ("sample-data DIR/log.parquet", 73, "DIR/log.parquet already exists; name a new directory or remove it first"),
    ],
)  # fmt: skip
def test_a_path_or_device_that_cannot_be(arguments: str, code: int, sentence: str, place: Path) -> None:
    words = [word.replace("DIR", str(place)) for word in arguments.split()]
    assert refusal(place, *words) == error(code, sentence.replace("@", str(torch.cuda.device_count())))


def test_run_refuses_duplicate_items_before_it_writes_anything(place: Path) -> None:
    write_table(place / "items.parquet", **{**item_columns(), "item_id": ["i1"] * ITEMS})
    answer = refusal(place, "run", place / "log.parquet", "--items", place / "items.parquet", "-o", place / "out")
    assert answer == error(
        65, "1 ids stand more than once in column 'item_id' of DIR/items.parquet, the first being 'i1'; keep one row of each"
    )


# A full disk


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system that is full after some kilobytes. Skips where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount the tiny disk that this test fills")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def full(path: str) -> Refusal:
    """The answer of a disk that has not one byte left."""
    return error(
        74, f"the disk is full while writing DIR/{path} (0 bytes free); free some space and run the same command again"
    )


@pytest.mark.parametrize("kilobytes", [4, 24, 32])
def test_a_disk_that_is_full_while_training(kilobytes: int, place: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        answer = refusal(disk, "train", place / "config.yaml", "--out", disk / "new", "--set", "model.name=pmf")
    assert answer == full("new")


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [16, 200])
def test_a_disk_that_is_full_while_exporting(kilobytes: int, trained: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        answer = refusal(disk, "export", trained, "--out", disk / "new")
    assert answer == full("new")


@pytest.mark.parametrize("kilobytes", [4, 12])
def test_a_disk_that_is_full_while_scoring(kilobytes: int, shop: Path, exported: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        where = "--out", disk / "recs", "--run-date", "2026-10-31"
        answer = refusal(disk, "score", exported, "--interactions", shop / "interactions.parquet", *where)
    assert answer == full("recs/run_date=2026-10-31")


def test_a_disk_that_is_full_without_a_disk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuses)
    code, err, changed = train(place)
    assert (code, err.startswith("Error: the disk is full while writing DIR/checkpoint ("), changed) == (74, True, [])


# Damaged checkpoints and bundles


def score(bundle: Path, log: Path, folder: Path, *more: object) -> Refusal:
    """Try to score with a bundle."""
    return refusal(folder, "score", bundle, "--interactions", log, "--out", folder / "recs", *more)


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


BUNDLED = [
    *(f"{form}/{part}.{end}" for form, end in (("torchscript", "pt"), ("onnx", "onnx")) for part in ("user_tower", "item_tower", "pair_head")),
    *("weights.safetensors", "users.parquet", "items.parquet", "parity/report.json"),
    *(f"features/{side}.{kind}" for side in ("users", "items") for kind in ("json", "safetensors")),
]  # fmt: skip


def test_the_files_of_a_bundle_are_those_that_are_flipped_here(exported: Path) -> None:
    files = {str(path.relative_to(exported)) for path in exported.rglob("*") if path.is_file()}
    assert files == {*BUNDLED, "manifest.json"}


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundle_with_one_bit_flipped(name: str, bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    flip(bundle_copy / name)
    assert score(bundle_copy, shop / "interactions.parquet", tmp_path) == error(
        65,
        f"1 files of the bundle DIR/bundle are not what was exported, the first being {name};"
        " restore them or export again",
    )


def test_a_bundle_with_a_missing_file(bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    (bundle_copy / "users.parquet").unlink()
    assert score(bundle_copy, shop / "interactions.parquet", tmp_path) == error(
        65, "1 files of the bundle DIR/bundle are missing, the first being users.parquet; export it again"
    )


def test_a_bundle_with_a_strange_file(bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    (bundle_copy / "onnx" / "extra.txt").touch()
    assert score(bundle_copy, shop / "interactions.parquet", tmp_path) == error(
        65, "1 files in the bundle DIR/bundle are not in its manifest, the first being onnx/extra.txt; remove them"
    )


def test_a_bundle_without_a_manifest(bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    (bundle_copy / "manifest.json").unlink()
    assert score(bundle_copy, shop / "interactions.parquet", tmp_path) == error(
        66, "DIR/bundle/manifest.json does not exist; name a directory that rec-export wrote"
    )


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_bundle_whose_manifest_is_cut_off(share: float, bundle_copy: Path, shop: Path, tmp_path: Path) -> None:
    manifest = bundle_copy / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[: int(manifest.stat().st_size * share)])
    code, err, changed = score(bundle_copy, shop / "interactions.parquet", tmp_path)
    start = "Error: DIR/bundle/manifest.json is not a valid Manifest: "
    assert (code, err.startswith(start), err.count("\n"), changed) == (65, True, 1, [])


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


@pytest.mark.parametrize("name", ["users.parquet", "items.parquet", "features/users.json", "features/items.safetensors"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:50])])
def test_a_checkpoint_with_a_damaged_file(name: str, damage: Callable[[Path], Any], trained: Path, tmp_path: Path) -> None:
    checkpoint = copied(trained, tmp_path)
    damage(checkpoint / name)
    code, err, changed = export(checkpoint, tmp_path)
    assert (code in (65, 66), err.startswith("Error: "), "DIR/checkpoint" in err, err.count("\n"), changed) == (True, True, True, 1, [])  # fmt: skip


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


# Scoring


def test_users_of_whom_nobody_is_known(exported: Path, shop: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "users.parquet", user_id=["nobody", "no one"])
    answer = score(exported, shop / "interactions.parquet", tmp_path, "--users", tmp_path / "users.parquet")
    assert answer == error(
        65,
        "none of the 2 users in DIR/users.parquet is in the bundle or the interactions, the first being 'nobody';"
        " check that the ids are of the same kind",
    )


def test_a_run_date_before_the_log(exported: Path, shop: Path, tmp_path: Path) -> None:
    log = Path(shutil.copy(shop / "interactions.parquet", tmp_path))
    assert score(exported, log, tmp_path, "--run-date", "2020-01-01") == error(
        65, "DIR/interactions.parquet has no row on or before 2020-01-01; name a later --run-date"
    )


def test_a_log_that_lost_a_column_since_training(exported: Path, shop: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(shop / "interactions.parquet").drop(["rating"]), tmp_path / "log.parquet")
    assert score(exported, tmp_path / "log.parquet", tmp_path) == error(
        2, "no column 'rating' in DIR/log.parquet; known: item_id, timestamp, user_id"
    )


def test_items_that_lost_a_column_since_training(exported: Path, shop: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(shop / "items.parquet").drop(["brand"]), tmp_path / "items.parquet")
    code, err, changed = score(
        exported, shop / "interactions.parquet", tmp_path, "--items", tmp_path / "items.parquet"
    )
    assert (code, err.startswith("Error: no column 'brand' in DIR/items.parquet; "), changed) == (2, True, [])


def test_items_of_which_none_is_left(exported: Path, shop: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(shop / "items.parquet")[:0], tmp_path / "items.parquet")
    answer = score(exported, shop / "interactions.parquet", tmp_path, "--items", tmp_path / "items.parquet")
    assert answer == error(65, "DIR/items.parquet has no rows; nothing can be learned from it")


def test_a_live_run_from_other_inputs_is_left_alone(scored: Path, exported: Path, shop: Path) -> None:
    before = contents(scored.parent)
    where = "--out", scored, "--run-date", "2026-10-31", "--k", 7
    code, _, err = command("-q", "score", exported, "--interactions", shop / "interactions.parquet", *where)
    live = next(path.stem[-12:] for path in scored.rglob("*.parquet"))
    assert (code, err) == (
        73,
        f"Error: {scored}/run_date=2026-10-31 already holds the run {live}, made from other inputs;"
        " choose another --run-date or --out, or remove it first\n",
    )
    assert contents(scored.parent) == before


# Hostile ids

HOSTILE = [
    "", " ", "  two  spaces ", "a/b/../c", "..", "\\", "line\nend", "tab\t", "\0", "'\";--", "é", "e\u0301", "ß", "日本語",
    "🛒", "\u202eright to left", "\ufeff", "x" * 10_000, "NaN", "null", "007", "7", "-0", "1e3", "None",
]  # fmt: skip


@pytest.mark.slow
def test_hostile_ids_come_out_as_they_came_in(tmp_path: Path) -> None:
    users = [user for user in HOSTILE for _ in HOSTILE[:-5]]
    items = [HOSTILE[(place + shift) % 25] for place in range(25) for shift in range(20)]
    write_table(tmp_path / "log.parquet", user_id=users, item_id=items)
    config = config_file(tmp_path, data={"interactions": {"path": "log.parquet"}}, model={"name": "pmf", "dim": 2},
                         training={"epochs": 1, "refit": False})  # fmt: skip
    done("train", config, "--out", tmp_path / "checkpoint")
    done("torchscript", tmp_path / "checkpoint", "--out", tmp_path / "bundle")
    done("score", tmp_path / "bundle", "--interactions", tmp_path / "log.parquet", "--out", tmp_path / "recs", "--k", 25)
    lists = read_lists(tmp_path / "recs").to_pydict()
    given, met = {}, dict.fromkeys(HOSTILE, frozenset[str]())
    for user, item in zip(lists["user_id"], lists["item_id"], strict=True):
        given[user] = given.get(user, frozenset()) | {item}
    for user, item in zip(users, items, strict=True):
        met[user] |= {item}
    assert given == {user: frozenset(HOSTILE) - met[user] for user in HOSTILE}


def test_a_hostile_id_in_a_sentence_is_short_and_on_one_line(place: Path) -> None:
    hostile = "line\nend " + "x" * 10_000
    answer = changed_items(place, item_id=[hostile, hostile, *[f"i{item}" for item in range(18)]])
    assert answer == error(
        65,
        "1 ids stand more than once in column 'item_id' of DIR/items.parquet, the first being"
        f" 'line\\nend {'x' * 48}…; keep one row of each",
    )
