"""Scores of g(<u, v>) from a float32 product and the table of g: where dot products alone do not settle a list."""

from typing import final

import numpy as np
import torch
from torch import Tensor

from rec_export.topk.bound import LARGE
from rec_export.topk.coarse import Coarse
from rec_export.topk.form import Form, flatten
from rec_export.topk.table import Table

ROWS = 8  # users whose products are looked up at once: float64 for few of them stays in a cache


@final
class Tabulated:
    """The products of a catalogue's items, ready for any table."""

    def __init__(self, form: Form, item_vec: Tensor) -> None:
        """item_vec float32 [N, D], on the device to use; the form of a ScalarHead."""
        self._product = Coarse.single(Form(0, form.dot, (), flatten(())), item_vec)
        self._device = item_vec.device

    def by(self, table: Table) -> Coarse:
        """The scores by a table, which reaches as far as any product of a user that they are asked of.

        With L the steepest piece, a product that is off by e puts a line off by L e, the line is off by the piece's
        error, and what comes out is rounded to float32 once. Nothing is promised of what float32 cannot hold.
        """
        node, value = (torch.from_numpy(part).to(self._device) for part in (table.node, table.value))
        slope = value.diff() / node.diff()
        steepest, reach = float(slope.abs().max()), float(node[-1])
        largest = float(np.abs(table.value).max())
        own = float(table.error.max()) + 2.0**-23 * (largest + 2.0**-126) if largest < LARGE else np.inf

        def scores(user_vec: Tensor, first: int, last: int) -> Tensor:
            product = self._product.scores(user_vec, first, last)
            for some in product.split(ROWS):
                x = some.double().clamp_(-reach, reach)
                at = torch.bucketize(x, node[1:-1])
                some.copy_(value[at] + slope[at] * (x - node[at]))
            return product

        def bound(user_vec: Tensor) -> Tensor:
            error = 1.000001 * (steepest * self._product.bound(user_vec) + own)
            return error.nan_to_num(nan=torch.inf, posinf=torch.inf)  # 0 times inf: flat, but nothing is known

        return Coarse(scores, bound)
