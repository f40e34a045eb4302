"""Would the tests notice? Small faults put into advisor, split, leakage, verdict, locks, review and security.

    python benchmarks/mutants.py [AREA...] [--count 20] [--skip 0] [--seed 13] [--minutes 10] [--jobs 2]

So many faults an area, drawn by a seed, as far as the minutes for an area reach: a comparison turned or shifted,
`and` for `or`, a `not` taken away, a number one higher, a sign turned. Each is written into a copy of the source tree,
where the area's own tests, and the processes that they start, run until the first that fails. Survivors are printed
with file and line. With --skip a run goes on where one with the same --count ended.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[1]
LONGEST = 600
"""Seconds after which a fault that makes the tests hang counts as seen."""
AREAS = {
    "advisor": (["advisor/decide.py", "advisor/ladder.py", "advisor/conditions.py"],
                ["tests/advisor/test_decide.py", "tests/advisor/test_worked_cases.py",
                 "tests/advisor/test_rulebook.py", "tests/advisor/test_conditions.py", "tests/advisor/test_ladder.py"]),
    "split": (["curation/split/split.py"],
              ["tests/curation/test_split.py", "tests/curation/test_timesplit.py",
               "tests/curation/test_split_edges.py"]),
    "leakage": (["curation/likeness/leaks/find.py", "curation/likeness/leaks/judge.py",
                 "curation/likeness/leaks/weigh.py", "curation/likeness/hashing.py"],
                ["tests/curation/test_leakage.py", "tests/curation/test_leakage_edges.py",
                 "tests/curation/test_leakage_labels.py"]),
    "verdict": (["evaluation/verdict/compare.py", "evaluation/verdict/rule.py", "evaluation/verdict/intervals.py"],
                ["tests/evaluation/test_compare_formulas.py", "tests/evaluation/test_compare.py",
                 "tests/evaluation/test_trainings.py", "tests/evaluation/test_verdict.py",
                 "tests/evaluation/test_clusters.py", "tests/evaluation/test_judge.py",
                 "tests/evaluation/test_metrics.py"]),
    "clearance": (["training/gates/clearance.py", "training/gates/checks.py"],
                  ["tests/training/test_locks.py", "tests/training/test_gate_policy.py",
                   "tests/training/test_gate_findings.py",
                   "tests/training/test_preferences.py::test_a_plan_is_for_the_pairs_that_it_counted"]),
    "review": (["curation/split/audit.py", "curation/review/progress.py",
                "curation/review/ruling.py", "curation/review/decisions.py"],
               ["tests/review/test_freeze_gates.py", "tests/review/test_review_policy.py",
                "tests/review/test_policies.py", "tests/review/test_review.py", "tests/review/test_figures.py",
                "tests/review/test_freeze.py", "tests/review/test_waiting.py", "tests/review/test_masked.py",
                "tests/review/test_call_rows.py",
                "tests/web/test_routes.py",
                "tests/review/test_cli.py::test_a_failed_sample_is_said_at_once_and_everywhere"]),
    "security": (["workspace/untar.py", "workspace/trust.py", "chat/keys.py", "chat/privacy.py"],
                 ["tests/workspace/test_untar.py", "tests/chat/test_privacy.py", "tests/security/test_archives.py",
                  "tests/security/test_secrets.py", "tests/security/test_keyring.py", "tests/security/test_trust.py",
                  "tests/evaluation/test_own_metrics.py", "tests/docs/test_security.py"]),
}  # fmt: skip
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


class Copies:
    """Copies of the source tree, one a job, into which faults are written."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self.free: queue.Queue[Path] = queue.Queue()
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, check=True).stdout
        for number in range(jobs):
            copy = folder / str(number)
            for name in filter(None, listed.split("\0")):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(TOP / name, copy / name)
            self.free.put(copy)

    def is_seen(self, mutant: Mutant | None, tests: list[str]) -> bool:
        """Whether some test fails with this fault in place; without one, whether they fail anyway."""
        copy = self.free.get()
        try:
            if mutant is not None:
                self._write(copy / mutant.file, mutant.source)
            near = tests if mutant is None else sorted(tests, key=lambda test: not _names(test, mutant.file))
            command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n", "0", *near]
            environment = {**os.environ, "PYTHONPATH": str(copy)}
            return bool(
                subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=LONGEST).returncode
            )
        except subprocess.TimeoutExpired:
            return True
        finally:
            if mutant is not None:
                self._write(copy / mutant.file, (TOP / mutant.file).read_text())
            self.free.put(copy)

    def _write(self, path: Path, source: str) -> None:
        """Python takes compiled code for current that has the file's second and size: it goes first."""
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
        path.write_text(source)


def _names(test: str, file: str) -> bool:
    """Whether a file of tests names the module: those run first, as they see its faults soonest."""
    module = file.removesuffix(".py").replace("/", ".")
    return module in (TOP / test.partition("::")[0]).read_text()


def main() -> None:
    """Try the areas and print one table, then what no test saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("areas", nargs="*", choices=[*AREAS, []], default=[])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--skip", type=int, default=0, help="of the faults drawn, how many were tried before")
    parser.add_argument("--seed", type=int, default=13, help="another one draws other faults")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    print("| area | faults that can be put in | tried | seen by a test | score |\n|---|---|---|---|---|", flush=True)
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.jobs) as jobs:
        copies = Copies(Path(folder), asked.jobs)
        for area in asked.areas or AREAS:
            survivors += examine(area, copies, jobs, asked)
    for mutant in survivors:
        print(f"not seen: {mutant.file}:{mutant.line}: {mutant.what}")


def examine(area: str, copies: Copies, jobs: ThreadPoolExecutor, asked: argparse.Namespace) -> list[Mutant]:
    """Try an area's faults, print its line, and return those that no test saw."""
    files, tests = AREAS[area]
    everything = [mutant for file in files for mutant in mutants(file)]
    drawn = random.Random(asked.seed).sample(everything, min(asked.count, len(everything)))[asked.skip :]
    assert not copies.is_seen(None, tests), f"{area}: the tests fail without any fault"
    end, missed = time.monotonic() + asked.minutes * 60, []

    def tried(mutant: Mutant) -> bool:
        if time.monotonic() > end:
            return False
        seen = copies.is_seen(mutant, tests)
        missed.extend([] if seen else [mutant])
        print(f"{mutant.file}:{mutant.line}: {mutant.what}: {'seen' if seen else 'NOT SEEN'}", file=sys.stderr)
        return True

    number = sum(jobs.map(tried, drawn))
    found = number - len(missed)
    print(f"| {area} | {len(everything)} | {number} | {found} | {found / max(1, number):.0%} |", flush=True)
    return missed


if __name__ == "__main__":
    main()
