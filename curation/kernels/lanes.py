"""Sixty-four bytes at once: which of them are of a kind, as the bits of one number, and copies of them.

The arrays must reach at least 64 bytes beyond the place (`padded`). numba has no words for this, hence the few lines of
LLVM; it makes of them what the processor has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 64
ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
_BYTE, _BITS = ir.IntType(8), ir.IntType(64)
_VECTOR = ir.VectorType(_BYTE, LANES)
_PAD = bytes(LANES)


def padded(data: bytes) -> npt.NDArray[np.uint8]:
    """The bytes, and 64 more of zero."""
    return np.frombuffer(data + _PAD, np.uint8)


def _all(value: int) -> Any:
    return ir.Constant(_VECTOR, [value] * LANES)


def _at(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), _VECTOR.as_pointer())


def _mask_of(flags: Callable[[Any, Any], Any]) -> Any:
    """A function of an array and a place whose bits say which of the 64 bytes `flags` holds for."""

    def mask(_: Any, data: Any, place: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            some = builder.load(_at(context, builder, signature.args[0], *args), align=1)
            return builder.bitcast(flags(builder, some), _BITS)

        return types.uint64(data, types.int64), code

    return intrinsic(mask)


def _is_letter(builder: Any, some: Any) -> Any:
    letter = builder.icmp_unsigned("<", builder.sub(builder.or_(some, _all(32)), _all(97)), _all(26))
    digit = builder.icmp_unsigned("<", builder.sub(some, _all(48)), _all(10))
    return builder.or_(builder.or_(letter, digit), builder.icmp_unsigned("==", some, _all(95)))


def _is_special(builder: Any, some: Any) -> Any:
    sign = builder.or_(builder.icmp_unsigned("==", some, _all(34)), builder.icmp_unsigned("==", some, _all(92)))
    return builder.or_(sign, builder.icmp_signed("<", some, _all(32)))


letters_at = _mask_of(_is_letter)
"""Letters, digits and the underscore of ASCII."""
specials_at = _mask_of(_is_special)
"""What does not stand for itself in a string of JSON: quotes, backslashes, control characters, bytes outside ASCII."""
wide_at = _mask_of(lambda builder, some: builder.icmp_signed("<", some, _all(0)))
"""Bytes outside ASCII."""


@intrinsic  # type: ignore[untyped-decorator]
def copy_at(_: Any, data: Any, place: Any, out: Any, to: Any) -> Any:
    """Copy 64 bytes."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        some = builder.load(_at(context, builder, signature.args[0], args[0], args[1]), align=1)
        builder.store(some, _at(context, builder, signature.args[2], args[2], args[3]), align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, out, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def lower_at(_: Any, data: Any, place: Any, out: Any) -> Any:
    """64 bytes of ASCII as small letters, each plus 1, to the start of `out`."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        some = builder.load(_at(context, builder, signature.args[0], args[0], args[1]), align=1)
        large = builder.icmp_unsigned("<", builder.sub(some, _all(65)), _all(26))
        lowered = builder.add(some, builder.select(large, _all(33), _all(1)))
        start = context.get_constant(types.int64, 0)
        builder.store(lowered, _at(context, builder, signature.args[2], args[2], start), align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, out), code


@intrinsic  # type: ignore[untyped-decorator]
def first_bit(_: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set; 64 where none is."""

    def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), code
