"""Triton's way to the groups' maxima: kernels.py multiplies and selects at once, on an NVIDIA GPU.

Catalogue and users are padded to what a kernel works on; what is padded is barred to everybody, like a seen item.
"""

from contextlib import nullcontext
from itertools import pairwise
from typing import Any, NamedTuple, cast, final

import torch
from torch import Tensor
from triton import next_power_of_2

from rec_export.topk.bound import LARGE, Bound, most_roundings
from rec_export.topk.brief import SUMMED, BriefBound
from rec_export.topk.form import Form, Layer
from rec_export.topk.kernels import dot_maxima, network_maxima
from rec_export.topk.maxima import GROUP, Maxima
from rec_export.topk.tiles import Chunk

LEAST = 16  # columns and rows that a tensor core takes
# What fits a multiprocessor's memory and its registers: vectors of a dot product; of a network its first layer, its
# second, its third, and the dot part.
WIDEST = 256
WIDEST_NETWORK = 128, 64, 32, 128
TILE = 64  # items of a network's kernel
CUT = 4 << 8  # roundings of 2^-24 that a product of numbers in two parts counts as: see FusedNetwork
PROGRAMS = 2048  # at least so many at once, if there is work for them: a GPU runs some hundreds side by side


class Launch(NamedTuple):
    """A kernel as it is compiled: its constants, its warps, and how many tiles are on their way at once."""

    kernel: Any
    constant: dict[str, int]
    warps: int
    stages: int

    def run(self, grid: tuple[int, int], *arguments: Tensor | int) -> None:
        """On the device of the first argument; a grid has programs of two axes."""
        first = cast(Tensor, arguments[0])
        with torch.cuda.device(first.device) if first.is_cuda else nullcontext():  # Triton takes the current one
            self.kernel[grid](*arguments, **self.constant, num_warps=self.warps, num_stages=self.stages)


def fused(form: Form, item_vec: Tensor, group: int = GROUP) -> Maxima | None:
    """By the kernel for this head; None where there is none."""
    if form.tail:
        shape = network_shape(form)
        fits = shape and all(width <= most for width, most in zip(shape, WIDEST_NETWORK, strict=True))
        tame = all(layer.weight.abs().max() < LARGE for layer in form.tail)  # else bfloat16 may make one infinite
        return FusedNetwork(form, item_vec, group) if fits and tame else None
    return FusedDots(item_vec, group) if 1 <= form.dot <= WIDEST else None


@final
class Barred:
    """Words of bits for what users must not get, of a catalogue padded to `groups` groups."""

    def __init__(self, items: int, groups: int, group: int, device: torch.device) -> None:
        row = torch.arange(groups * group, device=device)
        self._group = group
        self._padded = torch.zeros(groups, dtype=torch.int32, device=device)
        self._add(self._padded, row[items:])

    def words(self, chunk: Chunk) -> Tensor:
        """int32 [b, groups]."""
        words = self._padded.repeat(len(chunk.vec), 1)
        total = len(self._padded) * self._group
        self._add(words.view(-1), torch.unique(chunk.seen_user * total + chunk.seen_row))
        return words

    def _add(self, words: Tensor, place: Tensor) -> None:
        """Set bits that are not set, int64 [n], no two the same: so their sum is their union."""
        bit = torch.bitwise_left_shift(words.new_ones(len(place)), (place % self._group).int())
        words.index_put_((place // self._group,), bit, accumulate=True)


@final
class FusedDots:
    """Of dot products in bfloat16, summed in float32."""

    name = "Triton"

    def __init__(self, item_vec: Tensor, group: int = GROUP) -> None:
        """item_vec float32 [N, D], on the device to use; a group is a power of two, 32 at most."""
        self.group, self.bound = group, BriefBound(item_vec, brief=False).of
        self._launch = dot_launch(item_vec.shape[1], group)
        self._width, self._users, self._tile = (self._launch.constant[name] for name in ("DIM", "USERS", "ITEMS"))
        self._item_vec = padded(brief(item_vec), self._tile, self._width)
        self._groups = len(self._item_vec) // group
        self._barred = Barred(len(item_vec), self._groups, group, item_vec.device)

    def bytes_each(self) -> int:
        """The words of what is barred, and the vector in bfloat16, as it is and padded."""
        return 4 * self._groups + 4 * self._width

    def of(self, chunk: Chunk) -> Tensor:
        """float32 [b, groups]."""
        words, users = self._barred.words(chunk), len(chunk.vec)
        maxima = chunk.vec.new_empty(words.shape)
        blocks, tiles = -(-users // self._users), len(self._item_vec) // self._tile
        each = -(-tiles * blocks // PROGRAMS)
        user_vec = padded(brief(chunk.vec), 1, self._width)
        grid = blocks, -(-tiles // each)
        self._launch.run(grid, user_vec, self._item_vec, words, maxima, users, self._groups, each)
        return maxima


def dot_launch(width: int, group: int) -> Launch:
    """For vectors so wide."""
    columns = max(LEAST, next_power_of_2(width))
    side, warps = (128, 8) if columns <= 128 else (64, 4)
    constant = {"DIM": columns, "USERS": side, "ITEMS": side, "GROUP": group}
    return Launch(dot_maxima, constant, warps, stages=3 if columns <= 64 else 2)


@final
class FusedNetwork:
    """Of a network, in float32; in the layers before the last products are of bfloat16, two for each number.

    With x' for x in bfloat16 and x" for x - x' in bfloat16, x w is taken for x" w' + x' w" + x' w', three products of
    8 bits, which are exact. x' + x" is off x by 2^-16 |x|, the weight likewise, and |x" w"| is below 2^-16 |x w|, each
    but for products of errors: less than 4 times 2^-16 in all.
    """

    name = "Triton"

    def __init__(self, form: Form, item_vec: Tensor, group: int = GROUP) -> None:
        """item_vec float32 [N, D], on the device to use; a group is a power of two, 32 at most."""
        self.group, self.bound = group, Bound(form, item_vec, network_roundings(form)).of
        self._hidden, self._launch = form.hidden, network_launch(form, group)
        self._item_vec = padded(self._columns(item_vec), TILE, self._width)
        self._groups = len(self._item_vec) // group
        self._barred = Barred(len(item_vec), self._groups, group, item_vec.device)
        self._weights, self._singles = self._layers(form.tail)

    @property
    def _width(self) -> int:
        return self._launch.constant["HIDDEN"] + self._launch.constant["DOT"]

    def bytes_each(self) -> int:
        """The words of what is barred, and the vector, padded twice."""
        return 4 * self._groups + 8 * self._width

    def of(self, chunk: Chunk) -> Tensor:
        """float32 [b, groups]."""
        words, users = self._barred.words(chunk), len(chunk.vec)
        maxima = chunk.vec.new_empty(words.shape)
        tiles = len(self._item_vec) // TILE
        each = -(-tiles * users // PROGRAMS)
        grid = tiles, -(-users // each)
        user_vec = self._columns(chunk.vec)
        arrays = user_vec, self._item_vec, self._weights, self._singles, words, maxima
        self._launch.run(grid, *arrays, users, self._groups, each)
        return maxima

    def _columns(self, vec: Tensor) -> Tensor:
        """[n, H + D] -> [n, HIDDEN + DOT]."""
        first, last = vec[:, : self._hidden], vec[:, self._hidden :]
        constant = self._launch.constant
        return torch.cat([padded(first, 1, constant["HIDDEN"]), padded(last, 1, constant["DOT"])], 1)

    def _layers(self, tail: tuple[Layer, ...]) -> tuple[Tensor, Tensor]:
        """The layers as the kernel reads them."""
        constant = self._launch.constant
        widths = [constant[name] for name in ("HIDDEN", "SECOND", "THIRD") if constant[name]]
        weights, singles = [], []
        for layer, (inputs, outputs) in zip(tail[:-1], pairwise(widths), strict=True):
            weight = padded(layer.weight.T, inputs, outputs)
            weights += [weight.flatten(), (weight - weight.bfloat16().float()).flatten()]
            singles.append(padded(layer.bias[None], 1, outputs)[0])
        singles += [padded(tail[-1].weight, 1, widths[-1])[0], tail[-1].bias]
        device = self._item_vec.device
        weights.append(torch.zeros(1))  # of a network of one layer nothing is read, but something must be there
        return brief(torch.cat(weights).to(device)), torch.cat(singles).to(device)


def network_shape(form: Form) -> tuple[int, int, int, int] | None:
    """The kernel's widths of the first layer, the second and the third, and of the dot part; None: too many layers."""
    widths = [layer.weight.shape[1] for layer in form.tail]
    if len(widths) > 3:
        return None
    first, second, third, dot = (
        max(LEAST, next_power_of_2(width)) if width else 0 for width in (*widths, *[0] * (3 - len(widths)), form.dot)
    )
    return first, second, third, dot


def network_launch(form: Form, group: int) -> Launch:
    """For a head that fits."""
    shape = network_shape(form)
    assert shape is not None
    constant = dict(zip(("HIDDEN", "SECOND", "THIRD", "DOT"), shape, strict=True)) | {"ITEMS": TILE, "GROUP": group}
    return Launch(network_maxima, constant, warps=4, stages=3)


def network_roundings(form: Form) -> int:
    """m of bound.py. As the smaller products are 2^-7 of the others, their sums lose less than an eighth of SUMMED."""
    *before, last = (layer.weight.shape[1] + 3 for layer in form.tail)
    return most_roundings(form, [*(CUT + (SUMMED + 1) * layer for layer in before), last])


def padded(vec: Tensor, rows: int, columns: int) -> Tensor:
    """[n, D] -> contiguous, with zeros up to a multiple of `rows` and up to so many columns."""
    return torch.nn.functional.pad(vec, (0, columns - vec.shape[1], 0, -len(vec) % rows))


def brief(vec: Tensor) -> Tensor:
    """Rounded to bfloat16; on a CPU, where Triton's interpreter multiplies the bits of a bfloat16, held as float32."""
    rounded = vec.bfloat16()
    return rounded.float() if vec.device.type == "cpu" else rounded
