"""How a kernel is compiled, in one place: every bit that the definition promises hangs on these settings."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Compile to machine code at the first call, and keep the code on disk where a place for it can be found.

    There is no `fastmath`: without it LLVM neither reorders a sum nor contracts a product and a sum into one rounding.
    There is no `parallel`: kernels run side by side in the engine's own threads, for which they let go of the GIL; the
    waiting threads of a second pool, next to torch's, would take the cores from those that work.
    numba keeps the code beside the source, or else below the user's cache directory. It notices an edit of the file a
    kernel stands in, but not of another file: after an edit of what scan.py calls in best.py or vnni.py, touch scan.py,
    and definition.py after one of lanes.py.
    """
    return kept(kernel, fastmath=False)


def reordered(kernel: Kernel) -> Kernel:
    """The same for what promises no bits, as it learns or feeds a bound: a sum may be taken in several lanes."""
    return kept(kernel, fastmath={"reassoc", "contract"})


def kept(kernel: Kernel, **settings: Any) -> Kernel:
    """Compile, with the code on disk if that can be."""
    try:
        return cast(Kernel, numba.njit(nogil=True, cache=True, **settings)(kernel))
    except RuntimeError:  # neither directory can be written: a read-only container compiles in every process
        return cast(Kernel, numba.njit(nogil=True, **settings)(kernel))
