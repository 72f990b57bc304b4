"""The innermost steps of a network, in the processor's own words: its rows meet 64 items by vpdpbusd (AVX-512 VNNI).

All operate on panels uint8 [groups, 64, 4], four columns of 64 items at a time, at addresses that are handed over.
What is made of 64 items stays in registers while a row's products are summed: 4 registers for each of `rows` rows.
"""

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rec_export.topk.vnni import INT32, INT64, REGISTERS, SIXTEEN, _at, _pointer, _sixteen_times

ROWS = 4  # of a layer that meet the items together
BYTES = ir.VectorType(ir.IntType(8), 64)
FLOAT = ir.FloatType()
FLOATS = ir.VectorType(FLOAT, 16)


def _larger(_: Any, items: Any, groups: Any, user: Any, result: Any) -> Any:
    """max(item, user), code by code: uint8 [groups, 64, 4] and [groups, 4] -> uint8 [groups, 64, 4]."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        items, groups, user, result = arguments
        with cgutils.for_range(builder, groups) as loop:
            own = builder.load(_pointer(builder, user, INT32, loop.index))
            bar = builder.bitcast(_sixteen_times(builder, own), BYTES)
            begin = builder.mul(loop.index, ir.Constant(INT64, REGISTERS))
            for register in range(REGISTERS):
                place = builder.add(begin, ir.Constant(INT64, register))
                item = _load(builder, _pointer(builder, items, BYTES, place))
                most = builder.select(builder.icmp_unsigned(">", item, bar), item, bar)
                _store(builder, most, _pointer(builder, result, BYTES, place))
        return context.get_dummy_value()

    return types.void(types.uintp, types.int64, types.uintp, types.uintp), write


def _adding(rows: int, relu: bool) -> Callable[..., Any]:
    """sums[item] += scale[row] * (start[row] + <weight[row], item>), below 0 taken as 0 if `relu`; for each row.

    Addresses: of uint8 [groups, 64, 4]; int8 [groups, rows, 4]; int32 [rows]; float32 [rows]; float32 [64].
    """

    def typed(_: Any, items: Any, groups: Any, weight: Any, start: Any, scale: Any, sums: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            items, groups, weight, start, scale, sums = arguments
            products = _row_products(builder, rows, items, groups, weight, start)
            fma = _named(builder, "llvm.fma.v16f32", 3)
            for register in range(REGISTERS):
                place = _at(builder, sums, FLOATS, register)
                total = _load(builder, place)
                for row in range(rows):
                    value = _positive(builder, products[row][register]) if relu else products[row][register]
                    factor = _spread(builder, builder.load(_at(builder, scale, FLOAT, row)))
                    total = builder.call(fma, [builder.sitofp(value, FLOATS), factor, total])
                _store(builder, total, place)
            return context.get_dummy_value()

        return types.void(types.uintp, types.int64, *[types.uintp] * 4), write

    return typed


def _coding(_: Any, items: Any, groups: Any, weight: Any, start: Any, scale: Any, codes: Any) -> Any:
    """The codes of 4 hidden numbers of 64 items: scale[row] * relu(start[row] + <weight[row], item>), rounded.

    Addresses as above, but uint8 [64, 4] in the end. Returns a 1 for each item with a number above 255, cut to it.
    """

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        items, groups, weight, start, scale, codes = arguments
        products = _row_products(builder, ROWS, items, groups, weight, start)
        most, over = _vector(255), []
        for register in range(REGISTERS):
            four, highest = None, None
            for row in range(ROWS):
                value = builder.sitofp(_positive(builder, products[row][register]), FLOATS)
                factor = _spread(builder, builder.load(_at(builder, scale, FLOAT, row)))
                number = _rounded(builder, builder.fmul(value, factor))
                highest = number if highest is None else builder.or_(highest, number)
                number = builder.select(builder.icmp_unsigned("<", number, most), number, most)
                number = builder.shl(number, _vector(8 * row)) if row else number
                four = number if four is None else builder.or_(four, number)
            over.append(builder.icmp_unsigned(">", highest, most))
            _store(builder, four, _at(builder, codes, SIXTEEN, register))
        return _bits(builder, over)

    return types.uint64(types.uintp, types.int64, *[types.uintp] * 4), write


def _reaching(_: Any, sums: Any, bar: Any) -> Any:
    """float32 [64] at an address, float32 -> a 1 for each number that is at least the bar."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bars = _spread(builder, arguments[1])
        numbers = [_load(builder, _at(builder, arguments[0], FLOATS, register)) for register in range(REGISTERS)]
        return _bits(builder, [builder.fcmp_ordered(">=", number, bars) for number in numbers])

    return types.uint64(types.uintp, types.float32), write


larger = cast(Callable[..., None], intrinsic(_larger))
add_hidden = cast(Callable[..., None], intrinsic(_adding(ROWS, relu=True)))
add_linear = cast(Callable[..., None], intrinsic(_adding(1, relu=False)))
code_hidden = cast(Callable[..., int], intrinsic(_coding))
reaching = cast(Callable[..., int], intrinsic(_reaching))


def _row_products(builder: Any, rows: int, items: Any, groups: Any, weight: Any, start: Any) -> list[list[Any]]:
    kind = ir.FunctionType(SIXTEEN, [SIXTEEN] * 3)
    multiply = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
    sums = [[cgutils.alloca_once(builder, SIXTEEN) for _ in range(REGISTERS)] for _ in range(rows)]
    for row, own in enumerate(sums):
        first = _sixteen_times(builder, builder.load(_at(builder, start, INT32, row)))
        for total in own:
            builder.store(first, total)
    with cgutils.for_range(builder, groups) as loop:
        begin = builder.mul(loop.index, ir.Constant(INT64, REGISTERS))
        places = [builder.add(begin, ir.Constant(INT64, register)) for register in range(REGISTERS)]
        item = [_load(builder, _pointer(builder, items, SIXTEEN, place)) for place in places]
        line = builder.mul(loop.index, ir.Constant(INT64, rows))
        for row, own in enumerate(sums):
            at = _pointer(builder, weight, INT32, builder.add(line, ir.Constant(INT64, row)))
            four = _sixteen_times(builder, builder.load(at))
            for total, other in zip(own, item, strict=True):
                builder.store(builder.call(multiply, [builder.load(total), other, four]), total)
    return [[builder.load(total) for total in own] for own in sums]


def _positive(builder: Any, number: Any) -> Any:
    zero = _vector(0)
    return builder.select(builder.icmp_signed(">", number, zero), number, zero)


def _rounded(builder: Any, number: Any) -> Any:
    """float32 from 0 -> the nearest int32, or 65,535 for what is larger or no number."""
    limit = ir.Constant(FLOATS, [65535.0] * 16)
    number = builder.select(builder.fcmp_ordered("<", number, limit), number, limit)
    return builder.fptosi(builder.call(_named(builder, "llvm.rint.v16f32", 1), [number]), SIXTEEN)


def _named(builder: Any, name: str, arguments: int) -> Any:
    """An operation of LLVM on registers of float32."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(FLOATS, [FLOATS] * arguments), name)


def _bits(builder: Any, parts: list[Any]) -> Any:
    """Four registers of 16 bits -> a uint64."""
    while len(parts) > 1:
        both = ir.VectorType(INT32, 2 * parts[0].type.count)
        order = ir.Constant(both, list(range(both.count)))
        parts = [builder.shuffle_vector(*parts[i : i + 2], order) for i in range(0, len(parts), 2)]
    return builder.bitcast(parts[0], INT64)


def _vector(number: int) -> Any:
    return ir.Constant(SIXTEEN, [number] * 16)


def _spread(builder: Any, number: Any) -> Any:
    nothing = ir.Constant(FLOATS, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(SIXTEEN, [0] * 16))


def _load(builder: Any, place: Any) -> Any:
    value = builder.load(place)
    value.align = 64
    return value


def _store(builder: Any, value: Any, place: Any) -> None:
    builder.store(value, place).align = 64
