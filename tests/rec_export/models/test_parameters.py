"""The published counts of parameters, from our specs: what is more or less is counted by layer, nothing is rounded."""

from typing import Any

import pytest
import torch
from torch import nn

from rec_export.models import als, hybrid, music, ncf, pmf
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


def test_the_mlp_of_hybrid_is_that_of_system_000_but_for_batch_norm_and_what_it_reads_of_the_date() -> None:
    """Its embeddings and encoders are not: the history stands in for the user's id, and attributes have no MLP."""
    context, trend, id_and_attributes = 3, 2, 64
    spec = hybrid.Spec(dim=id_and_attributes, hidden=(128, 64, 32), rates=1)
    towers = built(spec, TableSizes(rows=1_429), TableSizes(rows=84_901), context=context, trend=trend)
    first = [towers.user_tower.get_submodule("hidden"), towers.item_tower.get_submodule("hidden")]
    mlp = count(*first, towers.pair_head)
    assert mlp - (context + trend) * 128 + batch_norms(128, 64, 32) == 27_329
