"""A network of one number as straight pieces: the bound holds whether or not its kinks were found."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_export.topk import table
from rec_export.topk.contract import Float64
from rec_export.topk.definition import through_tail
from rec_export.topk.form import Form, form_of
from rec_export.topk.table import Table, table_of
from rec_export.towers import ScalarHead


def form(hidden: tuple[int, ...], seed: int, scale: float = 1.0) -> Form:
    """Random weights, so much larger."""
    torch.manual_seed(seed)
    head = ScalarHead(hidden)
    with torch.no_grad():
        for weight in head.parameters():
            weight.mul_(scale)
    found = form_of(head, 3)
    assert found is not None
    return found


def scores(of: Form, number: Float64) -> Float64:
    """Those of the definition, of dot products, float64 [n]."""
    score = number.copy()
    through_tail(*of.flat, score)
    return score


def numbers(pieces: Table, seed: int) -> Float64:
    """The nodes, what lies next to them, and others between."""
    reach = pieces.node[-1]
    near = np.concatenate([pieces.node, np.nextafter(pieces.node, -np.inf), np.nextafter(pieces.node, np.inf)])
    return np.clip(np.append(near, np.random.default_rng(seed).uniform(-reach, reach, 300)), -reach, reach)


nets = st.tuples(
    st.sampled_from([(1,), (7,), (5, 3), (32, 16, 8), (3, 4, 5, 6)]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-9, 1.0, 30.0]),
)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(net=nets, reach=st.sampled_from([2.0**-100, 0.5, 64.0, 2.0**80]), coarse=st.booleans())
def test_no_score_is_further_from_its_line_than_the_error(
    net: tuple[tuple[int, ...], int, float], reach: float, coarse: bool
) -> None:
    of = form(*net)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "NODES", 20)  # a few nodes at a time, as with a wide network
        if coarse:
            patch.setattr(table, "MOST", 4)  # most kinks are missed
        pieces = table_of(of.tail, reach)
    x = numbers(pieces, net[1])
    piece = np.clip(np.searchsorted(pieces.node, x) - 1, 0, None)
    assert (pieces.node[0], pieces.node[-1]) == (-reach, reach)
    assert (np.abs(pieces.at(x) - scores(of, x)) <= pieces.error[piece]).all()


@settings(derandomize=True, max_examples=40, deadline=None)
@given(net=nets, seed=st.integers(0, 2**32 - 1))
def test_nothing_between_two_numbers_scores_above_the_highest(
    net: tuple[tuple[int, ...], int, float], seed: int
) -> None:
    of = form(*net)
    pieces = table_of(of.tail, 8.0)
    x = np.sort(numbers(pieces, seed))
    ends = np.sort(np.random.default_rng(seed).choice(x, (50, 2)), axis=1)
    highest = pieces.highest(ends[:, 0], ends[:, 1])
    for (low, high), most in zip(ends, highest, strict=True):
        assert scores(of, x[(x >= low) & (x <= high)]).max() <= most


def test_is_as_tight_as_float64_where_all_kinks_are_found() -> None:
    of = form((32, 16, 8), 0)
    pieces = table_of(of.tail, 16.0)
    assert len(pieces.error) < 200
    assert pieces.error.max() < 1e-11


def test_kinks_of_one_layer_are_where_its_numbers_change_their_sign() -> None:
    of = form((6,), 1)
    weight, bias = (part.double().numpy() for part in of.tail[0])
    crossing = np.sort(-bias / weight[:, 0])
    wanted = [-64.0, *crossing[np.abs(crossing) < 64], 64.0]
    np.testing.assert_allclose(table_of(of.tail, 64.0).node, wanted, rtol=1e-12)


def test_weights_that_lead_out_of_float64_promise_nothing() -> None:
    assert np.isinf(table_of(form((2,) * 12, 0, 1e38).tail, 1.0).error).any()


def test_parts_that_are_worked_on_together_share_their_ends() -> None:
    for nodes in (2, 255, 256, 257, 258, 513, 700):
        parts = list(table.overlapping(nodes))
        assert (parts[0].start, parts[-1].stop) == (0, nodes)
        assert all(one.stop - 1 == other.start for one, other in pairwise(parts))
