"""The innermost step, in the processor's own words: 6 users meet 64 items by vpdpbusd (AVX-512 VNNI).

One vpdpbusd multiplies 64 unsigned bytes (4 of each of 16 items) by signed ones (4 of a user, 16 times over) and adds
each four products to an int32. The 24 sums of 6 x 64 pairs stay in registers until all groups of 4 columns are done.
LLVM is handed its instruction by name: https://llvm.org/docs/LangRef.html, Intel Intrinsics Guide _mm512_dpbusd_epi32.
"""

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

ABREAST = 6  # users
REGISTERS = 4  # of 16 items each

INT32, INT64 = ir.IntType(32), ir.IntType(64)
SIXTEEN = ir.VectorType(INT32, 16)


def available() -> bool:
    """Whether numba compiles for a processor with AVX-512 VNNI."""
    features = cpu_target.target_context.codegen().magic_tuple()[2]
    return {"+avx512vnni", "+avx512bw"} <= set(features.split(","))


def _meet(_: Any, items: Any, groups: Any, codes: Any, user: Any, bar: Any, found: Any, product: Any) -> Any:
    """Write which products reach the bars, uint64 [6], and if any does, all products, int32 [6, 64].

    Addresses: of uint8 [groups, 64, 4]; int8 [B, groups, 4]; int64 [6], the users; int32 [6]; and of the two results.
    Returns 0 if no product reaches its bar.
    """
    signature = types.uint64(types.uintp, types.int64, *[types.uintp] * 5)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        items, groups, codes, user, bar, found, product = arguments
        users = [_at(builder, user, INT64, u) for u in range(ABREAST)]
        rows = [_pointer(builder, codes, INT32, builder.mul(builder.load(at), groups)) for at in users]
        sums = _products(builder, items, groups, rows)
        bars = [_sixteen_times(builder, builder.load(_at(builder, bar, INT32, u))) for u in range(ABREAST)]
        any_reached = builder.zext(_any_reached(builder, sums, bars), INT64)
        with builder.if_then(builder.icmp_unsigned("!=", any_reached, ir.Constant(INT64, 0)), likely=False):
            for u, own in enumerate(sums):
                builder.store(_reached(builder, own, bars[u]), _at(builder, found, INT64, u))
                for register, total in enumerate(own):
                    builder.store(total, _at(builder, product, SIXTEEN, u * REGISTERS + register)).align = 4
        return any_reached

    return signature, write


def _lowest_bit(_: Any, number: Any) -> Any:
    """The place of the lowest 1 in a uint64 that is not 0."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), write


meet = cast(Callable[..., int], intrinsic(_meet))
lowest_bit = cast(Callable[[Any], int], intrinsic(_lowest_bit))


def _products(builder: Any, items: Any, groups: Any, rows: list[Any]) -> list[list[Any]]:
    kind = ir.FunctionType(SIXTEEN, [SIXTEEN] * 3)
    multiply = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
    zero = ir.Constant(SIXTEEN, [0] * 16)
    sums = [[cgutils.alloca_once(builder, SIXTEEN) for _ in range(REGISTERS)] for _ in rows]
    for total in (total for own in sums for total in own):
        builder.store(zero, total)
    with cgutils.for_range(builder, groups) as loop:
        begin = builder.mul(loop.index, ir.Constant(INT64, REGISTERS))
        item = []
        for register in range(REGISTERS):
            place = builder.add(begin, ir.Constant(INT64, register))
            item.append(builder.load(_pointer(builder, items, SIXTEEN, place)))
            item[-1].align = 64
        for row, own in zip(rows, sums, strict=True):
            four = _sixteen_times(builder, builder.load(builder.gep(row, [loop.index])))
            for total, other in zip(own, item, strict=True):
                builder.store(builder.call(multiply, [builder.load(total), other, four]), total)
    return [[builder.load(total) for total in own] for own in sums]


def _any_reached(builder: Any, sums: list[list[Any]], bars: list[Any]) -> Any:
    """Four registers of each user and a bar each -> an int16 that is 0 if no number is at least its bar."""
    reached = ir.Constant(ir.VectorType(ir.IntType(1), 16), [0] * 16)
    for own, bar in zip(sums, bars, strict=True):
        most = own[0]
        for other in own[1:]:
            most = builder.select(builder.icmp_signed(">", most, other), most, other)
        reached = builder.or_(reached, builder.icmp_signed(">=", most, bar))
    return builder.bitcast(reached, ir.IntType(16))


def _reached(builder: Any, own: list[Any], bars: Any) -> Any:
    """Four registers of int32 [16] -> an int64 with a 1 for each number that is at least its bar."""
    bits = [builder.icmp_signed(">=", total, bars) for total in own]
    while len(bits) > 1:
        bits = [_joined(builder, *bits[i : i + 2]) for i in range(0, len(bits), 2)]
    return builder.bitcast(bits[0], INT64)


def _joined(builder: Any, left: Any, right: Any) -> Any:
    both = 2 * left.type.count
    return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(INT32, both), list(range(both))))


def _sixteen_times(builder: Any, number: Any) -> Any:
    nothing = ir.Constant(SIXTEEN, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(SIXTEEN, [0] * 16))


def _at(builder: Any, address: Any, kind: Any, index: int) -> Any:
    return _pointer(builder, address, kind, ir.Constant(INT64, index))


def _pointer(builder: Any, address: Any, kind: Any, index: Any) -> Any:
    return builder.gep(builder.inttoptr(address, ir.PointerType(kind)), [index])
