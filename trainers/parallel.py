"""Several processes that train one model: each learns from its part of every batch, and all move the same weights."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import NamedTuple, Self, TypeVar, final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from rec_export.device import device_of
from rec_export.errors import LostProcessError, RecExportError, UsageError

WAIT = timedelta(hours=6)  # for the first process, which alone validates; a process that dies is noticed at once
NO_GRADIENT, DENSE, SPARSE = 0, 1, 2  # kinds of gradients; a sparse one counts its rows from SPARSE on

T = TypeVar("T")


@final
class Group(NamedTuple):
    """This process among those that train together."""

    rank: int
    size: int
    local_rank: int  # among those on this machine
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that validates, tells, and writes."""
        return self.rank == 0

    def on(self, device: str) -> Self:
        """The same on a device, by its name; of several processes on a machine each has a CUDA device of its own."""
        found = device_of(device)
        if self.size > 1 and found.type == "cuda":
            found = device_of(f"cuda:{self.local_rank}")
            torch.cuda.set_device(found)
        return self._replace(device=found)

    def broadcast(self, value: T) -> T:
        """What the first process calls with, in all of them."""
        if self.size == 1:
            return value
        box = [value]
        with colleagues():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def sum(self, values: Tensor) -> Tensor:
        """The sums of the numbers of all processes, in place."""
        if self.size > 1:
            with colleagues():
                dist.all_reduce(values)
        return values

    def exchange(self, rows: Tensor, gives: list[int], gets: list[int]) -> Tensor:
        """So many of the rows [sum of gives, ...] go to each process, so many come from each: [sum of gets, ...]."""
        got = rows.new_empty(sum(gets), *rows.shape[1:])
        with colleagues():
            dist.all_to_all_single(got, rows, gets, gives)
        return got

    def sum_gradients(self, loss: Tensor, weights: list[nn.Parameter]) -> Tensor:
        """Make each weight's gradient the sum of those of all processes; the sum of their losses, float32 [].

        A weight that has no gradient in any process keeps none, so that the optimizer leaves it alone as well.
        """
        if self.size == 1:
            return loss
        for weight in weights:
            if weight.grad is not None and weight.grad.is_sparse:
                weight.grad = weight.grad.coalesce()
        kind = torch.tensor([kind_of(weight) for weight in weights])
        with colleagues():
            dist.all_reduce(kind, dist.ReduceOp.MAX)
        kinds = list(zip(weights, kind.tolist(), strict=True))
        for weight, rows in kinds:
            if rows >= SPARSE:
                weight.grad = self.sum_rows(weight, rows - SPARSE)
        return self.sum_dense(loss, [weight for weight, kind in kinds if kind == DENSE])

    def sum_dense(self, loss: Tensor, weights: list[nn.Parameter]) -> Tensor:
        """The same for weights with dense gradients: all numbers as one tensor, so that a step waits once."""
        slopes = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        flat = self.sum(torch.cat([*(slope.flatten() for slope in slopes), loss.reshape(1)]))
        parts = flat.split([*(slope.numel() for slope in slopes), 1])
        for weight, slope, part in zip(weights, slopes, parts, strict=False):
            weight.grad = slope.copy_(part.view_as(slope))
        return parts[-1][0]

    def sum_rows(self, weight: nn.Parameter, most: int) -> Tensor:
        """The sum of sparse gradients, of which each has at most so many rows: what is not there is row -1."""
        row = torch.full((most,), -1, device=weight.device)
        value = weight.new_zeros(most, *weight.shape[1:])
        if weight.grad is not None:
            own = weight.grad.indices()[0]
            row[: len(own)], value[: len(own)] = own, weight.grad.values()
        rows, values = ([torch.empty_like(part) for _ in range(self.size)] for part in (row, value))
        with colleagues():
            dist.all_gather(rows, row)
            dist.all_gather(values, value)
        every = torch.cat(rows)
        live = every >= 0
        index, value = every[live].unsqueeze(0), torch.cat(values)[live]
        return torch.sparse_coo_tensor(index, value, weight.shape, check_invariants=False).coalesce()


ALONE = Group(0, 1, 0, torch.device("cpu"))


def kind_of(weight: nn.Parameter) -> int:
    """The kind of a weight's gradient."""
    if weight.grad is None:
        return NO_GRADIENT
    return SPARSE + len(weight.grad.values()) if weight.grad.is_sparse else DENSE


@contextmanager
def colleagues() -> Iterator[None]:
    """Wait for the others. Raises LostProcessError when one of them has ended."""
    try:
        yield
    except RuntimeError as error:  # gloo has no class of its own
        raise LostProcessError(
            f"another process of this training has ended, or cannot be reached ({str(error).partition('. ')[0]});"
            " mend its reason, and train with --resume"
        ) from error


@contextmanager
def joined() -> Iterator[Group]:
    """The group that torchrun's environment tells of; without it, this process alone.

    When it fails, the first one to fail tells why; the others, which fail alike or for the want of it, exit in silence
    with the same code.
    """
    processes = os.environ.get("WORLD_SIZE") or "1"
    if not processes.isdecimal():
        raise UsageError(f"WORLD_SIZE is {processes!r}, but should be a number, as torchrun sets it")
    if int(processes) == 1:
        yield ALONE
        return
    nccl = torch.cuda.is_available() and dist.is_nccl_available()
    try:
        with colleagues():
            store, rank, size = next(rendezvous("env://"))
            dist.init_process_group("cpu:gloo,cuda:nccl" if nccl else "gloo", None, WAIT, size, rank, store)
    except ValueError as error:
        raise UsageError(
            f"WORLD_SIZE is set, but not all else that torchrun sets; start by torchrun ({error})"
        ) from None
    if rank > 0:
        logging.getLogger("rec_export").setLevel(logging.ERROR)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # it has nothing to leave in order
    try:
        yield Group(rank, size, int(os.environ.get("LOCAL_RANK", "0")), ALONE.device)
    except BaseException as error:
        mine = f"{rank} {getattr(error, 'exit_code', RecExportError.exit_code)}"
        with suppress(dist.DistError):  # the store may be gone with the process that kept it
            first = store.compare_set("failure", "", mine).decode()
            if first != mine:
                raise SystemExit(int(first.split()[1])) from error
        raise
    dist.destroy_process_group()
