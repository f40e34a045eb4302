"""Commands as tools: the options that an agent may give, their schemas, and the command line that a call becomes."""

import functools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rung.cli import command
from workspace.errors import InputError, Problem, RungError, did_you_mean
from workspace.json_types import JsonObject

READS = {
    "status": "",
    "doctor": "",
    "questions": "",
    "advise": "answers as_of what_if logs",
    "rules show": "rule_id",
    "data check": "files format threshold smallest_class question answer system",
    "data convert": "source out format to rejects question answer system",
    "data dedup": "sources out threshold removed pairs rejects",
    "data leakage": "train test clean",
    "review status": "",
    "estimate": "model method rank targets batch length optimizer gpus gpu rows epochs price fit",
    "plan": "method objective",
    "runs list": "",
    "verdict": "run scores chosen margin",
    "why": "ref",
    "share": "output",
}
"""Commands that an agent may run -> the parameters that it may give. All other commands are for a person."""

WRITES = {
    "advise": "decision.json, worked out again from the answers that a person gave",
    "plan": "a plan; it trains nothing",
    "data convert": "the file `out`",
    "data dedup": "the file `out`",
    "data leakage": "the file `clean`, where given",
    "share": "the page `output`",
}
"""Files that each writing command produces."""

OUTPUTS = ("out", "output", "removed", "pairs", "rejects", "clean")
INPUTS = ("answers", "files", "logs", "model", "rows", "scores", "source", "sources", "train", "test")
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".html")
"""Endings of a file that an agent may have written."""

OWN = (
    *("datasets", "evaluations", "plans", "runs", "releases", "watch", "decision.json"),
    *("prompts", "documents", "metrics", "arms", "rules"),
)
"""Files that Rung writes or reads in a project: an agent may not write there."""

NOT_TOOLS = ("demo", "mcp", "runs watch", "review serve", "locate")
"""Commands that are of no use to an agent, or never end."""

SHOW_ROWS = ("data ", "why")
"""First words of the commands whose results can quote rows."""

PERSONAL = {"--by": "NAME", "--reason": "TEXT", "--reviewer": "NAME", "--rater": "NAME", "--decided-by": "NAME"}
"""Options that hold what only the person can say -> what the command has in their place."""


@dataclass(frozen=True, slots=True)
class AgentTool:
    """One command of the tree. `given` are the parameters that an agent may give; None if a person starts it."""

    words: str
    command: Any
    given: tuple[Any, ...] | None

    @property
    def name(self) -> str:
        """`data check` -> `data_check`."""
        return self.words.replace(" ", "_").replace("-", "_")

    @property
    def about(self) -> str:
        """Return the command's help, with what it writes or who starts it."""
        said = " ".join((self.command.help or "").split())
        if self.given is None:
            return f"For a person: starts nothing, answers with the command that they can run. {said.split('. ')[0]}"
        return f"{said} Writes {WRITES[self.words]}." if self.words in WRITES else said

    def schema(self) -> JsonObject:
        """Return the JSON schema of the arguments."""
        if self.given is None:
            words = {"type": "array", "items": {"type": "string"}, "description": "What follows the command's name."}
            return {"type": "object", "properties": {"arguments": words}, "additionalProperties": False}
        fields = {_name(param): {**_schema(param), "description": param.help or ""} for param in self.given}
        needed = [_name(param) for param in self.given if param.required]
        return {"type": "object", "properties": fields, "required": needed, "additionalProperties": False}


def _name(param: Any) -> str:
    """`--smallest-class` -> `smallest_class`; an argument's own name."""
    return str(param.name) if param.param_type_name == "argument" else _option(param)[2:].replace("-", "_")


def _option(param: Any) -> str:
    return next(opt for opt in map(str, param.opts) if opt.startswith("--"))


def _type(param: Any) -> TypeAdapter[Any]:
    return TypeAdapter(param.type_descriptor.annotation)


def _schema(param: Any) -> JsonObject:
    schema = _type(param).json_schema()
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    return {**kinds[0], **({"default": param.default} if isinstance(param.default, str | int | float) else {})}


@functools.cache
def agent_tools() -> dict[str, AgentTool]:
    """Return every tool by its name: first those that an agent may run, in the order of `READS`."""
    found = {words: _tool(words, each) for words, each in _walk(command(), "") if words not in NOT_TOOLS}
    return {tool.name: tool for tool in [found.pop(words) for words in READS] + list(found.values())}


def _walk(group: Any, above: str) -> Iterator[tuple[str, Any]]:
    for name, each in group.commands.items():
        words = f"{above} {name}".strip()
        if not each.hidden:
            below = getattr(each, "commands", None)
            if below is None or words in READS:
                yield words, each
            if below is not None:
                yield from _walk(each, words)


def _tool(words: str, each: Any) -> AgentTool:
    if words not in READS:
        return AgentTool(words, each, None)
    params = {_name(param): param for param in each.params if param.opts}
    return AgentTool(words, each, tuple(params[name] for name in READS[words].split()))


def command_line(tool: AgentTool, arguments: Mapping[str, Any], root: Path) -> list[str]:
    """Return the words after `rung` for a call. Raises InputError with all that is wrong with the arguments."""
    given = {_name(param): param for param in tool.given or ()}
    problems = [
        Problem(f"{tool.name} has no argument {name!r} for an agent.{did_you_mean(name, given)}", name)
        for name in arguments
        if name not in given
    ]
    problems += [Problem("missing.", n, "a value") for n, p in given.items() if p.required and n not in arguments]
    options, places = list[str](), list[str]()
    for name in given.keys() & arguments.keys():
        try:
            values = _values(given[name], arguments[name], root)
        except (ValidationError, RungError) as error:
            text = error.message if isinstance(error, RungError) else error.errors()[0]["msg"]
            problems.append(Problem(text, name, found=str(arguments[name])[:60]))
            continue
        if given[name].param_type_name == "argument":
            places += values
        else:
            options += [f"{_option(given[name])}={value}" for value in values]
    if problems:
        raise InputError(problems, f"the schema of {tool.name} lists its arguments")
    return [*tool.words.split(), *options, "--json", *(["--", *places] if places else [])]


def _values(param: Any, value: Any, root: Path) -> list[str]:
    """Return the values as words. Raises ValidationError for another type, RungError for a path that is not allowed."""
    read = _type(param).validate_python(value)
    texts = [str(each) for each in (read if isinstance(read, list) else [read])]
    for text in texts:
        if _name(param) in INPUTS + OUTPUTS:
            _check_path(text, root, is_output=_name(param) in OUTPUTS)
    return texts


def _check_path(text: str, root: Path, *, is_output: bool) -> None:
    place = (root / text).resolve()
    if text == "-" or "://" in text or not place.is_relative_to(root):
        raise RungError(f"{text}: not in {root}; an agent names files in this folder only.")
    if not is_output:
        return
    inner = place.relative_to(root).parts
    if place.exists():
        raise RungError(f"{text}: exists, and an agent replaces no file.", "name a new file")
    if place.suffix not in SUFFIXES or any(part.startswith(".") for part in inner) or inner[0] in OWN:
        raise RungError(f"{text}: not a place for an agent's files.", f"a new file that ends in {', '.join(SUFFIXES)}")


def person_command(tool: AgentTool, arguments: Sequence[str]) -> str:
    """Return the command for a person to run: their name and reason are theirs to fill in, nothing is confirmed."""
    words, left = list[str](), list(arguments)
    while left:
        word = left.pop(0)
        option, equals, _ = word.partition("=")
        if option in PERSONAL:
            words += [option, PERSONAL[option]]
            del left[: 0 if equals else 1]
        elif word not in ("-y", "--yes"):
            words.append(word)
    return shlex.join(["rung", *tool.words.split(), *words])
