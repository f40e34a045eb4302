"""Metrics of tool calls: the right tools, the right arguments by field, and the whole call.

The Berkeley Function Calling Leaderboard (Patil et al. 2025) compares syntax trees: the name and the values of the
arguments. Here each call is compared so with the one at its place in the expected answer. What is said beside the calls
is not read. An answer without calls is right where none was expected and something is said.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chat.tool_calls import Call, parted
from evaluation.metrics.json_documents import checker_of, leaves
from workspace.errors import RungError
from workspace.extras import require


def tool_name(output: str, expected: str) -> float:
    """1 if the same tools are called in the same order."""
    return _compared(output, expected, lambda found, right: float(_names(found) == _names(right)))


def tool_args(output: str, expected: str) -> float:
    """F1 over the (path, value) pairs of all arguments; a call without arguments counts as one pair.

    The calls are compared place by place, and one of another tool earns nothing.
    """
    return _compared(output, expected, _fields)


def tool_call(output: str, expected: str) -> float:
    """1 if the calls are the same: names, arguments (numbers by value), order."""
    return _compared(output, expected, lambda found, right: float(_pairs(found) == _pairs(right)))


def fits_tools(output: str, tools: Any) -> bool:
    """True if each call of an output is one of the tools, with arguments that its JSON Schema allows.

    True if a row names no tools. Keywords of a schema that lead elsewhere are not followed.
    """
    known = {
        made.get("name"): made.get("parameters") or made.get("input_schema") or {}
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(made := tool.get("function", tool) if isinstance(tool, Mapping) else None, Mapping)
    }
    calls = parted(output)[1]
    if not known or not calls:
        return True
    require("quality", "jsonschema")
    try:
        return all(
            call["name"] in known and checker_of(known[call["name"]])(known[call["name"]]).is_valid(call["arguments"])
            for call in calls
        )
    except RungError:
        raise
    except Exception:  # of a schema that is none, or points at nothing
        return False


def _compared(output: str, expected: str, score: Callable[[Sequence[Call], Sequence[Call]], float]) -> float:
    found, right = parted(output)[1], parted(expected)[1]
    if not right:
        return float(not found and bool(output.strip()) == bool(expected.strip()))
    return score(found, right) if found else 0.0


def _names(calls: Sequence[Call]) -> list[Any]:
    return [call["name"] for call in calls]


def _fields(found: Sequence[Call], right: Sequence[Call]) -> float:
    given, wanted = _pairs(found), _pairs(right)
    return 2 * sum((given & wanted).values()) / (given.total() + wanted.total())


def _pairs(calls: Sequence[Call]) -> Counter[tuple[Any, ...]]:
    """Return the fields of calls: place of the call, its tool, path and value; numbers are equal by value."""
    return Counter((n, call["name"], *leaf) for n, call in enumerate(calls) for leaf in leaves(call["arguments"]))
