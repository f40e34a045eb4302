"""rung.toml as text, with the environment on top: what is in it, and where a fault of it is."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from workspace.errors import InputError, Problem, did_you_mean
from workspace.json_types import JsonObject

VARIABLE = re.compile(r"RUNG_([A-Z]+(?:_[A-Z]+)*)__([A-Z0-9_]+)")


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The decoded tables with the environment's values in them; `sources`: which value came from which variable."""

    path: Path
    text: str
    table: JsonObject
    sources: Mapping[tuple[str, ...], str]

    def problem(self, detail: ErrorDetails, model: type[BaseModel]) -> Problem:
        """Return a fault that `model` found, in words: where it is, and what may have been meant."""
        place = tuple(str(part) for part in detail["loc"])
        line = _line(self.text, place)
        from_outside = [name for key, name in self.sources.items() if key[: len(place)] == place[:2]]
        where = from_outside[0] if from_outside and (len(place) > 1 or not line) else f"{self.path.name}{line}"
        found = str(detail.get("input"))
        if detail["type"] == "extra_forbidden":
            hint = did_you_mean(place[-1], _known(place[:-1], model))
            return Problem(f'unknown key "{".".join(place)}".{hint}', where=where, found=place[-1])
        said = detail["msg"][:1].lower() + detail["msg"][1:]
        expected = said.removeprefix("input should be ")
        said = said.replace("input should be ", "expected ", 1)
        near = did_you_mean(found, re.findall("'(.+?)'", expected)) if detail["type"] == "literal_error" else ""
        said = f'"{".".join(place)}" = {found}: {said}.{near}'
        return Problem(said, where=where, expected=expected, found=found)


def read_file(path: Path, environment: Mapping[str, str]) -> SettingsFile:
    """Return the file, and every `RUNG_SECTION__KEY` of the environment. Raises InputError if it is no TOML."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"byte {error.start + 1} is not UTF-8"
        raise InputError([Problem(f"cannot be read ({reason}).", where=str(path))]) from error
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        line = re.search(r" \(at( line \d+), column \d+\)", why)
        where, why = (path.name + line[1], why.replace(line[0], "")) if line else (path.name, why)
        raise InputError([Problem(f"is not TOML: {why}.", where=where)]) from error
    return SettingsFile(path, text, table, _overlay(table, environment))


def line_of(problem: Problem) -> int:
    """Return the line that a problem names; 0 if it names none."""
    line = re.search(r" line (\d+)$", problem.where)
    return int(line[1]) if line else 0


def _overlay(table: JsonObject, environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Put the variables' values into `table`; return which value came from which variable."""
    sources: dict[tuple[str, ...], str] = {}
    for name, raw in environment.items():
        if match := VARIABLE.fullmatch(name):
            section, key = match[1].lower(), match[2].lower()
            place = table.setdefault(section, {})
            if isinstance(place, dict):
                place[key] = _value(raw)
                sources[(section, key)] = name
    return sources


def _value(raw: str) -> Any:
    """Return a TOML value; anything else is a text."""
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except (ValueError, RecursionError):
        return raw


def _known(place: tuple[str, ...], model: type[BaseModel]) -> list[str]:
    if not place:
        return list(model.model_fields)
    section = model.model_fields.get(place[0])
    kind = section.annotation if section else None
    kind = next(reversed(get_args(kind)), kind) if get_origin(kind) is dict else kind
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _line(text: str, place: tuple[str, ...]) -> str:
    """` line 7` of the key, found by reading the tables in order; empty if it is unknown."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([\w.]+)\]", line):
            section = header[1]
            if place == tuple(section.split(".")):
                return f" line {number}"
        elif key := re.match(r"\s*([\w-]+)\s*=", line):
            found = (*filter(None, section.split(".")), key[1])
            if found == place[: len(found)]:
                return f" line {number}"
    return ""
