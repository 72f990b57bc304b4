"""The bound that integers give holds for every pair, in exact arithmetic, and is small enough to be of use."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from rec_export.topk.panels import panels_of
from rec_export.topk.quantise import Columns, columns_of, encode, measure, rounding, step_of
from rec_export.topk.reference import dot

Float32 = npt.NDArray[np.float32]
KINDS = ("normal", "units", "cancelling", "coded exactly", "sparse", "shifted")
SCALES = (1.0, 1e3, 1e-6, 1e-25, 1e-42, 1e25)
BITS = 6


def pair(kind: str, users: int, items: int, width: int, seed: int) -> tuple[Float32, Float32]:
    """float32 [users, width] and [items, width] that try to break the bound."""
    random = np.random.default_rng(seed)
    u, v = random.standard_normal((users, width)), random.standard_normal((items, width))
    if kind == "units":  # columns measured in very different units
        unit = 10.0 ** random.integers(-8, 9, width)
        u, v = u / unit, v * unit * 10.0 ** random.integers(-2, 3, width)
    if kind == "cancelling":
        u[:, : width // 2] *= 2.0**20
        u[:, width // 2 : width // 2 * 2], v[:, width // 2 : width // 2 * 2] = -u[:, : width // 2], v[:, : width // 2]
    if kind == "coded exactly":  # nothing is lost but in float64's own sums
        u, v = np.float32(random.random((users, 1))) * np.ones(width), np.float32(random.random()) * np.sign(v)
    if kind == "sparse":
        u[random.random(u.shape) < 0.9], v[random.random(v.shape) < 0.9] = 0, 0
    if kind == "shifted":
        v += 1e6 * random.standard_normal(width)
    return u.astype(np.float32), v.astype(np.float32)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    st.sampled_from(KINDS), st.sampled_from(SCALES), st.integers(1, 130), st.integers(1, 70), st.integers(0, 2**32 - 1)
)
def test_no_score_is_further_off(kind: str, scale: float, width: int, items: int, seed: int) -> None:
    user_vec, item_vec = pair(kind, 2, items, width, seed)
    item_vec *= np.float32(scale)
    columns, own = columns_of(item_vec)
    panels = panels_of(item_vec, columns, BITS)
    codes = panels.code.astype(int) - 128
    rows = measure(user_vec, own)
    step = step_of(rows.largest)
    mine = encode(user_vec, np.arange(2), own, step)
    rounded = rounding(width) * (np.abs(user_vec) @ np.abs(columns.shift))
    for u, vec in enumerate(user_vec):
        shared = sum(Fraction(float(a)) * Fraction(float(m)) for a, m in zip(vec, columns.shift, strict=True))
        for row, item in enumerate(item_vec):
            place = panels.place[row]
            tile = place >> BITS
            product = int((codes[place // 64, :, place % 64].ravel() * mine.code[u]).sum())
            estimate = shared + Fraction(float(step[u])) * Fraction(float(panels.step[tile])) * product
            error = rows.norm[u] * panels.residual[tile] + mine.residual[u] * panels.size[tile] + rounded[u]
            score = Fraction(dot(vec.tolist(), item.tolist()))
            assert abs(score - estimate) <= Fraction(float(error))
            assert abs(score - shared) <= Fraction(float(rows.norm[u] * panels.reach[tile] + rounded[u]))


def mean_error(user_vec: Float32, item_vec: Float32, columns: Columns, own: Columns) -> float:
    """The bound for the mean user and tile."""
    panels, rows = panels_of(item_vec, columns, 9), measure(user_vec, own)
    mine = encode(user_vec, np.arange(len(user_vec)), own, step_of(rows.largest))
    return float((np.outer(rows.norm, panels.residual) + np.outer(mine.residual, panels.size)).mean())


def test_is_small_beside_the_spread_of_the_scores() -> None:
    random = np.random.default_rng(0)
    user_vec, item_vec = (random.standard_normal((rows, 64)).astype(np.float32) for rows in (50, 5000))
    assert mean_error(user_vec, item_vec, *columns_of(item_vec)) < 0.15 * (user_vec @ item_vec.T).std()


def test_a_column_of_ones_vanishes_and_a_large_bias_leaves_the_factors_their_digits() -> None:
    random = np.random.default_rng(0)
    user_vec, item_vec = (random.standard_normal((rows, 34)).astype(np.float32) for rows in (50, 5000))
    user_vec[:, 0], item_vec[:, 0] = 1000, 1  # the user's bias
    user_vec[:, 1], item_vec[:, 1] = 1, 50 * item_vec[:, 1]  # the item's
    columns, own = columns_of(item_vec)
    assert (columns.shift[0], own.scale[0]) == (1, 0)
    as_it_is = Columns(columns.shift, np.ones(34)), Columns(own.shift, np.sign(own.scale))
    assert mean_error(user_vec, item_vec, columns, own) < mean_error(user_vec, item_vec, *as_it_is) / 2
