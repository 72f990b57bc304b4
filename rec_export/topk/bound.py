r"""How far a float32 score can lie from the score of the definition: a proof, and its numbers.

Let u = 2^-24, e = 2^-126, t = e / u = 2^-102 and g(m) = m u / (1 - m u).

One operation. Float32 gives fl(x op y) = (x op y)(1 + d) + f with |d| <= u and, for results too small for a normal
number, |f| <= e, even where the hardware flushes such results, or such inputs, to zero. As e = u t, a flushed number
is one rounding of a number whose magnitude is taken t larger than it is. So with |x|+ := |x| + t for every number that
is read, and t more for every operation, all errors are relative ones.

Sums. If the terms of a sum have magnitudes of at most M_i and r roundings behind them then, in whatever order n
additions take place, fused or not, none passes more than n further ones, and the sum is off by at most
g(r + n) sum M_i.
(1 + g(j))(1 + g(k)) <= 1 + g(j + k). (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1.)

The head, with all signs made positive, bounds those magnitudes:

    M_0     = relu(a) + relu(b) + 4 t                        >= relu(a + b), as relu(a + b) <= relu(a) + relu(b)
    M_l     = |W_l|+ M_(l-1) + |c_l|+ + (2 n_l + 2) t        n_l inputs: n_l products and n_l sums
    P       = sum |p|+ |q|+ + (2 D + 2) t
    M       = M_last + P + t

and counts the roundings: 2 for x = a + b; for each layer n_l + 3 (both factors read, the product, n_l sums); D + 3 for
the dot part; 1 to add the two. The relu rounds nothing and moves no two numbers apart. The float64 score of the
definition is off by at most m 2^-53 M < u M, one rounding more; computing this bound itself is another. Hence

    |float32 score - score| <= g(m) M,      m = max(2 + sum(n_l + 3), D + 3) + 3.

M for all items at once. The layers above M_0 are linear, so M_last = w . (relu(a) + relu(b)) + constant, with one
vector w = |W_last|+ ... |W_1|+ for all pairs; the maximum over the items is taken of the number w . relu(b). And
sum |p|+ |q|+ <= norm(|p|+) norm(|q|+) (Cauchy-Schwarz). So a user costs two dot products.

Overflow. No intermediate result exceeds (1 + g(m)) times the largest component of any M_l, or P or M. Where one of
these (M_l by its row sum norm) reaches 2^126, a quarter of the largest float32, nothing is promised: the bound is inf.
"""

from typing import final

import torch
from torch import Tensor

from rec_export.topk.form import Form

UNIT = 2.0**-24
TINY = 2.0**-102
LARGE = 2.0**126
PIECE = 1 << 14  # items widened to float64 at a time


@final
class Bound:
    """The bound over all items of a catalogue."""

    def __init__(self, form: Form, item_vec: Tensor, roundings: int | None = None) -> None:
        """item_vec float32 [N, D], on the device where users will come from; m, where it is not that of float32."""
        self._hidden = form.hidden
        tail = [(_magnitude(layer.weight), _magnitude(layer.bias)) for layer in form.tail]
        roundings = roundings or most_roundings(form, [weight.shape[1] + 3 for weight, _ in tail])
        self._relative = roundings * UNIT / (1 - roundings * UNIT)
        reach, self._constant = _collapse(tail, form.hidden)
        self._reach = reach.to(item_vec.device)
        self._constant += (2 * form.dot + 3) * TINY
        self._layers = [
            (float(weight.sum(dim=1).max()), float(bias.max()) + (2 * weight.shape[1] + 2) * TINY)
            for weight, bias in tail
        ]
        pieces = [torch.stack(self._parts(piece)).amax(1) for piece in item_vec.split(PIECE) if len(piece)]
        most = torch.stack([item_vec.new_zeros(3, dtype=torch.float64), *pieces]).amax(0)
        self._item_linear, self._item_norm, self._item_peak = most.tolist()

    def of(self, user_vec: Tensor) -> Tensor:
        """float32 [B, D] -> float64 [B]: no float32 score of a user with any item is further off; inf: no promise."""
        linear, norm, peak = self._parts(user_vec)
        magnitude = linear + self._item_linear + self._constant + norm * self._item_norm
        peak = peak + self._item_peak
        largest = torch.maximum(magnitude, peak)
        for rows, bias in self._layers:
            peak = rows * peak + bias
            largest = torch.maximum(largest, peak)
        return torch.where(largest < LARGE, self._relative * magnitude, torch.inf)

    def _parts(self, vec: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """w . relu(a), norm(|p|+) and max |a|+ of users or of items: float32 [n, D] -> float64 [n], three times."""
        first, last = vec[:, : self._hidden].double(), vec[:, self._hidden :].double()
        linear = torch.relu(first) @ self._reach
        peak = torch.cat([first.abs(), first.new_zeros(len(vec), 1)], dim=1).amax(dim=1) + 4 * TINY
        return linear, torch.linalg.vector_norm(last.abs() + TINY, dim=1), peak


def most_roundings(form: Form, layer: list[int]) -> int:
    """m, where each layer has so many."""
    return max(2 + sum(layer), form.dot + 3) + 3


def _collapse(tail: list[tuple[Tensor, Tensor]], hidden: int) -> tuple[Tensor, float]:
    """The vector w, float64 [H], and the constant of M_last = w . (relu(a) + relu(b)) + constant."""
    if not tail:
        return torch.zeros(hidden, dtype=torch.float64), 0.0
    reach, constant = torch.ones(1, dtype=torch.float64), 0.0
    for weight, bias in reversed(tail):
        constant += float(reach @ (bias + (2 * weight.shape[1] + 2) * TINY))
        reach = reach @ weight
    return reach, constant + 4 * TINY * float(reach.sum())


def _magnitude(number: Tensor) -> Tensor:
    return number.double().abs() + TINY
