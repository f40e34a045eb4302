"""Metrics of JSON outputs (valid, valid by a schema, right by field) and of tool calls, and the shape that arms are
held to for them.

The Berkeley Function Calling Leaderboard (Patil et al. 2025) compares syntax trees of calls: the name and the values of
the arguments. Here each call is compared so with the one at its place in the expected answer. What is said beside the
calls is not read. An answer without calls is right where none was expected and something is said.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chat.tool_calls import Call, functions_of, parted
from evaluation.metrics.text import matches
from workspace.errors import RungError
from workspace.extras import require

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n\s*```\s*\Z", re.S)
INVALID = object()
LARGEST = 2**1023
"""A whole number from here on may fit no float; it is equal by its digits."""
Shape = Mapping[str, Any]
READS_JSON = ("json_valid", "json_schema", "json_fields")


def parse(text: str) -> Any:
    """Return the document that the whole text is, a Markdown fence taken off, or INVALID; NaN is not JSON."""
    fenced = FENCE.match(text)
    try:
        return json.loads(fenced[1] if fenced else text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return INVALID


def _refuse(name: str) -> Any:
    raise ValueError(name)


def json_valid(output: str, expected: str) -> float:
    """1 if the output is one JSON document; `expected` is not read."""
    return float(parse(output) is not INVALID)


def json_fields(output: str, expected: str) -> float:
    """F1 over the (path, value) pairs of the leaves of both documents.

    Lists count by position. Numbers are equal by value, texts by characters, white space at both ends taken off. An
    output that is not JSON scores 0.
    """
    found, wanted = parse(output), parse(expected)
    if found is INVALID or wanted is INVALID:
        return 0.0
    given, right = Counter(leaves(found)), Counter(leaves(wanted))
    return 2 * sum((given & right).values()) / (given.total() + right.total())


def leaves(value: Any, path: str = "$") -> Iterator[tuple[str, str]]:
    """Yield every leaf of a document with its path; an empty object or list is a leaf of its own."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}[{index}]")
    else:
        yield path, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int | float):
        return repr(float(value)) if abs(value) < LARGEST else repr(value)
    return f"text {value.strip()}" if isinstance(value, str) else repr(value)


def json_schema(file: str) -> Callable[[str, str], float]:
    """The metric for the schema in `file`, which refers to itself and to the published metaschemas only: nothing
    is fetched. Raises RungError if it cannot be read, is no schema, or refers to anything else.
    """
    jsonschema = require("quality", "jsonschema")
    try:
        schema = json.loads(Path(file).read_text(encoding="utf-8-sig"))
        kind = checker_of(schema)
        kind.check_schema(schema)
    except (OSError, ValueError, jsonschema.SchemaError) as error:
        raise RungError(f"{file}: not a JSON Schema ({error}).", where=file) from error
    known = jsonschema.validators.SPECIFICATIONS
    _demand_local(schema, set(known), file)
    checker = kind(schema, registry=known)
    return lambda output, _: float((found := parse(output)) is not INVALID and _is_valid(checker, found, file))


def checker_of(schema: Any) -> Any:
    """Return jsonschema's class for this schema; its keyword `pattern` ends in limited time."""
    jsonschema = require("quality", "jsonschema")

    def pattern(checker: Any, wanted: str, found: Any, _: Any) -> Iterator[Any]:
        if checker.is_type(found, "string") and not matches(wanted, found):
            yield jsonschema.ValidationError(f"{found!r} does not match {wanted!r}")

    return jsonschema.validators.extend(jsonschema.validators.validator_for(schema), {"pattern": pattern})


def _demand_local(schema: Any, known: set[str], file: str) -> None:
    """Raise RungError for a reference to another document: neither the network nor a file is asked for one."""
    parts = [part for part in _parts(schema) if isinstance(part, dict)]
    ids = {str(part[key]).rstrip("#") for part in parts for key in ("$id", "id") if isinstance(part.get(key), str)}
    for part in parts:
        for key in REFERENCES:
            target = part.get(key)
            if isinstance(target, str) and not _is_local(target.partition("#")[0], ids, known):
                said = f'{file}: {key} "{target}" leads to another document, and nothing is fetched.'
                raise RungError(said, f"Put it under $defs in {file}.", where=file, found=target)


def _is_local(document: str, ids: set[str], known: set[str]) -> bool:
    """True for this document, one that it declares by `$id` (a relative name may be one), or a metaschema."""
    return not document or document in ids | known or (bool(ids) and "://" not in document)


def _parts(value: Any) -> Iterator[Any]:
    """Yield a document and everything in it."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _is_valid(checker: Any, found: Any, file: str) -> bool:
    """True if the document is valid; never with numbers out of range. Raises RungError for a broken reference."""
    try:
        return bool(checker.is_valid(found))
    except (OverflowError, RecursionError):
        return False
    except RungError:
        raise
    except Exception as error:  # of the package that follows references
        raise RungError(f"{file}: {error}. All answers are kept; correct the schema.", where=file) from error


def json_shape(spec: str, root: Path, known: Sequence[str]) -> Shape | None:
    """Return the schema that the metric names; for the other JSON metrics the kind of document that all known answers
    are, and where they are objects their keys. None if the metric reads no JSON. Test answers take no part.
    """
    name, _, file = spec.partition(":")
    if name not in READS_JSON:
        return None
    if name == "json_schema":
        found: Shape | bool = json.loads((root / file).read_text(encoding="utf-8-sig"))
        if isinstance(found, bool):
            return {} if found else {"enum": []}
        return found
    documents = [parse(answer) for answer in known if answer]
    if documents and all(isinstance(document, dict) for document in documents):
        return {"type": "object", "required": [key for key in documents[0] if all(key in each for each in documents)]}
    return {"type": "array"} if documents and all(isinstance(d, list) for d in documents) else {}


def is_strict(shape: Shape) -> bool:
    """True if hosted models accept the schema as it is: every object closed, and all of its keys required."""
    objects = [part for part in _parts(shape) if isinstance(part, Mapping) and part.get("type") == "object"]
    return bool(objects) and all(
        part.get("additionalProperties") is False and set(part.get("required", ())) == set(part.get("properties", {}))
        for part in objects
    )


def tool_name(output: str, expected: str) -> float:
    """1 if the same tools are called in the same order."""
    return _compared(
        output, expected, lambda found, right: float([c["name"] for c in found] == [c["name"] for c in right])
    )


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
        str(made.get("name")): made.get("parameters") or made.get("input_schema") or {} for made in functions_of(tools)
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


def _fields(found: Sequence[Call], right: Sequence[Call]) -> float:
    given, wanted = _pairs(found), _pairs(right)
    return 2 * sum((given & wanted).values()) / (given.total() + wanted.total())


def _pairs(calls: Sequence[Call]) -> Counter[tuple[Any, ...]]:
    """Return the fields of calls: place of the call, its tool, path and value; numbers are equal by value."""
    return Counter((n, call["name"], *leaf) for n, call in enumerate(calls) for leaf in leaves(call["arguments"]))
