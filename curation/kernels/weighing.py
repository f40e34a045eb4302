"""How much of each part of the test side a train row holds."""
# mypy: disable-error-code="assignment,operator,call-overload,return-value"
# Inside compiled functions the integers are numpy's, which mypy cannot follow.

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from curation.kernels.mixing import Array, doubled
from curation.sets import I64


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _weigh(  # noqa: C901  (one compiled loop over state in locals; parts would pass it all)
    rows: Array,
    numbers: Array,
    held_from: Array,
    holders: Array,
    weights: Array,
    live: Array,
    dead: Array,
    heavy: Array,
    from_weight: Array,
    from_count: Array,
) -> tuple[Array, Array, Array, Array]:
    """By (row, part), rows being in order: weight and number of the part's grams that the row holds, where one of the
    two reaches what is asked of the part.

    A live gram counts for all its holders, one that is neither live nor dead only for a heavy part.
    """
    parts = len(heavy)
    held = np.zeros(len(live), np.bool_)
    for number in range(len(live)):
        for at in range(held_from[number], held_from[number + 1]):
            held[number] |= heavy[holders[at]]
    weight, count = np.zeros(parts), np.zeros(parts, np.int64)
    touched = np.empty(parts, np.int64)
    out_row, out_part = np.empty(1024, np.int64), np.empty(1024, np.int64)
    out_weight, out_count = np.empty(1024), np.empty(1024, np.int64)
    filled = begin = 0
    while begin < len(rows):
        end = begin
        many = 0
        while end < len(rows) and rows[end] == rows[begin]:
            number = numbers[end]
            end += 1
            if dead[number] or not (live[number] or held[number]):
                continue
            for at in range(held_from[number], held_from[number + 1]):
                part = holders[at]
                if not (live[number] or heavy[part]):
                    continue
                if not count[part]:
                    touched[many] = part
                    many += 1
                count[part] += 1
                if live[number]:
                    weight[part] += weights[number]
        while filled + many > len(out_row):
            out_row, out_part, out_count = doubled(out_row), doubled(out_part), doubled(out_count)
            longer = np.empty(2 * len(out_weight))
            longer[:filled] = out_weight[:filled]
            out_weight = longer
        for k in range(many):
            part = touched[k]
            if weight[part] >= from_weight[part] or count[part] >= from_count[part]:
                out_row[filled], out_part[filled] = rows[begin], part
                out_weight[filled], out_count[filled] = weight[part], count[part]
                filled += 1
            weight[part], count[part] = 0.0, 0
        begin = end
    return out_row[:filled], out_part[:filled], out_weight[:filled], out_count[:filled]


def weigh(
    rows: I64,
    numbers: I64,
    held: tuple[I64, I64],
    weights: npt.NDArray[np.float64],
    grams: tuple[Array, Array],
    heavy: Array,
    least: tuple[Array, Array],
) -> tuple[I64, I64, npt.NDArray[np.float64], I64]:
    """As `curation.leakage.weigh._sums`, of pairs that reach the `least` weight or number of their part."""
    found: tuple[I64, I64, npt.NDArray[np.float64], I64] = _weigh(
        rows, numbers, held[0], held[1], weights, grams[0], grams[1], heavy, least[0], least[1]
    )
    return found
