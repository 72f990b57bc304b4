"""The form that the heads we know share, tail(relu(a_u + b_i)) + <p_u, q_i>, its numbers laid out for the kernels.

Beside it stands ScalarHead, tail(<p_u, q_i>).
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import numpy as np
from torch import Tensor, nn

from rec_export.topk.contract import Float64, Int64
from rec_export.towers import AdditiveHead, DotHead, Head, ScalarHead


class Layer(NamedTuple):
    """y = weight @ x + bias: float32 [out, in], float32 [out]."""

    weight: Tensor
    bias: Tensor


class Flat(NamedTuple):
    """The tail as a kernel reads it.

    size int64 [layers + 1]: the inputs of the first layer, then the outputs of each; empty for DotHead.
    weight float64: each layer [out, in], one after the other.
    bias float64: each layer [out], one after the other.
    """

    size: Int64
    weight: Float64
    bias: Float64


class Form(NamedTuple):
    """A user's vector is [a | p] and an item's [b | q]; a and b are `hidden` wide, p and q `dot` wide.

    DotHead has no a and b (`hidden` is 0 and the tail is empty); AdditiveHead has no p and q where its `dot` is 0.
    ScalarHead has no a and b either; its tail reads the dot product, without a relu before.
    """

    hidden: int
    dot: int
    tail: tuple[Layer, ...]
    flat: Flat

    @property
    def scalar(self) -> bool:
        """Whether the tail is a function of the dot product alone."""
        return self.hidden == 0 and len(self.tail) > 0


def form_of(head: Head, width: int) -> Form | None:
    """The form of a head over vectors `width` wide; None for a head of a family that we do not know."""
    if isinstance(head, DotHead):
        return Form(0, width, (), flatten(()))
    if isinstance(head, AdditiveHead):
        if width != head.width + head.dot:
            raise ValueError(f"the head wants vectors of {head.width} + {head.dot} numbers, not {width}")
        tail = layers_of(head.tail)
        return Form(head.width, head.dot, tail, flatten(tail))
    if isinstance(head, ScalarHead):
        tail = layers_of([head.first, *head.tail])
        return Form(0, width, tail, flatten(tail))
    return None


def layers_of(linear: Iterable[nn.Module]) -> tuple[Layer, ...]:
    """The numbers of linear layers, on the CPU."""
    layers = [cast(nn.Linear, layer) for layer in linear]
    return tuple(Layer(layer.weight.detach().float().cpu(), layer.bias.detach().float().cpu()) for layer in layers)


def flatten(tail: tuple[Layer, ...]) -> Flat:
    """The layers of a tail, float64, one after the other."""
    size = [layer.weight.shape[1] for layer in tail[:1]] + [layer.weight.shape[0] for layer in tail]
    weight = [layer.weight.double().numpy().ravel() for layer in tail]
    bias = [layer.bias.double().numpy() for layer in tail]
    none = np.zeros(0)
    return Flat(np.array(size, np.int64), np.concatenate([none, *weight]), np.concatenate([none, *bias]))
