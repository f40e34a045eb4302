"""Would the tests notice? Small faults put into advisor, split, leakage, verdict, locks, review and security.

    python benchmarks/mutants.py [AREA...] [--count 12] [--seed 13] [--minutes 28] [--jobs 2] [--tests PATH...]

So many faults an area, drawn by a seed: a comparison turned or shifted, `and` for `or`, a `not` taken away, a number
one higher, a sign turned. All faults are in one copy of the tree, each behind a switch. It goes in rounds. Each fault
that no test has seen, and for which few tests are left, names the next file of tests: the one with the shortest chain
of imports to the fault's file. It runs without faults, which shows the tests that come past each place;
build/mutants.json keeps this until the file changes. Then tests that come past a fault run with it, in a fork, until
one fails: those of up to 4 seconds in the first round, of twice as long in each later one; first the quick ones, and
those that saw other faults. It ends with the last test, or after --minutes. Processes that tests start have the fault
too. Survivors are printed with file and line. A test that fails without a fault sees none.
"""

from __future__ import annotations

import argparse
import ast
import collections
import contextlib
import copy
import hashlib
import importlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple

TOP = Path(__file__).resolve().parents[1]
ORIGIN = Path(os.environ.get("MUTANTS_OF", TOP))
"""The tree that this one is a copy of, if it is one."""
FAULTS = TOP / "build" / "faults"
WHICH = "MUTANT"
"""The variable that says which fault is on, or the file in which to note the numbers of places that are reached."""
ENOUGH = 10
"""Tests left for a fault from which no further file is run for it."""
ROUND = 20
"""Seconds of tests for a fault, or of a file without one, in a round."""
LONGEST = 120
"""Seconds beyond these after which a fault that makes a test hang counts as seen."""
FAR = 99
"""Distance of a file of tests from a module to which no chain of imports leads."""
AREAS = {
    "advisor": ["advisor/decide.py", "advisor/ladder.py", "advisor/rulebook.py"],
    "split": ["curation/split/split.py"],
    "leakage": ["curation/likeness/leaks/find.py", "curation/likeness/leaks/weigh.py", "curation/likeness/hashing.py"],
    "verdict": ["evaluation/verdict/compare.py", "evaluation/verdict/rule.py", "evaluation/verdict/intervals.py"],
    "clearance": ["training/gates/clearance.py", "training/gates/checks.py"],
    "review": ["curation/split/audit.py", "curation/store/vouching.py", "curation/review/progress.py",
               "curation/review/ruling.py", "curation/review/service.py"],
    "security": ["workspace/untar.py", "workspace/trust.py", "chat/keys.py", "chat/privacy.py"],
}  # fmt: skip
TURNED: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip


class Fault(NamedTuple):
    """One fault: its switch, where it is, what it does, and a name that holds when other functions change."""

    number: int
    file: str
    line: int
    what: str
    name: str


class Writer(ast.NodeTransformer):
    """Puts every fault into the functions of a file: `a < b` becomes `a <= b if fault_is_on(7) else a < b`."""

    def __init__(self, file: str, found: list[Fault]) -> None:
        self.file, self.found, self.function = file, found, ""

    def visit(self, node: Any) -> Any:
        if isinstance(node, ast.FunctionDef):
            outer, self.function = self.function, f"{self.function}.{node.name}"
            node.body = [self.visit(statement) for statement in node.body]
            self.function = outer
            return node
        hurt = copy.deepcopy(node)
        changed = hurting(hurt) if self.function else None
        whole = self.generic_visit(node)
        if changed is None:
            return whole
        hurt, what = changed
        name = f"{self.file}{self.function}: {what}"
        name += f" {sum(fault.name.startswith(name) for fault in self.found)}"
        fault = Fault(len(self.found) + 1, self.file, node.lineno, what, name)
        self.found.append(fault)
        return ast.IfExp(ast.Call(ast.Name("fault_is_on"), [ast.Constant(fault.number)], []), hurt, whole)


def hurting(node: Any) -> tuple[ast.expr, str] | None:
    """The expression with a fault, and its words; None where there is none for it."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
        old, node.ops[0] = node.ops[0], TURNED[type(node.ops[0])]()
        return node, f"{type(old).__name__} -> {type(node.ops[0]).__name__}"
    if isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in TURNED:
        old, node.op = node.op, TURNED[type(node.op)]()
        return node, f"{type(old).__name__} -> {type(node.op).__name__}"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return node.operand, "not -> "
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return ast.Constant(node.value + 1), f"{node.value} -> {node.value + 1}"
    return None


def with_faults() -> tuple[list[Fault], dict[str, str]]:
    """All faults of the areas' files, and these files' source with them."""
    found: list[Fault] = []
    sources = {}
    for file in (file for files in AREAS.values() for file in files):
        tree = ast.parse((TOP / file).read_text())
        Writer(file, found).generic_visit(tree)
        heads = [
            n for n, each in enumerate(tree.body) if isinstance(each, ast.ImportFrom) and each.module == "__future__"
        ]
        switch = ast.parse("from benchmarks.mutants import fault_is_on").body
        tree.body[max(heads, default=0) + 1 : max(heads, default=0) + 1] = switch  # behind the docstring
        sources[file] = ast.unparse(ast.fix_missing_locations(tree))
    return found, sources


_past: set[int] = set()


def fault_is_on(number: int) -> bool:
    """True if this fault is on in the copy, in every process."""
    said = os.environ.get(WHICH, "")
    if said.startswith("/") and number not in _past:
        _past.add(number)
        with contextlib.suppress(OSError), Path(said).open("a") as file:
            file.write(f"{number}\n")
    return said == str(number)


def nearest(tests: set[str]) -> dict[str, list[str]]:
    """Return by product file its test files: first that with the shortest chain of imports to it, then by size."""
    import grimp

    graph = grimp.build_graph("workspace", "chat", "advisor", "curation", "evaluation", "training", "rung")
    imported = {}
    for test in sorted(tests, key=lambda test: (TOP / test).stat().st_size):
        named = [each for each in ast.walk(ast.parse((TOP / test).read_text())) if isinstance(each, ast.ImportFrom)]
        names = {name for each in named for name in (each.module, *(f"{each.module}.{a.name}" for a in each.names))}
        imported[test] = names & graph.modules

    def distance(test: str, module: str) -> int:
        chains = (graph.find_shortest_chain(name, module) or range(FAR) for name in imported[test] - {module})
        return 0 if module in imported[test] else min(map(len, chains), default=FAR)

    files = {file: file.removesuffix(".py").replace("/", ".") for files in AREAS.values() for file in files}
    return {file: sorted(imported, key=lambda test: distance(test, module)) for file, module in files.items()}


Task = tuple[int, list[str]]
"""A fault's number, or 0 for none, and the tests to run."""


class Runner:
    """A plugin of pytest in the copy: tests run in forks of the process that has them collected."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.end: float = time.monotonic() + 60 * asked.minutes
        self.out = os.fdopen(os.dup(1), "w", buffering=1)
        self.faults = [Fault(*each) for each in json.loads(FAULTS.read_text())]
        self.kept_in = ORIGIN / "build" / "mutants.json"
        self.kept: dict[str, Any] = json.loads(self.kept_in.read_text()) if self.kept_in.exists() else {}
        self.past: dict[str, list[tuple[float, str]]] = {}
        """Fault -> tests that reach it and were not tried with it, with their seconds."""
        self.noted: set[str] = set()
        self.tried, self.saw = collections.Counter[str](), collections.Counter[str]()
        self.results: dict[str, dict[str, Any]] = {}
        """Test -> in a fork: whether it failed, the seconds of set-up and test, and the places that each reached."""

    def pytest_runtestloop(self, session: Any) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self.files: dict[str, list[str]] = {}
        for test in self.items:
            self.files.setdefault(test.partition("::")[0], []).append(test)
        drawn = {area: self.draw(area) for area in self.asked.areas or AREAS}
        unseen = [fault for faults in drawn.values() for fault in faults]
        near = nearest(set(self.files))
        order = {fault: list(near[fault.file]) for fault in unseen}
        seconds = 4
        while any(order[fault] or self.past.get(fault.name) for fault in unseen) and self.in_time():
            few = [fault for fault in unseen if order[fault] and len(self.past.get(fault.name, [])) < ENOUGH]
            recorded = self.record({order[fault][0] for fault in few})
            for fault in few:
                order[fault] = [file for file in order[fault] if file not in recorded]
            unseen = self.try_with(unseen, seconds)
            seconds *= 2
        print("| area | faults | tried | seen by a test | score |\n|---|---|---|---|---|", file=self.out)
        for area, faults in drawn.items():
            every = sum(fault.file in AREAS[area] for fault in self.faults)
            seen = len(faults) - sum(fault in faults for fault in unseen)
            print(f"| {area} | {every} | {len(faults)} | {seen} | {seen / len(faults):.0%} |", file=self.out)
        for fault in unseen:
            tests = f"{self.tried[fault.name]} tests, {len(self.past.get(fault.name, []))} not tried"
            print(f"not seen: {fault.file}:{fault.line}: {fault.what}: {tests}", file=self.out)
        return True

    def draw(self, area: str) -> list[Fault]:
        every = [fault for fault in self.faults if fault.file in AREAS[area]]
        return random.Random(self.asked.seed).sample(every, min(self.asked.count, len(every)))

    def rank(self, timed: tuple[float, str]) -> float:
        """Seconds of a test, divided by the faults that it saw."""
        return timed[0] / (1 + self.saw[timed[1]])

    def in_time(self) -> bool:
        return time.monotonic() < self.end

    def record(self, files: set[str]) -> set[str]:
        """Run tests of each file without faults, unless it is as it was then, and note which come past a fault.

        Gives the files of which no test is left for another round.
        """
        for file in files:
            digest = hashlib.sha256((TOP / file).read_bytes()).hexdigest()
            if self.kept.get(file, [""])[0] != digest:
                self.kept[file] = digest, {}
        left = {file: [test for test in self.files[file] if test not in self.kept[file][1]] for file in sorted(files)}
        for (_, tests), results in self.forks([(0, tests) for tests in left.values() if tests]):
            broken = {tests[0]: {"failed": True, "seconds": [0, 0], "setup": [], "call": []}}
            self.kept[tests[0].partition("::")[0]][1].update(results or broken)
        self.kept_in.write_text(json.dumps(self.kept))
        for file in files:
            results = self.kept[file][1]
            shared = {name for result in results.values() for name in result["setup"]}  # each of its tests may see it
            longest = max((result["seconds"][0] for result in results.values()), default=0)
            for test in results.keys() & self.items.keys() - self.noted:
                for name in () if results[test]["failed"] else shared | set(results[test]["call"]):
                    self.past.setdefault(name, []).append((longest + results[test]["seconds"][1], test))
            self.noted |= results.keys()
        return {file for file in files if self.noted.issuperset(self.files[file])}

    def try_with(self, faults: list[Fault], most: float) -> list[Fault]:
        """Try each fault with tests of up to `most` seconds that come past it; return those that none saw."""
        unseen = {fault.number: fault for fault in faults}
        past = {fault.number: sorted(self.past.get(fault.name, []), key=self.rank) for fault in faults}
        tests = {number: [test for seconds, test in timed if seconds <= most] for number, timed in past.items()}
        for (number, _), results in self.forks([(number, tests[number]) for number in tests if tests[number]]):
            fault = unseen[number]
            self.tried[fault.name] += len(results)
            self.past[fault.name] = [each for each in self.past[fault.name] if each[1] not in results]
            seen = next((test for test, result in results.items() if result["failed"]), None)
            if seen or not results:
                del unseen[number]
                self.saw[str(seen)] += 1
                print(f"{fault.file}:{fault.line}: {fault.what}: seen by {seen or 'the end'}", file=self.out)
        return list(unseen.values())

    def forks(self, asked: list[Task]) -> Iterator[tuple[Task, dict[str, Any]]]:
        """Do each task in a fork, some at once; give it with its tests' results, none where the fork broke off."""
        running: dict[Any, tuple[Task, Any]] = {}
        while running or (asked and self.in_time()):
            while asked and self.in_time() and len(running) < self.asked.jobs:
                here, there = multiprocessing.Pipe(duplex=False)
                fork = multiprocessing.get_context("fork").Process(target=self.work, args=(*asked[0], there))
                fork.start()
                there.close()
                running[here] = asked.pop(0), fork
            for here in wait(list(running)):
                task, fork = running.pop(here)
                results: dict[str, Any] = {}
                with contextlib.suppress(EOFError):
                    results = here.recv()  # type: ignore[union-attr]
                fork.join()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(fork.pid, signal.SIGKILL)
                yield task, results

    def work(self, number: int, tests: list[str], there: Any) -> None:
        """Run these tests in a fork for the seconds of a round, with a fault until the first that fails."""
        os.setsid()
        end = time.monotonic() + ROUND
        items = [self.items[test] for test in tests]
        with tempfile.TemporaryDirectory(dir=TOP, ignore_cleanup_errors=True) as room:
            os.environ |= {"PYTEST_DEBUG_TEMPROOT": room, WHICH: str(number) if number else f"{room}/reached"}
            if number:
                signal.alarm(ROUND + LONGEST)
            for item, following in zip(items, [*items[1:], None], strict=True):
                self.results[item.nodeid] = {"failed": False, "seconds": [0, 0], "setup": [], "call": []}
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if (number and self.results[item.nodeid]["failed"]) or time.monotonic() > end:
                    break
            with contextlib.suppress(Exception):
                items[0].session._setupstate.teardown_exact(None)
        there.send(self.results)

    def pytest_runtest_logreport(self, report: Any) -> None:
        result, reached = self.results[report.nodeid], Path(os.environ[WHICH])
        result["failed"] |= report.failed
        result["seconds"][report.when == "call"] += report.duration
        if reached.is_absolute() and reached.exists():
            names = {self.faults[int(number) - 1].name for number in reached.read_text().split()}
            result["setup" if report.when == "setup" else "call"] += sorted(names)
            reached.unlink()
            _past.clear()


def copied(folder: Path) -> Path:
    """Put a copy of the tree with the faults in it into `folder`, and give an interpreter that imports from there."""
    listed = subprocess.check_output(["git", "ls-files", "-zco", "--exclude-standard"], cwd=TOP, text=True)
    for name in listed.split("\0"):
        if name and (TOP / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, folder / name)
    faults, sources = with_faults()
    for file, source in sources.items():
        (folder / file).write_text(source)
    (folder / "build").mkdir()
    (folder / FAULTS.relative_to(TOP)).write_text(json.dumps(faults))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    within = Path(sysconfig.get_path("purelib", vars={"base": str(folder / ".venv")}))
    (within / "copy.pth").write_text(f"{folder}\nimport site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return folder / ".venv" / "bin" / "python"


def main() -> None:
    """Try the areas and print one table, then what no test saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("areas", nargs="*", choices=[*AREAS, []], default=[])
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=13, help="another one draws other faults")
    parser.add_argument("--minutes", type=float, default=28, help="no test starts later")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tests", nargs="+", default=["tests"], help="only these")
    asked = parser.parse_args()
    if ORIGIN == TOP:
        (TOP / "build").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="m") as folder:
            command = [copied(Path(folder)), "-c", "from benchmarks.mutants import main; main()", *sys.argv[1:]]
            variables = {**os.environ, "MUTANTS_OF": str(TOP), "OMP_NUM_THREADS": "1"}
            subprocess.run(command, cwd=folder, env=variables, check=True)
        return
    import pytest

    for name in ("numpy", "scipy.stats", "sqlalchemy", "sklearn", "torch", "transformers", "rung.cli"):
        importlib.import_module(name)  # every fork has them
    runner = Runner(asked)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if code := pytest.main(["-p", "no:cacheprovider", *asked.tests], plugins=[runner]):
        print(f"The tests cannot be collected ({code}).", file=runner.out)


if __name__ == "__main__":
    main()
