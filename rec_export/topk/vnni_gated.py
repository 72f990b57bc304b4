"""The gated head in the processor's own words: 3 users meet 64 items, w . relu(a + b) and <p, q> at once.

24 registers hold the sums of both parts until the last columns are done, so that nothing is written to memory for
users who find nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rec_export.topk.vnni import INT32, INT64, REGISTERS, SIXTEEN, _at, _pointer, _sixteen_times
from rec_export.topk.vnni_rows import BYTES, FLOAT, FLOATS, _bits, _load, _named, _spread

ABREAST = 3  # users

Step = Callable[[Any, Any, Any, Any], Any]


class Part(NamedTuple):
    """One of the two sums, by addresses: 64 items, and what all the users have.

    items: uint8 [groups, 64, 4]. code: a user's bytes, [B, groups, 4]. start int32 [B], scale float32 [B]: a sum of
    products begins with start, and scale is what it is multiplied by.
    """

    items: int
    groups: int
    code: int
    start: int
    scale: int


def _meet(_: Any, gate: Any, weight: Any, dot: Any, at: Any, bar: Any, found: Any, sums: Any) -> Any:
    """The users at, at + 1, at + 2: which sums reach their bars, uint64 [3], and all sums, float32 [3, 64].

    gate, dot: a Part each; weight int8 [groups, 4] and bar float32 [B] at addresses, as are the two results. These are
    written if any sum reaches its bar; returns 0 if none does.
    """

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        gate, weight, dot, at, bar, found, result = arguments
        gate, dot = (Part(*cgutils.unpack_tuple(builder, part, len(Part._fields))) for part in (gate, dot))
        multiply = _multiply(builder)
        weights = _pointer(builder, weight, INT32, ir.Constant(INT64, 0))

        def rectified(total: Any, item: Any, user: Any, group: Any) -> Any:
            four = _sixteen_times(builder, builder.load(builder.gep(weights, [group])))
            item, user = builder.bitcast(item, BYTES), builder.bitcast(user, BYTES)
            most = builder.select(builder.icmp_unsigned(">", item, user), item, user)
            return builder.call(multiply, [total, builder.bitcast(most, SIXTEEN), four])

        def plain(total: Any, item: Any, user: Any, group: Any) -> Any:
            return builder.call(multiply, [total, item, user])

        fma = _named(builder, "llvm.fma.v16f32", 3)
        dots, gates = _products(builder, dot, at, plain), _products(builder, gate, at, rectified)
        totals = [
            [builder.call(fma, [a, scale, builder.fmul(b, other)]) for a, b in zip(own, beside, strict=True)]
            for own, beside, scale, other in zip(
                gates, dots, _of_users(builder, gate.scale, at), _of_users(builder, dot.scale, at), strict=True
            )
        ]
        bars = _of_users(builder, bar, at)
        any_reached = _any_reached(builder, totals, bars)
        with builder.if_then(builder.icmp_unsigned("!=", any_reached, ir.Constant(INT64, 0)), likely=False):
            for u, own in enumerate(totals):
                bits = _bits(builder, [builder.fcmp_ordered(">=", total, bars[u]) for total in own])
                builder.store(bits, _at(builder, found, INT64, u))
                for register, total in enumerate(own):
                    builder.store(total, _at(builder, result, FLOATS, u * REGISTERS + register)).align = 4
        return any_reached

    return types.uint64(gate, types.uintp, dot, types.int64, *[types.uintp] * 3), write


meet = cast(Callable[..., int], intrinsic(_meet))


def _multiply(builder: Any) -> Any:
    kind = ir.FunctionType(SIXTEEN, [SIXTEEN] * 3)
    return cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")


def _products(builder: Any, part: Part, at: Any, step: Step) -> list[list[Any]]:
    """float32 [16] for each of 3 users and 4 registers: start, and what `step` adds to it for each group of columns."""
    sums = [[cgutils.alloca_once(builder, SIXTEEN) for _ in range(REGISTERS)] for _ in range(ABREAST)]
    rows = []
    for u, own in enumerate(sums):
        user = builder.add(at, ir.Constant(INT64, u))
        rows.append(_pointer(builder, part.code, INT32, builder.mul(user, part.groups)))
        first = _sixteen_times(builder, builder.load(_pointer(builder, part.start, INT32, user)))
        for total in own:
            builder.store(first, total)
    with cgutils.for_range(builder, part.groups) as loop:
        begin = builder.mul(loop.index, ir.Constant(INT64, REGISTERS))
        places = [builder.add(begin, ir.Constant(INT64, register)) for register in range(REGISTERS)]
        items = [_load(builder, _pointer(builder, part.items, SIXTEEN, place)) for place in places]
        for row, own in zip(rows, sums, strict=True):
            four = _sixteen_times(builder, builder.load(builder.gep(row, [loop.index])))
            for total, item in zip(own, items, strict=True):
                builder.store(step(builder.load(total), item, four, loop.index), total)
    return [[builder.sitofp(builder.load(total), FLOATS) for total in own] for own in sums]


def _of_users(builder: Any, address: Any, at: Any) -> list[Any]:
    """A number of each of the 3 users, float32 [16] times over."""
    users = [builder.add(at, ir.Constant(INT64, u)) for u in range(ABREAST)]
    return [_spread(builder, builder.load(_pointer(builder, address, FLOAT, user))) for user in users]


def _any_reached(builder: Any, totals: list[list[Any]], bars: list[Any]) -> Any:
    """An int64 that is 0 if no number is at least its user's bar."""
    reached = ir.Constant(ir.VectorType(ir.IntType(1), 16), [0] * 16)
    for own, bar in zip(totals, bars, strict=True):
        most = own[0]
        for other in own[1:]:
            most = builder.select(builder.fcmp_ordered(">", most, other), most, other)
        reached = builder.or_(reached, builder.fcmp_ordered(">=", most, bar))
    return builder.zext(builder.bitcast(reached, ir.IntType(16)), INT64)
