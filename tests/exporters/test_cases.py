"""The inputs to try cover what callers may send, and are the same every time."""

import numpy as np
import pytest

from exporters.cases import Case, head_cases, tower_cases
from exporters.parts import parts_of
from rec_export.checkpoint import Checkpoint
from rec_export.scorer import BLOCK
from rec_export.towers import Input
from tests.exporters.conftest import ITEMS, USERS, Make


@pytest.fixture(scope="module")
def user_cases(checkpoint: Make) -> dict[str, Case]:
    """Every case of a user tower that reads everything."""
    read = Checkpoint.read(checkpoint("everything"))
    user, _, _ = parts_of(read.towers, read.blueprint)
    return {case.name: case for case in tower_cases(user.inputs, read.catalogue.users, read.catalogue, history=20)}


def test_batches_of_many_sizes(user_cases: dict[str, Case]) -> None:
    sizes = {len(case.inputs["row"]) for case in user_cases.values()}
    assert sizes == {0, 1, 2, 3, 4, 5, 6, 7, 40, 64, BLOCK, 1000}  # BLOCK: what `score` gives a tower


def test_histories_and_bags_of_many_lengths(user_cases: dict[str, Case]) -> None:
    assert {case.inputs["history"].shape[1] for case in user_cases.values()} == {0, 1, 6, 20, 21, 33}
    assert {case.inputs["tags"].shape[1] for case in user_cases.values()} >= {0, 1, 4, 40}


def test_real_rows_are_each_of_the_table_once(user_cases: dict[str, Case]) -> None:
    assert sorted(user_cases["real rows"].inputs["row"]) == list(range(USERS))


@pytest.mark.parametrize("value", [-1, -2, 0, ITEMS - 1, ITEMS, ITEMS + 1, 2**31, 2**63 - 1, -(2**63)])
def test_every_hostile_id_stands_in_a_history_beside_normal_rows(value: int, user_cases: dict[str, Case]) -> None:
    names = {
        -1: "-1",
        0: "0",
        ITEMS - 1: "n - 1",
        ITEMS: "n",
        ITEMS + 1: "n + 1",
        -2: "-2",
        2**31: "2^31",
        2**63 - 1: "int64 max",
    }
    history = user_cases[f"history {names.get(value, 'int64 min')}"].inputs["history"]
    assert (history[1] == value).all()
    assert history[2, 0] == history[3, -1] == value
    assert not (history[0] == value).all()


@pytest.mark.parametrize(("name", "value"), [("NaN", np.nan), ("inf", np.inf), ("-inf", -np.inf), ("1e30", 1e30)])
def test_dense_columns_hold_what_files_hold(name: str, value: float, user_cases: dict[str, Case]) -> None:
    np.testing.assert_array_equal(user_cases[f"dense {name}"].inputs["dense"][1], np.float32(value))


def test_a_row_of_which_nothing_is_known_stands_in_a_normal_batch(user_cases: dict[str, Case]) -> None:
    inputs = {name: array[1] for name, array in user_cases["a row of which nothing is known"].inputs.items()}
    assert inputs["row"] == -1
    assert np.isnan(inputs["dense"]).all()
    assert (inputs["history"] == -1).all()
    assert inputs["history_length"] == 0
    assert (inputs["tags"] == -1).all()
    assert (inputs["text"] == 0).all()


def test_lengths_are_below_zero_too_small_and_too_large(user_cases: dict[str, Case]) -> None:
    assert user_cases["history_length -1"].inputs["history_length"][1] == -1
    assert (user_cases["history_length smaller than what is filled"].inputs["history_length"] == 10).all()
    assert (user_cases["history_length beyond the axis"].inputs["history_length"] == 25).all()


def test_cases_are_the_same_every_time(checkpoint: Make, user_cases: dict[str, Case]) -> None:
    read = Checkpoint.read(checkpoint("everything"))
    user, _, _ = parts_of(read.towers, read.blueprint)
    for case in tower_cases(user.inputs, read.catalogue.users, read.catalogue, history=20):
        for name, array in case.inputs.items():
            np.testing.assert_array_equal(array, user_cases[case.name].inputs[name])


def test_an_input_without_a_known_range_is_refused(checkpoint: Make) -> None:
    catalogue = Checkpoint.read(checkpoint("everything")).catalogue
    colour = Input(name="colour", dtype="float32", shape=("B", 3))
    with pytest.raises(ValueError, match="no case is known for an input named 'colour'"):
        tower_cases((colour,), catalogue.users, catalogue, history=20)


def test_the_head_is_tried_without_users_without_items_and_on_zeros() -> None:
    vectors = np.ones((9, 2), dtype=np.float32), np.ones((70, 2), dtype=np.float32)
    cases = {case.name: case.inputs for case in head_cases(*vectors)}
    assert cases["0 users x 7 items"]["user_vec"].shape == (0, 2)
    assert cases["7 users x 0 items"]["item_vec"].shape == (0, 2)
    assert not cases["vectors all zero"]["item_vec"].any()
    assert cases["9 users x 70 items"]["item_vec"].shape == (70, 2)
