"""A pretended CUDA device: tensors that say they lie on cuda:0 and compute on the CPU, where nothing may be mixed.

A program that mixes devices, or asks for the memory of a tensor on a GPU, fails here much as it would there; and as the
arithmetic is the CPU's, all it computes must have the same bits.

What it does not show: kernels of CUDA, Triton and TorchScript (whose constants are moved below Python), streams, speed.
`tests/pretended/run.py` loads cuda.cpp before torch is imported, and runs commands with this in force.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

aten = torch.ops.aten
DEVICE, CPU = torch.device("cuda:0"), torch.device("cpu")
CROSSING = {aten._to_copy.default, aten.copy_.default, aten.lift_fresh.default, aten.detach.default}
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
"""These take indices from the CPU on a GPU too, as their second argument."""
JOINED = {aten.cat.default, aten.stack.default}
"""These take not even a single number from the CPU."""


class OnDevice(Tensor):
    """A tensor of the device; `held` is where its values are."""

    held: Tensor

    @staticmethod
    def __new__(cls: type[Self], held: Tensor) -> Self:
        made = Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            layout=held.layout, device=DEVICE,
        )  # fmt: skip
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return Pretended.run(func, args, kwargs or {})

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnDevice":
        if id(self) not in memo:
            copied = OnDevice(self.held.detach().clone()).requires_grad_(self.requires_grad)
            if getattr(self, "_is_param", False):
                copied._is_param = True  # as a Parameter of a subclass is told
            memo[id(self)] = copied
        return memo[id(self)]

    def tolist(self) -> Any:
        return self.held.tolist()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.held.untyped_storage()

    def data_ptr(self) -> int:
        return self.held.data_ptr()


class Pretended(TorchDispatchMode):
    """Whatever is made for the device is an OnDevice. It is in force in the thread that entered it."""

    operations = 0  # that any tensor of the device took part in

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.run(func, args, kwargs or {})

    @classmethod
    def run(cls, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """One operation, on the CPU. Raises RuntimeError where its tensors lie in two places."""
        flat, form = tree_flatten((args, kwargs))
        mine = [one for one in flat if isinstance(one, OnDevice)]
        asked = [args[0], *args[2:]] if func in INDEXED else flat
        least = 0 if func in JOINED else 1
        others = [a for a in asked if isinstance(a, Tensor) and not isinstance(a, OnDevice) and a.dim() >= least]
        cls.operations += bool(mine)
        if mine and others and func not in CROSSING:
            raise RuntimeError(f"Expected all tensors to be on the same device, but {func} got cuda:0 and cpu")
        wanted = kwargs.get("device")
        there = bool(mine) if wanted is None else torch.device(wanted).type == "cuda"
        held_args, held_kwargs = tree_unflatten([held(one) for one in flat], form)
        if held_kwargs.get("pin_memory"):
            held_kwargs["pin_memory"] = False
        found = func(*held_args, **held_kwargs)
        if func is aten.copy_.default:
            return args[0]
        if not there:
            return found
        found = tree_map(lambda one: OnDevice(one) if isinstance(one, Tensor) else one, found)
        return return_and_correct_aliasing(func, args, kwargs, found) if mine else found


def held(one: Any) -> Any:
    """An argument as the CPU gets it."""
    if isinstance(one, OnDevice):
        return one.held
    return CPU if isinstance(one, torch.device) and one.type == "cuda" else one


class HeldGenerator(torch.Generator):
    """A generator of the CPU, whatever device it is for."""

    def __new__(cls, device: Any = "cpu") -> Self:
        return super().__new__(cls)


def install() -> None:
    """Say to everybody, for good, that a device is there: an old one, with a gigabyte, for which Triton is too new."""
    answers: dict[str, Callable[..., Any]] = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_initialized": lambda: False,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "synchronize": lambda *device: None,
        "empty_cache": lambda: None,
        "mem_get_info": lambda *device: (1 << 30, 2 << 30),
        "get_device_name": lambda *device: "pretended",
        "get_device_capability": lambda *device: (6, 0),
        "is_bf16_supported": lambda *device, **how: True,
    }
    for name, answered in answers.items():
        setattr(torch.cuda, name, answered)
    torch.Generator = HeldGenerator  # type: ignore[misc]
    torch.inference_mode = lambda *mode: torch.no_grad()  # type: ignore[assignment, misc]  # unknown to subclasses
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    run = threading.Thread.run

    def run_pretended(thread: threading.Thread) -> None:
        with in_force():
            run(thread)

    threading.Thread.run = run_pretended  # type: ignore[method-assign, assignment]


def in_force() -> Pretended:
    """The mode, to be entered. What lists become is made on the CPU first, then moved."""
    torch._C._set_only_lift_cpu_tensors(True)
    return Pretended()  # type: ignore[no-untyped-call]
