"""Logs of which little or nothing is left to learn from."""

import re
from pathlib import Path

import pytest

from tests.bad_input.conftest import (
    LOG,
    ROWS,
    SECTIONS,
    error,
    log_columns,
    train,
    with_log,
)
from tests.conftest import config_file, write_table


def test_a_k_core_that_leaves_nobody(place: Path) -> None:
    config_file(place, **{**SECTIONS, "data": {"interactions": LOG, "minimum": {"per_user": 1000}}})
    assert train(place) == error(65, "no user and item are left with 1000 and 1 rows; lower data.minimum")


def test_a_threshold_that_nobody_reaches(place: Path) -> None:
    with_log(place, positive=9)
    assert train(place) == error(65, "none of 300 rows is a liking; lower data.interactions.positive")


def test_a_split_that_leaves_nothing_to_train_on(place: Path) -> None:
    write_table(place / "log.parquet", **log_columns(), part=["test"] * ROWS)
    rule = {"by": "column", "column": "part"}
    config_file(place, **{**SECTIONS, "data": {"interactions": LOG, "split": rule}})
    assert train(place) == error(65, "the split by column leaves none of 300 rows to train on; change data.split")


@pytest.mark.parametrize("model", ["popular", "pmf", "hybrid"])
def test_a_log_of_one_row_is_learned_from(model: str, place: Path) -> None:
    write_table(place / "log.parquet", **{name: values[:1] for name, values in log_columns().items()})
    with_log(place)
    code, err, _ = train(place, "--set", f"model.name={model}")
    assert (code, err) == (0, "")


NOT_VALIDATED = re.compile(r"(nobody who is learned from likes anything new in the validation rows; \d+ epochs\n)?")


@pytest.mark.parametrize("model", ["popular", "pmf", "hybrid"])
@pytest.mark.parametrize("lonely", ["user_id", "item_id"])
def test_a_log_with_one_user_or_one_item_is_learned_from(lonely: str, model: str, place: Path) -> None:
    columns = {**log_columns(), lonely: ["i1"] * ROWS}
    write_table(place / "log.parquet", **columns)
    code, err, _ = train(place, "--set", f"model.name={model}")
    assert code == 0
    assert NOT_VALIDATED.fullmatch(err)
