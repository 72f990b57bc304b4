"""How a kernel is compiled, in one place: every bit that the definition promises hangs on these settings."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(parallel: bool) -> Callable[[Kernel], Kernel]:
    """Compile to machine code at the first call, and keep the code on disk where a place for it can be found.

    There is no `fastmath`: without it LLVM neither reorders a sum nor contracts a product and a sum into one rounding.
    numba keeps the code beside the source, or else below the user's cache directory. It notices an edit of the file a
    kernel stands in, but not of another file: kernels that call each other must share a file.
    """

    def compile_(kernel: Kernel) -> Kernel:
        try:
            return cast(Kernel, numba.njit(parallel=parallel, cache=True)(kernel))
        except RuntimeError:  # neither directory can be written: a read-only container compiles in every process
            return cast(Kernel, numba.njit(parallel=parallel)(kernel))

    return compile_
