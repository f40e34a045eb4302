"""The metrics by name. A primary metric is one that scores each item by itself, so that arms can be paired.

A project's own metric is `metrics/NAME.py` with `def score(output: str, expected: str) -> float`, in 0..1. It is code,
and runs with the rights of whoever measures: only after `rung trust`, and only as it was trusted.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from evaluation.metrics.json_documents import (
    fits_tools,
    json_fields,
    json_schema,
    json_valid,
    tool_args,
    tool_call,
    tool_name,
)
from evaluation.metrics.run_code import require_sandbox, run_code
from evaluation.metrics.text import accuracy, bleu, chrf, exact_match, normalised_match, numeric, regex, rouge, token_f1
from workspace.errors import RungError, did_you_mean
from workspace.trust import METRICS, codes, demand_code


def own_function(root: Path, path: Path, usage: str) -> tuple[ModuleType, Callable[..., Any]]:
    """Return the module of a file, and its function that `usage` names (`score(output, expected)`).

    Raises Refusal if this account has not trusted these very bytes, RungError where they do not load or have no
    such function.
    """
    name, code = f"{path.parent.name}/{path.name}", demand_code(root, path)
    module = ModuleType(f"rung_own_{path.parent.name}_{path.stem}")
    module.__file__ = str(path)
    try:  # these bytes: the file is not read again after its hash was compared
        exec(compile(code, str(path), "exec"), module.__dict__)  # nosec B102  what the person trusted
    except (Exception, SystemExit) as error:
        raise RungError(f"{name}: does not load ({type(error).__name__}: {error}).", where=name) from error
    found = getattr(module, usage.partition("(")[0], None)
    if not callable(found):
        raise RungError(f"{name}: has no function {usage}.", where=name)
    return module, found


FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)


def passes(output: str, tests: str) -> float:
    """Pass or not. Fenced blocks are run where there are some, else all of it. Raises RungError without tests."""
    if not tests.strip():
        raise RungError('metric = "code": a test row has no key "tests" with Python that checks the answer.')
    blocks = FENCE.findall(output)
    return float(run_code("\n".join(blocks) if blocks else output, tests).passed)


def _not_alone(output: str, expected: str) -> float:
    raise RungError('metric = "judge": only a judge model can score; it needs the question too.', where="rung.toml")


Score = Callable[[str, str], float]
ITEM_METRICS: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "exact_match": ("exact match", exact_match),
    "normalised_match": ("match, normalised", normalised_match),
    "accuracy": ("accuracy", accuracy),
    "token_f1": ("token F1", token_f1),
    "numeric": ("numeric match", numeric),
    "json_valid": ("valid JSON", json_valid),
    "json_schema": ("valid by schema", json_schema),
    "json_fields": ("JSON field F1", json_fields),
    "tool_name": ("right tools called", tool_name),
    "tool_args": ("tool argument F1", tool_args),
    "tool_call": ("right tool calls", tool_call),
    "regex": ("matches the pattern", regex),
    "bleu": ("sentence BLEU", bleu),
    "chrf": ("sentence chrF", chrf),
    "rouge": ("ROUGE", rouge),
    "code": ("passes its tests", passes),
    "judge": ("judged by a model", _not_alone),
}
"""The metrics of single items: the words for each on a screen, and its score; of `MADE`, what makes the score."""
MADE = ("numeric", "json_schema", "regex", "rouge")
"""Metrics that are made from the argument after the colon."""
NEEDS_ARGUMENT = {"regex": "regex:PATTERN", "json_schema": "json_schema:FILE"}
SETS_ONLY = ("f1", "macro_f1", "micro_f1", "perplexity", "refusal")


@dataclass(frozen=True, slots=True)
class ItemMetric:
    """A metric of single items: `spec` as in rung.toml (`numeric:0.01`), `words` for screens, `score` gives 0..1.

    `file` is the project's own, or None. With `by_tests` the row's key `tests` replaces the expected answer; where
    `judged`, a model scores and `score` is not called. With `by_tools` calls must fit the row's tools as well.
    """

    spec: str
    words: str
    score: Score
    file: Path | None = None
    by_tests: bool = False
    judged: bool = False
    by_tools: bool = False

    def of_row(self, output: str, expected: str, tests: str, tools: object) -> float:
        """Return the score of an output for a row with this answer, these tests and tools."""
        score = self.score(output, tests if self.by_tests else expected)
        return score if not self.by_tools or fits_tools(output, tools) else 0.0


def item_metric(spec: str, root: Path | None = None) -> ItemMetric:
    """Return the metric that `[evaluation] metric` names; `root` is the folder that file arguments are relative to.

    Raises RungError for an unknown name (with "did you mean"), a metric of whole sets, or a wrong argument.
    """
    name, _, argument = spec.partition(":")
    own = {path.stem: path for path in codes(root, METRICS)} if root is not None else {}
    if name in own and name in ITEM_METRICS:
        raise RungError(f"metrics/{name}.py has the name of a metric of Rung's own; rename it.", where="rung.toml")
    if name in own and root is not None:
        words, score = _load_own(root, own[name])
        return ItemMetric(spec, words, score, own[name])
    if name not in ITEM_METRICS:
        raise _unknown(name, own)
    return _known(spec, name, argument, root)


def _known(spec: str, name: str, argument: str, root: Path | None) -> ItemMetric:
    if name in NEEDS_ARGUMENT and not argument:
        raise RungError(f'metric = "{spec}": say which, as in "{NEEDS_ARGUMENT[name]}".', where="rung.toml")
    words, score = ITEM_METRICS[name]
    if name == "code":
        require_sandbox()
    if name == "json_schema" and root is not None:
        argument = str(root / argument)
    try:
        score = score if name not in MADE else score(argument) if argument else score()
    except ValueError as error:
        raise RungError(f'metric = "{spec}": {error}.', where="rung.toml") from error
    return ItemMetric(spec, words, score, by_tests=name == "code", judged=name == "judge", by_tools=name == "tool_call")


def _unknown(name: str, own: Mapping[str, Path]) -> RungError:
    if name in SETS_ONLY:
        return RungError(
            f'metric = "{name}": it scores a whole set, and a paired verdict needs a score for each item. '
            "It is printed beside the primary metric.",
            'metric = "accuracy"',
            where="rung.toml",
        )
    known = [*ITEM_METRICS, *own]
    hint = did_you_mean(name, known)
    return RungError(f'metric = "{name}": unknown.{hint} Known: {", ".join(known)}.', where="rung.toml")


def _load_own(root: Path, path: Path) -> tuple[str, Score]:
    """Return the metric's words (the first line of its docstring, else its name) and its checked `score`.

    Raises Refusal if this account has not trusted these very bytes, RungError where they do not load or have no
    `score`.
    """
    name = f"{METRICS}/{path.name}"
    module, score = own_function(root, path, "score(output, expected)")
    words = (module.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return words or path.stem.replace("_", " "), lambda output, expected: _checked(name, score, output, expected)


def _checked(name: str, score: Callable[[str, str], object], output: str, expected: str) -> float:
    """Return the score of one item. An error names the item: a silent 0 would favour the arm it hits least."""
    item = f"on the output {output[:80]!r}, expected {expected[:80]!r}"
    kept = "All answers are kept; correct the metric and run the same command."
    try:
        found = score(output, expected)
    except (Exception, SystemExit) as error:
        raise RungError(f"{name}: {type(error).__name__}: {error}, {item}. {kept}", where=name) from error
    if not isinstance(found, bool | int | float) or not math.isfinite(found) or not 0 <= found <= 1:
        raise RungError(f"{name}: gave {found!r}, not a number in 0..1, {item}. {kept}", where=name)
    return float(found)
