"""The bound holds for every pair and any order of addition, and is small enough to be of use."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_export.topk.bound import Bound
from rec_export.topk.form import form_of
from rec_export.topk.reference import scores
from rec_export.topk.single import SingleScores
from rec_export.towers import AdditiveHead, DotHead, Head

HEADS: tuple[Callable[[], Head], ...] = (
    DotHead,
    *(partial(AdditiveHead, hidden, dot) for hidden in [(24,), (16, 8), (12, 9, 7)] for dot in [0, 8]),
)
# Ordinary sizes, and those where float32 leaves its normal numbers at one end or the other.
scales = st.sampled_from([1.0, 1e3, 1e-6, 1e-19, 1e-23, 1e-36, 1e-44, 1e12, 1e19, 1e30])


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    st.sampled_from(HEADS),
    scales,
    scales,
    st.sampled_from([1.0, 1e-20, 1e15]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_no_float32_score_is_further_off(
    new_head: Callable[[], Head], user_scale: float, item_scale: float, weight_scale: float, cancelling: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    head = new_head()
    with torch.no_grad():
        for weight in head.parameters():
            weight.mul_(weight_scale)
    width = head.width + head.dot if isinstance(head, AdditiveHead) else 32
    user_vec, item_vec = torch.randn(4, width) * user_scale, torch.randn(9, width) * item_scale
    if cancelling:
        half = width // 2
        user_vec[:, half : 2 * half], item_vec[:, half : 2 * half] = user_vec[:, :half], -item_vec[:, :half]
    form = form_of(head, width)
    assert form is not None
    bound = Bound(form, item_vec).of(user_vec).numpy()[:, None]
    with torch.no_grad():
        single = SingleScores(form, item_vec).of(user_vec, 0, 9).double().numpy()
        plain = head.eval()(user_vec, item_vec).double().numpy()  # the same, added in another order
    exact = np.array(scores(head, user_vec, item_vec))
    promised = np.isfinite(bound) & np.ones_like(exact, np.bool_)
    assert np.all(np.isfinite(single[promised]) & np.isfinite(plain[promised]))
    for found in (single, plain):
        assert np.all(np.abs(found - exact)[promised] <= np.broadcast_to(bound, exact.shape)[promised])


def test_covers_hardware_that_flushes_small_numbers_to_zero() -> None:
    user_vec, item_vec = torch.full((1, 8), 2.0**-64), torch.full((1, 8), 2.0**-64)
    form = form_of(DotHead(), 8)
    assert form is not None
    # Each product is 2**-128: below the normal numbers, so all of the score may be lost.
    assert float(Bound(form, item_vec).of(user_vec)) >= 8 * 2.0**-128


def test_covers_the_worst_order_of_a_long_sum() -> None:
    """Ones after 2**24: float32 loses each of them, adding from the left."""
    user_vec, item_vec = torch.ones(1, 4096), torch.ones(1, 4096)
    item_vec[0, 0] = 2.0**24
    total = np.float32(0)
    for value in item_vec[0].numpy():
        total = total + value
    form = form_of(DotHead(), 4096)
    assert form is not None
    assert 2.0**24 + 4095 - float(total) == 4095.0
    assert float(Bound(form, item_vec).of(user_vec)) >= 4095.0


@pytest.mark.parametrize(("head", "roundings"), [(DotHead(), 96), (AdditiveHead((96, 20), 0), 1 + 96 + 20)])
def test_allows_for_every_rounding_of_a_sum_without_signs(head: Head, roundings: int) -> None:
    with torch.no_grad():
        for weight in head.parameters():
            weight.fill_(1.0)
    user_vec, item_vec = torch.ones(1, 96), torch.cat([torch.ones(1, 96), torch.zeros(2, 96)])
    form = form_of(head, 96)
    assert form is not None
    largest = scores(head, user_vec, item_vec)[0][0]
    assert float(Bound(form, item_vec).of(user_vec)) >= roundings * 2.0**-24 * largest


@pytest.mark.parametrize("scale", [1e20, 1e37])
@pytest.mark.parametrize("head", [DotHead(), AdditiveHead((32,), 32), AdditiveHead((32, 32), 32)])
def test_promises_nothing_where_float32_may_overflow(head: Head, scale: float) -> None:
    form = form_of(head, 64)
    assert form is not None
    assert Bound(form, torch.full((3, 64), scale)).of(torch.full((1, 64), 1e20)).tolist() == [torch.inf]


@pytest.mark.parametrize("new_head", [DotHead, partial(AdditiveHead, (64, 32), 0)])
def test_is_small_beside_the_spread_of_the_scores(new_head: Callable[[], Head]) -> None:
    torch.manual_seed(0)
    head = new_head()
    user_vec, item_vec = torch.randn(50, 64), torch.randn(500, 64)
    form = form_of(head, 64)
    assert form is not None
    with torch.no_grad():
        spread = head.eval()(user_vec, item_vec).std(dim=1).double()
    assert float((Bound(form, item_vec).of(user_vec) / spread).max()) < 1e-3
