"""Tensors cut by rows into one stretch a process, and brought together again, by DTensor."""

from typing import final

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor


@final
class Stretches:
    """Cuts as torch.chunk does: each process but the last ones gets the same number of rows, rounded up."""

    def __init__(self, processes: int) -> None:
        self.mesh = init_device_mesh("cpu", (processes,))

    def own(self, whole: Tensor) -> Tensor:
        """This process's stretch [n, ...] of a tensor [rows, ...] on the CPU that is the same in each."""
        return distribute_tensor(whole, self.mesh, [Shard(0)], src_data_rank=None).to_local().clone()

    def whole(self, stretch: Tensor, rows: int) -> Tensor:
        """All stretches together, [rows, ...], on the CPU of every process; all must ask."""
        shape = torch.Size([rows, *stretch.shape[1:]])
        stride = torch.empty(shape, device="meta").stride()
        parts = DTensor.from_local(stretch.detach().cpu(), self.mesh, [Shard(0)], shape=shape, stride=stride)
        return parts.full_tensor()
