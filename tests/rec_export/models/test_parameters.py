"""The published counts of parameters, from our specs: what is more or less is counted by layer, nothing is rounded."""

from typing import Any

import pytest
import torch
from torch import nn

from rec_export.checkpoint import modules
from rec_export.models import als, gated, hybrid, music, ncf, pmf
from rec_export.towers import Dense, ModelSpec, Sizes, TableSizes, Towers


def built(spec: ModelSpec, users: TableSizes, items: TableSizes, **sizes: Any) -> Towers:
    """The towers without memory for their weights."""
    with torch.device("meta"):
        return spec.build(Sizes(users=users, items=items, **sizes))


def count(*modules: nn.Module) -> int:
    """The weights of modules."""
    return sum(weight.numel() for module in modules for weight in module.parameters())


def numbers(columns: int) -> tuple[Dense, ...]:
    """So many dense columns."""
    return (Dense(median=0, mean=0, std=1),) * columns


def batch_norms(*widths: int) -> int:
    """The weights of batch norms of these widths, a scale and a shift each."""
    return 2 * sum(widths)


def test_pmf_has_those_of_system_002_and_a_row_for_all_other_ids_on_each_side() -> None:
    towers = built(pmf.Spec(dim=40), TableSizes(rows=1_881), TableSizes(rows=2_828))
    assert count(*towers) - 2 * (40 + 1) == 193_069
    without_biases = built(als.Spec(factors=40), TableSizes(rows=1_881), TableSizes(rows=2_828))
    assert count(*without_biases) - 2 * 40 == 188_360


@pytest.mark.parametrize(
    ("user_rows", "item_rows", "published"),
    [
        (15_444_112, 15_444_112, 157_068_705),  # a row for each cell of the matrix, as it was
        (1_616, 9_557, 55_865 + 2_627_585),  # a row for each user and each artist, as it should be: tables and MLP
    ],
)
def test_ncf_has_those_of_system_003_and_a_row_for_all_other_ids(
    user_rows: int, item_rows: int, published: int
) -> None:
    spec = ncf.Spec(kind="dot", dim=5, hidden=(2048, 1024, 512))
    towers = built(spec, TableSizes(rows=user_rows), TableSizes(rows=item_rows))
    assert count(*towers) - 2 * 5 == published
    assert count(towers.pair_head) == 2_627_585


def test_neumf_has_those_of_its_paper_but_for_the_weights_of_the_product() -> None:
    """NeuMF with 8 factors: He et al. 2017; their code has embeddings of 8 and of 32, and layers 64-32-16-8-1."""
    users, items = 6_040, 3_706  # MovieLens 1M
    towers = built(ncf.Spec(dim=8, hidden=(32, 16, 8)), TableSizes(rows=users), TableSizes(rows=items))
    layers = (64 * 32 + 32) + (32 * 16 + 16) + (16 * 8 + 8)
    prediction = 8 + 8 + 1  # from the product and from the MLP together
    assert count(*towers) - 2 * (8 + 32) == (users + items) * (8 + 32) + layers + prediction - 8


def test_music_has_those_of_system_001_where_its_departures_are_counted() -> None:
    audio, explicit, age, gender = 13, 1, 1, 1
    users = TableSizes(rows=7_365, dense=numbers(age + gender))
    items = TableSizes(rows=11_429, category=(5_059, 20), dense=numbers(audio + explicit))
    more = 4 * 64 + (audio + explicit + age + gender) * 64  # rows for all other ids; flags of missing numbers
    less = batch_norms(64, 64, 256, 128, 64)
    assert count(*built(music.Spec(hidden=(256, 128, 64)), users, items)) - more + less == 1_809_665


def linear(inputs: int, outputs: int) -> int:
    """The weights of a linear layer, its bias among them."""
    return inputs * outputs + outputs


def hybrid_of_000(users: TableSizes, items: TableSizes) -> Towers:
    """hybrid at the widths of system 000: ids of 32, an MLP of 128, 64, 32."""
    spec = hybrid.Spec(dim=32, hidden=(128, 64, 32), rates=1, user_ids=True)
    return built(spec, users, items, context=USUAL, trend=TREND)


USUAL, TREND, DIM = 3, 2, 32  # numbers of the scoring date that hybrid reads of a user and of an item; width of an id
IDS_000 = TableSizes(rows=1_429), TableSizes(rows=84_901)
USERS_000 = TableSizes(rows=1_429, dense=numbers(4))
ITEMS_000 = TableSizes(rows=84_901, dense=numbers(1), category=(10, 30), text=32)
ENCODERS_000 = linear(4, 64) + linear(64, DIM) + linear(73, 64) + linear(64, DIM)
DATED = ("user_tower.history", "user_tower.mix", "user_tower.context", "user_tower.trend", "item_tower.trend")
"""What hybrid has beside ids, attributes and MLP: the history, the scoring date, and dot products with both."""


def without_the_date(towers: Towers) -> int:
    """The weights of hybrid without what system 000 had nothing of, and with its batch norms."""
    roof = modules(towers)
    more = count(*(roof.get_submodule(name) for name in DATED)) + count(roof.get_submodule("item_tower.bias"))
    others = 2 * DIM  # a row for all other ids in the table of users, and in that of items
    return count(*towers) - more - others - (USUAL + TREND) * 128 + batch_norms(128, 64, 32)


def test_hybrid_by_ids_has_those_of_system_000_by_ids() -> None:
    assert without_the_date(hybrid_of_000(*IDS_000)) == 2_781_697


def test_hybrid_has_those_of_system_000_where_attributes_are_counted_by_layer() -> None:
    """Ours are added to the id by one layer; theirs stood beside it, after two, and the MLP read both."""
    towers = hybrid_of_000(USERS_000, ITEMS_000)
    roof = modules(towers)
    names = ("user_tower.attributes", "user_tower.project", "item_tower.attributes", "item_tower.project")
    ours = count(*map(roof.get_submodule, names))
    assert ours == 8 * DIM + (11 + 31) * 16 + (2 + 16 + 32) * (DIM + 1)
    assert without_the_date(towers) - ours + ENCODERS_000 + 2 * DIM * 128 == 2_799_105


def test_hybrid_without_ids_has_those_of_system_000_by_attributes_alone() -> None:
    towers = hybrid_of_000(*IDS_000)
    ids = sum(count(side.get_submodule("ids")) for side in towers[:2]) - 2 * DIM
    assert without_the_date(towers) - ids + ENCODERS_000 == 28_353


def test_gated_has_those_of_system_004_where_what_was_replaced_is_counted_by_layer() -> None:
    """The row of padding is our row for all other ids. TF-IDF of 5,000 words is read as it is, or as 64 LSA numbers."""
    width, words, date = 64, 5_000, 5  # of ids; of TF-IDF; of the clock that its gate saw
    users, items = 728_489, 159_729
    towers = built(
        gated.Spec(dim=width), TableSizes(rows=users), TableSizes(rows=items, text=64),
        context=8, trend=TREND, ordered=True,
    )  # fmt: skip
    roof = modules(towers)
    tables = roof.get_submodule("user_tower.history.ids"), roof.get_submodule("item_tower.ids")
    ours = count(*tables) - (items + 1) * 32  # item_tower.ids holds the vectors of the component `recent` as well
    assert ours == 2 * (items + 1) * width
    user_ids = (users + 1) * width  # the history stands in for them
    taste = linear(2 * width, 128) + linear(128, width)  # a dot product does
    gru = 3 * 128 * (width + 128 + 2) + 3 * 128 * (128 + 128 + 2) + linear(128, width)  # attention does
    content = linear(words, 512) + linear(512, 256) + linear(256, width)  # one layer on LSA does
    gate = linear(date, width) + linear(width, 3)  # linear(context, 16) and linear(16, 4) do
    head = linear(width, 32) + linear(32, 1)  # a sum of dot products does
    assert ours + user_ids + taste + gru + content + gate + head == 69_986_372
    assert count(roof.get_submodule("user_tower.gate")) == linear(8, 16) + linear(16, 4)
