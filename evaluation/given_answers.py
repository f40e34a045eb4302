"""Runs whose weights are not asked here: a server has one under a name, or a file has its answers; and that file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chat.protocols import Ask, Progress, Reply, Turn
from evaluation.bench import Bench
from evaluation.measure import EvalItem
from workspace.errors import InputError, Problem
from workspace.files import line_problems, sha256_file


@dataclass(frozen=True, slots=True)
class ServedRun:
    """`name` is what the server at `host` is asked for, `arms` the model there that the arms were asked of."""

    name: str
    host: str
    arms: str

    @property
    def arms_of(self) -> str:
        """The arms' model as reports name it."""
        return f"{self.arms} ({self.host})"

    @property
    def place(self) -> str:
        """Return what was asked, and where."""
        return f"{self.name} at {self.host}"

    def model_of(self, run: str) -> str:
        """Return the tuned model as reports name it, and as its answers are kept: of this run and no other."""
        return f"{self.name} ({self.host}), said to be {run}"

    def notes(self, run: str, base: str) -> list[str]:
        """Return notes on what nobody checked; `base` is the base model of the run."""
        told = [
            f"{run} was asked as {self.name} at {self.host}; Rung did not check that this name refers to its weights."
        ]
        if base and base != self.arms:
            told.append(
                f"{run} was trained from {base}, the arms were asked of {self.arms}: whether that is one model was not "
                "checked."
            )
        return told


FORM = '{"item": 1, "output": "..."}'


@dataclass(frozen=True, slots=True)
class GivenRun:
    """A run whose answers are in a file: nobody saw which weights wrote them."""

    file: str

    @property
    def name(self) -> str:
        """Return the name in reports of what was scored."""
        return self.place

    @property
    def place(self) -> str:
        """Return the origin of the answers."""
        return f"the answers in {self.file}"

    def notes(self, run: str, base: str) -> list[str]:
        """Return notes on what nobody checked."""
        return [f"{run} was scored by {self.place}; that its weights wrote them was not checked."]


class GivenAnswers:
    """A ChatModel that says what the file has for an item; `name` holds the file's hash."""

    is_local = True
    can_choose = False

    def __init__(self, path: Path, outputs: Mapping[str, str]) -> None:
        self.name = f"answers in {path.name} ({sha256_file(path)[:8]})"
        self.outputs = outputs

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """Return one reply for each ask, in order."""
        return [Reply(self.outputs[_key(ask.turns)], 0, 0, 0.0) for ask in asks]


def with_given(bench: Bench, path: Path) -> Bench:
    """Return the bench with the answers of a file, and nothing to choose: the file answers test items alone."""
    desk = replace(bench.desk, model=read_given(path, bench.items))
    return replace(bench, desk=desk, rows=replace(bench.rows, validation=(), validation_ids=()))


def read_given(path: Path, items: Sequence[EvalItem]) -> GivenAnswers:
    """Read a JSONL file of `{"item": line of test.jsonl, "output": text}`, one for each item.

    Raises InputError with all problems: a line of another form, an item twice, unknown or missing, and two items with
    one question and two outputs (a model that is asked once gives one answer).
    """
    wanted = {item.number: item for item in items}
    found: dict[int, str] = {}
    outputs: dict[str, str] = {}

    problems = line_problems(path, FORM, lambda line: _take(line, wanted, found, outputs))
    missing = sorted(wanted.keys() - found.keys())
    if missing and not problems:
        shown = ", ".join(map(str, missing[:10])) + (" ..." if len(missing) > 10 else "")
        problems.append(Problem(f"no answer to {len(missing)} items: {shown}.", path.name, FORM))
    if problems:
        raise InputError(problems, "one line for each line of test.jsonl, from 1")
    return GivenAnswers(path, outputs)


def _take(line: str, wanted: Mapping[int, EvalItem], found: dict[int, str], outputs: dict[str, str]) -> str:
    """Keep the answer of a line, or return its fault."""
    try:
        row = json.loads(line)
        item, output = row["item"], row["output"]
    except (ValueError, TypeError, KeyError, RecursionError):
        item, output = None, None
    if type(item) is not int or not isinstance(output, str):
        return "is no answer to an item."
    if item not in wanted:
        return f"item {item} is not among the {len(wanted)} test items that are asked."
    if item in found:
        return f"item {item} has an answer already."
    if outputs.get(_key(wanted[item].turns), output) != output:
        return f"item {item} has the question of another item and another answer."
    found[item] = outputs[_key(wanted[item].turns)] = output
    return ""


def _key(turns: Sequence[Turn]) -> str:
    return json.dumps([dict(turn) for turn in turns if turn["role"] != "system"], sort_keys=True)
