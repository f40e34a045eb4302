"""Would the tests notice? Small faults put into advisor, split, leakage, verdict and clearance, and how many are seen.

    python -P benchmarks/mutants.py [AREA...] [--count 20] [--skip 0] [--minutes 10]

So many faults an area, drawn by a fixed seed, as far as the minutes for an area reach: a comparison turned or shifted,
`and` for `or`, a `not` taken away, a number one higher, a sign turned. Each is tried in a fork of this process in which
only the faulty module is other than it is; the area's own tests run until the first that fails. Survivors are printed
with file and line. With --skip a run goes on where one with the same --count ended.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.machinery
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings

TOP = Path(__file__).resolve().parents[1]
SEED = 13
CPU_SECONDS = 120
DRAWN = (Phase.explicit, Phase.generate)
"""Properties are tried on the same examples each time; a failing one is enough, it is not made smaller."""
AREAS = {
    "advisor": (["advisor/decide.py", "advisor/engine.py", "advisor/conditions.py"],
                ["tests/advisor/test_decide.py", "tests/advisor/test_worked_cases.py",
                 "tests/advisor/test_rulebook.py", "tests/advisor/test_conditions.py", "tests/advisor/test_ladder.py"]),
    "split": (["curation/split.py", "curation/timesplit.py"],
              ["tests/curation/test_split.py", "tests/curation/test_timesplit.py",
               "tests/curation/test_split_edges.py"]),
    "leakage": (["curation/leakage/find.py", "curation/leakage/judge.py", "curation/leakage/weigh.py",
                 "curation/leakage/grams.py"],
                ["tests/curation/test_leakage.py", "tests/curation/test_leakage_edges.py"]),
    "verdict": (["evaluation/compare.py", "evaluation/verdict.py", "evaluation/intervals.py"],
                ["tests/evaluation/test_compare_formulas.py", "tests/evaluation/test_compare.py",
                 "tests/evaluation/test_trainings.py", "tests/evaluation/test_verdict.py",
                 "tests/evaluation/test_metrics.py"]),
    "clearance": (["training/clearance.py", *(f"training/gates/{gate}.py" for gate in
                                              ("decision", "dataset", "review", "leakage", "baseline", "machine"))],
                  ["tests/training/test_locks.py", "tests/training/test_overridden.py",
                   "tests/training/test_gate_policy.py",
                   "tests/training/test_gate_findings.py",
                   "tests/training/test_preferences.py::test_a_plan_is_for_the_pairs_that_it_counted"]),
}  # fmt: skip
THIRD = ("pytest", "hypothesis", "numpy", "scipy.stats", "pydantic", "sqlalchemy", "alembic.command", "msgspec",
         "numba", "sklearn.linear_model")  # fmt: skip
TURNED: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One fault: where, what it does, and the source with it."""

    file: str
    line: int
    what: str
    source: str


def mutants(file: str) -> Iterator[Mutant]:
    """Every fault that can be put into a file, one at a time."""
    text = (TOP / file).read_text()
    count = len(list(places(ast.parse(text))))
    for number in range(count):
        tree = ast.parse(text)
        node, act, what = list(places(tree))[number]
        act()
        yield Mutant(file, node.lineno, what, ast.unparse(ast.fix_missing_locations(tree)))


def places(tree: ast.Module) -> Iterator[tuple[Any, Any, str]]:
    """Nodes inside functions, each with the act that hurts it and its words."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for node in (inner for statement in function.body for inner in ast.walk(statement)):
            if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
                new = TURNED[type(node.ops[0])]()
                yield node, lambda n=node, o=new: n.ops.__setitem__(0, o), f"{name(node.ops[0])} -> {name(new)}"
            elif isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in TURNED:
                new = TURNED[type(node.op)]()
                yield node, lambda n=node, o=new: setattr(n, "op", o), f"{name(node.op)} -> {name(new)}"
            elif isinstance(node, ast.If | ast.IfExp) and isinstance(node.test, ast.UnaryOp):
                yield node, lambda n=node: setattr(n, "test", n.test.operand), "not -> "
            elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
                yield node, lambda n=node: setattr(n, "value", n.value + 1), f"{node.value} -> {node.value + 1}"


def name(node: ast.AST) -> str:
    return type(node).__name__


class Faulty(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from other source."""

    def __init__(self, module: str, mutant: Mutant) -> None:
        self.module, self.mutant = module, mutant

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.module:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(TOP / self.mutant.file))

    def exec_module(self, module: Any) -> None:
        module.__file__ = str(TOP / self.mutant.file)
        exec(compile(self.mutant.source, module.__file__, "exec"), module.__dict__)


def is_seen(mutant: Mutant | None, tests: list[str]) -> bool:
    """Whether some test fails with this fault in place; without one, whether they fail anyway."""
    pid = os.fork()
    if not pid:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        if mutant is not None:
            sys.meta_path.insert(0, Faulty(mutant.file.removesuffix(".py").replace("/", "."), mutant))
        import pytest

        settings.register_profile("mutants", database=None, derandomize=True, phases=DRAWN)
        settings.load_profile("mutants")
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *tests])
        os._exit(int(code))
    return os.waitpid(pid, 0)[1] != 0


def main() -> None:
    """Try the areas and print one table, then what no test saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("areas", nargs="*", choices=[*AREAS, []], default=[])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--skip", type=int, default=0, help="of the faults drawn, how many were tried before")
    parser.add_argument("--minutes", type=float, default=10)
    asked = parser.parse_args()
    os.chdir(TOP)
    sys.path.insert(0, str(TOP))
    for module in THIRD:
        importlib.import_module(module)
    print("| area | faults that can be put in | tried | seen by a test | score |\n|---|---|---|---|---|", flush=True)
    survivors: list[Mutant] = []
    for area in asked.areas or AREAS:
        survivors += examine(area, asked.count, asked.skip, asked.minutes * 60)
    for mutant in survivors:
        print(f"not seen: {mutant.file}:{mutant.line}: {mutant.what}")


def examine(area: str, count: int, skip: int, seconds: float) -> list[Mutant]:
    """Try an area's faults, print its line, and return those that no test saw."""
    files, tests = AREAS[area]
    everything = [mutant for file in files for mutant in mutants(file)]
    drawn = random.Random(SEED).sample(everything, min(count, len(everything)))[skip:]
    assert not is_seen(None, tests), f"{area}: the tests fail without any fault"
    end, tried, missed = time.monotonic() + seconds, 0, []
    for mutant in drawn:
        if time.monotonic() > end:
            break
        seen = is_seen(mutant, tests)
        tried += 1
        missed += [] if seen else [mutant]
        print(f"{mutant.file}:{mutant.line}: {mutant.what}: {'seen' if seen else 'NOT SEEN'}", file=sys.stderr)
    found = tried - len(missed)
    print(f"| {area} | {len(everything)} | {tried} | {found} | {found / max(1, tried):.0%} |", flush=True)
    return missed


if __name__ == "__main__":
    main()
