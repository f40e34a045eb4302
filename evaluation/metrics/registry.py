"""The metrics by name. A primary metric is one that scores each item by itself, so that arms can be paired."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluation.metrics.own import load, own_metrics
from workspace.errors import RungError, did_you_mean

ITEM_METRICS = {
    "exact_match": "exact match",
    "normalised_match": "match, normalised",
    "accuracy": "accuracy",
    "token_f1": "token F1",
    "numeric": "numeric match",
    "json_valid": "valid JSON",
    "json_schema": "valid by schema",
    "json_fields": "JSON field F1",
    "regex": "matches the pattern",
    "bleu": "sentence BLEU",
    "chrf": "sentence chrF",
    "rouge": "ROUGE",
    "code": "passes its tests",
    "judge": "judged by a model",
}
"""Name of each module here that scores single items, and the words for it on a screen."""
NEEDS_ARGUMENT = {"regex": "regex:PATTERN", "json_schema": "json_schema:FILE"}
SETS_ONLY = ("f1", "macro_f1", "micro_f1", "perplexity", "refusal")


@dataclass(frozen=True, slots=True)
class ItemMetric:
    """A metric of single items: `spec` as in rung.toml (`numeric:0.01`), `words` for screens, `score` gives 0..1.

    `file` is the project's own, or None. With `by_tests` the row's key `tests` stands in for the expected answer; where
    `judged`, a model scores and `score` is not called.
    """

    spec: str
    words: str
    score: Callable[[str, str], float]
    file: Path | None = None
    by_tests: bool = False
    judged: bool = False


def item_metric(spec: str, root: Path | None = None) -> ItemMetric:
    """The metric that `[evaluation] metric` names; `root` is the folder that file arguments are relative to.

    Raises RungError for an unknown name (with "did you mean"), a metric of whole sets, or a wrong argument.
    """
    name, _, argument = spec.partition(":")
    own = own_metrics(root) if root is not None else {}
    if name in own and name in ITEM_METRICS:
        raise RungError(f"metrics/{name}.py has the name of a metric of Rung's own; rename it.", where="rung.toml")
    if name in own and root is not None:
        words, score = load(root, own[name])
        return ItemMetric(spec, words, score, own[name])
    if name not in ITEM_METRICS:
        raise _unknown(name, own)
    return _known(spec, name, argument, root)


def _known(spec: str, name: str, argument: str, root: Path | None) -> ItemMetric:
    if name == "judge":
        return ItemMetric(spec, ITEM_METRICS[name], _not_alone, judged=True)
    if name in NEEDS_ARGUMENT and not argument:
        raise RungError(f'metric = "{spec}": say which, as in "{NEEDS_ARGUMENT[name]}".', where="rung.toml")
    module = importlib.import_module(f"evaluation.metrics.{name}")
    words = ITEM_METRICS[name]
    if not hasattr(module, "make"):
        return ItemMetric(spec, words, module.score, by_tests=name == "code")
    if name == "json_schema" and root is not None:
        argument = str(root / argument)
    try:
        return ItemMetric(spec, words, module.make(argument) if argument else module.make())
    except ValueError as error:
        raise RungError(f'metric = "{spec}": {error}.', where="rung.toml") from error


def _not_alone(output: str, expected: str) -> float:
    raise RungError('metric = "judge": a model scores, with the question beside the answer.', where="rung.toml")


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
