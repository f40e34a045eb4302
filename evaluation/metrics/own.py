"""A project's own metric: `metrics/NAME.py` with `def score(output: str, expected: str) -> float`, in 0..1.

It is code, and runs with the rights of whoever measures: only after the account's owner trusted the project's folder.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from workspace.errors import Refusal, RungError
from workspace.trust import is_trusted

FOLDER = "metrics"


def own_metrics(root: Path) -> dict[str, Path]:
    """The project's metric files by name; links that lead out of the folder are left out."""
    folder = root / FOLDER
    files = [p for p in sorted(folder.glob("*.py")) if re.fullmatch(r"[a-z][a-z0-9_]*", p.stem)]
    return {p.stem: p for p in files if p.is_file() and p.resolve().parent == folder.resolve()}


def load(root: Path, path: Path) -> tuple[str, Callable[[str, str], float]]:
    """The metric's words (the first line of its docstring, else its name) and its checked `score`.

    Raises Refusal where the folder is not trusted, RungError where the file does not load or has no `score`.
    """
    name = f"{FOLDER}/{path.name}"
    if not is_trusted(root):
        raise Refusal(
            f"{name} is code of this project and would run with your rights. Read it, then trust this folder once.",
            "rung trust",
            where=name,
        )
    module = _module(path, name)
    score = getattr(module, "score", None)
    if not callable(score):
        raise RungError(f"{name}: has no function score(output, expected).", where=name)
    words = (module.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return words or path.stem.replace("_", " "), lambda output, expected: _checked(name, score, output, expected)


def _module(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"rung_own_metric_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise RungError(f"{name}: does not load ({type(error).__name__}: {error}).", where=name) from error
    return module


def _checked(name: str, score: Callable[[str, str], object], output: str, expected: str) -> float:
    """The score of one item. What fails is said with the item: a silent 0 would favour whichever arm it hits least."""
    item = f"on the output {output[:80]!r}, expected {expected[:80]!r}"
    kept = "All answers are kept; mend the metric and run the same command."
    try:
        found = score(output, expected)
    except (Exception, SystemExit) as error:
        raise RungError(f"{name}: {type(error).__name__}: {error}, {item}. {kept}", where=name) from error
    if not isinstance(found, bool | int | float) or not math.isfinite(found) or not 0 <= found <= 1:
        raise RungError(f"{name}: gave {found!r}, not a number in 0..1, {item}. {kept}", where=name)
    return float(found)
