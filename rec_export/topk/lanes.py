"""Eight dot products at once in float64, one in each lane of a register, and each summed from left to right.

An item's numbers stand side by side in memory, but a sum must not be split: so eight numbers of each of eight items are
loaded and transposed, and then a lane is an item. These are LLVM's own words, for any processor:
https://llvm.org/docs/LangRef.html.
"""

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rec_export.topk.vnni import INT32, INT64, _at, _pointer

LANES = 8
DOUBLE = ir.DoubleType()
FLOATS, DOUBLES = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(DOUBLE, LANES)


def _dots(_: Any, user: Any, items: Any, stride: Any, row: Any, columns: Any, total: Any) -> Any:
    """total[lane] = (((0 + user[0] item[row[lane], 0]) + user[1] item[row[lane], 1]) + ...), `columns` of them.

    Addresses: of float64 [columns]; float32 [N, columns or more], `stride` bytes from one row to the next; int64 [8];
    and of the result, float64 [8]. `columns` is a multiple of 8.
    """

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        user, items, stride, row, columns, total = arguments
        begins = [builder.mul(stride, builder.load(_at(builder, row, INT64, lane))) for lane in range(LANES)]
        rows = [_at(builder, builder.add(items, begin), FLOATS, 0) for begin in begins]
        sums = cgutils.alloca_once_value(builder, ir.Constant(DOUBLES, [0.0] * LANES))
        with cgutils.for_range(builder, builder.udiv(columns, ir.Constant(INT64, LANES))) as loop:
            numbers = [builder.load(builder.gep(begin, [loop.index])) for begin in rows]
            for eight in numbers:
                eight.align = 4
            some, first = builder.load(sums), builder.mul(loop.index, ir.Constant(INT64, LANES))
            for column, item in enumerate(_transposed(builder, numbers)):
                place = builder.add(first, ir.Constant(INT64, column))
                own = _eight_times(builder, builder.load(_pointer(builder, user, DOUBLE, place)))
                some = builder.fadd(some, builder.fmul(own, builder.fpext(item, DOUBLES)))
            builder.store(some, sums)
        builder.store(builder.load(sums), _at(builder, total, DOUBLES, 0)).align = 8
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.int64, types.uintp, types.int64, types.uintp), write


def _fetch(_: Any, address: Any) -> Any:
    """Have the line of the cache at an address brought, without waiting for it."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _at(builder, arguments[0], ir.IntType(8), 0)
        kind = ir.FunctionType(ir.VoidType(), [place.type, INT32, INT32, INT32])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        to_read, into_all_caches, of_numbers = (ir.Constant(INT32, number) for number in (0, 3, 1))
        builder.call(prefetch, [place, to_read, into_all_caches, of_numbers])
        return context.get_dummy_value()

    return types.void(types.uintp), write


dots = cast(Callable[..., None], intrinsic(_dots))
fetch = cast(Callable[[Any], None], intrinsic(_fetch))


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Swap what is off the diagonal in squares of 2 x 2 numbers, then of 2 x 2 such squares, then of 2 x 2 of those."""
    for half in (1, 2, 4):
        upper = [LANES + lane - half if lane & half else lane for lane in range(LANES)]
        lower = [LANES + lane if lane & half else lane + half for lane in range(LANES)]
        pairs = [(rows[i & ~half], rows[i | half], lower if i & half else upper) for i in range(LANES)]
        rows = [builder.shuffle_vector(one, other, _places(lanes)) for one, other, lanes in pairs]
    return rows


def _eight_times(builder: Any, number: Any) -> Any:
    nothing = ir.Constant(DOUBLES, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, nothing, _places([0] * LANES))


def _places(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(INT32, LANES), lanes)
